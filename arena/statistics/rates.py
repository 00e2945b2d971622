"""The preference rate against the reference, with an interval that knows whose votes they are.

In: `Outcomes`. Out: `PreferenceRate`: the mean of 1 / .5 / 0 (or of the decisive votes alone), its two-way clustered
standard error, the headline interval and the p-value that inverts it.

The headline interval is Wilson's, with n_eff = rate * (1 - rate) / V in place of the number of votes (never above it)
and Student's t with G* - 1 degrees of freedom in place of z, G* being the effective number of raters. Where all votes
are alike, V is 0 and says nothing: then n_eff is the effective number of raters or of prompts, whichever is smaller, as
if each rater's votes were one. One rater, or one prompt, says nothing about others: then there is no interval.
Source: Wilson (1927), doi:10.1080/01621459.1927.10502953, with the effective sample size and degrees of freedom of
Korn & Graubard (1998), Survey Methodology 24, 193-201; the variance is in `clustered.py`.
"""

from dataclasses import dataclass
from math import sqrt
from typing import Any, Literal

from scipy import special

from arena.statistics.clustered import (
    Route,
    cluster_count,
    effective_clusters,
    obstacle_to_clustering,
    two_way_variance,
)
from arena.statistics.independent import IfVotesWereIndependent, if_votes_were_independent, score_interval
from arena.statistics.interval import ALPHA, Interval
from arena.statistics.not_estimable import NotEstimable, Obstacle
from arena.statistics.votes import Outcomes

Ties = Literal["half", "drop"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PreferenceRate:
    """How often an entrant is preferred to the reference; None where a number cannot be had, and `missing` says why.

    `n` votes of `raters` people on `prompts` prompts count as `n_eff` independent votes of `effective_raters` people;
    `design_effect` = n / n_eff. `df` belongs to interval, p and TOST. `p_holm` is filled in over a family of entrants.
    """

    rate: float | None
    n: int
    raters: int
    prompts: int
    effective_raters: float | None = None
    se: float | None = None
    route: Route | None = None
    df: float | None = None
    n_eff: float | None = None
    design_effect: float | None = None
    interval: Interval | None = None
    p: float | None = None
    p_holm: float | None = None
    independent: IfVotesWereIndependent | None = None
    missing: tuple[NotEstimable, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Ready for JSON: the interval is [low, high], and what is not estimable is null."""
        return {
            "rate": self.rate,
            "se": self.se,
            "interval": None if self.interval is None else [self.interval.low, self.interval.high],
            "df": self.df,
            "n": self.n,
            "n_eff": self.n_eff,
            "design_effect": self.design_effect,
            "raters": self.raters,
            "effective_raters": self.effective_raters,
            "prompts": self.prompts,
            "p": self.p,
            "p_holm": self.p_holm,
            "independent": None if self.independent is None else self.independent.to_dict(),
            "not_estimable": [gap.to_dict() for gap in self.missing],
        }


def preference_rate(outcomes: Outcomes, *, ties: Ties) -> PreferenceRate:
    """The rate with everything that is known about it; a tie counts as half a win, or is dropped."""
    kept = outcomes.without_ties() if ties == "drop" else outcomes
    n = len(kept.value)
    if n == 0:
        gap = NotEstimable(what="rate", obstacle=Obstacle.NO_VOTES, reason=_no_votes(outcomes))
        return PreferenceRate(rate=None, n=0, raters=0, prompts=0, missing=(gap,))
    rate = float(kept.value.sum()) / n
    independent = if_votes_were_independent(kept.wins, n) if ties == "drop" else None
    obstacle = obstacle_to_clustering(kept.rater, kept.prompt)
    if obstacle is not None:
        return PreferenceRate(
            rate=rate,
            n=n,
            raters=_recorded(kept.rater),
            prompts=_recorded(kept.prompt),
            independent=independent,
            missing=(obstacle,),
        )
    effective_raters = effective_clusters(kept.rater)
    df = effective_raters - 1
    residuals = kept.value - rate
    se: float | None = None
    route: Route | None = None
    missing: tuple[NotEstimable, ...] = ()
    if residuals.any():
        found = two_way_variance(residuals, kept.rater, kept.prompt)
        se, route = sqrt(found.variance), found.route
        n_eff = min(float(n), rate * (1 - rate) / found.variance)
    else:
        n_eff = min(effective_raters, effective_clusters(kept.prompt))
        missing = (_all_alike(n),)
    return PreferenceRate(
        rate=rate,
        n=n,
        raters=cluster_count(kept.rater),
        prompts=cluster_count(kept.prompt),
        effective_raters=effective_raters,
        se=se,
        route=route,
        df=df,
        n_eff=n_eff,
        design_effect=n / n_eff,
        interval=headline_interval(rate, n_eff, df),
        p=headline_p(rate, n_eff, df),
        independent=independent,
        missing=missing,
    )


def headline_interval(rate: float, n_eff: float, df: float) -> Interval:
    """Wilson's interval with `n_eff` votes and Student's t on `df` > 0 degrees of freedom; near df 0 it is [0, 1]."""
    return score_interval(rate, n_eff, quantile=float(special.stdtrit(df, 1 - ALPHA / 2)))


def headline_p(rate: float, n_eff: float, df: float) -> float:
    """Two-sided p that the rate is one half: below .05 exactly where `headline_interval` leaves one half out."""
    t = abs(rate - 0.5) / sqrt(0.25 / n_eff)
    return min(1.0, 2 * float(special.stdtr(df, -t)))


def _no_votes(outcomes: Outcomes) -> str:
    if outcomes.ties:
        return f"All {outcomes.ties} votes are ties, and ties are dropped here."
    if outcomes.both_bad:
        return f"All {outcomes.both_bad} votes call both images bad, and those are counted apart."
    return "There are no votes yet."


def _all_alike(n: int) -> NotEstimable:
    reason = (
        f"All {n} votes say the same, so the spread cannot be seen; the interval takes each rater's votes, "
        "or each prompt's, as a single one."
    )
    return NotEstimable(what="standard error", obstacle=Obstacle.ALL_VOTES_ALIKE, reason=reason)


def _recorded(code: Any) -> int:
    return cluster_count(code[code >= 0]) if (code >= 0).any() else 0
