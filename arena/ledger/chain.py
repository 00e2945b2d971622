"""The chain: each event's hash covers the event before it, so that a changed, lost, added or moved event shows.

Pure. An event's body is canonical JSON that holds its own number and kind; its hash is the SHA-256 of the previous
event's hash followed by the body; the first one follows 64 zeros.

What shows: any change inside the log, and (because a study's row keeps the last number and hash) events missing at
its end. What is in no event is not in the chain: a pair that was handed out enters it with its vote or its report, so
that one without either can be turned, images and all, and will only be a pair that stood the other way round.
What does not show to the database alone: a log that someone with write access computed anew from some event
on, together with the study's row. Against that, keep the head that `canvas arena verify` prints somewhere else, and
pass it back with `--expect`.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from arena.canonical import canonical_json, sha256_hex
from arena.ledger.errors import BrokenChainError, HeadFormatError
from arena.ledger.records import Event
from prompts.errors import quoted

GENESIS = "0" * 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """The last event's number and hash; number 0 and `GENESIS` before the first."""

    seq: int
    hash: str

    def __str__(self) -> str:
        """How people note it down: "128:9f86d0..."."""
        return f"{self.seq}:{self.hash}"


START = Head(seq=0, hash=GENESIS)


def read_head(written: str) -> Head:
    """A head as it was noted down, "128:9f86d0...". Raises HeadFormatError."""
    seq, _, hash = written.strip().partition(":")
    if not seq.isascii() or not seq.isdigit() or len(hash) != len(GENESIS) or set(hash) - set("0123456789abcdef"):
        raise HeadFormatError(
            f"{quoted(written)} is no head of a log: it is written as `canvas arena verify` prints it, the last "
            "event's number, a colon and 64 hexadecimal digits."
        )
    return Head(seq=int(seq), hash=hash)


def event_hash(previous: str, body: str) -> str:
    """SHA-256 of the previous event's hash (64 hexadecimal digits) followed by the body."""
    return sha256_hex(previous + body)


def link(head: Head, kind: str, content: Mapping[str, Any]) -> Event:
    """The event that follows `head`; `content` may not use the keys "seq" and "kind", which are the event's own."""
    assert "seq" not in content
    assert "kind" not in content
    body = canonical_json({**content, "seq": head.seq + 1, "kind": kind})
    return Event(seq=head.seq + 1, kind=kind, body=body, previous=head.hash, hash=event_hash(head.hash, body))


def verify(events: Iterable[Event], head: Head | None = None, noted: Head | None = None) -> Head:
    """Walk the chain from its beginning and return its head.

    `head` is what the study's row says that the last event is; `noted` is a head that someone wrote down earlier and
    that must still be part of the chain. Raises BrokenChainError, which names the first event that does not fit and
    why.
    """
    at = START
    for event in events:
        if event.seq != at.seq + 1:
            raise BrokenChainError(
                f"Event {at.seq + 1} is missing: event {event.seq} comes after event {at.seq}. "
                "The log was altered; restore it from a copy."
            )
        reason = _fault(event, at)
        if reason:
            raise BrokenChainError(
                f"Event {event.seq} is broken: {reason}. The log was altered; restore it from a copy."
            )
        at = Head(seq=event.seq, hash=event.hash)
        if noted is not None and noted.seq == at.seq and noted != at:
            raise BrokenChainError(
                f"Event {at.seq} is not the one that was noted down: its hash is {at.hash}, not {noted.hash}. "
                "The log was written anew up to there; restore it from a copy."
            )
    if head is not None and head != at:
        raise BrokenChainError(_wrong_end(at, head, "the study's row"))
    if noted is not None and noted.seq > at.seq:
        raise BrokenChainError(_wrong_end(at, noted, "the head noted down"))
    return at


def _wrong_end(at: Head, expected: Head, who: str) -> str:
    if expected.seq > at.seq:
        what = f"Event {at.seq + 1} is missing: the log ends with event {at.seq}, but {who} says {expected.seq}"
    elif expected.seq < at.seq:
        what = f"Event {expected.seq + 1} was added: {who} says that the log ends with event {expected.seq}"
    else:
        what = f"Event {at.seq} is broken: its hash is {at.hash}, but {who} says {expected.hash}"
    return f"{what}. The log was altered; restore it from a copy."


def _fault(event: Event, at: Head) -> str:
    if event.previous != at.hash:
        return f"it does not follow event {at.seq}" if at.seq else "it does not follow the beginning"
    if event.hash != event_hash(event.previous, event.body):
        return "its content is not what its hash was made from"
    try:
        content = json.loads(event.body)
    except ValueError:
        return "its content is no JSON"
    if not isinstance(content, dict) or content.get("seq") != event.seq or content.get("kind") != event.kind:
        return "its number or kind is not what its content says"
    return ""
