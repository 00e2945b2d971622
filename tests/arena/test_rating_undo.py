"""Taking a vote back: an undo is an event of its own and opens the pair's next round."""

from datetime import datetime
from typing import Any

import pytest

from arena.ledger.errors import (
    AlreadyVotedError,
    ForeignPairError,
    KeyReusedError,
    RoundError,
)
from arena.rating import RatingRoom
from arena.votes import Choice


def test_an_undone_vote_opens_the_pairs_next_round(arena: Any, now: datetime) -> None:
    arena.open()
    rater = arena.join()
    pair = arena.pairs(rater)[0]
    arena.vote(rater, pair, Choice.LEFT)

    undone = arena.room.undo(rater=rater, study="shapes", pair=pair.pair, round=1, key="u", now=now)

    assert undone.done == 0
    assert (undone.pair.pair, undone.pair.left, undone.pair.round) == (pair.pair, pair.left, 2)
    assert arena.ledger.votes("shapes", raters="people") == []
    assert arena.pairs(rater)[0] == undone.pair
    assert arena.another_room().next_pairs(rater=rater, study="shapes", rng=arena.rng, now=now)[0] == undone.pair
    assert arena.vote(rater, undone.pair, Choice.RIGHT).done == 1
    assert [vote.choice for vote in arena.ledger.votes("shapes", raters="people")] == [Choice.RIGHT]
    assert [event.kind for event in arena.ledger.events("shapes")] == ["opened", "vote", "undo", "vote"]
    arena.ledger.verify("shapes")


def test_a_replayed_undo_gets_its_first_answer_and_takes_back_nothing_more(arena: Any, now: datetime) -> None:
    arena.open()
    rater = arena.join()
    pair = arena.pairs(rater)[0]
    arena.vote(rater, pair)

    def undo(room: RatingRoom, round: int = 1, key: str = "u") -> Any:
        return room.undo(rater=rater, study="shapes", pair=pair.pair, round=round, key=key, now=now)

    first = undo(arena.room)

    assert undo(arena.room) == first
    assert undo(arena.another_room()) == first
    with pytest.raises(RoundError, match="already taken back"):
        undo(arena.room, key="u2")
    with pytest.raises(KeyReusedError):
        undo(arena.room, round=2)
    assert [event.kind for event in arena.ledger.events("shapes")] == ["opened", "vote", "undo"]


def test_there_is_nothing_to_take_back_before_the_vote(arena: Any, now: datetime) -> None:
    arena.open()
    rater, stranger = arena.join(), arena.join()
    pair = arena.pairs(rater)[0]

    with pytest.raises(RoundError, match="no vote on this pair"):
        arena.room.undo(rater=rater, study="shapes", pair=pair.pair, round=1, key="u", now=now)
    arena.vote(rater, pair)
    with pytest.raises(RoundError, match="no vote on this pair"):
        arena.room.undo(rater=rater, study="shapes", pair=pair.pair, round=2, key="u", now=now)
    with pytest.raises(ForeignPairError):
        arena.room.undo(rater=stranger, study="shapes", pair=pair.pair, round=1, key="u", now=now)

    assert arena.room.done(rater=rater, study="shapes") == 1


def test_a_vote_on_a_round_that_is_not_open_is_refused(arena: Any, now: datetime) -> None:
    arena.open()
    rater = arena.join()
    pair = arena.pairs(rater)[0]

    for round in (0, 2, 7):
        with pytest.raises(RoundError, match=f"Round {round} of this pair is not open"):
            arena.vote(rater, pair, round=round)
    arena.vote(rater, pair)
    arena.room.undo(rater=rater, study="shapes", pair=pair.pair, round=1, key="u", now=now)
    with pytest.raises(AlreadyVotedError):
        arena.vote(rater, pair, round=1)
    with pytest.raises(RoundError, match="Round 3"):
        arena.vote(rater, pair, round=3)

    assert arena.vote(rater, pair, round=2).done == 1


def test_an_undone_pair_still_counts_among_those_a_rater_has_had(arena: Any, now: datetime) -> None:
    arena.open(votes_per_rater=2)
    rater = arena.join()
    first, second = arena.pairs(rater)
    arena.vote(rater, first)
    arena.vote(rater, second)
    again = arena.room.undo(rater=rater, study="shapes", pair=first.pair, round=1, key="u", now=now).pair

    assert arena.pairs(rater, count=9) == [again]
    assert arena.vote(rater, again).next is None
    assert arena.pairs(rater) == []
