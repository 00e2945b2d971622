"""Prompts and the images painted for them, in SQL. Every function takes a connection and does one thing."""

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime
from pathlib import PurePath
from typing import Any

from sqlalchemy import Connection, Row, Select, insert, or_, select

from arena.images import StoredImage
from arena.ledger.entrants import entrant_id
from arena.ledger.errors import (
    GalleryConflictError,
    PromptSetConflictError,
    UnknownGeneratedImageError,
    UnknownPromptError,
    UnknownPromptSetError,
)
from arena.ledger.records import GeneratedImage, Wanted
from arena.ledger.statements import insert_unless_there, insert_unless_there_returning_key
from arena.ledger.tables import ENTRANTS, GENERATED_IMAGES, PROMPT_SET_MEMBERS, PROMPT_SETS, PROMPTS
from prompts.errors import quoted
from prompts.library import as_options
from prompts.prompt import Prompt, PromptSet


def keep_prompts(connection: Connection, prompts: PromptSet) -> None:
    """Keep a prompt set; the same one again changes nothing.

    Raises PromptSetConflictError when its name and prompts are known with other labels.
    """
    for known in _prompt_sets(connection, select(PROMPT_SETS).where(PROMPT_SETS.c.set_id == prompts.id)):
        if known == prompts:
            return
        if known.name == prompts.name:
            raise PromptSetConflictError(
                f"The prompt set '{prompts.name}' is already kept with other categories, challenges, notes, licence or "
                "source. Give the new one another name."
            )
    connection.execute(
        insert_unless_there(connection, PROMPTS), [{"id": prompt.id, "text": prompt.text} for prompt in prompts]
    )
    row = insert(PROMPT_SETS).values(
        name=prompts.name, set_id=prompts.id, licence=prompts.licence, source=prompts.source
    )
    kept = connection.execute(row.returning(PROMPT_SETS.c.id)).scalar_one()
    connection.execute(
        insert(PROMPT_SET_MEMBERS),
        [
            {
                "prompt_set": kept,
                "position": position,
                "prompt_id": prompt.id,
                "category": prompt.category,
                "challenge": prompt.challenge,
                "note": prompt.note,
            }
            for position, prompt in enumerate(prompts)
        ],
    )


def prompt_sets(connection: Connection) -> list[PromptSet]:
    """All of them, in the order in which they came."""
    return _prompt_sets(connection, select(PROMPT_SETS))


def prompt_set(connection: Connection, name_or_id: str) -> PromptSet:
    """The prompt set of this name or id.

    Raises UnknownPromptSetError for an unknown one, and for a name that stands for several sets.
    """
    named = or_(PROMPT_SETS.c.name == name_or_id, PROMPT_SETS.c.set_id == name_or_id)
    found = _prompt_sets(connection, select(PROMPT_SETS).where(named))
    different = {prompts.id: prompts for prompts in found}
    if not different:
        known = connection.execute(select(PROMPT_SETS.c.name).order_by(PROMPT_SETS.c.id)).scalars().all()
        # A set of one's own file has the file's name, wherever it lies.
        file = PurePath(name_or_id).name
        remedy = (
            f"Say {quoted(file)}, as it is kept."
            if file in known
            else f"Paint it first: `canvas evaluate generate --entrant ... {as_options(name_or_id)}`."
        )
        raise UnknownPromptSetError(
            f"The ledger knows no prompt set {quoted(name_or_id)}. "
            + (f"Known: {', '.join(known)}. " if known else "It knows none yet. ")
            + remedy
        )
    if len(different) > 1:
        raise UnknownPromptSetError(
            f"The name '{name_or_id}' stands for {len(different)} prompt sets. Say which by its id: "
            f"{', '.join(different)}."
        )
    return found[0]


def prompt_sets_with(connection: Connection, prompt: Prompt) -> list[PromptSet]:
    """Those that ask this prompt, in the order in which they came."""
    asking = select(PROMPT_SET_MEMBERS.c.prompt_set).where(PROMPT_SET_MEMBERS.c.prompt_id == prompt.id)
    return _prompt_sets(connection, select(PROMPT_SETS).where(PROMPT_SETS.c.id.in_(asking)))


