"""The votes as boards and exports read them, in SQL."""

from typing import Literal

from sqlalchemy import Connection, and_, case, select

from arena.ledger.records import StudyRecord
from arena.ledger.tables import ENTRANTS, PAIRS, RATERS, UNDOS, VOTES
from arena.votes import Choice, VoteRecord

#: Whose votes: people's and simulated ones never mix, except in an export that says which is which.
Raters = Literal["people", "simulated", "all"]


def votes(connection: Connection, record: StudyRecord, raters: Raters) -> list[VoteRecord]:
    """The study's effective votes (not undone, no declared repeats), by vote id."""
    study = record.study
    left = case((PAIRS.c.candidate_left, ENTRANTS.c.name), else_=study.reference)
    right = case((PAIRS.c.candidate_left, study.reference), else_=ENTRANTS.c.name)
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
        .join(ENTRANTS, ENTRANTS.c.id == PAIRS.c.candidate_id)
        .outerjoin(
            UNDOS,
            and_(
                UNDOS.c.pair_id == VOTES.c.pair_id,
                UNDOS.c.question == VOTES.c.question,
                UNDOS.c.round == VOTES.c.round,
            ),
        )
        .where(PAIRS.c.study_id == record.id, PAIRS.c.repeats.is_(None), UNDOS.c.id.is_(None))
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
