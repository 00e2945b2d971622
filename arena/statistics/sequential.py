"""Looking at clustered votes again and again: a bound that holds at all looks together.

In: a preference rate with its two-way clustered standard error and effective votes. Out: an interval and a p-value that
stay right however often one looks and whenever one stops (a confidence sequence, an always-valid p-value).

The rate is as far from one half as a Brownian motion with n_eff steps would be, so Robbins' normal mixture bounds it at
all times at once: |rate - 1/2| / SE > sqrt((n r + 1) / (n r) * log((n r + 1) / alpha^2)) with n = n_eff. The mixture's
r decides where the bound is tightest: with 1/200 that is near 1,600 effective votes, a study's usual end. It is wider
than the headline interval at every single look; that is the price of looking. It is asymptotic in raters, prompts and
votes: a `StoppingRule` says from where on a look counts. Looked at after every 50 votes by 12 to 200 raters, it rejects
a true null in 1.5 to 2.5 % of 2,000 simulated studies; a clustered test at 1.96, looked at as often, in 27 to 33 %.
Where the true rate is near 0 or 1 it covers a little less than 95 % (93 % at .95, 92 % at .97).
Source: Robbins (1970), doi:10.1214/aoms/1177696786; Waudby-Smith, Arbour, Sinha, Kennedy & Ramdas (2021),
arXiv:2103.06476, theorem 2.2; Howard, Ramdas, McAuliffe & Sekhon (2021), doi:10.1214/20-AOS1991.
"""

from dataclasses import dataclass
from math import exp, log, sqrt
from typing import Any

from arena.statistics.interval import ALPHA, Interval
from arena.statistics.not_estimable import NotEstimable, Obstacle
from arena.statistics.rates import PreferenceRate, Ties, preference_rate
from arena.statistics.stopping import StoppingRule
from arena.statistics.votes import Outcomes

R = 1 / 200


def clustered_boundary(n_eff: float, *, alpha: float = ALPHA, r: float = R) -> float:
    """How many standard errors the rate of `n_eff` > 0 effective votes may stray, at all looks together.

    >>> [round(clustered_boundary(votes), 2) for votes in (50.0, 400.0, 1600.0, 6400.0)]  # 1.96 holds at one look only
    [5.57, 3.26, 3.04, 3.13]
    """
    grown = n_eff * r + 1
    return sqrt(grown / (grown - 1) * log(grown / alpha**2))


def always_valid_p(rate: float, se: float, n_eff: float, *, r: float = R) -> float:
    """The least alpha whose bound the rate's distance from one half oversteps; 1 where that is no alpha at all.

    >>> round(always_valid_p(0.56, 0.02, 700.0), 3)
    0.064
    """
    grown = n_eff * r + 1
    z = (rate - 0.5) / se
    return min(1.0, sqrt(grown) * exp(-z * z / 2 * (grown - 1) / grown))


def clustered_confidence_sequence(
    rate: float, se: float, n_eff: float, *, alpha: float = ALPHA, r: float = R
) -> Interval:
    """rate +- se * `clustered_boundary`, kept within [0, 1]: at 5 % it leaves one half out where p is below 5 %."""
    half = se * clustered_boundary(n_eff, alpha=alpha, r=r)
    return Interval(low=max(0.0, rate - half), high=min(1.0, rate + half))


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What the votes so far say about one entrant: `interval` is the confidence sequence, `p` the always-valid p.

    Both are None while the look counts for nothing yet, and `missing` says why.
    """

    n: int
    raters: int
    rate: float | None
    effective_raters: float | None = None
    n_eff: float | None = None
    se: float | None = None
    interval: Interval | None = None
    p: float | None = None
    missing: tuple[NotEstimable, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Ready for JSON: the interval is [low, high], and what is not there yet is null."""
        return {
            "n": self.n,
            "raters": self.raters,
            "effective_raters": self.effective_raters,
            "n_eff": self.n_eff,
            "rate": self.rate,
            "se": self.se,
            "interval": None if self.interval is None else [self.interval.low, self.interval.high],
            "p": self.p,
            "not_estimable": [gap.to_dict() for gap in self.missing],
        }


def look(outcomes: Outcomes, *, rule: StoppingRule, ties: Ties = "half") -> Look:
    """A look at all of an entrant's votes so far."""
    return look_at(preference_rate(outcomes, ties=ties), rule)


def look_at(rate: PreferenceRate, rule: StoppingRule) -> Look:
    """A look at a rate that is already known."""
    missing = rate.missing or _too_little(rate, rule)
    interval: Interval | None = None
    p: float | None = None
    if not missing and rate.rate is not None and rate.se is not None and rate.n_eff is not None:
        interval = clustered_confidence_sequence(rate.rate, rate.se, rate.n_eff)
        p = always_valid_p(rate.rate, rate.se, rate.n_eff)
    return Look(
        n=rate.n,
        raters=rate.raters,
        rate=rate.rate,
        effective_raters=rate.effective_raters,
        n_eff=rate.n_eff,
        se=rate.se,
        interval=interval,
        p=p,
        missing=missing,
    )


def _too_little(rate: PreferenceRate, rule: StoppingRule) -> tuple[NotEstimable, ...]:
    what = "confidence sequence"
    if rate.n < rule.min_votes:
        reason = f"{rate.n} of the {rule.min_votes} votes are there from which on a look counts."
        return (NotEstimable(what=what, obstacle=Obstacle.FEW_VOTES, reason=reason),)
    if rate.effective_raters is not None and rate.effective_raters < rule.min_raters:
        reason = (
            f"The votes weigh like those of {rate.effective_raters:.1f} equally busy raters; "
            f"a look counts from {rule.min_raters} on."
        )
        return (NotEstimable(what=what, obstacle=Obstacle.FEW_RATERS, reason=reason),)
    return ()
