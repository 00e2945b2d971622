import numpy as np
import pytest
import statsmodels.api as sm
from hypothesis import given
from hypothesis import strategies as st

from arena.statistics.clustered import (
    Route,
    effective_clusters,
    one_way_variance,
    rater_variance,
    two_way_variance,
    vote_variance,
)


def _votes(seed: int, n: int = 400) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    rater, prompt = rng.integers(0, 17, n), rng.integers(0, 29, n)
    taste, suits = rng.normal(0, 1, 17), rng.normal(0, 1, 29)
    value = (taste[rater] + suits[prompt] + rng.normal(0, 1, n) > 0).astype(float)
    value[rng.random(n) < 0.1] = 0.5
    return value, rater, prompt


@pytest.mark.parametrize("seed", range(5))
def test_two_way_variance_is_that_of_statsmodels_clustered_least_squares(seed: int) -> None:
    value, rater, prompt = _votes(seed)
    groups = np.column_stack([rater, prompt])
    peer = sm.OLS(value, np.ones_like(value)).fit(cov_type="cluster", cov_kwds={"groups": groups})

    found = two_way_variance(value - value.mean(), rater, prompt)

    assert found.route is Route.TWO_WAY
    assert found.variance == pytest.approx(peer.cov_params()[0, 0], rel=1e-10)


def test_one_way_variance_is_that_of_statsmodels_too() -> None:
    value, rater, _ = _votes(11)
    peer = sm.OLS(value, np.ones_like(value)).fit(cov_type="cluster", cov_kwds={"groups": rater})

    found = rater_variance(value - value.mean(), rater)

    assert found.variance == pytest.approx(peer.cov_params()[0, 0], rel=1e-10)


def test_one_vote_per_rater_and_prompt_leaves_the_plain_variance_of_a_mean() -> None:
    value = np.array([1.0, 0.0, 1.0, 1.0, 0.5, 0.0, 1.0])
    own = np.arange(7)

    found = two_way_variance(value - value.mean(), own, own)

    assert found.variance == pytest.approx(value.var(ddof=1) / 7, rel=1e-12)


def test_a_negative_two_way_variance_gives_way_to_the_larger_one_way_variance() -> None:
    # By rater the votes cancel all but a little, by prompt wholly; within cells they do not.
    value = np.array([1.0, 0.0, 0.0, 1.0, 1.0, 0.0, 0.0, 1.0, 1.0])
    rater = np.array([0, 0, 1, 1, 2, 2, 3, 3, 3])
    prompt = np.array([0, 1, 0, 1, 0, 1, 0, 1, 2])
    residuals = value - value.mean()

    found = two_way_variance(residuals, rater, prompt)

    larger = max(one_way_variance(residuals, rater), one_way_variance(residuals, prompt))
    assert found.route in (Route.RATER, Route.PROMPT)
    assert found.variance == larger > 0


def test_exactly_divided_raters_and_prompts_do_not_look_certain() -> None:
    value = np.array([1.0, 0.0, 0.0, 1.0])
    rater, prompt = np.array([0, 0, 1, 1]), np.array([0, 1, 0, 1])

    found = two_way_variance(value - 0.5, rater, prompt)

    assert found.route is Route.VOTE
    assert found.variance == vote_variance(value - 0.5) == pytest.approx(0.25 / 3)


def test_rounding_is_not_taken_for_variance() -> None:
    # Each rater and each prompt has the mean 1/3, which no float is: their residuals add up to 1e-17, not to 0.
    value = np.array([1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0])
    rater, prompt = np.repeat(np.arange(3), 3), np.tile(np.arange(3), 3)

    found = two_way_variance(value - value.mean(), rater, prompt)

    assert found.route is Route.VOTE


@pytest.mark.parametrize(
    ("sizes", "effective"), [([5, 5, 5, 5], 4.0), ([1000], 1.0), ([8, 1, 1], 100 / 66), ([30, 10], 1600 / 1000)]
)
def test_effective_clusters_count_equally_busy_raters(sizes: list[int], effective: float) -> None:
    assert effective_clusters(np.repeat(np.arange(len(sizes)), sizes)) == pytest.approx(effective)


@given(st.integers(0, 2**32 - 1), st.permutations(range(60)))
def test_neither_the_order_of_votes_nor_the_names_of_clusters_matter(seed: int, order: list[int]) -> None:
    value, rater, prompt = _votes(seed, n=60)
    residuals = value - value.mean()
    renamed = np.random.default_rng(seed).permutation(40)

    plain = two_way_variance(residuals, rater, prompt)
    moved = two_way_variance(residuals[order], renamed[rater[order]], renamed[prompt[order]])

    assert moved.variance == pytest.approx(plain.variance, rel=1e-9)
