"""What the dashboard says of the gates: whom they leave out, by which gate, and what that changes."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from arena.board import Board, Gated, board_from_votes
from arena.charts import describe, forest
from arena.pages.gates import GATE_LABELS, gates_html
from arena.quality import GATE_NAMES, Gates, QualityVote
from arena.study import Study
from arena.votes import Choice, VoteRecord
from prompts.prompt import Prompt, PromptSet

PROMPTS = PromptSet(
    name="numbers", licence="CC0-1.0", source="made up", prompts=tuple(Prompt(text=str(number)) for number in range(12))
)
STUDY = Study(
    name="shapes",
    question="Which image fits the prompt better?",
    reference="old",
    candidates=("<ant>",),
    prompts=PROMPTS,
    ties=True,
    both_bad=True,
    gates=Gates(latency_floor_ms=600, left_share_p=0.05),
)


def judged(rater: int, choices: Sequence[Choice], *, latency_ms: int = 2000) -> list[tuple[VoteRecord, QualityVote]]:
    """A rater's votes, "<ant>" on the left, as boards and as gates read them."""
    at = datetime(2024, 5, 1, 9, rater, tzinfo=UTC)
    found = []
    for place, choice in enumerate(choices):
        number, prompt = 100 * rater + place, PROMPTS.prompts[place]
        record = VoteRecord(
            vote_id=number,
            ts=at,
            rater=rater,
            simulated=False,
            study="shapes",
            question="overall",
            prompt_id=prompt.id,
            prompt=prompt.text,
            category="",
            left="<ant>",
            right="old",
            choice=choice,
            latency_ms=latency_ms,
            session="",
        )
        seen = QualityVote(
            rater=rater,
            pair=number,
            pair_kind="study",
            question="overall",
            choice=choice,
            latency_ms=latency_ms,
            cast_at=at,
        )
        found.append((record, seen))
    return found


def board_of(votes: Sequence[tuple[VoteRecord, QualityVote]]) -> tuple[Board, Gated]:
    quality = [seen for _, seen in votes]
    board = board_from_votes(STUDY, [record for record, _ in votes], "people", quality=quality)
    assert board.gated is not None
    return board, board.gated


MIXED = [Choice.LEFT, Choice.RIGHT] * 6
LEFT = [Choice.LEFT] * 12


def lookers(count: int) -> list[tuple[VoteRecord, QualityVote]]:
    return [vote for rater in range(1, count + 1) for vote in judged(rater, MIXED)]


def test_nobody_is_left_out_where_nobody_fails_and_the_sentence_says_so() -> None:
    board, gated = board_of(lookers(4))

    text = gates_html(board, gated, applied=False)

    assert "Without the gates: every vote counts." in text
    assert "The gates (Latency, Left share) leave out nobody: none of 4 raters failed one." in text
    assert "verdict" not in text
    assert gated.board == replace(board, gated=None, left_out=0)


def test_raters_votes_and_gates_are_counted_and_who_fails_two_gates_counts_in_each() -> None:
    board, gated = board_of([*lookers(4), *judged(5, LEFT, latency_ms=350), *judged(6, MIXED, latency_ms=350)])

    text = gates_html(board, gated, applied=True)

    assert "<strong>With the gates.</strong>" in text
    assert "The gates leave out 2 of 6 raters, and with them 24 of 72 votes." in text
    assert "So many failed each gate: Latency 2, Left share 1. Who failed several counts in each." in text
    assert "No verdict changes." in text
    assert "No vote is deleted." in text


def test_a_verdict_that_changes_is_named_and_names_stay_text() -> None:
    # By turns: many who fail one after the other would break the gate.
    hurried = [vote for rater in range(2, 42, 2) for vote in judged(rater, LEFT, latency_ms=350)]
    looked = [vote for rater in range(1, 42, 2) for vote in judged(rater, MIXED)]

    board, gated = board_of([*looked, *hurried])
    text = gates_html(board, gated, applied=True)

    before, after = (one.rows[0].judgement.verdict.value for one in (board, gated))
    assert before != after
    assert f"&lt;ant&gt; is {after} with the gates and {before} without." in text
    assert "<ant>" not in text


def test_a_broken_gate_is_named_with_its_reason() -> None:
    hurried = [vote for rater in range(21, 27) for vote in judged(rater, MIXED, latency_ms=350)]

    board, gated = board_of([*lookers(4), *hurried])

    assert gated.excluded == 0
    assert "Latency: This gate is taken to be broken and excludes nobody: 6 of the 10" in gates_html(
        board, gated, applied=False
    )


def test_a_picture_of_the_board_with_the_gates_says_so_itself() -> None:
    board, gated = board_of([*lookers(4), *judged(5, MIXED, latency_ms=350)])

    picture = forest(gated.board)

    assert "with the gates: 1 rater left out" in picture.layout.title.subtitle.text
    assert "48 votes by 4 raters on 12 prompts; with the gates: 1 rater left out." in describe(gated.board)
    assert "gates" not in describe(board)
    assert gated.board.to_dict()["left_out_raters"] == 1
    assert "left_out_raters" not in board.to_dict()


def test_every_gate_has_a_name_for_people() -> None:
    assert tuple(GATE_LABELS) == GATE_NAMES


@pytest.mark.parametrize("applied", [True, False])
def test_simulated_raters_are_called_so(applied: bool) -> None:
    votes = lookers(3)
    board = board_from_votes(
        STUDY,
        [replace(record, simulated=True) for record, _ in votes],
        "simulated",
        quality=[seen for _, seen in votes],
    )
    assert board.gated is not None

    text = gates_html(board, board.gated, applied=applied)

    assert "none of 3 simulated raters failed one" in text
