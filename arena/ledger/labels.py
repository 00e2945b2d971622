"""Label studies in SQL: opening and finding them, showings, labels, undos, reports and withdrawals.

They share the studies' table and its chains, so that one machinery appends, locks and verifies. Unique constraints
decide every race: one showing of an item per rater, one label per showing and round, one request per key.
"""

import json
from datetime import datetime
from shlex import quote
from typing import Any

from sqlalchemy import Connection, Row, Select, and_, delete, func, insert, literal, select, update

from arena.canonical import canonical_json, sha256_hex
from arena.labelling.drawing import Item
from arena.labelling.label_study import LabelStudy
from arena.ledger import voting
from arena.ledger.audit import check_withdrawals
from arena.ledger.chain import START, Head, verify
from arena.ledger.entrants import entrant
from arena.ledger.errors import (
    AlreadyVotedError,
    KeyReusedError,
    MissingImagesError,
    RoundError,
    ShapesDifferError,
    StudyChangedError,
    StudyClosedError,
    UnknownEntrantError,
    UnknownStudyError,
)
from arena.ledger.events import CLOSED, OPENED, closed_content
from arena.ledger.galleries import gallery, missing_images
from arena.ledger.label_events import (
    LABEL,
    LABEL_REPORT,
    LABEL_UNDO,
    check_label_declaration,
    check_label_reports,
    check_labels,
    label_content,
    label_opened_content,
    label_report_content,
    label_undo_content,
)
from arena.ledger.label_records import (
    CastLabel,
    HandedShowing,
    LabelChange,
    LabelMaterial,
    LabelRecord,
    LabelReport,
    LabelStudyRecord,
    NewLabel,
    NewShowing,
)
from arena.ledger.readings import withdrawn_raters
from arena.ledger.records import GeneratedImage
from arena.ledger.studies import events, head
from arena.ledger.tables import (
    ENTRANTS,
    GENERATED_IMAGES,
    LABEL_REPORTS,
    LABEL_SHOWINGS,
    LABEL_UNDOS,
    LABEL_WORDS,
    LABELS,
    STUDIES,
    WITHDRAWALS,
)
from arena.ledger.writer import Batch
from prompts.errors import quoted
from prompts.library import as_options
from prompts.prompt import Prompt, PromptSet

_OF_LABELS = STUDIES.c.kind == "labels"
#: How much proportions may differ (a pixel of rounding) before they tell who painted an image.
_ASPECT_TOLERANCE = 0.01
_CLOSED = "The study is closed: it takes no more labels. Thank you for yours."


class StaleShowingError(Exception):
    """The item was shown to this rater elsewhere in the meantime: look again and choose another."""


# Studies


def open_label_study(batch: Batch, study: LabelStudy, now: datetime) -> LabelStudyRecord:
    """Open it for labels; the same declaration, already open, is found and left as it is.

    Raises StudyChangedError for another declaration of the name (a study of pairs' is one), StudyClosedError, and what
    `check_label_study` raises.
    """
    connection = batch.connection
    there = connection.execute(select(STUDIES).where(STUDIES.c.name == study.name)).first()
    if there is not None:
        return _opened_before(there, study)
    check_label_study(connection, study)
    row = {
        "kind": "labels",
        "name": study.name,
        "version": 1,
        "hash": study.hash,
        "declaration": canonical_json(study.to_dict()),
        "opened_at": now,
        "head_seq": START.seq,
        "head_hash": START.hash,
    }
    id = connection.execute(insert(STUDIES).values(row).returning(STUDIES.c.id)).scalar_one()
    batch.append(id, OPENED, label_opened_content(study, now))
    return LabelStudyRecord(
        id=id, name=study.name, hash=study.hash, study=study, opened_at=now, closed_at=None, newly_opened=True
    )


