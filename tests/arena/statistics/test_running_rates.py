from dataclasses import fields

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from arena.statistics.rates import PreferenceRate, Ties, preference_rate
from arena.statistics.running_rates import rates_after
from arena.statistics.simulator import REFERENCE, ArenaDesign, simulate_votes
from arena.statistics.votes import Outcomes, outcomes_against


def _first(outcomes: Outcomes, n: int, ties: Ties) -> Outcomes:
    kept = outcomes.without_ties() if ties == "drop" else outcomes
    return Outcomes(value=kept.value[:n], rater=kept.rater[:n], prompt=kept.prompt[:n], both_bad=0)


def _assert_same(found: PreferenceRate, counted: PreferenceRate) -> None:
    for field in fields(PreferenceRate):
        one, other = getattr(found, field.name), getattr(counted, field.name)
        if isinstance(other, float):
            assert one == pytest.approx(other, rel=1e-9, abs=1e-12), field.name
        elif field.name == "interval" and other is not None:
            assert (one.low, one.high) == pytest.approx((other.low, other.high), rel=1e-9, abs=1e-12)
        else:
            assert one == other, field.name


@st.composite
def any_outcomes(draw: st.DrawFn) -> Outcomes:
    """A few votes of any kind, in any order; unknown raters and prompts, and votes that are all alike, among them."""
    n = draw(st.integers(1, 25))
    codes = st.lists(st.integers(draw(st.sampled_from([0, 0, -1])), draw(st.integers(0, 5))), min_size=n, max_size=n)
    values = st.sampled_from(draw(st.sampled_from([(1.0,), (0.5,), (0.0, 1.0), (0.0, 0.5, 1.0)])))
    return Outcomes(
        value=np.array(draw(st.lists(values, min_size=n, max_size=n)), dtype=np.float64),
        rater=np.array(draw(codes), dtype=np.int32),
        prompt=np.array(draw(codes), dtype=np.int32),
        both_bad=0,
    )


@given(any_outcomes(), st.sampled_from(["half", "drop"]))
def test_every_look_says_what_counting_from_the_beginning_says(outcomes: Outcomes, ties: Ties) -> None:
    votes = len(outcomes.without_ties().value if ties == "drop" else outcomes.value)
    looks = list(range(1, votes + 1))

    found = rates_after(outcomes, looks, ties=ties)

    for n, rate in zip(looks, found, strict=True):
        _assert_same(rate, preference_rate(_first(outcomes, n, ties), ties=ties))


@pytest.mark.parametrize("ties", ["half", "drop"])
def test_long_streams_are_counted_alike(ties: Ties) -> None:
    design = ArenaDesign(raters=60, prompts=300, votes=20_000, rates=(0.55,), tie_share=0.2, activity=1.0)
    outcomes = outcomes_against(simulate_votes(design, np.random.default_rng(8)), "entrant-0", REFERENCE)
    looks = [50, 3000, 7777, 15_000]

    found = rates_after(outcomes, looks, ties=ties)

    for n, rate in zip(looks, found, strict=True):
        _assert_same(rate, preference_rate(_first(outcomes, n, ties), ties=ties))


def test_exactly_divided_raters_have_a_spread_of_exactly_nothing() -> None:
    # Each of three raters prefers the entrant in one third of its votes: the sums must cancel to the last digit.
    n = 3 * 3000
    outcomes = Outcomes(
        value=np.tile([1.0, 0.0, 0.0], n // 3),
        rater=np.repeat(np.arange(3, dtype=np.int32), n // 3),
        prompt=np.arange(n, dtype=np.int32),
        both_bad=0,
    )

    (found,) = rates_after(outcomes, [n], ties="half")

    _assert_same(found, preference_rate(outcomes, ties="half"))


def test_no_looks_give_no_rates() -> None:
    nothing = np.zeros(0, dtype=np.int32)

    assert rates_after(Outcomes(value=np.zeros(0), rater=nothing, prompt=nothing, both_bad=0), [], ties="half") == []
