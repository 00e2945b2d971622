"""The interval over prompts."""

import numpy as np
import pytest

from evaluation.metrics.base import TooFewFeaturesError
from evaluation.metrics.bootstrap import interval_over_prompts
from evaluation.metrics.frechet import DistanceToReference


def of_mean(values: np.ndarray, prompts: np.ndarray, seed: int = 0) -> tuple[float, float, float]:
    interval = interval_over_prompts(
        lambda rows: float(values[rows].mean()), prompts, resamples=400, level=0.95, rng=np.random.default_rng(seed)
    )
    return interval.value, interval.low, interval.high


def test_of_a_mean_it_is_as_wide_as_the_standard_error_says() -> None:
    values = np.random.default_rng(1).normal(size=500)

    value, low, high = of_mean(values, np.arange(500))

    assert value == values.mean()
    assert high - low == pytest.approx(2 * 1.96 * values.std(ddof=1) / np.sqrt(500), rel=0.15)


def test_copies_of_an_image_within_a_prompt_make_it_no_narrower() -> None:
    values = np.random.default_rng(2).normal(size=60)

    _, low, high = of_mean(values, np.arange(60))
    _, low_of_copies, high_of_copies = of_mean(np.repeat(values, 4), np.repeat(np.arange(60), 4))

    assert (low_of_copies, high_of_copies) == pytest.approx((low, high))


def test_it_covers_the_truth_about_as_often_as_it_says() -> None:
    rng = np.random.default_rng(3)
    covered = 0
    for seed in range(100):
        by_prompt = rng.normal(size=40)
        values = np.repeat(by_prompt, 2) + rng.normal(size=80)
        _, low, high = of_mean(values, np.repeat(np.arange(40), 2), seed)
        covered += low <= 0 <= high

    assert 88 <= covered <= 100


def test_the_same_seed_gives_the_same_interval() -> None:
    values = np.random.default_rng(4).normal(size=30)

    assert of_mean(values, np.arange(30), seed=7) == of_mean(values, np.arange(30), seed=7)


def test_a_distance_that_every_resample_raises_lies_inside_its_interval() -> None:
    rng = np.random.default_rng(5)
    statistic = DistanceToReference(rng.normal(size=(40, 12)), rng.normal(size=(200, 12)) + 0.2)

    interval = interval_over_prompts(
        statistic, np.arange(40), resamples=200, level=0.95, rng=np.random.default_rng(6), at_least=0.0
    )

    assert 0 <= interval.low < interval.value < interval.high
    assert interval.prompts == 40


def test_one_prompt_gives_no_interval() -> None:
    with pytest.raises(TooFewFeaturesError, match="needs two prompts or more"):
        of_mean(np.ones(5), np.zeros(5, dtype=int))
