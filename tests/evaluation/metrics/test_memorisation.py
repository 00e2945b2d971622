"""Nearest rows, authentic images and copies: against all distances, worked examples, and copies that are put there."""

from typing import Literal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evaluation.metrics.base import FeaturesError, GalleryFeatures, MismatchedFeaturesError, TooFewFeaturesError
from evaluation.metrics.memorisation import AUTH_PCT, COPY_SCORE, auth_pct, copy_score, nearest_cosines
from evaluation.metrics.nearest import nearest

seeds = st.integers(min_value=0, max_value=2**32 - 1)


def drawn(seed: int, n: int, d: int = 6, *, shift: float = 0.0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(n, d)) + shift


@settings(max_examples=30, deadline=None)
@given(seed=seeds, n=st.integers(1, 30), m=st.integers(8, 40), k=st.integers(1, 7), block=st.integers(1, 50))
@pytest.mark.parametrize("by", ["distance", "cosine"])
def test_nearest_rows_are_those_of_the_whole_table(
    by: Literal["distance", "cosine"], seed: int, n: int, m: int, k: int, block: int
) -> None:
    queries, among = drawn(seed, n), drawn(seed + 1, m)
    lengths = np.linalg.norm(queries, axis=1)[:, None] * np.linalg.norm(among, axis=1)
    table = np.square(queries[:, None] - among).sum(axis=2) if by == "distance" else -(queries @ among.T) / lengths

    found = nearest(queries, among, k=k, by=by, block=block)

    assert (found.rows == np.argsort(table, axis=1)[:, :k]).all()
    assert found.values == pytest.approx(
        np.abs(np.sort(table, axis=1)[:, :k]) if by == "distance" else -np.sort(table, axis=1)[:, :k]
    )


def test_a_copy_lies_at_distance_zero_whatever_the_offset() -> None:
    among = drawn(0, 50, shift=1e5).astype(np.float32)

    found = nearest(among[[7, 3]], among)

    assert found.rows.ravel().tolist() == [7, 3]
    assert found.values.ravel().tolist() == [0, 0]


def test_a_row_can_be_kept_from_being_its_own_neighbour() -> None:
    x = np.array([[0.0], [1.0], [1.0], [5.0]])

    found = nearest(x, x, leave_out_self=True, block=2)

    assert found.rows.ravel().tolist() == [1, 2, 1, 1]
    assert found.values.ravel().tolist() == [1, 0, 0, 16]


@pytest.mark.parametrize("k", [0, 4])
def test_more_neighbours_than_there_are_are_refused(k: int) -> None:
    x = drawn(1, 4)

    with pytest.raises(TooFewFeaturesError, match=f"{k} nearest rows were asked for, among 3"):
        nearest(x, x, k=k, leave_out_self=True)


def test_an_image_is_authentic_where_its_nearest_has_a_nearer_one() -> None:
    """Training at 0, 1 and 10: 0.2 lies nearer to 0 than 1 does; 2.5 and 3 lie 1.5 and 2 from 1; 13 lies 3 from 10."""
    training = np.array([[0.0], [1.0], [10.0]])
    generated = np.array([[0.2], [2.5], [3.0], [13.0]])

    assert auth_pct(training, generated) == 50
    assert AUTH_PCT.per_image(GalleryFeatures(images=generated, reference=training, prompts=np.arange(4))).tolist() == [
        0,
        100,
        100,
        0,
    ]


@settings(max_examples=25, deadline=None)
@given(seed=seeds, n=st.integers(3, 40), m=st.integers(2, 30))
def test_authenticity_is_what_all_distances_say(seed: int, n: int, m: int) -> None:
    training, generated = drawn(seed, n), drawn(seed + 1, m)
    to_training = np.linalg.norm(generated[:, None] - training, axis=2)
    within = np.linalg.norm(training[:, None] - training, axis=2)
    np.fill_diagonal(within, np.inf)

    expected = within.min(axis=1)[to_training.argmin(axis=1)] < to_training.min(axis=1)

    assert auth_pct(training, generated) == pytest.approx(100 * expected.mean())


def test_copies_are_not_authentic_even_of_a_training_image_that_is_there_twice() -> None:
    training = drawn(2, 40)
    training[5] = training[4]

    assert auth_pct(training, training[:10]) == 0


def test_copies_are_counted_by_their_cosine_whatever_their_length() -> None:
    training = drawn(3, 200, 64)
    generated = drawn(4, 10, 64)
    generated[:4] = 7 * training[20:24] + 0.1 * drawn(5, 4, 64)

    found = nearest_cosines(training, generated)

    assert (found[:4] > 0.99).all()
    assert (found[4:] < 0.5).all()
    assert copy_score(training, generated) == pytest.approx(0.4)


def test_the_metrics_of_chosen_rows_are_the_numbers_of_those_rows() -> None:
    training, generated = drawn(6, 60), drawn(7, 40)
    features = GalleryFeatures(images=generated, reference=training, prompts=np.arange(40))
    rows = np.random.default_rng(8).integers(40, size=40)

    for metric, function in ((AUTH_PCT, auth_pct), (COPY_SCORE, copy_score)):
        statistic, influences = metric.statistic(features), metric.influences(features)
        assert statistic(rows) == pytest.approx(function(training, generated[rows]))
        assert statistic(np.arange(40)) + influences[rows].mean() == pytest.approx(statistic(rows))


def test_what_cannot_be_compared_is_refused() -> None:
    training, nothing = drawn(9, 10), drawn(10, 10)
    nothing[6] = 0

    with pytest.raises(MismatchedFeaturesError, match="the training images have 6 columns"):
        auth_pct(training, drawn(11, 10, 5))
    with pytest.raises(FeaturesError, match="all zero and have no direction"):
        copy_score(training, nothing)
    with pytest.raises(FeaturesError, match="give both"):
        AUTH_PCT.statistic(GalleryFeatures(images=training, prompts=np.arange(10)))
