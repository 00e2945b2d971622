"""The four things a study can say about an entrant, and why it cannot say more.

In: a preference rate with its Holm-adjusted p, and a TOST. Out: one `Judgement`. Equivalent if the TOST says so (it may
still differ, by less than delta); else preferred or not preferred if the difference stands after Holm; else
inconclusive. "Not significantly different" is never read as "equivalent".
"""

from dataclasses import dataclass
from enum import StrEnum

from arena.statistics.equivalence import Tost
from arena.statistics.interval import ALPHA
from arena.statistics.planning import votes_for_equivalence
from arena.statistics.rates import PreferenceRate

# The smallest design for which tests/arena/statistics/test_calibration.py measures the headline interval's coverage.
CALIBRATED_RATERS = 12


class Verdict(StrEnum):
    """What the votes say about an entrant beside the reference."""

    PREFERRED = "preferred"
    NOT_PREFERRED = "not preferred"
    EQUIVALENT = "equivalent"
    INCONCLUSIVE = "inconclusive"


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """A verdict; `also_different` where the entrant is equivalent within delta and yet surely not at one half.

    `reasons` are sentences: what an inconclusive verdict lacks, and what to keep in mind with any verdict.
    """

    verdict: Verdict
    also_different: bool
    reasons: tuple[str, ...]


def judge(rate: PreferenceRate, equivalence: Tost) -> Judgement:
    """The verdict on the declared estimand; `rate.p_holm` must be filled in."""
    different = rate.p_holm is not None and rate.p_holm < ALPHA
    equivalent = equivalence.p is not None and equivalence.p < ALPHA
    if equivalent:
        verdict = Verdict.EQUIVALENT
    elif different and rate.rate is not None:
        verdict = Verdict.PREFERRED if rate.rate > 0.5 else Verdict.NOT_PREFERRED
    else:
        verdict = Verdict.INCONCLUSIVE
    reasons = [gap.reason for gap in rate.missing]
    if verdict is Verdict.INCONCLUSIVE and rate.n_eff is not None:
        reasons.append(_what_is_lacking(rate, rate.n_eff, equivalence.delta))
    if rate.effective_raters is not None and rate.effective_raters < CALIBRATED_RATERS:
        reasons.append(
            f"The votes weigh like those of {rate.effective_raters:.1f} equally busy raters; "
            f"the intervals' coverage is measured from {CALIBRATED_RATERS} upwards."
        )
    return Judgement(verdict=verdict, also_different=equivalent and different, reasons=tuple(reasons))


def _what_is_lacking(rate: PreferenceRate, n_eff: float, delta: float) -> str:
    points = f"±{100 * delta:g} points"
    wanted = votes_for_equivalence(delta)
    sentence = f"Neither a difference nor equivalence within {points} is shown"
    if n_eff >= wanted:
        return f"{sentence}: the rate lies too near the margin."
    return (
        f"{sentence}: {rate.n} votes count as {n_eff:.0f} independent ones, and settling {points} takes about {wanted}."
    )
