"""The telephone test: what it finds where a round trip brings the image back, and where it brings back just any."""

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evaluation.audit.round_trip import RoundTrip, round_trip, similarities
from evaluation.metrics.base import FeaturesError, MismatchedFeaturesError, TooFewFeaturesError


def cloud(rng: np.random.Generator, *shape: int) -> np.ndarray:
    """Features about a common centre, as those of real networks are: any two are alike to some degree."""
    return rng.normal(size=shape) + 2.0


def measured(sources: np.ndarray, outputs: np.ndarray, draws: int = 9999) -> RoundTrip:
    return round_trip(sources, outputs, rng=np.random.default_rng(0), draws=draws)


def cosines(sources: np.ndarray, outputs: np.ndarray) -> np.ndarray:
    """s_ij by its definition, seeds averaged."""
    a = sources / np.linalg.norm(sources, axis=1)[:, None]
    b = outputs / np.linalg.norm(outputs, axis=2)[..., None]
    found: np.ndarray = np.einsum("id,jsd->ijs", a, b).mean(axis=2)
    return found


def test_an_identity_round_trip_gives_a_clearly_positive_effect() -> None:
    sources = cloud(np.random.default_rng(1), 30, 16)

    found = measured(sources, sources[:, None])

    assert found.own == pytest.approx(1)
    assert found.mismatched > 0.7
    assert found.difference == pytest.approx(found.own - found.mismatched)
    assert found.low > 0.1
    assert found.p_value == 1 / 10_000
    assert found.nearest == 1


def test_a_blind_captioner_gives_an_interval_around_0_in_95_of_100_simulations() -> None:
    rng = np.random.default_rng(2)
    covered = rejected = 0

    for _ in range(600):
        found = round_trip(cloud(rng, 30, 8), cloud(rng, 30, 1, 8), rng=rng, draws=199)
        covered += found.low <= 0 <= found.high
        rejected += found.p_value <= 0.05

    assert 0.93 <= covered / 600 <= 0.975
    assert 0.03 <= rejected / 600 <= 0.07


def test_the_interval_covers_a_true_effect_in_95_of_100_simulations() -> None:
    rng = np.random.default_rng(3)
    echo = 0.5  # how much of a source its round trip keeps

    def drawn(images: int) -> tuple[np.ndarray, np.ndarray]:
        sources = cloud(rng, images, 8)
        return sources, echo * (sources - 2) + rng.normal(size=sources.shape) + 2

    a, b = (rows / np.linalg.norm(rows, axis=1)[:, None] for rows in drawn(200_000))
    truth = float((a * b).sum(axis=1).mean() - (a * np.roll(b, 1, axis=0)).sum(axis=1).mean())

    covered = 0
    for _ in range(600):
        sources, outputs = drawn(40)
        found = round_trip(sources, outputs[:, None], rng=rng, draws=9)
        covered += found.low <= truth <= found.high

    assert truth > 0.02
    assert 0.925 <= covered / 600 <= 0.975


def test_a_model_that_always_paints_one_picture_brings_nothing_back() -> None:
    rng = np.random.default_rng(4)
    sources = cloud(rng, 10, 8)
    outputs = np.tile(sources.mean(axis=0), (10, 1, 1))

    found = measured(sources, outputs)

    assert found.own > 0.8
    assert (found.difference, found.low, found.high) == pytest.approx((0, 0, 0), abs=1e-12)
    assert found.p_value == 1
    assert found.nearest == pytest.approx(0.1)


@settings(max_examples=50, deadline=None)
@given(images=st.integers(4, 9), seeds=st.integers(1, 3), number=st.integers(0, 2**32 - 1))
def test_every_number_is_what_its_definition_says(images: int, seeds: int, number: int) -> None:
    rng = np.random.default_rng(number)
    sources, outputs = cloud(rng, images, 5), cloud(rng, images, seeds, 5)
    table = cosines(sources, outputs)
    others = ~np.eye(images, dtype=bool)

    found = measured(sources, outputs, draws=99)

    kernel = (np.diag(table)[:, None] + np.diag(table)[None] - table - table.T) / 2
    said = np.array([kernel[i, others[i]].mean() for i in range(images)])
    error = np.sqrt(4 * (images - 1) / (images * (images - 2) ** 2) * ((said - kernel[others].mean()) ** 2).sum())
    assert found.own == pytest.approx(np.diag(table).mean())
    assert found.mismatched == pytest.approx(table[others].mean())
    assert found.difference == pytest.approx(kernel[others].mean())
    assert found.standard_error == pytest.approx(error)
    assert found.nearest == pytest.approx((table.argmax(axis=1) == np.arange(images)).mean())
    each = similarities(sources, outputs)
    assert each.mismatched == pytest.approx([table[i, others[i]].mean() for i in range(images)])


def test_the_jackknife_is_that_of_leaving_one_image_out() -> None:
    rng = np.random.default_rng(5)
    n = 12
    table = cosines(sources := cloud(rng, n, 6), outputs := cloud(rng, n, 1, 6))

    def difference(kept: np.ndarray) -> float:
        part = table[np.ix_(kept, kept)]
        return float(np.diag(part).mean() - part[~np.eye(len(kept), dtype=bool)].mean())

    without = np.array([difference(np.delete(np.arange(n), one)) for one in range(n)])
    jackknife = np.sqrt((n - 1) / n * ((without - without.mean()) ** 2).sum())

    assert measured(sources, outputs).standard_error == pytest.approx(jackknife)


def test_with_few_images_the_test_goes_through_all_assignments() -> None:
    rng = np.random.default_rng(6)
    sources = cloud(rng, 5, 6)
    outputs = sources[:, None] + 0.5 * rng.normal(size=(5, 1, 6))
    table = cosines(sources, outputs)

    found = measured(sources, outputs)

    sums = np.array([table[np.arange(5), way].sum() for way in permutations(range(5))])
    expected = (np.abs(sums - sums.mean()) >= abs(sums[0] - sums.mean()) - 1e-12).mean()
    assert found.exact
    assert found.p_value == pytest.approx(expected)


def test_many_images_are_tested_like_few() -> None:
    rng = np.random.default_rng(7)
    sources = cloud(rng, 2100, 4)

    found = measured(sources, sources[:, None] + rng.normal(size=(2100, 1, 4)), draws=99)

    assert found.p_value == 0.01
    assert 0.001 < found.nearest < 0.1


@pytest.mark.parametrize(
    ("sources", "outputs", "error", "words"),
    [
        (np.ones((3, 4)), np.ones((3, 1, 4)), TooFewFeaturesError, "4 images or more, and there are 3"),
        (np.ones((5, 4)), np.ones((4, 1, 4)), MismatchedFeaturesError, r"\(5, 4\).*\(4, 1, 4\)"),
        (np.ones((5, 4)), np.ones((5, 1, 3)), MismatchedFeaturesError, "by the same extractor"),
        (np.ones((5, 4)), np.full((5, 1, 4), np.nan), FeaturesError, "round trips hold NaN"),
        (np.zeros((5, 4)), np.ones((5, 1, 4)), FeaturesError, "source"),
    ],
)
def test_features_that_are_no_round_trips_are_refused(
    sources: np.ndarray, outputs: np.ndarray, error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        measured(sources, outputs)
