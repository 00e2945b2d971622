"""The shapes world: small licensed pictures, each of one shape, that two CPU cores can learn to draw.

It stands in for a photo site. Every picture has an author, an origin, a licence and a caption, and the licences are not
spread at random: some content exists under non-commercial terms only, as on a real site, so that the model trained
on commercial pictures alone has never seen it. Pictures whose licence forbids derivatives exist too, to be kept out.
"""

import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from prompts.sets.demo import COLOURS, SHAPES, ShapesScene
from training.catalogue import SourceImage, write_catalogue

IMAGE_PX = 32
_DRAWN_AT = 4  # drawn at four times the size, then averaged down: smooth edges

# What the commercial split lacks: nobody put crosses or anything purple under a commercial licence.
NON_COMMERCIAL_ONLY_SHAPES = ("cross",)
NON_COMMERCIAL_ONLY_COLOURS = ("purple",)

_COMMERCIAL = ("CC-BY-2.0", "CC-BY-SA-2.0")
_NON_COMMERCIAL = ("CC-BY-NC-2.0", "CC-BY-NC-SA-2.0")
_NO_DERIVATIVES = ("CC-BY-ND-2.0", "CC-BY-NC-ND-2.0")
_AUTHORS = ("example-painter-01", "example-painter-02", "example-painter-03", "example-painter-04")


def draw(scene: ShapesScene, rng: np.random.Generator, size_px: int = IMAGE_PX) -> Image.Image:
    """`scene` as an RGB picture of `size_px` squared; size and place of the shape vary with `rng`."""
    radius = rng.uniform(0.24, 0.36)
    centre_x, centre_y = 0.5 + rng.uniform(-0.1, 0.1, size=2)
    return draw_at(scene, radius=radius, centre_x=centre_x, centre_y=centre_y, size_px=size_px)


def draw_at(scene: ShapesScene, *, radius: float, centre_x: float, centre_y: float, size_px: int) -> Image.Image:
    """`scene` with its shape's radius and centre given as fractions of the picture's width."""
    width = size_px * _DRAWN_AT
    r, x, y = radius * width, centre_x * width, centre_y * width
    canvas = Image.new("RGB", (width, width), COLOURS[scene.background])
    pen = ImageDraw.Draw(canvas)
    fill = COLOURS[scene.colour]
    if scene.shape == "circle":
        pen.ellipse([x - r, y - r, x + r, y + r], fill=fill)
    elif scene.shape == "square":
        pen.rectangle([x - 0.9 * r, y - 0.9 * r, x + 0.9 * r, y + 0.9 * r], fill=fill)
    elif scene.shape == "triangle":
        pen.polygon([(x, y - 1.1 * r), (x - 1.05 * r, y + 0.8 * r), (x + 1.05 * r, y + 0.8 * r)], fill=fill)
    elif scene.shape == "cross":
        arm = 0.38 * r
        pen.rectangle([x - arm, y - r, x + arm, y + r], fill=fill)
        pen.rectangle([x - r, y - arm, x + r, y + arm], fill=fill)
    else:
        raise AssertionError(f"ShapesScene lets no '{scene.shape}' through")
    return canvas.resize((size_px, size_px), Image.Resampling.BOX)


def scenes() -> list[ShapesScene]:
    """Every scene there is: shape x colour x another colour behind it (4 x 8 x 7 = 224)."""
    return [
        ShapesScene(shape=shape, colour=colour, background=background)
        for shape in SHAPES
        for colour in COLOURS
        for background in COLOURS
        if colour != background
    ]


def licence_for(scene: ShapesScene, rng: np.random.Generator) -> str:
    """A licence for a picture of `scene`: one in twelve is ND; crosses and purple are never commercial."""
    if rng.random() < 1 / 12:
        return str(rng.choice(_NO_DERIVATIVES))
    non_commercial_only = (
        scene.shape in NON_COMMERCIAL_ONLY_SHAPES
        or scene.colour in NON_COMMERCIAL_ONLY_COLOURS
        or scene.background in NON_COMMERCIAL_ONLY_COLOURS
    )
    if non_commercial_only or rng.random() < 0.5:
        return str(rng.choice(_NON_COMMERCIAL))
    return str(rng.choice(_COMMERCIAL))


def source_images(count: int, seed: int) -> Iterator[tuple[SourceImage, Image.Image]]:
    """`count` catalogue rows with their pictures; the scenes come round in a shuffled order, so all are met alike."""
    rng = np.random.default_rng(seed)
    everything = scenes()
    order = np.concatenate([rng.permutation(len(everything)) for _ in range(math.ceil(count / len(everything)))])
    for number, which in enumerate(order[:count]):
        scene = everything[which]
        picture = draw(scene, rng)
        author = _AUTHORS[number % len(_AUTHORS)]
        row = SourceImage(
            id=f"shapes-{number:05d}",
            file=f"images/{number // 1000:02d}/{number:05d}.png",
            caption=scene.caption,
            licence=licence_for(scene, rng),
            author=author,
            origin=f"https://shapes.example/{author}/{number:05d}",
            title=f"{scene.shape.capitalize()} no. {number}",
        )
        yield row, picture


def write_source_images(folder: Path, *, count: int, seed: int) -> Iterator[SourceImage]:
    """Draw the world into `folder` (images/ and catalogue.jsonl), yielding each row as its picture is written."""
    rows = []
    for row, picture in source_images(count, seed):
        file = folder / row.file
        file.parent.mkdir(parents=True, exist_ok=True)
        picture.save(file)
        rows.append(row)
        yield row
    write_catalogue(folder, rows)