def close_label_study(batch: Batch, name: str, now: datetime) -> LabelStudyRecord:
    """Take no more labels. Closing a closed study changes nothing. Raises UnknownStudyError."""
    record = find_label_study(batch.connection, name)
    if batch.lock_study(record.id).closed_at is None:
        batch.append(record.id, CLOSED, closed_content("closed by the researchers", now))
        batch.connection.execute(update(STUDIES).where(STUDIES.c.id == record.id).values(closed_at=now))
        batch.mark_closed(record.id, now)
    return find_label_study(batch.connection, name)


def label_studies(connection: Connection) -> list[LabelStudyRecord]:
    """All of them, by name."""
    return [_record(row) for row in connection.execute(select(STUDIES).where(_OF_LABELS).order_by(STUDIES.c.name))]


def find_label_study(connection: Connection, name: str) -> LabelStudyRecord:
    """The label study of this name. Raises UnknownStudyError."""
    row = connection.execute(select(STUDIES).where(_OF_LABELS, STUDIES.c.name == name)).one_or_none()
    if row is None:
        known = connection.execute(select(STUDIES.c.name).where(_OF_LABELS).order_by(STUDIES.c.name)).scalars().all()
        raise UnknownStudyError(
            f"There is no label study {quoted(name)}. "
            + (f"Known: {', '.join(known)}." if known else "None was opened yet: `canvas arena labels open FILE.toml`.")
        )
    return _record(row)


def is_label_study(connection: Connection, name: str) -> bool:
    """Whether this is the name of a label study."""
    return connection.execute(select(STUDIES.c.id).where(_OF_LABELS, STUDIES.c.name == name)).first() is not None


def is_open(connection: Connection, study_id: int) -> bool:
    """Whether the study takes labels."""
    return connection.execute(select(STUDIES.c.closed_at).where(STUDIES.c.id == study_id)).scalar_one() is None


def check_label_study(connection: Connection, study: LabelStudy) -> None:
    """Whether the ledger has all that the declaration names, in one shape; every refusal has its place.

    Raises UnknownEntrantError, MissingImagesError and ShapesDifferError.
    """
    for name in study.entrants:
        _check_entrant(connection, name, "entrants")
    wanted = len(study.prompts) * len(study.seeds)
    for name in study.entrants:
        missing = missing_images(connection, name, study.prompts, study.seeds)
        if missing:
            raise MissingImagesError(
                f"'{study.name}' cannot open: '{name}' lacks {len(missing):,} of {wanted:,} images (first: "
                f"{quoted(missing[0].prompt.text)}, seed {missing[0].seed}), and what is drawn from those there is no "
                f"random sample. Paint them: {_command(connection, name, study)}"
            ).at("entrants")
    first = gallery(connection, study.entrants[0], study.prompts, study.seeds)[0]
    for name in study.entrants:
        for image in gallery(connection, name, study.prompts, study.seeds):
            _check_shape(study, first, image, "entrants")
    for number, gold in enumerate(study.gold):
        for name in gold.item.entrants:
            _check_entrant(connection, name, "gold", number)
        for image in _gold_images(connection, study, number):
            _check_shape(study, first, image, "gold", number)


def material(connection: Connection, name: str) -> LabelMaterial:
    """All that does not change while raters label. Raises UnknownStudyError."""
    record = find_label_study(connection, name)
    study = record.study
    images = {
        (image.prompt_id, image.seed, entrant): image
        for entrant in study.entrants
        for image in gallery(connection, entrant, study.prompts, study.seeds)
    }
    drawn = tuple(
        tuple(images[item.prompt_id, item.seed, entrant] for entrant in item.entrants) for item in study.items
    )
    gold = tuple(_gold_images(connection, study, number) for number in range(len(study.gold)))
    return LabelMaterial(record=record, drawn=drawn, gold=gold)


# Showings


