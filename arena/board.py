"""The board: everything a study's votes say, as one value that can be rebuilt from them byte for byte.

In: a study and its effective votes, all of people or all of simulated raters. Out: a frozen `Board`. Pure: no database,
no clock, no randomness; the order in which the votes come does not matter. What people voted and what simulated raters
voted never meet on one board.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from arena.canonical import canonical_json
from arena.quality import (
    GATES_VERSION,
    Gates,
    GateState,
    QualityVote,
    broken_gates,
    excluded_raters,
    judge_raters,
    with_and_without,
)
from arena.statistics.against_reference import METHOD_VERSION, EntrantResult, compare_with_reference
from arena.statistics.position import PositionTest, position_test
from arena.statistics.votes import VoteTable, from_records
from arena.study import Study
from arena.votes import VoteRecord
from prompts.errors import CanvasError, quoted

RatersKind = Literal["people", "simulated"]


class MixedVotesError(CanvasError):
    """Votes of people among those of simulated raters, or the other way round."""


class ForeignVoteError(CanvasError):
    """A vote that the study did not ask for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Gated:
    """The same board without the raters who failed a declared gate.

    `excluded` of `judged` raters failed one. `judged` counts whoever voted on any question, or on a repeat or a gold
    pair only. `failed_by` says how many each declared gate fails; who fails two counts twice. `broken` are the gates
    that exclude nobody, since they are not to be believed, each with the reason.
    """

    gates_version: str
    excluded: int
    judged: int
    failed_by: dict[str, int]
    broken: dict[str, str]
    board: "Board"

    @property
    def votes(self) -> int:
        """The votes that are left."""
        return self.board.votes

    @property
    def raters(self) -> int:
        """Who cast them."""
        return self.board.raters

    @property
    def rows(self) -> tuple[EntrantResult, ...]:
        """What they say of each entrant."""
        return self.board.rows

    def to_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        return {
            "gates_version": self.gates_version,
            "excluded_raters": self.excluded,
            "votes": self.votes,
            "raters": self.raters,
            "entrants": {row.entrant: row.to_dict() for row in self.rows},
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Board:
    """A study's result. `votes` counts every effective vote, both-bad ones too; `rows` follow the declaration.

    `gated` shows it once more without the raters who failed a gate, where the study declares gates: nobody is left out
    unseen, and nobody's votes are deleted. The board within it has `left_out`, how many raters are not in it; on every
    other board that is None.
    `delta` and `question` were declared before the first vote; `study_hash` is the declaration's. The verdicts are on
    the half-tie rate.
    """

    method_version: str
    study: str
    study_hash: str
    title: str
    question_key: str
    question: str
    reference: str
    delta: float
    raters_kind: RatersKind
    votes: int
    raters: int
    prompts: int
    rows: tuple[EntrantResult, ...]
    position: PositionTest
    gated: Gated | None = None
    left_out: int | None = None

    @property
    def is_simulated(self) -> bool:
        """Whether nobody but simulated raters voted here."""
        return self.raters_kind == "simulated"

    def to_dict(self) -> dict[str, Any]:
        """Ready for JSON, without NaN or infinity; intervals are [low, high], and null has its reason beside it."""
        return {
            "method_version": self.method_version,
            "study": self.study,
            "study_hash": self.study_hash,
            "title": self.title,
            "question_key": self.question_key,
            "question": self.question,
            "reference": self.reference,
            "candidates": [row.entrant for row in self.rows],
            "delta": self.delta,
            "raters_kind": self.raters_kind,
            "simulated": self.is_simulated,
            "votes": self.votes,
            "raters": self.raters,
            "prompts": self.prompts,
            "entrants": {row.entrant: row.to_dict() for row in self.rows},
            "position": self.position.to_dict(),
            "with_gates": None if self.gated is None else self.gated.to_dict(),
            **({} if self.left_out is None else {"left_out_raters": self.left_out}),
        }

    def to_json(self) -> str:
        """The board's one text: equal votes under an equal method give equal bytes."""
        return canonical_json(self.to_dict())


def board_from_votes(
    study: Study,
    votes: Sequence[VoteRecord],
    raters_kind: RatersKind,
    *,
    question: str | None = None,
    quality: Sequence[QualityVote] = (),
) -> Board:
    """The board of `votes`, which are all of this study and all of `raters_kind`; no votes make an empty board.

    It is on the study's first question, or on the one whose key is `question`. `quality` are the same raters' votes as
    the study's gates read them.

    Raises MixedVotesError for a vote of the other kind, ForeignVoteError for one of another study, question or pair,
    and UnusableVotesError for a vote that comes twice.
    """
    asked = [one.key for one in study.asked]
    key = question or asked[0]
    if key not in asked:
        raise ForeignVoteError(f"The study '{study.name}' asks no {quoted(key)}, but {', '.join(asked)}.")
    for vote in votes:
        _check(vote, study, raters_kind)
    answers = [vote for vote in votes if vote.question == key]
    board = _board(study, answers, raters_kind, key)
    return board if study.gates is None else replace(board, gated=_gated(study, answers, board, quality, study.gates))


def _board(study: Study, answers: Sequence[VoteRecord], raters_kind: RatersKind, key: str) -> Board:
    table = from_records(answers)
    return Board(
        method_version=METHOD_VERSION,
        study=study.name,
        study_hash=study.hash,
        title=study.shown_title,
        question_key=key,
        question=next(one.text for one in study.asked if one.key == key),
        reference=study.reference,
        delta=study.delta,
        raters_kind=raters_kind,
        votes=len(table),
        raters=len(table.raters),
        prompts=len(table.prompts),
        rows=_rows(study, table),
        position=position_test(table),
    )


def _gated(
    study: Study, answers: Sequence[VoteRecord], board: Board, quality: Sequence[QualityVote], gates: Gates
) -> Gated:
    judged = judge_raters(quality, gates)
    excluded = excluded_raters(judged)
    kept = with_and_without(answers, excluded).with_gates
    same = len(kept) == len(answers)
    return Gated(
        gates_version=GATES_VERSION,
        excluded=len(excluded),
        judged=len(judged),
        failed_by={name: sum(rater.gates[name].state is GateState.FAIL for rater in judged) for name in gates.declared},
        broken=broken_gates(judged),
        board=replace(
            board if same else _board(study, kept, board.raters_kind, board.question_key), left_out=len(excluded)
        ),
    )


def _rows(study: Study, table: VoteTable) -> tuple[EntrantResult, ...]:
    return compare_with_reference(
        table, reference=study.reference, entrants=study.candidates, delta=study.delta, ties="half"
    )


def _check(vote: VoteRecord, study: Study, raters_kind: RatersKind) -> None:
    if vote.simulated != (raters_kind == "simulated"):
        found = "a simulated rater" if vote.simulated else "a person"
        raise MixedVotesError(
            f"Vote {vote.vote_id} is of {found}, but this board is of {_WORDS[raters_kind]} alone. "
            "Read the votes of one kind and make a board of each."
        )
    if vote.study != study.name or vote.question not in {question.key for question in study.asked}:
        raise ForeignVoteError(
            f"Vote {vote.vote_id} answers '{vote.question}' of the study '{vote.study}', which '{study.name}' does not "
            "ask. Give the board its own study's votes."
        )
    if {vote.left, vote.right} not in [{line.first, line.second} for line in study.lines]:
        raise ForeignVoteError(
            f"Vote {vote.vote_id} compares '{vote.left}' with '{vote.right}', but the study '{study.name}' holds "
            f"{', '.join(study.candidates)} against {study.reference}. Give the board its own study's votes."
        )


_WORDS: dict[RatersKind, str] = {"people": "people", "simulated": "simulated raters"}
