import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from arena.board import ForeignVoteError, MixedVotesError, RatersKind, board_from_votes
from arena.statistics.against_reference import METHOD_VERSION
from arena.statistics.verdicts import Verdict
from arena.statistics.votes import UnusableVotesError
from arena.study import Study
from arena.votes import Choice, VoteRecord
from prompts.prompt import Prompt, PromptSet

PROMPTS = PromptSet(
    name="numbers", licence="CC0-1.0", source="made up", prompts=tuple(Prompt(text=str(number)) for number in range(40))
)
STUDY = Study(
    name="shapes",
    question="Which image fits the prompt better?",
    reference="old",
    candidates=("zebra", "ant"),
    prompts=PROMPTS,
    ties=True,
    both_bad=True,
)


def _votes(count: int, *, simulated: bool = False, seed: int = 0) -> list[VoteRecord]:
    """Votes that mostly prefer zebra to old, and old to ant."""
    rng = np.random.default_rng(seed)
    votes = []
    for number in range(count):
        better, worse = ("zebra", "old") if number % 2 else ("old", "ant")
        left, right = (better, worse) if rng.random() < 0.5 else (worse, better)
        preferred = Choice.LEFT if (left == better) == (rng.random() < 0.8) else Choice.RIGHT
        prompt = PROMPTS.prompts[rng.integers(len(PROMPTS))]
        votes.append(
            VoteRecord(
                vote_id=number + 1,
                ts=datetime(2024, 5, 1, tzinfo=UTC),
                rater=int(rng.integers(1000, 1020)),
                simulated=simulated,
                study="shapes",
                question="overall",
                prompt_id=prompt.id,
                prompt=prompt.text,
                category="",
                left=left,
                right=right,
                choice=Choice(rng.choice([preferred, preferred, preferred, Choice.TIE, Choice.BOTH_BAD])),
                latency_ms=1200,
                session="",
            )
        )
    return votes


def test_the_board_counts_its_votes_and_judges_each_candidate_in_the_declared_order() -> None:
    votes = _votes(600)

    board = board_from_votes(STUDY, votes, "people")

    assert (board.votes, board.raters, board.prompts) == (600, 20, 40)
    assert [row.entrant for row in board.rows] == ["zebra", "ant"]
    assert [row.judgement.verdict for row in board.rows] == [Verdict.PREFERRED, Verdict.NOT_PREFERRED]
    assert sum(row.half_tie.n + row.both_bad for row in board.rows) == 600
    assert sum(row.ties for row in board.rows) == sum(vote.choice is Choice.TIE for vote in votes)
    assert board.position.p is not None


def test_the_board_carries_what_was_declared_and_by_which_method_it_was_made() -> None:
    board = board_from_votes(STUDY, _votes(10), "people")

    assert board.method_version == METHOD_VERSION
    assert (board.study, board.study_hash, board.reference, board.delta) == ("shapes", STUDY.hash, "old", 0.05)
    assert board.question == STUDY.question


@given(st.permutations(range(60)))
def test_the_same_votes_in_any_order_give_the_same_bytes(order: Sequence[int]) -> None:
    votes = _votes(60)

    again = board_from_votes(STUDY, [votes[place] for place in order], "people")

    assert again.to_json() == board_from_votes(STUDY, votes, "people").to_json()


@pytest.mark.parametrize("count", [0, 1, 2, 10, 300])
def test_however_few_the_votes_the_board_is_json_without_nan_and_infinity(count: int) -> None:
    board = board_from_votes(STUDY, _votes(count), "people")

    read = json.loads(board.to_json(), parse_constant=lambda constant: pytest.fail(f"{constant} is no JSON"))

    assert read == board.to_dict()
    assert set(read["entrants"]) == {"zebra", "ant"}


def test_a_board_of_nobody_says_so() -> None:
    board = board_from_votes(STUDY, [], "people")

    assert (board.votes, board.raters, board.prompts) == (0, 0, 0)
    assert {row.judgement.verdict for row in board.rows} == {Verdict.INCONCLUSIVE}
    assert {row.judgement.reasons for row in board.rows} == {("There are no votes yet.",)}


@pytest.mark.parametrize(("kind", "simulated"), [("people", True), ("simulated", False)])
def test_votes_of_people_and_of_simulated_raters_never_meet(kind: RatersKind, simulated: bool) -> None:
    votes = [*_votes(5, simulated=not simulated), replace(_votes(6)[5], simulated=simulated)]

    with pytest.raises(MixedVotesError, match="Vote 6 is of"):
        board_from_votes(STUDY, votes, kind)


def test_a_board_of_simulated_raters_says_so_in_its_json() -> None:
    board = board_from_votes(STUDY, _votes(5, simulated=True), "simulated")

    assert board.is_simulated
    assert (board.to_dict()["raters_kind"], board.to_dict()["simulated"]) == ("simulated", True)


@pytest.mark.parametrize(
    ("strange", "sentence"),
    [
        ({"study": "animals"}, "of the study 'animals'"),
        ({"question": "beauty"}, "answers 'beauty'"),
        ({"left": "yak", "right": "old"}, "compares 'yak' with 'old'"),
        ({"left": "ant", "right": "zebra"}, "compares 'ant' with 'zebra'"),
    ],
)
def test_a_vote_that_the_study_did_not_ask_for_is_refused(strange: dict[str, str], sentence: str) -> None:
    votes = _votes(3)

    with pytest.raises(ForeignVoteError, match=sentence):
        board_from_votes(STUDY, [*votes[:2], replace(votes[2], **strange)], "people")


def test_a_vote_that_comes_twice_is_refused() -> None:
    votes = _votes(3)

    with pytest.raises(UnusableVotesError, match="Vote 2 comes twice"):
        board_from_votes(STUDY, [*votes, votes[1]], "people")
