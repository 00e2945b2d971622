"""What peeking costs: how often a test that is looked at again and again claims a difference, computed exactly.

In: a test that is repeated while independent votes come in, and the true rate. Out: the chance that it has rejected by
each vote, and how many votes it takes on average. A walk of wins goes up or stays at every vote; whatever lies outside
the test's boundary is taken out, and what is left goes on (dynamic programming, no simulation). For sums of normal
values the same is done by quadrature.
Source: Armitage, McPherson & Rowe (1969), "Repeated significance tests on accumulating data", doi:10.2307/2343787.
"""

from collections.abc import Callable
from dataclasses import dataclass
from math import log, sqrt

import numpy as np
from jaxtyping import Float64

from arena.statistics.e_values import PRIOR, log_e_value
from arena.statistics.interval import ALPHA

# Two-sided 5 %, as a significance test of its time rounds it.
NORMAL_QUANTILE = 1.96


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Rejection:
    """`by_vote[t]` is the chance that the test has rejected by vote t + 1: the power curve, or the cost of peeking."""

    by_vote: Float64[np.ndarray, " votes"]

    @property
    def probability(self) -> float:
        """The chance that it rejects at all within these votes."""
        return float(self.by_vote[-1])

    @property
    def expected_votes(self) -> float:
        """Votes cast on average, when one stops at the rejection and otherwise after the last vote."""
        return float(len(self.by_vote) - self.by_vote[:-1].sum())


def e_value_rejection(
    votes: int,
    *,
    rate: float,
    null: float = 0.5,
    alpha: float = ALPHA,
    a: float = PRIOR,
    b: float = PRIOR,
    every: int = 1,
) -> Rejection:
    """The test "e-value >= 1 / alpha" against `null` when the true rate is `rate`, looked at after every `every` votes.

    >>> found = e_value_rejection(2000, rate=0.6)
    >>> print(f"{found.probability:.3f} after {found.expected_votes:.0f} votes on average")
    1.000 after 241 votes on average
    """
    threshold = -log(alpha)

    def rejected(wins: int, seen: int) -> bool:
        return log_e_value(wins, seen, rate=null, a=a, b=b) >= threshold

    return _walk(votes, rate, rejected, every)


def exact_rejection_probability(
    votes: int,
    *,
    rate: float,
    null: float = 0.5,
    alpha: float = ALPHA,
    a: float = PRIOR,
    b: float = PRIOR,
) -> float:
    """The chance that the e-value against `null` reaches 1 / alpha within `votes` votes of true rate `rate`."""
    return e_value_rejection(votes, rate=rate, null=null, alpha=alpha, a=a, b=b).probability


def repeated_test_rejection(
    votes: int, *, rate: float, null: float = 0.5, z: float = NORMAL_QUANTILE, every: int = 1
) -> Rejection:
    """The test that one must not repeat, repeated: "the rate is more than `z` standard errors from `null`".

    >>> print(f"{repeated_test_rejection(1000, rate=0.5, every=100).probability:.2f}")  # ten looks
    0.21
    """

    def rejected(wins: int, seen: int) -> bool:
        return abs(wins - seen * null) > z * sqrt(seen * null * (1 - null))

    return _walk(votes, rate, rejected, every)


def repeated_looks_error(looks: int, *, z: float = NORMAL_QUANTILE) -> float:
    """The chance of a false claim when normal values are tested `looks` times, after equal steps, each time at `z`.

    >>> [round(repeated_looks_error(looks), 3) for looks in (1, 2, 5, 10)]
    [0.05, 0.083, 0.142, 0.193]
    """
    assert looks >= 1, "a test is looked at once or more"
    nodes, weights = _interval_rule(z)
    density = np.exp(-(nodes**2) / 2) / sqrt(2 * np.pi)
    for look in range(2, looks + 1):
        reached, reached_weights = _interval_rule(z * sqrt(look))
        step = np.exp(-((reached[:, None] - nodes) ** 2) / 2) / sqrt(2 * np.pi)
        density = step @ (weights * density)
        nodes, weights = reached, reached_weights
    return float(1 - weights @ density)


def _interval_rule(end: float) -> tuple[Float64[np.ndarray, " nodes"], Float64[np.ndarray, " nodes"]]:
    # Gauss-Legendre on [-end, end]; the step's spread is 1, and three nodes to it keep the error of up to 1,000 looks
    # below 1e-8.
    nodes, weights = np.polynomial.legendre.leggauss(24 + int(3 * end))
    return end * nodes, end * weights


def _walk(votes: int, rate: float, rejected: Callable[[int, int], bool], every: int) -> Rejection:
    """Follow the chances of all counts of wins that are still inside; a test rejects the outermost counts first."""
    assert votes >= 1, "a test needs a vote"
    assert every >= 1, "looks are a vote apart or more"
    assert 0 <= rate <= 1, "a rate lies in [0, 1]"
    by_vote = np.zeros(votes)
    inside, fewest, gone = np.ones(1), 0, 0.0
    for seen in range(1, votes + 1):
        stepped = np.zeros(len(inside) + 1)
        stepped[:-1] = inside * (1 - rate)
        stepped[1:] += inside * rate
        first, last = 0, len(stepped)
        if seen % every == 0:
            while first < last and rejected(fewest + first, seen):
                first += 1
            while last > first and rejected(fewest + last - 1, seen):
                last -= 1
            gone += float(stepped[:first].sum() + stepped[last:].sum())
        inside, fewest = stepped[first:last], fewest + first
        by_vote[seen - 1] = gone
    return Rejection(by_vote=np.minimum(by_vote, 1.0))
