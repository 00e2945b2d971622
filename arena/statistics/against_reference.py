"""Every entrant beside the reference: counts, rates, tests and a verdict each, adjusted over the entrants.

In: a `VoteTable`, the reference and the declared delta. Out: one `EntrantResult` per entrant, in the order asked.
Holm runs over all entrants asked for, voted on or not, apart for each estimand; TOST is not adjusted, since
equivalence is claimed against a declared margin for one entrant at a time.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from arena.statistics.equivalence import Tost, check_margin, tost
from arena.statistics.multiplicity import holm
from arena.statistics.rates import PreferenceRate, Ties, preference_rate
from arena.statistics.verdicts import Judgement, judge
from arena.statistics.votes import VoteTable, outcomes_of_each

# The version of the methods in this folder. Raise it whenever the same votes could give another number.
METHOD_VERSION = "2"


@dataclass(frozen=True, slots=True, kw_only=True)
class EntrantResult:
    """What the votes say about one entrant; `both_bad` votes are in no rate's n."""

    entrant: str
    wins: int
    losses: int
    ties: int
    both_bad: int
    half_tie: PreferenceRate
    ties_dropped: PreferenceRate
    tost: Tost
    judgement: Judgement

    @property
    def tie_share(self) -> float | None:
        """Ties among wins, losses and ties."""
        judged = self.wins + self.losses + self.ties
        return self.ties / judged if judged else None

    @property
    def both_bad_share(self) -> float | None:
        """Both-bad votes among all votes."""
        votes = self.wins + self.losses + self.ties + self.both_bad
        return self.both_bad / votes if votes else None

    def to_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        return {
            "wins": self.wins,
            "losses": self.losses,
            "ties": self.ties,
            "both_bad": self.both_bad,
            "tie_share": self.tie_share,
            "both_bad_share": self.both_bad_share,
            "half_tie": self.half_tie.to_dict(),
            "ties_dropped": self.ties_dropped.to_dict(),
            "tost": self.tost.to_dict(),
            "non_inferiority": self.tost.non_inferiority(),
            "verdict": self.judgement.verdict.value,
            "also_different": self.judgement.also_different,
            "reasons": list(self.judgement.reasons),
        }


def compare_with_reference(
    table: VoteTable, *, reference: str, entrants: Sequence[str], delta: float, ties: Ties = "half"
) -> tuple[EntrantResult, ...]:
    """One result per entrant; `ties` chooses the estimand of TOST and verdict, both rates are given either way.

    `delta` is the equivalence margin in preference rate, 0 < delta < .5 (MarginError otherwise).
    """
    check_margin(delta)
    outcomes = outcomes_of_each(table, entrants, reference)
    half = _with_holm([preference_rate(one, ties="half") for one in outcomes])
    dropped = _with_holm([preference_rate(one, ties="drop") for one in outcomes])
    results = []
    for entrant, one, half_rate, dropped_rate in zip(entrants, outcomes, half, dropped, strict=True):
        declared = half_rate if ties == "half" else dropped_rate
        equivalence = tost(declared.rate, declared.se, declared.df, delta=delta)
        results.append(
            EntrantResult(
                entrant=entrant,
                wins=one.wins,
                losses=one.losses,
                ties=one.ties,
                both_bad=one.both_bad,
                half_tie=half_rate,
                ties_dropped=dropped_rate,
                tost=equivalence,
                judgement=judge(declared, equivalence),
            )
        )
    return tuple(results)


def _with_holm(rates: Sequence[PreferenceRate]) -> list[PreferenceRate]:
    adjusted = holm([rate.p for rate in rates])
    return [replace(rate, p_holm=p) for rate, p in zip(rates, adjusted, strict=True)]
