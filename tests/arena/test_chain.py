import hashlib
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from arena.canonical import canonical_json, utc_text
from arena.ledger.chain import GENESIS, START, Head, event_hash, link, read_head, verify
from arena.ledger.errors import BrokenChainError, HeadFormatError
from arena.ledger.records import Event

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
CONTENT = st.dictionaries(st.text().filter(lambda key: key not in ("seq", "kind")), JSON, max_size=4)


def chain(*contents: dict[str, object]) -> list[Event]:
    events, head = [], START
    for content in contents:
        event = link(head, "vote", content)
        events.append(event)
        head = Head(seq=event.seq, hash=event.hash)
    return events


def head_of(events: list[Event]) -> Head:
    return Head(seq=events[-1].seq, hash=events[-1].hash) if events else START


def test_an_events_hash_is_the_sha256_of_the_one_before_and_its_body() -> None:
    first, second = chain({"choice": "left"}, {"choice": "ä"})

    assert first.body == '{"choice":"left","kind":"vote","seq":1}'
    assert first.hash == hashlib.sha256(b"0" * 64 + first.body.encode()).hexdigest()
    assert second.previous == first.hash
    assert second.hash == hashlib.sha256((first.hash + second.body).encode("utf-8")).hexdigest()


@given(st.lists(CONTENT, max_size=6))
def test_an_untouched_chain_holds_and_every_one_of_its_heads_can_be_noted(contents: list[dict[str, object]]) -> None:
    events = chain(*contents)

    head = verify(events, head=head_of(events))

    assert head == head_of(events)
    for event in events:
        noted = read_head(str(Head(seq=event.seq, hash=event.hash)))
        assert verify(events, noted=noted) == head


@given(st.lists(CONTENT, min_size=2, max_size=6), st.data())
def test_whatever_is_done_to_one_event_is_found_there(contents: list[dict[str, object]], data: st.DataObject) -> None:
    events = chain(*contents)
    place = data.draw(st.integers(0, len(events) - 1))
    broken = events[place]
    field = data.draw(st.sampled_from(["body", "previous", "hash", "kind"]))
    other = {"body": broken.body + " ", "previous": "f" * 64, "hash": "f" * 64, "kind": "undo"}[field]
    events[place] = replace(broken, **{field: other})

    with pytest.raises(BrokenChainError, match=f"^Event {place + 1} is broken"):
        verify(events, head=None)


@given(st.lists(CONTENT, min_size=1, max_size=6), st.data())
def test_a_lost_event_is_found_wherever_it_was(contents: list[dict[str, object]], data: st.DataObject) -> None:
    events = chain(*contents)
    head = head_of(events)
    place = data.draw(st.integers(0, len(events) - 1))
    del events[place]

    with pytest.raises(BrokenChainError, match=f"^Event {place + 1} is missing"):
        verify(events, head=head)


def test_events_that_changed_places_are_found() -> None:
    first, second, third = chain({"n": 1}, {"n": 2}, {"n": 3})

    with pytest.raises(BrokenChainError, match=r"^Event 2 is broken: it does not follow event 1"):
        verify([first, replace(third, seq=2), replace(second, seq=3)])


def test_an_event_written_anew_with_a_right_hash_breaks_the_next_one() -> None:
    events = chain({"choice": "left"}, {"choice": "left"}, {"choice": "left"})
    events[1] = link(head_of(events[:1]), "vote", {"choice": "right"})

    with pytest.raises(BrokenChainError, match=r"^Event 3 is broken: it does not follow event 2"):
        verify(events)


def test_an_added_event_shows_against_the_studys_row() -> None:
    events = chain({"n": 1}, {"n": 2})
    head = head_of(events[:1])

    with pytest.raises(BrokenChainError, match=r"^Event 2 was added: the study's row says"):
        verify(events, head=head)


def test_a_log_written_anew_as_a_whole_shows_against_a_noted_head_only() -> None:
    honest = chain({"choice": "left"}, {"choice": "left"})
    forged = chain({"choice": "right"}, {"choice": "left"})

    assert verify(forged, head=head_of(forged)) == head_of(forged)
    with pytest.raises(BrokenChainError, match=r"^Event 2 is not the one that was noted down"):
        verify(forged, head=head_of(forged), noted=head_of(honest))
    with pytest.raises(BrokenChainError, match=r"^Event 2 is missing: .*the head noted down says 2"):
        verify(forged[:1], head=head_of(forged[:1]), noted=head_of(honest))


def test_a_body_that_is_no_event_is_found_though_its_hash_is_right() -> None:
    for body in ("no json", "[]", '{"seq":2,"kind":"vote"}'):
        event = Event(seq=1, kind="vote", body=body, previous=GENESIS, hash=event_hash(GENESIS, body))

        with pytest.raises(BrokenChainError, match=r"^Event 1 is broken"):
            verify([event])


@pytest.mark.parametrize("written", ["", "7", "x:" + "0" * 64, "7:" + "0" * 63, "7:" + "G" * 64, "-1:" + "0" * 64])
def test_what_is_no_head_is_refused(written: str) -> None:
    with pytest.raises(HeadFormatError, match="is no head of a log"):
        read_head(written)


@given(JSON)
def test_canonical_json_reads_back_and_does_not_depend_on_the_order_of_keys(value: object) -> None:
    import json

    text = canonical_json(value)

    assert canonical_json(json.loads(text)) == text
    if isinstance(value, dict):
        assert canonical_json(dict(reversed(value.items()))) == text


@pytest.mark.parametrize("value", [float("nan"), float("inf"), {1: "one"}, {"deep": [{None: 1}]}])
def test_what_has_no_one_text_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match=r"."):
        canonical_json(value)


def test_equal_moments_have_equal_texts() -> None:
    from datetime import UTC, datetime, timedelta, timezone

    moment = datetime(2024, 5, 1, 12, tzinfo=UTC)

    assert utc_text(moment) == "2024-05-01T12:00:00.000000+00:00"
    assert utc_text(moment.astimezone(timezone(timedelta(hours=2)))) == utc_text(moment)
    with pytest.raises(ValueError, match="no time zone"):
        utc_text(moment.replace(tzinfo=None))
