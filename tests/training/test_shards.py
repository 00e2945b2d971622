"""Shards: provenance beside every image, no ND image ever, and the same bytes whatever was interrupted."""

import json
import multiprocessing
import os
import shutil
import signal
from collections import Counter
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import pytest

from training.captioners.base import CaptionerSettings
from training.captions import caption_images
from training.catalogue import json_line, read_catalogue
from training.decoding import BrokenImageError
from training.licences import Collection, Split, read_licence
from training.mds import INDEX, PartitionError, merge_partitions, read_samples, write_partition
from training.shards import (
    COLUMNS,
    EmptyCollectionError,
    ForbiddenLicenceError,
    MissingCaptionError,
    read_attributions,
    write_shards,
)
from training.split import read_split, split_source
from training.stage import MissingInputError, OtherSettingsError, read_manifest

Pack = Callable[..., Path]


@pytest.fixture
def pack(now: datetime) -> Pack:
    """Splits, captions and packs a source with three images to a partition; returns the shard folder."""

    def run(source: Path, work: Path, out: str = "shards", **settings: object) -> Path:
        split = split_source(source, work / "split", now=now).folder
        captions = caption_images(
            split, source, work / "captions", captioner="alt_text", settings=CaptionerSettings(), now=now
        ).folder
        chosen = {"collection": Collection.NC, "images_per_shard": 3, **settings}
        return write_shards(source, split, captions, work / out, now=now, **chosen).folder

    return run


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_a_sample_holds_the_source_file_its_caption_and_its_provenance(source: Path, shards: Path) -> None:
    images = {image.id: image for image in read_catalogue(source)}

    samples = list(read_samples(shards))

    assert [sample["id"] for sample in samples] == [
        *("image-000", "image-001", "image-006", "image-007", "image-008", "image-013"),
        *("image-002", "image-003", "image-009", "image-010"),
    ]
    for sample in samples:
        image = images[sample["id"]]
        assert sample == {
            "id": image.id,
            "image": (source / image.file).read_bytes(),
            "caption": image.caption,
            "licence": image.licence,
            "author": image.author,
            "origin": image.origin,
            "title": image.title,
            "width": 40 if int(image.id[-3:]) % 2 else 24,
            "height": 32 if int(image.id[-3:]) % 2 else 48,
        }


def test_streaming_reads_the_merged_folder_and_its_hashes_hold(shards: Path) -> None:
    from streaming import LocalDataset
    from streaming.base.hashing import get_hash

    index = json.loads((shards / INDEX).read_text("utf-8"))

    assert len(LocalDataset(str(shards))) == 10
    for shard in index["shards"]:
        data = shard["raw_data"]
        assert get_hash("sha256", (shards / data["basename"]).read_bytes()) == data["hashes"]["sha256"]
    assert [shard["raw_data"]["basename"].partition("/")[0] for shard in index["shards"]] == [
        "commercial-000000",
        "commercial-000001",
        "non-commercial-000000",
        "non-commercial-000001",
    ]
    assert read_manifest(shards).counts == {
        "images": 10,
        "skipped_broken": 0,
        "skipped_without_caption": 0,
        "partitions": 4,
    }


def test_the_commercial_collection_holds_the_commercial_split_alone(source: Path, tmp_path: Path, pack: Pack) -> None:
    folder = pack(source, tmp_path, collection=Collection.C)

    assert {read_licence(sample["licence"]).split for sample in read_samples(folder)} == {Split.COMMERCIAL}
    assert read_manifest(folder).settings["licence_split"] == "commercial"
    assert read_manifest(folder).counts["images"] == 6


def test_no_nd_image_enters_even_by_a_split_that_was_tampered_with(source: Path, tmp_path: Path, pack: Pack) -> None:
    pack(source, tmp_path)
    [stray, *_] = read_split(tmp_path / "split", Split.EVALUATION_ONLY)
    with (tmp_path / "split/commercial.jsonl").open("ab") as file:
        row = {key: getattr(stray, key) for key in ("id", "file", "caption", "licence", "author", "origin", "title")}
        file.write(json_line({**row, "split": "commercial", "reason": "a slip"}))

    with pytest.raises(ForbiddenLicenceError, match=r"'image-004' \(images/004\.png\) may not .*CC-BY-ND-2\.0 is eval"):
        pack(source, tmp_path, "again")

    assert not (tmp_path / "again").exists()


