"""Opening, finding and closing studies in SQL, and reading their chains."""

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from shlex import quote
from typing import Any

from sqlalchemy import Connection, Row, insert, select, update

from arena.canonical import canonical_json
from arena.ledger.chain import START, Head
from arena.ledger.entrants import entrant
from arena.ledger.errors import (
    MissingImagesError,
    ShapesDifferError,
    StudyChangedError,
    UnknownEntrantError,
    UnknownPromptError,
    UnknownPromptSetError,
    UnknownStudyError,
)
from arena.ledger.events import CLOSED, OPENED, closed_content, opened_content
from arena.ledger.galleries import gallery, missing_images, prompt_sets_with
from arena.ledger.records import Event, GeneratedImage, StudyRecord
from arena.ledger.tables import EVENTS, PROMPT_SETS, STUDIES
from arena.ledger.writer import Batch
from arena.study import Study
from arena.study_changes import refusal
from arena.study_parts import KnownPair
from prompts.errors import quoted
from prompts.library import as_options
from prompts.prompt import Prompt, PromptSet
from prompts.toml_places import Place

#: "shapes" is the newest version of a study, "shapes@1" its first.
_VERSIONED = re.compile(r"(?P<name>.+)@(?P<version>[1-9][0-9]{0,8})")

#: How much the proportions of two images of a pair may differ (a pixel of rounding) before they tell who painted them.
_ASPECT_TOLERANCE = 0.01

#: Label studies share the table and its chains, and nothing else (`arena.ledger.labels`).
_OF_PAIRS = STUDIES.c.kind == "pairs"


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyPlace:
    """The row of a study's version, and whether it takes votes."""

    id: int
    is_open: bool


def open_study(batch: Batch, study: Study, now: datetime, new_version: bool) -> StudyRecord:
    """Open it for votes. The same declaration, already open, is found and left as it is.

    A changed declaration becomes the next version when `new_version` says so, and the version before is closed.
    Raises StudyChangedError, StudyClosedError, and what `check_study` raises.
    """
    latest = _latest(batch.connection, study.name)
    if latest is not None:
        if latest.hash == study.hash and latest.is_open:
            return latest
        if not new_version:
            raise refusal(latest, study)
    if latest is None:
        _refuse_the_name_of_labels(batch.connection, study.name)
    check_study(batch.connection, study)
    if latest is not None and latest.is_open:
        _close(batch, latest, "a new version was opened", now)
    version = 1 if latest is None else latest.version + 1
    row = {
        "name": study.name,
        "version": version,
        "hash": study.hash,
        "declaration": canonical_json(study.to_dict()),
        "opened_at": now,
        "head_seq": START.seq,
        "head_hash": START.hash,
    }
    id = batch.connection.execute(insert(STUDIES).values(row).returning(STUDIES.c.id)).scalar_one()
    batch.append(id, OPENED, opened_content(study, version, now))
    return StudyRecord(
        id=id,
        name=study.name,
        version=version,
        hash=study.hash,
        study=study,
        opened_at=now,
        closed_at=None,
        newly_opened=True,
    )


def close_study(batch: Batch, name: str, now: datetime) -> StudyRecord:
    """Take no more votes. Closing a closed study changes nothing. Raises UnknownStudyError."""
    record = find_study(batch.connection, name)
    if record.is_open and batch.lock_study(record.id).closed_at is None:
        _close(batch, record, "closed by the researchers", now)
    return study_by_id(batch.connection, record.id)


def find_study(connection: Connection, name: str) -> StudyRecord:
    """The newest version of `name`, or the one that "name@2" says. Raises UnknownStudyError."""
    versioned = _VERSIONED.fullmatch(name)
    record = (
        _latest(connection, versioned["name"], int(versioned["version"])) if versioned else _latest(connection, name)
    )
    if record is None:
        names = select(STUDIES.c.name).where(_OF_PAIRS).distinct().order_by(STUDIES.c.name)
        known = connection.execute(names).scalars().all()
        raise UnknownStudyError(
            f"There is no study {quoted(name)}. "
            + (f"Known: {', '.join(known)}." if known else "None was opened yet: `canvas arena study open FILE.toml`.")
        )
    return record


