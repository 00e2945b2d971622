"""The votes and reports as boards, pages and exports read them, in SQL."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, get_args

from sqlalchemy import ColumnElement, Connection, FromClause, Select, and_, case, func, or_, select

from arena.ledger.records import StudyRecord
from arena.ledger.tables import (
    COMMENTS,
    ENTRANTS,
    GENERATED_IMAGES,
    PAIRS,
    PROMPTS,
    RATERS,
    REPORTS,
    SCORES,
    UNDOS,
    VOTES,
    WITHDRAWALS,
)
from arena.quality import QualityVote, mirrored
from arena.votes import Choice, VoteRecord
from prompts.prompt import Prompt

#: Whose votes: people's and simulated ones never mix, except in an export that says which is which.
Raters = Literal["people", "simulated", "all"]
ReportKind = Literal["skip", "broken", "offensive"]
REPORT_KINDS: tuple[ReportKind, ...] = get_args(ReportKind)


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """One image of a pair, by its row in the ledger, and who painted it; `width` and `height` are its pixels."""

    image: int
    entrant: str
    width: int
    height: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """A pair that a rater would not judge, as it was shown. `comment` are the rater's own words, or "".

    `withdrawn`: the rater took consent back since, and the comment is gone. `pair_kind` is study, repeat, gold or
    practice.
    """

    report_id: int
    at: datetime
    kind: ReportKind
    comment: str
    rater: int
    simulated: bool
    withdrawn: bool
    pair: int
    pair_kind: str
    prompt: str
    seed: int
    left: Shown
    right: Shown


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


def reports(
    connection: Connection,
    study_id: int,
    raters: Raters,
    *,
    kind: ReportKind | None = None,
    limit: int | None = None,
    offset: int = 0,
) -> list[Report]:
    """What raters of the study reported or skipped, newest first; those who withdrew among them, without comments."""
    first, second = ENTRANTS.alias("first_entrants"), ENTRANTS.alias("second_entrants")
    left, right = GENERATED_IMAGES.alias("left_images"), GENERATED_IMAGES.alias("right_images")
    wanted = _reports_of(
        select(
            REPORTS,
            COMMENTS.c.text.label("comment"),
            WITHDRAWALS.c.rater.label("withdrawn"),
            RATERS.c.simulated,
            PAIRS.c.rater,
            PAIRS.c.kind.label("pair_kind"),
            PAIRS.c.seed,
            PAIRS.c.candidate_left,
            PROMPTS.c.text.label("prompt"),
            first.c.name.label("first"),
            second.c.name.label("second"),
            *(
                side.c[column].label(f"{name}_{column}")
                for name, side in (("left", left), ("right", right))
                for column in ("id", "width", "height")
            ),
        ),
        study_id,
        raters,
        kind,
    )
    wanted = (
        wanted.join(PROMPTS, PROMPTS.c.id == PAIRS.c.prompt_id)
        .join(first, first.c.id == PAIRS.c.candidate_id)
        .join(second, second.c.id == PAIRS.c.opponent_id)
        .join(left, left.c.id == PAIRS.c.left_image)
        .join(right, right.c.id == PAIRS.c.right_image)
        .outerjoin(COMMENTS, COMMENTS.c.report_id == REPORTS.c.id)
        .outerjoin(WITHDRAWALS, and_(WITHDRAWALS.c.study_id == PAIRS.c.study_id, WITHDRAWALS.c.rater == PAIRS.c.rater))
        .order_by(REPORTS.c.id.desc())
        .limit(limit)
        .offset(offset)
    )
    return [_report(row) for row in connection.execute(wanted)]


def report_counts(connection: Connection, study_id: int, raters: Raters) -> dict[ReportKind, int]:
    """How many reports of each kind there are; 0 where there are none."""
    wanted = _reports_of(select(REPORTS.c.kind, func.count().label("times")), study_id, raters, None)
    found = {row.kind: row.times for row in connection.execute(wanted.group_by(REPORTS.c.kind))}
    return {kind: found.get(kind, 0) for kind in REPORT_KINDS}


def withdrawn_raters(connection: Connection, study_id: int) -> list[int]:
    """Whose votes the study's analyses leave out, by number."""
    wanted = select(WITHDRAWALS.c.rater).where(WITHDRAWALS.c.study_id == study_id).order_by(WITHDRAWALS.c.rater)
    return list(connection.execute(wanted).scalars())


def misplaced_pairs(connection: Connection, study_id: int) -> list[int]:
    """The pairs whose images are not those of the entrants, the prompt and the seed that they name, side by side."""
    first, second = PAIRS.c.candidate_id, PAIRS.c.opponent_id
    left, right = GENERATED_IMAGES.alias("left_images"), GENERATED_IMAGES.alias("right_images")
    wanted = (
        select(PAIRS.c.id)
        .join(left, left.c.id == PAIRS.c.left_image)
        .join(right, right.c.id == PAIRS.c.right_image)
        .where(
            PAIRS.c.study_id == study_id,
            or_(
                left.c.entrant_id != case((PAIRS.c.candidate_left, first), else_=second),
                right.c.entrant_id != case((PAIRS.c.candidate_left, second), else_=first),
                *(image.c.prompt_id != PAIRS.c.prompt_id for image in (left, right)),
                *(image.c.seed != PAIRS.c.seed for image in (left, right)),
            ),
        )
        .order_by(PAIRS.c.id)
    )
    return list(connection.execute(wanted).scalars())


def last_score(connection: Connection) -> int:
    """The newest measurement's number; 0 before the first. Measurements are only ever added."""
    return connection.execute(select(func.max(SCORES.c.id))).scalar() or 0


def _reports_of(wanted: "Select[Any]", study_id: int, raters: Raters, kind: ReportKind | None) -> "Select[Any]":
    wanted = (
        wanted.select_from(REPORTS)
        .join(PAIRS, PAIRS.c.id == REPORTS.c.pair_id)
        .join(RATERS, RATERS.c.number == PAIRS.c.rater)
        .where(PAIRS.c.study_id == study_id)
    )
    if raters != "all":
        wanted = wanted.where(RATERS.c.simulated.is_(raters == "simulated"))
    return wanted if kind is None else wanted.where(REPORTS.c.kind == kind)


def _report(row: Any) -> Report:
    left, right = (row.first, row.second) if row.candidate_left else (row.second, row.first)
    return Report(
        report_id=row.id,
        at=row.reported_at,
        kind=row.kind,
        # Whatever stands in the table: who took consent back is not quoted.
        comment=row.comment if row.comment is not None and row.withdrawn is None else "",
        rater=row.rater,
        simulated=row.simulated,
        withdrawn=row.withdrawn is not None,
        pair=row.pair_id,
        pair_kind=row.pair_kind,
        prompt=row.prompt,
        seed=row.seed,
        left=Shown(image=row.left_id, entrant=left, width=row.left_width, height=row.left_height),
        right=Shown(image=row.right_id, entrant=right, width=row.right_width, height=row.right_height),
    )


def _same_round(undos: FromClause, votes: FromClause) -> ColumnElement[bool]:
    return and_(
        undos.c.pair_id == votes.c.pair_id, undos.c.question == votes.c.question, undos.c.round == votes.c.round
    )
