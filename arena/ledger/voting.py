"""Raters, pairs, votes and undos in SQL: the jobs of the rating path, and what a room needs to know to begin.

Three unique constraints decide every race, on both databases: one showing of a comparison per rater, one vote per
pair, question and round, one request per idempotency key.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Table, func, insert, select
from sqlalchemy.sql import Select

from arena.ledger.errors import AlreadyVotedError, KeyReusedError, RoundError, StudyClosedError
from arena.ledger.events import UNDO, VOTE, UndoFacts, VoteFacts, undo_content, vote_content
from arena.ledger.records import GeneratedImage, StudyRecord
from arena.ledger.statements import insert_unless_there_returning_key
from arena.ledger.tables import ENTRANTS, GENERATED_IMAGES, IDENTITIES, PAIRS, RATERS, UNDOS, VOTES
from arena.ledger.writer import Batch


class StalePairError(Exception):
    """The comparison was handed to this rater elsewhere in the meantime: look again and choose another."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewPair:
    """A pair about to be handed out. `propensity` is the probability that matchmaking drew it by."""

    token: str
    study_id: int
    rater: int
    candidate_id: int
    prompt_id: str
    seed: int
    candidate_left: bool
    left: GeneratedImage
    right: GeneratedImage
    propensity: float
    handed_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class HandedPair:
    """A pair that was handed out. `votes` and `undos` count its rounds; `hashes` and `sizes`
    (width, height in pixels) are the images' left and right."""

    id: int
    token: str
    study_id: int
    rater: int
    candidate: str
    prompt_id: str
    seed: int
    candidate_left: bool
    hashes: tuple[str, str]
    sizes: tuple[tuple[int, int], tuple[int, int]]
    votes: int
    undos: int


@dataclass(frozen=True, slots=True, kw_only=True)
class NewVote:
    """A vote about to be cast. `done` is the rater's number of effective votes with this one."""

    study_id: int
    key: str
    done: int
    facts: VoteFacts


@dataclass(frozen=True, slots=True, kw_only=True)
class CastVote:
    """A vote that stands; `next_pair` is the id of the pair that its answer hands out."""

    vote_id: int
    done: int
    next_pair: int | None
    replayed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class NewUndo:
    """A vote about to be taken back. `done` is the rater's number of effective votes without it."""

    study_id: int
    key: str
    done: int
    facts: UndoFacts


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownCount:
    """How often a comparison was handed out, to people or to simulated raters."""

    candidate: str
    prompt_id: str
    seed: int
    simulated: bool
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyMaterial:
    """What the rating path needs of a study: rows of its entrants, their galleries by entrant, and what was shown."""

    record: StudyRecord
    entrant_ids: dict[str, int]
    galleries: dict[str, list[GeneratedImage]]
    shown: list[ShownCount]


def add_rater(batch: Batch, number: int, simulated: bool, identity: str | None, now: datetime) -> int | None:
    """The rater's number; that of the identity (a keyed hash) if it came before; None when the number is taken."""
    connection = batch.connection
    if identity is not None:
        known = select(IDENTITIES.c.rater).where(IDENTITIES.c.key_hash == identity)
        rater: int | None = connection.execute(known).scalar()
        if rater is not None:
            return rater
    row = {"number": number, "simulated": simulated, "joined_at": now}
    if connection.execute(insert_unless_there_returning_key(connection, RATERS), row).scalar() is None:
        return None
    if identity is not None:
        connection.execute(insert(IDENTITIES).values(key_hash=identity, rater=number))
    return number


def rater_is_simulated(connection: Connection, number: int) -> bool | None:
    """Whether a program stands behind the rater; None for a number that nobody was given."""
    return connection.execute(select(RATERS.c.simulated).where(RATERS.c.number == number)).scalar()


def hand_out(batch: Batch, pairs: list[NewPair]) -> list[int]:
    """Hand these out to one rater. Raises StudyClosedError, and StalePairError when one was handed out elsewhere."""
    if batch.lock_study(pairs[0].study_id).closed_at is not None:
        raise StudyClosedError("The study is closed: it takes no more votes. Thank you for yours.")
    return [_insert_pair(batch, pair, None) for pair in pairs]