def test_a_non_commercial_image_never_enters_the_commercial_collection(
    source: Path, tmp_path: Path, pack: Pack
) -> None:
    pack(source, tmp_path)
    shutil.copy(tmp_path / "split/non-commercial.jsonl", tmp_path / "split/commercial.jsonl")

    with pytest.raises(ForbiddenLicenceError, match=r"commercial collection: CC-BY-NC-2.0 is non-commercial"):
        pack(source, tmp_path, "again", collection=Collection.C)


def test_packing_killed_in_the_middle_and_finished_later_gives_the_same_bytes(
    source: Path, tmp_path: Path, pack: Pack, monkeypatch: pytest.MonkeyPatch
) -> None:
    from training.shards import _Packing

    whole = pack(source, tmp_path, "whole")
    drawn = _Packing.samples

    def killed_at_the_fifth(self: _Packing, images: list[object], counts: Counter[str]) -> object:
        for sample in drawn(self, images, counts):  # type: ignore[arg-type]
            if sample["id"] == "image-008":
                os.kill(os.getpid(), signal.SIGKILL)
            yield sample

    with monkeypatch.context() as patch:
        patch.setattr(_Packing, "samples", killed_at_the_fifth)
        process = multiprocessing.get_context("fork").Process(target=pack, args=(source, tmp_path))
        process.start()
        process.join(60)
    left = sorted(path.name for path in (tmp_path / "shards.partial").iterdir())
    made_before = (tmp_path / "shards.partial/commercial-000000").stat().st_mtime_ns

    resumed = pack(source, tmp_path)

    assert process.exitcode == -signal.SIGKILL
    assert left == [".commercial-000001.writing", "commercial-000000", "plan.json"]
    assert (resumed / "commercial-000000").stat().st_mtime_ns == made_before
    assert contents(resumed) == contents(whole)


def test_a_broken_image_is_an_error_that_names_it_or_is_left_out_and_counted(
    make_source: Callable[..., Path], tmp_path: Path, pack: Pack
) -> None:
    source = make_source(tmp_path / "source")
    (source / "images/001.png").write_bytes(b"no image")

    with pytest.raises(BrokenImageError, match=r"images/001\.png cannot be decoded \(no known image format\)"):
        pack(source, tmp_path)
    folder = pack(source, tmp_path, skip_broken=True)
    with pytest.raises(OtherSettingsError, match="was made with --skip-broken and leaves images out"):
        pack(source, tmp_path)

    assert read_manifest(folder).counts["images"] == 9
    assert read_manifest(folder).counts["skipped_broken"] == 1
    assert "image-001" not in {sample["id"] for sample in read_samples(folder)}


def test_an_image_without_a_caption_is_an_error(source: Path, tmp_path: Path, pack: Pack) -> None:
    pack(source, tmp_path)
    lines = (tmp_path / "captions/captions.jsonl").read_bytes().splitlines(keepends=True)
    (tmp_path / "captions/captions.jsonl").write_bytes(b"".join(lines[1:]))

    with pytest.raises(MissingCaptionError, match=r"'image-000' \(images/000\.jpg\) has no caption"):
        pack(source, tmp_path, "again")


def test_captions_of_another_split_and_empty_collections_are_refused(
    make_source: Callable[..., Path], captions: Path, tmp_path: Path, pack: Pack, now: datetime
) -> None:
    source = make_source(tmp_path / "source", 2, ("CC-BY-NC-2.0", "CC-BY-ND-2.0"))
    split = split_source(source, tmp_path / "split", now=now).folder

    with pytest.raises(MissingInputError, match="captions another split"):
        write_shards(source, split, captions, tmp_path / "out", collection=Collection.C, now=now)
    with pytest.raises(EmptyCollectionError, match="no image for the commercial collection"):
        pack(source, tmp_path, collection=Collection.C)


