import io
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import Any

import numpy as np
import pytest
from PIL import Image

from arena.ledger.errors import (
    AlreadyVotedError,
    ChoiceNotOfferedError,
    ForeignPairError,
    KeyReusedError,
    StudyClosedError,
    UnknownPairError,
    UnknownRaterError,
    UnknownStudyError,
    VoteFormError,
)
from arena.ledger.records import Entrant
from arena.rating import RatingRoom
from arena.votes import Choice
from prompts.prompt import PromptSet


def test_a_rater_gets_pairs_votes_and_gets_the_next_one(arena: Any) -> None:
    arena.open()
    rater = arena.join()

    first, second = arena.pairs(rater)
    answer = arena.vote(rater, first)

    assert first.round == 1
    assert (answer.done, answer.replayed) == (1, False)
    assert answer.next is not None
    assert answer.next.pair not in {first.pair, second.pair}
    assert arena.room.done(rater=rater, study="shapes") == 1


def test_no_comparison_comes_twice_and_every_one_comes_once(arena: Any) -> None:
    study = arena.open()
    rater = arena.join()

    assert arena.rate_all(rater) == 8

    pairs = arena.ledger.handed_pairs(1, rater)
    assert len({(pair.first, pair.prompt_id, pair.seed) for pair in pairs}) == 8
    assert {pair.first for pair in pairs} == set(study.candidates)
    assert arena.pairs(rater) == []


def test_a_rater_is_asked_for_no_more_votes_than_declared(arena: Any) -> None:
    arena.open(votes_per_rater=3)
    rater = arena.join()

    assert arena.rate_all(rater) == 3
    assert arena.pairs(rater) == []
    assert len(arena.ledger.handed_pairs(1, rater)) == 3


def test_open_pairs_come_back_before_new_ones(arena: Any) -> None:
    arena.open()
    rater = arena.join()
    handed = arena.pairs(rater, count=2)

    assert arena.pairs(rater, count=2) == handed
    three = arena.pairs(rater, count=3)
    assert three[:2] == handed
    # A page that is loaded anew is brought by no later answer what is held back from it now.
    assert arena.pairs(rater, count=1) == three


def test_submissions_are_kept_as_keyed_hashes_once_each_and_leave_with_the_rater(arena: Any, now: datetime) -> None:
    arena.open()
    rater, stays = arena.join(), arena.join()
    first = {"STUDY_ID": "prolific:STUDY_ID:s", "SESSION_ID": "prolific:SESSION_ID:one"}

    for keys in (first, first, first | {"SESSION_ID": "prolific:SESSION_ID:two"}):
        arena.room.keep_submission("shapes", rater, keys, now=now)
    arena.room.keep_submission("shapes", stays, first, now=now)
    kept = arena.ledger.submissions(1, rater)
    found = arena.room.rater_of_submission("shapes", "prolific:SESSION_ID:two")
    arena.ledger.withdraw(1, rater, now=now)

    assert [one.name for one in kept] == ["STUDY_ID", "SESSION_ID", "SESSION_ID"]
    assert len({one.key_hash for one in kept}) == 3
    assert all(len(one.key_hash) == 64 and one.at == now for one in kept)
    assert found == rater
    assert arena.ledger.submissions(1, rater) == []
    assert arena.room.rater_of_submission("shapes", "prolific:SESSION_ID:two") is None
    assert len(arena.ledger.submissions(1, stays)) == 2
    assert arena.ledger.verify("shapes")


def test_a_room_that_remembers_nothing_goes_on_where_the_other_stopped(arena: Any, now: datetime) -> None:
    arena.open()
    rater = arena.join()
    first, second = arena.pairs(rater)
    third = arena.vote(rater, first).next

    room = arena.another_room()

    assert room.done(rater=rater, study="shapes") == 1
    assert room.next_pairs(rater=rater, study="shapes", rng=arena.rng, now=now) == [second, third]
    again = room.next_pairs(rater=rater, study="shapes", count=99, rng=arena.rng, now=now)
    assert len(again) == 7
    assert len({pair.first for pair in arena.ledger.handed_pairs(1, rater)}) == 2


def test_showings_stay_balanced_over_raters_and_restarts(arena: Any, now: datetime) -> None:
    arena.open(votes_per_rater=3)
    for _ in range(8):
        room = arena.another_room()
        rater = room.join("shapes", now=now)
        room.next_pairs(rater=rater, study="shapes", count=3, rng=arena.rng, now=now)

    counts = [row.count for row in arena.ledger.study_material(1).shown]

    assert len(counts) == 8
    assert counts == [3] * 8


def test_simulated_raters_do_not_upset_the_balance_of_peoples_pairs(arena: Any) -> None:
    arena.open(votes_per_rater=4)
    for simulated in (True, True, True, False, True, False):
        arena.rate_all(arena.join(simulated=simulated))

    people = [row.count for row in arena.ledger.study_material(1).shown if not row.simulated]

    assert people == [1] * 8


def test_sides_are_balanced_for_each_rater(arena: Any) -> None:
    arena.open()
    for _ in range(4):
        rater = arena.join()
        arena.rate_all(rater)
        left = sum(pair.first_left for pair in arena.ledger.handed_pairs(1, rater))
        assert 3 <= left <= 5


