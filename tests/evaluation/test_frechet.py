"""The Frechet distance against closed forms, an independent root and 40 digits, and what must not change it."""

import tracemalloc
from pathlib import Path

import mpmath
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import linalg
from scipy.stats import ortho_group

from evaluation.metrics import frechet
from evaluation.metrics.base import (
    ConstantFeaturesError,
    FeaturesError,
    MismatchedFeaturesError,
    NotFiniteFeaturesError,
    TooFewFeaturesError,
)
from evaluation.metrics.frechet import (
    DistanceToReference,
    FrechetReference,
    Gaussian,
    distance_between,
    frechet_distance,
    gaussian,
    gaussian_of,
)
from evaluation.metrics.moments import moments_of

seeds = st.integers(min_value=0, max_value=2**32 - 1)


def drawn(seed: int, n: int, d: int, *, scale: float = 1.0) -> np.ndarray:
    """n correlated rows of d features."""
    rng = np.random.default_rng(seed)
    return scale * (rng.normal(size=(n, d)) @ rng.normal(size=(d, d)) + rng.normal(size=d))


def by_matrix_root(x: np.ndarray, y: np.ndarray) -> float:
    """The textbook's way, with scipy's general matrix root."""
    a, b = gaussian(x), gaussian(y)
    shift = a.mean - b.mean
    root = linalg.sqrtm(a.covariance @ b.covariance)
    return float(shift @ shift + np.trace(a.covariance) + np.trace(b.covariance) - 2 * np.trace(root).real)


def in_forty_digits(x: np.ndarray, y: np.ndarray) -> float:
    """The same definition, all in 40 digits: roots of the eigenvalues of S_x S_y, found through a Cholesky factor."""
    with mpmath.workdps(40):

        def moments(rows: np.ndarray) -> tuple[mpmath.matrix, mpmath.matrix]:
            values = mpmath.matrix(rows.tolist())
            n, d = rows.shape
            mean = mpmath.matrix([mpmath.fsum(values[i, j] for i in range(n)) / n for j in range(d)])
            centred = mpmath.matrix(n, d)
            for i in range(n):
                for j in range(d):
                    centred[i, j] = values[i, j] - mean[j]
            return mean, centred.T * centred / (n - 1)

        (mean_x, s_x), (mean_y, s_y) = moments(x), moments(y)
        root = mpmath.cholesky(s_x)
        eigenvalues = mpmath.eigsy(root.T * s_y * root, eigvals_only=True)
        shift = mean_x - mean_y
        trace = mpmath.fsum(s_x[i, i] + s_y[i, i] for i in range(x.shape[1]))
        overlap = mpmath.fsum(mpmath.sqrt(value) for value in eigenvalues)
        return float((shift.T * shift)[0] + trace - 2 * overlap)


def test_of_two_gaussians_in_one_dimension_it_is_the_gap_of_means_and_of_deviations() -> None:
    a = Gaussian(mean=np.array([1.0]), covariance=np.array([[4.0]]))
    b = Gaussian(mean=np.array([4.0]), covariance=np.array([[25.0]]))

    distance = distance_between(a, b)

    assert distance == pytest.approx((4 - 1) ** 2 + (5 - 2) ** 2, rel=1e-14)


def test_of_covariances_that_commute_it_is_the_gap_of_their_roots() -> None:
    rng = np.random.default_rng(3)
    axes = ortho_group.rvs(6, random_state=3)
    lengths_a, lengths_b = rng.uniform(0.1, 3, size=6), rng.uniform(0.1, 3, size=6)
    shift = rng.normal(size=6)
    a = Gaussian(mean=np.zeros(6), covariance=axes @ np.diag(lengths_a**2) @ axes.T)
    b = Gaussian(mean=shift, covariance=axes @ np.diag(lengths_b**2) @ axes.T)

    distance = distance_between(a, b)

    assert distance == pytest.approx(shift @ shift + np.square(lengths_a - lengths_b).sum(), rel=1e-12)


