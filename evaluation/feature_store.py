"""Features and their statistics on disk: made once, for all guidance scales, entrants and metrics that need them.

An entry is known by what decides its numbers: the pictures' bytes and the extractor (weights, preprocessing,
precision). Change one of them and it is another entry; nothing is ever mixed. Features lie in features.npy (float32, a
row per picture, memory-mapped), moments in statistics.npz, and manifest.json says in full what they belong to and with
which versions they were made. An interrupted extraction goes on at its last whole block.
"""

import fcntl
import hashlib
import json
import os
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from jaxtyping import Float32

from evaluation.folder_stage import json_bytes, write_atomically
from evaluation.metrics.base import FeaturesError
from evaluation.metrics.moments import Moments, StreamingMoments, moments_of
from prompts.errors import CanvasError

Block = Float32[np.ndarray, "rows features"]
MakeBlocks = Callable[[int], Iterator[Block]]
"""Blocks of features from a given row on."""

_FEATURES = "features.npy"
_MANIFEST = "manifest.json"
# 8 MB of 2,048 features.
_GATHERED_ROWS = 1024
_NPY: Any = np.lib.format  # without types


class FeatureStoreError(CanvasError):
    """Kept features that cannot be used."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FeatureKey:
    """Which pictures, and what makes features of them.

    `pictures_sha256` stands for all pictures' bytes in their order; `extractor` are the details of an Extractor, whose
    `extractor_hash` stands for all that decides its features; `dataset` are words about the pictures, for readers.
    """

    pictures_sha256: str
    count: int
    extractor: Mapping[str, Any]
    dataset: Mapping[str, Any] = field(default_factory=dict)

    @property
    def id(self) -> str:
        """The first 32 hexadecimal digits of the SHA-256 of what decides the features."""
        deciding = [self.pictures_sha256, self.count, self.extractor["extractor_hash"]]
        return hashlib.sha256(json.dumps(deciding).encode()).hexdigest()[:32]

    def to_dict(self) -> dict[str, Any]:
        """The key in full, as JSON values."""
        return {
            "pictures": {"sha256": self.pictures_sha256, "count": self.count, **self.dataset},
            "extractor": dict(self.extractor),
        }


class FeatureStore:
    """Entries in `folder`, one folder each; several processes may use it at once, and wait for each other."""

    def __init__(self, folder: Path) -> None:
        """Nothing is made until something is kept."""
        self._folder = folder

    def features(
        self, key: FeatureKey, make: MakeBlocks, *, block_rows: int = 1
    ) -> Float32[np.ndarray, "rows features"]:
        """The features of `key`, memory-mapped and read-only; `make` is called for the rows that are not there yet.

        After an interruption `make` is asked for a row that is a multiple of `block_rows`, so that its blocks, and so
        its numbers, are those of an uninterrupted run. Raises FeatureStoreError, and what `make` raises.
        """
        with self._entry(key) as entry:
            path = entry / _FEATURES
            if not path.is_file():
                _extract(entry / f"{_FEATURES}.partial", path, key.count, make, block_rows)
                self._note(entry, key)
        return _mapped(path, key.count)

    def moments(self, key: FeatureKey, make: MakeBlocks, *, exact: bool = False) -> Moments:
        """The moments of the features of `key`: kept ones, else of kept features, else streamed from `make(0)`.

        Streaming keeps no features. `exact` moments, whose products are all float64, are kept apart from the others.
        Raises FeatureStoreError, FeaturesError and what `make` raises.
        """
        with self._entry(key) as entry:
            path = entry / ("statistics-exact.npz" if exact else "statistics.npz")
            if path.is_file():
                return _read_moments(path)
            if (entry / _FEATURES).is_file():
                moments = moments_of(_mapped(entry / _FEATURES, key.count), exact=exact)
            else:
                moments = stream_moments(make(0), exact=exact)
            if moments.count != key.count:
                raise FeatureStoreError(
                    f"{moments.count:,} features came for {key.count:,} pictures: look whether the pictures changed "
                    "meanwhile, and run the command again."
                )
            _write_moments(path, moments)
            self._note(entry, key)
        return moments

    def has_features(self, key: FeatureKey) -> bool:
        """Whether the features of `key` are kept."""
        return (self._folder / key.id / _FEATURES).is_file()

    def manifest(self, key: FeatureKey) -> dict[str, Any] | None:
        """What was written down when the entry was made; None where there is none."""
        path = self._folder / key.id / _MANIFEST
        return json.loads(path.read_text("utf-8")) if path.is_file() else None

    @contextmanager
    def _entry(self, key: FeatureKey) -> Iterator[Path]:
        """The entry's folder, under a lock: who comes second waits, and finds the work done."""
        entry = self._folder / key.id
        try:
            entry.mkdir(parents=True, exist_ok=True)
            handle = os.open(entry, os.O_RDONLY)
        except OSError as error:
            raise FeatureStoreError(
                f"Features cannot be kept in {self._folder} ({error.strerror}): name a folder that can be written "
                "with --cache."
            ) from error
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield entry
        finally:
            os.close(handle)

    def _note(self, entry: Path, key: FeatureKey) -> None:
        if not (entry / _MANIFEST).is_file():
            write_atomically(entry / _MANIFEST, json_bytes(key.to_dict()))


