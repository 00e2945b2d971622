"""A reference set is built once, from one's own copy or the official addresses, into a folder that says what it is.

In: a Reference, and where its annotations and images lie. Out: a folder with images/, images.jsonl (the list), the
captions as a prompt file, with which galleries can be painted for them, and manifest.json. Images are cropped to the
largest centre square and resized, as the CommonCanvas paper does with its real images, or kept byte for byte.
"""

import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from PIL import Image

from evaluation.folder_stage import Made, Stage, StageResult, run_stage, write_atomically
from evaluation.ordered import ordered_map
from evaluation.pictures import PictureError, read_picture
from evaluation.reference import ReferenceImages
from evaluation.references.base import STAGE, Drawn, Item, ListError, Reference, SourceImagesError, list_hash
from evaluation.references.source_images import SourceImages, open_images
from prompts.console import progress
from prompts.files import read_prompt_file

LIST = "images.jsonl"
LEFT_OUT = "left_out.jsonl"
_IMAGES = "images"
_WORK = ".work"
_ENDINGS = {"JPEG": ".jpg", "PNG": ".png", "WEBP": ".webp", "BMP": ".bmp", "TIFF": ".tif", "MPO": ".jpg"}


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildSettings:
    """How a set is built.

    `size_px` is the side of the squares; None keeps the originals. `skip_missing` lets the next image of the list step
    in for one that cannot be had, where the set allows it. `expected_sha256` is the list's hash in somebody's build.
    """

    size_px: int | None = 256
    count: int | None = None
    skip_missing: bool = False
    unpinned: bool = False
    expected_sha256: str | None = None
    workers: int = 4

    @property
    def preprocessing(self) -> dict[str, Any]:
        """What is done to each picture, as JSON values."""
        if self.size_px is None:
            return {"kept": "original files"}
        return {
            "upright": "EXIF",
            "mode": "RGB",
            "crop": "largest centre square",
            "size_px": self.size_px,
            "filter": "bicubic, antialiased, on 8 bits",
            "format": "PNG",
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class _Kept:
    item: Item
    file: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class _Gone:
    item: Item
    reason: str


def build_reference(
    reference: Reference,
    out: Path,
    *,
    annotations: Path | None,
    images: Path | None,
    cache: Path,
    settings: BuildSettings,
    now: datetime,
) -> StageResult:
    """Build `reference` into `out`, go on with it, or find it built.

    Raises AnnotationsError, ListError, SourceImagesError, PictureError and the errors of `run_stage`.
    """
    if reference.fixed and settings.skip_missing:
        raise ListError(
            f"{reference.name} is a fixed list, of which no image may be missing: leave out --skip-missing."
        )
    drawn = reference.draw(annotations, cache=cache, count=settings.count, unpinned=settings.unpinned)
    if reference.fixed:
        _check_list(reference, drawn, settings)
    source = open_images(images)
    stage = Stage(
        name=STAGE,
        out=out,
        inputs={"annotations": drawn.annotations_sha256},
        settings={
            "dataset": reference.name,
            "rule": reference.rule,
            "count": drawn.count,
            "preprocessing": settings.preprocessing,
            "skip_missing": settings.skip_missing,
            "unpinned": settings.unpinned,
        },
    )
    return run_stage(stage, lambda partial: _build(partial, reference, drawn, source, settings), now=now)


def _check_list(reference: Reference, drawn: Drawn, settings: BuildSettings) -> None:
    """Hold a list, before its images are touched, to its pin and to what is expected. Raises ListError."""
    found = list_hash(drawn.items)
    pinned = None if settings.unpinned or settings.count is not None else reference.list_sha256
    for wanted, whose in ((pinned, "pinned here"), (settings.expected_sha256, "asked for")):
        if wanted is not None and found != wanted:
            raise ListError(
                f"The list of {reference.name} has the SHA-256 {found}, and {wanted} is {whose}: the annotations are "
                "others, so the numbers would not compare. Give the published ones."
            )


def _build(partial: Path, reference: Reference, drawn: Drawn, source: SourceImages, settings: BuildSettings) -> Made:
    for name in (_IMAGES, _WORK):
        (partial / name).mkdir(exist_ok=True)
    kept: list[_Kept] = []
    gone: list[_Gone] = []
    with progress(f"Building {reference.name}", total=drawn.count) as tick:
        for one in _made(partial, reference, drawn, source, settings):
            if isinstance(one, _Gone):
                gone.append(one)
                continue
            kept.append(one)
            tick()
            if len(kept) == drawn.count:
                break
    if not kept:
        raise SourceImagesError(
            f"None of the {len(gone):,} images of {reference.name} could be had; the first: {gone[0].reason}"
        )
    if not reference.fixed and settings.expected_sha256 not in (None, list_hash([one.item for one in kept])):
        raise ListError(
            f"The images that could be had make the list {list_hash([one.item for one in kept])}, and "
            f"{settings.expected_sha256} is asked for: some images differ from those of the other build."
        )
    _tidy(partial, kept)
    _write_lists(partial, reference.name, kept, gone)
    return Made(
        counts={"images": len(kept), "left_out": len(gone)},
        details=_details(partial, reference, drawn, source, settings, kept),
    )


def _made(
    partial: Path, reference: Reference, drawn: Drawn, source: SourceImages, settings: BuildSettings
) -> Iterator[_Kept | _Gone]:
    """Each item's file in the list's order, made by a few threads ahead."""

    def make(item: Item) -> _Kept | _Gone:
        try:
            return _Kept(item=item, file=_make(partial, item, source, settings))
        except (SourceImagesError, PictureError) as error:
            if settings.skip_missing:
                return _Gone(item=item, reason=str(error))
            remedy = "" if reference.fixed else " Or let the next in the list step in, with --skip-missing."
            raise SourceImagesError(f"{error}{remedy}") from error

    return ordered_map(make, drawn.items, threads=settings.workers, ahead=2 * settings.workers)


def _make(partial: Path, item: Item, source: SourceImages, settings: BuildSettings) -> Path:
    """The item's file in images/, made now or by an interrupted run; whole, since it is moved there."""
    if settings.size_px is not None and (done := partial / _IMAGES / f"{item.name}.png").is_file():
        return done
    work = partial / _WORK / item.name
    work.write_bytes(source.read(item))
    try:
        picture = read_picture(work)
        if settings.size_px is None:
            with Image.open(work) as opened:
                done = partial / _IMAGES / f"{item.name}{_ENDINGS.get(opened.format or '', '.png')}"
        else:
            centre_square(picture, settings.size_px).save(work, format="PNG")
        with work.open("rb") as file:
            os.fsync(file.fileno())
        work.replace(done)
    except PictureError as error:
        work.unlink()
        raise PictureError(
            f"The image {item.id} of {source} cannot be read as a picture: put a whole one in its place."
        ) from error
    return done


def centre_square(picture: Image.Image, size_px: int) -> Image.Image:
    """The largest centre square of `picture`, resized to `size_px` with PIL's antialiased bicubic filter."""
    side = min(picture.size)
    left, top = (picture.width - side) // 2, (picture.height - side) // 2
    square = picture.crop((left, top, left + side, top + side))
    return square if side == size_px else square.resize((size_px, size_px), Image.Resampling.BICUBIC)


def _tidy(partial: Path, kept: Sequence[_Kept]) -> None:
    """Remove what was made ahead of the last image taken, and what a broken run left."""
    wanted = {one.file.name for one in kept}
    for path in (partial / _IMAGES).iterdir():
        if path.name not in wanted:
            path.unlink()
    for path in (partial / _WORK).iterdir():
        path.unlink()
    (partial / _WORK).rmdir()


def _write_lists(partial: Path, name: str, kept: Sequence[_Kept], gone: Sequence[_Gone]) -> None:
    lines = [
        {"id": one.item.id, "file": f"{_IMAGES}/{one.file.name}"}
        | ({} if one.item.caption is None else {"caption": one.item.caption})
        for one in kept
    ]
    write_atomically(partial / LIST, _jsonl(lines))
    if gone:
        write_atomically(partial / LEFT_OUT, _jsonl([{"id": one.item.id, "reason": one.reason} for one in gone]))
    asked = [
        {"prompt": one.item.caption, "note": one.item.id, "file": f"{_IMAGES}/{one.file.name}"}
        for one in kept
        if one.item.caption is not None
    ]
    if asked:
        write_atomically(partial / f"{name}.jsonl", _jsonl(asked))
        # What cannot be asked is found now, not after hours of painting.
        read_prompt_file(partial / f"{name}.jsonl")


def _details(
    partial: Path,
    reference: Reference,
    drawn: Drawn,
    source: SourceImages,
    settings: BuildSettings,
    kept: Sequence[_Kept],
) -> dict[str, Any]:
    pinned = not settings.unpinned and settings.count is None and reference.list_sha256 is not None
    with_prompts = kept[0].item.caption is not None
    return {
        "list": {"sha256": list_hash([one.item for one in kept]), "held_to_a_pin": pinned},
        "images": {"from": str(source), "sha256": ReferenceImages(partial).details["sha256"]},
        "drawn": drawn.details,
        "prompts": f"{reference.name}.jsonl" if with_prompts else None,
        "licence": reference.licence,
        "source": reference.source,
        "versions": {library: version(library) for library in ("canvas-arena", "pillow")},
    }


def _jsonl(lines: Sequence[dict[str, Any]]) -> bytes:
    return "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines).encode()
