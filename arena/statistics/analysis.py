"""Everything that a set of votes says, in one value: rates, verdicts, contrasts, sides, agreement, strengths and ranks.

In: a `VoteTable`, the reference, the margin and the estimand of the verdicts. Out: an `Analysis`, whose `to_dict` is
what `canvas arena analyse --json` prints and other programs rely on. Nothing is computed here: each part has a module
of its own, and this one only puts them beside each other.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Int32

from arena.statistics.against_reference import METHOD_VERSION, EntrantResult, compare_with_reference
from arena.statistics.agreement import Agreement, rater_agreement
from arena.statistics.bradley_terry import Fit, fit_bradley_terry, fit_davidson
from arena.statistics.clustered import cluster_count
from arena.statistics.contrasts import Contrast, contrasts
from arena.statistics.equivalence import check_margin
from arena.statistics.fragility import Fragility, fragility
from arena.statistics.heterogeneity import Heterogeneity, categories_of
from arena.statistics.position import PositionTest, position_test
from arena.statistics.rater_sides import RaterSides, left_shares
from arena.statistics.rates import Ties
from arena.statistics.simultaneous import RankedPairs, ranked_pairs
from arena.statistics.votes import VoteTable, outcomes_of_each, votes_of_each
from prompts.errors import CanvasError, quoted

# The parts of an analysis, in the order in which they are made: what a progress bar counts.
PARTS = ("rates", "contrasts", "raters", "categories", "fragility", "strengths", "ranks")


class WhichReferenceError(CanvasError):
    """A reference that the votes do not know, or votes that do not say by themselves which model it is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Analysis:
    """What the votes say about every entrant beside `reference`; verdicts are on the `ties` estimand, within `delta`.

    `votes` counts both-bad ones too; `raters` and `prompts` are None where no vote says who cast it, or on what.
    """

    reference: str
    delta: float
    ties: Ties
    votes: int
    raters: int | None
    prompts: int | None
    entrants: tuple[EntrantResult, ...]
    categories: dict[str, Heterogeneity]
    challenges: dict[str, Heterogeneity]
    fragility: dict[str, Fragility]
    contrasts: tuple[Contrast, ...]
    position: PositionTest
    sides: RaterSides
    agreement: Agreement
    bradley_terry: Fit
    bradley_terry_side: Fit
    davidson: Fit
    davidson_side: Fit
    ranks: RankedPairs | None

    def to_dict(self) -> dict[str, Any]:
        """Ready for JSON, without NaN or infinity: intervals are [low, high], 95 %, two-sided; null has its reason.

        Keys that other programs rely on come first; later ones explain them.
        """
        return {
            "reference": self.reference,
            "votes": self.votes,
            "raters": self.raters,
            "prompts": self.prompts,
            "method_version": METHOD_VERSION,
            "entrants": {row.entrant: self._entrant(row) for row in self.entrants},
            "contrasts": [contrast.to_dict() for contrast in self.contrasts],
            "position": self.position.to_dict(),
            "raters_flagged": [rater.to_dict() for rater in self.sides.flagged],
            "bradley_terry": {**self.bradley_terry.to_dict(), **self._ranks()},
            "bradley_terry_side": self.bradley_terry_side.to_dict(),
            "davidson": self.davidson.to_dict(),
            "davidson_side": self.davidson_side.to_dict(),
            "delta": self.delta,
            "ties": self.ties,
            "agreement": self.agreement.to_dict(),
        }

    def _entrant(self, row: EntrantResult) -> dict[str, Any]:
        return {
            **row.to_dict(),
            "fragility": self.fragility[row.entrant].to_dict(),
            "categories": self.categories[row.entrant].to_dict(),
            "challenges": self.challenges[row.entrant].to_dict(),
        }

    def _ranks(self) -> dict[str, Any]:
        ranks = self.ranks
        if ranks is None:
            return {"rank_sets": None, "simultaneous_q": None, "simultaneous_q_t": None, "simultaneous": None}
        return {
            "rank_sets": {name: list(ends) for name, ends in ranks.rank_sets.items()},
            "simultaneous_q": ranks.quantiles.normal,
            "simultaneous_q_t": ranks.quantiles.t,
            "simultaneous": {
                "q_used": ranks.used,
                "q_error": ranks.quantiles.numerical_error,
                "pairs": [pair.to_dict() for pair in ranks.pairs],
            },
        }


