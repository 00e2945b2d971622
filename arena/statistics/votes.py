"""Votes as columns of small integers: what every statistic reads, whether the votes came from a ledger or a file.

In: vote records. Out: a `VoteTable`, and from it the `Outcomes` of one entrant against the reference. Codes rather than
strings keep a million votes in a few megabytes and let every count be one `bincount`. The order of the records does
not matter: rows follow the vote ids and names are sorted, so that the same votes always give the same bytes.
"""

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import IntEnum
from itertools import pairwise

import numpy as np
from jaxtyping import Bool, Float64, Int, Int8, Int32

from arena.votes import Choice, VoteRecord
from prompts.errors import CanvasError


class UnusableVotesError(CanvasError):
    """Votes that contradict themselves."""


class Left(IntEnum):
    """Which model stood on the left, or that nobody wrote it down."""

    UNKNOWN = -1
    A = 0
    B = 1


class Chosen(IntEnum):
    """What was chosen, translated once from the side of the page to the model."""

    A = 0
    B = 1
    TIE = 2
    BOTH_BAD = 3


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class VoteTable:
    """One row per vote. A code counts into the sorted names beside it; -1 says that it was not recorded."""

    rater: Int32[np.ndarray, " votes"]
    prompt: Int32[np.ndarray, " votes"]
    category: Int32[np.ndarray, " votes"]
    challenge: Int32[np.ndarray, " votes"]
    model_a: Int32[np.ndarray, " votes"]
    model_b: Int32[np.ndarray, " votes"]
    left: Int8[np.ndarray, " votes"]
    choice: Int8[np.ndarray, " votes"]
    raters: tuple[str, ...]
    prompts: tuple[str, ...]
    categories: tuple[str, ...]
    challenges: tuple[str, ...]
    models: tuple[str, ...]

    def __len__(self) -> int:
        """How many votes there are, both-bad ones among them."""
        return len(self.choice)

    def rows(self, kept: Bool[np.ndarray, " votes"] | Int[np.ndarray, " kept"]) -> "VoteTable":
        """The votes that are kept, or those of these row numbers in their order; names and codes stay as they are."""
        columns = ("rater", "prompt", "category", "challenge", "model_a", "model_b", "left", "choice")
        return replace(self, **{column: getattr(self, column)[kept] for column in columns})

    def with_models(self, models: tuple[str, ...]) -> "VoteTable":
        """The same votes among more models; the new ones come after those that are there, which keep their codes."""
        assert models[: len(self.models)] == self.models, "codes count into the models that were there first"
        return replace(self, models=models)

    def only_models(self, models: tuple[str, ...]) -> "VoteTable":
        """The votes of which both models are among these, which keep their order; nobody else is known any more."""
        kept = [self.models.index(name) for name in models]
        among = np.isin(self.model_a, kept) & np.isin(self.model_b, kept)
        votes = self if among.all() else self.rows(among)
        return replace(
            votes,
            models=models,
            model_a=_recoded(votes.model_a, kept, len(self.models)),
            model_b=_recoded(votes.model_b, kept, len(self.models)),
        )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Outcomes:
    """One entrant's votes against the reference: 1 entrant preferred, .5 tie, 0 reference preferred.

    Votes that called both images bad are no outcome; they are only counted, in `both_bad`.
    """

    value: Float64[np.ndarray, " outcomes"]
    rater: Int32[np.ndarray, " outcomes"]
    prompt: Int32[np.ndarray, " outcomes"]
    both_bad: int

    @property
    def wins(self) -> int:
        """How often the entrant was preferred."""
        return int(np.count_nonzero(self.value == 1))

    @property
    def losses(self) -> int:
        """How often the reference was preferred."""
        return int(np.count_nonzero(self.value == 0))

    @property
    def ties(self) -> int:
        """How often neither was preferred and not both were bad."""
        return int(np.count_nonzero(self.value == 0.5))

    def without_ties(self) -> "Outcomes":
        """The decisive votes alone."""
        decisive = self.value != 0.5
        return Outcomes(
            value=self.value[decisive],
            rater=self.rater[decisive],
            prompt=self.prompt[decisive],
            both_bad=self.both_bad,
        )


