"""Reference images: a folder of real pictures that galleries are compared with, known by what is in it."""

import hashlib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from PIL import Image

from evaluation.pictures import find_pictures, read_picture


@dataclass(frozen=True)
class ReferenceImages:
    """The pictures in `folder` and below; raises PictureError where there is none."""

    folder: Path

    @cached_property
    def files(self) -> list[Path]:
        """All of them, by name."""
        return find_pictures(self.folder)

    def read(self, index: int) -> Image.Image:
        """The picture at `index` of `files`. Raises PictureError, which names it."""
        return read_picture(self.files[index])

    @cached_property
    def details(self) -> dict[str, Any]:
        """Folder, count, and one hash of all files' bytes in their order, as JSON values."""
        whole = hashlib.sha256()
        for path in self.files:
            whole.update(hashlib.sha256(path.read_bytes()).digest())
        return {"folder": str(self.folder), "images": len(self.files), "sha256": whole.hexdigest()}