def cast_vote(batch: Batch, vote: NewVote, following: NewPair | None) -> CastVote:
    """Cast a vote and hand out the pair that follows, or give a repeated request its first answer.

    Raises AlreadyVotedError, KeyReusedError, RoundError, StudyClosedError and StalePairError; then nothing is kept.
    """
    # Locked before the first insert: on PostgreSQL two replicas then queue up instead of deadlocking.
    study = batch.lock_study(vote.study_id)
    facts = vote.facts
    vote_id: int | None = batch.connection.execute(
        insert_unless_there_returning_key(batch.connection, VOTES),
        {
            "pair_id": facts.pair,
            "question": facts.question,
            "round": facts.round,
            "key": vote.key,
            "choice": str(facts.choice),
            "latency_ms": facts.latency_ms,
            "session": facts.session,
            "done": vote.done,
            "cast_at": facts.at,
        },
    ).scalar()
    if vote_id is None:
        return _first_answer(batch.connection, vote)
    if study.closed_at is not None:
        raise StudyClosedError("The study is closed: it takes no more votes. Thank you for yours.")
    if facts.round > 1:
        before = _row_of_round(batch.connection, UNDOS, facts.pair, facts.question, facts.round - 1)
        if before is None:
            raise RoundError(f"Round {facts.round} of this pair is not open. Load the page anew.")
    next_pair = None if following is None else _insert_pair(batch, following, vote_id)
    batch.append(vote.study_id, VOTE, vote_content(vote_id, facts))
    return CastVote(vote_id=vote_id, done=vote.done, next_pair=next_pair, replayed=False)


def undo_vote(batch: Batch, undo: NewUndo) -> int:
    """Take back the pair's vote of this round, and answer `done`; a repeated request gets its first answer.

    Raises RoundError when there is no such vote or it was taken back before, KeyReusedError, StudyClosedError.
    """
    study = batch.lock_study(undo.study_id)
    connection, facts = batch.connection, undo.facts
    place = {"pair_id": facts.pair, "question": facts.question, "round": facts.round}
    row = {**place, "key": undo.key, "done": undo.done, "undone_at": facts.at}
    if connection.execute(insert_unless_there_returning_key(connection, UNDOS), row).scalar() is None:
        there = connection.execute(select(UNDOS).where(UNDOS.c.key == undo.key)).one_or_none()
        if there is None:
            raise RoundError("This vote was already taken back. Load the page anew.")
        if (there.pair_id, there.question, there.round) != (facts.pair, facts.question, facts.round):
            raise KeyReusedError("This request's key was used for taking back another vote. Load the page anew.")
        return int(there.done)
    if study.closed_at is not None:
        raise StudyClosedError("The study is closed: its votes stand as they are.")
    vote_id = _row_of_round(connection, VOTES, facts.pair, facts.question, facts.round)
    if vote_id is None:
        raise RoundError("There is no vote on this pair to take back. Load the page anew.")
    batch.append(undo.study_id, UNDO, undo_content(vote_id, facts))
    return undo.done


def handed_pairs(connection: Connection, study_id: int, rater: int) -> list[HandedPair]:
    """All that this rater was handed out in the study, in order."""
    return _pairs(connection, _PAIRS.where(PAIRS.c.study_id == study_id, PAIRS.c.rater == rater))


def pair_of_token(connection: Connection, token: str) -> HandedPair | None:
    """The pair with this token."""
    found = _pairs(connection, _PAIRS.where(PAIRS.c.token == token))
    return found[0] if found else None


def shown_counts(connection: Connection, study_id: int) -> list[ShownCount]:
    """How often each comparison was handed out so far."""
    place = (ENTRANTS.c.name, PAIRS.c.prompt_id, PAIRS.c.seed, RATERS.c.simulated)
    wanted = (
        select(*place, func.count().label("times"))
        .select_from(PAIRS)
        .join(ENTRANTS, ENTRANTS.c.id == PAIRS.c.candidate_id)
        .join(RATERS, RATERS.c.number == PAIRS.c.rater)
        .where(PAIRS.c.study_id == study_id)
        .group_by(*place)
    )
    return [
        ShownCount(candidate=row.name, prompt_id=row.prompt_id, seed=row.seed, simulated=row.simulated, count=row.times)
        for row in connection.execute(wanted)
    ]


