import doctest
import json
from math import sqrt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from scipy.stats import binom
from statsmodels.stats.power import TTestPower, normal_power_het, normal_sample_size_one_tail

from arena.statistics import planning
from arena.statistics.equivalence import MarginError, tost
from arena.statistics.not_estimable import Obstacle
from arena.statistics.planning import (
    PlanningError,
    plan_study,
    power_of_difference,
    power_of_equivalence,
    rater_floor,
    rater_power_of_difference,
    rater_power_of_equivalence,
    raters_for_difference,
    raters_for_equivalence,
    smallest_difference,
    smallest_difference_of_raters,
    votes_for_difference,
    votes_for_equivalence,
    with_design_effect,
)

powers = st.sampled_from([0.5, 0.8, 0.9, 0.95])
unequal_rates = st.floats(0.05, 0.95).filter(lambda rate: abs(rate - 0.5) > 0.005)


# Power 80 %, two-sided 5 %: n = ((z(.975) / 2 + z(.8) sqrt(p q)) / (p - .5))^2, worked by hand.
@pytest.mark.parametrize(("rate", "votes"), [(0.47, 2178), (0.45, 783), (0.38, 134), (0.55, 783)])
def test_votes_for_a_difference_are_the_known_ones(rate: float, votes: int) -> None:
    assert votes_for_difference(rate) == votes


# n = ((z(.95) + z(.9)) / (2 delta))^2.
@pytest.mark.parametrize(("delta", "votes"), [(0.05, 857), (0.03, 2379)])
def test_votes_for_equivalence_are_the_known_ones(delta: float, votes: int) -> None:
    assert votes_for_equivalence(delta) == votes


@given(unequal_rates, powers)
def test_votes_for_a_difference_are_those_of_statsmodels(rate: float, power: float) -> None:
    peer = normal_sample_size_one_tail(
        abs(rate - 0.5), power, 0.025, std_null=0.5, std_alternative=sqrt(rate * (1 - rate))
    )

    assert votes_for_difference(rate, power=power) == int(np.ceil(peer))


@given(unequal_rates, st.integers(1, 20_000))
def test_the_power_of_votes_is_that_of_statsmodels(rate: float, votes: int) -> None:
    peer = normal_power_het(
        rate - 0.5, votes, 0.05, std_null=0.5, std_alternative=sqrt(rate * (1 - rate)), alternative="two-sided"
    )

    assert power_of_difference(votes, rate) == pytest.approx(peer, abs=1e-10)


@pytest.mark.parametrize("rate", [0.45, 0.6])
def test_the_planned_votes_have_the_wanted_power_by_exact_counting(rate: float) -> None:
    n = votes_for_difference(rate)
    wins = np.arange(n + 1)
    significant = np.abs(wins / n - 0.5) / np.sqrt(0.25 / n) > 1.959964

    power = binom.pmf(wins, n, rate)[significant].sum()

    assert power == pytest.approx(0.8, abs=0.02)


@pytest.mark.parametrize(("delta", "rate"), [(0.05, 0.5), (0.05, 0.48), (0.1, 0.55)])
def test_the_votes_planned_for_equivalence_have_the_wanted_power_by_exact_counting(delta: float, rate: float) -> None:
    n = votes_for_equivalence(delta, rate=rate)
    wins = np.arange(1, n)
    claimed = np.array(
        [(tost(w / n, sqrt(w / n * (1 - w / n) / n), 1e9, delta=delta).p or 0) < 0.05 for w in wins.tolist()]
    )

    power = binom.pmf(wins, n, rate)[claimed].sum()

    assert power == pytest.approx(0.8, abs=0.02)


@given(st.floats(0.02, 0.3), st.floats(-0.9, 0.9), powers)
def test_one_vote_less_would_not_do_for_equivalence(delta: float, share: float, power: float) -> None:
    rate = 0.5 + share * delta

    votes = votes_for_equivalence(delta, rate=rate, power=power)

    assert power_of_equivalence(votes, delta, rate=rate) >= power
    assert votes == 1 or power_of_equivalence(votes - 1, delta, rate=rate) < power
    assert votes == votes_for_equivalence(delta, rate=1 - rate, power=power)


def test_equivalence_takes_more_votes_the_nearer_the_truth_lies_to_the_margin() -> None:
    votes = [votes_for_equivalence(0.05, rate=rate) for rate in (0.5, 0.51, 0.52, 0.53, 0.54, 0.549)]

    assert votes == sorted(votes)
    assert votes[-1] > 100 * votes[0]


@given(st.integers(4, 100_000), powers)
def test_the_smallest_difference_is_the_one_that_has_the_power(votes: int, power: float) -> None:
    difference = smallest_difference(votes, power=power)

    if difference is not None:
        assert power_of_difference(votes, 0.5 + difference) == pytest.approx(power, abs=1e-6)
    else:
        assert power_of_difference(votes, 1 - 1e-6) < power


def test_three_votes_show_no_difference_at_all() -> None:
    assert smallest_difference(3) is None
    assert smallest_difference(783) == pytest.approx(0.05, abs=1e-4)


@pytest.mark.parametrize(
    ("votes", "effect", "wanted"), [(857, 1.0, 857), (857, 2.2, 1886), (2178, 2.2, 4792), (100, 1.1, 110)]
)
def test_a_design_effect_asks_for_so_many_times_the_votes(votes: int, effect: float, wanted: int) -> None:
    assert with_design_effect(votes, effect) == wanted


def test_the_floor_that_raters_set_falls_with_their_root() -> None:
    assert [rater_floor(raters) for raters in (1, 4, 100)] == pytest.approx([0.10, 0.05, 0.01])


