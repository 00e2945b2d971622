"""The stage that parts a source by licence: commercial, non-commercial, evaluation-only, refused.

In: a source folder. Out: one .jsonl file per licence split, each row a source image with its split and the reason.
A licence that nobody knows stops the stage and names the row. An image whose licence asks for attribution, and whose
author or origin is not given, is refused: it could not be thanked for.
"""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path

from training.catalogue import SourceImage, json_line, read_catalogue, read_rows, source_image
from training.licences import Split, UnknownLicenceError, read_licence
from training.stage import CATALOGUE, Made, MissingInputError, Stage, StageResult, input_hash, require_stage, run_stage


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """Which split an image falls into, and why."""

    split: Split
    reason: str


def place(image: SourceImage) -> Placement:
    """The split of one image. Raises UnknownLicenceError. Pure."""
    licence = read_licence(image.licence)
    if licence.asks_attribution and licence.split is not Split.REFUSED:
        lacking = [name for name in ("author", "origin") if not getattr(image, name).strip()]
        if lacking:
            reason = f"{licence.name} asks for attribution, and its {' and '.join(lacking)} is not given"
            return Placement(split=Split.REFUSED, reason=reason)
    return Placement(split=licence.split, reason=f"{licence.name}: {licence.reason}")


def split_source(source: Path, out: Path, *, now: datetime) -> StageResult:
    """Part the images of `source` by licence into `out`/<split>.jsonl.

    Raises UnknownLicenceError (naming line and image), CatalogueError, and the errors of `run_stage`.
    """
    stage = Stage(name="split", out=out, inputs={"source": source}, resumable=False)
    return run_stage(stage, lambda folder: _split_into(folder, source), now=now)


def read_split(folder: Path, split: Split) -> Iterator[SourceImage]:
    """The source images of one split of a split folder, in the catalogue's order."""
    path = folder / f"{split}.jsonl"
    for number, row in read_rows(path):
        yield source_image({key: row[key] for key in row if key not in {"split", "reason"}}, path, number)


def require_split_of(folder: Path, source: Path) -> None:
    """Check that `folder` is the split of `source` as it is now. Raises MissingInputError."""
    if require_stage(folder, "split").inputs["source"] != input_hash(source):
        raise MissingInputError(
            f"{folder} was not split from {source} as it is now: name the source it was made from, or split it anew."
        )


def _split_into(folder: Path, source: Path) -> Made:
    counts = dict.fromkeys((str(split) for split in Split), 0)
    files = {split: (folder / f"{split}.jsonl").open("wb") for split in Split}
    try:
        for image in read_catalogue(source):
            try:
                placement = place(image)
            except UnknownLicenceError as error:
                raise UnknownLicenceError(
                    f"{source / CATALOGUE}, image '{image.id}' ({image.file}): {error}"
                ) from error
            row = {**asdict(image), "split": str(placement.split), "reason": placement.reason}
            files[placement.split].write(json_line(row))
            counts[placement.split] += 1
    finally:
        for file in files.values():
            file.close()
    return Made(counts=counts)
