import json
import sqlite3
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest
from PIL import Image

from arena.ledger.chain import Head
from arena.ledger.errors import (
    BrokenChainError,
    MissingImagesError,
    ShapesDifferError,
    StudyChangedError,
    StudyClosedError,
    UnknownEntrantError,
    UnknownPromptSetError,
    UnknownStudyError,
)
from arena.ledger.events import votes_from_events
from arena.ledger.records import Entrant
from arena.statistics.stopping import StoppingRule
from arena.votes import Choice
from prompts.prompt import PromptSet


def test_an_opened_study_comes_back_as_it_was_declared(arena: Any, now: datetime) -> None:
    study = arena.study(seeds=(0,), delta=0.03, title="Shapes")

    record = arena.ledger.open_study(study, now=now)

    assert record.newly_opened
    found = arena.ledger.study("shapes")
    assert (found.study, found.version, found.hash, found.is_open) == (study, 1, study.hash, True)
    assert found.opened_at == now
    assert arena.ledger.studies() == [found]


def test_opening_the_same_declaration_again_changes_nothing(arena: Any, now: datetime) -> None:
    arena.open()

    again = arena.ledger.open_study(arena.study(), now=now)
    with_flag = arena.ledger.open_study(arena.study(), now=now, new_version=True)

    assert not again.newly_opened
    assert (again.version, with_flag.version) == (1, 1)
    assert len(arena.ledger.events("shapes")) == 1


def test_a_changed_declaration_is_refused_and_says_what_changed(arena: Any, now: datetime) -> None:
    arena.open()

    with pytest.raises(StudyChangedError, match=r"frozen .* something else about question, delta.*--new-version"):
        arena.ledger.open_study(arena.study(question="Nicer?", delta=0.1), now=now)

    assert arena.ledger.study("shapes").version == 1


def test_a_stopping_rule_that_came_or_went_is_a_change(arena: Any, now: datetime) -> None:
    arena.ledger.open_study(arena.study(), now=now)

    with pytest.raises(StudyChangedError, match="something else about stopping"):
        arena.ledger.open_study(arena.study(stopping=StoppingRule()), now=now)
    arena.ledger.open_study(arena.study(stopping=StoppingRule()), now=now, new_version=True)
    with pytest.raises(StudyChangedError, match="something else about stopping"):
        arena.ledger.open_study(arena.study(), now=now)


def test_a_new_version_closes_the_one_before_and_has_its_own_votes(arena: Any, now: datetime) -> None:
    arena.open()
    arena.rate_all(arena.join())

    record = arena.ledger.open_study(arena.study(delta=0.1), now=now, new_version=True)

    assert record.version == 2
    assert not arena.ledger.study("shapes@1").is_open
    assert arena.ledger.study("shapes").study.delta == 0.1
    assert len(arena.ledger.votes("shapes@1", raters="people")) == 8
    assert arena.ledger.votes("shapes", raters="people") == []
    for name in ("shapes@1", "shapes@2"):
        arena.ledger.verify(name)


def test_a_closed_study_opens_again_as_a_new_version_only(arena: Any, now: datetime) -> None:
    arena.open()
    closed = arena.ledger.close_study("shapes", now=now)
    again = arena.ledger.close_study("shapes", now=now)

    assert closed.closed_at == now
    assert again == closed
    assert [event.kind for event in arena.ledger.events("shapes")] == ["opened", "closed"]
    with pytest.raises(StudyClosedError, match=r"was closed on 2024-05-01. Open it anew, as version 2"):
        arena.ledger.open_study(arena.study(), now=now)
    assert arena.ledger.open_study(arena.study(), now=now, new_version=True).version == 2


def test_an_unknown_study_is_named_with_those_that_are_known(arena: Any) -> None:
    with pytest.raises(UnknownStudyError, match=r"'shapes'. None was opened yet"):
        arena.ledger.study("shapes")
    arena.open()

    for name in ("circles", "shapes@2", "shapes@0", "shapes@99999999999"):
        with pytest.raises(UnknownStudyError, match=f"no study '{name}'. Known: shapes"):
            arena.ledger.study(name)