def test_a_browser_learns_nothing_of_who_painted_what(arena: Any) -> None:
    arena.open()
    rater = arena.join()
    told = repr(arena.pairs(rater, count=8))

    assert not any(name in told for name in ("ant", "bee", "old", "swatch"))
    for pair in arena.ledger.handed_pairs(1, rater):
        assert not any(hash in told for hash in pair.hashes)
    assert len({pair.token for pair in arena.ledger.handed_pairs(1, rater)}) == 8


def test_images_come_by_their_token_and_to_their_rater_only(arena: Any) -> None:
    arena.open()
    rater, other = arena.join(), arena.join()
    [pair] = arena.pairs(rater, count=1)
    handed = arena.ledger.pair_of_token(pair.pair)

    for token, hash in zip((pair.left, pair.right), handed.hashes, strict=True):
        assert arena.room.image(rater=rater, token=token) == arena.images.get(hash)
        assert arena.another_room().image(rater=rater, token=token) == arena.images.get(hash)
        with pytest.raises(ForeignPairError, match="shown to somebody else"):
            arena.room.image(rater=other, token=token)
    for token in ("", "nothing", f"{pair.pair}.middle", f"x{pair.left}", pair.pair):
        with pytest.raises(UnknownPairError, match="There is no such"):
            arena.room.image(rater=rater, token=token)


def test_both_images_of_a_pair_have_the_smaller_ones_size(
    arena: Any, things: Callable[[int], PromptSet], now: datetime
) -> None:
    arena.ledger.enter(Entrant(name="large", source="", sampler="swatch"), now=now)
    arena.paint("large", things(4), size=24)
    arena.open(candidates=("large",))
    rater = arena.join()

    for pair in arena.pairs(rater, count=4):
        for token in (pair.left, pair.right):
            with Image.open(io.BytesIO(arena.room.image(rater=rater, token=token))) as image:
                assert (image.format, image.size) == ("WEBP", (8, 8))


def test_a_person_who_comes_back_is_the_same_rater_and_a_program_never_is(arena: Any, now: datetime) -> None:
    arena.open()

    first = arena.room.join("shapes", now=now, person_key="worker-1")
    again = arena.another_room_with_secret().join("shapes", now=now, person_key="worker-1")
    other = arena.room.join("shapes", now=now, person_key="worker-2")
    program = arena.join(simulated=True)

    assert first == again
    assert len({first, other, program}) == 3
    assert all(0 < number < 2**53 for number in (first, other, program))
    assert arena.ledger.rater_is_simulated(program) is True
    assert arena.ledger.rater_is_simulated(first) is False
    with pytest.raises(ValueError, match="belongs to no simulated rater"):
        arena.room.join("shapes", now=now, person_key="worker-1", simulated=True)
    with pytest.raises(ValueError, match="identity_secret"):
        arena.another_room().join("shapes", now=now, person_key="worker-1")


def test_a_number_that_is_taken_is_not_given_again(arena: Any, now: datetime, monkeypatch: pytest.MonkeyPatch) -> None:
    arena.open()
    numbers = iter([4, 4, 4, 8])
    monkeypatch.setattr("arena.rating.secrets.randbelow", lambda _: next(numbers))

    program = arena.join(simulated=True)
    person = arena.join()

    assert (program, person) == (5, 9)
    assert arena.ledger.rater_is_simulated(5)


def test_the_identity_table_holds_keyed_hashes_only(arena: Any, now: datetime) -> None:
    arena.open()
    arena.room.join("shapes", now=now, person_key="worker-1")

    assert b"worker-1" not in b"".join(file.read_bytes() for file in arena.home.glob("ledger.db*"))


# What is refused


def test_a_second_vote_on_a_pair_is_refused_and_the_first_stands(arena: Any) -> None:
    arena.open()
    rater = arena.join()
    pair = arena.pairs(rater)[0]
    arena.vote(rater, pair, Choice.LEFT)

    for room in (arena.room, arena.another_room()):
        with pytest.raises(AlreadyVotedError, match="already has its vote; the first one stands"):
            room.vote(
                rater=rater,
                study="shapes",
                pair=pair.pair,
                round=1,
                choice=Choice.RIGHT,
                key="another",
                latency_ms=None,
                rng=arena.rng,
                now=arena.ledger.study("shapes").opened_at,
            )

    assert [vote.choice for vote in arena.ledger.votes("shapes", raters="people")] == [Choice.LEFT]
    assert arena.room.done(rater=rater, study="shapes") == 1
    assert len(arena.pairs(rater, count=99)) == 7


def test_a_replayed_vote_gets_its_first_answer(arena: Any, now: datetime) -> None:
    arena.open()
    rater = arena.join()
    pair = arena.pairs(rater)[0]
    first = arena.vote(rater, pair, key="k")
    arena.vote(rater, arena.pairs(rater)[0])

    for room in (arena.room, arena.room, arena.another_room()):
        again = room.vote(
            rater=rater,
            study="shapes",
            pair=pair.pair,
            round=1,
            choice=Choice.LEFT,
            key="k",
            latency_ms=500,
            rng=arena.rng,
            now=now,
        )
        assert (again.vote_id, again.done, again.next, again.replayed) == (first.vote_id, 1, first.next, True)

    assert len(arena.ledger.votes("shapes", raters="people")) == 2


