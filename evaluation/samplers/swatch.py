"""Paints one colour, made from a hash of its name, the prompt and the seed: a way to try the house without torch."""

import hashlib
from collections.abc import Sequence
from typing import Any

from PIL import Image

from evaluation.samplers.base import SamplerSettings

SIZE_PX = 32


def open_sampler(source: str, settings: SamplerSettings) -> "Swatch":
    """The swatch called `source`; of the settings only `size_px` matters."""
    return Swatch(name=source, size_px=settings.size_px or SIZE_PX)


class Swatch:
    """One colour per prompt and seed; satisfies Sampler."""

    def __init__(self, *, name: str, size_px: int) -> None:
        """Squares of `size_px` pixels."""
        self._name = name
        self._size_px = size_px

    @property
    def details(self) -> dict[str, Any]:
        """The size, as JSON values."""
        return {"sampler": "swatch", "size_px": self._size_px}

    def cut(self, prompts: Sequence[str]) -> int:
        """None: the whole text decides the colour."""
        return 0

    def paint(self, prompts: Sequence[str], seeds: Sequence[int]) -> list[Image.Image]:
        """A plain square for each prompt and seed."""
        return [
            Image.new("RGB", (self._size_px, self._size_px), self._colour(prompt, seed))
            for prompt, seed in zip(prompts, seeds, strict=True)
        ]

    def _colour(self, prompt: str, seed: int) -> tuple[int, int, int]:
        red, green, blue = hashlib.sha256(f"{self._name}\n{seed}\n{prompt}".encode()).digest()[:3]
        return red, green, blue
