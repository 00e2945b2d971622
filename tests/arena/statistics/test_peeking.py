import doctest
from itertools import product
from math import log, sqrt

import numpy as np
import pytest
from scipy.stats import multivariate_normal, norm

from arena.statistics import peeking
from arena.statistics.e_values import log_e_value
from arena.statistics.peeking import (
    e_value_rejection,
    exact_rejection_probability,
    repeated_looks_error,
    repeated_test_rejection,
)

# Armitage, McPherson & Rowe (1969), doi:10.2307/2343787: the chance of a false claim when normal values are tested
# again and again at the two-sided 5 % level, as printed.
ARMITAGE = {1: 0.050, 2: 0.083, 3: 0.107, 4: 0.126, 5: 0.142, 10: 0.193, 20: 0.248, 50: 0.320, 100: 0.374}


@pytest.mark.parametrize(("looks", "printed"), ARMITAGE.items())
def test_repeated_looks_at_normal_values_give_the_printed_error(looks: int, printed: float) -> None:
    assert round(repeated_looks_error(looks), 3) == printed


@pytest.mark.parametrize("z", [1.0, 1.96, 3.0])
def test_one_look_errs_as_often_as_its_quantile_says(z: float) -> None:
    assert repeated_looks_error(1, z=z) == pytest.approx(2 * norm.sf(z), abs=1e-12)


def test_two_looks_err_as_the_bivariate_normal_says() -> None:
    # Sums after one and two steps, in standard errors, correlate with sqrt(1/2).
    correlated = np.array([[1, sqrt(0.5)], [sqrt(0.5), 1]])

    inside = multivariate_normal(cov=correlated).cdf([1.96, 1.96], lower_limit=[-1.96, -1.96])

    assert repeated_looks_error(2) == pytest.approx(1 - inside, abs=1e-6)


@pytest.mark.parametrize("looks", [1, 2, 5, 10])
def test_many_votes_between_looks_err_as_normal_values_do(looks: int) -> None:
    found = repeated_test_rejection(1000 * looks, rate=0.5, every=1000)

    assert found.probability == pytest.approx(repeated_looks_error(looks), abs=0.006)


@pytest.mark.parametrize(("rate", "null", "every"), [(0.5, 0.5, 1), (0.8, 0.5, 1), (0.6, 0.3, 1), (0.8, 0.5, 3)])
def test_the_chance_of_rejecting_is_the_sum_over_all_walks(rate: float, null: float, every: int) -> None:
    votes, rejected, stopped = 11, 0.0, 0.0
    for walk in product([0, 1], repeat=votes):
        chance = rate ** sum(walk) * (1 - rate) ** (votes - sum(walk))
        looks = range(every, votes + 1, every)
        hits = [n for n in looks if log_e_value(sum(walk[:n]), n, rate=null) >= log(20)]
        rejected += chance * bool(hits)
        stopped += chance * (hits[0] if hits else votes)

    found = e_value_rejection(votes, rate=rate, null=null, every=every)

    assert found.probability == pytest.approx(rejected, abs=1e-12)
    assert found.expected_votes == pytest.approx(stopped, abs=1e-10)
    assert exact_rejection_probability(votes, rate=rate, null=null) == pytest.approx(
        e_value_rejection(votes, rate=rate, null=null).probability
    )


def test_the_e_value_rejects_as_often_as_a_plain_table_over_all_counts_says() -> None:
    votes, rate, threshold = 120, 0.5, log(20)
    inside, gone = np.zeros(votes + 1), 0.0
    inside[0] = 1
    for seen in range(1, votes + 1):
        moved = inside * (1 - rate)
        moved[1:] += inside[:-1] * rate
        out = np.array([wins <= seen and log_e_value(wins, seen) >= threshold for wins in range(votes + 1)])
        gone += moved[out].sum()
        inside = np.where(out, 0, moved)

    assert exact_rejection_probability(votes, rate=rate) == pytest.approx(gone, abs=1e-9)


@pytest.mark.parametrize(("a", "b"), [(1.0, 1.0), (0.5, 0.5), (10.0, 10.0)])
def test_a_true_null_is_never_rejected_more_often_than_alpha(a: float, b: float) -> None:
    found = e_value_rejection(2000, rate=0.5, a=a, b=b)

    assert found.probability <= 0.05
    assert np.all(np.diff(found.by_vote) >= 0)


def test_the_repeated_test_that_nobody_corrects_rejects_it_ever_more_often() -> None:
    found = repeated_test_rejection(2000, rate=0.5)

    assert found.probability > 0.4


def test_power_grows_with_the_difference_and_the_votes_needed_shrink() -> None:
    curves = [e_value_rejection(1500, rate=rate) for rate in (0.5, 0.53, 0.56, 0.6, 0.7)]

    powers, votes = [one.probability for one in curves], [one.expected_votes for one in curves]
    assert powers == sorted(powers)
    assert votes == sorted(votes, reverse=True)


def test_a_walk_that_must_leave_stops_the_count() -> None:
    found = e_value_rejection(200, rate=1.0)

    # 2^t / (t + 1) is at least 20 from the eighth win on.
    assert list(found.by_vote[:8]) == [0.0] * 7 + [1.0]
    assert found.probability == 1
    assert found.expected_votes == 8


def test_the_examples_give_what_they_say() -> None:
    failed, tried = doctest.testmod(peeking)

    assert tried > 0
    assert failed == 0
