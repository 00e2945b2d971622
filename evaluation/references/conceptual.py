"""Conceptual Captions: web images with cleaned alt texts, and three slices of it by words of the caption.

The CommonCanvas paper evaluates on subsets of it and names three where its models fall behind: faces, general
photography and paintings (section 6.1, Figure 8). It does not say how they were drawn, so the rule here is ours: whole
words of the caption decide, and no image is in two slices.
Source: Sharma et al. (2018), "Conceptual Captions", doi:10.18653/v1/P18-1238; https://ai.google.com/research/ConceptualCaptions.
"""

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from evaluation.references.base import AnnotationsError, Drawn, Item, hash_of, list_hash, one_line, read_annotations

ADDRESS = "https://ai.google.com/research/ConceptualCaptions/download"
# Whole words, in small letters.
PAINTING_WORDS = (
    "painting", "paintings", "painted", "fresco", "frescoes", "mural", "murals", "watercolor", "watercolors",
    "watercolour", "watercolours", "gouache", "canvas", "artwork",
)  # fmt: skip
FACE_WORDS = ("face", "faces", "facial", "portrait", "portraits", "headshot", "headshots", "selfie", "selfies")
PHOTO_WORDS = (
    "photo", "photos", "photograph", "photographs", "photographed", "photographer", "photography", "photographic",
    "snapshot", "snapshots",
)  # fmt: skip
_SLICES = {
    "all": "every image",
    "paintings": f"captions with one of the words {', '.join(PAINTING_WORDS)}",
    "faces": f"captions with one of the words {', '.join(FACE_WORDS)}, and none of the slice paintings",
    "photography": f"captions with one of the words {', '.join(PHOTO_WORDS)}, and none of the other slices",
}
_WORD = re.compile(r"[a-z]+")
_COUNT = 30_000


def slice_of(caption: str) -> str | None:
    """The slice whose words `caption` holds: paintings before faces before photography; None for the rest."""
    words = set(_WORD.findall(caption.lower()))
    if words.intersection(PAINTING_WORDS):
        return "paintings"
    if words.intersection(FACE_WORDS):
        return "faces"
    return "photography" if words.intersection(PHOTO_WORDS) else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Conceptual:
    """One slice of Conceptual Captions, or all of it; satisfies Reference.

    Many of its addresses are gone, so nobody has all images: the first `count` of the list that can be had are taken,
    and the hash of their list tells whether two people took the same.
    """

    name: str
    about: str
    part: str
    count: int = _COUNT
    list_sha256: str | None = None
    fixed: bool = False
    licence: str = "captions free for any use; images belong to the sites that show them"
    source: str = ADDRESS

    @property
    def rule(self) -> str:
        """How the list is drawn."""
        return (
            f"Rows of the annotations by the SHA-256 of their address: {_SLICES[self.part]}; an address or a caption "
            f"that came before is passed over; of these the first whose images can be had, as many as are counted. An "
            "id of the list is the address."
        )

    def draw(self, annotations: Path | None, *, cache: Path, count: int | None, unpinned: bool) -> Drawn:
        """The list; see Reference. The official address asks who is there, so one's own copy is needed."""
        del cache, unpinned
        if annotations is None:
            raise AnnotationsError(
                f"Conceptual Captions' list is behind a form at {ADDRESS}: download "
                "Validation_GCC-1.1.0-Validation.tsv or Train_GCC-training.tsv, and name it with --annotations."
            )
        content = read_annotations(annotations)
        items = self._items(content, annotations)
        return Drawn(
            items=items,
            count=self.count if count is None else count,
            annotations_sha256=hashlib.sha256(content).hexdigest(),
            details={
                "annotations": str(annotations),
                "part": self.part,
                "candidates": len(items),
                "candidates_sha256": list_hash(items),
            },
        )

    def _items(self, content: bytes, path: Path) -> list[Item]:
        rows = [row for row in read_rows(content, path) if self.part in ("all", slice_of(row.caption))]
        addresses: set[str] = set()
        captions: set[str] = set()
        items: list[Item] = []
        for row in sorted(rows, key=lambda one: (hash_of(one.address), one.number)):
            if row.address in addresses or row.caption in captions:
                continue
            addresses.add(row.address)
            captions.add(row.caption)
            name = hash_of(row.address)[:16]
            # img2dataset names a file after the number of its row, in nine digits.
            places = (name, f"{row.number:09d}") if row.file is None else (row.file,)
            items.append(Item(id=row.address, name=name, places=places, caption=row.caption, address=row.address))
        if not items:
            raise AnnotationsError(f"{path} holds no row of {self.name} ({_SLICES[self.part]}): give the whole list.")
        return items


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A line of the annotations, numbered from 0; `file` is the path of its image in one's own copy, if it says."""

    number: int
    caption: str
    address: str
    file: str | None


def read_rows(content: bytes, path: Path) -> Iterator[Row]:
    """The rows of a .tsv without header: caption and address in either order, then, if you like, the image's path.

    Raises AnnotationsError, which names the line.
    """
    try:
        lines = content.decode("utf-8-sig").replace("\r\n", "\n").removesuffix("\n").split("\n")
    except UnicodeDecodeError as error:
        raise AnnotationsError(
            f"{path} is not UTF-8 text ({error.reason}): give the .tsv as it was published."
        ) from error
    for number, line in enumerate(lines):
        fields = line.split("\t")
        at = next((place for place, field in enumerate(fields[:2]) if re.match(r"https?://", field)), None)
        caption = "" if at is None or len(fields) < 2 else one_line(fields[1 - at])
        if at is None or not caption or len(fields) > 3:
            raise AnnotationsError(
                f"Line {number + 1} of {path} is not a caption and an address with a tab between them (and, if you "
                "like, the path of its image): mend the line, or give the list as it was published."
            )
        file = fields[2].strip() if len(fields) == 3 and fields[2].strip() else None
        yield Row(number=number, caption=caption, address=fields[at].strip(), file=file)


ALL = Conceptual(name="cc-all", about="Conceptual Captions, up to 30,000 images", part="all")
FACES = Conceptual(name="cc-faces", about="Conceptual Captions whose captions speak of faces", part="faces")
PHOTOGRAPHY = Conceptual(
    name="cc-photography", about="Conceptual Captions whose captions speak of photographs", part="photography"
)
PAINTINGS = Conceptual(
    name="cc-paintings", about="Conceptual Captions whose captions speak of paintings", part="paintings"
)
