"""CLIP-Score in both conventions."""

import numpy as np
import pytest

from evaluation.metrics.base import FeaturesError, GalleryFeatures, Metric, MismatchedFeaturesError
from evaluation.metrics.clip_score import CLIP_SCORE, CLIP_SCORE_HESSEL, clip_score, clip_score_hessel, cosines


def at_angles(*degrees: float) -> np.ndarray:
    """Vectors in the plane at these angles, of different lengths."""
    radians = np.radians(degrees)
    return np.stack([np.cos(radians), np.sin(radians)], axis=1) * np.arange(1, len(degrees) + 1)[:, None]


def test_cosines_do_not_depend_on_the_lengths() -> None:
    found = cosines(at_angles(0, 60, 120), 7 * at_angles(0, 0, 0))

    assert found == pytest.approx([1, 0.5, -0.5])


def test_the_first_convention_clamps_the_mean_and_the_second_each_image() -> None:
    """Cosines 1 and -0.5: a mean of 0.25, and of 0.5 once the negative one counts as 0."""
    images, texts = at_angles(0, 120), at_angles(0, 0)

    assert clip_score(images, texts) == pytest.approx(25)
    assert clip_score_hessel(images, texts) == pytest.approx(2.5 * 0.5)


def test_neither_convention_goes_below_zero() -> None:
    images, texts = at_angles(180, 180), at_angles(0, 0)

    assert clip_score(images, texts) == 0
    assert clip_score_hessel(images, texts) == 0


@pytest.mark.parametrize(("metric", "function"), [(CLIP_SCORE, clip_score), (CLIP_SCORE_HESSEL, clip_score_hessel)])
def test_the_metric_of_chosen_rows_is_the_score_of_those_rows(metric: Metric, function: object) -> None:
    rng = np.random.default_rng(0)
    images, texts = rng.normal(size=(20, 5)).astype(np.float32), rng.normal(size=(20, 5)).astype(np.float32)
    rows = rng.integers(20, size=20)
    statistic = metric.statistic(GalleryFeatures(images=images, texts=texts, prompts=np.arange(20)))

    assert callable(function)
    assert statistic(rows) == pytest.approx(function(images[rows], texts[rows]))


def test_images_and_texts_of_different_models_are_refused() -> None:
    with pytest.raises(MismatchedFeaturesError, match="every image needs the features of its own text"):
        cosines(np.ones((3, 4)), np.ones((3, 5)))


def test_features_without_a_direction_are_refused() -> None:
    with pytest.raises(FeaturesError, match="features of image 1 are all zero"):
        cosines(np.array([[1.0, 0], [0, 0]]), np.ones((2, 2)))


def test_a_gallery_without_its_prompts_is_refused() -> None:
    with pytest.raises(FeaturesError, match="clip_score compares images with their prompts"):
        CLIP_SCORE.statistic(GalleryFeatures(images=np.ones((2, 2)), prompts=np.arange(2)))


@pytest.mark.parametrize("metric", [CLIP_SCORE, CLIP_SCORE_HESSEL])
def test_the_score_is_the_mean_of_what_each_image_has_and_influences_are_the_rest(metric: Metric) -> None:
    features = GalleryFeatures(images=at_angles(0, 60, 120), texts=at_angles(0, 0, 0), prompts=np.arange(3))
    rows = np.array([0, 0, 1])
    statistic = metric.statistic(features)

    each, influences = metric.per_image(features), metric.influences(features)

    assert each is not None
    assert influences is not None
    assert statistic(np.arange(3)) == pytest.approx(each.mean())
    assert statistic(np.arange(3)) + influences[rows].mean() == pytest.approx(statistic(rows))


def test_a_mean_that_is_clamped_is_moved_by_no_image() -> None:
    features = GalleryFeatures(images=at_angles(180, 150), texts=at_angles(0, 0), prompts=np.arange(2))

    assert CLIP_SCORE.influences(features).tolist() == [0, 0]
    assert CLIP_SCORE.per_image(features)[0] == pytest.approx(-100)