def hand_out_showings(batch: Batch, showings: list[NewShowing]) -> list[int]:
    """Hand these out to one rater. Raises StudyClosedError, StaleShowingError."""
    if batch.lock_study(showings[0].study_id).closed_at is not None:
        raise StudyClosedError(_CLOSED)
    return [_insert_showing(batch, showing, None) for showing in showings]


def handed_showings(connection: Connection, study_id: int, rater: int) -> list[HandedShowing]:
    """All that this rater was shown in the study, in order."""
    mine = _SHOWINGS.where(LABEL_SHOWINGS.c.study_id == study_id, LABEL_SHOWINGS.c.rater == rater)
    return _showings(connection, mine)


def showing_of_token(connection: Connection, token: str) -> HandedShowing | None:
    """The showing with this token."""
    found = _showings(connection, _SHOWINGS.where(LABEL_SHOWINGS.c.token == token))
    return found[0] if found else None


def taken_places(connection: Connection, study_id: int, since: datetime) -> dict[int, int]:
    """How many labels each item has or awaits: those that stand, and showings that were handed out after `since`.

    Items that nobody was shown are not in it. Raters who withdrew do not count.
    """
    stands = (
        select(literal(1))
        .where(LABELS.c.showing_id == LABEL_SHOWINGS.c.id, LABELS.c.round == _UNDONE + 1)
        .correlate(LABEL_SHOWINGS)
        .exists()
    )
    aside = select(literal(1)).where(LABEL_REPORTS.c.showing_id == LABEL_SHOWINGS.c.id).exists()
    wanted = (
        select(LABEL_SHOWINGS.c.place, func.count().label("times"))
        .outerjoin(WITHDRAWALS, _WITHDREW)
        .where(
            LABEL_SHOWINGS.c.study_id == study_id,
            LABEL_SHOWINGS.c.kind == "study",
            WITHDRAWALS.c.rater.is_(None),
            ~aside,
            stands | (LABEL_SHOWINGS.c.handed_at > since),
        )
        .group_by(LABEL_SHOWINGS.c.place)
    )
    return {row.place: row.times for row in connection.execute(wanted)}


# Labels


def cast_label(batch: Batch, label: NewLabel, following: NewShowing | None) -> CastLabel:
    """Cast a label and hand out what follows, or give a repeated request its first answer.

    Raises AlreadyVotedError, KeyReusedError, RoundError, StudyClosedError and StaleShowingError; then nothing is kept.
    """
    showing = label.showing
    # Locked before the first insert: on PostgreSQL two replicas then queue up instead of deadlocking.
    study = batch.lock_study(showing.study_id)
    label_id: int | None = batch.insert_unless_there(
        LABELS,
        {
            "showing_id": showing.id,
            "round": label.round,
            "key": label.key,
            "answer": label.answer,
            "target": label.target,
            "closeness": label.closeness,
            "latency_ms": label.latency_ms,
            "session": label.session,
            "done": label.done,
            "labelled_at": label.at,
        },
    )
    if label_id is None:
        return _first_answer(batch.connection, label)
    if study.closed_at is not None:
        raise StudyClosedError(_CLOSED)
    connection = batch.connection
    if label.round > 1 and _row_of_round(connection, LABEL_UNDOS, showing.id, label.round - 1) is None:
        raise RoundError(f"Round {label.round} of this image is not open. Load the page anew.")
    if _row_of_round(connection, LABEL_REPORTS, showing.id, label.round) is not None:
        raise RoundError("You put this image aside. Load the page anew.")
    if label.which:
        words = {"label_id": label_id, "text": label.which, "digest": sha256_hex(label.which)}
        connection.execute(insert(LABEL_WORDS).values(words))
    next_id = None if following is None else _insert_showing(batch, following, label_id)
    declaration = connection.execute(select(STUDIES.c.hash).where(STUDIES.c.id == showing.study_id)).scalar_one()
    batch.append(showing.study_id, LABEL, label_content(label_id, label, declaration))
    return CastLabel(id=label_id, done=label.done, following=next_id, replayed=False)


