"""CMMD against 40 digits, and what must not change it."""

import mpmath
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evaluation.metrics.base import FeaturesError, GalleryFeatures, MismatchedFeaturesError
from evaluation.metrics.cmmd import CMMD, cmmd, cmmd_sums


def drawn(seed: int, n: int, d: int = 6, *, shift: float = 0.0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(n, d)) + shift


def unit(rows: np.ndarray) -> np.ndarray:
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def in_forty_digits(x: np.ndarray, y: np.ndarray) -> float:
    with mpmath.workdps(40):

        def mean(a: np.ndarray, b: np.ndarray) -> mpmath.mpf:
            kernel = [
                mpmath.exp(
                    -mpmath.fsum((mpmath.mpf(float(p)) - mpmath.mpf(float(q))) ** 2 for p, q in zip(u, v, strict=True))
                    / 200
                )
                for u in a
                for v in b
            ]
            return mpmath.fsum(kernel) / len(kernel)

        return float(1000 * (mean(x, x) + mean(y, y) - 2 * mean(x, y)))


def test_it_agrees_with_forty_digits() -> None:
    x, y = drawn(0, 9), drawn(1, 11, shift=0.5)

    found = cmmd(x, y)

    assert found == pytest.approx(in_forty_digits(x, y), rel=1e-12)


def test_rows_of_length_one_keep_their_digits() -> None:
    """The kernel of CLIP features is within 2 per cent of 1: their difference is what is left."""
    x, y = unit(drawn(2, 12, 32)), unit(drawn(3, 12, 32, shift=0.1))

    assert cmmd(x, y) == pytest.approx(in_forty_digits(x, y), rel=1e-11)


@pytest.mark.parametrize("offset", [1e4, -1e6])
def test_a_common_offset_costs_no_digits(offset: float) -> None:
    x, y = drawn(14, 9, shift=offset), drawn(15, 11, shift=offset + 0.5)

    assert cmmd(x, y) == pytest.approx(in_forty_digits(x, y), rel=1e-10)


def test_far_apart_rows_are_only_near_themselves_however_large_they_are() -> None:
    """The kernel of any two of them is 0 and of each with itself 1: 1,000 (1 / n + 1 / m) is all that is left."""
    x, y = 1e20 * drawn(16, 12), 1e20 * drawn(17, 8)

    assert cmmd(x, y) == pytest.approx(1000 * (1 / 12 + 1 / 8), rel=1e-12)


def test_the_function_takes_features_as_given_and_the_metric_scales_them() -> None:
    x, y = 30 * drawn(4, 40), 5 * drawn(5, 30, shift=0.5)
    features = GalleryFeatures(images=y, reference=x, prompts=np.arange(30))

    measured = CMMD.statistic(features)(np.arange(30))

    assert measured == pytest.approx(cmmd(unit(x), unit(y)), rel=1e-10)
    assert measured != pytest.approx(cmmd(x, y), rel=0.01)


def test_the_metric_of_chosen_rows_is_the_number_of_those_rows() -> None:
    x, y = drawn(6, 40), drawn(7, 30, shift=0.5)
    rows = np.random.default_rng(8).integers(30, size=25)
    statistic = CMMD.statistic(GalleryFeatures(images=y, reference=x, prompts=np.arange(30)))

    assert statistic(rows) == pytest.approx(cmmd(unit(x), unit(y[rows])), rel=1e-10)


def test_influences_are_the_slope_towards_a_set_with_more_of_one_image() -> None:
    """The value of y with image i many times over, 1 in 1,000 more, changes by a thousandth of its influence."""
    x, y = drawn(9, 20), drawn(10, 10, shift=0.5)
    features = GalleryFeatures(images=y, reference=x, prompts=np.arange(10))
    influences, statistic = CMMD.influences(features), CMMD.statistic(features)

    more = np.concatenate([np.repeat(np.arange(10), 1000), np.full(10, 3)])
    slope = (statistic(more) - statistic(np.arange(10))) * 1001

    assert influences.sum() == pytest.approx(0, abs=1e-10)
    assert slope == pytest.approx(influences[3], rel=0.01, abs=1e-6)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), n=st.integers(2, 30), m=st.integers(2, 30), block=st.integers(1, 40))
def test_it_is_symmetric_never_negative_and_knows_no_blocks(seed: int, n: int, m: int, block: int) -> None:
    x, y = drawn(seed, n), drawn(seed + 1, m)

    found = cmmd(x, y)

    assert found >= 0
    assert cmmd(y, x) == pytest.approx(found, abs=1e-10)
    assert 1000 * cmmd_sums(x, y[::-1].copy(), block=block).biased() == pytest.approx(found, abs=1e-10)


def test_a_set_lies_at_no_distance_from_itself() -> None:
    x = drawn(11, 30)

    assert cmmd(x, x) == pytest.approx(0, abs=1e-11)


def test_what_cannot_be_compared_is_refused() -> None:
    x = drawn(12, 10)
    nothing = x.copy()
    nothing[4] = 0

    with pytest.raises(MismatchedFeaturesError, match="both must come from the same extractor"):
        cmmd(x, drawn(13, 10, 5))
    with pytest.raises(FeaturesError, match="features of image 4 are all zero"):
        CMMD.influences(GalleryFeatures(images=nothing, reference=x, prompts=np.arange(10)))
    with pytest.raises(FeaturesError, match="give both"):
        CMMD.statistic(GalleryFeatures(images=x, prompts=np.arange(10)))
