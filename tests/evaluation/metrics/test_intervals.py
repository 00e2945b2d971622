"""Intervals over prompts with and without resampling, and paired differences."""

from dataclasses import replace

import numpy as np
import pytest
from jaxtyping import Float64, Int

from evaluation.metrics.base import (
    FeaturesError,
    GalleryFeatures,
    MismatchedFeaturesError,
    Statistic,
    TooFewFeaturesError,
)
from evaluation.metrics.bootstrap import interval_over_prompts
from evaluation.metrics.fid import FID, FrechetMetric
from evaluation.metrics.intervals import clustered_standard_error, interval, paired_difference, sign_flip_test


class Mean(FrechetMetric):
    """The mean of one feature: everything about it is known."""

    def statistic(self, features: GalleryFeatures) -> Statistic:
        values = self.per_image(features)
        return lambda rows: float(values[rows].mean())

    def per_image(self, features: GalleryFeatures) -> Float64[np.ndarray, " images"]:
        assert features.images is not None
        return features.images[:, 0].astype(np.float64)

    def influences(self, features: GalleryFeatures) -> Float64[np.ndarray, " images"] | None:
        values = self.per_image(features)
        return np.asarray(values - values.mean())


MEAN = Mean(name="mean", weights=FID.weights, extractor="inception", at_least=None)


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def gallery(values: np.ndarray, prompts: Int[np.ndarray, " images"]) -> GalleryFeatures:
    return GalleryFeatures(images=values[:, None], prompts=prompts)


def test_of_independent_images_it_is_the_interval_of_students_t() -> None:
    values = np.array([2.1, 3.4, 1.9, 4.0, 2.7])

    found = interval(MEAN, gallery(values, np.arange(5)), rng=rng(), method="linear")

    # t(4) at 97.5 % is 2.7764; s / sqrt(5) is 0.38923.
    assert found.standard_error == pytest.approx(values.std(ddof=1) / np.sqrt(5))
    assert found.high - found.value == pytest.approx(2.776445 * found.standard_error, rel=1e-6)
    assert (found.method, found.resamples, found.prompts) == ("linear", 0, 5)


def test_copies_of_an_image_within_a_prompt_make_it_no_narrower() -> None:
    influences = rng(1).normal(size=40)

    once = clustered_standard_error(influences, np.arange(40))
    copied = clustered_standard_error(np.repeat(influences, 3), np.repeat(np.arange(40), 3))

    assert copied == pytest.approx(once)


def test_auto_is_linear_from_thirty_prompts_on() -> None:
    values = rng(2).normal(size=30)

    few = interval(MEAN, gallery(values[:29], np.arange(29)), rng=rng(), resamples=50)
    enough = interval(MEAN, gallery(values, np.arange(30)), rng=rng(), resamples=50)

    assert (few.method, few.resamples) == ("bootstrap", 50)
    assert (enough.method, enough.resamples) == ("linear", 0)


def test_the_bootstrap_is_the_one_of_bootstrap_py() -> None:
    values, prompts = rng(3).normal(size=60), np.repeat(np.arange(20), 3)
    features = gallery(values, prompts)

    found = interval(MEAN, features, rng=rng(4), method="bootstrap", resamples=100)
    there = interval_over_prompts(MEAN.statistic(features), prompts, resamples=100, level=0.95, rng=rng(4))

    assert (found.low, found.high) == (there.low, there.high)


class Median(Mean):
    """A statistic that offers no influences."""

    def statistic(self, features: GalleryFeatures) -> Statistic:
        values = self.per_image(features)
        return lambda rows: float(np.median(values[rows]))

    def influences(self, features: GalleryFeatures) -> None:
        return None


def test_a_metric_without_influences_is_resampled_and_linear_is_refused() -> None:
    median = Median(name="median", weights=FID.weights, extractor="inception", at_least=None)
    features = gallery(rng(5).normal(size=40), np.arange(40))

    found = interval(median, features, rng=rng(), resamples=50)

    assert (found.method, found.resamples) == ("bootstrap", 50)
    assert found.low < found.value < found.high
    with pytest.raises(FeaturesError, match="median of these 40 images has no influences"):
        interval(median, features, rng=rng(), method="linear")