def analyse(
    table: VoteTable,
    *,
    reference: str,
    entrants: Sequence[str] | None = None,
    delta: float = 0.05,
    ties: Ties = "half",
    on_part: Callable[[], object] | None = None,
) -> Analysis:
    """Everything at once; `on_part` is called after each of `PARTS`.

    `entrants` are all models but the reference, by name, unless given (a study declares them, voted on or not).
    Raises WhichReferenceError for a reference that no vote knows, and MarginError for a `delta` outside (0, .5).

    >>> import numpy as np
    >>> from arena.statistics.simulator import REFERENCE, ArenaDesign, simulate_votes
    >>> design = ArenaDesign(raters=30, prompts=80, votes=1500, rates=(0.65, 0.5))
    >>> votes = simulate_votes(design, np.random.default_rng(3))
    >>> found = analyse(votes, reference=REFERENCE)
    >>> [(row.entrant, row.judgement.verdict.value) for row in found.entrants]
    [('entrant-0', 'preferred'), ('entrant-1', 'inconclusive')]
    >>> found.ranks.rank_sets["entrant-0"]
    (1, 1)
    """
    check_margin(delta)
    if entrants is None:
        if reference not in table.models:
            raise WhichReferenceError(
                f"No vote knows the reference {quoted(reference)}. Name a model of the votes: {_some(table.models)}."
            )
        entrants = [name for name in table.models if name != reference]
    done = on_part or (lambda: None)

    rows = compare_with_reference(table, reference=reference, entrants=entrants, delta=delta, ties=ties)
    done()
    found_contrasts = contrasts(table, reference=reference, entrants=entrants, ties=ties)
    done()
    position, sides, agreement = position_test(table), left_shares(table), rater_agreement(table)
    done()
    votes_of = dict(zip(entrants, votes_of_each(table, entrants, reference), strict=True))
    categories, challenges = (
        {name: categories_of(votes, name, reference, by=by, ties=ties) for name, votes in votes_of.items()}
        for by in ("category", "challenge")
    )
    done()
    fragile = _fragilities(table, rows, reference=reference, delta=delta, ties=ties)
    done()
    whole = _with_everybody(table, [reference, *entrants])
    fits = [
        fit(whole, reference=reference, side=side)
        for fit in (fit_bradley_terry, fit_davidson)
        for side in (False, True)
    ]
    done()
    ranks = ranked_pairs(fits[0])
    done()
    return Analysis(
        reference=reference,
        delta=delta,
        ties=ties,
        votes=len(table),
        raters=_known(table.rater),
        prompts=_known(table.prompt),
        entrants=rows,
        categories=categories,
        challenges=challenges,
        fragility=fragile,
        contrasts=found_contrasts,
        position=position,
        sides=sides,
        agreement=agreement,
        bradley_terry=fits[0],
        bradley_terry_side=fits[1],
        davidson=fits[2],
        davidson_side=fits[3],
        ranks=ranks,
    )


def reference_of(table: VoteTable) -> str:
    """The one model that is in every vote. Raises WhichReferenceError where none is, or two are."""
    appearances = np.bincount(np.concatenate([table.model_a, table.model_b]), minlength=len(table.models))
    always = [name for name, count in zip(table.models, appearances, strict=True) if count == len(table)]
    if len(table) and len(always) == 1:
        return always[0]
    if len(always) == 2:
        raise WhichReferenceError(
            f"Both {quoted(always[0])} and {quoted(always[1])} are in every vote, so either could be the reference. "
            "Say which: --reference NAME."
        )
    raise WhichReferenceError(
        "No model is in every vote, so the votes do not say which is the reference. "
        f"Say which with --reference NAME: {_some(table.models)}."
    )


def _fragilities(
    table: VoteTable, rows: Sequence[EntrantResult], *, reference: str, delta: float, ties: Ties
) -> dict[str, Fragility]:
    outcomes = outcomes_of_each(table, [row.entrant for row in rows], reference)
    p_values = [(row.half_tie if ties == "half" else row.ties_dropped).p for row in rows]
    return {
        row.entrant: fragility(one, other_p=[*p_values[:number], *p_values[number + 1 :]], delta=delta, ties=ties)
        for number, (row, one) in enumerate(zip(rows, outcomes, strict=True))
    }


def _with_everybody(table: VoteTable, names: Sequence[str]) -> VoteTable:
    """The table with every one of `names` among its models: a declared entrant without votes cannot be ranked."""
    absent = sorted(set(names) - set(table.models))
    return table.with_models((*table.models, *absent)) if absent else table


def _known(code: Int32[np.ndarray, " votes"]) -> int | None:
    known = code[code >= 0]
    return cluster_count(known) if len(known) else None


def _some(names: Sequence[str], most: int = 8) -> str:
    shown = ", ".join(quoted(name) for name in names[:most])
    return f"{shown} and {len(names) - most} more" if len(names) > most else shown
