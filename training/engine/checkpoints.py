"""The folder of a training's checkpoints: the newest two, and a pointer to the one that is whole.

Composer writes a checkpoint (a file, or under sharding a folder); then `latest.json` is replaced in one step, so a
crash at any moment leaves a pointer to a whole one. Checkpoints are read with pickle: only ever open your own.
"""

import json
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from prompts.errors import CanvasError
from training.stage import write_atomically

_POINTER = "latest.json"


class CheckpointError(CanvasError):
    """Checkpoints that are damaged, or were made with other settings."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Saved:
    """A whole checkpoint: `path` after so many steps, `previous` the one before it, by their names in the folder."""

    step: int
    progress: float
    path: str
    previous: str | None


class CheckpointFolder:
    """`settings` are what a training must share with its checkpoints to go on from them (plain JSON values)."""

    def __init__(self, folder: Path, *, settings: Mapping[str, Any]) -> None:
        self.folder = folder
        self._settings: dict[str, Any] = json.loads(json.dumps(dict(settings)))

    def newest(self) -> Saved | None:
        """The checkpoint to go on from; None where there is none. Raises CheckpointError."""
        pointer = self.folder / _POINTER
        if not pointer.is_file():
            return None
        try:
            content = json.loads(pointer.read_text("utf-8"))
            settings, saved = content["settings"], Saved(**content["saved"])
        except (ValueError, KeyError, TypeError) as error:
            raise CheckpointError(f"{pointer} is damaged ({error}): delete {self.folder} to train anew.") from error
        differing = sorted(
            name for name in {*settings, *self._settings} if settings.get(name) != self._settings.get(name)
        )
        if differing:
            raise CheckpointError(
                f"The checkpoints in {self.folder} were made with another {' and '.join(differing)}: "
                "train with the same settings to go on from them, or delete the folder to train anew."
            )
        if not (self.folder / saved.path).exists():
            raise CheckpointError(f"{self.folder / saved.path} is missing: delete {self.folder} to train anew.")
        return saved

    def point_at(self, path: Path, *, step: int, progress: float) -> None:
        """Make `path`, which is whole, the newest; forget all but it and the one before."""
        before = self.newest()
        previous = before.path if before is not None and before.path != path.name else None
        saved = Saved(step=step, progress=progress, path=path.name, previous=previous)
        content = {"saved": asdict(saved), "settings": self._settings}
        write_atomically(self.folder / _POINTER, json.dumps(content, indent=2).encode("utf-8"))
        for other in self.folder.iterdir():
            if other.name not in {_POINTER, saved.path, saved.previous}:
                shutil.rmtree(other) if other.is_dir() else other.unlink()
