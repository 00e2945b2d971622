"""The votes as boards and exports read them, in SQL."""

from typing import Literal

from sqlalchemy import ColumnElement, Connection, FromClause, and_, case, select

from arena.ledger.records import StudyRecord
from arena.ledger.tables import ENTRANTS, PAIRS, RATERS, UNDOS, VOTES, WITHDRAWALS
from arena.quality import QualityVote, mirrored
from arena.votes import Choice, VoteRecord
from prompts.prompt import Prompt

#: Whose votes: people's and simulated ones never mix, except in an export that says which is which.
Raters = Literal["people", "simulated", "all"]


def votes(connection: Connection, record: StudyRecord, raters: Raters) -> list[VoteRecord]:
    """The study's effective votes (not undone, on its own pairs, of nobody who withdrew), by vote id."""
    study = record.study
    first, second = ENTRANTS.alias("first_entrants"), ENTRANTS.alias("second_entrants")
    left = case((PAIRS.c.candidate_left, first.c.name), else_=second.c.name)
    right = case((PAIRS.c.candidate_left, second.c.name), else_=first.c.name)
    wanted = (
        select(
            VOTES.c.id,
            VOTES.c.cast_at,
            VOTES.c.question,
            VOTES.c.choice,
            VOTES.c.latency_ms,
            VOTES.c.session,
            PAIRS.c.rater,
            PAIRS.c.prompt_id,
            RATERS.c.simulated,
            left.label("left"),
            right.label("right"),
        )
        .join(PAIRS, PAIRS.c.id == VOTES.c.pair_id)
        .join(RATERS, RATERS.c.number == PAIRS.c.rater)
        .join(first, first.c.id == PAIRS.c.candidate_id)
        .join(second, second.c.id == PAIRS.c.opponent_id)
        .outerjoin(UNDOS, _same_round(UNDOS, VOTES))
        .outerjoin(WITHDRAWALS, and_(WITHDRAWALS.c.study_id == PAIRS.c.study_id, WITHDRAWALS.c.rater == PAIRS.c.rater))
        .where(
            PAIRS.c.study_id == record.id,
            PAIRS.c.kind == "study",
            UNDOS.c.id.is_(None),
            WITHDRAWALS.c.rater.is_(None),
        )
        .order_by(VOTES.c.id)
    )
    if raters != "all":
        wanted = wanted.where(RATERS.c.simulated.is_(raters == "simulated"))
    prompts = {prompt.id: prompt for prompt in study.prompts}
    return [
        VoteRecord(
            vote_id=row.id,
            ts=row.cast_at,
            rater=row.rater,
            simulated=row.simulated,
            study=study.name,
            question=row.question,
            prompt_id=row.prompt_id,
            prompt=prompts[row.prompt_id].text,
            category=prompts[row.prompt_id].category,
            left=row.left,
            right=row.right,
            choice=Choice(row.choice),
            latency_ms=row.latency_ms,
            session=row.session,
        )
        for row in connection.execute(wanted)
    ]


def quality_votes(connection: Connection, record: StudyRecord, raters: Raters) -> list[QualityVote]:
    """The votes as gates read them: sides of the page, never entrants. Practice, undone and withdrawn ones are out."""
    # Effective votes only: a first vote that was taken back is no vote to compare a repeat with.
    earlier = (
        select(VOTES.c.pair_id, VOTES.c.question, VOTES.c.choice)
        .outerjoin(UNDOS, _same_round(UNDOS, VOTES))
        .where(UNDOS.c.id.is_(None))
        .subquery("earlier_votes")
    )
    wanted = (
        select(
            VOTES.c.question,
            VOTES.c.choice,
            VOTES.c.latency_ms,
            VOTES.c.cast_at,
            PAIRS.c.id.label("pair"),
            PAIRS.c.rater,
            PAIRS.c.kind,
            PAIRS.c.candidate_left,
            PAIRS.c.candidate_id,
            PAIRS.c.opponent_id,
            PAIRS.c.prompt_id,
            PAIRS.c.seed,
            earlier.c.choice.label("earlier_choice"),
        )
        .join(PAIRS, PAIRS.c.id == VOTES.c.pair_id)
        .join(RATERS, RATERS.c.number == PAIRS.c.rater)
        .outerjoin(UNDOS, _same_round(UNDOS, VOTES))
        .outerjoin(earlier, and_(earlier.c.pair_id == PAIRS.c.repeats, earlier.c.question == VOTES.c.question))
        .outerjoin(WITHDRAWALS, and_(WITHDRAWALS.c.study_id == PAIRS.c.study_id, WITHDRAWALS.c.rater == PAIRS.c.rater))
        .where(
            PAIRS.c.study_id == record.id,
            PAIRS.c.kind != "practice",
            UNDOS.c.id.is_(None),
            WITHDRAWALS.c.rater.is_(None),
        )
        .order_by(VOTES.c.id)
    )
    if raters != "all":
        wanted = wanted.where(RATERS.c.simulated.is_(raters == "simulated"))
    ids = {row.name: row.id for row in connection.execute(select(ENTRANTS.c.id, ENTRANTS.c.name))}
    attention = {
        (ids[pair.better], ids[pair.worse], Prompt(text=pair.prompt).id, pair.seed): pair.attention
        for pair in record.study.gold
    }
    return [
        QualityVote(
            rater=row.rater,
            pair=row.pair,
            pair_kind=row.kind,
            question=row.question,
            choice=Choice(row.choice),
            latency_ms=row.latency_ms,
            cast_at=row.cast_at,
            first_choice=mirrored(Choice(row.earlier_choice)) if row.earlier_choice is not None else None,
            right_answer=(Choice.LEFT if row.candidate_left else Choice.RIGHT) if row.kind == "gold" else None,
            attention=attention.get((row.candidate_id, row.opponent_id, row.prompt_id, row.seed), False)
            and row.kind == "gold",
        )
        for row in connection.execute(wanted)
    ]


def _same_round(undos: FromClause, votes: FromClause) -> ColumnElement[bool]:
    return and_(
        undos.c.pair_id == votes.c.pair_id, undos.c.question == votes.c.question, undos.c.round == votes.c.round
    )