def test_the_interval_does_not_reach_below_what_the_metric_can_be() -> None:
    bounded = replace(MEAN, at_least=0.0)

    found = interval(bounded, gallery(np.array([0.0, 0.0, 1.0]), np.arange(3)), rng=rng(), method="linear")

    assert found.low == 0


def test_a_pair_is_more_certain_than_its_parts_where_prompts_move_both() -> None:
    prompts = np.repeat(np.arange(100), 2)
    common = np.repeat(rng(7).normal(size=100), 2)
    a, b = (gallery(common + 0.1 * rng(seed).normal(size=200) + shift, prompts) for seed, shift in ((8, 0.05), (9, 0)))

    apart = interval(MEAN, a, rng=rng())
    both = paired_difference(MEAN, a, b, rng=rng())
    drawn = paired_difference(MEAN, a, b, rng=rng(), method="bootstrap", resamples=400)

    assert both.standard_error < apart.standard_error / 5
    assert both.low < 0.05 < both.high
    assert drawn.standard_error == pytest.approx(both.standard_error, rel=0.15)
    assert (both.test, both.method, drawn.method) == ("sign-flip", "linear", "bootstrap")


def test_a_difference_of_distances_is_tested_by_t_and_changes_sign_with_the_order() -> None:
    images, reference = rng(10).normal(size=(200, 6)), rng(11).normal(size=(900, 6))
    a = GalleryFeatures(images=images + 1, reference=reference, prompts=np.arange(200))
    b = replace(a, images=images)

    there, back = paired_difference(FID, a, b, rng=rng()), paired_difference(FID, b, a, rng=rng())

    assert there.test == "t"
    assert there.value == -back.value > 0
    assert there.p_value == back.p_value < 0.001
    assert there.low == pytest.approx(-back.high)


def test_a_gallery_does_not_differ_from_itself() -> None:
    a = GalleryFeatures(
        images=rng(12).normal(size=(90, 4)), reference=rng(13).normal(size=(90, 4)), prompts=np.arange(90)
    )

    found = paired_difference(FID, a, a, rng=rng())

    assert (found.value, found.low, found.high, found.p_value) == (0, 0, 0, 1)


def test_galleries_of_other_prompts_are_refused() -> None:
    with pytest.raises(MismatchedFeaturesError, match="do not pair prompt by prompt"):
        paired_difference(MEAN, gallery(np.ones(4), np.arange(4)), gallery(np.ones(4), np.arange(4)[::-1]), rng=rng())


def test_one_prompt_gives_no_interval() -> None:
    with pytest.raises(TooFewFeaturesError, match="two prompts or more"):
        interval(MEAN, gallery(np.ones(3), np.zeros(3, dtype=int)), rng=rng())


def test_sign_flips_of_few_prompts_are_all_tried() -> None:
    """Fisher's way: of the 2^5 sign patterns of five positive differences, two are as extreme."""
    p_value = sign_flip_test(np.array([1.0, 2, 3, 4, 5]), np.arange(5), flips=100, rng=rng())

    assert p_value == 2 / 32


def test_random_sign_flips_agree_with_all_of_them_and_are_never_zero() -> None:
    differences = rng(14).normal(0.4, 1, size=14)

    every = sign_flip_test(differences, np.arange(14), flips=2**14, rng=rng())
    some = sign_flip_test(differences, np.arange(14), flips=9_000, rng=rng())
    sure = sign_flip_test(np.ones(60), np.arange(60), flips=999, rng=rng())

    assert some == pytest.approx(every, abs=0.02)
    assert sure == 1 / 1000


def test_images_of_a_prompt_flip_together() -> None:
    """Six images of two prompts are two differences: no p-value below a half can come of them."""
    assert sign_flip_test(np.ones(6), np.repeat([0, 1], 3), flips=100, rng=rng()) == 0.5


def test_the_sign_flip_test_refuses_no_more_often_than_it_says() -> None:
    refused = 0
    for seed in range(300):
        by_prompt = rng(seed).normal(size=15)
        differences = np.repeat(by_prompt, 2) + 0.3 * rng(seed + 1000).normal(size=30)
        refused += sign_flip_test(differences, np.repeat(np.arange(15), 2), flips=200, rng=rng(seed)) <= 0.05

    assert 4 <= refused <= 27
