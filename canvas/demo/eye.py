"""An eye for the shapes world: it finds shape, colour and background in pixels, whoever painted them.

In: an RGB picture. Out: a `Sighting`, or how well the picture shows what a caption asks for. The eye knows pixels and
the palette, and nothing of models: the demo's simulated raters see through it, and so does its benchmark.
"""

from dataclasses import dataclass
from functools import cache

import numpy as np
from jaxtyping import Bool, Float
from PIL import Image

from canvas.demo.shapes_world import draw_at
from prompts.sets.demo import COLOURS, SHAPES, ShapesScene

_FRAME_PX = 2  # the border that is surely background
_TEMPLATE_PX = 24
_MIN_SHAPE_SHARE = 0.02  # a blot smaller than this share of the picture is no shape
# Half the distance between neighbouring palette colours: beyond it another colour is nearer.
_COLOUR_REACH = 120.0

RgbArray = Float[np.ndarray, "height width 3"]
Mask = Bool[np.ndarray, "height width"]
Cut = Bool[np.ndarray, "template template"]  # a mask scaled to the size in which shapes are compared


@dataclass(frozen=True, slots=True, kw_only=True)
class Sighting:
    """What the eye finds; `shape` is empty where nothing stands out from the background."""

    shape: str
    colour: str
    background: str
    shape_overlap: float
    """Intersection over union with the nearest ideal shape, both scaled to their bounding boxes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Likeness:
    """How well a picture shows a scene, each part in [0, 1]."""

    shape: float
    colour: float
    background: float


def look(picture: Image.Image) -> Sighting:
    """Name the shape, its colour and the background of `picture`."""
    pixels = _pixels(picture)
    background = _background(pixels)
    mask = _figure(pixels, background)
    if mask is None:
        return Sighting(shape="", colour="", background=_nearest_colour(background), shape_overlap=0.0)
    overlaps = {shape: _overlap(mask, shape) for shape in SHAPES}
    shape = max(overlaps, key=overlaps.__getitem__)
    return Sighting(
        shape=shape,
        colour=_nearest_colour(np.median(pixels[mask], axis=0)),
        background=_nearest_colour(background),
        shape_overlap=overlaps[shape],
    )


def likeness(picture: Image.Image, scene: ShapesScene) -> Likeness:
    """How well `picture` shows `scene`: overlap with the wanted shape, closeness to the two wanted colours."""
    pixels = _pixels(picture)
    background = _background(pixels)
    mask = _figure(pixels, background)
    return Likeness(
        shape=0.0 if mask is None else _overlap(mask, scene.shape),
        colour=0.0 if mask is None else _closeness(np.median(pixels[mask], axis=0), scene.colour),
        background=_closeness(background, scene.background),
    )


def _pixels(picture: Image.Image) -> RgbArray:
    return np.asarray(picture.convert("RGB"), dtype=np.float64)


def _background(pixels: RgbArray) -> Float[np.ndarray, " 3"]:
    frame = np.ones(pixels.shape[:2], dtype=bool)
    frame[_FRAME_PX:-_FRAME_PX, _FRAME_PX:-_FRAME_PX] = False
    colour: Float[np.ndarray, " 3"] = np.median(pixels[frame], axis=0)
    return colour


def _figure(pixels: RgbArray, background: Float[np.ndarray, " 3"]) -> Mask | None:
    """What stands out: nearer to the figure's own colour than to the background's."""
    away = np.linalg.norm(pixels - background, axis=2)
    clearly_other = away > max(40.0, 0.5 * float(away.max()))
    if clearly_other.mean() < _MIN_SHAPE_SHARE:
        return None
    figure_colour = np.median(pixels[clearly_other], axis=0)
    mask: Mask = np.linalg.norm(pixels - figure_colour, axis=2) < away
    return mask if mask.mean() >= _MIN_SHAPE_SHARE else None


def _overlap(mask: Mask, shape: str) -> float:
    """Intersection over union of `mask` and the ideal `shape`, each cut to its bounding box."""
    found, ideal = _cut(mask), _template(shape)
    return float((found & ideal).sum() / (found | ideal).sum())


@cache
def _template(shape: str) -> Cut:
    ideal = ShapesScene(shape=shape, colour="white", background="black")
    picture = draw_at(ideal, radius=0.36, centre_x=0.5, centre_y=0.5, size_px=96)
    return _cut(np.asarray(picture)[..., 0] > 127)


def _cut(mask: Mask) -> Cut:
    rows, columns = np.nonzero(mask)
    box = mask[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
    scaled = Image.fromarray(box.astype(np.uint8) * 255).resize((_TEMPLATE_PX, _TEMPLATE_PX), Image.Resampling.BILINEAR)
    cut: Cut = np.asarray(scaled) > 127
    return cut


def _nearest_colour(colour: Float[np.ndarray, " 3"]) -> str:
    return min(COLOURS, key=lambda name: float(np.linalg.norm(colour - np.array(COLOURS[name]))))


def _closeness(colour: Float[np.ndarray, " 3"], wanted: str) -> float:
    return max(0.0, 1.0 - float(np.linalg.norm(colour - np.array(COLOURS[wanted]))) / _COLOUR_REACH)