_LEFT, _RIGHT = GENERATED_IMAGES.alias("left_images"), GENERATED_IMAGES.alias("right_images")

_PAIRS = (
    select(
        PAIRS,
        ENTRANTS.c.name,
        _LEFT.c.image_hash.label("left_hash"),
        _LEFT.c.width.label("left_width"),
        _LEFT.c.height.label("left_height"),
        _RIGHT.c.image_hash.label("right_hash"),
        _RIGHT.c.width.label("right_width"),
        _RIGHT.c.height.label("right_height"),
        select(func.count()).where(VOTES.c.pair_id == PAIRS.c.id).scalar_subquery().label("times_voted"),
        select(func.count()).where(UNDOS.c.pair_id == PAIRS.c.id).scalar_subquery().label("times_undone"),
    )
    .join(ENTRANTS, ENTRANTS.c.id == PAIRS.c.candidate_id)
    .join(_LEFT, _LEFT.c.id == PAIRS.c.left_image)
    .join(_RIGHT, _RIGHT.c.id == PAIRS.c.right_image)
    .order_by(PAIRS.c.id)
)


def _pairs(connection: Connection, wanted: Select[Any]) -> list[HandedPair]:
    return [
        HandedPair(
            id=row.id,
            token=row.token,
            study_id=row.study_id,
            rater=row.rater,
            candidate=row.name,
            prompt_id=row.prompt_id,
            seed=row.seed,
            candidate_left=row.candidate_left,
            hashes=(row.left_hash, row.right_hash),
            sizes=((row.left_width, row.left_height), (row.right_width, row.right_height)),
            votes=row.times_voted,
            undos=row.times_undone,
        )
        for row in connection.execute(wanted)
    ]


def _insert_pair(batch: Batch, pair: NewPair, after_vote_id: int | None) -> int:
    row = {
        "token": pair.token,
        "study_id": pair.study_id,
        "rater": pair.rater,
        "candidate_id": pair.candidate_id,
        "prompt_id": pair.prompt_id,
        "seed": pair.seed,
        "candidate_left": pair.candidate_left,
        "left_image": pair.left.id,
        "right_image": pair.right.id,
        "propensity": pair.propensity,
        "repeats": None,
        "after_vote_id": after_vote_id,
        "handed_at": pair.handed_at,
    }
    insertion = insert_unless_there_returning_key(batch.connection, PAIRS)
    id: int | None = batch.connection.execute(insertion, row).scalar()
    if id is None:
        raise StalePairError
    return id


def _first_answer(connection: Connection, vote: NewVote) -> CastVote:
    """What the same request was answered before; or the reason why this one is refused."""
    facts = vote.facts
    there = connection.execute(select(VOTES).where(VOTES.c.key == vote.key)).one_or_none()
    if there is None:
        raise AlreadyVotedError("This pair already has its vote; the first one stands.")
    if (there.pair_id, there.question, there.round, there.choice) != (
        facts.pair,
        facts.question,
        facts.round,
        facts.choice,
    ):
        raise KeyReusedError("This request's key was used for another vote; the first one stands. Load the page anew.")
    handed = select(PAIRS.c.id).where(
        PAIRS.c.study_id == vote.study_id, PAIRS.c.rater == facts.rater, PAIRS.c.after_vote_id == there.id
    )
    return CastVote(vote_id=there.id, done=there.done, next_pair=connection.execute(handed).scalar(), replayed=True)


def _row_of_round(connection: Connection, table: Table, pair: int, question: str, round: int) -> int | None:
    """The id of the row of this round."""
    found = select(table.c.id).where(table.c.pair_id == pair, table.c.question == question, table.c.round == round)
    return connection.execute(found).scalar()
