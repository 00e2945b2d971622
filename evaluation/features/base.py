"""What an extractor is: images, and for some texts, become vectors that metrics compare."""

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float32
from PIL import Image

from prompts.errors import CanvasError


class PixelsError(CanvasError):
    """Images that an extractor must not be given: floats, or anything else than decoded 8-bit pictures."""


class NoTextsError(CanvasError):
    """Texts for an extractor that knows only images."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExtractorSettings:
    """Where an extractor runs; only `dtype` can change what it measures. `device` "auto" is a GPU where there is one.

    `dtype` "auto" is float32, on a GPU too: half precision is for whoever asks for it, and the details say so.
    """

    device: str = "auto"
    batch_size: int = 32
    dtype: str = "auto"


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
        """Model, revision, preprocessing, precision, the weights' hash, `extractor_hash` and library versions, as JSON
        values: what a reader needs to get the same features."""

    def images(
        self, images: Sequence[Image.Image], on_done: Callable[[int], None] = ...
    ) -> Float32[np.ndarray, "images features"]:
        """The features of `images`, not normalised unless the details say so; `on_done` hears how many more are done.

        They do not depend on the batch size, up to float32's rounding.
        """

    def texts(self, texts: Sequence[str]) -> TextFeatures:
        """The features of `texts`, not normalised. Raises NoTextsError where the extractor knows only images."""


def with_hash(details: dict[str, Any], *libraries: str) -> dict[str, Any]:
    """`details` with `extractor_hash` and the `versions` of `libraries`.

    The hash stands for all that decides the features: it leaves out where the weights came from (`model` and
    `revision`; their own hash counts) and the versions, so that features kept on disk outlive an upgrade that is
    written beside them.
    """
    plain: dict[str, Any] = json.loads(json.dumps(details, allow_nan=False))  # as a reader of the file will find them
    deciding = {key: value for key, value in plain.items() if key not in {"model", "revision"}}
    canonical = json.dumps(deciding, sort_keys=True).encode()
    versions = {library: version(library) for library in sorted({"numpy", "pillow", "torch", *libraries})}
    return {**plain, "extractor_hash": hashlib.sha256(canonical).hexdigest(), "versions": versions}


def no_texts(name: str) -> NoTextsError:
    """What an extractor of images says to texts."""
    return NoTextsError(f"{name} makes features of images only: texts need CLIP (clip or open_clip).")


def eight_bit(image: Any) -> Image.Image:
    """`image` in RGB; floats would be scaled once more on the way in and come out nearly black. Raises PixelsError."""
    if not isinstance(image, Image.Image):
        raise PixelsError(
            f"Extractors take decoded PIL images and one was a {type(image).__name__}: convert to 8-bit RGB first."
        )
    if image.mode not in {"RGB", "L", "P", "1"}:
        raise PixelsError(
            f"Extractors take opaque 8-bit pictures and one was of mode {image.mode}: lay transparency on white and "
            "convert it to RGB first."
        )
    return image if image.mode == "RGB" else image.convert("RGB")