def test_a_key_that_came_with_another_vote_is_refused(arena: Any) -> None:
    arena.open()
    rater, other = arena.join(), arena.join()
    first, second = arena.pairs(rater)
    arena.vote(rater, first, key="k")

    for voter, pair, choice in (
        (rater, first, Choice.RIGHT),
        (rater, second, Choice.LEFT),
        (other, arena.pairs(other)[0], Choice.LEFT),
    ):
        with pytest.raises(KeyReusedError, match="used for another vote"):
            arena.vote(voter, pair, choice, key="k")

    assert len(arena.ledger.votes("shapes", raters="people")) == 1
    assert arena.pairs(rater)[0] == second
    assert arena.vote(rater, second).done == 2


def test_pairs_of_others_and_of_other_studies_are_refused(arena: Any) -> None:
    arena.open()
    arena.open(name="other", candidates=("ant",))
    rater, stranger = arena.join(), arena.join()
    pair, foreign = arena.pairs(rater)[0], arena.pairs(rater, study="other")[0]

    with pytest.raises(ForeignPairError, match="shown to somebody else"):
        arena.vote(stranger, pair)
    with pytest.raises(ForeignPairError, match="belongs to another study"):
        arena.vote(rater, foreign)
    with pytest.raises(UnknownPairError):
        arena.vote(rater, replace(pair, pair="x" * 22))
    with pytest.raises(UnknownStudyError):
        arena.vote(rater, pair, study="circles")

    assert arena.ledger.votes("shapes", raters="all") == []


def test_unknown_raters_and_studies_are_refused(arena: Any, now: datetime) -> None:
    with pytest.raises(UnknownStudyError, match="There is no study 'shapes'"):
        arena.join()
    arena.open()

    with pytest.raises(UnknownRaterError, match="You are not known here"):
        arena.pairs(12345)
    with pytest.raises(UnknownRaterError):
        arena.room.done(rater=12345, study="shapes")


def test_choices_that_are_not_offered_are_refused(arena: Any) -> None:
    arena.open(ties=False, both_bad=False)
    rater = arena.join()
    pair = arena.pairs(rater)[0]

    for choice in (Choice.TIE, Choice.BOTH_BAD):
        with pytest.raises(ChoiceNotOfferedError, match=f"does not offer '{choice}'"):
            arena.vote(rater, pair, choice)

    assert arena.vote(rater, pair, Choice.RIGHT).done == 1


@pytest.mark.parametrize(
    "given",
    [
        {"key": ""},
        {"key": "x" * 65},
        {"key": "a\x00b"},
        {"session": "x" * 65},
        {"session": "\ud800"},
        {"latency_ms": -1},
        {"latency_ms": 2**31},
    ],
)
def test_a_vote_out_of_bounds_is_refused(arena: Any, given: dict[str, Any]) -> None:
    arena.open()
    rater = arena.join()
    pair = arena.pairs(rater)[0]

    with pytest.raises(VoteFormError):
        arena.vote(rater, pair, **given)

    assert arena.vote(rater, pair).done == 1


def test_a_closed_study_takes_no_votes_and_gives_no_pairs(arena: Any, now: datetime) -> None:
    arena.open()
    rater = arena.join()
    first, second = arena.pairs(rater)
    kept = arena.vote(rater, first, key="k")
    arena.ledger.close_study("shapes", now=now)

    for refused in (
        lambda: arena.vote(rater, second),
        lambda: arena.pairs(rater),
        arena.join,
        lambda: arena.room.study("shapes"),
        lambda: arena.room.undo(rater=rater, study="shapes", pair=first.pair, round=1, key="u", now=now),
    ):
        with pytest.raises(StudyClosedError, match="The study is closed"):
            refused()
    # A vote that was cast in time, and whose answer got lost, still gets it.
    assert arena.vote(rater, first, key="k").vote_id == kept.vote_id
    assert len(arena.ledger.votes("shapes", raters="people")) == 1


def test_pairs_of_an_older_version_take_no_votes(arena: Any, now: datetime) -> None:
    arena.open()
    rater = arena.join()
    pair = arena.pairs(rater)[0]
    arena.ledger.open_study(arena.study(delta=0.1), now=now, new_version=True)

    with pytest.raises(StudyClosedError):
        arena.vote(rater, pair)
    with pytest.raises(StudyClosedError):
        RatingRoom(arena.ledger, arena.images).vote(
            rater=rater,
            study="shapes",
            pair=pair.pair,
            round=1,
            choice=Choice.LEFT,
            key="k",
            latency_ms=None,
            rng=np.random.default_rng(0),
            now=now,
        )

    assert len(arena.pairs(rater)) == 2
    assert arena.vote(rater, arena.pairs(rater)[0]).done == 1


# Taking back
