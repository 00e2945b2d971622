from collections.abc import Sequence
from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from arena.statistics.votes import Chosen, Left, UnusableVotesError, from_records, outcomes_against
from arena.votes import Choice, VoteRecord


def _vote(vote_id: int, left: str, right: str, choice: Choice, *, rater: int = 1, prompt: str = "p") -> VoteRecord:
    return VoteRecord(
        vote_id=vote_id,
        ts=datetime(2024, 5, 1, tzinfo=UTC),
        rater=rater,
        simulated=False,
        study="s",
        question="overall",
        prompt_id=prompt,
        prompt="a red circle",
        category="circle" if prompt == "p" else "",
        left=left,
        right=right,
        choice=choice,
        latency_ms=900,
        session="",
    )


def test_what_was_seen_is_translated_once_to_models() -> None:
    table = from_records(
        [
            _vote(1, "new", "old", Choice.LEFT),
            _vote(2, "old", "new", Choice.LEFT),
            _vote(3, "old", "new", Choice.RIGHT),
            _vote(4, "new", "old", Choice.TIE),
            _vote(5, "new", "old", Choice.BOTH_BAD),
        ]
    )

    assert table.models == ("new", "old")
    assert table.left.tolist() == [Left.A, Left.B, Left.B, Left.A, Left.A]
    assert table.choice.tolist() == [Chosen.A, Chosen.B, Chosen.A, Chosen.TIE, Chosen.BOTH_BAD]


def test_outcomes_are_seen_from_the_entrant_and_leave_out_both_bad() -> None:
    table = from_records(
        [
            _vote(1, "new", "old", Choice.LEFT),
            _vote(2, "old", "new", Choice.LEFT),
            _vote(3, "old", "new", Choice.TIE),
            _vote(4, "new", "old", Choice.BOTH_BAD),
            _vote(5, "other", "old", Choice.LEFT),
        ]
    )

    outcomes = outcomes_against(table, "new", "old")

    assert outcomes.value.tolist() == [1.0, 0.0, 0.5]
    assert (outcomes.wins, outcomes.losses, outcomes.ties, outcomes.both_bad) == (1, 1, 1, 1)
    assert outcomes.without_ties().value.tolist() == [1.0, 0.0]
    assert outcomes_against(table, "old", "new").value.tolist() == [0.0, 1.0, 0.5]


def test_entrants_that_never_met_have_no_outcomes() -> None:
    table = from_records([_vote(1, "new", "old", Choice.LEFT)])

    assert len(outcomes_against(table, "new", "unheard of").value) == 0
    assert len(outcomes_against(from_records([]), "new", "old").value) == 0


def test_a_prompt_without_category_has_no_code_for_one() -> None:
    table = from_records([_vote(1, "a", "b", Choice.TIE), _vote(2, "a", "b", Choice.TIE, prompt="q")])

    assert table.categories == ("circle",)
    assert table.category.tolist() == [0, -1]


@given(st.permutations(range(12)))
def test_the_order_of_the_records_leaves_no_trace(order: Sequence[int]) -> None:
    records = [
        _vote(
            number, *(("new", "old") if number % 3 else ("old", "new")), choice, rater=number % 5, prompt=f"p{number}"
        )
        for number, choice in enumerate(list(Choice) * 3)
    ]

    plain, moved = from_records(records), from_records([records[place] for place in order])

    assert moved.raters == plain.raters
    for column in ("rater", "prompt", "category", "model_a", "model_b", "left", "choice"):
        np.testing.assert_array_equal(getattr(moved, column), getattr(plain, column))


def test_a_vote_that_comes_twice_is_refused() -> None:
    with pytest.raises(UnusableVotesError, match="Vote 3 comes twice"):
        from_records([_vote(3, "a", "b", Choice.LEFT), _vote(3, "a", "b", Choice.LEFT)])


def test_a_model_against_itself_is_refused() -> None:
    with pytest.raises(UnusableVotesError, match="Vote 3 compares 'a' with itself"):
        from_records([_vote(3, "a", "a", Choice.LEFT)])
