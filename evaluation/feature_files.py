"""Features in files: what any tool wrote with numpy can be compared, and what is compared here can be checked there.

In: a .npz, whose first array counts, or a .npy. Out: a table of float32 or float64, a row per image, used as given. It
is memory-mapped where the file holds it uncompressed, as `np.savez` writes it, so that its size does not matter; a
compressed one is loaded. A file with the arrays `mu` and `sigma`, as pytorch-fid and clean-fid write it, holds the
statistics of a set and not its features: a Frechet distance is all that can be had from it.
"""

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Shaped

from evaluation.metrics.base import LARGEST, FeaturesError, TooLargeFeaturesError
from evaluation.metrics.frechet import Gaussian
from prompts.errors import CanvasError

# A zip's local header: 26 bytes, the lengths of the name and of the extra field, then both, then the data.
_LENGTHS_AT = 26
_HEADER_BYTES = 30
_NPY: Any = np.lib.format
_TYPES = (np.dtype(np.float32), np.dtype(np.float64))
_AGAIN = "write the features again with numpy.savez"


class FeatureFileError(CanvasError):
    """A file that holds no features."""


class StatisticsFileError(FeatureFileError):
    """A file of statistics, where features are needed."""


def read_set(path: Path) -> Gaussian | Float[np.ndarray, "rows features"]:
    """The statistics in the file at `path`, or else its features. Raises as `read_features` does."""
    if not path.is_file():
        raise FeatureFileError(f"There is no file {path}: name an .npz or .npy file of features.")
    try:
        if not zipfile.is_zipfile(path):
            return _checked(path, np.load(path, mmap_mode="r", allow_pickle=False))
        with zipfile.ZipFile(path) as archive:
            members = [one for one in archive.infolist() if one.filename.endswith(".npy")]
            if {"mu.npy", "sigma.npy"} <= {one.filename for one in members}:
                return _statistics(path)
            if not members:
                raise FeatureFileError(f"{path} holds no array: {_AGAIN}.")
            return _checked(path, _member(path, archive, members[0]))
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise FeatureFileError(
            f"{path} is no .npz or .npy file of features, or is damaged ({_reason(error)}): {_AGAIN}."
        ) from error


def read_features(path: Path) -> Float[np.ndarray, "rows features"]:
    """The features in the file at `path`, memory-mapped where that can be.

    Raises FeatureFileError for what is no such file, StatisticsFileError for a file of statistics, and FeaturesError
    for an array that is no table of float32 or float64. What the numbers are, the metrics check.
    """
    found = read_set(path)
    if isinstance(found, Gaussian):
        raise StatisticsFileError(
            f"{path} holds the statistics mu and sigma, which only a Frechet distance can use: give the features."
        )
    return found


def write_features(path: Path, features: Float[np.ndarray, "rows features"]) -> None:
    """Write features so that any tool can read them, and this one without loading them: an uncompressed .npz."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.writing")
    with beside.open("wb") as file:
        np.savez(file, features=features)
    beside.replace(path)


def _member(path: Path, archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> Shaped[np.ndarray, "..."]:
    """An array of the archive: mapped in place if it lies there uncompressed, else loaded."""
    if member.compress_type != zipfile.ZIP_STORED or member.flag_bits & 1:
        with archive.open(member) as file:
            return np.asarray(_NPY.read_array(file, allow_pickle=False))
    with path.open("rb") as file:
        file.seek(member.header_offset + _LENGTHS_AT)
        name_bytes, extra_bytes = np.frombuffer(file.read(4), dtype="<u2")
        file.seek(member.header_offset + _HEADER_BYTES + int(name_bytes) + int(extra_bytes))
        old = _NPY.read_magic(file) == (1, 0)
        shape, fortran, dtype = _NPY.read_array_header_1_0(file) if old else _NPY.read_array_header_2_0(file)
        if dtype.hasobject:
            raise ValueError("it holds Python objects")
        if dtype.itemsize * int(np.prod(shape, dtype=object)) == 0:
            return np.empty(shape, dtype=dtype)
        return np.memmap(path, dtype=dtype, mode="r", shape=shape, offset=file.tell(), order="F" if fortran else "C")


def _statistics(path: Path) -> Gaussian:
    with np.load(path, allow_pickle=False) as arrays:
        mean, covariance = (np.asarray(arrays[name], dtype=np.float64) for name in ("mu", "sigma"))
    if mean.ndim != 1 or not mean.size or covariance.shape != (len(mean), len(mean)):
        raise FeaturesError(
            f"{path} holds mu of shape {mean.shape} and sigma of shape {covariance.shape}, which do not belong "
            "together: make the statistics again."
        )
    if not (np.isfinite(mean).all() and np.isfinite(covariance).all()):
        raise FeaturesError(f"The statistics in {path} hold NaN or infinity: make them again from finite features.")
    if max(np.abs(mean).max(), np.sqrt(np.abs(covariance).max())) > LARGEST:
        raise TooLargeFeaturesError(
            f"The statistics in {path} are of features beyond {LARGEST:g}, whose powers overflow: scale them down."
        )
    return Gaussian(mean=mean, covariance=covariance)


def _checked(path: Path, found: Shaped[np.ndarray, "..."]) -> Float[np.ndarray, "rows features"]:
    if found.dtype.newbyteorder("=") not in _TYPES:
        raise FeaturesError(
            f"{path} holds values of type {found.dtype}, and features are float32 or float64: convert them, and "
            f"{_AGAIN}."
        )
    if found.ndim != 2 or not found.shape[1]:
        raise FeaturesError(
            f"{path} holds an array of shape {found.shape}, and a table is needed, one row per image: {_AGAIN}."
        )
    return found


def _reason(error: Exception) -> str:
    return str(error).splitlines()[0].rstrip(".") if str(error) else type(error).__name__
