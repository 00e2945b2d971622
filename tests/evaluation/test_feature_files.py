"""Files of features: mapped where that can be, taken as they are, and refused by name where they are something else."""

import zipfile
from pathlib import Path

import numpy as np
import pytest

from evaluation.feature_files import (
    FeatureFileError,
    StatisticsFileError,
    read_features,
    read_set,
    write_features,
)
from evaluation.metrics.base import FeaturesError
from evaluation.metrics.frechet import Gaussian


def drawn(n: int = 20, d: int = 4) -> np.ndarray:
    return np.random.default_rng(0).normal(size=(n, d))


@pytest.mark.parametrize("dtype", ["float32", "float64", ">f4"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_an_uncompressed_archive_is_mapped_and_not_loaded(tmp_path: Path, dtype: str, order: str) -> None:
    features = np.asarray(drawn(), dtype=dtype, order=order)
    np.savez(tmp_path / "x.npz", first=features, second=np.ones(3))

    found = read_features(tmp_path / "x.npz")

    assert isinstance(found, np.memmap)
    assert found.dtype == np.dtype(dtype)
    assert (found == features).all()


def test_the_first_array_counts_and_a_compressed_one_is_loaded(tmp_path: Path) -> None:
    np.savez_compressed(tmp_path / "x.npz", b=drawn(), a=np.ones((2, 2)))

    assert (read_features(tmp_path / "x.npz") == drawn()).all()


def test_a_single_array_is_mapped(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", drawn().astype(np.float32))

    found = read_features(tmp_path / "x.npy")

    assert isinstance(found, np.memmap)
    assert (found == drawn().astype(np.float32)).all()


def test_what_is_written_is_read_again_by_this_and_by_numpy(tmp_path: Path) -> None:
    path = tmp_path / "new" / "x.npz"

    write_features(path, drawn())

    assert isinstance(read_features(path), np.memmap)
    with np.load(path) as arrays:
        assert (arrays["features"] == drawn()).all()
    assert [one.name for one in path.parent.iterdir()] == ["x.npz"]


def test_statistics_are_known_for_what_they_are(tmp_path: Path) -> None:
    mean, covariance = drawn().mean(axis=0), np.cov(drawn(), rowvar=False)
    np.savez(tmp_path / "s.npz", mu=mean, sigma=covariance)

    found = read_set(tmp_path / "s.npz")

    assert isinstance(found, Gaussian)
    assert (found.covariance == covariance).all()
    with pytest.raises(StatisticsFileError, match="only a Frechet distance can use"):
        read_features(tmp_path / "s.npz")


@pytest.mark.parametrize(
    ("arrays", "words"),
    [
        ({"mu": np.ones(3), "sigma": np.ones((2, 2))}, "do not belong together"),
        ({"mu": np.full(2, np.nan), "sigma": np.eye(2)}, "hold NaN or infinity"),
        ({"mu": np.full(2, 1e200), "sigma": np.eye(2)}, r"are of features beyond 1e\+24"),
    ],
)
def test_statistics_that_make_no_sense_are_refused(tmp_path: Path, arrays: dict[str, np.ndarray], words: str) -> None:
    np.savez(tmp_path / "s.npz", **arrays)

    with pytest.raises(FeaturesError, match=words):
        read_set(tmp_path / "s.npz")


@pytest.mark.parametrize(
    ("array", "words"),
    [
        (np.ones(5), r"array of shape \(5,\), and a table is needed"),
        (np.ones((2, 3, 4)), r"array of shape \(2, 3, 4\)"),
        (np.ones((4, 0)), "a table is needed"),
        (np.ones((5, 2), dtype=np.int64), "type int64, and features are float32 or float64"),
        (np.ones((5, 2), dtype=np.float16), "type float16"),
        (np.ones((5, 2), dtype=np.complex128), "type complex128"),
    ],
)
@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_arrays_that_are_no_table_of_floats_are_refused(tmp_path: Path, save, array: np.ndarray, words: str) -> None:
    save(tmp_path / "x.npz", array)

    with pytest.raises(FeaturesError, match=words):
        read_features(tmp_path / "x.npz")


def test_files_that_hold_no_array_are_refused(tmp_path: Path) -> None:
    (tmp_path / "text.npz").write_text("no archive")
    with zipfile.ZipFile(tmp_path / "empty.npz", "w") as archive:
        archive.writestr("readme.txt", "no array")
    np.savez(tmp_path / "objects.npz", np.array([{"a": 1}], dtype=object))
    np.savez(tmp_path / "whole.npz", drawn(2000))
    (tmp_path / "cut.npz").write_bytes((tmp_path / "whole.npz").read_bytes()[:4000])

    with pytest.raises(FeatureFileError, match="There is no file"):
        read_features(tmp_path / "nothing.npz")
    with pytest.raises(FeatureFileError, match="holds no array"):
        read_features(tmp_path / "empty.npz")
    for name in ("text", "objects", "cut"):
        with pytest.raises(FeatureFileError, match=f"{name}.npz is no .npz or .npy file of features, or is damaged"):
            read_features(tmp_path / f"{name}.npz")
