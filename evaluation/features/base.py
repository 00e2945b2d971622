"""What an extractor is: images, and for some texts, become vectors that metrics compare."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float32
from PIL import Image

from prompts.errors import CanvasError


class PixelsError(CanvasError):
    """Images that an extractor must not be given: floats, or anything else than decoded 8-bit pictures."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExtractorSettings:
    """Where an extractor runs; none of it changes what it measures. `device` "auto" is a GPU where there is one."""

    device: str = "auto"
    batch_size: int = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class TextFeatures:
    """The features of texts, a row per text, and how many texts were longer than the model reads and so were cut."""

    features: Float32[np.ndarray, "texts features"]
    truncated: int


@runtime_checkable
class Extractor(Protocol):
    """Opened by a line of FEATURES with a source, a revision and ExtractorSettings."""

    @property
    def details(self) -> dict[str, Any]:
        """Model, revision and preprocessing, as JSON values: what a reader needs to get the same features."""

    def images(
        self, images: Sequence[Image.Image], on_done: Callable[[int], None] = ...
    ) -> Float32[np.ndarray, "images features"]:
        """The features of `images`, not normalised; `on_done` hears how many more are done."""

    def texts(self, texts: Sequence[str]) -> TextFeatures:
        """The features of `texts`, not normalised."""
