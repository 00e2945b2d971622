"""Do the intervals keep their promise? Fixed seeds, a few seconds; bands allow two Monte-Carlo standard errors.

Spreads in logits: rater .45, rater by entrant .20, prompt .90; raters are unequally busy. With more arenas, and for any
other design: `python benchmarks/calibration.py`.
"""

from math import sqrt

import numpy as np
import pytest

from arena.statistics.equivalence import tost
from arena.statistics.multiplicity import holm
from arena.statistics.rates import preference_rate
from arena.statistics.sequential import look_at
from arena.statistics.simulator import REFERENCE, ArenaDesign, simulate_votes
from arena.statistics.stopping import StoppingRule
from arena.statistics.votes import Outcomes, outcomes_against, outcomes_of_each

ARENAS = [
    ArenaDesign(raters=12, prompts=200, votes=600, rates=(0.45,), tie_share=0.1),
    ArenaDesign(raters=48, prompts=1632, votes=1440, rates=(0.55,), tie_share=0.15, side_bias=0.2),
    ArenaDesign(raters=200, prompts=1632, votes=3000, rates=(0.35,), activity=0.8, spammers=10, both_bad_share=0.1),
]


def allowed(share: float, repeats: int) -> float:
    """Two Monte-Carlo standard errors of a share."""
    return 2 * sqrt(share * (1 - share) / repeats)


@pytest.mark.parametrize("design", ARENAS, ids=lambda design: f"{design.raters} raters")
def test_the_headline_interval_covers_the_truth_as_often_as_it_says(design: ArenaDesign) -> None:
    rng, repeats = np.random.default_rng(20), 600
    (half_tie,), (ties_dropped,) = design.true_half_tie(), design.true_ties_dropped()
    covered = np.zeros(2)

    for _ in range(repeats):
        outcomes = outcomes_against(simulate_votes(design, rng), "entrant-0", REFERENCE)
        half, dropped = (preference_rate(outcomes, ties=ties).interval for ties in ("half", "drop"))
        covered += (half is not None and half_tie in half, dropped is not None and ties_dropped in dropped)

    for share in covered / repeats:
        assert 0.935 - allowed(0.95, repeats) <= share <= 0.970 + allowed(0.95, repeats)


def test_intervals_for_independent_votes_would_have_promised_too_much() -> None:
    design, rng, repeats = ARENAS[0], np.random.default_rng(21), 400
    (truth,) = design.true_ties_dropped()
    covered = 0

    for _ in range(repeats):
        outcomes = outcomes_against(simulate_votes(design, rng), "entrant-0", REFERENCE)
        independent = preference_rate(outcomes, ties="drop").independent
        covered += independent is not None and truth in independent.wilson

    assert covered / repeats < 0.85


@pytest.mark.parametrize("margin", [0.45, 0.55])
def test_at_the_margin_equivalence_is_claimed_no_more_often_than_allowed(margin: float) -> None:
    design = ArenaDesign(raters=200, prompts=1632, votes=4000, tie_share=0.2).with_truth(margin, ties="half")
    rng, repeats = np.random.default_rng(22), 400
    claimed = 0

    for _ in range(repeats):
        rate = preference_rate(outcomes_against(simulate_votes(design, rng), "entrant-0", REFERENCE), ties="half")
        p = tost(rate.rate, rate.se, rate.df, delta=0.05).p
        claimed += p is not None and p < 0.05

    assert claimed / repeats <= 0.062 + allowed(0.05, repeats)


def test_six_entrants_as_good_as_the_reference_seldom_give_a_false_claim() -> None:
    design = ArenaDesign(raters=48, prompts=400, votes=3000, rates=(0.5,) * 6)
    rng, repeats = np.random.default_rng(23), 300
    adjusted_claims = unadjusted_claims = 0

    for _ in range(repeats):
        outcomes = outcomes_of_each(simulate_votes(design, rng), design.entrants, REFERENCE)
        p_values = [preference_rate(one, ties="half").p for one in outcomes]
        adjusted_claims += any(p is not None and p < 0.05 for p in holm(p_values))
        unadjusted_claims += any(p is not None and p < 0.05 for p in p_values)

    assert adjusted_claims / repeats <= 0.075 + allowed(0.05, repeats)
    assert unadjusted_claims / repeats > 0.12


def test_whoever_looks_every_50_votes_is_misled_by_the_headline_interval_but_not_by_the_bound() -> None:
    design = ArenaDesign(raters=48, prompts=400, votes=1500)
    rule = StoppingRule(look_every=50, min_raters=12)
    rng, repeats = np.random.default_rng(24), 150
    by_bound = by_headline = 0

    for _ in range(repeats):
        outcomes = outcomes_against(simulate_votes(design, rng), "entrant-0", REFERENCE)
        rates = [preference_rate(first_votes(outcomes, n), ties="half") for n in range(50, 1501, 50)]
        by_bound += any((look_at(rate, rule).p or 1.0) < 0.05 for rate in rates)
        by_headline += any((rate.p or 1.0) < 0.05 for rate in rates)

    assert by_bound / repeats <= 0.075
    assert by_headline / repeats > 0.15


def first_votes(outcomes: Outcomes, n: int) -> Outcomes:
    return Outcomes(value=outcomes.value[:n], rater=outcomes.rater[:n], prompt=outcomes.prompt[:n], both_bad=0)
