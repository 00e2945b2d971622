"""Who presses one side of the page whatever it shows: an exact binomial test per rater.

In: a `VoteTable`. Out: how many of each rater's preferences fell on the left, with an exact p. Sides are drawn at
random for every vote, so the preferences of a rater who looks at the images are coins between left and right, however
that rater's taste runs; the test is exact for every rater. Holm's adjustment over all raters keeps the chance of naming
any of those who look below 5 %. Meant for people to look at: a flag is no reason to delete a vote.
Source: the sign test, Dixon & Mood (1946), doi:10.1080/01621459.1946.10501898, in its exact binomial form.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float64, Int
from scipy import special

from arena.statistics.interval import ALPHA
from arena.statistics.multiplicity import holm
from arena.statistics.not_estimable import NotEstimable, Obstacle
from arena.statistics.votes import Chosen, Left, VoteTable


@dataclass(frozen=True, slots=True, kw_only=True)
class RaterSide:
    """`left` of a rater's `n` preferences fell on the left; `p` that half of them should, `p_holm` over all raters."""

    rater: str
    left: int
    n: int
    p: float
    p_holm: float

    def to_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        return {"rater": self.rater, "left": self.left, "n": self.n, "p": self.p, "p_holm": self.p_holm}


@dataclass(frozen=True, slots=True, kw_only=True)
class RaterSides:
    """Every rater with a preference whose side is known, in the table's order; if there is none, `missing` says why."""

    raters: tuple[RaterSide, ...]
    missing: tuple[NotEstimable, ...] = ()

    @property
    def flagged(self) -> tuple[RaterSide, ...]:
        """The raters whose Holm-adjusted p is below .05, the smallest p first."""
        return tuple(sorted((one for one in self.raters if one.p_holm < ALPHA), key=lambda one: (one.p, one.rater)))

    def to_dict(self) -> dict[str, Any]:
        """The number of raters tested and the flagged ones, ready for JSON."""
        return {
            "raters": len(self.raters),
            "flagged": [one.to_dict() for one in self.flagged],
            "not_estimable": [gap.to_dict() for gap in self.missing],
        }


def left_shares(table: VoteTable) -> RaterSides:
    """Every rater's left share over decisive votes; ties, both-bad votes and votes of unknown side take no side."""
    counted = (table.left != Left.UNKNOWN) & (table.choice <= Chosen.B) & (table.rater >= 0)
    if not counted.any():
        return RaterSides(raters=(), missing=(_nobody(table),))
    rater = table.rater[counted]
    took_left = table.choice[counted] == table.left[counted]
    n = np.bincount(rater)
    left = np.bincount(rater[took_left], minlength=len(n))
    tested = np.flatnonzero(n)
    p = exact_side_p(left[tested], n[tested]).tolist()
    rows = zip(tested.tolist(), left[tested].tolist(), n[tested].tolist(), p, holm(p), strict=True)
    return RaterSides(
        raters=tuple(
            RaterSide(
                rater=table.raters[code], left=on_left, n=votes, p=own, p_holm=1.0 if adjusted is None else adjusted
            )
            for code, on_left, votes, own, adjusted in rows
        )
    )


def exact_side_p(left: Int[np.ndarray, " raters"], n: Int[np.ndarray, " raters"]) -> Float64[np.ndarray, " raters"]:
    """Two-sided p of the exact binomial test that the rate is one half, as `independent.exact_binomial_p`, for many.

    Eight of ten, nine of ten and five of ten:

    >>> import numpy as np
    >>> exact_side_p(np.array([8, 9, 5]), np.array([10, 10, 10])).round(4).tolist()
    [0.1094, 0.0215, 1.0]
    """
    p: Float64[np.ndarray, " raters"] = np.minimum(1.0, 2 * special.bdtr(np.minimum(left, n - left), n, 0.5))
    return p


def _nobody(table: VoteTable) -> NotEstimable:
    decisive = table.choice <= Chosen.B
    if not decisive.any():
        obstacle, reason = Obstacle.NO_VOTES, "There is no vote yet that prefers one of the images."
    elif (table.rater[decisive] < 0).all():
        obstacle, reason = Obstacle.UNKNOWN_RATERS, "The votes do not say who cast them."
    else:
        obstacle, reason = Obstacle.UNKNOWN_SIDES, "The votes do not say which image stood on the left."
    return NotEstimable(what="left shares of raters", obstacle=obstacle, reason=reason)
