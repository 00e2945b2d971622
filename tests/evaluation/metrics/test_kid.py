"""KID against exact fractions, torchmetrics and the full statistic, and what must not change it."""

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evaluation.metrics import kid as module
from evaluation.metrics.base import (
    ConstantFeaturesError,
    FeaturesError,
    GalleryFeatures,
    MismatchedFeaturesError,
    NotFiniteFeaturesError,
    TooFewFeaturesError,
)
from evaluation.metrics.kid import KID, KidReference, kid, kid_sums, kid_u, kid_v

seeds = st.integers(min_value=0, max_value=2**32 - 1)


def drawn(seed: int, n: int, d: int = 8, *, shift: float = 0.0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(n, d)) + shift


def kernel(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return (a @ b.T / a.shape[1] + 1) ** 3


def naive_u(x: np.ndarray, y: np.ndarray) -> float:
    """The textbook's U-statistic, from whole kernel matrices."""
    n, m = len(x), len(y)
    xx, yy = kernel(x, x), kernel(y, y)
    own = (xx.sum() - np.trace(xx)) / (n * (n - 1)) + (yy.sum() - np.trace(yy)) / (m * (m - 1))
    return float(own - 2 * kernel(x, y).mean())


def in_fractions(x: np.ndarray, y: np.ndarray, *, with_self: bool) -> float:
    """Either statistic of whole numbers without any rounding."""

    def mean(a: np.ndarray, b: np.ndarray, same: bool) -> Fraction:
        pairs = [(i, j) for i in range(len(a)) for j in range(len(b)) if with_self or not same or i != j]
        values = [(Fraction(int(a[i] @ b[j]), a.shape[1]) + 1) ** 3 for i, j in pairs]
        return sum(values, Fraction(0)) / len(values)

    return float(mean(x, x, True) + mean(y, y, True) - 2 * mean(x, y, False))


def test_both_full_statistics_agree_with_exact_fractions() -> None:
    rng = np.random.default_rng(0)
    x, y = rng.integers(-3, 4, size=(7, 5)), rng.integers(-2, 5, size=(9, 5))

    u, v = kid_u(x.astype(np.float64), y.astype(np.float64)), kid_v(x.astype(np.float64), y.astype(np.float64))

    assert u == pytest.approx(in_fractions(x, y, with_self=False), rel=1e-13)
    assert v == pytest.approx(in_fractions(x, y, with_self=True), rel=1e-13)


def test_a_subset_of_all_images_agrees_with_torchmetrics() -> None:
    torch = pytest.importorskip("torch")
    peer = pytest.importorskip("torchmetrics.image.kid")
    x, y = drawn(1, 60), drawn(2, 60, shift=0.5)

    found = kid(x, y, subsets=3, size=60)

    assert found.kid == pytest.approx(float(peer.poly_mmd(torch.tensor(x), torch.tensor(y))), rel=1e-12)
    assert found.sd == 0


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_each_subset_is_the_unbiased_estimate_of_its_images(dtype: type) -> None:
    """One subset by one subset: its rows are found again by drawing as the module says it draws."""
    x, y = drawn(3, 900, 16).astype(dtype), drawn(4, 800, 16, shift=0.3).astype(dtype)
    left = module._deal(900, 1, 50, np.random.default_rng([7, 0]))[0]
    right = module._deal(800, 1, 50, np.random.default_rng([7, 1]))[0]

    found = kid(x, y, subsets=1, size=50, seed=7)

    assert found.kid == pytest.approx(naive_u(x[left].astype(float), y[right].astype(float)), rel=1e-5)
    assert (found.sd, found.subsets, found.size, found.seed) == (0, 1, 50, 7)


def test_the_mean_and_the_spread_are_those_of_the_subsets() -> None:
    x, y = drawn(5, 300), drawn(6, 250, shift=0.3)
    left = module._deal(300, 5, 40, np.random.default_rng([0, 0]))
    right = module._deal(250, 5, 40, np.random.default_rng([0, 1]))
    ring = [(0, 0), (0, 1), (1, 1), (1, 2), (2, 2), (2, 3), (3, 3), (3, 4), (4, 4), (4, 0)]
    each = [naive_u(x[left[a]], y[right[b]]) for a, b in ring]

    found = kid(x, y, subsets=10, size=40)

    assert found.kid == pytest.approx(np.mean(each), rel=1e-10)
    assert found.sd == pytest.approx(np.std(each), rel=1e-10)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_adding_up_shared_pairs_gives_what_subset_by_subset_gives(dtype: type, monkeypatch: pytest.MonkeyPatch) -> None:
    x, y = drawn(8, 1500, 12).astype(dtype), drawn(9, 1200, 12, shift=0.2).astype(dtype)
    monkeypatch.setattr(module, "_SHARED_COST", {np.float32: 0.0, np.float64: 0.0})
    shared = kid(x, y, subsets=7, size=300)
    monkeypatch.setattr(module, "_SHARED_COST", {np.float32: 1e9, np.float64: 1e9})

    apart = kid(x, y, subsets=7, size=300)

    assert apart.kid == pytest.approx(shared.kid, rel=1e-6 if dtype is np.float32 else 1e-11)
    assert apart.sd == pytest.approx(shared.sd, rel=1e-5 if dtype is np.float32 else 1e-11)


def test_float32_features_whose_cubes_overflow_float32_are_taken_in_float64() -> None:
    x, y = 1e8 * drawn(30, 40).astype(np.float32), 1e8 * drawn(31, 40, shift=0.5).astype(np.float32)

    found = kid(x, y, subsets=2, size=40)

    assert found.kid == pytest.approx(kid_u(x, y), rel=1e-12)


def test_the_mean_over_subsets_estimates_the_full_statistic() -> None:
    x, y = drawn(10, 1000), drawn(11, 1000, shift=0.3)

    errors = [kid(x, y, size=50, seed=seed).kid - kid_u(x, y) for seed in range(20)]

    spread = kid(x, y, size=50).sd / np.sqrt(100)
    assert abs(np.mean(errors)) < 4 * spread / np.sqrt(20)
    assert np.sqrt(np.mean(np.square(errors))) < 1.5 * spread


def test_no_image_is_twice_in_a_subset_and_all_come_in_before_one_comes_again() -> None:
    rows = module._deal(1000, 20, 90, np.random.default_rng(0))

    assert all(len(np.unique(subset)) == 90 for subset in rows)
    assert len(np.unique(rows[:11])) == 990
    assert len(np.unique(rows[11:])) == 810


def test_the_same_seed_gives_the_same_number_and_another_seed_another() -> None:
    x, y = drawn(12, 200), drawn(13, 200, shift=0.3)

    first, again, other = (kid(x, y, size=50, seed=seed).kid for seed in (1, 1, 2))

    assert first == again
    assert first != other


def test_a_reference_worked_out_once_gives_every_gallery_its_number() -> None:
    x, galleries = drawn(14, 300), [drawn(15, 200), drawn(16, 80), drawn(17, 300, shift=1.0)]
    reference = KidReference(x, subsets=20, size=100)

    found = [reference.kid(y) for y in galleries]

    assert found == [kid(x, y, subsets=20, size=100) for y in galleries]
    assert [one.size for one in found] == [100, 80, 100]


@settings(max_examples=25, deadline=None)
@given(seed=seeds, n=st.integers(2, 40), m=st.integers(2, 40), d=st.integers(1, 12), block=st.integers(1, 50))
def test_neither_the_order_of_images_nor_the_size_of_blocks_matters(
    seed: int, n: int, m: int, d: int, block: int
) -> None:
    x, y = drawn(seed, n, d), drawn(seed + 1, m, d)
    order = np.random.default_rng(seed).permutation(m)

    sums, shuffled = kid_sums(x, y), kid_sums(x, y[order], block=block)

    scale = np.abs(kernel(x, x)).max() + np.abs(kernel(y, y)).max()
    assert shuffled.unbiased() == pytest.approx(sums.unbiased(), abs=1e-12 * scale)
    assert shuffled.biased() == pytest.approx(sums.biased(), abs=1e-12 * scale)
    assert shuffled.unbiased_influences() == pytest.approx(sums.unbiased_influences()[order], abs=1e-11 * scale)
    assert sums.biased() >= 0


@settings(max_examples=15, deadline=None)
@given(seed=seeds, subsets=st.integers(1, 9))
def test_swapping_the_sets_changes_nothing_in_the_full_statistics(seed: int, subsets: int) -> None:
    x, y = drawn(seed, 30), drawn(seed + 1, 20)

    assert kid_u(x, y) == pytest.approx(kid_u(y, x), abs=1e-12)
    assert kid(x, y, subsets=subsets).size == 20


def test_float32_features_of_many_images_are_off_by_less_than_a_millionth() -> None:
    rng = np.random.default_rng(18)
    x = np.abs(rng.normal(0.4, 0.4, size=(1500, 512))).astype(np.float32)
    y = np.abs(rng.normal(0.42, 0.4, size=(1500, 512))).astype(np.float32)

    found = kid(x, y, subsets=2, size=400)
    exact = kid(x.astype(np.float64), y.astype(np.float64), subsets=2, size=400)

    assert found.kid == pytest.approx(exact.kid, rel=1e-6)


def test_memory_mapped_features_give_the_same_numbers(tmp_path: Path) -> None:
    x, y = drawn(19, 1100), drawn(20, 70, shift=0.4)
    np.save(tmp_path / "x.npy", x)

    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")

    assert kid_u(mapped, y) == kid_u(x, y)
    assert kid(mapped, y, subsets=5, size=30) == kid(x, y, subsets=5, size=30)


def test_influences_foretell_what_leaving_an_image_out_does() -> None:
    x, y = drawn(21, 300), drawn(22, 400, shift=0.4)
    features = GalleryFeatures(images=y, reference=x, prompts=np.arange(400))

    influences = KID.influences(features)

    without = [400 * (kid_u(x, y) - kid_u(x, np.delete(y, row, axis=0))) for row in range(20)]
    assert influences.sum() == pytest.approx(0, abs=1e-10)
    assert influences[:20] == pytest.approx(without, rel=0.02, abs=0.02 * influences.std())


def test_the_metric_of_chosen_rows_is_the_number_of_those_rows() -> None:
    x, y = drawn(23, 90), drawn(24, 60, shift=0.4)
    statistic = KID.statistic(GalleryFeatures(images=y, reference=x, prompts=np.arange(60)))
    rows = np.random.default_rng(0).integers(60, size=60)

    assert statistic(np.arange(60)) == kid(x, y).kid
    assert statistic(rows) == kid(x, y[rows]).kid


@pytest.mark.parametrize(
    ("asked", "words"),
    [({"subsets": 0}, "asked for 0 subsets"), ({"size": 1}, "subsets of 1 images"), ({"seed": -1}, "by seed -1")],
)
def test_subsets_that_make_no_sense_are_refused(asked: dict[str, int], words: str) -> None:
    with pytest.raises(FeaturesError, match=words):
        kid(drawn(0, 10), drawn(1, 10), **asked)


def test_features_that_cannot_be_compared_are_refused() -> None:
    x, broken = drawn(25, 10), drawn(26, 10)
    broken[3, 1] = np.nan

    with pytest.raises(
        NotFiniteFeaturesError, match="second set hold NaN or infinity in 1 of 10 rows, the first is row 3"
    ):
        kid_u(x, broken)
    with pytest.raises(TooFewFeaturesError, match="first set have 1 rows, and 2 are needed"):
        kid_u(x[:1], x)
    with pytest.raises(MismatchedFeaturesError, match="first set have 8 columns and those of the second set have 5"):
        kid_u(x, drawn(27, 10, 5))
    with pytest.raises(ConstantFeaturesError, match="All 10 images of the second set have the same features"):
        kid_u(x, np.ones((10, 8)))
    with pytest.raises(FeaturesError, match="give both"):
        KID.influences(GalleryFeatures(images=x, prompts=np.arange(10)))