def test_every_shard_folder_can_thank_for_each_of_its_images(source: Path, shards: Path) -> None:
    images = {image.id: image for image in read_catalogue(source)}

    attributions = list(read_attributions(shards))

    assert len(attributions) == 10
    assert all(
        images[entry.id].author in entry.line and images[entry.id].origin in entry.line for entry in attributions
    )
    assert attributions[1].line == (
        '"Photo 1" by Author 1, https://example.org/photo/1, '
        "CC-BY-SA-2.0 (https://creativecommons.org/licenses/by-sa/2.0/)"
    )


def test_an_image_larger_than_a_shard_file_leaves_no_empty_shard(tmp_path: Path) -> None:
    samples = [{"id": str(number), "image": b"x" * (900 if number == 1 else 10)} for number in range(3)]

    write_partition(tmp_path, "a", {"id": "str", "image": "bytes"}, samples, Counter(), shard_bytes=500)
    totals = merge_partitions(tmp_path, ["a"], {"id": "str", "image": "bytes"})

    shards = json.loads((tmp_path / INDEX).read_text("utf-8"))["shards"]
    assert totals["samples"] == 3
    assert [shard["samples"] for shard in shards] == [1, 1, 1]
    assert list(read_samples(tmp_path)) == samples


def test_a_partition_without_samples_takes_its_place(tmp_path: Path) -> None:
    columns = {"id": "str"}
    write_partition(tmp_path, "a", columns, [], Counter(skipped_broken=2))
    write_partition(tmp_path, "b", columns, [{"id": "1"}], Counter(skipped_broken=0))

    assert merge_partitions(tmp_path, ["a", "b"], columns) == {"samples": 1, "skipped_broken": 2}
    assert [sample["id"] for sample in read_samples(tmp_path)] == ["1"]


@pytest.mark.parametrize(
    ("harm", "complaint"),
    [
        (lambda folder: shutil.rmtree(folder / "b"), r"lacks partitions \(b\)"),
        (lambda folder: shutil.copytree(folder / "a", folder / "c"), r"has unknown partitions \(c\)"),
        (lambda folder: shutil.copytree(folder / "a", folder / "b", dirs_exist_ok=True), "holds the partition a"),
        (lambda folder: (folder / "b/shard.00000.mds").write_bytes(b""), "missing or cut short"),
        (lambda folder: (folder / "b/shard.00000.mds").unlink(), "missing or cut short"),
        (lambda folder: (folder / "b/partition.json").unlink(), "no whole partition"),
    ],
)
def test_a_merge_notices_partitions_that_are_missing_foreign_swapped_or_cut(
    tmp_path: Path, harm: Callable[[Path], object], complaint: str
) -> None:
    for name in ("a", "b"):
        write_partition(tmp_path, name, {"id": "str"}, [{"id": name}], Counter())

    harm(tmp_path)

    with pytest.raises(PartitionError, match=complaint):
        merge_partitions(tmp_path, ["a", "b"], {"id": "str"})


def test_a_merge_notices_partitions_that_are_doubled_or_of_other_columns(tmp_path: Path) -> None:
    write_partition(tmp_path, "a", {"id": "str"}, [{"id": "1"}], Counter())
    write_partition(tmp_path, "b", {"id": "str"}, [{"id": "1"}], Counter())

    with pytest.raises(PartitionError, match=r"b holds the same samples as a"):
        merge_partitions(tmp_path, ["a", "b"], {"id": "str"})
    with pytest.raises(PartitionError, match=r"doubles partitions \(a\)"):
        merge_partitions(tmp_path, ["a", "a", "b"], {"id": "str"})
    with pytest.raises(PartitionError, match="other columns than its neighbours"):
        merge_partitions(tmp_path, ["a", "b"], COLUMNS)
