"""How pictures get to the size that a network takes: by name, because every way makes other pixels and other scores.

"clean" resizes each colour in float32 with PIL's antialiased bicubic filter and does not round; FID is defined on it.
"bicubic" and "bilinear" are PIL's antialiased filters on 8-bit pixels, rounded, as CLIP, DINOv2 and SSCD are fed.
Ways without antialiasing have names too, and are refused. Pure: numpy and PIL.
Source: Parmar, Zhang & Zhu (2022), arXiv:2104.11222, section 3.
"""

from collections.abc import Callable

import numpy as np
from jaxtyping import Float32
from PIL import Image

from prompts.errors import CanvasError

Pixels = Float32[np.ndarray, "height width 3"]
IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


class ResizingError(CanvasError):
    """A way of resizing that is unknown, or that makes scores nobody can compare."""


def resize(image: Image.Image, *, width_px: int, height_px: int, way: str) -> Pixels:
    """`image`, in RGB, at `width_px` x `height_px` in 0..255; its sides are squeezed to fit, nothing is cut off.

    Raises ResizingError for a `way` that is unknown or refused.
    """
    return _way(way)(image, (width_px, height_px))


def check_resizing(way: str) -> None:
    """Raises ResizingError for a `way` that is unknown or refused."""
    _way(way)


def normalised(
    pixels: Pixels, mean: tuple[float, float, float], std: tuple[float, float, float]
) -> Float32[np.ndarray, "3 height width"]:
    """`pixels` (0..255) as a network takes them: (pixels / 255 - mean) / std for each colour, colours first."""
    scaled = (pixels / np.float32(255) - np.asarray(mean, np.float32)) / np.asarray(std, np.float32)
    first: Float32[np.ndarray, "3 height width"] = np.ascontiguousarray(scaled.transpose(2, 0, 1))
    return first


def _clean(image: Image.Image, size: tuple[int, int]) -> Pixels:
    colours = [
        np.asarray(Image.fromarray(np.asarray(band, np.float32)).resize(size, Image.Resampling.BICUBIC))
        for band in image.split()
    ]
    # The filter overshoots at edges.
    clipped: Pixels = np.stack(colours, axis=2).clip(0, 255)
    return clipped


def _bicubic(image: Image.Image, size: tuple[int, int]) -> Pixels:
    return np.asarray(image.resize(size, Image.Resampling.BICUBIC), np.float32)


def _bilinear(image: Image.Image, size: tuple[int, int]) -> Pixels:
    return np.asarray(image.resize(size, Image.Resampling.BILINEAR), np.float32)


_WAYS: dict[str, Callable[[Image.Image, tuple[int, int]], Pixels]] = {
    "clean": _clean,
    "bicubic": _bicubic,
    "bilinear": _bilinear,
}
_REFUSED = {
    "legacy_pytorch": "bilinear without antialiasing, as pytorch-fid resizes",
    "legacy_tensorflow": "bilinear without antialiasing and half a pixel off, as the first FID code resized",
    "nearest": "picks single pixels",
}


def _way(name: str) -> Callable[[Image.Image, tuple[int, int]], Pixels]:
    if name in _REFUSED:
        raise ResizingError(
            f"'{name}' ({_REFUSED[name]}) drops pixels when it shrinks, so that fine texture turns into noise in the "
            "score: resize with 'clean', and measure both sides again."
        )
    if name not in _WAYS:
        raise ResizingError(f"There is no way of resizing '{name}'. Known: {', '.join(_WAYS)}.")
    return _WAYS[name]