def _recoded(code: Int32[np.ndarray, " votes"], kept: Sequence[int], models: int) -> Int32[np.ndarray, " votes"]:
    new = np.full(models, -1, dtype=np.int32)
    new[list(kept)] = np.arange(len(kept))
    recoded: Int32[np.ndarray, " votes"] = new[code]
    return recoded


def from_records(records: Iterable[VoteRecord], challenges: Mapping[str, str] | None = None) -> VoteTable:
    """The table of these votes; model A is the alphabetically first of each pair.

    `challenges` gives a prompt's challenge by the prompt's id; "" and a missing id mean none.
    Raises UnusableVotesError for a vote id that comes twice and for an entrant compared with itself.
    """
    rows = sorted(records, key=lambda record: record.vote_id)
    for before, after in pairwise(rows):
        if before.vote_id == after.vote_id:
            raise UnusableVotesError(f"Vote {after.vote_id} comes twice. Give each vote once.")
    for row in rows:
        if row.left == row.right:
            raise UnusableVotesError(
                f"Vote {row.vote_id} compares '{row.left}' with itself. A pair needs two different entrants."
            )
    raters = sorted({row.rater for row in rows})
    prompts = sorted({row.prompt_id for row in rows})
    categories = sorted({row.category for row in rows if row.category})
    models = sorted({name for row in rows for name in (row.left, row.right)})
    challenged = [(challenges or {}).get(row.prompt_id, "") for row in rows]
    named_challenges = sorted({challenge for challenge in challenged if challenge})
    left = np.array([Left.A if row.left < row.right else Left.B for row in rows], dtype=np.int8)
    return VoteTable(
        rater=_codes([row.rater for row in rows], raters),
        prompt=_codes([row.prompt_id for row in rows], prompts),
        category=_codes([row.category for row in rows], categories),
        challenge=_codes(challenged, named_challenges),
        model_a=_codes([min(row.left, row.right) for row in rows], models),
        model_b=_codes([max(row.left, row.right) for row in rows], models),
        left=left,
        choice=_choices([row.choice for row in rows], left),
        raters=tuple(str(rater) for rater in raters),
        prompts=tuple(prompts),
        categories=tuple(categories),
        challenges=tuple(named_challenges),
        models=tuple(models),
    )


def outcomes_against(table: VoteTable, entrant: str, reference: str) -> Outcomes:
    """What the votes between these two say, seen from the entrant; empty where they never met."""
    return outcomes_of_each(table, [entrant], reference)[0]


def outcomes_of_each(table: VoteTable, entrants: Sequence[str], reference: str) -> list[Outcomes]:
    """The outcomes of each entrant against the reference, in one pass over the votes, however many they are."""
    assert reference not in entrants, f"'{reference}' cannot be compared with itself"
    if reference not in table.models:
        return [_NO_OUTCOMES for _ in entrants]
    place = table.models.index(reference)
    met = (table.model_a == place) | (table.model_b == place)
    both_bad = met & (table.choice == Chosen.BOTH_BAD)
    unjudged = np.bincount(_opponent(table, both_bad, place), minlength=len(table.models))

    judged = met & ~both_bad
    opponent, choice = _opponent(table, judged, place), table.choice[judged]
    preferred = choice == np.where(table.model_b[judged] == place, Chosen.A, Chosen.B)
    value = np.where(choice == Chosen.TIE, 0.5, preferred.astype(np.float64))
    order = np.argsort(opponent, kind="stable")
    ends = np.concatenate([[0], np.cumsum(np.bincount(opponent, minlength=len(table.models)))])
    value, rater, prompt = value[order], table.rater[judged][order], table.prompt[judged][order]

    def of(entrant: str) -> Outcomes:
        if entrant not in table.models:
            return _NO_OUTCOMES
        code = table.models.index(entrant)
        rows = slice(ends[code], ends[code + 1])
        return Outcomes(value=value[rows], rater=rater[rows], prompt=prompt[rows], both_bad=int(unjudged[code]))

    return [of(entrant) for entrant in entrants]


