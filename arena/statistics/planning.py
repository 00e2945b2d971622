"""How many votes and how many raters it takes: planning a study before it starts.

In: the true rate one expects, the margin that matters, the wanted power. Out: votes per entrant, as if they were
independent; times the design effect that earlier votes of the same kind showed; and raters, since more votes by the
same raters do not remove their taste: however many votes they cast, the standard error stays near .10 / sqrt(G*), G*
being the effective number of raters. What a plan cannot give is None, and `missing` says why.
Source: Chow, Shao, Wang & Lokhnygina (2017), "Sample Size Calculations in Clinical Research", section 4.1; the power of
TOST with an estimated standard error is that of Phillips (1990), doi:10.1007/BF01063556.
"""

from collections.abc import Callable
from dataclasses import dataclass
from math import ceil, sqrt
from typing import Any

import numpy as np
from jaxtyping import Float64
from scipy import optimize, special

from arena.statistics.equivalence import check_margin
from arena.statistics.interval import ALPHA
from arena.statistics.not_estimable import NotEstimable, Obstacle
from prompts.errors import CanvasError

POWER = 0.8
# Between raters with enough votes each, rates differ with about this standard deviation (logit .45 and .20).
RATER_SD = 0.10
# With more degrees of freedom Student's t changes no more that a plan could notice.
_MANY = 1e6
_MOST = 10**13


# Differences and margins that are finer than this, in preference rate, nobody plans for.
FINEST = 1e-5
MOST_DESIGN_EFFECT = 10_000


class PlanningError(CanvasError):
    """A plan for something that cannot be: the sentence names the value and what it may be."""


def votes_for_difference(rate: float, *, power: float = POWER) -> int:
    """Independent votes that show a true `rate` (not .5) to differ from one half, two-sided at 5 %.

    >>> votes_for_difference(0.47), votes_for_difference(0.38)
    (2178, 134)
    """
    assert 0 < rate < 1, "a rate lies between 0 and 1"
    assert rate != 0.5, "no number of votes shows a difference that is not there"
    spread = special.ndtri(1 - ALPHA / 2) * 0.5 + special.ndtri(power) * sqrt(rate * (1 - rate))
    return ceil(float(spread / (rate - 0.5)) ** 2)


def votes_for_equivalence(delta: float, *, rate: float = 0.5, power: float = POWER) -> int:
    """Independent votes that show a true `rate` to lie within .5 +- `delta`, by TOST at 5 %.

    >>> votes_for_equivalence(0.05), votes_for_equivalence(0.05, rate=0.52)
    (857, 1715)
    """
    check_margin(delta)
    if rate == 0.5:
        # Both sides of the margin are equally far, so that the power has an inverse.
        spread = 0.5 * (special.ndtri(1 - ALPHA) + special.ndtri(1 - (1 - power) / 2))
        return ceil(float(spread / delta) ** 2)
    assert _lies_within(rate, delta), "no number of votes shows a rate to lie within a margin that it oversteps"
    return _fewest(lambda votes: power_of_equivalence(votes, delta, rate=rate), power, least=1)


def power_of_difference(votes: int | float, rate: float) -> float:
    """The chance that `votes` independent votes (a fraction is fine) show a true `rate` to differ from one half."""
    assert 0 < rate < 1, "a rate lies between 0 and 1"
    spread, critical = sqrt(rate * (1 - rate)), special.ndtri(1 - ALPHA / 2) * 0.5
    shift = abs(rate - 0.5) * sqrt(votes)
    return float(special.ndtr((shift - critical) / spread) + special.ndtr((-shift - critical) / spread))


def power_of_equivalence(votes: int | float, delta: float, *, rate: float = 0.5) -> float:
    """The chance that `votes` independent votes show a true `rate` to lie within .5 +- `delta`."""
    check_margin(delta)
    assert 0 < rate < 1, "a rate lies between 0 and 1"
    se, critical = sqrt(rate * (1 - rate) / votes), special.ndtri(1 - ALPHA)
    upper = special.ndtr((delta - (rate - 0.5)) / se - critical)
    lower = special.ndtr((delta + (rate - 0.5)) / se - critical)
    return max(0.0, float(upper + lower - 1))


