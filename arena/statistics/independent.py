"""One rate from independent votes: Wilson and Clopper-Pearson intervals and the exact binomial test against one half.

In: how many of n votes were won. Out: intervals and a p-value that are right only "if votes were independent". Votes
cluster in raters and prompts, so a board shows these numbers under those words alone; the headline is in `rates.py`.
Source: Wilson (1927), doi:10.1080/01621459.1927.10502953; Clopper & Pearson (1934), doi:10.1093/biomet/26.4.404;
compared by Newcombe (1998), doi:10.1002/(SICI)1097-0258(19980430)17:8<857::AID-SIM777>3.0.CO;2-E.
"""

from dataclasses import dataclass
from math import sqrt

from scipy import special

from arena.statistics.interval import ALPHA, Interval


@dataclass(frozen=True, slots=True, kw_only=True)
class IfVotesWereIndependent:
    """What `wins` of `n` decisive votes would say if no vote had anything to do with another. Needs n >= 1."""

    wilson: Interval
    clopper_pearson: Interval
    p: float

    def to_dict(self) -> dict[str, list[float] | float]:
        """Intervals as [low, high], ready for JSON."""
        return {
            "wilson": [self.wilson.low, self.wilson.high],
            "clopper_pearson": [self.clopper_pearson.low, self.clopper_pearson.high],
            "p": self.p,
        }


def if_votes_were_independent(wins: int, n: int) -> IfVotesWereIndependent:
    """All three at once, for `wins` of `n` votes; n >= 1."""
    return IfVotesWereIndependent(
        wilson=wilson(wins, n), clopper_pearson=clopper_pearson(wins, n), p=exact_binomial_p(wins, n)
    )


def wilson(wins: int, n: int) -> Interval:
    """The score interval without continuity correction (Newcombe's method 3)."""
    _check(wins, n)
    return score_interval(wins / n, float(n), quantile=float(special.ndtri(1 - ALPHA / 2)))


def score_interval(rate: float, n: float, *, quantile: float) -> Interval:
    """Every rate p whose score statistic |rate - p| / sqrt(p (1 - p) / n) stays within `quantile`.

    `n` may be a fraction (an effective number of votes); an enormous `quantile` gives [0, 1], as it should.
    """
    # Wilson's formula in the weight n / (n + quantile^2), because that survives a quantile whose square is infinite.
    weight = n / (n + quantile * quantile)
    centre = weight * rate + (1 - weight) / 2
    half = sqrt(rate * (1 - rate) * weight * (1 - weight) + (1 - weight) ** 2 / 4)
    return Interval(low=max(0.0, centre - half), high=min(1.0, centre + half))


def clopper_pearson(wins: int, n: int) -> Interval:
    """The interval from the exact binomial tails (Newcombe's method 5)."""
    _check(wins, n)
    low = 0.0 if wins == 0 else float(special.betaincinv(wins, n - wins + 1, ALPHA / 2))
    high = 1.0 if wins == n else float(special.betaincinv(wins + 1, n - wins, 1 - ALPHA / 2))
    return Interval(low=low, high=high)


def exact_binomial_p(wins: int, n: int) -> float:
    """Two-sided p-value of the exact binomial test that the rate is one half."""
    _check(wins, n)
    return min(1.0, 2 * float(special.bdtr(min(wins, n - wins), n, 0.5)))


def _check(wins: int, n: int) -> None:
    assert 0 <= wins <= n, f"{wins} of {n} is no count"
    assert n >= 1, "a rate needs a vote"
