"""What a scorer is: an image and its prompt become one number, by a model that learned what people prefer or see."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float32
from PIL import Image

from evaluation.features.base import ExtractorSettings
from prompts.errors import CanvasError


class MismatchedTextsError(CanvasError):
    """Images and texts that are not pairs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScorerSettings(ExtractorSettings):
    """Where a scorer runs, and what it needs besides its own weights."""

    companion: str | None = None
    """The second model it needs, a folder or a hub id: the CLIP that the aesthetic head reads, the tokenizer of
    ImageReward, the processor of PickScore, the sentence encoder of TIFA. None is the one its authors used."""
    questions: str | None = None
    """TIFA's questions, a file or an https address; None is TIFA v1.0 at its published address."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scores:
    """A value per image; how many texts were longer than the model reads and so were cut; and what else was counted."""

    values: Float32[np.ndarray, " images"]
    truncated: int
    findings: dict[str, int] = field(default_factory=dict)
    """Counts by name, which add up over several calls; empty for most scorers."""


@runtime_checkable
class Scorer(Protocol):
    """Opened by a line of SCORERS with a source, a revision and ScorerSettings."""

    @property
    def details(self) -> dict[str, Any]:
        """Model, revision, definition and preprocessing, as JSON values: what a reader needs to get the same values."""

    def score(
        self, images: Sequence[Image.Image], texts: Sequence[str], on_done: Callable[[int], None] = ...
    ) -> Scores:
        """The value of each image with the text beside it; `on_done` hears how many more are done.

        Raises MismatchedTextsError where there are not as many texts as images, and PixelsError for anything but
        decoded 8-bit pictures.
        """


def check_pairs(images: Sequence[Image.Image], texts: Sequence[str]) -> None:
    """Raises MismatchedTextsError unless there is a text for every image."""
    if len(images) != len(texts):
        raise MismatchedTextsError(
            f"There are {len(images)} images and {len(texts)} texts: give each image the text it was painted from."
        )
