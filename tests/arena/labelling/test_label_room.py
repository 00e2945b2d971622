"""Labelling: what a rater is shown, what is taken, once and for good, and what never leaves the room."""

import threading
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest

from arena.labelling.label_study import GoldImage
from arena.labelling.room import LabelRoom
from arena.ledger.errors import (
    AccidentalVoteError,
    AlreadyVotedError,
    ChoiceNotOfferedError,
    ForeignPairError,
    KeyReusedError,
    NotInvitedError,
    RoundError,
    StageError,
    StudyClosedError,
    UnknownPairError,
    UnknownRaterError,
    VoteFormError,
)
from arena.study_parts import Crowd

CROWD = Crowd(site="prolific", slots=1, completion_code="DONE", return_url="https://example.org/back?cc={code}")


def test_a_rater_labels_as_many_as_declared_and_none_twice(labels: Any) -> None:
    labels.open(labels_per_rater=5)
    rater = labels.join()

    cast = labels.label_all(rater)

    kept = labels.book.labels("who")
    assert cast == len(kept) == 5
    assert len({(label.prompt_id, label.entrants) for label in kept}) == 5
    assert labels.room.welcome("who", rater, at_hand=2, rng=labels.rng, now=labels.now).stage == "ended"


def test_every_drawn_image_gets_its_labels_and_no_more(labels: Any) -> None:
    labels.open(sample=6, labels_per_image=2, labels_per_rater=4)

    cast = [labels.label_all(labels.join()) for _ in range(5)]

    counts: dict[Any, int] = {}
    for label in labels.book.labels("who"):
        place = (label.prompt_id, label.entrants)
        counts[place] = counts.get(place, 0) + 1
    assert cast == [4, 4, 4, 0, 0]
    assert sorted(counts.values()) == [2] * 6


def test_an_image_that_somebody_left_lying_goes_to_others_after_half_an_hour(labels: Any) -> None:
    labels.open(sample=2)
    labels.showings(labels.join())

    soon = labels.showings(labels.join())
    object.__setattr__(labels, "now", labels.now + timedelta(minutes=31))
    later = labels.showings(labels.join())

    assert (len(soon), len(later)) == (0, 2)


def test_a_yes_is_matched_to_the_images_own_target_and_to_others(labels: Any) -> None:
    labels.open(labels_per_rater=9)
    rater = labels.join()
    own: dict[str, str] = {}

    def say(showing: Any) -> dict[str, Any]:
        own[showing.showing] = labels.own_target(showing)
        return {"answer": "yes", "which": "i think it's ELSA or Snoopy", "closeness": 3}

    labels.label_all(rater, say)

    by_id = {labels.book.showing(token).id: target for token, target in own.items()}
    for label in labels.book.labels("who"):
        assert label.target == (by_id[label.showing] if by_id[label.showing] != "pikachu" else "snoopy")
        assert (label.which, label.closeness) == ("i think it's ELSA or Snoopy", 3)


@pytest.mark.parametrize(
    ("said", "refusal"),
    [
        ({"answer": "perhaps"}, ChoiceNotOfferedError),
        ({"answer": "left"}, ChoiceNotOfferedError),
        ({"answer": "yes", "which": " "}, VoteFormError),
        ({"answer": "yes", "which": "x" * 201}, VoteFormError),
        ({"answer": "yes", "closeness": None}, VoteFormError),
        ({"answer": "yes", "closeness": 4}, VoteFormError),
        ({"answer": "no", "which": "Elsa"}, VoteFormError),
        ({"latency_ms": 299}, AccidentalVoteError),
        ({"round": 2}, RoundError),
        ({"key": ""}, VoteFormError),
    ],
)
def test_what_is_no_answer_is_refused_and_nothing_is_kept(labels: Any, said: dict[str, Any], refusal: type) -> None:
    labels.open()
    rater = labels.join()

    with pytest.raises(refusal):
        labels.label(rater, labels.showings(rater)[0], **said)

    assert labels.book.labels("who") == []


def test_the_same_request_again_gets_the_same_answer_and_counts_once(labels: Any) -> None:
    labels.open()
    rater = labels.join()
    showing, key = labels.showings(rater)[0], str(uuid4())

    first = labels.label(rater, showing, "yes", key=key)
    again = labels.label(rater, showing, "yes", key=key)

    assert again.replayed
    assert (again.label_id, again.done, again.next) == (first.label_id, first.done, first.next)
    assert len(labels.book.labels("who")) == 1


def test_a_second_label_and_a_key_with_another_answer_are_refused_and_the_first_stands(labels: Any) -> None:
    labels.open()
    rater = labels.join()
    showing, key = labels.showings(rater)[0], str(uuid4())
    labels.label(rater, showing, "yes", key=key)

    with pytest.raises(AlreadyVotedError):
        labels.label(rater, showing, "no")
    with pytest.raises(KeyReusedError):
        labels.label(rater, showing, "yes", which="Snoopy", key=key)

    assert [label.which for label in labels.book.labels("who")] == ["Elsa"]


