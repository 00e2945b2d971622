"""Does the side of the page matter? The left image's share of the decisive votes, clustered by rater.

In: a `VoteTable`. Out: a `PositionTest`. Sides are drawn at random, so whatever the entrants are worth, half of the
preferences should fall on the left; a share away from one half is a habit of the raters.
Source: one-way clustered variance as in `clustered.py`, with Student's t on G* - 1 degrees of freedom.
"""

from dataclasses import dataclass
from math import sqrt
from typing import Any

import numpy as np
from scipy import special

from arena.statistics.clustered import cluster_count, effective_clusters, rater_variance
from arena.statistics.not_estimable import NotEstimable, Obstacle
from arena.statistics.rates import headline_p
from arena.statistics.votes import Chosen, Left, VoteTable


@dataclass(frozen=True, slots=True, kw_only=True)
class PositionTest:
    """`left_share` of `n` decisive votes, and the two-sided p that it is one half; where None, `missing` says why."""

    left_share: float | None
    n: int
    se: float | None = None
    df: float | None = None
    p: float | None = None
    missing: tuple[NotEstimable, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Ready for JSON; what is not estimable is null."""
        return {
            "left_share": self.left_share,
            "se": self.se,
            "p": self.p,
            "n": self.n,
            "df": self.df,
            "not_estimable": [gap.to_dict() for gap in self.missing],
        }


def position_test(table: VoteTable) -> PositionTest:
    """Over all decisive votes whose sides were written down; ties and both-bad votes take no side."""
    counted = (table.left != Left.UNKNOWN) & (table.choice <= Chosen.B)
    took_left = (table.choice[counted] == table.left[counted]).astype(np.float64)
    rater = table.rater[counted]
    n = len(took_left)
    if n == 0:
        return _without_share(table)
    share = float(took_left.sum()) / n
    if rater.min() < 0:
        reason = "The votes do not say who cast them, so how much raters differ is unknown."
        return _without_test(share, n, Obstacle.UNKNOWN_RATERS, reason)
    if cluster_count(rater) == 1:
        reason = "All votes come from one rater, which says nothing about other raters."
        return _without_test(share, n, Obstacle.ONE_RATER, reason)
    effective_raters = effective_clusters(rater)
    df = effective_raters - 1
    residuals = took_left - share
    if not residuals.any():
        reason = f"All {n} votes fell on one side, so the spread cannot be seen; the test takes each rater as one vote."
        gap = NotEstimable(what="standard error", obstacle=Obstacle.ALL_VOTES_ALIKE, reason=reason)
        return PositionTest(left_share=share, n=n, df=df, p=headline_p(share, effective_raters, df), missing=(gap,))
    se = sqrt(rater_variance(residuals, rater).variance)
    p = min(1.0, 2 * float(special.stdtr(df, -abs(share - 0.5) / se)))
    return PositionTest(left_share=share, n=n, se=se, df=df, p=p)


def _without_share(table: VoteTable) -> PositionTest:
    if len(table) and (table.left == Left.UNKNOWN).all():
        obstacle, reason = Obstacle.UNKNOWN_SIDES, "The votes do not say which image stood on the left."
    else:
        obstacle, reason = Obstacle.NO_VOTES, "There is no vote yet that prefers one of the images."
    return PositionTest(
        left_share=None, n=0, missing=(NotEstimable(what="left share", obstacle=obstacle, reason=reason),)
    )


def _without_test(share: float, n: int, obstacle: Obstacle, reason: str) -> PositionTest:
    return PositionTest(left_share=share, n=n, missing=(NotEstimable(what="test", obstacle=obstacle, reason=reason),))
