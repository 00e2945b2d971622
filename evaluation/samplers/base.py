"""What a sampler is: prompts and seeds in, one image each out.

The image of a prompt and a seed is the same whatever else is painted with it, before it or after it: in batches of any
size, after an interruption, in another prompt set. No torch here.
"""

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from PIL import Image

from prompts.errors import CanvasError


class SamplerSettingsError(CanvasError):
    """Settings that no sampler can paint with."""


class PaintedNothingError(CanvasError):
    """A sampler that gave no image, too few, or one that is not a number."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SamplerSettings:
    """How an entrant paints. `steps`, `guidance`, `size_px` and `dtype` shape the image; the rest is how it is run.

    `size_px` None is the size the model was made for. `device` "auto" is a GPU where there is one; `dtype` "auto" is
    float32 on a CPU and half precision on a GPU. `revision` is the commit of a hub id. Raises SamplerSettingsError.
    """

    steps: int = 50
    guidance: float = 7.5
    size_px: int | None = None
    dtype: str = "auto"
    revision: str | None = None
    batch_size: int = 4
    device: str = "auto"

    def __post_init__(self) -> None:
        """Refuse what cannot be painted with."""
        for name, value in (("steps", self.steps), ("batch_size", self.batch_size)):
            if value < 1:
                raise SamplerSettingsError(f"A sampler's {name} is a whole number from 1, and not {value}.")
        if not math.isfinite(self.guidance) or self.guidance < 0:
            raise SamplerSettingsError(f"A sampler's guidance is a number from 0, and not {self.guidance}.")
        if self.size_px is not None and (self.size_px < 8 or self.size_px % 8):
            raise SamplerSettingsError(f"A sampler's size_px is a multiple of 8, and not {self.size_px}.")


# The settings that shape an image: an entrant's gallery is painted with one value of each.
SHAPING = ("steps", "guidance", "size_px", "dtype", "revision")


def settings_from(block: Any, **given: Any) -> SamplerSettings:
    """The settings in an entrant.json's `sampler` block, with those `given` that are not None put in their place.

    What neither says is SamplerSettings' own default. Raises SamplerSettingsError, also for a name that is no setting.
    """
    if not isinstance(block, Mapping):
        raise SamplerSettingsError(f"The sampler block is {block!r}: it must be an object of settings.")
    for name, value in block.items():
        if name not in _KINDS:
            raise SamplerSettingsError(
                f"The sampler block has an entry '{name}', which is no setting. Known: {', '.join(_KINDS)}."
            )
        if isinstance(value, bool) or not isinstance(value, _KINDS[name]):
            raise SamplerSettingsError(f"The sampler block's {name} is {value!r}, which is of the wrong kind.")
    chosen = {**block, **{name: value for name, value in given.items() if value is not None}}
    if "guidance" in chosen:
        chosen["guidance"] = float(chosen["guidance"])
    return SamplerSettings(**chosen)


_KINDS: dict[str, type | tuple[type, ...]] = {
    "steps": int,
    "guidance": (int, float),
    "size_px": (int, type(None)),
    "dtype": str,
    "revision": (str, type(None)),
    "batch_size": int,
    "device": str,
}


@runtime_checkable
class Sampler(Protocol):
    """Opened by a line of SAMPLERS with a source and SamplerSettings."""

    @property
    def details(self) -> dict[str, Any]:
        """All that shapes its images, as JSON values; settings by their own names.

        Under `made_with` stands what merely was so: the device, the versions of libraries.
        """

    def cut(self, prompts: Sequence[str]) -> int:
        """How many of `prompts` are longer than what the sampler reads, so that their ends go unread."""

    def paint(self, prompts: Sequence[str], seeds: Sequence[int]) -> list[Image.Image]:
        """One RGB image for each prompt and the seed at the same place; the caller chooses how many at once.

        Raises a CanvasError that names what cannot be painted.
        """


def noise_seed(prompt: str, seed: int) -> int:
    """The seed of an image's own noise: the gallery's seed plus the prompt's number, which is made from its text.

    The number is the prompt's id (the first 64 bits of the SHA-256 of its text), so that entrants pair image by image,
    different prompts start from different noise, and neither order nor subset matters. In [0, 2^63).
    """
    number = int.from_bytes(hashlib.sha256(prompt.encode()).digest()[:8], "big")
    return (number + seed) % 2**63
