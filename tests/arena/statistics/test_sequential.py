import doctest
from math import inf, log, sqrt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import integrate, optimize, stats

from arena.statistics import sequential
from arena.statistics.not_estimable import Obstacle
from arena.statistics.rates import preference_rate
from arena.statistics.sequential import (
    always_valid_p,
    clustered_boundary,
    clustered_confidence_sequence,
    look,
)
from arena.statistics.simulator import REFERENCE, ArenaDesign, simulate_votes
from arena.statistics.stopping import StoppingRule
from arena.statistics.votes import Outcomes, outcomes_against
from arena.statistics.watching import watch_votes

LENIENT = StoppingRule(min_raters=2, min_votes=1)

rates = st.floats(0.02, 0.98)
errors = st.floats(0.001, 0.4)
sizes = st.floats(1, 1e6)


def _outcomes(value: list[float], rater: list[int], prompt: list[int]) -> Outcomes:
    return Outcomes(
        value=np.array(value, dtype=np.float64),
        rater=np.array(rater, dtype=np.int32),
        prompt=np.array(prompt, dtype=np.int32),
        both_bad=0,
    )


@pytest.mark.parametrize(("n", "z"), [(50.0, 2.0), (400.0, 3.0), (1600.0, 3.04), (5000.0, 1.0)])
def test_the_bound_is_where_the_mixture_over_all_drifts_is_worth_one_over_alpha(n: float, z: float) -> None:
    # The e-value of a standardised sum at z sqrt(n) against every drift, each weighted by N(0, r).
    r, total = 1 / 200, z * sqrt(n)
    e_value, _ = integrate.quad(
        lambda drift: np.exp(drift * total - drift**2 * n / 2) * stats.norm.pdf(drift, scale=sqrt(r)), -inf, inf
    )

    p = always_valid_p(0.5 + 0.02 * z, 0.02, n)

    assert p == pytest.approx(min(1.0, 1 / e_value), rel=1e-6)


@given(sizes, st.floats(0.001, 0.5))
def test_the_p_at_the_bound_is_alpha(n_eff: float, alpha: float) -> None:
    se = 0.5 / clustered_boundary(n_eff, alpha=alpha) / 4

    p = always_valid_p(0.5 + se * clustered_boundary(n_eff, alpha=alpha), se, n_eff)

    assert p == pytest.approx(alpha, rel=1e-9)


@given(rates, errors, sizes)
def test_wins_and_losses_are_each_others_mirror(rate: float, se: float, n_eff: float) -> None:
    seen, mirrored = (clustered_confidence_sequence(one, se, n_eff) for one in (rate, 1 - rate))

    assert (seen.low, seen.high) == pytest.approx((1 - mirrored.high, 1 - mirrored.low), abs=1e-12)
    assert always_valid_p(rate, se, n_eff) == pytest.approx(always_valid_p(1 - rate, se, n_eff), rel=1e-9)


@given(rates, errors, sizes)
def test_the_interval_holds_the_rate_and_leaves_one_half_out_exactly_where_p_is_below_alpha(
    rate: float, se: float, n_eff: float
) -> None:
    interval, p = clustered_confidence_sequence(rate, se, n_eff), always_valid_p(rate, se, n_eff)

    assert rate in interval
    assert 0 <= interval.low <= interval.high <= 1
    assert 0 <= p <= 1
    if abs(p - 0.05) > 1e-9:
        assert (0.5 not in interval) == (p < 0.05)


@given(errors, sizes, st.floats(0, 0.2), st.floats(0, 0.2))
def test_p_falls_with_the_distance_from_one_half(se: float, n_eff: float, near: float, more: float) -> None:
    assert always_valid_p(0.5 + near, se, n_eff) >= always_valid_p(0.5 + near + more, se, n_eff)


@given(sizes)
def test_looking_always_costs_something_and_a_smaller_alpha_more(n_eff: float) -> None:
    assert clustered_boundary(n_eff) > stats.norm.ppf(0.975)
    assert clustered_boundary(n_eff, alpha=0.01) > clustered_boundary(n_eff)


def test_the_bound_is_tightest_near_sixteen_hundred_effective_votes() -> None:
    found = optimize.minimize_scalar(lambda log_n: clustered_boundary(np.exp(log_n)), bounds=(log(10), log(1e6)))

    assert np.exp(found.x) == pytest.approx(1600, rel=0.05)


