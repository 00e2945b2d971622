"""The Frechet metrics: influences against differences and bootstraps, intervals against many galleries."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats
from scipy.stats import ortho_group

from evaluation.metrics import METRICS
from evaluation.metrics.base import FeaturesError, GalleryFeatures, Metric, TooFewFeaturesError
from evaluation.metrics.fd_infinity import fd_infinity, intercept_weights, subset_sizes
from evaluation.metrics.fid import FID, FID_INFINITY, frechet_influences
from evaluation.metrics.frechet import FrechetReference, frechet_distance
from evaluation.metrics.intervals import interval, paired_difference
from prompts.plugins import load_plugin

D = 12
MIX = np.random.default_rng(99).normal(size=(D, D)) * 0.7 ** np.arange(D)[:, None]
REFERENCE = np.maximum(np.random.default_rng(98).normal(size=(5000, D)) @ MIX + 0.6, 0)


def gallery(seed: int, prompts: int, each: int, *, shift: float = 0.0, own: int = 0) -> GalleryFeatures:
    """Rectified, skewed features; images of a prompt share half of their variance, and so do entrants' (`own`)."""
    rng, rng_own = np.random.default_rng([seed, 1]), np.random.default_rng([seed, 2, own])
    causes = rng.normal(size=(prompts, 1, D)) + rng_own.normal(size=(prompts, each, D))
    images = np.maximum(causes.reshape(-1, D) / np.sqrt(2) @ MIX + 0.5 + shift, 0)
    return GalleryFeatures(images=images, prompts=np.repeat(np.arange(prompts), each), reference=REFERENCE)


def images_of(features: GalleryFeatures) -> np.ndarray:
    assert features.images is not None
    return features.images


@pytest.mark.parametrize("name", ["clip_fid", "fid", "fid_infinity", "dinov2_fd"])
def test_every_line_is_a_metric_of_its_name_without_values_of_single_images(name: str) -> None:
    metric = load_plugin(METRICS, name, "metric")

    assert isinstance(metric, Metric)
    assert (metric.name, metric.better, metric.scored, metric.compares_with) == (name, "lower", False, "real")
    assert metric.per_image(gallery(0, 20, 1)) is None


def test_influences_foretell_what_leaving_an_image_out_does() -> None:
    features = gallery(1, 400, 1)
    images = images_of(features)
    whole = frechet_distance(images, REFERENCE)

    influences = FID.influences(features)

    assert influences is not None
    assert influences.sum() == pytest.approx(0, abs=1e-9)
    without = np.array([frechet_distance(np.delete(images, row, axis=0), REFERENCE) for row in range(60)])
    # Leaving image i out moves the distance by -psi_i / (n - 1), and by what one image less does whichever it is.
    moves = -(without - whole) * 399
    assert np.corrcoef(moves, influences[:60])[0, 1] > 0.99
    assert np.polyfit(influences[:60], moves, 1)[0] == pytest.approx(1, abs=0.05)


def test_influences_of_float32_features_are_the_same() -> None:
    features = gallery(2, 300, 1)
    assert features.images is not None

    exact = FID.influences(features)
    single = FID.influences(replace(features, images=features.images.astype(np.float32)))

    assert single == pytest.approx(exact, abs=1e-4)


def test_a_dead_feature_and_a_flat_reference_leave_influences_finite() -> None:
    rng = np.random.default_rng(3)
    images, reference = rng.normal(size=(200, 6)), rng.normal(size=(5, 6))
    images[:, 2] = 0.5

    influences = frechet_influences(images, FrechetReference(reference))

    assert influences is not None
    assert np.isfinite(influences).all()


def test_few_images_and_many_share_one_formula() -> None:
    """Lifted into more dimensions than there are images, in which they do not vary, nothing changes."""
    rng = np.random.default_rng(4)
    images, reference = rng.normal(size=(30, 5)), rng.normal(size=(400, 5)) + 0.2
    axes = ortho_group.rvs(40, random_state=4)[:5]

    plain = frechet_influences(images, FrechetReference(reference))
    lifted = frechet_influences(images @ axes, FrechetReference(reference @ axes), of_few=True)

    assert frechet_influences(images @ axes, FrechetReference(reference @ axes)) is None
    assert lifted == pytest.approx(plain, abs=1e-6)


def test_intervals_cover_with_fewer_images_than_features_too() -> None:
    """10 images of 12 features, which a bootstrap would give intervals twice as wide as they should be."""
    found = [
        interval(FID, gallery(seed, 10, 1), rng=np.random.default_rng(seed), method="linear") for seed in range(200)
    ]

    values = np.array([one.value for one in found])
    covered = sum(one.low <= values.mean() <= one.high for one in found)
    assert covered >= stats.binom.ppf(5e-5, 200, 0.95)
    assert 0.9 < np.mean([one.standard_error for one in found]) / values.std() < 1.5