def test_an_unknown_entrant_or_prompt_set_keeps_a_study_from_opening(
    arena: Any, things: Callable[[int], PromptSet], now: datetime
) -> None:
    with pytest.raises(UnknownEntrantError, match=r"'cat'"):
        arena.ledger.open_study(arena.study(candidates=("ant", "cat")), now=now)
    with pytest.raises(UnknownEntrantError, match=r"'older'"):
        arena.ledger.open_study(arena.study(reference="older"), now=now)
    with pytest.raises(UnknownPromptSetError, match=r"'things-9'"):
        arena.ledger.open_study(arena.study(prompts=9), now=now)

    assert arena.ledger.studies() == []


def test_a_gallery_that_lacks_images_is_named_with_the_command_that_paints_them(
    arena: Any, things: Callable[[int], PromptSet], now: datetime
) -> None:
    arena.ledger.enter(Entrant(name="new one", source="/my models/new", sampler="diffusers"), now=now)
    arena.ledger.keep_prompts(things(6))

    with pytest.raises(MissingImagesError) as refusal:
        arena.ledger.open_study(arena.study(candidates=("ant", "new one"), prompts=6, seeds=(0, 1)), now=now)

    assert "'ant' lacks 8 of 12 (first: 'thing number 0', seed 1)" in str(refusal.value)
    assert "'new one' lacks 12 of 12" in str(refusal.value)
    assert (
        "`canvas evaluate generate --entrant '/my models/new' --name 'new one' --prompts things-6 --seeds 0,1`"
        in str(refusal.value)
    )


def test_entrants_that_paint_in_another_shape_are_refused(
    arena: Any, things: Callable[[int], PromptSet], now: datetime
) -> None:
    arena.ledger.enter(Entrant(name="wide", source="", sampler="swatch"), now=now)
    for prompt in things(4):
        stored = arena.images.put(Image.new("RGB", (16, 8)))
        arena.ledger.keep_image("wide", prompt.id, 0, stored, seconds=0.1, now=now)

    with pytest.raises(ShapesDifferError, match=r"would not be blind: 'wide' paints 16 x 8 .* 'old' paints 8 x 8"):
        arena.open()


def test_the_votes_can_be_rebuilt_from_the_events_alone(arena: Any, now: datetime) -> None:
    arena.open()
    choices = iter([Choice.LEFT, Choice.TIE, Choice.BOTH_BAD, Choice.RIGHT] * 10)
    rater, program = arena.join(), arena.join(simulated=True)
    arena.rate_all(rater, lambda _: next(choices))
    arena.rate_all(program, lambda _: next(choices))
    last = arena.ledger.handed_pairs(1, rater)[-1]
    arena.room.undo(rater=rater, study="shapes", pair=last.token, round=1, key="u", now=now)

    votes = arena.ledger.votes("shapes", raters="all")

    assert len(votes) == 15
    assert votes_from_events(arena.ledger.events("shapes")) == votes
    people, simulated = (arena.ledger.votes("shapes", raters=kind) for kind in ("people", "simulated"))
    assert sorted([*people, *simulated], key=lambda vote: vote.vote_id) == votes
    assert {vote.simulated for vote in people} == {False}
    assert {vote.rater for vote in simulated} == {program}


def test_a_vote_says_what_was_seen_and_by_whom(arena: Any, now: datetime) -> None:
    study = arena.open()
    rater = arena.join()
    [pair] = arena.pairs(rater, count=1)
    handed = arena.ledger.pair_of_token(pair.pair)
    answer = arena.vote(rater, pair, Choice.RIGHT, latency_ms=1234, session="tab 1")

    [vote] = arena.ledger.votes("shapes", raters="people")
    assert (vote.vote_id, vote.ts, vote.rater, vote.simulated) == (answer.vote_id, now, rater, False)
    assert (vote.study, vote.question, vote.choice) == ("shapes", "overall", Choice.RIGHT)
    assert (vote.latency_ms, vote.session) == (1234, "tab 1")
    assert (vote.prompt, vote.category) == (pair.prompt, "even" if int(pair.prompt[-1]) % 2 == 0 else "odd")
    assert {vote.left, vote.right} == {"old", handed.first}
    assert vote.winner == vote.right
    event = json.loads(arena.ledger.events("shapes")[-1].body)
    assert event["declaration"] == study.hash
    left = next(one for one in arena.ledger.gallery(vote.left, study.prompts, [0]) if one.prompt_id == vote.prompt_id)
    assert event["images"][0] == left.image_hash


def test_events_hold_nothing_that_leads_to_a_person(arena: Any, now: datetime) -> None:
    arena.open()
    arena.rate_all(arena.room.join("shapes", now=now, person_key="worker-4711"))

    log = "".join(event.body for event in arena.ledger.events("shapes"))

    assert "4711" not in log
    assert "worker" not in log


