"""Rows that were altered beside an untouched chain: withdrawals, pairs without a vote, reports and their comments."""

import sqlite3
from datetime import datetime
from typing import Any

import pytest

from arena.ledger.errors import BrokenChainError
from arena.votes import Choice


def altered(arena: Any, sql: str) -> None:
    """Run the statement past the ledger, on its file."""
    connection = sqlite3.connect(arena.home / "ledger.db")
    with connection:
        assert connection.execute(sql).rowcount > 0
    connection.close()


@pytest.fixture
def withdrawn(arena: Any, now: datetime) -> tuple[Any, int]:
    """An arena with the votes of two raters, of whom the second withdrew; and that rater's number."""
    arena.open(votes_per_rater=3)
    arena.rate_all(arena.join())
    gone: int = arena.join()
    arena.rate_all(gone)
    arena.ledger.withdraw(arena.ledger.study("shapes").id, gone, now=now)
    return arena, gone


def test_a_deleted_withdrawal_is_called_one(withdrawn: tuple[Any, int]) -> None:
    arena, gone = withdrawn
    seq = arena.ledger.verify("shapes").seq

    altered(arena, "DELETE FROM withdrawals")

    with pytest.raises(BrokenChainError, match=f"^In the study 'shapes': Rater {gone} withdrew in event {seq}, and"):
        arena.ledger.verify("shapes")


def test_a_withdrawal_that_was_slipped_in_is_called_one(withdrawn: tuple[Any, int]) -> None:
    arena, gone = withdrawn
    [other] = {vote.rater for vote in arena.ledger.votes("shapes", raters="all")}

    altered(arena, f"INSERT INTO withdrawals SELECT study_id, {other}, withdrawn_at FROM withdrawals")

    with pytest.raises(BrokenChainError, match=f"A row says that rater {other} withdrew, and no event does"):
        arena.ledger.verify("shapes")
    assert other != gone


def test_a_side_that_was_turned_in_a_pair_without_a_vote_shows(arena: Any) -> None:
    arena.open()
    [pair] = arena.pairs(arena.join(), count=1)
    arena.ledger.verify("shapes")

    altered(arena, "UPDATE pairs SET candidate_left = 1 - candidate_left")

    with pytest.raises(BrokenChainError, match="Pair 1 does not hold the images of its entrants left and right"):
        arena.ledger.verify("shapes")
    assert pair.round == 1


def test_a_pair_without_a_vote_that_was_turned_whole_is_a_pair_like_any_other(arena: Any, now: datetime) -> None:
    """What chain.py says does not show: the log begins with the vote, and the vote is on what was then shown."""
    arena.open()
    rater = arena.join()
    [pair] = arena.pairs(rater, count=1)
    before = arena.ledger.handed_pairs(arena.ledger.study("shapes").id, rater)[0]

    altered(
        arena,
        "UPDATE pairs SET candidate_left = 1 - candidate_left, left_image = right_image, right_image = left_image",
    )

    # The room of a server that started since: this one would remember the pair as it was.
    room = arena.another_room()
    after = arena.ledger.handed_pairs(arena.ledger.study("shapes").id, rater)[0]
    assert after.hashes == before.hashes[::-1]
    assert arena.ledger.verify("shapes").seq == 1
    given = {"rater": rater, "study": "shapes", "pair": pair.pair, "round": 1, "key": "k", "rng": arena.rng}
    room.vote(**given, choice=Choice.LEFT, latency_ms=900, session="", now=now)
    [vote] = arena.ledger.votes("shapes", raters="people")
    assert vote.left == (after.first if after.first_left else after.second)
    assert arena.ledger.verify("shapes").seq == 2


@pytest.fixture
def reported(arena: Any, now: datetime) -> tuple[Any, int]:
    """An arena whose only rater skipped a pair and wrote why; and that rater's number."""
    arena.open()
    rater: int = arena.join()
    [pair] = arena.pairs(rater, count=1)
    given = {"rater": rater, "study": "shapes", "pair": pair.pair, "round": 1, "key": "r", "rng": arena.rng}
    arena.room.report(**given, kind="broken", comment="Nothing to see.", now=now)
    return arena, rater


@pytest.mark.parametrize(
    ("sql", "complaint"),
    [
        ("UPDATE reports SET kind = 'skip'", "Report 1 differs from its event"),
        ("DELETE FROM reports", "Report 1 is in the events and not among the rows"),
        (
            "INSERT INTO reports SELECT 9, pair_id, 2, 'k', kind, 0, reported_at FROM reports",
            "Report 9 is among the rows and in no event",
        ),
        ("UPDATE comments SET text = 'All is well.'", "The comment of report 1 is not the one that was sent"),
    ],
)
def test_an_altered_report_is_named(reported: tuple[Any, int], sql: str, complaint: str) -> None:
    arena, _ = reported
    assert arena.ledger.verify("shapes").seq == 2

    altered(arena, sql)

    with pytest.raises(BrokenChainError, match=f"^In the study 'shapes': {complaint}"):
        arena.ledger.verify("shapes")


def test_a_comment_that_a_withdrawal_deleted_is_no_fault(reported: tuple[Any, int], now: datetime) -> None:
    arena, rater = reported

    arena.ledger.withdraw(arena.ledger.study("shapes").id, rater, now=now)

    assert arena.ledger.verify("shapes").seq == 3