def study_by_id(connection: Connection, id: int) -> StudyRecord:
    """The study of this row, which exists."""
    return _record(connection.execute(select(STUDIES).where(STUDIES.c.id == id)).one())


def newest_study(connection: Connection, name: str) -> StudyPlace | None:
    """The newest version of a study; nothing for an unknown name. Quick: the declaration is not read."""
    columns = select(STUDIES.c.id, STUDIES.c.closed_at).where(STUDIES.c.name == name, _OF_PAIRS)
    row = connection.execute(columns.order_by(STUDIES.c.version.desc()).limit(1)).one_or_none()
    return None if row is None else StudyPlace(id=row.id, is_open=row.closed_at is None)


def studies(connection: Connection) -> list[StudyRecord]:
    """Every version of every study, by name and version."""
    wanted = select(STUDIES).where(_OF_PAIRS).order_by(STUDIES.c.name, STUDIES.c.version)
    return [_record(row) for row in connection.execute(wanted)]


def events(connection: Connection, study_id: int) -> Iterator[Event]:
    """The study's chain, from its beginning."""
    wanted = select(EVENTS).where(EVENTS.c.study_id == study_id).order_by(EVENTS.c.seq)
    for row in connection.execute(wanted.execution_options(yield_per=1000)):
        yield Event(seq=row.seq, kind=row.kind, body=row.body, previous=row.previous, hash=row.hash)


def head(connection: Connection, study_id: int) -> Head:
    """The last event's number and hash, as the study's row has them."""
    row = connection.execute(select(STUDIES.c.head_seq, STUDIES.c.head_hash).where(STUDIES.c.id == study_id)).one()
    return Head(seq=row.head_seq, hash=row.head_hash)


def _close(batch: Batch, record: StudyRecord, reason: str, now: datetime) -> None:
    batch.append(record.id, CLOSED, closed_content(reason, now))
    batch.connection.execute(update(STUDIES).where(STUDIES.c.id == record.id).values(closed_at=now))
    batch.mark_closed(record.id, now)


def _refuse_the_name_of_labels(connection: Connection, name: str) -> None:
    if connection.execute(select(STUDIES.c.id).where(STUDIES.c.name == name)).first() is not None:
        raise StudyChangedError(f"'{name}' is the name of a label study. Give this study another one.")


def _latest(connection: Connection, name: str, version: int | None = None) -> StudyRecord | None:
    wanted = select(STUDIES).where(STUDIES.c.name == name, _OF_PAIRS).order_by(STUDIES.c.version.desc()).limit(1)
    if version is not None:
        wanted = wanted.where(STUDIES.c.version == version)
    row = connection.execute(wanted).one_or_none()
    return None if row is None else _record(row)


def _record(row: Row[Any]) -> StudyRecord:
    return StudyRecord(
        id=row.id,
        name=row.name,
        version=row.version,
        hash=row.hash,
        study=Study.from_dict(json.loads(row.declaration)),
        opened_at=row.opened_at,
        closed_at=row.closed_at,
    )


def check_study(connection: Connection, study: Study) -> None:
    """Whether the ledger has all that the declaration names; every refusal has the place in the declaration.

    Raises UnknownEntrantError, UnknownPromptSetError, UnknownPromptError, MissingImagesError and ShapesDifferError.
    """
    for name in study.entrants:
        _check_entrant(connection, name, _place_of(study, name))
    # A sample's prompts are those of a kept set, and their images are asked for below.
    kept = select(PROMPT_SETS.c.id).where(PROMPT_SETS.c.set_id == study.prompts.id)
    if study.sample is None and connection.execute(kept).first() is None:
        raise UnknownPromptSetError(
            f"The ledger does not keep the prompt set '{study.prompts.name}'. Paint its galleries first."
        ).at("prompts")
    _check_galleries(connection, study)
    _check_shapes(connection, study)
    for kind, pairs in (("gold", study.gold), ("practice", study.practice)):
        for number, pair in enumerate(pairs):
            _check_known_pair(connection, study, pair, (kind, number))


def known_images(connection: Connection, study: Study) -> dict[str, list[GeneratedImage]]:
    """The images of the study's gold and practice pairs, under keys that no entrant's name can be.

    The first of each pair is the better one. They were all there when the study opened.
    """
    return {
        f"{kind} {number}": _images_of(connection, pair)
        for kind, pairs in (("gold", study.gold), ("practice", study.practice))
        for number, pair in enumerate(pairs)
    }