def test_a_look_has_the_rate_and_error_of_all_votes_so_far() -> None:
    votes = simulate_votes(ArenaDesign(raters=30, prompts=100, votes=900, rates=(0.62,)), np.random.default_rng(3))
    outcomes = outcomes_against(votes, "entrant-0", REFERENCE)
    rate = preference_rate(outcomes, ties="half")

    found = look(outcomes, rule=StoppingRule())

    assert (found.n, found.rate, found.se, found.n_eff) == (900, rate.rate, rate.se, rate.n_eff)
    assert rate.rate is not None
    assert rate.se is not None
    assert rate.n_eff is not None
    assert found.interval == clustered_confidence_sequence(rate.rate, rate.se, rate.n_eff)
    assert found.p == always_valid_p(rate.rate, rate.se, rate.n_eff)
    assert found.missing == ()
    assert rate.interval is not None
    assert found.interval.low < rate.interval.low < rate.interval.high < found.interval.high


@pytest.mark.parametrize(
    ("outcomes", "rule", "obstacle"),
    [
        (_outcomes([], [], []), LENIENT, Obstacle.NO_VOTES),
        (_outcomes([1, 0, 1], [0, 0, 0], [0, 1, 2]), LENIENT, Obstacle.ONE_RATER),
        (_outcomes([1, 0, 1], [0, 1, 2], [0, 0, 0]), LENIENT, Obstacle.ONE_PROMPT),
        (_outcomes([1, 0, 1], [-1, -1, -1], [0, 1, 2]), LENIENT, Obstacle.UNKNOWN_RATERS),
        (_outcomes([1, 0, 1], [0, 1, 2], [-1, -1, -1]), LENIENT, Obstacle.UNKNOWN_PROMPTS),
        (_outcomes([1] * 40, list(range(40)), list(range(40))), LENIENT, Obstacle.ALL_VOTES_ALIKE),
        (_outcomes([1, 0] * 20, list(range(40)), list(range(40))), StoppingRule(min_votes=41), Obstacle.FEW_VOTES),
        (_outcomes([1, 0] * 20, [0, 1, 2, 3] * 10, list(range(40))), StoppingRule(min_votes=40), Obstacle.FEW_RATERS),
    ],
)
def test_a_look_that_counts_for_nothing_yet_has_no_interval_and_a_reason(
    outcomes: Outcomes, rule: StoppingRule, obstacle: Obstacle
) -> None:
    found = look(outcomes, rule=rule)

    assert (found.interval, found.p) == (None, None)
    assert [gap.obstacle for gap in found.missing] == [obstacle]
    assert found.to_dict()["not_estimable"] == [gap.to_dict() for gap in found.missing]


def test_one_rater_who_gives_nearly_all_votes_is_not_taken_for_many() -> None:
    # The spread between raters cannot be seen in such votes, and the bound would look far too sure.
    rng = np.random.default_rng(1)
    rater = [0] * 900 + list(range(1, 31))
    value = list((rng.random(930) < 0.7).astype(float))

    found = look(_outcomes(value, rater, list(rng.integers(0, 200, 930))), rule=StoppingRule())

    assert (found.raters, found.interval) == (31, None)
    assert [gap.obstacle for gap in found.missing] == [Obstacle.FEW_RATERS]


def test_peeking_after_every_fifty_votes_seldom_rejects_a_true_null() -> None:
    design, rng, repeats = ArenaDesign(raters=48, prompts=400, votes=1500), np.random.default_rng(30), 500
    claimed = uncorrected = 0

    for _ in range(repeats):
        votes = simulate_votes(design, rng)
        seen = watch_votes(
            votes, np.arange(1500), reference=REFERENCE, entrants=design.entrants, delta=0.05, rule=StoppingRule()
        )
        looks = [one.look for one in seen.looks if one.look.p is not None]
        claimed += any(one.p < 0.05 for one in looks)
        uncorrected += any(abs(one.rate - 0.5) > 1.96 * one.se for one in looks)

    assert claimed / repeats <= 0.075 + 2 * sqrt(0.075 * 0.925 / repeats)
    assert uncorrected / repeats > 0.15


def test_the_examples_give_what_they_say() -> None:
    failed, tried = doctest.testmod(sequential)

    assert tried > 0
    assert failed == 0
