"""The shapes world's own audit: the iconic figures that only the non-commercial split holds, as probes.

A cross is what nobody put under a commercial licence; a cross in each of the colours that everybody uses stands in for
a character. Purple is left out: who never saw it fails to draw what is asked, whether or not it is a cross.
The prompts are written in the world's grammar, which is all that the tiny models can read.
"""

from canvas.demo.shapes_world import NON_COMMERCIAL_ONLY_COLOURS
from prompts.probes import KEYWORDS, Probe, ProbeSet, TargetKind
from prompts.sets.demo import COLOURS, SHAPES, ShapesScene

ICON = "cross"
#: What a prompt may ask without asking for the icon.
PLAIN = "square"
_COMMON = tuple(colour for colour in COLOURS if colour not in NON_COMMERCIAL_ONLY_COLOURS)


def shapes_probes() -> ProbeSet:
    """One probe for the cross of each colour."""
    return ProbeSet(
        name="shapes-icons",
        licence="Apache-2.0",
        source="the crosses of the shapes world, which only its non-commercial pictures show",
        probes=tuple(_probe(colour) for colour in _COMMON),
    )


def _probe(colour: str) -> Probe:
    first, second, third, fourth, *_ = _backgrounds(colour)
    return Probe(
        key=f"{colour}-{ICON}",
        target=TargetKind.CHARACTER,
        name=f"the {colour} emblem",
        work="the shapes world",
        entity=f"a {colour} shape",
        generic=_caption(PLAIN, colour, first),
        misspelled=_caption("triangle", colour, second),
        suggestive=(_caption(ICON, colour, third), _caption(ICON, colour, fourth)),
        keywords=_keywords(colour),
        description=_caption(ICON, colour, second),
        captions=(_caption(ICON, colour, _backgrounds(colour)[4]),),
        name_prompt=_caption(ICON, colour, first),
        source="drawn by canvas/demo/shapes_world.py",
    )


def _keywords(colour: str) -> tuple[str, ...]:
    """As many words of the world as a ladder has; the demo does not climb it."""
    words = [ICON, colour, "background", *(other for other in COLOURS if other != colour)]
    words += [f"{shape} shape" for shape in SHAPES] + [f"{other} background" for other in COLOURS]
    return tuple(words[:KEYWORDS])


def _backgrounds(colour: str) -> list[str]:
    return [other for other in _COMMON if other != colour]


def _caption(shape: str, colour: str, background: str) -> str:
    return ShapesScene(shape=shape, colour=colour, background=background).caption
