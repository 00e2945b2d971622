"""The values that go into the ledger and come out of it. Pure."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from arena.study import Study
from prompts.errors import CanvasError
from prompts.prompt import Prompt


class EntrantNameError(CanvasError):
    """A name that cannot be shown and typed: blank, too long, or with control characters."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entrant:
    """A model, or a folder of images, that takes part. `source` is a folder, a hub id, or "" for one without files.

    `sampler` is a line of evaluation's SAMPLERS ("diffusers", "image_folder", "swatch"). `details` is what its
    entrant.json says (parameters, recipe, licence split ...); JSON values only.
    """

    name: str
    source: str
    sampler: str
    details: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if (
            not self.name.strip()
            or self.name != self.name.strip()
            or len(self.name) > 80
            or not self.name.isprintable()
        ):
            raise EntrantNameError(
                f"An entrant cannot be named {self.name!r}: use 1 to 80 printable characters, no blanks at the ends."
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """An image that a gallery lacks."""

    prompt: Prompt
    seed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class GeneratedImage:
    """One image of a gallery: what `entrant` painted for the prompt with the seed. `id` is its row in the ledger."""

    id: int
    entrant: str
    prompt_id: str
    seed: int
    image_hash: str
    width: int
    height: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """An automatic measure of a gallery, with its interval [low, high]; `n` images went into it."""

    entrant: str
    prompt_set_id: str
    metric: str
    value: float
    low: float
    high: float
    n: int
    details: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyRecord:
    """An opened study: `hash` is its declaration's; `closed_at` is None while it takes votes.

    `newly_opened` is False when `open_study` met the same declaration already open and did nothing.
    """

    id: int
    name: str
    version: int
    hash: str
    study: Study
    opened_at: datetime
    closed_at: datetime | None
    newly_opened: bool = False

    @property
    def is_open(self) -> bool:
        """Whether raters can vote in it."""
        return self.closed_at is None


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One link of a study's chain: `hash` = SHA-256 of `previous` followed by `body`, which is canonical JSON."""

    seq: int
    kind: str
    body: str
    previous: str
    hash: str
