"""Images that were painted elsewhere: a folder with a gallery.csv that says which file answers which prompt.

gallery.csv has the columns `file` and `prompt`, and may have `seed` (0 without it). Files lie in the folder.
"""

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from PIL import Image

from evaluation.pictures import read_picture
from evaluation.samplers.base import SamplerSettings
from prompts.errors import CanvasError

LIST = "gallery.csv"


class ImageFolderError(CanvasError):
    """A folder of images whose list or files cannot be used."""


def open_sampler(source: str, settings: SamplerSettings) -> "ImageFolder":
    """The folder `source`; the settings play no part, its images are painted. Raises ImageFolderError."""
    folder = Path(source).expanduser()
    path = folder / LIST
    if not path.is_file():
        raise ImageFolderError(
            f"{folder} is no folder of images with prompts: it needs a {LIST} with the columns file, prompt and, "
            "if you like, seed."
        )
    return ImageFolder(folder=folder, files=_read(path))


class ImageFolder:
    """The files of a folder, by prompt and seed; satisfies Sampler."""

    def __init__(self, *, folder: Path, files: dict[tuple[str, int], Path]) -> None:
        """`files` says where the image of a prompt and a seed lies."""
        self._folder = folder
        self._files = files

    @property
    def details(self) -> dict[str, Any]:
        """Nothing but the sampler's name: what shaped these images lies outside the house."""
        return {"sampler": "image_folder"}

    def cut(self, prompts: Sequence[str]) -> int:
        """None that is known: these images are painted already."""
        return 0

    def paint(self, prompts: Sequence[str], seeds: Sequence[int]) -> list[Image.Image]:
        """The images as they lie there. Raises ImageFolderError for one that is not listed, and PictureError."""
        wanted = list(zip(prompts, seeds, strict=True))
        for prompt, seed in wanted:
            if (prompt, seed) not in self._files:
                raise ImageFolderError(
                    f"{self._folder / LIST} lists {len(self._files)} images and none for the prompt '{prompt}' with "
                    f"seed {seed}: add it, or ask for a prompt set that the folder answers."
                )
        return [read_picture(self._files[one]) for one in wanted]


def _read(path: Path) -> dict[tuple[str, int], Path]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as lines:
            reader = csv.DictReader(lines)
            columns = reader.fieldnames or []
            rows = list(reader)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ImageFolderError(f"{path} cannot be read as CSV in UTF-8 ({error}).") from error
    if not {"file", "prompt"} <= set(columns):
        raise ImageFolderError(
            f"{path} has the columns {', '.join(columns) or '(none)'}: it needs file and prompt, and seed if you like."
        )
    files: dict[tuple[str, int], Path] = {}
    root = path.parent.resolve()
    for line, row in enumerate(rows, start=2):
        # Prompt sets drop the white space around a prompt, which PartiPrompts has now and then.
        name, prompt, seed = row["file"], (row["prompt"] or "").strip(), (row.get("seed") or "0").strip()
        if not name or not prompt or not seed.isdecimal():
            raise ImageFolderError(f"{path}, row {line}: needs a file, a prompt and a whole seed from 0.")
        file = (root / name).resolve()
        if not file.is_relative_to(root):
            raise ImageFolderError(f"{path}, row {line}: {name} lies outside the folder; copy it in.")
        if (prompt, int(seed)) in files:
            raise ImageFolderError(f"{path}, row {line}: a second image for '{prompt}' with seed {seed}.")
        files[prompt, int(seed)] = file
    if not files:
        raise ImageFolderError(f"{path} lists no image.")
    return files
