"""All pairs at once: known quantiles, coverage by simulation, and ranks as sets."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats

from arena.statistics.bradley_terry import fit_bradley_terry
from arena.statistics.simulator import REFERENCE, ArenaDesign, simulate_votes
from arena.statistics.simultaneous import all_pairs_quantiles, rank_sets, ranked_pairs
from arena.statistics.votes import VoteTable

TableOf = Callable[..., VoteTable]


@pytest.mark.parametrize("entrants", [2, 3, 4, 7, 12])
@pytest.mark.parametrize("df", [7.5, 40.0])
def test_equal_and_independent_strengths_give_tukeys_studentized_range(entrants: int, df: float) -> None:
    found = all_pairs_quantiles(np.eye(entrants), df=df)

    # Tukey (1953): the largest difference of independent means in standard errors of a mean, so times sqrt(2).
    assert found.normal == pytest.approx(stats.studentized_range.ppf(0.95, entrants, 1e7) / np.sqrt(2), abs=1e-3)
    assert found.t == pytest.approx(stats.studentized_range.ppf(0.95, entrants, df) / np.sqrt(2), abs=1.5e-3)
    assert found.numerical_error < 1e-3


def test_two_entrants_have_the_ordinary_quantile() -> None:
    found = all_pairs_quantiles(np.diag([0.0, 0.3]), df=9.0)

    assert found.normal == pytest.approx(1.959964, abs=1e-6)
    assert found.t == pytest.approx(stats.t.ppf(0.975, 9), abs=1e-6)


def test_any_covariance_keeps_its_promise_in_a_plain_simulation() -> None:
    rng = np.random.default_rng(6)
    root = rng.normal(size=(6, 6)) * [1, 2, 0.5, 1, 3, 1]
    covariance = root @ root.T

    q = all_pairs_quantiles(covariance, df=30.0).normal

    drawn = rng.multivariate_normal(np.zeros(6), covariance, size=200_000)
    i, j = np.triu_indices(6, k=1)
    se = np.sqrt(covariance[i, i] + covariance[j, j] - 2 * covariance[i, j])
    covered = (np.abs(drawn[:, i] - drawn[:, j]) / se).max(axis=1) <= q
    assert covered.mean() == pytest.approx(0.95, abs=0.002)


def test_the_same_covariance_always_gives_the_same_quantile() -> None:
    assert all_pairs_quantiles(np.eye(5), df=20.0) == all_pairs_quantiles(np.eye(5), df=20.0)


def test_what_has_no_spread_needs_no_quantile() -> None:
    assert all_pairs_quantiles(np.zeros((3, 3)), df=5.0).normal == 0.0


@settings(max_examples=60, deadline=None)
@given(strength=arrays(np.float64, 6, elements=st.floats(-2, 2)), half=st.floats(0.01, 3))
def test_rank_sets_hold_the_order_of_the_estimates(strength: np.ndarray, half: float) -> None:
    above = strength[:, None] - strength[None, :] > half

    found = rank_sets(above, "abcdef")

    for name, mine in zip("abcdef", strength, strict=True):
        best, worst = found[name]
        assert best <= 1 + int((strength > mine).sum())
        assert worst >= int((strength >= mine).sum())


def test_votes_that_tell_everybody_apart_give_single_ranks() -> None:
    design = ArenaDesign(raters=60, prompts=300, votes=24_000, rates=(0.8, 0.65, 0.3))
    fit = fit_bradley_terry(simulate_votes(design, np.random.default_rng(1)), reference=REFERENCE)

    found = ranked_pairs(fit)

    assert found is not None
    assert found.rank_sets == {"entrant-0": (1, 1), "entrant-1": (2, 2), REFERENCE: (3, 3), "entrant-2": (4, 4)}
    assert found.used == found.quantiles.normal
    assert len(found.pairs) == 6
    assert all(pair.surely_apart for pair in found.pairs)


def test_below_forty_raters_the_wider_quantile_is_used() -> None:
    design = ArenaDesign(raters=20, prompts=60, votes=900, rates=(0.6, 0.5))
    fit = fit_bradley_terry(simulate_votes(design, np.random.default_rng(1)), reference=REFERENCE)

    found = ranked_pairs(fit)

    assert found is not None
    assert found.used == found.quantiles.t > found.quantiles.normal


def test_a_fit_without_spread_has_no_ranks() -> None:
    votes = simulate_votes(ArenaDesign(raters=20, prompts=60, votes=900), np.random.default_rng(1))

    assert ranked_pairs(fit_bradley_terry(votes, reference=REFERENCE, clustered=False)) is None


def test_a_two_way_spread_that_is_not_positive_makes_no_rank_certain(table_of: TableOf) -> None:
    # Raters and prompts cancel out here, so that the two-way variance of the strength is negative.
    votes = table_of(
        ["a"] * 8,
        ["b"] * 8,
        ["A", "B", "B", "A", "A", "B", "B", "A"],
        rater=[0, 0, 1, 1, 2, 2, 3, 3],
        prompt=[0, 1, 0, 1, 2, 3, 2, 3],
    )
    fit = fit_bradley_terry(votes, reference="b")

    found = ranked_pairs(fit)

    assert fit.covariance is not None
    assert fit.covariance.two_way[0, 0] <= 0
    assert found is not None
    assert found.quantiles.normal == pytest.approx(1.959964, abs=1e-5)
    assert found.rank_sets == {"a": (1, 2), "b": (1, 2)}
    assert not found.pairs[0].surely_apart


def test_ranks_never_contradict_the_intervals_of_two_entrants() -> None:
    for seed in range(60):
        design = ArenaDesign(raters=4, prompts=10, votes=14, sd_rater=0.0, sd_prompt=0.0, sd_rater_entrant=0.0)
        fit = fit_bradley_terry(simulate_votes(design, np.random.default_rng(seed)), reference=REFERENCE)
        found = ranked_pairs(fit)
        if found is not None and fit.intervals():
            low, high = fit.intervals()["entrant-0"]
            assert (found.rank_sets["entrant-0"] == (1, 2)) == (low <= 0 <= high), seed