def undo_label(batch: Batch, undo: LabelChange) -> int:
    """Take back the showing's label of this round, and answer `done`; a repeated request gets its first answer.

    Raises RoundError when there is no such label or it was taken back before, KeyReusedError, StudyClosedError.
    """
    study = batch.lock_study(undo.showing.study_id)
    row = {
        "showing_id": undo.showing.id,
        "round": undo.round,
        "key": undo.key,
        "done": undo.done,
        "undone_at": undo.at,
    }
    if batch.insert_unless_there(LABEL_UNDOS, row) is None:
        there = batch.connection.execute(select(LABEL_UNDOS).where(LABEL_UNDOS.c.key == undo.key)).one_or_none()
        if there is None:
            raise RoundError("This label was already taken back. Load the page anew.")
        _refuse_another(there, undo.showing.id, undo.round)
        return int(there.done)
    if study.closed_at is not None:
        raise StudyClosedError("The study is closed: its labels stand as they are.")
    label_id = _row_of_round(batch.connection, LABELS, undo.showing.id, undo.round)
    if label_id is None:
        raise RoundError("There is no label on this image to take back. Load the page anew.")
    batch.append(undo.showing.study_id, LABEL_UNDO, label_undo_content(label_id, undo))
    return undo.done


def report_showing(batch: Batch, report: LabelChange, following: NewShowing | None) -> CastLabel:
    """Put a showing aside and hand out what follows, or give a repeated request its first answer.

    Raises RoundError for one that was labelled or reported in this round, KeyReusedError, StudyClosedError and
    StaleShowingError.
    """
    study = batch.lock_study(report.showing.study_id)
    row = {
        "showing_id": report.showing.id,
        "round": report.round,
        "key": report.key,
        "kind": report.why,
        "done": report.done,
        "reported_at": report.at,
    }
    report_id: int | None = batch.insert_unless_there(LABEL_REPORTS, row)
    if report_id is None:
        there = batch.connection.execute(select(LABEL_REPORTS).where(LABEL_REPORTS.c.key == report.key)).one_or_none()
        if there is None:
            raise RoundError("You put this image aside before. Load the page anew.")
        _refuse_another(there, report.showing.id, report.round)
        handed = _handed_after(batch.connection, report.showing, -there.id)
        return CastLabel(id=there.id, done=there.done, following=handed, replayed=True)
    if study.closed_at is not None:
        raise StudyClosedError(_CLOSED)
    if _row_of_round(batch.connection, LABELS, report.showing.id, report.round) is not None:
        raise RoundError("This image has its label already. Take the label back to report the image.")
    # A showing remembers what handed it out; a report's number is kept apart from labels' by its sign.
    next_id = None if following is None else _insert_showing(batch, following, -report_id)
    batch.append(report.showing.study_id, LABEL_REPORT, label_report_content(report_id, report))
    return CastLabel(id=report_id, done=report.done, following=next_id, replayed=False)


def withdraw_labels(batch: Batch, study_id: int, rater: int, now: datetime) -> None:
    """Take the rater out of every export of the study, and delete what they typed and what identifies them."""
    voting.withdraw(batch, study_id, rater, now)
    theirs = (
        select(LABELS.c.id)
        .join(LABEL_SHOWINGS, LABEL_SHOWINGS.c.id == LABELS.c.showing_id)
        .where(LABEL_SHOWINGS.c.study_id == study_id, LABEL_SHOWINGS.c.rater == rater)
    )
    batch.connection.execute(delete(LABEL_WORDS).where(LABEL_WORDS.c.label_id.in_(theirs)))


# Readings


