"""The stage that gives every usable image a caption, by the captioner that is named.

In: a split folder and its source. Out: captions.jsonl (id, caption, captioner) and skipped.jsonl (id, file, reason).
Evaluation-only images are captioned too, for they make the evaluation prompts; refused ones are not. An interrupted
run keeps its finished parts and goes on after them. The captions are read for names: a caption that says "Snoopy"
teaches a model what one that says "a cartoon dog" does not, and the manifest says how many do.
"""

import shutil
from collections.abc import Iterator, Sequence
from datetime import datetime
from itertools import chain
from pathlib import Path
from typing import Any

from PIL import Image

from prompts.console import progress
from prompts.errors import CanvasError, quoted
from prompts.name_scan import NameTally, known_names
from prompts.plugins import load_plugin
from training.batching import batches
from training.captioners import CAPTIONERS
from training.captioners.base import Captioner, CaptionerSettings
from training.catalogue import SourceImage, json_line, read_rows
from training.decoding import BrokenImageError, decode_image, read_image_bytes
from training.licences import Split
from training.split import read_split, require_split_of
from training.stage import (
    Made,
    Stage,
    StageResult,
    read_manifest,
    refuse_skipped,
    require_stage,
    run_stage,
    write_atomically,
)

CAPTIONED_SPLITS = (Split.COMMERCIAL, Split.NON_COMMERCIAL, Split.EVALUATION_ONLY)
CAPTIONS, SKIPPED, _PARTS = "captions.jsonl", "skipped.jsonl", "parts"


class NoCaptionError(CanvasError):
    """An image that the captioner had nothing to say about."""


def caption_images(
    split: Path,
    source: Path,
    out: Path,
    *,
    captioner: str,
    settings: CaptionerSettings,
    now: datetime,
    skip_broken: bool = False,
    skip_uncaptioned: bool = False,
    images_per_part: int = 1024,
) -> StageResult:
    """Caption the images of a split folder by `captioner`, a line of CAPTIONERS.

    `skip_broken` leaves out images that cannot be decoded, `skip_uncaptioned` those that get no caption; both are
    counted in the manifest and listed in skipped.jsonl. Without them such an image raises BrokenImageError or
    NoCaptionError. Also raises UnknownPluginError, ModelNotFoundError and the errors of `run_stage`.
    """
    require_split_of(split, source)
    writer: Captioner = load_plugin(CAPTIONERS, captioner, "captioner")(settings)
    stage = Stage(
        name="captions",
        out=out,
        inputs={"split": split, "source": source},
        settings={**writer.identity, "images_per_part": images_per_part},
    )
    task = _Captioning(writer, source, skip_broken=skip_broken, skip_uncaptioned=skip_uncaptioned)
    result = run_stage(stage, lambda folder: _caption_into(folder, split, task, images_per_part), now=now)
    return refuse_skipped(result, {"skipped_broken": skip_broken, "skipped_uncaptioned": skip_uncaptioned})


def read_captions(folder: Path) -> dict[str, str]:
    """The captions of a captions folder by image id. Raises MissingInputError where `folder` is no such stage's."""
    require_stage(folder, "captions")
    return {row["id"]: row["caption"] for _, row in read_rows(folder / CAPTIONS)}


def read_skipped(folder: Path) -> set[str]:
    """The ids of the images that a captions folder left out."""
    return {row["id"] for _, row in read_rows(folder / SKIPPED)}


def names_warning(result: StageResult, *, above: float) -> str | None:
    """What to say where more than the share `above` of a captions folder's captions name someone; else None."""
    names = result.manifest.details.get("names")
    if names is None:  # a folder from before captions were read for names
        names = _names_in(result.folder)
    if names["share"] <= above:
        return None
    low, high = names["interval"]
    told = ", ".join(quoted(example["text"]) for example in names["examples"][:3])
    return (
        f"Warning: {names['named']:,} of {names['texts']:,} captions name a character, a brand or a public figure, as "
        f"in {told}: {names['share']:.1%} (95% {low:.1%} to {high:.1%}). A model that learns from them learns whom "
        "they show; `canvas evaluate leaks` tells more."
    )


