"""What a reference set is: a list of real images, drawn by a rule that anyone can follow, with one caption each."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from prompts.errors import CanvasError

# The stage that builds a set, in its manifest.
STAGE = "reference"


class ReferenceSetError(CanvasError):
    """A reference set that cannot be had; the subclasses say why."""


class AnnotationsError(ReferenceSetError):
    """A list of captions that is not there, cannot be read, or is another than the set is drawn from."""


class ListError(ReferenceSetError):
    """A list of images that is not the one that was pinned or asked for."""


class SourceImagesError(ReferenceSetError):
    """Images of the list that are not in the copy given, cannot be fetched, or are no whole pictures."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One image of a list.

    `id` names it for good, and `name` its file in the built folder. `places` are the names, without ending, or the
    paths under which one's own copy may hold it; `address` is where it can be fetched.
    """

    id: str
    name: str
    places: tuple[str, ...]
    caption: str | None = None
    address: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawn:
    """The images of a set in the order of its rule, of which the first `count` that can be had are taken.

    `annotations_sha256` is the hash of the file they were drawn from; `details` are plain JSON values.
    """

    items: Sequence[Item]
    count: int
    annotations_sha256: str
    details: dict[str, Any] = field(default_factory=dict)


@runtime_checkable
class Reference(Protocol):
    """The attribute that a line of REFERENCES points at."""

    @property
    def name(self) -> str:
        """Its line in REFERENCES."""

    @property
    def about(self) -> str:
        """What it holds, in a few words."""

    @property
    def rule(self) -> str:
        """How its images and captions are drawn, so that anyone can do it again."""

    @property
    def licence(self) -> str:
        """What its images and captions come under."""

    @property
    def source(self) -> str:
        """Where its annotations officially come from."""

    @property
    def count(self) -> int:
        """How many images it has, or has at most."""

    @property
    def fixed(self) -> bool:
        """Whether each image of its list must be there; where not, the next in the list steps in for a missing one."""

    @property
    def list_sha256(self) -> str | None:
        """The pinned hash of its list (see `list_hash`); None where none is pinned yet."""

    def draw(self, annotations: Path | None, *, cache: Path, count: int | None, unpinned: bool) -> Drawn:
        """The list, from one's own copy of the annotations or their official address, kept in `cache`.

        `count` asks for another number of images than the set's own; `unpinned` takes annotations that are not the
        published ones. Raises AnnotationsError.
        """


def list_hash(items: Sequence[Item]) -> str:
    """The SHA-256 of the items' ids in their order, each followed by a line end, in UTF-8."""
    whole = hashlib.sha256()
    for item in items:
        whole.update(f"{item.id}\n".encode())
    return whole.hexdigest()


def hash_of(text: str) -> str:
    """The SHA-256 of `text` in UTF-8, in hexadecimal: the order of every rule here."""
    return hashlib.sha256(text.encode()).hexdigest()


def one_line(caption: str) -> str:
    """`caption` with every run of white space as one space and none around it."""
    return " ".join(caption.split())


def read_annotations(path: Path) -> bytes:
    """The bytes of one's own copy. Raises AnnotationsError."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise AnnotationsError(
            f"The annotations {path} cannot be read ({error.strerror}): name an existing file with --annotations."
        ) from error
