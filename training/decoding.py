"""Image bytes become pixels, in one way for captioning, checking and latents.

In: a file or its bytes. Out: an upright RGB image, or a `BrokenImageError` that names the file.
"""

import io
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from prompts.errors import CanvasError

_REMEDY = "restore it, or leave such images out with --skip-broken"


class BrokenImageError(CanvasError):
    """An image file that is missing, or that cannot be decoded."""


def read_image_bytes(path: Path) -> bytes:
    """The bytes of an image file. Raises BrokenImageError where it is missing or cannot be read."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise BrokenImageError(f"The image {path} cannot be read ({error.strerror}): {_REMEDY}.") from error


def decode_image(content: bytes, name: str) -> Image.Image:
    """The image in `content`: upright after its EXIF orientation, RGB with 8 bits, transparency laid on white.

    `name` is the file's, for the error. Raises BrokenImageError.
    """
    try:
        with Image.open(io.BytesIO(content)) as image:
            image.load()
            upright = ImageOps.exif_transpose(image)
    # Pillow's decoders raise many kinds; whatever they raise, this file is what is wrong.
    except Exception as error:
        # Pillow names the buffer's address where it knows no format; the reason must not change from run to run.
        reason = "no known image format" if isinstance(error, UnidentifiedImageError) else error
        raise BrokenImageError(f"The image {name} cannot be decoded ({reason}): {_REMEDY}.") from error
    if upright.mode.startswith(("I", "F")):
        # Pillow clips 16 bits to 8 instead of scaling them.
        return Image.fromarray((np.asarray(upright, np.float64) / 257).clip(0, 255).astype(np.uint8)).convert("RGB")
    if upright.has_transparency_data:
        layered = upright.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", layered.size, "white"), layered).convert("RGB")
    return upright.convert("RGB")


def centre_square(image: Image.Image, size_px: int, *, enlarge: bool) -> Image.Image:
    """The largest square in the middle, resized to `size_px` (bicubic, antialiased): the short side meets the target.

    With `enlarge` False a smaller square keeps its size.
    """
    side = min(image.size)
    left, top = (image.width - side) / 2, (image.height - side) / 2
    target = size_px if enlarge else min(size_px, side)
    # Cropping inside the resize keeps the middle exact where it falls between two pixels.
    return image.resize((target, target), Image.Resampling.BICUBIC, box=(left, top, left + side, top + side))