def _images_of(connection: Connection, pair: KnownPair) -> list[GeneratedImage]:
    prompts = PromptSet(
        name="a known pair", prompts=(Prompt(text=pair.prompt),), licence="as painted", source="the study's declaration"
    )
    return [image for name in (pair.better, pair.worse) for image in gallery(connection, name, prompts, (pair.seed,))]


def _check_entrant(connection: Connection, name: str, place: Place) -> None:
    try:
        entrant(connection, name)
    except UnknownEntrantError as error:
        raise error.at(*place) from None


def _place_of(study: Study, name: str) -> Place:
    return ("reference",) if name == study.reference else ("candidates",)


def _check_known_pair(connection: Connection, study: Study, pair: KnownPair, place: Place) -> None:
    """Whether both images of a gold or practice pair are there, in one shape."""
    for key, name in (("better", pair.better), ("worse", pair.worse)):
        _check_entrant(connection, name, (*place, key))
    sets = prompt_sets_with(connection, Prompt(text=pair.prompt))
    if not sets:
        raise UnknownPromptError(
            f"The study '{study.name}' cannot open: no prompt set that the ledger keeps asks {quoted(pair.prompt)}. "
            f"Write the prompt word for word as in '{study.prompts.name}', or paint a set that asks it."
        ).at(*place, "prompt")
    images = _images_of(connection, pair)
    painted = {image.entrant for image in images}
    lacking = [name for name in (pair.better, pair.worse) if name not in painted]
    if lacking:
        commands = [_generate_command(connection, name, sets[0], (pair.seed,)) for name in lacking]
        raise MissingImagesError(
            f"The study '{study.name}' cannot open: {' and '.join(map(quoted, lacking))} painted no image "
            f"for {quoted(pair.prompt)} with seed {pair.seed}. Paint it, or take the pair out: {' ; '.join(commands)}"
        ).at(*place)
    _check_shape(study, *images, place=place)


def _check_galleries(connection: Connection, study: Study) -> None:
    wanted = len(study.prompts) * len(study.seeds)
    lacking = {name: missing_images(connection, name, study.prompts, study.seeds) for name in study.entrants}
    lacking = {name: missing for name, missing in lacking.items() if missing}
    if lacking:
        said = [
            f"'{name}' lacks {len(missing)} of {wanted} "
            f"(first: {quoted(missing[0].prompt.text)}, seed {missing[0].seed})"
            for name, missing in lacking.items()
        ]
        commands = [_generate_command(connection, name, study.prompts, study.seeds) for name in lacking]
        raise MissingImagesError(
            f"The study '{study.name}' cannot open, because images are missing: {'; '.join(said)}. Paint them: "
            + " ; ".join(commands)
        ).at(*_place_of(study, next(iter(lacking))))


def _generate_command(connection: Connection, name: str, prompts: PromptSet, seeds: Sequence[int]) -> str:
    source = entrant(connection, name).source
    called = f" --name {quote(name)}" if source else ""
    listed = ",".join(map(str, seeds))
    return (
        f"`canvas evaluate generate --entrant {quote(source or name)}{called} {as_options(prompts)} --seeds {listed}`"
    )


def _check_shapes(connection: Connection, study: Study) -> None:
    references = gallery(connection, study.reference, study.prompts, study.seeds)
    for name in study.candidates:
        for ours, theirs in zip(references, gallery(connection, name, study.prompts, study.seeds), strict=True):
            _check_shape(study, ours, theirs, place=("candidates",))


def _check_shape(study: Study, ours: GeneratedImage, theirs: GeneratedImage, *, place: Place) -> None:
    ratio = (ours.width * theirs.height) / (ours.height * theirs.width)
    if abs(ratio - 1) > _ASPECT_TOLERANCE:
        raise ShapesDifferError(
            f"The study '{study.name}' would not be blind: '{theirs.entrant}' paints {theirs.width} x {theirs.height} "
            f"pixels where '{ours.entrant}' paints {ours.width} x {ours.height}. Paint both in one shape "
            "(the size may differ: the larger image is scaled down)."
        ).at(*place)
