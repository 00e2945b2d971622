"""A request to vote, whether it may stand, and the facts that the ledger keeps of it. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

import numpy as np

from arena.ledger.errors import AccidentalVoteError, ChoiceNotOfferedError, RoundError, VoteFormError
from arena.ledger.events import VoteFacts
from arena.ledger.voting import NewVote
from arena.rating_state import Attendance, OpenStudy, Seat
from arena.study import Study
from arena.votes import Choice

#: A choice sooner than this after both images appeared is a slip of the hand, not a judgement.
GUARD_MS = 300

# Room for the names of further questions behind it: the ledger keeps 64 characters.
_LONGEST_KEY = 40
_LONGEST_SESSION = 64
_LONGEST_LATENCY_MS = 2**31 - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Ballot:
    """What a rater sends. `pair` is the pair's token, `choices` the choice by the question's key.

    `key` is the request's own (a UUID): the same request again gets the same answer. `latency_ms` runs from both
    images' appearance to the choice; None where it was not measured. `session` names the page load. `rng` draws the
    pair that follows.
    """

    rater: int
    study: str
    pair: str
    round: int
    choices: Mapping[str, Choice]
    key: str
    latency_ms: int | None
    session: str
    rng: np.random.Generator
    now: datetime


def check_ballot(ballot: Ballot, study: Study, seat: Seat) -> None:
    """Raises VoteFormError, AccidentalVoteError, ChoiceNotOfferedError, or RoundError for a round that is not open."""
    check_texts(ballot.key, ballot.session)
    if ballot.latency_ms is not None and not 0 <= ballot.latency_ms <= _LONGEST_LATENCY_MS:
        raise VoteFormError(f"A latency of {ballot.latency_ms} ms cannot be. Load the page anew.")
    if ballot.latency_ms is not None and ballot.latency_ms < GUARD_MS:
        raise AccidentalVoteError(
            f"A choice within {GUARD_MS} ms of a pair's appearance is taken for a slip and not counted. Choose again."
        )
    if {*ballot.choices} != {question.key for question in study.asked}:
        asked = ", ".join(question.key for question in study.asked)
        raise VoteFormError(f"A vote answers every question of its study ({asked}), and nothing else.")
    for choice in ballot.choices.values():
        if choice not in study.choices:
            raise ChoiceNotOfferedError(f"This study does not offer '{choice}'. Choose one of its answers.")
    if seat.reported:
        raise RoundError("You put this pair aside. Load the page anew.")
    if not 1 <= ballot.round <= seat.round:
        raise RoundError(f"Round {ballot.round} of this pair is not open. Load the page anew.")


def check_texts(key: str, session: str = "") -> None:
    """Raises VoteFormError for a key or session that is too long, not printable, or (the key) empty."""
    if not 1 <= len(key) <= _LONGEST_KEY or len(session) > _LONGEST_SESSION or not (key + session).isprintable():
        raise VoteFormError(
            f"A request's key has 1 to {_LONGEST_KEY} printable characters, its session at most {_LONGEST_SESSION}."
        )


def vote_of(ballot: Ballot, hall: OpenStudy, attendance: Attendance, seat: Seat) -> NewVote:
    """The votes that the ledger is to keep, one per question: what was seen, by whom, under which declaration."""
    pair, record = seat.pair, hall.record
    sides = (pair.first, pair.second)
    left, right = sides if pair.first_left else sides[::-1]
    facts = tuple(
        VoteFacts(
            study=record.name,
            version=record.version,
            declaration=record.hash,
            pair=pair.id,
            question=question.key,
            round=ballot.round,
            rater=ballot.rater,
            simulated=attendance.simulated,
            prompt_id=pair.prompt_id,
            category=hall.prompts[pair.prompt_id].category,
            seed=pair.seed,
            left=left,
            right=right,
            images=pair.hashes,
            kind=pair.kind,
            repeats=pair.repeats,
            choice=ballot.choices[question.key],
            latency_ms=ballot.latency_ms,
            session=ballot.session,
            at=ballot.now,
        )
        for question in hall.study.asked
    )
    return NewVote(study_id=record.id, key=ballot.key, done=attendance.done_with(ballot.pair), facts=facts)
