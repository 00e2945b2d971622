"""Streaming moments: any partition, any order, little memory, few digits lost."""

import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evaluation.metrics.base import FeaturesError, MismatchedFeaturesError, NotFiniteFeaturesError
from evaluation.metrics.moments import Moments, StreamingMoments, moments_of


def correlated(seed: int, n: int, d: int, *, offset: float = 0.0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, d)) @ rng.normal(size=(d, d)) + offset


def parted(rows: np.ndarray, cuts: list[int]) -> list[np.ndarray]:
    return np.split(rows, sorted(min(cut, len(rows)) for cut in cuts))


def same(a: Moments, b: Moments) -> bool:
    scale = np.abs(b.scatter).max() + 1e-300
    near = np.abs(a.scatter - b.scatter).max() <= 1e-11 * scale
    return a.count == b.count and bool(near) and np.allclose(a.mean, b.mean, rtol=1e-12, atol=1e-10)


def test_they_are_the_count_the_mean_and_the_covariance() -> None:
    rows = correlated(0, 500, 7, offset=3)

    moments = moments_of(rows)

    assert moments.count == 500
    assert moments.mean == pytest.approx(rows.mean(axis=0), rel=1e-13)
    assert moments.covariance == pytest.approx(np.cov(rows, rowvar=False), rel=1e-12)
    assert (moments.scatter == moments.scatter.T).all()


def test_float32_rows_whose_squares_overflow_float32_are_multiplied_in_float64() -> None:
    rows = (1e20 * correlated(1, 50, 4)).astype(np.float32)

    moments = moments_of(rows)

    assert moments.exact
    assert moments.covariance == pytest.approx(np.cov(rows.astype(np.float64), rowvar=False), rel=1e-12)


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    n=st.integers(0, 60),
    d=st.integers(1, 9),
    cuts=st.lists(st.integers(0, 60), max_size=6),
    order=st.randoms(use_true_random=False),
    offset=st.sampled_from([0.0, 1e3, -1e6]),
)
def test_any_partition_and_any_order_of_merging_agree(
    seed: int, n: int, d: int, cuts: list[int], order: object, offset: float
) -> None:
    rows = correlated(seed, n, d, offset=offset)
    whole = moments_of(rows)
    parts = parted(rows, cuts)

    one_stream = StreamingMoments(d)
    for part in parts:
        one_stream.add(part)
    order.shuffle(parts)  # type: ignore[attr-defined]
    merged = Moments.nothing(d)
    for part in parts:
        merged = merged.merged(moments_of(part))
    back_to_front = Moments.nothing(d)
    for part in parts[::-1]:
        back_to_front = moments_of(part).merged(back_to_front)

    assert same(one_stream.moments(), whole)
    assert same(merged, whole)
    assert same(back_to_front, whole)


def test_a_large_common_offset_costs_no_digits() -> None:
    """Sums of squares less the square of the sum would have nothing left: 1e16 against 1."""
    rows = np.round(correlated(1, 300, 4) * 2**10) / 2**10

    moved = moments_of(rows + 2.0**27)

    assert moved.scatter == pytest.approx(moments_of(rows).scatter, rel=1e-12)


def test_blocks_that_lie_far_apart_agree_with_one_table() -> None:
    rows = correlated(2, 400, 5)
    rows[200:] += 1e5

    halves = moments_of(rows[:200]).merged(moments_of(rows[200:]))

    assert halves.scatter == pytest.approx(moments_of(rows).scatter, rel=1e-12)


def test_float32_blocks_are_near_and_exact_ones_are_float64_all_through() -> None:
    rows = (correlated(3, 5000, 40) + 20).astype(np.float32)
    truth = np.cov(rows.astype(np.float64), rowvar=False)
    scale = np.sqrt(np.outer(np.diag(truth), np.diag(truth)))

    quick, exact = moments_of(rows), moments_of(rows, exact=True)

    assert 0 < np.abs((quick.covariance - truth) / scale).max() < 1e-6
    assert np.abs((exact.covariance - truth) / scale).max() < 1e-14
    assert quick.mean == pytest.approx(rows.mean(axis=0, dtype=np.float64), rel=1e-12)
    assert (quick.exact, exact.exact, quick.merged(exact).exact) == (False, True, False)


def test_features_that_never_vary_have_no_scatter_at_all() -> None:
    rows = correlated(4, 3000, 3)
    rows[:, 1] = 0.1

    for table in (rows, rows.astype(np.float32)):
        assert (moments_of(table).scatter[1] == 0).all()


def test_what_was_kept_as_arrays_comes_back_and_merges(tmp_path: Path) -> None:
    rows = correlated(5, 90, 4)
    np.savez(tmp_path / "first.npz", **moments_of(rows[:40]).to_arrays())

    with np.load(tmp_path / "first.npz") as kept:
        back = Moments.from_arrays(kept)

    assert same(back.merged(moments_of(rows[40:])), moments_of(rows))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"mean": None}, "mean are missing"),
        ({"mean": np.zeros(5)}, "do not fit together"),
        ({"count": np.array(-1)}, "do not fit together"),
        ({"scatter": np.full((4, 4), np.nan)}, "not finite"),
    ],
)
def test_arrays_that_are_no_statistics_are_refused(change: dict[str, np.ndarray | None], said: str) -> None:
    arrays = moments_of(correlated(6, 9, 4)).to_arrays() | change

    with pytest.raises(FeaturesError, match=said):
        Moments.from_arrays({name: value for name, value in arrays.items() if value is not None})


def test_nan_is_refused_with_its_row_since_the_beginning() -> None:
    stream = StreamingMoments(3, what="the gallery")
    stream.add(np.ones((10, 3)))
    broken = np.ones((5, 3))
    broken[2, 1] = np.inf

    with pytest.raises(NotFiniteFeaturesError, match="of the gallery hold NaN or infinity, first in row 12"):
        stream.add(broken)


def test_numbers_too_large_to_add_up_are_not_called_nan() -> None:
    with pytest.raises(FeaturesError, match="too large to be added up"):
        moments_of(np.full((4, 2), 1.5e308))


def test_another_width_and_no_table_are_refused() -> None:
    stream = StreamingMoments(3)

    with pytest.raises(MismatchedFeaturesError, match="have 4 features and those before them 3"):
        stream.add(np.ones((2, 4)))
    with pytest.raises(FeaturesError, match="a table of floats is needed"):
        stream.add(np.ones((2, 3), dtype=np.int64))
    with pytest.raises(MismatchedFeaturesError):
        moments_of(np.ones((2, 3))).merged(moments_of(np.ones((2, 4))))


@pytest.mark.parametrize("exact", [False, True])
def test_a_memory_map_of_any_length_takes_less_than_200_mb(tmp_path: Path, exact: bool) -> None:
    """12,288 x 2,048 numbers are 100 MB in float32 and 200 MB in float64; a copy of them would show."""
    rows = np.memmap(tmp_path / "x", mode="w+", dtype=np.float32, shape=(12_288, 2048))
    rows[:, ::64] = np.random.default_rng(7).normal(size=(12_288, 32))
    tracemalloc.start()

    moments = moments_of(rows, exact=exact)

    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert moments.count == 12_288
    assert peak < 130e6
