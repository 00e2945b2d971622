"""Evidence that may be looked at after every vote, for votes that are independent: the beta-binomial e-value.

In: how many of the votes so far were won. Out: an e-value, a p-value and an interval that stay right however often one
looks and whenever one stops. Someone bets against "the rate is p0" at fair odds and starts with 1; the e-value is what
that one has now. Under p0 it reaches 1 / alpha with a chance of alpha at most, ever (Ville's inequality), so it may be
watched. The bets are those of a Beta(a, b) prior on the rate, hence the closed form B(a + s, b + t - s) / B(a, b) over
p0^s (1 - p0)^(t - s) for s wins in t votes.

These are bets on independent votes. Votes of people cluster in raters and prompts, and there this e-value claims far
too often (.31 to .50 in place of .05): use `sequential.py`.
Source: Robbins (1970), doi:10.1214/aoms/1177696786; Ville (1939), "Étude critique de la notion de collectif";
Ramdas, Grünwald, Vovk & Shafer (2023), doi:10.1214/23-STS894.
"""

from math import exp, inf, log, log1p, nextafter

import numpy as np
from jaxtyping import Bool, Float64
from scipy import optimize, special

from arena.statistics.interval import ALPHA, Interval

# Beta(1, 1) lets every rate be as likely as every other: the textbook choice, which nobody has to defend, and whose
# e-value anyone can check by hand, 2^t / ((t + 1) * C(t, s)). Beta(1/2, 1/2) spends its capital near 0 and 1, where no
# entrant's rate is. Beta(10, 10) would find 47 against 50 with 2,457 votes in place of 2,947 on average, of 5,000 at
# most: who expects rates near one half may declare it, before the first vote.
PRIOR = 1.0
# The end of an interval is found to this; an interval's ends have no use for more digits.
_TOLERANCE = 1e-13
_LARGEST_LOG = log(nextafter(inf, 0))


def beta_binomial_e_value(wins: int, votes: int, *, rate: float = 0.5, a: float = PRIOR, b: float = PRIOR) -> float:
    """How much `wins` of `votes` independent votes speak against a true `rate`; 20 or more refutes it at 5 %.

    Beyond the largest number of the machine it is that number.

    >>> beta_binomial_e_value(0, 0)
    1.0
    >>> round(beta_binomial_e_value(8, 10), 3)  # 2^10 / (11 * 45)
    2.069
    """
    return exp(min(log_e_value(wins, votes, rate=rate, a=a, b=b), _LARGEST_LOG))


def log_e_value(wins: int, votes: int, *, rate: float = 0.5, a: float = PRIOR, b: float = PRIOR) -> float:
    """The natural logarithm of `beta_binomial_e_value`, which no number of votes makes too large."""
    _check(wins, votes, rate)
    mixture = float(special.betaln(a + wins, b + votes - wins) - special.betaln(a, b))
    return mixture - wins * log(rate) - (votes - wins) * log1p(-rate)


def e_value_path(
    won: Bool[np.ndarray, " votes"], *, rate: float = 0.5, a: float = PRIOR, b: float = PRIOR
) -> Float64[np.ndarray, " votes"]:
    """The logarithm of the e-value after every vote, in the order in which the votes were cast."""
    votes = np.arange(1, len(won) + 1)
    wins = np.cumsum(won)
    mixture = special.betaln(a + wins, b + votes - wins) - special.betaln(a, b)
    path: Float64[np.ndarray, " votes"] = mixture - wins * log(rate) - (votes - wins) * log1p(-rate)
    return path


def anytime_p(
    won: Bool[np.ndarray, " votes"], *, rate: float = 0.5, a: float = PRIOR, b: float = PRIOR
) -> Float64[np.ndarray, " votes"]:
    """The p-value after every vote: 1 / the largest e-value so far, never above 1. It may be watched, and only falls.

    >>> anytime_p(np.array([True] * 6)).round(3)
    array([1.   , 0.75 , 0.5  , 0.312, 0.188, 0.109])
    """
    most = np.maximum.accumulate(np.maximum(e_value_path(won, rate=rate, a=a, b=b), 0.0))
    p: Float64[np.ndarray, " votes"] = np.exp(-most)
    return p


def confidence_sequence(wins: int, votes: int, *, alpha: float = ALPHA, a: float = PRIOR, b: float = PRIOR) -> Interval:
    """Every rate that `wins` of `votes` independent votes do not refute; it holds at all looks together.

    No votes give [0, 1].

    >>> interval = confidence_sequence(60, 100)
    >>> print(f"{interval.low:.3f} to {interval.high:.3f}")
    0.441 to 0.746
    """
    low = _lower_end(wins, votes, alpha, a, b)
    # Losses are the other side's wins: the upper end is the mirror image of a lower one.
    return Interval(low=low, high=1 - _lower_end(votes - wins, votes, alpha, b, a))


def _lower_end(wins: int, votes: int, alpha: float, a: float, b: float) -> float:
    if wins == 0:
        return 0.0
    threshold = -log(alpha)

    # In the rate's logarithm, because with few wins in many votes the end lies near 0.
    def above(log_rate: float) -> float:
        mixture = float(special.betaln(a + wins, b + votes - wins) - special.betaln(a, b))
        losses = votes - wins
        return mixture - wins * log_rate - (losses * log1p(-exp(log_rate)) if losses else 0.0) - threshold

    # At the observed rate the likelihood is at its largest and the e-value at most 1; towards 0 it grows without bound.
    observed = log(wins / votes)
    return exp(float(optimize.brentq(above, observed - 700.0, observed, xtol=_TOLERANCE)))


def _check(wins: int, votes: int, rate: float) -> None:
    assert 0 <= wins <= votes, f"{wins} of {votes} is no count"
    assert 0 < rate < 1, "a null rate lies between 0 and 1"