@pytest.mark.parametrize("raters", [2, 3, 5, 12, 48, 200])
@pytest.mark.parametrize("difference", [0.01, 0.03, 0.06])
def test_the_power_of_raters_is_that_of_a_t_test_on_their_rates(raters: int, difference: float) -> None:
    peer = TTestPower().power(difference / 0.10, raters, 0.05)

    assert rater_power_of_difference(raters, 0.5 - difference) == pytest.approx(peer, abs=2e-6)


@pytest.mark.parametrize(("raters", "delta", "rate"), [(5, 0.15, 0.5), (30, 0.05, 0.5), (60, 0.05, 0.52)])
def test_the_power_of_raters_for_equivalence_is_that_of_drawn_raters(raters: int, delta: float, rate: float) -> None:
    rng = np.random.default_rng(9)
    rates = rng.normal(rate, 0.10, (20_000, raters))
    means, errors = rates.mean(axis=1), rates.std(axis=1, ddof=1) / sqrt(raters)
    critical = stats.t.ppf(0.95, raters - 1)
    drawn = ((means - (0.5 - delta) > critical * errors) & (0.5 + delta - means > critical * errors)).mean()

    assert rater_power_of_equivalence(raters, delta, rate=rate) == pytest.approx(drawn, abs=0.012)


@pytest.mark.parametrize("rate", [0.2, 0.45, 0.47, 0.499])
def test_one_rater_less_would_not_do(rate: float) -> None:
    different, equivalent = raters_for_difference(rate), raters_for_equivalence(0.05, rate=0.5 + (rate - 0.5) / 10)

    assert rater_power_of_difference(different, rate) >= 0.8 > rater_power_of_difference(different - 1, rate)
    assert rater_power_of_equivalence(equivalent, 0.05, rate=0.5 + (rate - 0.5) / 10) >= 0.8


def test_few_raters_never_show_a_small_difference() -> None:
    found = [smallest_difference_of_raters(raters) for raters in (2, 12, 48, 200)]

    assert found[0] is None
    assert found[1:] == pytest.approx([0.0889, 0.0413, 0.0199], abs=1e-4)
    # About (t(.975) + z(.8)) * .10 / sqrt(raters).
    assert found[3] == pytest.approx((1.972 + 0.842) * 0.10 / sqrt(200), rel=0.01)


def test_a_plan_puts_all_of_it_side_by_side() -> None:
    plan = plan_study(0.47, delta=0.05, design_effect=2.2, votes=4792, raters=90)

    assert (plan.difference.votes, plan.difference.votes_with_design_effect, plan.difference.raters) == (2178, 4792, 90)
    assert plan.equivalence_at_half.votes == 857
    assert plan.equivalence_at_rate.votes == votes_for_equivalence(0.05, rate=0.47)
    assert plan.of_votes is not None
    assert plan.of_votes.difference == pytest.approx(0.8, abs=1e-3)
    assert plan.of_votes.smallest_difference == pytest.approx(0.03, abs=1e-4)
    assert plan.of_raters is not None
    assert plan.of_raters.difference == pytest.approx(0.8, abs=0.01)
    assert plan.raters_suffice == {"difference": True, "equivalence_at_half": True, "equivalence_at_rate": False}
    assert plan.missing == ()
    assert json.loads(json.dumps(plan.to_dict(), allow_nan=False))["of_raters"]["power_difference"] > 0.8


@pytest.mark.parametrize(
    ("rate", "nothing", "obstacle"),
    [(0.5, "difference", Obstacle.NO_DIFFERENCE), (0.4, "equivalence_at_rate", Obstacle.OUTSIDE_MARGIN)],
)
def test_what_no_study_can_show_is_none_and_says_why(rate: float, nothing: str, obstacle: Obstacle) -> None:
    plan = plan_study(rate, delta=0.05, raters=50)

    assert plan.to_dict()[nothing] == {"votes": None, "votes_with_design_effect": None, "raters": None}
    assert [gap.obstacle for gap in plan.missing] == [obstacle]
    assert plan.raters_suffice is not None
    assert plan.raters_suffice[nothing] is None


@pytest.mark.parametrize("rate", [1e-9, 0.499999, 0.95, 1 - 1e-9])
@pytest.mark.parametrize("power", [0.06, 0.999])
def test_plans_at_the_edges_hold_nothing_but_numbers(rate: float, power: float) -> None:
    plan = plan_study(rate, delta=0.49, power=power, votes=1, raters=2)

    assert json.dumps(plan.to_dict(), allow_nan=False)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"rate": 0.0}, "A rate of 0.0 is no preference rate"),
        ({"rate": 1.0}, "between 0 and 1"),
        ({"rate": float("nan")}, "between 0 and 1"),
        ({"power": 0.0}, "A power of 0.0 cannot be planned for"),
        ({"power": 0.05}, "between 0.05 and 1"),
        ({"power": 1.0}, "A power of 1.0"),
        ({"design_effect": 0.9}, "A design effect of 0.9 is none"),
        ({"design_effect": float("inf")}, "1 .independent votes. or more"),
        ({"votes": 0}, "0 votes"),
        ({"raters": 1}, "Give 2 or more"),
    ],
)
def test_a_plan_for_something_that_cannot_be_is_refused(change: dict[str, float], complaint: str) -> None:
    with pytest.raises(PlanningError, match=complaint):
        plan_study(**({"rate": 0.47, "delta": 0.05} | change))


def test_a_margin_that_is_none_is_refused() -> None:
    with pytest.raises(MarginError):
        plan_study(0.47, delta=0.5)


def test_the_examples_give_what_they_say() -> None:
    failed, tried = doctest.testmod(planning)

    assert tried > 0
    assert failed == 0
