"""How far the judge can be believed: its agreement with people on the images that both looked at.

In: calls of judge and people, 0, 1 or UNKNOWN. Out: a `JudgeAgreement`. Pure.
Sources: Cohen (1960), doi:10.1177/001316446002000104; Wilson (1927) for the intervals of the two error rates.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Int8

from arena.statistics.independent import score_interval
from evaluation.audit.labels import UNKNOWN

_Z = 1.959963984540054


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgeAgreement:
    """Counts over the images with both calls; rates are None where nobody saw such an image."""

    both: int
    judge_only: int
    human_only: int
    neither: int

    @property
    def labelled(self) -> int:
        """How many images both looked at."""
        return self.both + self.judge_only + self.human_only + self.neither

    @property
    def kappa(self) -> float | None:
        """Cohen's kappa; None without labels, and where both always say the same one thing."""
        n = self.labelled
        if not n:
            return None
        judge, human = (self.both + self.judge_only) / n, (self.both + self.human_only) / n
        chance = judge * human + (1 - judge) * (1 - human)
        return None if chance == 1 else ((self.both + self.neither) / n - chance) / (1 - chance)

    @property
    def false_positive_rate(self) -> float | None:
        """How often the judge sees the target where people do not."""
        return _share(self.judge_only, self.judge_only + self.neither)

    @property
    def false_negative_rate(self) -> float | None:
        """How often the judge misses the target where people see it."""
        return _share(self.human_only, self.human_only + self.both)

    def to_dict(self) -> dict[str, Any]:
        """Ready for JSON; the intervals take images as independent."""
        return {
            "kappa": self.kappa,
            "false_positive_rate": self.false_positive_rate,
            "false_positive_interval": _interval(self.judge_only, self.judge_only + self.neither),
            "false_negative_rate": self.false_negative_rate,
            "false_negative_interval": _interval(self.human_only, self.human_only + self.both),
            "labelled": self.labelled,
        }


def judge_agreement(judge: Int8[np.ndarray, " images"], human: Int8[np.ndarray, " images"]) -> JudgeAgreement:
    """The table of both calls."""
    seen = (judge != UNKNOWN) & (human != UNKNOWN)
    counts = np.bincount(2 * judge[seen].astype(np.int64) + human[seen], minlength=4)
    return JudgeAgreement(
        neither=int(counts[0]), human_only=int(counts[1]), judge_only=int(counts[2]), both=int(counts[3])
    )


def _share(count: int, of: int) -> float | None:
    return count / of if of else None


def _interval(count: int, of: int) -> list[float] | None:
    if not of:
        return None
    found = score_interval(count / of, float(of), quantile=_Z)
    return [found.low, found.high]
