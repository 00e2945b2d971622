"""How far a training is, and how large its steps are: by batches, or by the clock where there is a time limit.

Pure. A machine too slow for all its steps still anneals its learning rate to the end and stops in time.
"""

import math
from dataclasses import dataclass
from typing import Literal

_FALLING_SHARE = 0.4


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """At most `steps` and `time_limit_s` (None: no limit), and the rate after a linear warm-up.

    "constant" stays; "cosine" falls to 0 in half a cosine; "trapezoid" stays, and falls to 0 in a straight line over
    the last two fifths: Hägele et al. (2024), arXiv:2405.18392.
    """

    shape: Literal["constant", "cosine", "trapezoid"]
    steps: int
    warmup_steps: int
    time_limit_s: float | None

    def progress(self, steps_done: int, elapsed_s: float) -> float:
        """The share of the training that is done, in [0, 1]: whichever of steps and time is further on."""
        by_steps = steps_done / self.steps
        by_clock = 0.0 if self.time_limit_s is None else elapsed_s / self.time_limit_s
        return min(1.0, max(by_steps, by_clock))

    def multiplier(self, steps_done: int, elapsed_s: float) -> float:
        """What the learning rate is multiplied by in the step that comes after `steps_done`."""
        warm_up = min(1.0, (steps_done + 1) / self.warmup_steps) if self.warmup_steps else 1.0
        if self.shape == "constant":
            return warm_up
        progress = self.progress(steps_done, elapsed_s)
        if self.shape == "trapezoid":
            return warm_up * min(1.0, (1 - progress) / _FALLING_SHARE)
        return warm_up * 0.5 * (1 + math.cos(math.pi * progress))