def missing_images(connection: Connection, name: str, prompts: PromptSet, seeds: Sequence[int]) -> list[Wanted]:
    """What the gallery lacks, prompt by prompt and seed by seed. Raises UnknownEntrantError."""
    there = {(image.prompt_id, image.seed) for image in _images(connection, name, seeds)}
    return [Wanted(prompt=prompt, seed=seed) for prompt in prompts for seed in seeds if (prompt.id, seed) not in there]


def gallery(connection: Connection, name: str, prompts: PromptSet, seeds: Sequence[int]) -> list[GeneratedImage]:
    """What the gallery has, in the order of the prompts and the seeds. Raises UnknownEntrantError."""
    there = {(image.prompt_id, image.seed): image for image in _images(connection, name, seeds)}
    return [there[prompt.id, seed] for prompt in prompts for seed in seeds if (prompt.id, seed) in there]


def keep_image(
    connection: Connection, name: str, prompt_id: str, seed: int, stored: StoredImage, *, seconds: float, now: datetime
) -> None:
    """Put an image into a gallery; the same one again changes nothing.

    Raises UnknownEntrantError, UnknownPromptError, and GalleryConflictError when another image stands there already.
    """
    if connection.execute(select(PROMPTS.c.id).where(PROMPTS.c.id == prompt_id)).first() is None:
        raise UnknownPromptError(
            f"The ledger knows no prompt {prompt_id}. Keep its prompt set before the images painted for it."
        )
    row = {
        "entrant_id": entrant_id(connection, name),
        "prompt_id": prompt_id,
        "seed": seed,
        "image_hash": stored.hash,
        "width": stored.width,
        "height": stored.height,
        "seconds": seconds,
        "made_at": now,
    }
    if connection.execute(insert_unless_there_returning_key(connection, GENERATED_IMAGES), row).scalar() is not None:
        return
    there = next(image for image in _images(connection, name, [seed]) if image.prompt_id == prompt_id)
    if there.image_hash != stored.hash:
        raise GalleryConflictError(
            f"'{name}' already has another image for the prompt {prompt_id} with seed {seed}. Images of a gallery are "
            "never replaced, because votes may rest on them: enter what paints differently under another --name."
        )


def generated_image(connection: Connection, id: int) -> GeneratedImage:
    """The generated image of this row. Raises UnknownGeneratedImageError."""
    row = connection.execute(_IMAGES.where(GENERATED_IMAGES.c.id == id)).one_or_none()
    if row is None:
        raise UnknownGeneratedImageError(f"There is no generated image {id}. Look for it in the gallery.")
    return _image(row)


_IMAGES = select(GENERATED_IMAGES, ENTRANTS.c.name).join(ENTRANTS, ENTRANTS.c.id == GENERATED_IMAGES.c.entrant_id)


def _images(connection: Connection, name: str, seeds: Sequence[int]) -> list[GeneratedImage]:
    wanted = _IMAGES.where(
        GENERATED_IMAGES.c.entrant_id == entrant_id(connection, name), GENERATED_IMAGES.c.seed.in_(seeds)
    )
    return [_image(row) for row in connection.execute(wanted)]


def _image(row: Row[Any]) -> GeneratedImage:
    return GeneratedImage(
        id=row.id,
        entrant=row.name,
        prompt_id=row.prompt_id,
        seed=row.seed,
        image_hash=row.image_hash,
        width=row.width,
        height=row.height,
    )


def _prompt_sets(connection: Connection, wanted: Select[Any]) -> list[PromptSet]:
    rows = connection.execute(wanted.order_by(PROMPT_SETS.c.id)).all()
    members: dict[int, list[Prompt]] = defaultdict(list)
    asked = (
        select(PROMPT_SET_MEMBERS, PROMPTS.c.text)
        .join(PROMPTS, PROMPTS.c.id == PROMPT_SET_MEMBERS.c.prompt_id)
        .where(PROMPT_SET_MEMBERS.c.prompt_set.in_([row.id for row in rows]))
        .order_by(PROMPT_SET_MEMBERS.c.prompt_set, PROMPT_SET_MEMBERS.c.position)
    )
    for row in connection.execute(asked):
        members[row.prompt_set].append(
            Prompt(text=row.text, category=row.category, challenge=row.challenge, note=row.note)
        )
    return [
        PromptSet(name=row.name, prompts=tuple(members[row.id]), licence=row.licence, source=row.source) for row in rows
    ]
