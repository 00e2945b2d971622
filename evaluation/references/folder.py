"""Any folder of pictures as a reference set: all of them, in the order of their paths."""

from dataclasses import dataclass
from pathlib import Path

from evaluation.reference import ReferenceImages
from evaluation.references.base import Drawn, Item, ListError, list_hash


@dataclass(frozen=True, slots=True, kw_only=True)
class FolderSet:
    """The pictures in `folder` and below; satisfies Reference."""

    folder: Path
    count: int = 0
    list_sha256: str | None = None
    fixed: bool = True
    licence: str = "not stated"

    @property
    def name(self) -> str:
        """The folder's own name."""
        return self.folder.resolve().name

    @property
    def about(self) -> str:
        """What it holds."""
        return f"the pictures in {self.folder}"

    @property
    def source(self) -> str:
        """Where they lie."""
        return str(self.folder)

    @property
    def rule(self) -> str:
        """How the list is drawn."""
        return "All pictures of the folder and below by their path, which is an id of the list."

    def draw(self, annotations: Path | None, *, cache: Path, count: int | None, unpinned: bool) -> Drawn:
        """All pictures, or the first `count`, by the hash of all files' bytes. Raises PictureError and ListError."""
        del annotations, cache, unpinned
        pictures = ReferenceImages(self.folder)
        paths = [path.relative_to(self.folder).as_posix() for path in pictures.files]
        if count is not None and count > len(paths):
            raise ListError(f"{self.folder} holds {len(paths):,} pictures, and {count:,} are wanted: ask for fewer.")
        items = [Item(id=path, name=f"{number:07d}", places=(path,)) for number, path in enumerate(paths[:count])]
        return Drawn(
            items=items,
            count=len(items),
            annotations_sha256=str(pictures.details["sha256"]),
            details={"folder": str(self.folder), "list_sha256": list_hash(items)},
        )
