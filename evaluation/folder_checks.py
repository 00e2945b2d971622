"""Folders of pictures, before anything is measured: whole, readable, and of one making, or refused by name.

Only names and headers are read here, so that hours of extraction do not end in what could be seen at once.
"""

import csv
from collections.abc import Sequence
from pathlib import Path

from evaluation.features.linter import LintError, check_lossless, check_same_size
from evaluation.folder_stage import MANIFEST
from evaluation.pictures import PictureError, find_pictures, picture_kind
from evaluation.samplers.image_folder import LIST

_LEAST = 2
_HALF_WRITTEN = (".partial", ".part", ".tmp", ".writing", ".crdownload")


class BeingWrittenError(PictureError):
    """A folder into which pictures are still being written, or whose making was interrupted."""


class TooFewPicturesError(PictureError):
    """A folder with fewer pictures than a set needs."""


def whole_folder(folder: Path) -> list[Path]:
    """All pictures of a finished folder, by name. Raises PictureError, BeingWrittenError and TooFewPicturesError."""
    partial = folder.with_name(f"{folder.name}.partial")
    if not folder.exists() and partial.is_dir():
        raise BeingWrittenError(f"{folder} is still being made (there is {partial}): wait, or run what makes it again.")
    if folder.is_dir() and (why := _unfinished(folder)):
        raise BeingWrittenError(f"{folder} is still being written ({why}): wait until it is whole, or finish it.")
    found = find_pictures(folder)
    if len(found) < _LEAST:
        raise TooFewPicturesError(f"{folder} holds one picture, and a set needs {_LEAST} or more: add pictures.")
    return found


def state_of(pictures: Sequence[Path]) -> list[tuple[str, int, int]]:
    """Name, bytes and time of each picture: where two looks differ, the folder changed between them."""
    return [(str(path), told.st_size, told.st_mtime_ns) for path in pictures for told in (path.stat(),)]


def refuse_changed(folder: Path, before: list[tuple[str, int, int]]) -> None:
    """Raises BeingWrittenError where the pictures are not those of `before`."""
    try:
        same = state_of(find_pictures(folder)) == before
    except OSError:
        same = False
    if not same:
        raise BeingWrittenError(f"{folder} changed while it was read: wait until it is whole, and run this again.")


def check_generated(pictures: Sequence[Path]) -> None:
    """Whether `pictures` can be one entrant's: of one size, and not JPEG, whose losses a distance would see.

    Raises UnequalSizesError, LossyPicturesError and PictureError (an unreadable one).
    """
    kinds = {str(path): picture_kind(path) for path in pictures}
    try:
        check_lossless(kinds)
        check_same_size({name: (kind.width_px, kind.height_px) for name, kind in kinds.items()})
    except LintError as error:
        raise type(error)(f"{error} If these are photographs and not generated, add --both-real.") from error


def _unfinished(folder: Path) -> str:
    """Why `folder` is not whole; "" where nothing says so."""
    if folder.name.endswith(".partial"):
        return "its name ends in .partial"
    if (folder / "plan.json").is_file() and not (folder / MANIFEST).is_file():
        return f"it has a plan.json and no {MANIFEST}"
    half = next((path for path in folder.rglob("*") if path.suffix in _HALF_WRITTEN), None)
    if half is not None:
        return f"there is {half.relative_to(folder)}"
    return _lacking(folder / LIST)


def _lacking(listed: Path) -> str:
    """Which pictures a gallery's list names and its folder lacks; "" for none, or where there is no such list."""
    try:
        with listed.open(encoding="utf-8-sig", newline="") as lines:
            names = [row["file"] for row in csv.DictReader(lines)]
    except (FileNotFoundError, KeyError, ValueError, csv.Error):
        return ""
    missing = [name for name in names if name and not (listed.parent / name).is_file()]
    return f"{LIST} names {missing[0]}, one of {len(missing):,} that are not there" if missing else ""
