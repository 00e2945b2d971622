"""Where the pictures of a list come from: one's own folder or .zip, or their addresses."""

import threading
import zipfile
from collections.abc import Iterable
from pathlib import Path, PurePosixPath
from typing import Protocol

from evaluation.pictures import ENDINGS
from evaluation.references.base import Item, SourceImagesError
from evaluation.references.fetching import fetch_bytes


class SourceImages(Protocol):
    """Hands out the bytes of an item's picture; may be asked by several threads at once."""

    def read(self, item: Item) -> bytes:
        """The file's bytes. Raises SourceImagesError, which names the item."""

    def __str__(self) -> str:
        """What to call it in a sentence and in a manifest."""


def open_images(place: Path | None) -> SourceImages:
    """One's own copy at `place`, a folder or a .zip; without one, the items' addresses. Raises SourceImagesError."""
    if place is None:
        return AddressImages()
    if place.is_dir():
        return FolderImages(place)
    if place.is_file() and zipfile.is_zipfile(place):
        return ZipImages(place)
    raise SourceImagesError(f"{place} is neither a folder nor a .zip: name one that holds the images with --images.")


class AddressImages:
    """Fetches each picture from its own address."""

    def read(self, item: Item) -> bytes:
        """What the item's address sends."""
        if item.address is None:
            raise SourceImagesError(f"The image {item.id} has no address: name a copy of the images with --images.")
        return fetch_bytes(item.address)

    def __str__(self) -> str:
        """As it is called."""
        return "the images' addresses"


class FolderImages:
    """A folder with the pictures in it, at any depth."""

    def __init__(self, folder: Path) -> None:
        """Look through the folder once."""
        self._folder = folder
        files = (path.relative_to(folder).as_posix() for path in sorted(folder.rglob("*")) if path.is_file())
        self._index = _index(files)

    def read(self, item: Item) -> bytes:
        """The item's file."""
        path = self._folder / _find(self._index, item, self)
        try:
            return path.read_bytes()
        except OSError as error:
            raise SourceImagesError(f"{path} cannot be read ({error.strerror}): look who may read it.") from error

    def __str__(self) -> str:
        """As it is called."""
        return str(self._folder)


class ZipImages:
    """A .zip with the pictures in it, read where it lies."""

    def __init__(self, path: Path) -> None:
        """Look through the archive once."""
        self._path = path
        self._archive = zipfile.ZipFile(path)
        # Members share one file handle, and its position.
        self._lock = threading.Lock()
        self._index = _index(name for name in sorted(self._archive.namelist()) if not name.endswith("/"))

    def read(self, item: Item) -> bytes:
        """The item's member."""
        name = _find(self._index, item, self)
        try:
            with self._lock:
                return self._archive.read(name)
        except (OSError, zipfile.BadZipFile) as error:
            raise SourceImagesError(
                f"{name} in {self._path} cannot be read ({error}): fetch the archive anew."
            ) from error

    def __str__(self) -> str:
        """As it is called."""
        return str(self._path)


def _index(names: Iterable[str]) -> dict[str, str]:
    """Each picture under its path and under its bare name; the first by name where two share a bare name."""
    index: dict[str, str] = {}
    for name in names:
        path = PurePosixPath(name)
        if path.suffix.lower() in ENDINGS:
            index[name] = name
            index.setdefault(path.stem, name)
    return index


def _find(index: dict[str, str], item: Item, where: SourceImages) -> str:
    for place in item.places:
        if place in index:
            return index[place]
    raise SourceImagesError(
        f"{where} lacks the image {item.id} (looked for as {' or '.join(item.places)}): add it, or name a whole copy "
        "with --images."
    )