def votes_of_each(table: VoteTable, entrants: Sequence[str], reference: str) -> list[VoteTable]:
    """The votes between each entrant and the reference, as tables of their own, in one pass."""
    k = len(table.models)
    if reference not in table.models:
        return [table.rows(np.zeros(0, dtype=np.int64)) for _ in entrants]
    place = table.models.index(reference)
    met = np.flatnonzero((table.model_a == place) | (table.model_b == place))
    opponent = _opponent(table.rows(met), np.ones(len(met), dtype=np.bool_), place)
    order = met[np.argsort(opponent, kind="stable")]
    ends = np.concatenate([[0], np.cumsum(np.bincount(opponent, minlength=k))])
    codes = [table.models.index(entrant) if entrant in table.models else place for entrant in entrants]
    # Nobody meets themselves, so the reference's own place holds nothing.
    return [table.rows(order[ends[code] : ends[code + 1]]) for code in codes]


def outcomes_of_pairs(table: VoteTable) -> dict[tuple[str, str], Outcomes]:
    """The outcomes of every two models that met, seen from the alphabetically first of them, in one pass."""
    k = len(table.models)
    low, high = np.minimum(table.model_a, table.model_b), np.maximum(table.model_a, table.model_b)
    pair = low.astype(np.int64) * k + high
    met, unjudged = (
        np.bincount(pair, minlength=k * k),
        np.bincount(pair[table.choice == Chosen.BOTH_BAD], minlength=k * k),
    )

    judged = table.choice != Chosen.BOTH_BAD
    preferred = table.choice[judged] == np.where(table.model_a[judged] == low[judged], Chosen.A, Chosen.B)
    value = np.where(table.choice[judged] == Chosen.TIE, 0.5, preferred.astype(np.float64))
    order = np.argsort(pair[judged], kind="stable")
    ends = np.concatenate([[0], np.cumsum(met - unjudged)])
    value, rater, prompt = value[order], table.rater[judged][order], table.prompt[judged][order]
    found = {}
    for place in np.flatnonzero(met).tolist():
        rows = slice(ends[place], ends[place + 1])
        found[table.models[place // k], table.models[place % k]] = Outcomes(
            value=value[rows], rater=rater[rows], prompt=prompt[rows], both_bad=int(unjudged[place])
        )
    return found


def _opponent(table: VoteTable, rows: Bool[np.ndarray, " votes"], reference: int) -> Int32[np.ndarray, " outcomes"]:
    model_a, model_b = table.model_a[rows], table.model_b[rows]
    return np.where(model_a == reference, model_b, model_a)


def _codes(values: Sequence[Hashable], names: Sequence[Hashable]) -> Int32[np.ndarray, " votes"]:
    code = {name: number for number, name in enumerate(names)}
    return np.array([code.get(value, -1) for value in values], dtype=np.int32)


def _choices(choices: Sequence[Choice], left: Int8[np.ndarray, " votes"]) -> Int8[np.ndarray, " votes"]:
    side = np.array([_SEEN[choice] for choice in choices], dtype=np.int8)
    decisive = side <= Chosen.B
    # The left model is A where left is A; where it is B, the sides change places.
    return np.where(decisive & (left == Left.B), 1 - side, side).astype(np.int8)


_SEEN = {Choice.LEFT: 0, Choice.RIGHT: 1, Choice.TIE: int(Chosen.TIE), Choice.BOTH_BAD: int(Chosen.BOTH_BAD)}

_NO_OUTCOMES = Outcomes(
    value=np.zeros(0, dtype=np.float64),
    rater=np.zeros(0, dtype=np.int32),
    prompt=np.zeros(0, dtype=np.int32),
    both_bad=0,
)
