"""The shapes world's grammar: one shape, its colour, the background; and the demo's 48 prompts in it.

A world so small that a tiny model learns it in seconds and a rater, a person or a program, can tell right from wrong:
what a caption asks for and what an image shows can be compared field by field.
"""

import re
from dataclasses import dataclass

from prompts.errors import CanvasError
from prompts.prompt import Prompt, PromptSet
from prompts.sets.base import PromptSetFacts

SHAPES = ("circle", "square", "triangle", "cross")
COLOURS: dict[str, tuple[int, int, int]] = {
    "red": (220, 40, 40),
    "green": (40, 180, 60),
    "blue": (50, 80, 220),
    "yellow": (240, 210, 40),
    "purple": (150, 60, 190),
    "white": (240, 240, 240),
    "black": (20, 20, 20),
    "orange": (245, 140, 30),
}
FACTS = PromptSetFacts(
    about="one coloured shape on a coloured background, for the laptop demo",
    count=48,
    licence="Apache-2.0",
    source="written for the shapes world, in prompts/sets/demo.py",
)
_CAPTION = re.compile(r"an? (?P<colour>[a-z]+) (?P<shape>[a-z]+) on an? (?P<background>[a-z]+) background")


class UnknownSceneError(CanvasError):
    """A scene that the shapes world cannot show."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ShapesScene:
    """What one image of the shapes world shows: names from SHAPES and COLOURS, the two colours different.

    Raises UnknownSceneError for anything else.
    """

    shape: str
    colour: str
    background: str

    def __post_init__(self) -> None:
        """Refuse what cannot be drawn."""
        if self.shape not in SHAPES:
            raise UnknownSceneError(f"The shapes world has no '{self.shape}'. Choose one of {', '.join(SHAPES)}.")
        for colour in (self.colour, self.background):
            if colour not in COLOURS:
                raise UnknownSceneError(f"The shapes world has no '{colour}'. Choose one of {', '.join(COLOURS)}.")
        if self.colour == self.background:
            raise UnknownSceneError(
                f"A {self.shape} in {self.colour} on {self.colour} could not be seen. Choose two different colours."
            )

    @property
    def caption(self) -> str:
        """The scene in words, with the right articles: "an orange circle on a white background"."""
        return f"{_with_article(self.colour)} {self.shape} on {_with_article(self.background)} background"


def caption(shape: str, colour: str, background: str) -> str:
    """The words for a scene: "a red circle on a white background". Raises UnknownSceneError as ShapesScene does."""
    return ShapesScene(shape=shape, colour=colour, background=background).caption


def parse_caption(text: str) -> ShapesScene | None:
    """The scene that `text` is the caption of; None where it is no caption of the shapes world, word for word."""
    match = _CAPTION.fullmatch(text)
    if match is None:
        return None
    try:
        scene = ShapesScene(**match.groupdict())
    except UnknownSceneError:
        return None
    return scene if scene.caption == text else None


def load() -> PromptSet:
    """The demo's 48 prompts; the category of each is its shape."""
    prompts = tuple(Prompt(text=scene.caption, category=scene.shape) for scene in _balanced_scenes())
    return PromptSet(name="demo", prompts=prompts, licence=FACTS.licence, source=FACTS.source)


def _balanced_scenes() -> list[ShapesScene]:
    """48 scenes: 12 of each shape, 6 of each colour, 6 of each background, no colour twice on the same background.

    Every shape meets every colour once, on the background 1, 3, 5 or 7 places further on in COLOURS (the shape decides
    which); and half of the colours a second time, the even or the odd ones in turn, 2 or 4 places further on.
    """
    colours = tuple(COLOURS)
    scenes = []
    for index, colour in enumerate(colours):
        for place, shape in enumerate(SHAPES):
            distances = [2 * place + 1] + ([2 + 2 * (place // 2)] if index % 2 == place % 2 else [])
            for distance in distances:
                background = colours[(index + distance) % len(colours)]
                scenes.append(ShapesScene(shape=shape, colour=colour, background=background))
    return scenes


def _with_article(colour: str) -> str:
    return f"{'an' if colour[0] in 'aeiou' else 'a'} {colour}"
