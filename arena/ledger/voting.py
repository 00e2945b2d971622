"""Raters, pairs, votes and undos in SQL: the jobs of the rating path, and what a room needs to know to begin.

Three unique constraints decide every race, on both databases: one showing of a comparison per rater, one vote per
pair, question and round, one request per idempotency key.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

from sqlalchemy import Connection, Table, delete, func, insert, select
from sqlalchemy.sql import Select

from arena.ledger.errors import AlreadyVotedError, KeyReusedError, RoundError, StudyClosedError
from arena.ledger.events import (
    REPORT,
    UNDO,
    VOTE,
    WITHDRAWN,
    ReportFacts,
    UndoFacts,
    VoteFacts,
    report_content,
    undo_content,
    vote_content,
    withdrawn_content,
)
from arena.ledger.records import GeneratedImage, StudyRecord
from arena.ledger.statements import insert_unless_there_returning_key
from arena.ledger.tables import (
    COMMENTS,
    ENTRANTS,
    GENERATED_IMAGES,
    IDENTITIES,
    PAIRS,
    RATERS,
    REPORTS,
    STEPS,
    SUBMISSIONS,
    UNDOS,
    VOTES,
    WITHDRAWALS,
)
from arena.ledger.writer import Batch

PairKind = Literal["study", "repeat", "gold", "practice"]
StepName = Literal[
    "arrived", "consented", "practised", "passed", "failed", "screened_out", "finished", "returned", "withdrawn"
]


class StalePairError(Exception):
    """The comparison was handed to this rater elsewhere in the meantime: look again and choose another."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewPair:
    """A pair about to be handed out. `propensity` is the probability that matchmaking drew it by.

    `first_id` and `second_id` are its entrants; `repeats` is the id of the earlier pair that it repeats.
    """

    token: str
    study_id: int
    rater: int
    kind: PairKind
    first_id: int
    second_id: int
    prompt_id: str
    seed: int
    first_left: bool
    left: GeneratedImage
    right: GeneratedImage
    propensity: float
    handed_at: datetime
    repeats: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class HandedPair:
    """A pair that was handed out. `votes` and `undos` count its rounds; `hashes` and `sizes`
    (width, height in pixels) are the images' left and right. `reported`: the rater would not judge it."""

    id: int
    token: str
    study_id: int
    rater: int
    kind: PairKind
    first: str
    second: str
    prompt_id: str
    seed: int
    first_left: bool
    repeats: int | None
    hashes: tuple[str, str]
    sizes: tuple[tuple[int, int], tuple[int, int]]
    votes: int
    undos: int
    reported: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class NewVote:
    """A pair about to be judged: the facts of one vote per question. `done` counts the rater's pairs with this one."""

    study_id: int
    key: str
    done: int
    facts: tuple[VoteFacts, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class CastVote:
    """A vote that stands (the first question's); `next_pair` is the id of the pair that its answer hands out."""

    vote_id: int
    done: int
    next_pair: int | None
    replayed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class NewUndo:
    """A judgement about to be taken back, question by question. `done` counts the rater's pairs without it."""

    study_id: int
    key: str
    done: int
    facts: tuple[UndoFacts, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class NewReport:
    """A pair about to be put aside; `comment` are the rater's own words, or ""."""

    study_id: int
    key: str
    done: int
    facts: ReportFacts
    comment: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """What a rater did on the way through a study, and when."""

    step: StepName
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Submission:
    """One thing that a crowd site named a rater's go at a study by: its parameter, a keyed hash, and when it came."""

    name: str
    key_hash: str
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownCount:
    """How often a comparison was handed out, to people or to simulated raters."""

    first: str
    second: str
    prompt_id: str
    seed: int
    simulated: bool
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyMaterial:
    """What the rating path needs of a study: rows of its entrants, their galleries by entrant, and what was shown.

    Entrants of gold and practice pairs are among them, with the images of those pairs.
    """

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


def rater_of_identity(connection: Connection, identity: str) -> int | None:
    """The rater behind a keyed hash."""
    return connection.execute(select(IDENTITIES.c.rater).where(IDENTITIES.c.key_hash == identity)).scalar()


def keep_submission(batch: Batch, study_id: int, rater: int, hashes: Mapping[str, str], now: datetime) -> None:
    """Keep the keyed hashes of what names a submission, by parameter; those that came before stay as they are."""
    for name, key_hash in hashes.items():
        row = {"study_id": study_id, "rater": rater, "name": name, "key_hash": key_hash, "came_at": now}
        batch.insert_unless_there(SUBMISSIONS, row)


def submissions(connection: Connection, study_id: int, rater: int) -> list[Submission]:
    """What named the rater's goes at the study, in the order in which it came."""
    wanted = select(SUBMISSIONS).where(SUBMISSIONS.c.study_id == study_id, SUBMISSIONS.c.rater == rater)
    return [
        Submission(name=row.name, key_hash=row.key_hash, at=row.came_at)
        for row in connection.execute(wanted.order_by(SUBMISSIONS.c.id))
    ]


def rater_of_submission(connection: Connection, study_id: int, key_hash: str) -> int | None:
    """The rater who came to the study with this submission."""
    wanted = select(SUBMISSIONS.c.rater).where(SUBMISSIONS.c.study_id == study_id, SUBMISSIONS.c.key_hash == key_hash)
    return connection.execute(wanted.limit(1)).scalar()


def rater_is_simulated(connection: Connection, number: int) -> bool | None:
    """Whether a program stands behind the rater; None for a number that nobody was given."""
    return connection.execute(select(RATERS.c.simulated).where(RATERS.c.number == number)).scalar()


def hand_out(batch: Batch, pairs: list[NewPair]) -> list[int]:
    """Hand these out to one rater. Raises StudyClosedError, and StalePairError when one was handed out elsewhere."""
    if batch.lock_study(pairs[0].study_id).closed_at is not None:
        raise StudyClosedError("The study is closed: it takes no more votes. Thank you for yours.")
    return [_insert_pair(batch, pair, None) for pair in pairs]


def cast_vote(batch: Batch, vote: NewVote, following: NewPair | None) -> CastVote:
    """Cast a pair's votes and hand out the pair that follows, or give a repeated request its first answer.

    Raises AlreadyVotedError, KeyReusedError, RoundError, StudyClosedError and StalePairError; then nothing is kept.
    """
    # Locked before the first insert: on PostgreSQL two replicas then queue up instead of deadlocking.
    study = batch.lock_study(vote.study_id)
    ids: list[int] = []
    for number, facts in enumerate(vote.facts):
        vote_id: int | None = batch.insert_unless_there(
            VOTES,
            {
                "pair_id": facts.pair,
                "question": facts.question,
                "round": facts.round,
                "key": _key(vote.key, number, facts.question),
                "choice": str(facts.choice),
                "latency_ms": facts.latency_ms,
                "session": facts.session,
                "done": vote.done,
                "cast_at": facts.at,
            },
        )
        if vote_id is None:
            return _first_answer(batch.connection, vote)
        ids.append(vote_id)
    if study.closed_at is not None:
        raise StudyClosedError("The study is closed: it takes no more votes. Thank you for yours.")
    first = vote.facts[0]
    if first.round > 1 and _row_of_round(batch.connection, UNDOS, first.pair, first.question, first.round - 1) is None:
        raise RoundError(f"Round {first.round} of this pair is not open. Load the page anew.")
    next_pair = None if following is None else _insert_pair(batch, following, ids[0])
    for vote_id, facts in zip(ids, vote.facts, strict=True):
        batch.append(vote.study_id, VOTE, vote_content(vote_id, facts))
    return CastVote(vote_id=ids[0], done=vote.done, next_pair=next_pair, replayed=False)


def undo_vote(batch: Batch, undo: NewUndo) -> int:
    """Take back the pair's votes of this round, and answer `done`; a repeated request gets its first answer.

    Raises RoundError when there is no such vote or it was taken back before, KeyReusedError, StudyClosedError.
    """
    study = batch.lock_study(undo.study_id)
    connection = batch.connection
    for number, facts in enumerate(undo.facts):
        row = {
            "pair_id": facts.pair,
            "question": facts.question,
            "round": facts.round,
            "key": _key(undo.key, number, facts.question),
            "done": undo.done,
            "undone_at": facts.at,
        }
        if connection.execute(insert_unless_there_returning_key(connection, UNDOS), row).scalar() is None:
            return _first_undo(connection, undo)
        if study.closed_at is not None:
            raise StudyClosedError("The study is closed: its votes stand as they are.")
        vote_id = _row_of_round(connection, VOTES, facts.pair, facts.question, facts.round)
        if vote_id is None:
            raise RoundError("There is no vote on this pair to take back. Load the page anew.")
        batch.append(undo.study_id, UNDO, undo_content(vote_id, facts))
    return undo.done


def report_pair(batch: Batch, report: NewReport, following: NewPair | None) -> CastVote:
    """Put a pair aside and hand out the one that follows, or give a repeated request its first answer.

    The `vote_id` of the answer is the report's. Raises RoundError for a pair that was judged or reported in this round,
    KeyReusedError, StudyClosedError and StalePairError.
    """
    study = batch.lock_study(report.study_id)
    connection, facts = batch.connection, report.facts
    row = {
        "pair_id": facts.pair,
        "round": facts.round,
        "key": report.key,
        "kind": facts.kind,
        "done": report.done,
        "reported_at": facts.at,
    }
    report_id: int | None = connection.execute(insert_unless_there_returning_key(connection, REPORTS), row).scalar()
    if report_id is None:
        return _first_report(connection, report)
    if study.closed_at is not None:
        raise StudyClosedError("The study is closed: it takes no more reports. Thank you for your votes.")
    voted = select(VOTES.c.id).where(VOTES.c.pair_id == facts.pair, VOTES.c.round == facts.round).limit(1)
    if connection.execute(voted).scalar() is not None:
        raise RoundError("This pair has its vote already. Take the vote back to report the pair.")
    if facts.comment is not None:
        comment = {"report_id": report_id, "rater": facts.rater, "text": report.comment, "digest": facts.comment}
        connection.execute(insert(COMMENTS).values(comment))
    # Pairs remember the vote that handed them out; a report's number is kept apart from votes' by its sign.
    next_pair = None if following is None else _insert_pair(batch, following, -report_id)
    batch.append(report.study_id, REPORT, report_content(report_id, facts))
    return CastVote(vote_id=report_id, done=report.done, next_pair=next_pair, replayed=False)


def take_step(batch: Batch, study_id: int, rater: int, step: StepName, now: datetime) -> None:
    """Note a step; an open study is not asked for, because ending one's way is always possible."""
    batch.connection.execute(insert(STEPS).values(study_id=study_id, rater=rater, step=step, taken_at=now))


def take_slot(batch: Batch, study_id: int, rater: int, *, slots: int, minutes: int, now: datetime) -> bool:
    """Give the rater one of the study's slots, or find the one that is held; False where all are held by others.

    A slot is held by who finished, and for so many minutes by who arrived and neither returned it nor was screened out.
    """
    batch.lock_study(study_id)
    held: dict[int, datetime | None] = {}
    for row in batch.connection.execute(
        select(STEPS.c.rater, STEPS.c.step, STEPS.c.taken_at).where(STEPS.c.study_id == study_id).order_by(STEPS.c.id)
    ):
        if row.step == "arrived":
            held[row.rater] = row.taken_at
        elif row.step == "finished":
            held[row.rater] = None
        elif row.step in ("returned", "screened_out"):
            held.pop(row.rater, None)
    oldest = now - timedelta(minutes=minutes)
    holders = {number for number, at in held.items() if at is None or at > oldest}
    if rater in holders:
        return True
    if len(holders) >= slots:
        return False
    take_step(batch, study_id, rater, "arrived", now)
    return True


def withdraw(batch: Batch, study_id: int, rater: int, now: datetime) -> None:
    """Take the rater out of every analysis of the study, and delete what identifies them. Again, it changes nothing."""
    batch.lock_study(study_id)
    connection = batch.connection
    row = {"study_id": study_id, "rater": rater, "withdrawn_at": now}
    if connection.execute(insert_unless_there_returning_key(connection, WITHDRAWALS), row).first() is None:
        return
    connection.execute(delete(COMMENTS).where(COMMENTS.c.rater == rater))
    connection.execute(delete(IDENTITIES).where(IDENTITIES.c.rater == rater))
    connection.execute(delete(SUBMISSIONS).where(SUBMISSIONS.c.rater == rater))
    batch.append(study_id, WITHDRAWN, withdrawn_content(rater, now))


def steps(connection: Connection, study_id: int, rater: int) -> list[Step]:
    """The rater's steps in the study, in order; a withdrawal is one of them."""
    wanted = select(STEPS.c.step, STEPS.c.taken_at).where(STEPS.c.study_id == study_id, STEPS.c.rater == rater)
    taken = [Step(step=row.step, at=row.taken_at) for row in connection.execute(wanted.order_by(STEPS.c.id))]
    gone = select(WITHDRAWALS.c.withdrawn_at).where(WITHDRAWALS.c.study_id == study_id, WITHDRAWALS.c.rater == rater)
    withdrawn_at = connection.execute(gone).scalar()
    return taken if withdrawn_at is None else [*taken, Step(step="withdrawn", at=withdrawn_at)]


def handed_pairs(connection: Connection, study_id: int, rater: int) -> list[HandedPair]:
    """All that this rater was handed out in the study, in order."""
    return _pairs(connection, _PAIRS.where(PAIRS.c.study_id == study_id, PAIRS.c.rater == rater))


def pair_of_token(connection: Connection, token: str) -> HandedPair | None:
    """The pair with this token."""
    found = _pairs(connection, _PAIRS.where(PAIRS.c.token == token))
    return found[0] if found else None


def shown_counts(connection: Connection, study_id: int) -> list[ShownCount]:
    """How often each comparison was handed out so far."""
    place = (
        _FIRST.c.name.label("first"),
        _SECOND.c.name.label("second"),
        PAIRS.c.prompt_id,
        PAIRS.c.seed,
        RATERS.c.simulated,
    )
    wanted = (
        select(*place, func.count().label("times"))
        .select_from(PAIRS)
        .join(_FIRST, _FIRST.c.id == PAIRS.c.candidate_id)
        .join(_SECOND, _SECOND.c.id == PAIRS.c.opponent_id)
        .join(RATERS, RATERS.c.number == PAIRS.c.rater)
        .where(PAIRS.c.study_id == study_id, PAIRS.c.kind == "study")
        .group_by(*place)
    )
    return [
        ShownCount(
            first=row.first,
            second=row.second,
            prompt_id=row.prompt_id,
            seed=row.seed,
            simulated=row.simulated,
            count=row.times,
        )
        for row in connection.execute(wanted)
    ]


_LEFT, _RIGHT = GENERATED_IMAGES.alias("left_images"), GENERATED_IMAGES.alias("right_images")
_FIRST, _SECOND = ENTRANTS.alias("first_entrants"), ENTRANTS.alias("second_entrants")

_PAIRS = (
    select(
        PAIRS,
        _FIRST.c.name.label("first"),
        _SECOND.c.name.label("second"),
        _LEFT.c.image_hash.label("left_hash"),
        _LEFT.c.width.label("left_width"),
        _LEFT.c.height.label("left_height"),
        _RIGHT.c.image_hash.label("right_hash"),
        _RIGHT.c.width.label("right_width"),
        _RIGHT.c.height.label("right_height"),
        # A round has a vote, and an undo, per question.
        select(func.count(VOTES.c.round.distinct()))
        .where(VOTES.c.pair_id == PAIRS.c.id)
        .scalar_subquery()
        .label("voted"),
        select(func.count(UNDOS.c.round.distinct()))
        .where(UNDOS.c.pair_id == PAIRS.c.id)
        .scalar_subquery()
        .label("undone"),
        select(func.count()).where(REPORTS.c.pair_id == PAIRS.c.id).scalar_subquery().label("times_reported"),
    )
    .join(_FIRST, _FIRST.c.id == PAIRS.c.candidate_id)
    .join(_SECOND, _SECOND.c.id == PAIRS.c.opponent_id)
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
            kind=row.kind,
            first=row.first,
            second=row.second,
            prompt_id=row.prompt_id,
            seed=row.seed,
            first_left=row.candidate_left,
            repeats=row.repeats,
            hashes=(row.left_hash, row.right_hash),
            sizes=((row.left_width, row.left_height), (row.right_width, row.right_height)),
            votes=row.voted,
            undos=row.undone,
            reported=row.times_reported > 0,
        )
        for row in connection.execute(wanted)
    ]


def _insert_pair(batch: Batch, pair: NewPair, after_vote_id: int | None) -> int:
    row = {
        "token": pair.token,
        "study_id": pair.study_id,
        "rater": pair.rater,
        "kind": pair.kind,
        "candidate_id": pair.first_id,
        "opponent_id": pair.second_id,
        "prompt_id": pair.prompt_id,
        "seed": pair.seed,
        "candidate_left": pair.first_left,
        "left_image": pair.left.id,
        "right_image": pair.right.id,
        "propensity": pair.propensity,
        "repeats": pair.repeats,
        "after_vote_id": after_vote_id,
        "handed_at": pair.handed_at,
    }
    id: int | None = batch.insert_unless_there(PAIRS, row)
    if id is None:
        raise StalePairError
    return id


def _first_answer(connection: Connection, vote: NewVote) -> CastVote:
    """What the same request was answered before; or the reason why this one is refused."""
    there = connection.execute(select(VOTES).where(VOTES.c.key == vote.key)).one_or_none()
    if there is None:
        raise AlreadyVotedError("This pair already has its vote; the first one stands.")
    cast = select(VOTES.c.question, VOTES.c.choice).where(
        VOTES.c.pair_id == there.pair_id, VOTES.c.round == there.round
    )
    kept = {row.question: row.choice for row in connection.execute(cast)}
    first = vote.facts[0]
    asked = {facts.question: str(facts.choice) for facts in vote.facts}
    if (there.pair_id, there.round, kept) != (first.pair, first.round, asked):
        raise KeyReusedError("This request's key was used for another vote; the first one stands. Load the page anew.")
    next_pair = _handed_after(connection, vote.study_id, first.rater, there.id)
    return CastVote(vote_id=there.id, done=there.done, next_pair=next_pair, replayed=True)


def _first_undo(connection: Connection, undo: NewUndo) -> int:
    facts = undo.facts[0]
    there = connection.execute(select(UNDOS).where(UNDOS.c.key == undo.key)).one_or_none()
    if there is None:
        raise RoundError("This vote was already taken back. Load the page anew.")
    if (there.pair_id, there.question, there.round) != (facts.pair, facts.question, facts.round):
        raise KeyReusedError("This request's key was used for taking back another vote. Load the page anew.")
    return int(there.done)


def _first_report(connection: Connection, report: NewReport) -> CastVote:
    facts = report.facts
    there = connection.execute(select(REPORTS).where(REPORTS.c.key == report.key)).one_or_none()
    if there is None:
        raise RoundError("This pair was reported before. Load the page anew.")
    if (there.pair_id, there.round, there.kind) != (facts.pair, facts.round, facts.kind):
        raise KeyReusedError("This request's key was used for another report. Load the page anew.")
    next_pair = _handed_after(connection, report.study_id, facts.rater, -there.id)
    return CastVote(vote_id=there.id, done=there.done, next_pair=next_pair, replayed=True)


def _handed_after(connection: Connection, study_id: int, rater: int, after: int) -> int | None:
    handed = select(PAIRS.c.id).where(
        PAIRS.c.study_id == study_id, PAIRS.c.rater == rater, PAIRS.c.after_vote_id == after
    )
    return connection.execute(handed).scalar()


def _key(key: str, number: int, question: str) -> str:
    """The request's key for the first question, and one that follows from it for each other."""
    return key if number == 0 else f"{key}.{question}"


def _row_of_round(connection: Connection, table: Table, pair: int, question: str, round: int) -> int | None:
    """The id of the row of this round."""
    found = select(table.c.id).where(table.c.pair_id == pair, table.c.question == question, table.c.round == round)
    return connection.execute(found).scalar()