@pytest.mark.parametrize("metric", [FID, FID_INFINITY])
def test_intervals_cover_what_other_galleries_of_the_entrant_would_score(metric: Metric) -> None:
    """150 galleries of 100 prompts with two images each: the truth is their mean."""
    found = [interval(metric, gallery(seed, 100, 2), rng=np.random.default_rng(seed)) for seed in range(150)]

    values = np.array([one.value for one in found])
    covered = sum(one.low <= values.mean() <= one.high for one in found)
    assert {one.method for one in found} == {"linear"}
    # 95 % of 150 is 142.5; a right interval falls out of these bounds once in ten thousand times.
    low, high = stats.binom.ppf([5e-5, 1 - 5e-5], 150, 0.95)
    assert low <= covered <= high
    assert np.mean([one.standard_error for one in found]) == pytest.approx(values.std(), rel=0.25)


def test_the_linear_interval_agrees_with_the_bootstrap_where_images_are_many() -> None:
    features = gallery(5, 500, 2)

    linear = interval(FID, features, rng=np.random.default_rng(0), method="linear")
    drawn = interval(FID, features, rng=np.random.default_rng(0), method="bootstrap", resamples=200)

    assert linear.value == drawn.value
    assert linear.standard_error == pytest.approx(drawn.standard_error, rel=0.25)


def test_intervals_of_paired_differences_cover_the_difference() -> None:
    found = [
        paired_difference(
            FID, gallery(seed, 120, 1, own=1), gallery(seed, 120, 1, own=2, shift=0.1), rng=np.random.default_rng(seed)
        )
        for seed in range(150)
    ]

    values = np.array([one.value for one in found])
    covered = sum(one.low <= values.mean() <= one.high for one in found)
    assert covered >= stats.binom.ppf(5e-5, 150, 0.95)
    assert np.mean([one.standard_error for one in found]) == pytest.approx(values.std(), rel=0.3)


def test_a_gallery_without_images_or_reference_is_refused() -> None:
    whole = gallery(6, 20, 1)

    with pytest.raises(FeaturesError, match="fid compares images, and no features of them were given"):
        FID.statistic(replace(whole, images=None))
    with pytest.raises(FeaturesError, match="fid compares with reference images"):
        FID.influences(replace(whole, reference=None))


def test_another_reference_is_another_distance() -> None:
    features = gallery(7, 50, 1)
    rows = np.arange(50)

    first = FID.statistic(features)(rows)
    second = FID.statistic(replace(features, reference=REFERENCE + 1))(rows)

    assert first == pytest.approx(frechet_distance(images_of(features), REFERENCE), rel=1e-12)
    assert second == pytest.approx(frechet_distance(images_of(features), REFERENCE + 1), rel=1e-12)


def test_at_infinity_the_distance_of_one_population_to_itself_is_nearly_nothing() -> None:
    """4,000 images read 0.19, of which nearly all is their number; the line's end is an eighth of it and less."""
    rng = np.random.default_rng(8)
    x, y = rng.normal(size=(4000, 40)), rng.normal(size=(200_000, 40))

    reading = fd_infinity(x, y, seed=1)

    at_all = reading.distances[-1]
    assert at_all == pytest.approx(frechet_distance(x, y))
    assert abs(reading.value) < at_all / 8
    assert reading.slope > 0
    assert reading.sizes.tolist() == np.linspace(2000, 4000, 15).round().astype(int).tolist()
    assert reading.rows.sum(axis=1).tolist() == reading.sizes.tolist()


def test_the_line_is_the_one_of_scipy() -> None:
    reading = fd_infinity(images_of(gallery(9, 600, 1)), REFERENCE, points=8, smallest=100, seed=2)

    line = stats.linregress(1 / reading.sizes, reading.distances)

    assert reading.value == pytest.approx(line.intercept)
    assert reading.slope == pytest.approx(line.slope)
    assert reading.standard_error == pytest.approx(line.intercept_stderr)
    assert intercept_weights(reading.sizes) @ reading.distances == pytest.approx(line.intercept)


def test_the_seed_decides_the_subsets() -> None:
    images = images_of(gallery(10, 300, 1))

    once, again, other = (fd_infinity(images, REFERENCE, seed=seed) for seed in (3, 3, 4))

    assert once.value == again.value != other.value
    assert (once.rows == again.rows).all()


def test_the_papers_sizes_are_taken_where_images_are_many() -> None:
    assert subset_sizes(50_000, 2048)[[0, -1]].tolist() == [5000, 50_000]


@pytest.mark.parametrize(("images", "smallest"), [(20, None), (200, 12), (200, 199)])
def test_subsets_that_follow_no_line_are_refused(images: int, smallest: int | None) -> None:
    with pytest.raises(TooFewFeaturesError, match="more images than features"):
        fd_infinity(images_of(gallery(11, images, 1)), REFERENCE, smallest=smallest)