@pytest.mark.parametrize(("n", "m", "d"), [(200, 300, 12), (500, 90, 40), (64, 64, 3), (50, 60, 1)])
def test_it_agrees_with_the_general_matrix_root(n: int, m: int, d: int) -> None:
    x, y = drawn(1, n, d), drawn(2, m, d)

    distance = frechet_distance(x, y)

    assert distance == pytest.approx(by_matrix_root(x, y), rel=1e-9)


def test_it_agrees_with_forty_digits() -> None:
    x, y = drawn(4, 30, 6), drawn(5, 25, 6)

    distance = frechet_distance(x, y)

    assert distance == pytest.approx(in_forty_digits(x, y), rel=1e-12)


def test_fewer_images_than_features_agree_with_forty_digits_in_the_space_they_span() -> None:
    """Eight images vary in seven directions: turned into these, the distance to a flat set is an ordinary one."""
    rng = np.random.default_rng(6)
    flat_x, flat_y = rng.normal(size=(9, 5)), 2 * rng.normal(size=(11, 5)) + 1
    axes = ortho_group.rvs(40, random_state=6)[:5]

    distance = frechet_distance(flat_x @ axes, flat_y @ axes)

    assert distance == pytest.approx(in_forty_digits(flat_x, flat_y), rel=1e-11)


@settings(max_examples=25, deadline=None)
@given(seed=seeds, n=st.integers(2, 40), m=st.integers(2, 40), d=st.integers(1, 20))
def test_it_is_symmetric_and_never_negative(seed: int, n: int, m: int, d: int) -> None:
    x, y = drawn(seed, n, d), drawn(seed + 1, m, d)

    there, back = frechet_distance(x, y), frechet_distance(y, x)

    assert there >= 0
    assert there == pytest.approx(back, rel=1e-6, abs=1e-7)


@settings(max_examples=25, deadline=None)
@given(seed=seeds, n=st.integers(2, 60), d=st.integers(1, 20), scale=st.sampled_from([1e-3, 1.0, 1e3]))
def test_a_set_lies_at_no_distance_from_itself_in_any_order(seed: int, n: int, d: int, scale: float) -> None:
    x = drawn(seed, n, d, scale=scale)

    distance = frechet_distance(x, x[::-1])

    assert distance == pytest.approx(0, abs=1e-7 * np.square(x).sum())


@settings(max_examples=25, deadline=None)
@given(seed=seeds, n=st.integers(3, 40), d=st.integers(2, 15))
def test_turning_and_moving_both_sets_changes_nothing(seed: int, n: int, d: int) -> None:
    x, y = drawn(seed, n, d), drawn(seed + 1, n + 5, d)
    axes = ortho_group.rvs(d, random_state=seed)
    shift = np.random.default_rng(seed).normal(size=d)

    moved = frechet_distance(x @ axes + shift, y @ axes + shift)

    assert moved == pytest.approx(frechet_distance(x, y), rel=1e-6, abs=1e-6)


@pytest.mark.parametrize(("n", "m", "d"), [(60, 80, 8), (10, 80, 16), (80, 10, 16), (12, 9, 30)])
def test_the_distance_of_chosen_rows_is_the_distance_of_those_rows(n: int, m: int, d: int) -> None:
    x, y = drawn(7, n, d), drawn(8, m, d)
    rows = np.random.default_rng(9).integers(n, size=n)
    to_reference = DistanceToReference(x, y)

    every, chosen = to_reference(np.arange(n)), to_reference(rows)

    assert every == pytest.approx(frechet_distance(x, y), rel=1e-9)
    assert chosen == pytest.approx(frechet_distance(x[rows], y), rel=1e-9)


@pytest.mark.filterwarnings("ignore:Matrix is singular")  # said by scipy's root, with which ours is compared
def test_a_feature_that_never_varies_in_one_set_is_no_obstacle() -> None:
    x, y = drawn(10, 100, 6), drawn(11, 120, 6)
    x[:, 2] = 0.5
    y[:, 4] = y[:, 3]

    distance = frechet_distance(x, y)

    assert distance == pytest.approx(by_matrix_root(x, y), rel=1e-6)
    assert DistanceToReference(x, y)(np.arange(100)) == pytest.approx(distance, rel=1e-6)


