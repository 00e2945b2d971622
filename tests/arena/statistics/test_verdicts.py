from dataclasses import replace

import pytest

from arena.statistics.equivalence import tost
from arena.statistics.not_estimable import NotEstimable, Obstacle
from arena.statistics.rates import PreferenceRate
from arena.statistics.verdicts import Verdict, judge

RATE = PreferenceRate(rate=0.6, n=900, raters=60, prompts=300, effective_raters=50.0, se=0.02, df=49.0, n_eff=600.0)


@pytest.mark.parametrize(
    ("rate", "se", "p_holm", "verdict", "also_different"),
    [
        (0.60, 0.02, 0.001, Verdict.PREFERRED, False),
        (0.40, 0.02, 0.001, Verdict.NOT_PREFERRED, False),
        (0.50, 0.01, 0.900, Verdict.EQUIVALENT, False),
        (0.52, 0.005, 0.001, Verdict.EQUIVALENT, True),
        (0.50, 0.10, 0.900, Verdict.INCONCLUSIVE, False),
        (0.56, 0.03, 0.051, Verdict.INCONCLUSIVE, False),
        (0.60, 0.02, 0.050, Verdict.INCONCLUSIVE, False),
    ],
)
def test_equivalence_is_asked_first_then_the_difference_then_nothing_is_claimed(
    rate: float, se: float, p_holm: float, verdict: Verdict, also_different: bool
) -> None:
    found = judge(replace(RATE, rate=rate, se=se, p_holm=p_holm), tost(rate, se, 49.0, delta=0.05))

    assert (found.verdict, found.also_different) == (verdict, also_different)


def test_not_significant_is_not_equivalent_and_the_verdict_says_how_many_votes_it_takes() -> None:
    few = replace(RATE, rate=0.5, n=90, n_eff=45.0, se=0.07, p_holm=1.0)

    found = judge(few, tost(0.5, 0.07, 49.0, delta=0.05))

    assert found.verdict is Verdict.INCONCLUSIVE
    (reason,) = found.reasons
    assert "90 votes count as 45 independent ones" in reason
    assert "settling ±5 points takes about 857" in reason


def test_few_raters_are_named_with_any_verdict() -> None:
    few = replace(RATE, effective_raters=4.2, p_holm=0.001)

    found = judge(few, tost(0.6, 0.02, 3.2, delta=0.05))

    assert found.verdict is Verdict.PREFERRED
    assert "like those of 4.2 equally busy raters" in found.reasons[0]


def test_what_is_not_estimable_is_inconclusive_with_its_reason() -> None:
    gap = NotEstimable(what="rate", obstacle=Obstacle.NO_VOTES, reason="There are no votes yet.")

    found = judge(
        PreferenceRate(rate=None, n=0, raters=0, prompts=0, missing=(gap,)), tost(None, None, None, delta=0.05)
    )

    assert found.verdict is Verdict.INCONCLUSIVE
    assert found.reasons == ("There are no votes yet.",)
