"""As good as the reference, within a margin: two one-sided tests (TOST), and the one of them called non-inferiority.

"Not significantly different" is not "equivalent": with few votes everything is the former. Here the burden lies on
equivalence: both "worse by delta or more" and "better by delta or more" must be refuted.
In: a rate with its clustered standard error and degrees of freedom. Out: a p-value.
Source: Schuirmann (1987), doi:10.1007/BF01068419.
"""

from dataclasses import dataclass

from scipy import special

from arena.statistics.interval import ALPHA
from prompts.errors import CanvasError


class MarginError(CanvasError):
    """A delta that is no margin around one half."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tost:
    """`p` is the larger of the two one-sided p-values: below .05 the rate lies within .5 +- `delta`.

    All p-values are None where the standard error is not estimable.
    """

    delta: float
    p: float | None
    p_worse: float | None  # that the rate is .5 - delta or less
    p_better: float | None  # that the rate is .5 + delta or more

    def to_dict(self) -> dict[str, float | None]:
        """The margin and the p-value, ready for JSON."""
        return {"delta": self.delta, "p": self.p}

    def non_inferiority(self) -> dict[str, float | bool | None]:
        """The half of the test that asks only whether the rate is worse than .5 by `delta` or more, ready for JSON.

        `holds` where that is refuted at 5 %, one-sided; being better by any amount does not count against it.
        """
        return {"delta": self.delta, "p": self.p_worse, "holds": None if self.p_worse is None else self.p_worse < ALPHA}


def tost(rate: float | None, se: float | None, df: float | None, *, delta: float) -> Tost:
    """Wald TOST of the rate against .5 +- `delta` on Student's t with `df` degrees of freedom (a fraction is fine).

    Raises MarginError unless 0 < delta < .5.
    """
    check_margin(delta)
    if rate is None or se is None or df is None:
        return Tost(delta=delta, p=None, p_worse=None, p_better=None)
    p_worse = float(special.stdtr(df, -(rate - (0.5 - delta)) / se))
    p_better = float(special.stdtr(df, -((0.5 + delta) - rate) / se))
    return Tost(delta=delta, p=max(p_worse, p_better), p_worse=p_worse, p_better=p_better)


def check_margin(delta: float) -> None:
    """Raise MarginError unless `delta` lies strictly between 0 and .5; .05 means five points of preference rate."""
    if not 0 < delta < 0.5:
        raise MarginError(
            f"A delta of {delta} is no equivalence margin. Give a share of votes between 0 and 0.5, such as 0.05."
        )