def stream_moments(blocks: Iterator[Block], *, exact: bool = False) -> Moments:
    """The moments of all blocks, of which only some are held at a time. Raises FeaturesError for none."""
    stream: StreamingMoments | None = None
    for rows in _gathered(blocks):
        if stream is None:
            stream = StreamingMoments(rows.shape[1], exact=exact)
        stream.add(rows)
    if stream is None:
        raise FeaturesError("There are no features to take statistics of: add images.")
    return stream.moments()


def _gathered(blocks: Iterator[Block]) -> Iterator[Block]:
    """The same rows in larger blocks: each that is added costs a walk over a whole d x d table."""
    held: list[Block] = []
    for block in blocks:
        held.append(block)
        if sum(len(one) for one in held) >= _GATHERED_ROWS:
            yield np.concatenate(held)
            held = []
    if held:
        yield np.concatenate(held)


def _extract(partial: Path, whole: Path, count: int, make: MakeBlocks, block_rows: int) -> None:
    """Append blocks to `partial`, from where an interrupted run stopped, and move it to `whole` when it is."""
    width, done, size = _resumable(partial, count, block_rows)
    with partial.open("r+b" if done else "wb") as file:
        file.truncate(size)
        file.seek(size)
        for block in make(done):
            if width is None:
                width = block.shape[1]
                _write_header(file, count, width)
            if block.shape[1] != width or done + len(block) > count:
                raise FeatureStoreError(
                    f"Features of shape {block.shape} came after {done:,} of {count:,} rows of {width}: look whether "
                    "the pictures or the extractor changed meanwhile, and run the command again."
                )
            file.write(np.ascontiguousarray(block, dtype="<f4").data)
            done += len(block)
        file.flush()
        os.fsync(file.fileno())
    if done != count:
        raise FeatureStoreError(
            f"{done:,} features came for {count:,} pictures: look whether the pictures changed meanwhile, and run the "
            "command again."
        )
    partial.replace(whole)


def _write_header(file: BinaryIO, rows: int, width: int) -> None:
    _NPY.write_array_header_1_0(file, {"descr": "<f4", "fortran_order": False, "shape": (rows, width)})


def _resumable(partial: Path, count: int, block_rows: int) -> tuple[int | None, int, int]:
    """Of what an interrupted run left: its width, its rows up to the last whole block, and their end in bytes."""
    try:
        with partial.open("rb") as file:
            _NPY.read_magic(file)
            (rows, width), _, _ = _NPY.read_array_header_1_0(file)
            header = file.tell()
    except (FileNotFoundError, ValueError):
        return None, 0, 0
    done = (partial.stat().st_size - header) // (4 * width) // block_rows * block_rows
    return (width, done, header + done * 4 * width) if rows == count and done else (None, 0, 0)


def _mapped(path: Path, count: int) -> Float32[np.ndarray, "rows features"]:
    try:
        found = np.load(path, mmap_mode="r")
    except (OSError, ValueError) as error:
        raise FeatureStoreError(f"{path} is damaged ({error}): delete {path.parent}, and it is made again.") from error
    if found.ndim != 2 or len(found) != count or found.dtype != np.float32:
        raise FeatureStoreError(
            f"{path} holds {found.dtype} of shape {found.shape} and not {count:,} rows of float32: delete "
            f"{path.parent}, and it is made again."
        )
    rows: Float32[np.ndarray, "rows features"] = found
    return rows


def _write_moments(path: Path, moments: Moments) -> None:
    beside = path.with_name(f".{path.name}.writing")
    with beside.open("wb") as file:
        np.savez(file, **moments.to_arrays())
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)


def _read_moments(path: Path) -> Moments:
    try:
        with np.load(path) as arrays:
            return Moments.from_arrays(arrays)
    except (OSError, ValueError, zipfile.BadZipFile, FeaturesError) as error:
        raise FeatureStoreError(f"{path} is damaged ({error}): delete {path.parent}, and it is made again.") from error
