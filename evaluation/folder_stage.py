"""A stage makes one folder, once: whole or not at all, with a manifest.json of what it was made from.

Work goes on in `NAME.partial`, which is moved into place when it is whole. Running again with the same inputs and
settings changes nothing; with others it is refused; after an interruption the same command goes on from there. The
manifest has the layout that training's stages write. In: values and folders. Out: a folder. Time comes in.
"""

import fcntl
import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version as installed_version
from pathlib import Path
from typing import Any

from prompts.errors import CanvasError

MANIFEST = "manifest.json"
_PLAN = "plan.json"
# Letters of a value in an error, and how many of them come before the first that differs.
_LONGEST, _LED_BY = 40, 12


class StageError(CanvasError):
    """A stage's folder that cannot be used as it is."""


class OtherSettingsError(StageError):
    """A folder that was made, or begun, from other inputs or with other settings than those now asked for."""


class StageBusyError(StageError):
    """A stage that another process is working on right now."""


class UnfinishedFolderError(StageError):
    """A folder that no stage has finished, where a finished one is needed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """What is to be made: `out`, by `name` at `version`, from `inputs` (hashes) with `settings` (plain JSON values)."""

    name: str
    out: Path
    version: int = 1
    inputs: Mapping[str, str] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)

    @property
    def partial(self) -> Path:
        """Where the stage works until it is whole."""
        return self.out.with_name(f"{self.out.name}.partial")


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """The manifest.json of a finished folder. `made_at` is ISO 8601 in UTC: the time the stage was called at."""

    stage: str
    version: int
    inputs: dict[str, str]
    settings: dict[str, Any]
    commit: str
    counts: dict[str, int]
    made_at: str
    details: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """What the work reports for the manifest."""

    counts: Mapping[str, int]
    details: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class StageResult:
    """A finished stage; `already_made` tells that nothing had to be done."""

    folder: Path
    manifest: Manifest
    already_made: bool

    def to_dict(self) -> dict[str, Any]:
        """The result as one JSON value."""
        return {"folder": str(self.folder), "already_made": self.already_made, "manifest": asdict(self.manifest)}


def run_stage(stage: Stage, work: Callable[[Path], Made], *, now: datetime) -> StageResult:
    """Make `stage.out` by `work(partial_folder)`, or find it already made.

    `work` may find in the partial folder what an interrupted run of the very same stage left there, and tells for
    itself which pieces are whole (see `write_atomically`). Raises OtherSettingsError, StageBusyError and StageError.
    """
    plan = {
        "stage": stage.name,
        "version": stage.version,
        "inputs": dict(stage.inputs),
        "settings": json.loads(json_bytes(dict(stage.settings))),
    }
    if (done := _finished(stage, plan)) is not None:
        return done
    with _held(stage) as partial:
        # Another process may have finished it between the first look and the lock.
        if (done := _finished(stage, plan)) is not None:
            partial.rmdir()
            return done
        _begin(stage, plan)
        made = work(partial)
        manifest = Manifest(
            **plan,
            commit=f"canvas-arena {installed_version('canvas-arena')}",
            counts=dict(made.counts),
            made_at=now.astimezone(UTC).isoformat(timespec="seconds"),
            details=dict(made.details),
        )
        write_atomically(partial / MANIFEST, json_bytes(asdict(manifest)))
        (partial / _PLAN).unlink()
        partial.rename(stage.out)
    return StageResult(folder=stage.out, manifest=read_manifest(stage.out), already_made=False)


def read_manifest(folder: Path) -> Manifest:
    """The manifest of a finished folder. Raises UnfinishedFolderError where there is none, or it is damaged."""
    try:
        return Manifest(**json.loads((folder / MANIFEST).read_text("utf-8")))
    except (FileNotFoundError, NotADirectoryError) as error:
        begun = folder.with_name(f"{folder.name}.partial").is_dir()
        remedy = "its making was interrupted: run the same command again" if begun else "name one that was built"
        raise UnfinishedFolderError(f"{folder} is no finished folder (it has no {MANIFEST}): {remedy}.") from error
    except (ValueError, TypeError) as error:
        raise UnfinishedFolderError(
            f"{folder / MANIFEST} is damaged ({error}): delete {folder} and make it again."
        ) from error


def write_atomically(path: Path, content: bytes) -> None:
    """Write `path` so that it is there whole or not at all, even when the power goes."""
    beside = path.with_name(f".{path.name}.writing")
    with beside.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)


def json_bytes(value: Any) -> bytes:
    """`value` as readable JSON, the same for equal values."""
    return (json.dumps(value, ensure_ascii=False, indent=2, sort_keys=True, allow_nan=False) + "\n").encode()


def _finished(stage: Stage, plan: Mapping[str, Any]) -> StageResult | None:
    if stage.out.is_dir() and not any(stage.out.iterdir()):
        stage.out.rmdir()
    if not stage.out.exists():
        return None
    if not (stage.out / MANIFEST).is_file():
        raise StageError(
            f"{stage.out} exists and was not made by this command (it has no {MANIFEST}): "
            "name another folder with --out."
        )
    manifest = read_manifest(stage.out)
    _refuse_other_plan(stage.out, asdict(manifest), plan, "was made")
    return StageResult(folder=stage.out, manifest=manifest, already_made=True)


@contextmanager
def _held(stage: Stage) -> Iterator[Path]:
    """The partial folder, under a lock that ends with this process."""
    stage.partial.mkdir(parents=True, exist_ok=True)
    handle = os.open(stage.partial, os.O_RDONLY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise StageBusyError(
                f"Another process is making {stage.out} right now: wait for it, or name another folder with --out."
            ) from error
        # Whoever held the lock before may have just moved the folder away.
        stage.partial.mkdir(parents=True, exist_ok=True)
        yield stage.partial
    finally:
        os.close(handle)


def _begin(stage: Stage, plan: Mapping[str, Any]) -> None:
    """Note the plan in the partial folder, or go on where a run with the same plan stopped."""
    noted = stage.partial / _PLAN
    if noted.is_file():
        _refuse_other_plan(stage.partial, json.loads(noted.read_text("utf-8")), plan, "was begun")
    elif (stage.partial / MANIFEST).is_file():
        # Interrupted between the manifest and the move: the work finds all its pieces and ends at once.
        _refuse_other_plan(stage.partial, asdict(read_manifest(stage.partial)), plan, "was made")
        write_atomically(noted, json_bytes(plan))
    elif any(path for path in stage.partial.iterdir() if path.name != f".{_PLAN}.writing"):
        raise StageError(f"{stage.partial} was not left by a stage: move it away, or name another folder with --out.")
    else:
        write_atomically(noted, json_bytes(plan))


def _refuse_other_plan(folder: Path, old: Mapping[str, Any], new: Mapping[str, Any], verb: str) -> None:
    """Raise OtherSettingsError, naming each difference, where the two plans are not the same."""
    before, after = _flat(old), _flat(new)
    differences = [
        "{} {} instead of {}".format(name, *_apart(_told(before, name), _told(after, name)))
        for name in sorted({*before, *after})
        if before.get(name) != after.get(name)
    ]
    if differences:
        raise OtherSettingsError(
            f"{folder} {verb} with {', '.join(differences)}. "
            "Name another folder with --out, or delete this one to make it anew."
        )


def _flat(plan: Mapping[str, Any]) -> dict[str, Any]:
    """Every single value of the plan under its name; a value within a value under both names, as in size.width."""
    return dict(
        _leaves({"stage": plan["stage"], "version": plan["version"], **plan["inputs"], **plan["settings"]}, prefix="")
    )


def _leaves(values: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, Any]]:
    for name, value in values.items():
        if isinstance(value, Mapping) and value:
            yield from _leaves(value, prefix=f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def _told(plan: Mapping[str, Any], name: str) -> str:
    return json.dumps(plan[name], ensure_ascii=False) if name in plan else "nothing"


def _apart(one: str, other: str) -> tuple[str, str]:
    """Both as they are where they are short, and else around the first place where they differ."""
    shared = min(len(one), len(other))
    same = next((at for at in range(shared) if one[at] != other[at]), shared)
    start = max(0, same - _LED_BY) if max(len(one), len(other)) > _LONGEST else 0
    return _cut(one, start), _cut(other, start)


def _cut(text: str, start: int) -> str:
    return ("..." if start else "") + text[start : start + _LONGEST] + ("..." if start + _LONGEST < len(text) else "")