def test_labels_sent_from_many_threads_at_once_count_once(labels: Any) -> None:
    labels.open()
    rater = labels.join()
    showing = labels.showings(rater)[0]
    outcomes: list[str] = []

    def send() -> None:
        try:
            labels.label(rater, showing)
            outcomes.append("kept")
        except AlreadyVotedError:
            outcomes.append("refused")

    threads = [threading.Thread(target=send) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(outcomes) == ["kept"] + ["refused"] * 5
    assert len(labels.book.labels("who")) == 1


def test_two_rooms_that_hand_out_at_once_never_show_an_image_twice(labels: Any) -> None:
    labels.open(labels_per_rater=12, sample=12)
    rater = labels.join()
    other = LabelRoom(labels.ledger, labels.images)
    rooms = [labels.room, other] * 3

    threads = [
        threading.Thread(target=lambda room=room: room.welcome("who", rater, at_hand=4, rng=labels.rng, now=labels.now))
        for room in rooms
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    handed = labels.book.handed(labels.book.study("who").id, rater)
    assert len({one.place for one in handed}) == len(handed) >= 4


def test_an_undo_opens_the_image_again_and_the_second_answer_counts(labels: Any) -> None:
    labels.open()
    rater = labels.join()
    showing = labels.showings(rater)[0]
    labels.label(rater, showing, "yes")

    undone = labels.room.undo(
        rater=rater, study="who", showing=showing.showing, round=1, key=str(uuid4()), now=labels.now
    )
    labels.label(rater, undone.showing, "no")

    assert (undone.done, undone.showing.round, undone.showing.images) == (0, 2, showing.images)
    assert [label.answer for label in labels.book.labels("who")] == ["no"]
    with pytest.raises(RoundError):
        labels.room.undo(rater=rater, study="who", showing=showing.showing, round=1, key="other", now=labels.now)


def test_what_is_put_aside_makes_room_for_another_and_is_no_label(labels: Any) -> None:
    labels.open(labels_per_rater=2)
    rater = labels.join()
    showing = labels.showings(rater)[0]
    given = {"rater": rater, "study": "who", "showing": showing.showing, "round": 1, "rng": labels.rng}

    aside = labels.room.report(**given, why="offensive", key="k-1", now=labels.now)
    again = labels.room.report(**given, why="offensive", key="k-1", now=labels.now)

    assert (aside.done, aside.end) == (0, None)
    assert aside.next is not None
    assert again.next == aside.next
    assert [report.why for report in labels.book.reports("who")] == ["offensive"]
    assert len(labels.showings(rater)) == 2
    with pytest.raises(RoundError):
        labels.label(rater, showing)


def test_strangers_get_neither_images_nor_labels(labels: Any) -> None:
    labels.open()
    rater, stranger = labels.join(), labels.join()
    showing = labels.showings(rater)[0]

    with pytest.raises(ForeignPairError):
        labels.room.image(rater=stranger, token=showing.images[0])
    with pytest.raises(ForeignPairError):
        labels.label(stranger, showing)
    with pytest.raises(UnknownPairError):
        labels.room.image(rater=rater, token=f"{showing.showing}.1")
    with pytest.raises(UnknownRaterError):
        labels.room.welcome("who", 12345, at_hand=2, rng=labels.rng, now=labels.now)


def test_nothing_is_labelled_before_consent_or_after_the_closing(labels: Any) -> None:
    labels.open(consent="May we keep your answers?")
    welcome = labels.room.arrive("who", known=None, arrival={}, at_hand=2, rng=labels.rng, now=labels.now)
    before = welcome.showings
    rater = labels.join(known=welcome.rater)
    first, second = labels.showings(rater)
    labels.label(rater, first)
    labels.book.close_study("who", now=labels.now)

    with pytest.raises(StudyClosedError):
        labels.label(rater, second)
    with pytest.raises(StudyClosedError):
        labels.join()

    assert (welcome.stage, before) == ("consent", ())
    assert len(labels.book.labels("who")) == 1


def test_who_has_not_consented_cannot_label_with_a_showing_in_hand(labels: Any) -> None:
    labels.open(consent="May we?")
    rater = labels.join()
    showing = labels.showings(rater)[0]
    labels.room.withdraw("who", rater, now=labels.now)

    with pytest.raises(StageError):
        labels.label(rater, showing)


def test_a_withdrawal_takes_all_labels_out_and_the_typed_words_with_them(labels: Any) -> None:
    labels.open()
    leaving, staying = labels.join(), labels.join()
    labels.label(leaving, labels.showings(leaving)[0], "yes")
    labels.label(staying, labels.showings(staying)[0], "yes")

    labels.room.withdraw("who", leaving, now=labels.now)

    assert [label.rater for label in labels.book.labels("who")] == [staying]
    assert labels.ledger.verify("who").seq == 4
    assert labels.room.welcome("who", leaving, at_hand=2, rng=labels.rng, now=labels.now).stage == "withdrawn"
    assert labels.join(known=leaving, anew=True) != leaving


def test_of_a_pair_the_target_is_named_and_both_sides_are_used(labels: Any) -> None:
    labels.open(mode="pair", sample=9, labels_per_rater=9)
    rater = labels.join()
    named: set[str] = set()

    def say(showing: Any) -> dict[str, Any]:
        named.add(showing.name)
        assert len(showing.images) == 2
        return {"answer": "left"}

    labels.label_all(rater, say)

    assert named <= {"Elsa", "Snoopy", "Pikachu"}
    assert {label.entrants for label in labels.book.labels("who")} == {("aardvark", "zebra"), ("zebra", "aardvark")}


def test_images_of_different_sizes_are_shown_at_one(empty: Any) -> None:
    import io

    from PIL import Image

    empty.paint("aardvark", size=(16, 16))
    empty.paint("zebra", size=(8, 8))
    empty.open(labels_per_rater=12)
    rater = empty.join()

    sizes = set()
    for showing in empty.showings(rater, count=12):
        with Image.open(io.BytesIO(empty.room.image(rater=rater, token=showing.images[0]))) as image:
            sizes.add((image.format, image.size))

    assert sizes == {("WEBP", (8, 8))}


def test_gold_and_repeats_come_as_declared_and_count_towards_the_raters_labels(labels: Any) -> None:
    gold = GoldImage(entrant="zebra", prompt=labels.prompts.prompts[0].text, answer="no")
    labels.open(labels_per_rater=12, repeats=0.25, gold=(gold,), gold_share=0.25)
    rater = labels.join()

    cast = labels.label_all(rater)

    kinds = [label.kind for label in labels.book.labels("who")]
    repeated = [label.repeats for label in labels.book.labels("who") if label.kind == "repeat"]
    assert cast == 12
    assert kinds.count("gold") == 1
    assert kinds.count("repeat") >= 1
    assert len(set(repeated)) == len(repeated)


def test_a_rater_is_told_how_many_there_are_to_label_and_not_how_many_there_could_be(labels: Any) -> None:
    labels.open(sample=6, labels_per_rater=20)
    rater = labels.join()
    welcome = labels.room.welcome("who", rater, at_hand=2, rng=labels.rng, now=labels.now)

    waiting, told = list(welcome.showings), [welcome.total]
    while waiting:
        answer = labels.label(rater, waiting.pop(0))
        told.append(answer.total)
        waiting += [answer.next] if answer.next else []
    ended = labels.room.welcome("who", rater, at_hand=2, rng=labels.rng, now=labels.now)

    assert told == [6] * 7
    assert (ended.stage, ended.done, ended.total) == ("ended", 6, 6)


def test_what_others_took_is_no_longer_counted_and_the_total_ends_at_what_was_done(labels: Any) -> None:
    gold = GoldImage(entrant="zebra", prompt=labels.prompts.prompts[0].text, answer="no")
    labels.open(sample=12, labels_per_rater=30, repeats=0.1, gold=(gold,), gold_share=0.1)
    first, second = labels.join(), labels.join()

    before = labels.room.welcome("who", first, at_hand=2, rng=labels.rng, now=labels.now).total
    for _ in range(4):
        labels.label(second, labels.showings(second, count=1)[0])
    after = labels.room.welcome("who", first, at_hand=2, rng=labels.rng, now=labels.now).total
    done = labels.label_all(first)
    ended = labels.room.welcome("who", first, at_hand=2, rng=labels.rng, now=labels.now)

    assert 8 <= after < before <= 15
    assert ended.total == ended.done == done


def test_a_crowd_site_sends_one_rater_per_slot_who_takes_the_code_back(labels: Any) -> None:
    labels.open(crowd=CROWD, labels_per_rater=1)
    arrival = {"PROLIFIC_PID": "p1", "STUDY_ID": "s", "SESSION_ID": "x"}

    rater = labels.join(arrival=arrival)
    full = labels.room.arrive(
        "who", known=None, arrival={"PROLIFIC_PID": "p2"}, at_hand=2, rng=labels.rng, now=labels.now
    )
    answer = labels.label(rater, labels.showings(rater, count=1)[0])

    assert full.stage == "full"
    assert labels.join(arrival=arrival) == rater
    assert (answer.end.code, answer.end.redirect) == ("DONE", "https://example.org/back?cc=DONE")
    with pytest.raises(NotInvitedError):
        labels.join()


def test_a_room_that_remembers_nothing_goes_on_where_the_other_was(labels: Any) -> None:
    labels.open()
    rater = labels.join()
    first = labels.showings(rater)
    labels.label(rater, first[0])

    other = LabelRoom(labels.ledger, labels.images)
    image = other.image(rater=rater, token=first[1].images[0])
    welcome = other.welcome("who", rater, at_hand=2, rng=labels.rng, now=labels.now)

    assert image[:4] == b"RIFF"
    assert welcome.done == 1
    assert first[1] in welcome.showings
