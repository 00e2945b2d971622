"""Guidance scales as they are written on a command line, and an entrant at one of them.

An entrant paints in one way; at another scale it is a *variant* of it, with a gallery of its own, a name that says the
scale, and `variant_of` in its details.
"""

import math
import re
from dataclasses import replace

from arena.ledger.records import Entrant
from evaluation.generate import ASKED
from prompts.errors import CanvasError

#: The scales of the CommonCanvas paper, figure 7.
PAPER = (1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0)
VARIANT_OF = "variant_of"
_RANGE = re.compile(r"(?P<first>[\d.]+)\.\.(?P<last>[\d.]+)(?::(?P<step>[\d.]+))?")


class GuidanceError(CanvasError):
    """Guidance scales that cannot be read, or an entrant on which they have no effect."""


def read_scales(words: str) -> tuple[float, ...]:
    """The scales in `words`, ascending, each once: "paper", or numbers and ranges with commas, as in 1,1.5,2..8.

    A range a..b steps by 1, a..b:s by s. Raises GuidanceError.
    """
    if words.strip() == "paper":
        return PAPER
    found: set[float] = set()
    for word in words.split(","):
        match = _RANGE.fullmatch(word.strip())
        found.update(_range(match, words) if match else [_number(word, words)])
    return tuple(sorted(found))


def variant(entrant: Entrant, guidance: float) -> Entrant:
    """`entrant` at the scale `guidance`. Raises GuidanceError for one that scales do not steer."""
    if entrant.sampler != "diffusers":
        raise GuidanceError(
            f"'{entrant.name}' is painted by {entrant.sampler}, which no guidance scale steers: name a diffusers "
            "folder or a model on the hub."
        )
    asked = entrant.details.get(ASKED, {})
    details = {**entrant.details, ASKED: {**asked, "guidance": guidance}, VARIANT_OF: entrant.name}
    return replace(entrant, name=f"{entrant.name} @ {guidance:g}", details=details)


def _range(match: re.Match[str], words: str) -> list[float]:
    first, last = _number(match["first"], words), _number(match["last"], words)
    step = _number(match["step"] or "1", words)
    if last < first or step <= 0:
        raise _unreadable(match[0], words)
    # Counted, not added up: 1..2:0.1 ends at 2 and not just before it.
    return [round(first + index * step, 6) for index in range(math.floor((last - first) / step + 1e-9) + 1)]


def _number(word: str, words: str) -> float:
    try:
        value = float(word)
    except ValueError as error:
        raise _unreadable(word, words) from error
    if not math.isfinite(value) or value < 0:
        raise _unreadable(word, words)
    return value


def _unreadable(word: str, words: str) -> GuidanceError:
    return GuidanceError(
        f"'{word.strip()}' in --guidance {words} is no guidance scale: write numbers from 0 and ranges with commas "
        "between them, as in 1,1.5,2..8, or 'paper'."
    )
