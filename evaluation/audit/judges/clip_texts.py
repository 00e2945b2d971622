"""How CLIP is told of a target, and of what is none: a few sentences each, averaged.

In: probes. Out: unit vectors of an extractor that reads texts. A text becomes the mean of the unit vectors of its
sentences, at length 1 again. Source: Radford et al. (2021), arXiv:2103.00020, section 3.1.4 (prompt ensembling).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32

from evaluation.audit.judges.base import unit
from evaluation.features.base import Extractor
from prompts.probes import Probe

TEMPLATES = ("an image of {}.", "a photo of {}.", "a drawing of {}.")
#: What else an image may show.
SOMETHING_ELSE = (
    "a person",
    "an animal",
    "a plant",
    "a building",
    "a vehicle",
    "food on a table",
    "an empty landscape",
    "an object on a plain background",
    "letters and symbols",
    "an abstract pattern",
    "a plain colour",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Directions:
    """A unit vector per text, and how many sentences were longer than the model reads and so were cut."""

    vectors: Float32[np.ndarray, "texts features"]
    cut: int


def who(probe: Probe) -> str:
    """The target in words: "Elsa from Frozen", or the name alone."""
    if not probe.work or probe.work.casefold() in probe.name.casefold():
        return probe.name
    return f"{probe.name} from {probe.work}"


def directions(extractor: Extractor, texts: Sequence[str], templates: Sequence[str] = TEMPLATES) -> Directions:
    """A direction for each of `texts`, the mean over `templates`. Raises NoTextsError."""
    found = extractor.texts([template.format(text) for text in texts for template in templates])
    width = found.features.shape[1]
    means = unit(found.features).reshape(len(texts), len(templates), width).mean(axis=1)
    return Directions(vectors=unit(means.astype(np.float32)), cut=found.truncated)