def smallest_difference(votes: int | float, *, power: float = POWER) -> float | None:
    """How far from one half a true rate must lie for `votes` independent votes to show it; None where none is enough.

    >>> round(smallest_difference(783), 4)
    0.05
    """
    return _smallest(lambda difference: power_of_difference(votes, 0.5 + difference), power)


def with_design_effect(votes: int, design_effect: float) -> int:
    """Votes that are worth `votes` independent ones; `design_effect` = votes / effective votes, 1 or more."""
    # A product that is whole but for rounding must not become one vote more.
    return ceil(round(votes * design_effect, 6))


def rater_floor(effective_raters: int | float) -> float:
    """The standard error that is left when every one of these raters has cast votes without end."""
    return RATER_SD / sqrt(effective_raters)


def rater_power_of_difference(raters: int | float, rate: float) -> float:
    """The chance that `raters` equally busy raters show a true `rate` to differ, were their votes without end."""
    shift, critical = abs(rate - 0.5) / rater_floor(raters), _critical_values(raters, 1 - ALPHA / 2)
    return float(_QUANTILE_WEIGHTS @ (special.ndtr(shift - critical) + special.ndtr(-shift - critical)))


def rater_power_of_equivalence(raters: int | float, delta: float, *, rate: float = 0.5) -> float:
    """The chance that `raters` equally busy raters show equivalence, were their votes without end."""
    check_margin(delta)
    se, critical = rater_floor(raters), _critical_values(raters, 1 - ALPHA)
    upper = special.ndtr((delta - (rate - 0.5)) / se - critical)
    lower = special.ndtr((delta + (rate - 0.5)) / se - critical)
    return float(_QUANTILE_WEIGHTS @ np.maximum(0.0, upper + lower - 1))


def raters_for_difference(rate: float, *, power: float = POWER) -> int:
    """The fewest equally busy raters who can show a true `rate` (not .5) to differ from one half.

    >>> raters_for_difference(0.47), raters_for_difference(0.38)
    (90, 8)
    """
    assert rate != 0.5, "no number of raters shows a difference that is not there"
    return _fewest(lambda raters: rater_power_of_difference(raters, rate), power, least=2)


def raters_for_equivalence(delta: float, *, rate: float = 0.5, power: float = POWER) -> int:
    """The fewest equally busy raters who can show a true `rate` to lie within .5 +- `delta`."""
    assert _lies_within(rate, delta), "no number of raters shows a rate to lie within a margin that it oversteps"
    return _fewest(lambda raters: rater_power_of_equivalence(raters, delta, rate=rate), power, least=2)


def smallest_difference_of_raters(raters: int | float, *, power: float = POWER) -> float | None:
    """The smallest difference that `raters` equally busy raters can ever show; None where it is more than one half."""
    return _smallest(lambda difference: rater_power_of_difference(raters, 0.5 + difference), power)


