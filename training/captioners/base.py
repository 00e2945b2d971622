"""What every captioner is: images in, one caption each out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from PIL import Image

from training.catalogue import SourceImage


@dataclass(frozen=True, slots=True, kw_only=True)
class CaptionerSettings:
    """How to open a captioner; one that has no model ignores what concerns the model.

    `model` is a folder or a hub id ("" for the captioner's own), `revision` a hub revision ("" for the newest);
    `device` and `precision` may be "auto".
    """

    model: str = ""
    revision: str = ""
    batch_size: int = 16
    max_new_tokens: int = 30
    device: str = "auto"
    precision: str = "auto"


@runtime_checkable
class Captioner(Protocol):
    """Says what images show. Opening one is cheap; heavy weights are loaded when the first caption is asked for."""

    @property
    def name(self) -> str:
        """What stands beside every caption it wrote: the captioner, its model and its revision."""

    @property
    def identity(self) -> Mapping[str, str | int]:
        """Everything that decides the captions, as plain values: two equal identities write equal captions."""

    @property
    def needs_pixels(self) -> bool:
        """Whether `caption` looks at `pixels`; if not, they may be left empty and no file is decoded."""

    @property
    def batch_size(self) -> int:
        """How many images it likes to be given at once."""

    def caption(self, images: Sequence[SourceImage], pixels: Sequence[Image.Image]) -> list[str]:
        """One caption per image, in their order; "" where it has nothing to say."""
