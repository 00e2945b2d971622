"""How many votes it takes: planning a study before it starts.

In: the rate or margin that matters. Out: independent votes per entrant; multiply by the design effect that earlier
votes of the same kind showed, and plan raters too, since more votes by the same raters do not remove their taste.
Source: Chow, Shao, Wang & Lokhnygina (2017), "Sample Size Calculations in Clinical Research", section 4.1.
"""

from math import ceil, sqrt

from scipy import special

from arena.statistics.equivalence import check_margin
from arena.statistics.interval import ALPHA

POWER = 0.8


def votes_for_difference(rate: float, *, power: float = POWER) -> int:
    """Independent votes that show a true `rate` (not .5) to differ from one half, two-sided at 5 %."""
    assert 0 < rate < 1, "a rate lies between 0 and 1"
    assert rate != 0.5, "no number of votes shows a difference that is not there"
    spread = special.ndtri(1 - ALPHA / 2) * 0.5 + special.ndtri(power) * sqrt(rate * (1 - rate))
    return ceil(float(spread / (rate - 0.5)) ** 2)


def votes_for_equivalence(delta: float, *, power: float = POWER) -> int:
    """Independent votes that show a true rate of one half to lie within .5 +- `delta`, by TOST at 5 %."""
    check_margin(delta)
    spread = 0.5 * (special.ndtri(1 - ALPHA) + special.ndtri(1 - (1 - power) / 2))
    return ceil(float(spread / delta) ** 2)