def altered(arena: Any, sql: str) -> None:
    connection = sqlite3.connect(arena.home / "ledger.db")
    with connection:
        assert connection.execute(sql).rowcount > 0
    connection.close()


@pytest.mark.parametrize(
    ("sql", "complaint"),
    [
        (
            "UPDATE events SET body = replace(body, '\"left\"', '\"right\"') WHERE seq = 3",
            "Event 3 is broken: its con",
        ),
        ("DELETE FROM events WHERE seq = 4", "Event 4 is missing: event 5 comes after event 3"),
        ("DELETE FROM events WHERE seq > 6", "Event 7 is missing: the log ends with event 6, but the study's row"),
        ("UPDATE studies SET head_hash = printf('%064d', 1)", "Event 9 is broken"),
        ("UPDATE votes SET choice = 'right' WHERE id = 2", "Vote 2 differs from its event in choice"),
        ("UPDATE votes SET choice = 'middle' WHERE id = 2", "cannot be read .*middle"),
        ("UPDATE votes SET latency_ms = 1 WHERE id = 8", "Vote 8 differs from its event in latency_ms"),
        ("UPDATE raters SET simulated = 1", "Vote 1 differs from its event in simulated"),
        ("UPDATE pairs SET candidate_left = 1 - candidate_left", "Vote 1 differs from its event in left, right"),
        ("DELETE FROM votes WHERE id = 5", "Vote 5 is in the events and not among"),
        ("INSERT INTO undos VALUES (1, 3, 'overall', 1, 'k', 0, '2024-05-01')", "Vote 3 is in the events and not"),
        (
            "INSERT INTO votes SELECT 99, pair_id, 'x', 1, 'k', choice, 1, '', 1, cast_at FROM votes WHERE id = 1",
            "Vote 99 is among the votes' rows and in no event",
        ),
        (
            "UPDATE studies SET declaration = replace(declaration, '0.05', '0.15')",
            "The declaration differs",
        ),
        ("UPDATE studies SET declaration = '{}'", "cannot be read"),
        ("UPDATE studies SET closed_at = '2024-05-02 00:00:00.000000'", "is marked closed, and its events say other"),
        ("UPDATE pairs SET left_image = right_image WHERE id = 3", "Pair 3 does not hold the images of its entrants"),
    ],
)
def test_whatever_is_altered_is_named(arena: Any, sql: str, complaint: str) -> None:
    arena.open()
    arena.rate_all(arena.join())
    assert arena.ledger.verify("shapes").seq == 9

    altered(arena, sql)

    with pytest.raises(BrokenChainError, match=complaint) as refused:
        arena.ledger.verify("shapes")
    assert "'shapes'" in str(refused.value)


def test_a_log_written_anew_shows_against_a_noted_head(arena: Any) -> None:
    arena.open()
    arena.rate_all(arena.join())
    noted = arena.ledger.verify("shapes")

    assert arena.ledger.verify("shapes", noted=noted) == noted
    with pytest.raises(BrokenChainError, match=r"Event 9 is not the one that was noted down"):
        arena.ledger.verify("shapes", noted=replace(noted, hash="f" * 64))
    with pytest.raises(BrokenChainError, match=r"Event 10 is missing: .*the head noted down says 12"):
        arena.ledger.verify("shapes", noted=Head(seq=12, hash="f" * 64))


def test_the_head_of_a_study_is_that_of_its_chain(arena: Any) -> None:
    arena.open()
    number = arena.ledger.study("shapes").id
    first = arena.ledger.head(number)
    arena.rate_all(arena.join())

    assert first.seq == 1
    assert arena.ledger.head(number) == arena.ledger.verify("shapes")


def test_two_studies_have_a_chain_each(arena: Any, now: datetime) -> None:
    arena.open()
    arena.open(name="other", candidates=("bee",))
    rater = arena.join()
    for _ in range(3):
        for name in ("shapes", "other"):
            [pair] = arena.pairs(rater, count=1, study=name)
            arena.vote(rater, pair, study=name)

    assert [event.seq for event in arena.ledger.events("shapes")] == [1, 2, 3, 4]
    assert [event.seq for event in arena.ledger.events("other")] == [1, 2, 3, 4]
    assert arena.ledger.verify("shapes") != arena.ledger.verify("other")
