"""What several commands of `canvas evaluate` share: options, and the words in them turned into values."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from prompts.console import say
from prompts.errors import CanvasError, quoted

if TYPE_CHECKING:
    from arena.images import ImageStore
    from arena.ledger.ledger import Ledger
    from evaluation.galleries import Gallery
    from evaluation.metrics.base import Weights
    from prompts.prompt import PromptSet


class ListError(CanvasError):
    """An option that takes a list or NAME=VALUE, and was given something else."""


Prompts = Annotated[
    str,
    typer.Option(
        "--prompts",
        metavar="SET_OR_FILE",
        help="A set from `canvas prompts list`, your own file, or a set that the arena keeps, by its name.",
    ),
]
Entrants = Annotated[
    list[str] | None,
    typer.Option("--entrant", metavar="NAME", help="Repeatable; all with a whole gallery where nothing is said."),
]
SampleSeed = Annotated[int, typer.Option("--sample-seed", min=0, help="Which sample: the same seed draws the same.")]
Seeds = Annotated[str, typer.Option("--seeds", metavar="0,1,...", help="One image per prompt and seed.")]
Device = Annotated[str, typer.Option("--device", help="cpu, cuda, cuda:1, ...; auto is a GPU where there is one.")]


@contextmanager
def open_arena(home: Path | None) -> "Iterator[tuple[Ledger, ImageStore]]":
    """The arena's ledger and images."""
    from arena.images import ImageStore
    from arena.ledger.ledger import Ledger
    from arena.settings import read_settings

    settings = read_settings(home=home)
    with Ledger.open(settings.database_url) as ledger:
        yield ledger, ImageStore(settings.images_url)


def known_prompts(
    ledger: "Ledger", name: str, parti_file: Path | None, sample: int | None, sample_seed: int
) -> "PromptSet":
    """The prompt set that is known everywhere by this name, or else the one that the ledger keeps under it."""
    from prompts.files import MissingPromptFileError
    from prompts.library import UnknownPromptSetError, find_prompts

    try:
        return find_prompts(name, parti_file=parti_file, sample=sample, seed=sample_seed)
    except (UnknownPromptSetError, MissingPromptFileError):
        # A set that came from a file is kept whole: it can be measured where the file is gone.
        if name not in {found for kept in ledger.prompt_sets() for found in (kept.name, kept.id)}:
            raise
        kept = ledger.prompt_set(name)
        return kept if sample is None else kept.sample(sample, sample_seed)


def chosen_galleries(
    ledger: "Ledger", entrants: list[str] | None, prompts: "PromptSet", seeds: list[int]
) -> "list[Gallery]":
    """The galleries of these entrants, or of all whose gallery is whole; who is left out is said."""
    from evaluation.galleries import whole_galleries, whole_gallery
    from evaluation.generate import check_seeds
    from evaluation.guidance import VARIANT_OF

    check_seeds(seeds)
    if entrants:
        return [whole_gallery(ledger, name, prompts, seeds) for name in dict.fromkeys(entrants)]
    galleries = whole_galleries(ledger, prompts, seeds)
    entered = {one.name for one in ledger.entrants() if VARIANT_OF not in one.details}
    left_out = entered - {one.entrant for one in galleries}
    if left_out:
        say(f"Left out, because their galleries of '{prompts.name}' lack images: {', '.join(sorted(left_out))}.")
    return galleries


def words(listed: str, *, option: str = "--metrics", example: str = "clip_score,clip_fid") -> list[str]:
    """The words of a list with commas, each once. Raises ListError for none."""
    found = list(dict.fromkeys(word.strip() for word in listed.split(",") if word.strip()))
    if not found:
        raise ListError(f"{option} names nothing: say for example {option} {example}.")
    return found


def numbers(listed: str) -> list[int]:
    """The whole numbers of a list with commas. Raises ListError."""
    try:
        return [int(word) for word in listed.split(",")]
    except ValueError as error:
        raise ListError(
            f"--seeds takes whole numbers with commas between them, as in 0,1, and not '{listed}'."
        ) from error


def named(pairs: list[str] | None, *, option: str, known: set[str]) -> dict[str, str]:
    """NAME=VALUE words as a mapping. Raises ListError for another form, an unknown name, and one that comes twice."""
    found: dict[str, str] = {}
    for pair in pairs or []:
        name, equals, value = pair.partition("=")
        if not equals or not value:
            raise ListError(f"{option} takes NAME=WHERE, as in {option} inception=weights.pth, and not {quoted(pair)}.")
        if name not in known:
            raise ListError(f"{option} {name}=... names nothing known. Known: {', '.join(sorted(known))}.")
        if name in found:
            raise ListError(f"{option} names {name} twice: keep one.")
        found[name] = value
    return found


def weights_of(where: str) -> "Weights":
    """A folder, file, address or hub id, with an optional @REVISION after a hub id."""
    from evaluation.metrics.base import Weights

    source, at, revision = where.rpartition("@")
    if not at or Path(where).expanduser().exists() or "://" in where:
        return Weights(source=where, revision=None)
    return Weights(source=source, revision=revision)


def now() -> datetime:
    """The time of day, in UTC."""
    return datetime.now(UTC)