def labels(connection: Connection, study_id: int) -> list[LabelRecord]:
    """The effective labels, of every kind of showing, not undone and of nobody who withdrew, by label id."""
    wanted = (
        select(
            LABELS,
            LABEL_SHOWINGS.c.rater,
            LABEL_SHOWINGS.c.kind,
            LABEL_SHOWINGS.c.repeats,
            *_IMAGE_COLUMNS,
            LABEL_WORDS.c.text,
            LABEL_WORDS.c.digest,
        )
        .select_from(LABELS)
        .join(LABEL_SHOWINGS, LABEL_SHOWINGS.c.id == LABELS.c.showing_id)
        .join(_LEFT, _LEFT.c.id == LABEL_SHOWINGS.c.image)
        .join(_LEFT_NAMES, _LEFT_NAMES.c.id == _LEFT.c.entrant_id)
        .outerjoin(_RIGHT, _RIGHT.c.id == LABEL_SHOWINGS.c.other_image)
        .outerjoin(_RIGHT_NAMES, _RIGHT_NAMES.c.id == _RIGHT.c.entrant_id)
        .outerjoin(LABEL_WORDS, LABEL_WORDS.c.label_id == LABELS.c.id)
        .outerjoin(
            LABEL_UNDOS,
            and_(LABEL_UNDOS.c.showing_id == LABELS.c.showing_id, LABEL_UNDOS.c.round == LABELS.c.round),
        )
        .outerjoin(WITHDRAWALS, _WITHDREW)
        .where(LABEL_SHOWINGS.c.study_id == study_id, LABEL_UNDOS.c.id.is_(None), WITHDRAWALS.c.rater.is_(None))
        .order_by(LABELS.c.id)
    )
    return [
        LabelRecord(
            label_id=row.id,
            ts=row.labelled_at,
            rater=row.rater,
            showing=row.showing_id,
            kind=row.kind,
            repeats=row.repeats,
            prompt_id=row.prompt_id,
            seed=row.seed,
            entrants=_sides(row.left_name, row.right_name),
            images=_sides(row.left_hash, row.right_hash),
            answer=row.answer,
            target=row.target,
            closeness=row.closeness,
            latency_ms=row.latency_ms,
            session=row.session,
            digest=row.digest,
            which=row.text or "",
        )
        for row in connection.execute(wanted)
    ]


def label_reports(connection: Connection, study_id: int) -> list[LabelReport]:
    """What raters put aside, by number."""
    wanted = (
        select(LABEL_REPORTS, LABEL_SHOWINGS.c.rater)
        .join(LABEL_SHOWINGS, LABEL_SHOWINGS.c.id == LABEL_REPORTS.c.showing_id)
        .where(LABEL_SHOWINGS.c.study_id == study_id)
        .order_by(LABEL_REPORTS.c.id)
    )
    return [
        LabelReport(report_id=row.id, at=row.reported_at, rater=row.rater, showing=row.showing_id, why=row.kind)
        for row in connection.execute(wanted)
    ]


def verified_labels(connection: Connection, record: LabelStudyRecord, noted: Head | None) -> Head:
    """Check the chain, and that the rows are what its events say; the head. Raises BrokenChainError."""
    found = list(events(connection, record.id))
    end = verify(found, head=head(connection, record.id), noted=noted)
    check_label_declaration(found, record)
    check_withdrawals(found, withdrawn_raters(connection, record.id))
    check_labels(found, labels(connection, record.id))
    check_label_reports(found, label_reports(connection, record.id))
    return end