def graded(seed: int, n: int, d: int, condition: float) -> np.ndarray:
    """Rows whose covariance has eigenvalues from 1 down to 1 / condition, in no axis' direction."""
    rng = np.random.default_rng(seed)
    lengths = condition ** (-np.linspace(0, 0.5, d))
    rows: np.ndarray = (rng.normal(size=(n, d)) * lengths) @ ortho_group.rvs(d, random_state=5)
    return rows + rng.normal(size=d)


@pytest.mark.parametrize("condition", [1e4, 1e8, 1e12, 1e16])
def test_ill_conditioned_sets_agree_with_forty_digits(condition: float) -> None:
    """Eigenvalues of the product of the covariances would be off by 1e-6 and more."""
    x, y = graded(30, 40, 6, condition), graded(31, 35, 6, condition)

    distance = frechet_distance(x, y)

    assert distance == pytest.approx(in_forty_digits(x, y), rel=1e-10)


def test_sets_flat_in_other_directions_agree_with_forty_digits() -> None:
    """More images than features, and rank 3 of 5 each, with one direction in common: the definition by rotation.

    In 40 digits a flat covariance has no Cholesky factor, so that a hair's width (1e-30) is put on it.
    """
    rng = np.random.default_rng(32)
    x, y = np.zeros((40, 5)), np.zeros((50, 5))
    x[:, [0, 1, 2]], y[:, [2, 3, 4]] = rng.normal(size=(40, 3)), 2 * rng.normal(size=(50, 3))
    axes = ortho_group.rvs(5, random_state=33)

    distance = frechet_distance(x @ axes, y @ axes)

    # All that overlaps is the third feature: the roots' product is that of its two deviations.
    shift = x.mean(axis=0) - y.mean(axis=0)
    deviations = x.std(axis=0, ddof=1), y.std(axis=0, ddof=1)
    with mpmath.workdps(40):
        covariances = [mpmath.matrix(np.cov(rows, rowvar=False).tolist()) for rows in (x, y)]
        trace = mpmath.fsum(covariance[i, i] for covariance in covariances for i in range(5))
        expected = mpmath.mpf(float(shift @ shift)) + trace - 2 * deviations[0][2] * deviations[1][2]
    assert distance == pytest.approx(float(expected), rel=1e-10)


@pytest.fixture
def no_size_is_small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Large tables' ways, at a size where the exact way can be compared with them."""
    monkeypatch.setattr(frechet, "_SMALL_WORK", 0)
    monkeypatch.setattr(frechet, "_WIDE", 0)


@pytest.mark.usefixtures("no_size_is_small")
@pytest.mark.parametrize("condition", [1e1, 1e4, 1e6, 1e9, 1e13])
def test_large_tables_ways_agree_with_forty_digits_however_ill_the_condition(condition: float) -> None:
    x, y = graded(34, 60, 6, condition), graded(35, 50, 6, condition) * 1.2

    distance = frechet_distance(x, y)

    assert distance == pytest.approx(in_forty_digits(x, y), rel=1e-10)


@pytest.mark.usefixtures("no_size_is_small")
@pytest.mark.parametrize("condition", [1e1, 1e3, 1e5, 1e9])
def test_products_in_float32_stay_within_a_millionth_and_exact_does_without_them(condition: float) -> None:
    x = graded(36, 4000, 64, condition).astype(np.float32)
    y = (graded(37, 4000, 64, condition)[:, ::-1] * 1.1).astype(np.float32)
    truth = frechet_distance(x.astype(np.float64), y.astype(np.float64))

    quick, exact = frechet_distance(x, y), frechet_distance(x, y, exact=True)

    assert quick == pytest.approx(truth, rel=1e-6)
    assert exact == pytest.approx(truth, rel=1e-12)


