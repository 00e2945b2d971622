"""An interval and the level that every interval and test of the house uses: 95 %, two-sided."""

from dataclasses import dataclass

ALPHA = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """A two-sided 95 % interval of a rate; both ends lie in [0, 1]."""

    low: float
    high: float

    def __contains__(self, rate: float) -> bool:
        """Whether the rate lies in the interval, its ends included."""
        return self.low <= rate <= self.high
