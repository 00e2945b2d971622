"""A stage makes one folder from others, once: whole or not at all, and it says what it was made from.

`run_stage` works in `NAME.partial` and moves that folder into place when it is whole, so a folder without ".partial"
is never half-made. The manifest.json inside holds the hashes of the inputs, the settings, the commit and the counts.
Running again with the same inputs and settings changes nothing; with others it is refused. An interrupted stage keeps
its partial folder, and the same command goes on from there. In: values and folders. Out: a folder. Time comes in.
"""

import fcntl
import hashlib
import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import version as installed_version
from pathlib import Path
from typing import Any

from prompts.errors import CanvasError

MANIFEST = "manifest.json"
CATALOGUE = "catalogue.jsonl"
_PLAN = "plan.json"


class StageError(CanvasError):
    """A stage's folder or input that cannot be used as it is."""


class OtherSettingsError(StageError):
    """A folder that was made, or begun, from other inputs or with other settings than those now asked for."""


class StageBusyError(StageError):
    """A stage that another process is working on right now."""


class MissingInputError(StageError):
    """An input folder or file that is not there, or was never finished."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """What is to be made: `out` from `inputs`, by `name` at `version`, with `settings` (plain JSON values).

    An input is a folder or file (then its `input_hash` is recorded) or a ready hash or identifier as text.
    Raise `version` when the same inputs and settings begin to give another result. A stage that is not `resumable`
    begins anew after an interruption; one that is keeps what it did, and never mixes it with other inputs or settings.
    """

    name: str
    out: Path
    version: int = 1
    inputs: Mapping[str, Path | str] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)
    resumable: bool = True

    @property
    def partial(self) -> Path:
        """Where the stage works until it is whole: `out` with ".partial" added to its name."""
        return self.out.with_name(f"{self.out.name}.partial")


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """What the work reports for the manifest: `counts` of things, and `details` worth knowing (plain JSON values)."""

    counts: Mapping[str, int] = field(default_factory=dict)
    details: Mapping[str, Any] = field(default_factory=dict)


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
class StageResult:
    """A finished stage; `already_made` tells that nothing had to be done."""

    folder: Path
    manifest: Manifest
    already_made: bool

    def to_dict(self) -> dict[str, Any]:
        """The result as one JSON value."""
        return {"folder": str(self.folder), "already_made": self.already_made, "manifest": asdict(self.manifest)}


def run_stage(stage: Stage, work: Callable[[Path], Made], *, now: datetime) -> StageResult:
    """Make `stage.out` by `work(partial_folder)`, or find it already made from the same inputs and settings.

    `work` may find what an interrupted run of the very same stage left in the partial folder, and must check for
    itself which pieces of it are whole (see `write_atomically`). An exception leaves the partial folder as it is.
    Raises OtherSettingsError, StageBusyError, MissingInputError, and StageError where `out` is no stage's folder.
    """
    plan = _plan(stage)
    if (done := _finished(stage, plan)) is not None:
        return done
    with _partial_folder(stage) as folder:
        # Another process may have finished it between the first look and the lock.
        if (done := _finished(stage, plan)) is not None:
            folder.rmdir()
            return done
        _begin(stage, plan)
        # With its manifest the folder is whole; a run that ended between that and the move left only the move to do.
        if not (folder / MANIFEST).is_file():
            made = work(folder)
            manifest = Manifest(
                **plan,
                commit=code_version(),
                counts=dict(made.counts),
                made_at=now.astimezone(UTC).isoformat(timespec="seconds"),
                details=dict(made.details),
            )
            write_atomically(folder / _PLAN, _json_bytes(asdict(manifest)))
            (folder / _PLAN).rename(folder / MANIFEST)
        move_into_place(folder, stage.out)
    return StageResult(folder=stage.out, manifest=read_manifest(stage.out), already_made=False)


def refuse_skipped(result: StageResult, allowed: Mapping[str, bool]) -> StageResult:
    """`result`, unless it leaves things out that may not be left out; then OtherSettingsError.

    `allowed` maps a count of the manifest ("skipped_broken") to whether it may be above 0. Leaving out is no setting of
    a stage: what is whole is the same with and without, and a stage that stopped at a broken image goes on with it.
    """
    for name, may in allowed.items():
        if (count := result.manifest.counts[name]) and not may:
            option = f"--{name.replace('skipped', 'skip').replace('_', '-')}"
            raise OtherSettingsError(
                f"{result.folder} was made with {option} and leaves images out ({count:,}): "
                f"give {option} again, or restore the images and name another folder with --out."
            )
    return result


def read_manifest(folder: Path) -> Manifest:
    """The manifest of a finished stage's folder. Raises MissingInputError where there is none, or it is damaged."""
    try:
        return Manifest(**json.loads((folder / MANIFEST).read_text("utf-8")))
    except FileNotFoundError as error:
        begun = folder.with_name(f"{folder.name}.partial").is_dir()
        remedy = "its stage was interrupted: run it again to finish it" if begun else "name the folder of a stage"
        raise MissingInputError(f"{folder} is no finished stage's folder (it has no {MANIFEST}): {remedy}.") from error
    except (ValueError, TypeError) as error:
        raise MissingInputError(
            f"{folder / MANIFEST} is damaged ({error}): delete {folder} and make it again."
        ) from error


