"""Where every entrant stands at a look, and whether the declared rule lets the study stop.

In: each entrant's latest `Look`, the rule and delta. Out: a `StoppingDecision`. Equivalent where the whole confidence
sequence lies within .5 +- delta; else preferred or not preferred where the always-valid p stands after Holm over the
entrants; else undecided. All of it may be read at every look, since interval and p hold at all looks together. It says
when to stop; the verdicts of the study are those of `verdicts.py`, on all its votes.
Source: Holm (1979), Scand. J. Statist. 6, 65-70, which asks nothing of the p-values but that each is valid.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from arena.statistics.equivalence import check_margin
from arena.statistics.interval import ALPHA
from arena.statistics.multiplicity import holm
from arena.statistics.sequential import Look
from arena.statistics.stopping import StoppingRule
from prompts.errors import printable

_NAMED = 3


class Standing(StrEnum):
    """What a look says about an entrant beside the reference."""

    PREFERRED = "preferred"
    NOT_PREFERRED = "not preferred"
    EQUIVALENT = "equivalent"
    UNDECIDED = "undecided"


@dataclass(frozen=True, slots=True, kw_only=True)
class StoppingDecision:
    """Whether to stop, why in one sentence, and each entrant's standing with its p after Holm (None: no look yet)."""

    stop: bool
    reason: str
    standings: dict[str, Standing]
    p_holm: dict[str, float | None]

    def to_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        return {
            "stop": self.stop,
            "reason": self.reason,
            "entrants": {
                name: {"standing": standing.value, "p_holm": self.p_holm[name]}
                for name, standing in self.standings.items()
            },
        }


def decide(looks: Mapping[str, Look | None], rule: StoppingRule, delta: float) -> StoppingDecision:
    """What the rule says at these looks; None stands for an entrant that has had none yet.

    `delta` is the equivalence margin, 0 < delta < .5 (MarginError otherwise).
    """
    check_margin(delta)
    assert looks, "a study has at least one entrant"
    adjusted = holm([None if look is None else look.p for look in looks.values()])
    p_holm = dict(zip(looks, adjusted, strict=True))
    standings = {name: _standing(look, p_holm[name], delta) for name, look in looks.items()}
    undecided = [name for name, standing in standings.items() if standing is Standing.UNDECIDED]
    unfinished = [name for name in undecided if not _has_all_votes(looks[name], rule)]
    return StoppingDecision(
        stop=not unfinished, reason=_reason(standings, undecided, unfinished, rule), standings=standings, p_holm=p_holm
    )


def _standing(look: Look | None, p_holm: float | None, delta: float) -> Standing:
    if look is None or look.interval is None or look.rate is None:
        return Standing.UNDECIDED
    if look.interval.low >= 0.5 - delta and look.interval.high <= 0.5 + delta:
        return Standing.EQUIVALENT
    if p_holm is not None and p_holm < ALPHA:
        return Standing.PREFERRED if look.rate > 0.5 else Standing.NOT_PREFERRED
    return Standing.UNDECIDED


def _has_all_votes(look: Look | None, rule: StoppingRule) -> bool:
    return rule.max_votes is not None and look is not None and look.n >= rule.max_votes


def _reason(standings: dict[str, Standing], undecided: list[str], unfinished: list[str], rule: StoppingRule) -> str:
    if unfinished:
        return f"Go on: {_listed(unfinished)} still undecided."
    if undecided:
        return f"Stop: {_listed(undecided)} undecided after the declared {rule.max_votes:,} votes each."
    if len(standings) == 1:
        ((name, standing),) = standings.items()
        return f"Stop: '{printable(name)}' is {standing.value}."
    counts = Counter(standings.values())
    told = ", ".join(f"{counts[standing]} {standing.value}" for standing in Standing if counts[standing])
    return f"Stop: all {len(standings)} entrants are decided ({told})."


def _listed(names: list[str]) -> str:
    shown = [f"'{printable(name)}'" for name in names[:_NAMED]]
    if len(names) > _NAMED:
        shown.append(f"{len(names) - _NAMED} more")
    return f"{', '.join(shown)} {'is' if len(names) == 1 else 'are'}"