@dataclass(frozen=True, slots=True, kw_only=True)
class Need:
    """What one claim takes, per entrant: independent votes, votes with the design effect, equally busy raters."""

    votes: int | None = None
    votes_with_design_effect: int | None = None
    raters: int | None = None

    def to_dict(self) -> dict[str, int | None]:
        """Ready for JSON; null where the claim cannot be shown at all."""
        return {
            "votes": self.votes,
            "votes_with_design_effect": self.votes_with_design_effect,
            "raters": self.raters,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Reach:
    """What given votes, or given raters, can show: the power of each claim and the smallest difference."""

    difference: float
    equivalence_at_half: float
    equivalence_at_rate: float
    smallest_difference: float | None

    def to_dict(self) -> dict[str, float | None]:
        """Ready for JSON."""
        return {
            "power_difference": self.difference,
            "power_equivalence_at_half": self.equivalence_at_half,
            "power_equivalence_at_rate": self.equivalence_at_rate,
            "smallest_difference": self.smallest_difference,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a study takes that expects the true `rate`; `of_votes` and `of_raters` where these are given.

    `equivalence_at_half` supposes a true rate of one half, `equivalence_at_rate` the expected one. `of_votes` counts
    the given votes as votes / design_effect independent ones; `of_raters` supposes votes without end.
    """

    rate: float
    power: float
    delta: float
    design_effect: float
    difference: Need
    equivalence_at_half: Need
    equivalence_at_rate: Need
    votes: int | None = None
    of_votes: Reach | None = None
    raters: int | None = None
    of_raters: Reach | None = None
    missing: tuple[NotEstimable, ...] = ()

    @property
    def raters_suffice(self) -> dict[str, bool | None] | None:
        """Whether the given raters are enough for each claim; None for one that cannot be shown at all."""
        if self.raters is None:
            return None
        claims = {
            "difference": self.difference,
            "equivalence_at_half": self.equivalence_at_half,
            "equivalence_at_rate": self.equivalence_at_rate,
        }
        return {claim: None if need.raters is None else self.raters >= need.raters for claim, need in claims.items()}

    def to_dict(self) -> dict[str, Any]:
        """Ready for JSON; what cannot be had is null and has its reason under "not_estimable"."""
        return {
            "rate": self.rate,
            "power": self.power,
            "delta": self.delta,
            "design_effect": self.design_effect,
            "difference": self.difference.to_dict(),
            "equivalence_at_half": self.equivalence_at_half.to_dict(),
            "equivalence_at_rate": self.equivalence_at_rate.to_dict(),
            "votes": self.votes,
            "of_votes": None if self.of_votes is None else self.of_votes.to_dict(),
            "raters": self.raters,
            "of_raters": None if self.of_raters is None else self.of_raters.to_dict(),
            "raters_suffice": self.raters_suffice,
            "not_estimable": [gap.to_dict() for gap in self.missing],
        }


def plan_study(
    rate: float,
    *,
    delta: float,
    power: float = POWER,
    design_effect: float = 1.0,
    votes: int | None = None,
    raters: int | None = None,
) -> Plan:
    """The plan of a study per entrant; `votes` and `raters` are what is there, if that is known.

    Raises PlanningError for a rate outside (0, 1), a power outside (.05, 1), a design effect below 1, votes below 1 or
    raters below 2, and MarginError for a delta outside (0, .5).
    """
    _check(rate, power, design_effect, votes, raters)
    check_margin(delta)
    if delta < FINEST:
        raise PlanningError(f"A delta of {delta} is finer than any study can settle. Give {FINEST:g} or more.")
    missing = []
    difference = equivalent = Need()
    if abs(rate - 0.5) < FINEST:
        missing.append(_NO_DIFFERENCE)
    else:
        difference = _need(
            votes_for_difference(rate, power=power), design_effect, raters_for_difference(rate, power=power)
        )
    if _lies_within(rate, delta):
        equivalent = _equivalence_need(rate, delta, power, design_effect)
    else:
        missing.append(_outside_margin(rate, delta))
    return Plan(
        rate=rate,
        power=power,
        delta=delta,
        design_effect=design_effect,
        difference=difference,
        equivalence_at_half=_equivalence_need(0.5, delta, power, design_effect),
        equivalence_at_rate=equivalent,
        votes=votes,
        of_votes=None if votes is None else _reach_of_votes(votes / design_effect, rate, delta, power),
        raters=raters,
        of_raters=None if raters is None else _reach_of_raters(raters, rate, delta, power),
        missing=tuple(missing),
    )


def _check(rate: float, power: float, design_effect: float, votes: int | None, raters: int | None) -> None:
    if not 0 < rate < 1:
        raise PlanningError(f"A rate of {rate} is no preference rate. Give a share of votes between 0 and 1.")
    if not ALPHA < power < 1:
        raise PlanningError(
            f"A power of {power} cannot be planned for: chance alone gives {ALPHA}, and certainty takes votes without "
            f"end. Give a share between {ALPHA} and 1, such as {POWER}."
        )
    if not 1 <= design_effect <= MOST_DESIGN_EFFECT:
        raise PlanningError(
            f"A design effect of {design_effect:g} is none. Give 1 (independent votes) or more, and at most "
            f"{MOST_DESIGN_EFFECT:,}."
        )
    if votes is not None and votes < 1:
        raise PlanningError(f"A study of {votes} votes cannot be planned. Give 1 or more.")
    if raters is not None and raters < 2:
        raise PlanningError(f"A study of {raters} raters says nothing about other raters. Give 2 or more.")


def _need(votes: int, design_effect: float, raters: int) -> Need:
    return Need(votes=votes, votes_with_design_effect=with_design_effect(votes, design_effect), raters=raters)


def _equivalence_need(rate: float, delta: float, power: float, design_effect: float) -> Need:
    return _need(
        votes_for_equivalence(delta, rate=rate, power=power),
        design_effect,
        raters_for_equivalence(delta, rate=rate, power=power),
    )


def _reach_of_votes(n_eff: float, rate: float, delta: float, power: float) -> Reach:
    return Reach(
        difference=power_of_difference(n_eff, rate),
        equivalence_at_half=power_of_equivalence(n_eff, delta),
        equivalence_at_rate=power_of_equivalence(n_eff, delta, rate=rate),
        smallest_difference=smallest_difference(n_eff, power=power),
    )


def _reach_of_raters(raters: int, rate: float, delta: float, power: float) -> Reach:
    return Reach(
        difference=rater_power_of_difference(raters, rate),
        equivalence_at_half=rater_power_of_equivalence(raters, delta),
        equivalence_at_rate=rater_power_of_equivalence(raters, delta, rate=rate),
        smallest_difference=smallest_difference_of_raters(raters, power=power),
    )


def _critical_values(raters: int | float, level: float) -> Float64[np.ndarray, " quantiles"]:
    """Student's critical value in true standard errors: it strays as the estimated one does, the root of chi^2 / df."""
    df = min(raters - 1, _MANY)
    critical: Float64[np.ndarray, " quantiles"] = special.stdtrit(df, level) * np.sqrt(
        special.chdtri(df, 1 - _QUANTILES) / df
    )
    return critical


def _fewest(power_of: Callable[[int], float], power: float, *, least: int) -> int:
    """The smallest whole number from `least` on whose power is enough; power grows with it."""
    enough = least
    while power_of(enough) < power:
        assert enough < _MOST, "no study is that large"
        enough *= 2
    short = max(least - 1, enough // 2)
    while enough - short > 1:
        middle = (enough + short) // 2
        if power_of(middle) < power:
            short = middle
        else:
            enough = middle
    return enough


def _smallest(power_of: Callable[[float], float], power: float) -> float | None:
    largest = 0.5 - 1e-9
    if power_of(largest) < power:
        return None
    return float(optimize.brentq(lambda difference: power_of(difference) - power, 0.0, largest, xtol=1e-12))


def _lies_within(rate: float, delta: float) -> bool:
    """Whether the rate lies within .5 +- delta by more than rounding: .45 lies at the edge of .05, not within."""
    return delta - abs(rate - 0.5) >= FINEST


def _outside_margin(rate: float, delta: float) -> NotEstimable:
    reason = (
        f"A true rate of {rate:g} is not within one half ± {delta:g}, so no number of votes shows it to be equivalent."
    )
    return NotEstimable(what="equivalence at the expected rate", obstacle=Obstacle.OUTSIDE_MARGIN, reason=reason)


_NO_DIFFERENCE = NotEstimable(
    what="difference",
    obstacle=Obstacle.NO_DIFFERENCE,
    reason="A true rate of one half is no difference, so no number of votes shows one.",
)
_NODES, _HALF_WEIGHTS = np.polynomial.legendre.leggauss(200)
_QUANTILES, _QUANTILE_WEIGHTS = (_NODES + 1) / 2, _HALF_WEIGHTS / 2