def _names_in(folder: Path) -> dict[str, Any]:
    tally = NameTally(known_names())
    for _, row in read_rows(folder / CAPTIONS):
        tally.add(row["caption"], row["id"])
    return tally.result().to_dict()


class _Captioning:
    """How a group of images becomes rows: a caption each, or the reason why it was left out."""

    def __init__(self, captioner: Captioner, source: Path, *, skip_broken: bool, skip_uncaptioned: bool) -> None:
        self.captioner = captioner
        self._source = source
        self._skip_broken = skip_broken
        self._skip_uncaptioned = skip_uncaptioned

    def rows(self, images: Sequence[SourceImage]) -> Iterator[dict[str, Any]]:
        """One row per image, those that could not be decoded first."""
        usable: list[SourceImage] = []
        pixels: list[Image.Image] = []
        for image in images:
            if self.captioner.needs_pixels:
                try:
                    pixels.append(decode_image(read_image_bytes(self._source / image.file), image.file))
                except BrokenImageError as error:
                    if not self._skip_broken:
                        raise
                    yield {"id": image.id, "file": image.file, "reason": str(error), "broken": True}
                    continue
            usable.append(image)
        captions = self.captioner.caption(usable, pixels) if usable else []
        for image, caption in zip(usable, captions, strict=True):
            yield self._row(image, caption)

    def _row(self, image: SourceImage, caption: str) -> dict[str, Any]:
        if caption:
            return {"id": image.id, "caption": caption, "captioner": self.captioner.name}
        reason = f"The captioner {self.captioner.name} has no caption for the image '{image.id}' ({image.file})"
        if not self._skip_uncaptioned:
            raise NoCaptionError(f"{reason}: use another captioner, or leave such images out with --skip-uncaptioned.")
        return {"id": image.id, "file": image.file, "reason": reason, "broken": False}


def _caption_into(folder: Path, split: Path, task: _Captioning, images_per_part: int) -> Made:
    totals = read_manifest(split).counts
    parts = folder / _PARTS
    # With skipped.jsonl, the last to be written, all parts have been gathered.
    if not (folder / SKIPPED).is_file():
        parts.mkdir(exist_ok=True)
        images = chain.from_iterable(read_split(split, name) for name in CAPTIONED_SPLITS)
        with progress("Captioning images", sum(totals[name] for name in CAPTIONED_SPLITS)) as tick:
            for number, group in enumerate(batches(images, images_per_part)):
                part = parts / f"{number:06}.jsonl"
                if not part.is_file():
                    rows = chain.from_iterable(task.rows(few) for few in batches(group, task.captioner.batch_size))
                    write_atomically(part, b"".join(json_line(row) for row in rows))
                tick(len(group))
        _gather(folder)
    shutil.rmtree(parts, ignore_errors=True)
    skipped = [row for _, row in read_rows(folder / SKIPPED)]
    broken = sum(row["broken"] for row in skipped)
    names = _names_in(folder)
    return Made(
        counts={"captions": names["texts"], "skipped_broken": broken, "skipped_uncaptioned": len(skipped) - broken},
        details={"captioner": task.captioner.name, "names": names},
    )


def _gather(folder: Path) -> None:
    """Put the parts together in their order: captions into one file, what was left out into another."""
    beside = {name: folder / f".{name}.writing" for name in (CAPTIONS, SKIPPED)}
    with beside[CAPTIONS].open("wb") as captions, beside[SKIPPED].open("wb") as skipped:
        for part in sorted((folder / _PARTS).glob("*.jsonl")):
            for _, row in read_rows(part):
                (captions if "caption" in row else skipped).write(json_line(row))
    for name in (CAPTIONS, SKIPPED):
        beside[name].replace(folder / name)
