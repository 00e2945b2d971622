"""Precision, recall, density and coverage against worked examples, the textbook's way, and a formula of its authors."""

from math import prod
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evaluation.metrics.base import (
    ConstantFeaturesError,
    FeaturesError,
    GalleryFeatures,
    NotFiniteFeaturesError,
    TooFewFeaturesError,
)
from evaluation.metrics.prdc import COVERAGE, DENSITY, PRECISION, RECALL, Prdc, PrdcMetric, manifolds, prdc
from evaluation.metrics.radii import radii

seeds = st.integers(min_value=0, max_value=2**32 - 1)
ALL = (PRECISION, RECALL, DENSITY, COVERAGE)


def drawn(seed: int, n: int, d: int = 5, *, shift: float = 0.0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(n, d)) + shift


def on_a_line(*places: float) -> np.ndarray:
    return np.array(places, dtype=np.float64)[:, None]


def by_all_distances(real: np.ndarray, generated: np.ndarray, k: int) -> Prdc:
    """As the papers write it, with whole tables of distances."""

    def distances(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return np.linalg.norm(a[:, None] - b[None], axis=2)

    def reach(a: np.ndarray) -> np.ndarray:
        return np.sort(distances(a, a), axis=1)[:, k]

    between = distances(real, generated)
    in_real = between < reach(real)[:, None]
    return Prdc(
        precision=float(in_real.any(axis=0).mean()),
        recall=float((between < reach(generated)[None]).any(axis=1).mean()),
        density=float(in_real.sum(axis=0).mean() / k),
        coverage=float((between.min(axis=1) < reach(real)).mean()),
    )


def test_a_worked_example_on_a_line() -> None:
    """Real balls: 0, 1, 2 reach 1 and 10 reaches 8; generated balls: 0.5 and 2.5 reach 2, 30 reaches 27.5.

    0.5 lies in two real balls, 2.5 in those of 2 and 10, 30 in none. Of the real ones 0, 1, 2 lie in a generated ball,
    and so does 10, in that of 30.
    """
    real, generated = on_a_line(0, 1, 2, 10), on_a_line(0.5, 2.5, 30)

    found = prdc(real, generated, k=1)

    assert found == Prdc(precision=2 / 3, recall=1.0, density=4 / 3, coverage=1.0)


def test_what_lies_on_the_rim_is_outside() -> None:
    real, generated = on_a_line(0, 1, 3), on_a_line(-1, 4, 6)

    found = prdc(real, generated, k=1)

    assert found.precision == pytest.approx(1 / 3)  # 4 lies within 2 of 3; -1 lies on the rim of 0's ball
    assert found.coverage == pytest.approx(1 / 3)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("n", "m", "k"), [(60, 90, 5), (200, 40, 3), (9, 12, 8)])
def test_they_agree_with_whole_tables_of_distances(n: int, m: int, k: int, dtype: type) -> None:
    real, generated = drawn(1, n).astype(dtype), drawn(2, m, shift=0.4).astype(dtype)

    found = prdc(real, generated, k=k)

    assert found == by_all_distances(real.astype(np.float64), generated.astype(np.float64), k)


def test_equal_distributions_have_the_coverage_and_the_density_that_the_authors_derive() -> None:
    """Naeem et al., section 3.3: density 1 and coverage 1 - (N-1)...(N-k) / ((M+N-1)...(M+N-k)) on average."""
    n, m, k = 60, 40, 3
    expected = 1 - prod(n - i for i in range(1, k + 1)) / prod(n + m - i for i in range(1, k + 1))

    found = [prdc(drawn(seed, n), drawn(10_000 + seed, m), k=k) for seed in range(150)]

    coverages, densities = [one.coverage for one in found], [one.density for one in found]
    assert np.mean(coverages) == pytest.approx(expected, abs=4 * np.std(coverages) / np.sqrt(150))
    assert np.mean(densities) == pytest.approx(1, abs=4 * np.std(densities) / np.sqrt(150))


@settings(max_examples=25, deadline=None)
@given(seed=seeds, n=st.integers(4, 40), d=st.integers(1, 6), k=st.integers(1, 3), offset=st.sampled_from([0.0, 1e4]))
def test_a_set_against_itself_has_all_and_a_density_of_exactly_one(
    seed: int, n: int, d: int, k: int, offset: float
) -> None:
    """Each ball holds its centre and the k - 1 nearest; the k-th lies on the rim."""
    x = drawn(seed, n, d, shift=offset)

    found = prdc(x, x[::-1].copy(), k=k)

    assert found == Prdc(precision=1.0, recall=1.0, density=1.0, coverage=1.0)


