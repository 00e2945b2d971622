"""Models we take as they are: found in a folder or fetched from the hub, and known by a hash of their files.

In: a folder or a hub id. Out: a local folder and the SHA-256 of its configuration, vocabulary and weights. Only
safetensors are fetched. A hub's commit is part of the name, so that a manifest says exactly what was used.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from prompts.errors import CanvasError
from training.stage import sha256_of_file

_FILES = ("*.json", "*.txt", "*.model", "*.safetensors")
# The same weights again, in another precision or without the moving average.
_TWICE = ("*.fp16.*", "*non_ema*")


class ModelNotFoundError(CanvasError):
    """A model that is neither a folder with the needed files nor to be had from the hub."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelFolder:
    """A model on this machine. `name` is what was asked for, with the hub's commit where it came from there."""

    name: str
    path: Path
    sha256: str


def find_model(source: str, *, revision: str = "", parts: Sequence[str] = (), needs: Sequence[str] = ()) -> ModelFolder:
    """The folder of `source`, a folder or a hub id at `revision` ("" for the newest).

    `parts` are the subfolders that matter (none: the whole folder), `needs` the files that must be there.
    Raises ModelNotFoundError, which says what is missing and where it was looked for.
    """
    local = Path(source).expanduser()
    if local.is_dir():
        path, name = local, source
    elif source.startswith((".", "/", "~")) or source.count("/") != 1:
        raise ModelNotFoundError(
            f"There is no folder {source}: name a model's folder, or a hub id such as owner/model."
        )
    else:
        path = _fetch(source, revision, parts)
        # The hub's cache keeps every commit in a folder of its name.
        name = f"{source}@{path.name}"
    if missing := [need for need in needs if not (path / need).is_file()]:
        raise ModelNotFoundError(f"{name} lacks {' and '.join(missing)}: it is not in the layout that is needed here.")
    return ModelFolder(name=name, path=path, sha256=_hash(path, parts))


def _fetch(source: str, revision: str, parts: Sequence[str]) -> Path:
    from huggingface_hub import snapshot_download

    patterns = [f"{part}/{file}" for part in parts for file in _FILES] or list(_FILES)
    try:
        return Path(
            snapshot_download(source, revision=revision or None, allow_patterns=patterns, ignore_patterns=list(_TWICE))
        )
    # The hub's client raises many kinds (HTTP, offline, gated, unknown); each says what happened.
    except Exception as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise ModelNotFoundError(
            f"The model {source} is no folder here and cannot be had from the hub ({reason}): "
            "name its folder, or go online and check the name, the revision and your access to it."
        ) from error


def _hash(path: Path, parts: Sequence[str]) -> str:
    """One SHA-256 over the relative names and the contents of the model's files."""
    roots = [path / part for part in parts] or [path]
    files = sorted({file for root in roots for pattern in _FILES for file in root.rglob(pattern)})
    total = hashlib.sha256()
    for file in files:
        if not any(file.match(pattern) for pattern in _TWICE):
            total.update(f"{file.relative_to(path).as_posix()}\0{sha256_of_file(file)}\n".encode())
    return total.hexdigest()
