"""Shard folders: MDS written partition by partition, each whole or not at all, then merged and checked.

A partition is what one input shard became; its folder bears the input shard's name. mosaicml-streaming's own merge
does not notice a partition that is missing, doubled or of other columns, and its writer cannot go on where it was
interrupted; here the one is checked and the other is done partition by partition. In: samples as dictionaries. Out:
a folder that `streaming.StreamingDataset` reads.
"""

import json
import shutil
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from streaming import LocalDataset, MDSWriter

from prompts.errors import CanvasError
from training.stage import move_into_place, sha256_of_file, write_atomically

INDEX, PARTITION = "index.json", "partition.json"
# Below 2**32 by the format; 64 MiB reads well from disk and from object stores.
SHARD_BYTES = 1 << 26


class PartitionError(CanvasError):
    """A shard folder whose partitions are not the ones that should be there, or are not whole."""


def write_partition(
    parent: Path,
    name: str,
    columns: Mapping[str, str],
    samples: Iterable[Mapping[str, Any]],
    counts: Counter[str],
    *,
    shard_bytes: int = SHARD_BYTES,
) -> None:
    """Write `samples` into `parent`/`name`, unless it is there already; it appears when it is whole.

    `counts` is what `samples` counts while it is drawn (images left out, say); it is kept with the partition.
    """
    if (parent / name).is_dir():
        return
    beside = parent / f".{name}.writing"
    shutil.rmtree(beside, ignore_errors=True)
    written = 0
    with MDSWriter(out=str(beside), columns=dict(columns), hashes=["sha256"], size_limit=shard_bytes) as writer:
        for sample in samples:
            writer.write(dict(sample))
            written += 1
    _drop_empty_shards(beside)
    note = {"name": name, "samples": written, "columns": dict(columns), "counts": dict(counts)}
    write_atomically(beside / PARTITION, json.dumps(note, sort_keys=True).encode())
    move_into_place(beside, parent / name)


def merge_partitions(folder: Path, names: Sequence[str], columns: Mapping[str, str]) -> Counter[str]:
    """Write the index over the partitions `names`, and return their counts added up, with "samples".

    Raises PartitionError where a partition is missing, stands there twice or was not asked for, where it has other
    columns, or where a file is not as long as its index says.
    """
    remedy = f"delete {folder} and make it anew"
    found = set(partition_names(folder))
    doubled = {name for name, times in Counter(names).items() if times > 1}
    for what, wrong in (("lacks", set(names) - found), ("has unknown", found - set(names)), ("doubles", doubled)):
        if wrong:
            raise PartitionError(f"{folder} {what} partitions ({', '.join(sorted(wrong))}): {remedy}.")
    totals: Counter[str] = Counter()
    shards: list[dict[str, Any]] = []
    origin: dict[str, str] = {}
    for name in names:
        note, own = _checked_partition(folder / name, columns)
        for shard in own:
            data = shard["raw_data"]
            twin = origin.setdefault(data["hashes"]["sha256"], name)
            if twin != name:
                raise PartitionError(f"{folder / name} holds the same samples as {twin}: {remedy}.")
            shards.append({**shard, "raw_data": {**data, "basename": f"{name}/{data['basename']}"}})
        totals.update({"samples": note["samples"], **note["counts"]})
    write_atomically(folder / INDEX, json.dumps({"version": 2, "shards": shards}, sort_keys=True).encode())
    return totals


def partition_names(folder: Path) -> list[str]:
    """The partitions of a shard folder, in the order of their names."""
    return sorted(path.name for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))


def read_samples(folder: Path) -> Iterator[dict[str, Any]]:
    """The samples of a shard folder or of one partition, in order. Arrays in them are read-only."""
    index = folder / INDEX
    if not index.is_file():
        raise PartitionError(f"{folder} is no shard folder (it has no {INDEX}): name the folder of a shards stage.")
    dataset = LocalDataset(str(folder))
    for number in range(len(dataset)):
        yield dataset[number]


def index_hash(folder: Path) -> str:
    """The SHA-256 of a folder's index, which holds the SHA-256 of every shard file: it stands for all samples."""
    return sha256_of_file(folder / INDEX)


def _drop_empty_shards(folder: Path) -> None:
    """Remove the shard files without samples that the writer makes before a sample over its size limit."""
    index = json.loads((folder / INDEX).read_text("utf-8"))
    kept = [shard for shard in index["shards"] if shard["samples"]]
    if len(kept) < len(index["shards"]):
        for shard in index["shards"]:
            if not shard["samples"]:
                (folder / shard["raw_data"]["basename"]).unlink()
        write_atomically(folder / INDEX, json.dumps({**index, "shards": kept}, sort_keys=True).encode())


def _checked_partition(folder: Path, columns: Mapping[str, str]) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """A partition's note and its shards, checked against each other and against the files."""
    remedy = f"delete {folder} and run the stage again"
    try:
        note = json.loads((folder / PARTITION).read_text("utf-8"))
        shards: list[dict[str, Any]] = json.loads((folder / INDEX).read_text("utf-8"))["shards"]
    except (OSError, ValueError) as error:
        raise PartitionError(f"{folder} is no whole partition ({error}): {remedy}.") from error
    if note["name"] != folder.name:
        raise PartitionError(f"{folder} holds the partition {note['name']}: {remedy}.")
    if note["columns"] != dict(columns):
        raise PartitionError(f"{folder} has other columns than its neighbours ({note['columns']}): {remedy}.")
    if sum(shard["samples"] for shard in shards) != note["samples"]:
        raise PartitionError(f"{folder} holds another number of samples than were written: {remedy}.")
    for shard in shards:
        file = folder / shard["raw_data"]["basename"]
        if not file.is_file() or file.stat().st_size != shard["raw_data"]["bytes"]:
            raise PartitionError(f"{file} is missing or cut short: {remedy}.")
    return note, shards