@pytest.mark.usefixtures("no_size_is_small")
def test_a_dead_feature_in_large_tables_loses_nothing() -> None:
    x, y = drawn(38, 300, 8), drawn(39, 300, 8)
    x[:, 3], y[:, 5] = 0.1, y[:, 1]

    distance = frechet_distance(x, y)

    alive = [0, 1, 2, 4, 5, 6, 7]
    rest = (x[:, 3].mean() - y[:, 3].mean()) ** 2 + y[:, 3].var(ddof=1)
    # A repeated feature is one feature, longer by the root of two.
    turned_x, turned_y = x[:, alive].copy(), y[:, alive].copy()
    for rows in (turned_x, turned_y):
        first, second = rows[:, 1].copy(), rows[:, 4].copy()
        rows[:, 1], rows[:, 4] = (first + second) / np.sqrt(2), (first - second) / np.sqrt(2)
    flat = (turned_x[:, 4].mean() - turned_y[:, 4].mean()) ** 2 + turned_x[:, 4].var(ddof=1)
    kept = [0, 1, 2, 3, 5, 6]
    assert distance == pytest.approx(frechet_distance(turned_x[:, kept], turned_y[:, kept]) + rest + flat, rel=1e-10)


def test_a_reference_that_was_factored_once_gives_the_same_distances(tmp_path: Path) -> None:
    x, y = drawn(40, 90, 5), drawn(41, 80, 5)
    np.save(tmp_path / "x.npy", x)
    reference = FrechetReference(y)

    of_features = reference.distance(x)

    assert of_features == frechet_distance(x, y)
    assert reference.distance(np.load(tmp_path / "x.npy", mmap_mode="r")) == of_features
    assert FrechetReference(gaussian(y)).distance(gaussian_of(moments_of(x))) == pytest.approx(of_features, rel=1e-12)
    assert DistanceToReference(x, reference)(np.arange(90)) == pytest.approx(of_features, rel=1e-12)


def test_a_large_table_is_not_copied() -> None:
    """40,000 x 256 numbers take 41 MB in float32 and twice as much in float64."""
    rng = np.random.default_rng(42)
    x = rng.normal(size=(40_000, 256)).astype(np.float32)
    y = (x[::-1] * rng.uniform(0.8, 1.2, size=256)).astype(np.float32)
    tracemalloc.start()

    distance = frechet_distance(x, y)

    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert distance == pytest.approx(frechet_distance(x, y, exact=True), rel=1e-6)
    assert peak < 35e6


def test_float32_features_are_summed_in_float64() -> None:
    """A large common offset drowns the covariance where means and squares are kept in float32."""
    x, y = drawn(12, 400, 4).astype(np.float32) + 1000, drawn(13, 400, 4).astype(np.float32) + 1000

    distance = frechet_distance(x, y)

    assert distance == pytest.approx(by_matrix_root(x.astype(np.float64), y.astype(np.float64)), rel=1e-9)


def test_features_with_nan_are_refused_with_their_row() -> None:
    x = drawn(14, 10, 3)
    x[6, 1] = np.nan

    with pytest.raises(
        NotFiniteFeaturesError, match="first set hold NaN or infinity in 1 of 10 rows, the first is row 6"
    ):
        frechet_distance(x, drawn(15, 10, 3))


def test_features_that_are_all_the_same_are_refused() -> None:
    with pytest.raises(ConstantFeaturesError, match="All 10 images of the second set have the same features"):
        frechet_distance(drawn(16, 10, 3), np.ones((10, 3)))


def test_a_single_image_is_refused() -> None:
    with pytest.raises(TooFewFeaturesError, match="have 1 rows, and 2 are needed"):
        frechet_distance(drawn(17, 1, 3), drawn(18, 10, 3))


def test_features_of_two_extractors_are_refused() -> None:
    with pytest.raises(MismatchedFeaturesError, match="3 features per image and the second 4"):
        frechet_distance(drawn(19, 10, 3), drawn(20, 10, 4))


@pytest.mark.parametrize("wrong", [np.ones(5), np.ones((5, 2), dtype=np.uint8)])
def test_what_is_no_table_of_floats_is_refused(wrong: np.ndarray) -> None:
    with pytest.raises(FeaturesError, match="a table of floats is needed"):
        frechet_distance(wrong, drawn(21, 10, 2))