@settings(max_examples=25, deadline=None)
@given(seed=seeds, block=st.integers(1, 60), copies=st.integers(0, 10))
def test_neither_order_nor_blocks_nor_copies_within_blocks_change_anything(seed: int, block: int, copies: int) -> None:
    real, generated = drawn(seed, 30), drawn(seed + 1, 25)
    generated[:copies] = real[:copies]
    order = np.random.default_rng(seed).permutation(30)

    whole, parts = manifolds(real, generated, k=4), manifolds(real[order], generated, k=4, block=block)

    assert parts.prdc() == whole.prdc()
    assert (parts.within_real == whole.within_real).all()
    assert (parts.covered == whole.covered[order]).all()


@settings(max_examples=20, deadline=None)
@given(seed=seeds, k=st.integers(1, 10))
def test_wider_balls_hold_no_less(seed: int, k: int) -> None:
    real, generated = drawn(seed, 20), drawn(seed + 1, 20, shift=0.5)

    narrow, wide = prdc(real, generated, k=k), prdc(real, generated, k=k + 1)

    assert wide.precision >= narrow.precision
    assert wide.recall >= narrow.recall
    assert wide.coverage >= narrow.coverage


def test_real_images_come_first() -> None:
    spread, narrow = 3 * drawn(3, 100), 0.3 * drawn(4, 100)

    found = prdc(spread, narrow)

    assert found.precision > 0.95
    assert found.recall < 0.5


def test_memory_mapped_features_give_the_same_numbers(tmp_path: Path) -> None:
    real, generated = drawn(5, 1100), drawn(6, 50)
    np.save(tmp_path / "real.npy", real)

    assert prdc(np.load(tmp_path / "real.npy", mmap_mode="r"), generated) == prdc(real, generated)


@pytest.mark.parametrize("metric", ALL, ids=lambda one: one.name)
def test_each_metric_is_one_of_the_four_of_any_rows(metric: PrdcMetric) -> None:
    real, generated = drawn(7, 80), drawn(8, 60, shift=0.3)
    rows = np.random.default_rng(9).choice(60, size=45, replace=False)
    statistic = metric.statistic(GalleryFeatures(images=generated, reference=real, prompts=np.arange(60)))

    every, chosen = statistic(np.arange(60)), statistic(rows)

    assert every == pytest.approx(getattr(prdc(real, generated), metric.name))
    if metric.name == "recall":  # the balls stay those of the whole gallery
        within = np.square(real[:, None] - generated[None]).sum(axis=2) < radii(generated, 5)[None]
        assert chosen == pytest.approx(within[:, rows].any(axis=1).mean())
    else:
        assert chosen == pytest.approx(getattr(prdc(real, generated[rows]), metric.name))


@pytest.mark.parametrize("metric", ALL, ids=lambda one: one.name)
def test_means_over_images_have_influences_and_unions_have_none(metric: PrdcMetric) -> None:
    features = GalleryFeatures(images=drawn(10, 50), reference=drawn(11, 60), prompts=np.arange(50))

    each, influences = metric.per_image(features), metric.influences(features)

    if metric in (RECALL, COVERAGE):
        assert each is None
        assert influences is None
    else:
        assert each is not None
        assert influences is not None
        assert each.mean() == pytest.approx(metric.statistic(features)(np.arange(50)))
        assert influences.sum() == pytest.approx(0, abs=1e-12)


def test_an_image_drawn_twice_counts_once_in_a_union() -> None:
    features = GalleryFeatures(images=drawn(12, 50), reference=drawn(13, 60), prompts=np.arange(50))

    for metric in (RECALL, COVERAGE):
        statistic = metric.statistic(features)
        assert statistic(np.repeat(np.arange(50), 2)) == statistic(np.arange(50))


def test_what_cannot_be_judged_is_refused() -> None:
    x = drawn(14, 10)
    broken = x.copy()
    broken[2, 0] = np.inf

    with pytest.raises(FeaturesError, match="k is 0"):
        prdc(x, x, k=0)
    with pytest.raises(TooFewFeaturesError, match="10 real images, and k = 10 needs more than 10"):
        prdc(x, drawn(15, 30), k=10)
    with pytest.raises(TooFewFeaturesError, match="3 generated images"):
        prdc(x, x[:3])
    with pytest.raises(NotFiniteFeaturesError, match="the generated images hold NaN or infinity"):
        prdc(x, broken)
    with pytest.raises(ConstantFeaturesError, match="of the real images have the same features"):
        prdc(np.ones((10, 5)), x)
    with pytest.raises(FeaturesError, match="give both"):
        PRECISION.statistic(GalleryFeatures(images=x, prompts=np.arange(10)))
