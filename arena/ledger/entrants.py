"""Entrants and their scores in SQL. Every function takes a connection and does one thing."""

from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, exists, func, insert, select, update

from arena.canonical import canonical_json
from arena.ledger.errors import EntrantConflictError, UnknownEntrantError
from arena.ledger.records import Entrant, Score
from arena.ledger.tables import ENTRANTS, GENERATED_IMAGES, SCORES
from prompts.errors import quoted


def enter(connection: Connection, entrant: Entrant, now: datetime) -> None:
    """Enter it; the same entrant again changes nothing, and one without images yet may be entered anew.

    A model trained here whose folder has moved is the same one (its entrant.json holds the hash of its run): its source
    is put right.
    Raises EntrantConflictError when the name stands for another entrant that has images.
    """
    canonical_json(entrant.details)
    known = connection.execute(select(ENTRANTS).where(ENTRANTS.c.name == entrant.name)).one_or_none()
    values: dict[str, Any] = {"source": entrant.source, "sampler": entrant.sampler, "details": entrant.details}
    if known is None:
        connection.execute(insert(ENTRANTS).values(name=entrant.name, entered_at=now, **values))
        return
    if _entrant(known) == entrant:
        return
    if _has_moved(_entrant(known), entrant):
        connection.execute(update(ENTRANTS).where(ENTRANTS.c.id == known.id).values(source=entrant.source))
        return
    if connection.execute(select(exists().where(GENERATED_IMAGES.c.entrant_id == known.id))).scalar():
        raise EntrantConflictError(
            f"'{entrant.name}' is already entered with images, from '{known.source}' by the sampler '{known.sampler}', "
            "and differs from what is given now. Enter the new one under another --name."
        )
    connection.execute(update(ENTRANTS).where(ENTRANTS.c.id == known.id).values(**values))


def _has_moved(known: Entrant, entrant: Entrant) -> bool:
    """Whether the same run stands behind both, and all else that is said of it is the same; only the source differs."""
    said = {key: known.details.get(key) for key in entrant.details}
    return (
        "run" in entrant.details
        and known.sampler == entrant.sampler
        and canonical_json(said) == canonical_json(entrant.details)
    )


def entrants(connection: Connection) -> list[Entrant]:
    """All of them, in the order of their names."""
    return [_entrant(row) for row in connection.execute(select(ENTRANTS).order_by(ENTRANTS.c.name))]


def entrant(connection: Connection, name: str) -> Entrant:
    """The entrant of this name. Raises UnknownEntrantError."""
    return _entrant(_row(connection, name))


def entrant_id(connection: Connection, name: str) -> int:
    """The row of this name. Raises UnknownEntrantError."""
    return int(_row(connection, name).id)


def keep_score(connection: Connection, score: Score) -> None:
    """Append a measurement. Raises UnknownEntrantError."""
    canonical_json({"values": [score.value, score.low, score.high], "details": score.details})
    connection.execute(
        insert(SCORES).values(
            entrant_id=entrant_id(connection, score.entrant),
            prompt_set_id=score.prompt_set_id,
            metric=score.metric,
            value=score.value,
            low=score.low,
            high=score.high,
            n=score.n,
            details=score.details,
        )
    )


def scores(connection: Connection, name: str | None) -> list[Score]:
    """The newest score of each entrant, prompt set and metric, or those of one entrant."""
    newest = select(func.max(SCORES.c.id)).group_by(SCORES.c.entrant_id, SCORES.c.prompt_set_id, SCORES.c.metric)
    wanted = (
        select(SCORES, ENTRANTS.c.name.label("entrant"))
        .join(ENTRANTS, ENTRANTS.c.id == SCORES.c.entrant_id)
        .where(SCORES.c.id.in_(newest))
        .order_by(ENTRANTS.c.name, SCORES.c.prompt_set_id, SCORES.c.metric)
    )
    if name is not None:
        wanted = wanted.where(SCORES.c.entrant_id == entrant_id(connection, name))
    return [
        Score(
            entrant=row.entrant,
            prompt_set_id=row.prompt_set_id,
            metric=row.metric,
            value=row.value,
            low=row.low,
            high=row.high,
            n=row.n,
            details=row.details,
        )
        for row in connection.execute(wanted)
    ]


def _row(connection: Connection, name: str) -> Row[Any]:
    row = connection.execute(select(ENTRANTS).where(ENTRANTS.c.name == name)).one_or_none()
    if row is None:
        known = connection.execute(select(ENTRANTS.c.name).order_by(ENTRANTS.c.name)).scalars().all()
        raise UnknownEntrantError(
            f"There is no entrant {quoted(name)}. "
            + (f"Known: {', '.join(known)}." if known else "Nobody is entered yet.")
            + " Enter it with `canvas arena enter`."
        )
    return row


def _entrant(row: Row[Any]) -> Entrant:
    return Entrant(name=row.name, source=row.source, sampler=row.sampler, details=row.details)