_LEFT, _RIGHT = GENERATED_IMAGES.alias("left_images"), GENERATED_IMAGES.alias("right_images")
_LEFT_NAMES, _RIGHT_NAMES = ENTRANTS.alias("left_entrants"), ENTRANTS.alias("right_entrants")
_IMAGE_COLUMNS = (
    _LEFT.c.prompt_id,
    _LEFT.c.seed,
    _LEFT.c.image_hash.label("left_hash"),
    _LEFT.c.width.label("left_width"),
    _LEFT.c.height.label("left_height"),
    _RIGHT.c.image_hash.label("right_hash"),
    _RIGHT.c.width.label("right_width"),
    _RIGHT.c.height.label("right_height"),
    _LEFT_NAMES.c.name.label("left_name"),
    _RIGHT_NAMES.c.name.label("right_name"),
)
_WITHDREW = and_(WITHDRAWALS.c.study_id == LABEL_SHOWINGS.c.study_id, WITHDRAWALS.c.rater == LABEL_SHOWINGS.c.rater)
_UNDONE = (
    select(func.count())
    .where(LABEL_UNDOS.c.showing_id == LABEL_SHOWINGS.c.id)
    .correlate(LABEL_SHOWINGS)
    .scalar_subquery()
)
_SHOWINGS = (
    select(
        LABEL_SHOWINGS,
        *_IMAGE_COLUMNS,
        select(func.count()).where(LABELS.c.showing_id == LABEL_SHOWINGS.c.id).scalar_subquery().label("labelled"),
        _UNDONE.label("undone"),
        select(func.count())
        .where(LABEL_REPORTS.c.showing_id == LABEL_SHOWINGS.c.id)
        .scalar_subquery()
        .label("times_reported"),
    )
    .join(_LEFT, _LEFT.c.id == LABEL_SHOWINGS.c.image)
    .join(_LEFT_NAMES, _LEFT_NAMES.c.id == _LEFT.c.entrant_id)
    .outerjoin(_RIGHT, _RIGHT.c.id == LABEL_SHOWINGS.c.other_image)
    .outerjoin(_RIGHT_NAMES, _RIGHT_NAMES.c.id == _RIGHT.c.entrant_id)
    .order_by(LABEL_SHOWINGS.c.id)
)


def _showings(connection: Connection, wanted: Select[Any]) -> list[HandedShowing]:
    return [
        HandedShowing(
            id=row.id,
            token=row.token,
            study_id=row.study_id,
            rater=row.rater,
            kind=row.kind,
            place=row.place,
            item=Item(row.prompt_id, row.seed, _sides(row.left_name, row.right_name)),
            hashes=_sides(row.left_hash, row.right_hash),
            sizes=((row.left_width, row.left_height),)
            if row.right_hash is None
            else ((row.left_width, row.left_height), (row.right_width, row.right_height)),
            repeats=row.repeats,
            labels=row.labelled,
            undos=row.undone,
            reported=row.times_reported > 0,
        )
        for row in connection.execute(wanted)
    ]


def _sides(left: str, right: str | None) -> tuple[str, ...]:
    return (left,) if right is None else (left, right)


def _insert_showing(batch: Batch, showing: NewShowing, after: int | None) -> int:
    row = {
        "token": showing.token,
        "study_id": showing.study_id,
        "rater": showing.rater,
        "kind": showing.kind,
        "place": showing.place,
        "image": showing.images[0].id,
        "other_image": showing.images[1].id if len(showing.images) > 1 else None,
        "repeats": showing.repeats,
        "propensity": showing.propensity,
        "after_label_id": after,
        "handed_at": showing.handed_at,
    }
    id: int | None = batch.insert_unless_there(LABEL_SHOWINGS, row)
    if id is None:
        raise StaleShowingError
    return id


def _first_answer(connection: Connection, label: NewLabel) -> CastLabel:
    """What the same request was answered before; or the reason why this one is refused."""
    there = connection.execute(select(LABELS).where(LABELS.c.key == label.key)).one_or_none()
    if there is None:
        raise AlreadyVotedError("This image already has its label; the first one stands.")
    _refuse_another(there, label.showing.id, label.round)
    digest = connection.execute(select(LABEL_WORDS.c.digest).where(LABEL_WORDS.c.label_id == there.id)).scalar()
    same = (there.answer, there.closeness, digest)
    if same != (label.answer, label.closeness, sha256_hex(label.which) if label.which else None):
        raise KeyReusedError("This request's key was used for another label; the first one stands. Load the page anew.")
    handed = _handed_after(connection, label.showing, there.id)
    return CastLabel(id=there.id, done=there.done, following=handed, replayed=True)


