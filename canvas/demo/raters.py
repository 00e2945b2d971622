"""Simulated raters: they look at the pixels through the eye, and have noise, taste and a favourite side.

A simulated rater is shown a prompt and two pictures, as a person is, and never learns which entrant painted which:
what the board then shows is what the models really draw. Their votes are marked as simulated wherever they appear.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from PIL import Image

from arena.votes import Choice
from canvas.demo.eye import Likeness, likeness
from prompts.errors import CanvasError
from prompts.sets.demo import parse_caption

# Logistic scales. Noise of 1 and a taste spread of about .5 give pair choices the spread that people's show
# (between-rater sd .45 on the logit scale is what the calibration of the statistics assumes).
_NOISE = 1.0
_TASTE_SPREAD = 0.4
_SIDE_SPREAD = 0.15
_MEAN_WEIGHTS = {"shape": 5.0, "colour": 3.0, "background": 2.0}
_TIE_WITHIN = 0.15


class NotAShapesPromptError(CanvasError):
    """A prompt the simulated raters cannot judge."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Taste:
    """What one simulated rater cares for (logits per unit of likeness), and its pull to the left."""

    shape: float
    colour: float
    background: float
    left_pull: float

    def judge(self, prompt: str, left: Image.Image, right: Image.Image, rng: np.random.Generator) -> Choice:
        """Left, right or a tie: the difference of what the pixels show, plus logistic noise."""
        scene = parse_caption(prompt)
        if scene is None:
            raise NotAShapesPromptError(
                f"Simulated raters judge the shapes world only and cannot judge '{prompt}'. Let people rate this study."
            )
        pull = self._appeal(likeness(left, scene)) - self._appeal(likeness(right, scene)) + self.left_pull
        pull += rng.logistic(scale=_NOISE)
        if abs(pull) < _TIE_WITHIN:
            return Choice.TIE
        return Choice.LEFT if pull > 0 else Choice.RIGHT

    def _appeal(self, found: Likeness) -> float:
        return self.shape * found.shape + self.colour * found.colour + self.background * found.background


Judge = Callable[[str, Image.Image, Image.Image, np.random.Generator], Choice]


def new_rater(rng: np.random.Generator) -> Judge:
    """The judgement of a newly drawn rater, who keeps the same taste for all votes."""
    weights = {name: mean * float(rng.lognormal(0.0, _TASTE_SPREAD)) for name, mean in _MEAN_WEIGHTS.items()}
    return Taste(**weights, left_pull=float(rng.normal(0.0, _SIDE_SPREAD))).judge