def require_stage(folder: Path, *names: str) -> Manifest:
    """The manifest of `folder`, which must have been made by one of the stages `names`; else MissingInputError."""
    manifest = read_manifest(folder)
    if manifest.stage not in names:
        raise MissingInputError(
            f"{folder} was made by the stage '{manifest.stage}', and '{' or '.join(names)}' is needed here: "
            "name the folder of that stage."
        )
    return manifest


def input_hash(source: Path | str) -> str:
    """The SHA-256 that stands for an input: of a folder's manifest, of a source folder's catalogue, or of a file.

    Text is a ready hash or identifier and stands for itself. Raises MissingInputError.
    """
    if isinstance(source, str):
        return source
    if source.is_file():
        return sha256_of_file(source)
    for name in (MANIFEST, CATALOGUE):
        if (source / name).is_file():
            return sha256_of_file(source / name)
    read_manifest(source)  # Raises, and says why.
    raise AssertionError("unreachable")


def sha256_of_file(path: Path) -> str:
    """The SHA-256 of a file's bytes, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_atomically(path: Path, content: bytes) -> None:
    """Write `path` so that it is there whole or not at all, even when the power goes."""
    beside = path.with_name(f".{path.name}.writing")
    with beside.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)
    _sync_folder(path.parent)


def move_into_place(beside: Path, place: Path) -> None:
    """Move a folder that is whole to its name in one step; its files are on the disk before it bears that name."""
    for path in sorted(beside.rglob("*")):
        if path.is_file():
            with path.open("rb") as file:
                os.fsync(file.fileno())
    beside.rename(place)
    _sync_folder(place.parent)


@cache
def code_version() -> str:
    """The git commit of this code ("-dirty" where files were changed), or the package's version outside a checkout."""
    here = Path(__file__)
    git = ["git", "-C", str(here.parent)]
    try:
        # A virtual environment may lie inside somebody else's repository: ours is the one that tracks this file.
        subprocess.run([*git, "ls-files", "--error-unmatch", here.name], check=True, capture_output=True)
        describe = [*git, "describe", "--always", "--abbrev=40", "--dirty", "--exclude=*"]
        return subprocess.run(describe, check=True, capture_output=True, text=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return f"canvas-arena {installed_version('canvas-arena')}"


def _plan(stage: Stage) -> dict[str, Any]:
    """What decides the result: the part of the manifest that is known before the work begins."""
    return {
        "stage": stage.name,
        "version": stage.version,
        "inputs": {name: input_hash(source) for name, source in stage.inputs.items()},
        "settings": json.loads(_json_bytes(dict(stage.settings))),
    }


def _finished(stage: Stage, plan: Mapping[str, Any]) -> StageResult | None:
    """The stage as it was made before; None where it has yet to be made."""
    if stage.out.is_dir() and not any(stage.out.iterdir()):
        stage.out.rmdir()
    if not stage.out.exists():
        return None
    if not (stage.out / MANIFEST).is_file():
        raise StageError(
            f"{stage.out} exists and was not made by a stage (it has no {MANIFEST}): name another folder with --out."
        )
    manifest = read_manifest(stage.out)
    _refuse_other_plan(stage.out, {key: getattr(manifest, key) for key in plan}, plan, "was made")
    return StageResult(folder=stage.out, manifest=manifest, already_made=True)


@contextmanager
def _partial_folder(stage: Stage) -> Iterator[Path]:
    """The partial folder, held by a lock that ends with this process."""
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
    if (stage.partial / MANIFEST).is_file():
        noted = stage.partial / MANIFEST
    if noted.is_file() and not stage.resumable:
        _empty(stage.partial)
    if noted.is_file():
        _refuse_other_plan(stage.partial, json.loads(noted.read_text("utf-8")), plan, "was begun")
    elif any(path for path in stage.partial.iterdir() if path.name != f".{_PLAN}.writing"):
        raise StageError(f"{stage.partial} was not left by a stage: move it away, or name another folder with --out.")
    else:
        write_atomically(noted, _json_bytes(plan))


def _empty(folder: Path) -> None:
    for path in folder.iterdir():
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()


def _refuse_other_plan(folder: Path, old: Mapping[str, Any], new: Mapping[str, Any], verb: str) -> None:
    """Raise OtherSettingsError, naming each difference, where the two plans are not the same."""
    differences = [
        f"{key} {_short(old.get(key))} instead of {_short(new[key])}"
        for key in ("stage", "version")
        if old.get(key) != new[key]
    ]
    for kind in ("inputs", "settings"):
        before, after = old.get(kind, {}), new[kind]
        differences += [
            f"{kind[:-1]} {name} {_short(before.get(name))} instead of {_short(after.get(name))}"
            for name in sorted({*before, *after})
            if before.get(name) != after.get(name)
        ]
    if differences:
        raise OtherSettingsError(
            f"{folder} {verb} with {', '.join(differences)}. "
            "Name another folder with --out, or delete this one to make it anew."
        )


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 40 else f"{text[:18]}...{text[-18:]}"


def _json_bytes(value: Any) -> bytes:
    return (json.dumps(value, ensure_ascii=False, indent=2, sort_keys=True, allow_nan=False) + "\n").encode("utf-8")


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
