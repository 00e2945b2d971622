"""What a study would say, tried out before it starts: it is run many times over in a simulated arena.

In: an `ArenaDesign` (raters, prompts, votes, true rates, spreads), delta and a generator. Out: for each entrant how
often each verdict comes out, how often the interval covers the truth, and how wide it is. Where `planning.py` has a
formula for one effect at a time, a forecast meets them all together: unequal raters, prompts, Holm over the entrants.
Every share has its Monte-Carlo standard error. Nobody votes here: these votes never enter a ledger.
Source: Agresti & Coull (1998), doi:10.1080/00031305.1998.10480550, for the standard error of a share near 0 or 1.
"""

from collections.abc import Callable
from dataclasses import dataclass
from math import sqrt
from typing import Any

import numpy as np

from arena.statistics.against_reference import EntrantResult, compare_with_reference
from arena.statistics.equivalence import check_margin
from arena.statistics.rates import Ties
from arena.statistics.simulator import REFERENCE, ArenaDesign, simulate_votes
from arena.statistics.verdicts import Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """A share of the simulated studies and its Monte-Carlo standard error, which is above 0 for none and for all."""

    share: float
    se: float

    def to_dict(self) -> dict[str, float]:
        """Ready for JSON."""
        return {"share": self.share, "se": self.se}


@dataclass(frozen=True, slots=True, kw_only=True)
class EntrantForecast:
    """One entrant over all simulated studies; `verdicts` add up to 1.

    `with_interval` studies had an interval at all; `coverage`, `interval_width` and `design_effect` (means) are over
    those, and None where there is none.
    """

    entrant: str
    true_rate: float
    verdicts: dict[Verdict, Share]
    with_interval: int
    coverage: Share | None
    interval_width: float | None
    design_effect: float | None

    def to_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        return {
            "entrant": self.entrant,
            "true_rate": self.true_rate,
            "verdicts": {verdict.value: share.to_dict() for verdict, share in self.verdicts.items()},
            "with_interval": self.with_interval,
            "coverage": None if self.coverage is None else self.coverage.to_dict(),
            "interval_width": self.interval_width,
            "design_effect": self.design_effect,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """`repeats` simulated studies of one design, read as the board would read them."""

    design: ArenaDesign
    delta: float
    ties: Ties
    repeats: int
    entrants: tuple[EntrantForecast, ...]

    def to_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        return {
            "repeats": self.repeats,
            "votes": self.design.votes,
            "raters": self.design.raters,
            "prompts": self.design.prompts,
            "delta": self.delta,
            "ties": self.ties,
            "entrants": [entrant.to_dict() for entrant in self.entrants],
        }


def forecast(
    design: ArenaDesign,
    *,
    delta: float,
    ties: Ties = "half",
    repeats: int,
    rng: np.random.Generator,
    on_step: Callable[[], None] | None = None,
) -> Forecast:
    """Run the study `repeats` times; `on_step` is called after each, for a progress bar.

    >>> design = ArenaDesign(raters=40, prompts=200, votes=2000, rates=(0.65,))
    >>> (entrant,) = forecast(design, delta=0.05, repeats=50, rng=np.random.default_rng(1)).entrants
    >>> print(f"preferred in {entrant.verdicts[Verdict.PREFERRED].share:.0%} of the studies")
    preferred in 100% of the studies
    """
    check_margin(delta)
    assert repeats >= 1, "a forecast needs a study"
    results: list[tuple[EntrantResult, ...]] = []
    for _ in range(repeats):
        votes = simulate_votes(design, rng)
        results.append(
            compare_with_reference(votes, reference=REFERENCE, entrants=design.entrants, delta=delta, ties=ties)
        )
        if on_step is not None:
            on_step()
    truths = design.true_half_tie() if ties == "half" else design.true_ties_dropped()
    return Forecast(
        design=design,
        delta=delta,
        ties=ties,
        repeats=repeats,
        entrants=tuple(
            _over_studies([result[place] for result in results], truth, ties) for place, truth in enumerate(truths)
        ),
    )


def _over_studies(results: list[EntrantResult], truth: float, ties: Ties) -> EntrantForecast:
    rates = [result.half_tie if ties == "half" else result.ties_dropped for result in results]
    judged = [result.judgement.verdict for result in results]
    intervals = [rate.interval for rate in rates if rate.interval is not None]
    covered = sum(truth in interval for interval in intervals)
    return EntrantForecast(
        entrant=results[0].entrant,
        true_rate=truth,
        verdicts={verdict: _share(judged.count(verdict), len(judged)) for verdict in Verdict},
        with_interval=len(intervals),
        coverage=_share(covered, len(intervals)) if intervals else None,
        interval_width=_mean([interval.high - interval.low for interval in intervals]),
        design_effect=_mean([rate.design_effect for rate in rates if rate.design_effect is not None]),
    )


def _share(count: int, of: int) -> Share:
    # Two successes and two failures more: a share of exactly 0 or 1 is not thereby known exactly.
    near = (count + 2) / (of + 4)
    return Share(share=count / of, se=sqrt(near * (1 - near) / (of + 4)))


def _mean(values: list[float]) -> float | None:
    return float(np.mean(values)) if values else None