def _refuse_another(there: Row[Any], showing: int, round: int) -> None:
    if (there.showing_id, there.round) != (showing, round):
        raise KeyReusedError("This request's key was used for another image. Load the page anew.")


def _handed_after(connection: Connection, showing: HandedShowing, after: int) -> int | None:
    handed = select(LABEL_SHOWINGS.c.id).where(
        LABEL_SHOWINGS.c.study_id == showing.study_id,
        LABEL_SHOWINGS.c.rater == showing.rater,
        LABEL_SHOWINGS.c.after_label_id == after,
    )
    return connection.execute(handed).scalar()


def _row_of_round(connection: Connection, table: Any, showing: int, round: int) -> int | None:
    found = select(table.c.id).where(table.c.showing_id == showing, table.c.round == round)
    return connection.execute(found).scalar()


def _opened_before(there: Row[Any], study: LabelStudy) -> LabelStudyRecord:
    if there.kind != "labels":
        raise StudyChangedError(f"'{study.name}' is the name of a study of pairs. Give the label study another one.")
    record = _record(there)
    if record.hash != study.hash:
        before, after = record.study.to_dict(), study.to_dict()
        changed = ", ".join(key for key in after if before.get(key) != after[key])
        raise StudyChangedError(
            f"'{study.name}' was opened with another declaration, and stays as it was; it differs in {changed}. Open "
            "the changed one under another name."
        )
    if not record.is_open:
        raise StudyClosedError(f"'{study.name}' was closed. Open it under another name to go on.")
    return record


def _record(row: Row[Any]) -> LabelStudyRecord:
    return LabelStudyRecord(
        id=row.id,
        name=row.name,
        hash=row.hash,
        study=LabelStudy.from_dict(json.loads(row.declaration)),
        opened_at=row.opened_at,
        closed_at=row.closed_at,
    )


def _check_entrant(connection: Connection, name: str, *place: str | int) -> None:
    try:
        entrant(connection, name)
    except UnknownEntrantError as error:
        raise error.at(*place) from None


def _gold_images(connection: Connection, study: LabelStudy, number: int) -> tuple[GeneratedImage, ...]:
    gold = study.gold[number]
    asked = PromptSet(
        name="a known answer",
        prompts=(Prompt(text=gold.prompt),),
        licence="as painted",
        source="the study's declaration",
    )
    found = []
    for name in gold.item.entrants:
        images = gallery(connection, name, asked, (gold.seed,))
        if not images:
            raise MissingImagesError(
                f"'{study.name}' cannot open: '{name}' painted no image for {quoted(gold.prompt)} with seed "
                f"{gold.seed}. Paint it, or take the gold image out."
            ).at("gold", number)
        found += images
    return tuple(found)


def _check_shape(study: LabelStudy, ours: GeneratedImage, theirs: GeneratedImage, *place: str | int) -> None:
    ratio = (ours.width * theirs.height) / (ours.height * theirs.width)
    if abs(ratio - 1) > _ASPECT_TOLERANCE:
        raise ShapesDifferError(
            f"'{study.name}' would not be blind: '{theirs.entrant}' painted {theirs.width} x {theirs.height} pixels, "
            f"and '{ours.entrant}' {ours.width} x {ours.height}. Paint all in one shape (the size may differ: all are "
            "shown at the smallest)."
        ).at(*place)


def _command(connection: Connection, name: str, study: LabelStudy) -> str:
    source = entrant(connection, name).source
    called = f" --name {quote(name)}" if source else ""
    seeds = ",".join(map(str, study.seeds))
    return (
        f"`canvas evaluate generate --entrant {quote(source or name)}{called} {as_options(study.prompts.name)} "
        f"--seeds {seeds}`"
    )
