import doctest
from math import comb, exp, isfinite, log

import mpmath
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom

from arena.statistics import e_values
from arena.statistics.e_values import (
    anytime_p,
    beta_binomial_e_value,
    confidence_sequence,
    e_value_path,
    log_e_value,
)

counts = st.integers(0, 2000).flatmap(lambda votes: st.tuples(st.integers(0, votes), st.just(votes)))
priors = st.sampled_from([(1.0, 1.0), (0.5, 0.5), (10.0, 10.0), (2.0, 5.0)])


@given(st.integers(0, 200).flatmap(lambda votes: st.tuples(st.integers(0, votes), st.just(votes))))
def test_under_a_uniform_prior_it_is_two_to_the_votes_over_a_binomial_coefficient(count: tuple[int, int]) -> None:
    wins, votes = count

    found = log_e_value(wins, votes)

    assert found == pytest.approx(float(votes * mpmath.log(2) - mpmath.log((votes + 1) * comb(votes, wins))), abs=1e-10)


@given(st.lists(st.booleans(), max_size=60), priors, st.sampled_from([0.5, 0.2]))
def test_it_is_the_product_of_bets_that_are_each_fair(won: list[bool], prior: tuple[float, float], rate: float) -> None:
    (a, b), capital, wins = prior, 1.0, 0

    for votes, win in enumerate(won):
        believed = (a + wins) / (a + b + votes)
        paid = {True: believed / rate, False: (1 - believed) / (1 - rate)}
        assert rate * paid[True] + (1 - rate) * paid[False] == pytest.approx(1)
        capital *= paid[win]
        wins += win

    assert beta_binomial_e_value(wins, len(won), rate=rate, a=a, b=b) == pytest.approx(capital, rel=1e-9)


@pytest.mark.parametrize("votes", [1, 7, 100, 1500])
@pytest.mark.parametrize(("a", "b"), [(1.0, 1.0), (0.5, 0.5), (10.0, 3.0)])
@pytest.mark.parametrize("rate", [0.5, 0.3])
def test_under_the_null_its_mean_is_one(votes: int, a: float, b: float, rate: float) -> None:
    chances = binom.logpmf(np.arange(votes + 1), votes, rate)

    mean = sum(exp(chance + log_e_value(wins, votes, rate=rate, a=a, b=b)) for wins, chance in enumerate(chances))

    assert mean == pytest.approx(1, abs=1e-9)


@given(counts)
def test_wins_and_losses_are_each_others_mirror(count: tuple[int, int]) -> None:
    wins, votes = count

    interval, mirrored = confidence_sequence(wins, votes), confidence_sequence(votes - wins, votes)

    assert log_e_value(wins, votes) == pytest.approx(log_e_value(votes - wins, votes), abs=1e-9)
    assert (interval.low, interval.high) == pytest.approx((1 - mirrored.high, 1 - mirrored.low), abs=1e-12)


@given(counts, priors)
def test_the_interval_holds_the_observed_rate_and_refutes_what_lies_outside(
    count: tuple[int, int], prior: tuple[float, float]
) -> None:
    (wins, votes), (a, b) = count, prior

    interval = confidence_sequence(wins, votes, a=a, b=b)

    assert 0 <= interval.low < interval.high <= 1
    assert votes == 0 or wins / votes in interval
    for end in (interval.low, interval.high):
        # At an end that is not the edge of [0, 1] the e-value is exactly 1 / alpha; close to 1, where losses weigh as
        # their number over 1 - end, a float's last digit shows.
        if 0 < end < 1:
            last_digit = (votes - wins) / (1 - end) * 1e-16
            assert log_e_value(wins, votes, rate=end, a=a, b=b) == pytest.approx(log(20), abs=1e-7 + 4 * last_digit)


@pytest.mark.parametrize(("wins", "votes"), [(60, 100), (1, 10), (999, 1000), (1, 50_000)])
def test_the_ends_are_found_to_twelve_digits(wins: int, votes: int) -> None:
    with mpmath.workdps(40):
        mixture = mpmath.log(mpmath.beta(1 + wins, 1 + votes - wins))

        def refuted(rate: mpmath.mpf) -> bool:
            return mixture - wins * mpmath.log(rate) - (votes - wins) * mpmath.log(1 - rate) > mpmath.log(20)

        found = confidence_sequence(wins, votes)
        low, high, hair = mpmath.mpf(found.low), mpmath.mpf(found.high), min(1e-12, found.low / 2)

        assert (refuted(low - hair), refuted(low + hair)) == (True, False)
        assert (refuted(high - hair), refuted(high + hair)) == (False, True)


def test_the_edges_are_reached_only_where_nothing_was_won_or_lost() -> None:
    nothing, all_lost, all_won = confidence_sequence(0, 0), confidence_sequence(0, 10), confidence_sequence(10, 10)

    assert (nothing.low, nothing.high) == (0, 1)
    assert (all_lost.low, all_won.high) == (0, 1)
    # (1 - p)^-10 / 11 = 20.
    assert all_lost.high == pytest.approx(1 - (11 * 20) ** -0.1, abs=1e-12)
    assert confidence_sequence(1, 10).low > 0


def test_more_votes_of_the_same_rate_narrow_the_interval_and_a_smaller_alpha_widens_it() -> None:
    widths = [interval.high - interval.low for interval in (confidence_sequence(6 * k, 10 * k) for k in range(1, 60))]
    sure, surer = confidence_sequence(60, 100, alpha=0.05), confidence_sequence(60, 100, alpha=0.01)

    assert widths == sorted(widths, reverse=True)
    assert surer.low < sure.low
    assert sure.high < surer.high


@given(st.lists(st.booleans(), min_size=1, max_size=300), priors)
def test_the_anytime_p_is_one_over_the_largest_e_value_so_far(won: list[bool], prior: tuple[float, float]) -> None:
    a, b = prior
    path = np.array(won, dtype=np.bool_)
    e_values = [beta_binomial_e_value(sum(won[: n + 1]), n + 1, a=a, b=b) for n in range(len(won))]

    p = anytime_p(path, a=a, b=b)

    assert p == pytest.approx([min(1.0, 1 / max(e_values[: n + 1])) for n in range(len(won))], rel=1e-9)
    assert np.all(np.diff(p) <= 0)
    assert np.exp(e_value_path(path, a=a, b=b)) == pytest.approx(e_values, rel=1e-9)


def test_evidence_beyond_the_largest_number_is_the_largest_number() -> None:
    e_value = beta_binomial_e_value(5000, 5000)

    assert isfinite(e_value)
    assert e_value > 1e308
    assert log_e_value(5000, 5000) == pytest.approx(5000 * log(2) - log(5001))


def test_the_examples_give_what_they_say() -> None:
    failed, tried = doctest.testmod(e_values)

    assert tried > 0
    assert failed == 0
