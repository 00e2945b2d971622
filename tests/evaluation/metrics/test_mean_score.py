"""Means of learned judges' scores, over images and over captions."""

import numpy as np
import pytest

from evaluation.metrics import METRICS
from evaluation.metrics.base import (
    FeaturesError,
    GalleryFeatures,
    Metric,
    NotFiniteFeaturesError,
    TooFewFeaturesError,
)
from evaluation.metrics.mean_score import AESTHETIC_MEAN, HPS_V2_1_MEAN, HPS_V2_MEAN, IMAGE_REWARD_MEAN, TIFA_MEAN
from evaluation.scorers import SCORERS
from prompts.plugins import load_plugin

PROMPTS = np.array([0, 0, 0, 1])


def scored(*scores: float) -> GalleryFeatures:
    return GalleryFeatures(prompts=PROMPTS[: len(scores)], scores=np.array(scores, dtype=np.float32))


def test_a_mean_over_images_weighs_images_and_one_over_captions_weighs_captions() -> None:
    features = scored(1, 0, 0.5, 0)

    assert IMAGE_REWARD_MEAN.statistic(features)(np.arange(4)) == pytest.approx(1.5 / 4)
    assert TIFA_MEAN.statistic(features)(np.arange(4)) == pytest.approx((0.5 + 0) / 2)


def test_a_caption_that_is_drawn_twice_weighs_twice() -> None:
    statistic = TIFA_MEAN.statistic(scored(1, 0, 0.5, 0))

    assert statistic(np.array([0, 1, 2, 0, 1, 2, 3])) == pytest.approx((0.5 + 0.5 + 0) / 3)


def test_influences_give_the_interval_of_the_captions_means() -> None:
    """The sum of a caption's influences over the number of images is its mean's distance to the value, by captions."""
    features = scored(1, 0, 0.5, 0.1)
    influences = TIFA_MEAN.influences(features)

    by_caption = [influences[:3].sum() / 4, influences[3].sum() / 4]

    assert by_caption == pytest.approx([(0.5 - 0.3) / 2, (0.1 - 0.3) / 2])
    assert IMAGE_REWARD_MEAN.influences(features) == pytest.approx(np.array([1, 0, 0.5, 0.1]) - 0.4, abs=1e-7)


def test_each_image_keeps_its_own_score() -> None:
    assert TIFA_MEAN.per_image(scored(1, 0, 0.5, 0)).tolist() == [1, 0, 0.5, 0]


@pytest.mark.parametrize("name", ["image_reward", "hps_v2", "hps_v2_1", "pick_score", "aesthetic", "tifa"])
def test_every_scored_metric_is_in_the_table_and_names_a_scorer(name: str) -> None:
    metric = load_plugin(METRICS, name, "metric")

    assert isinstance(metric, Metric)
    assert metric.name == name
    assert metric.scored
    assert metric.extractor in SCORERS
    assert metric.definition["score"]


def test_the_two_versions_of_hps_say_which_they_are() -> None:
    assert HPS_V2_MEAN.definition != HPS_V2_1_MEAN.definition
    assert AESTHETIC_MEAN.text_prefix is None


def test_scores_that_are_missing_or_broken_are_refused() -> None:
    with pytest.raises(FeaturesError, match="image_reward is a mean of scores, and no scores were given"):
        IMAGE_REWARD_MEAN.statistic(GalleryFeatures(prompts=PROMPTS))
    with pytest.raises(NotFiniteFeaturesError, match="NaN or infinity for 1 of 3 images, the first is image 1"):
        IMAGE_REWARD_MEAN.statistic(scored(1, np.nan, 2))
    with pytest.raises(TooFewFeaturesError, match="no scores"):
        IMAGE_REWARD_MEAN.statistic(scored())
