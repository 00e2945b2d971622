"""The captioner that keeps the text which came with an image.

Few images have one (31% of those in CommonCatalog, figure 4 of CommonCanvas), and it is often a title or an address.
"""

from collections.abc import Mapping, Sequence

from PIL import Image

from training.captioners.base import CaptionerSettings
from training.catalogue import SourceImage


class AltTextCaptioner:
    """The catalogue's own caption, with its white space tidied."""

    name = "alt_text"
    needs_pixels = False
    batch_size = 1024

    @property
    def identity(self) -> Mapping[str, str | int]:
        """It has no model and no settings."""
        return {"captioner": "alt_text"}

    def caption(self, images: Sequence[SourceImage], pixels: Sequence[Image.Image]) -> list[str]:
        """The captions as they stand in the catalogue."""
        return [" ".join(image.caption.split()) for image in images]


def open_captioner(settings: CaptionerSettings) -> AltTextCaptioner:
    """The captioner; it needs no settings."""
    return AltTextCaptioner()
