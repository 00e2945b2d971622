"""Do the intervals keep their promise? Fixed seeds, a few seconds; bands allow two Monte-Carlo standard errors.

Spreads in logits: rater .45, rater by entrant .20, prompt .90; raters are unequally busy.
"""

from math import sqrt

import numpy as np
import pytest

from arena.statistics.against_reference import compare_with_reference
from arena.statistics.equivalence import tost
from arena.statistics.rates import preference_rate
from arena.statistics.simulator import REFERENCE, ArenaDesign, simulate_votes
from arena.statistics.votes import outcomes_against

ARENAS = [
    ArenaDesign(raters=12, prompts=200, votes=600, rates=(0.45,), activity=0.5),
    ArenaDesign(raters=48, prompts=1632, votes=1440, rates=(0.55,), activity=0.5, tie_share=0.15, side_bias=0.2),
    ArenaDesign(raters=200, prompts=1632, votes=3000, rates=(0.35,), activity=0.8),
]


@pytest.mark.parametrize("design", ARENAS, ids=lambda design: f"{design.raters} raters")
def test_the_headline_interval_covers_the_truth_as_often_as_it_says(design: ArenaDesign) -> None:
    rng, repeats = np.random.default_rng(20), 1200
    (truth,) = design.true_half_tie()
    covered = 0

    for _ in range(repeats):
        outcomes = outcomes_against(simulate_votes(design, rng), "entrant-0", REFERENCE)
        interval = preference_rate(outcomes, ties="half").interval
        covered += interval is not None and truth in interval

    allowed = 2 * sqrt(0.95 * 0.05 / repeats)
    assert 0.935 - allowed <= covered / repeats <= 0.970 + allowed


def test_intervals_for_independent_votes_would_have_promised_too_much() -> None:
    design, rng, repeats = ARENAS[0], np.random.default_rng(21), 400
    (truth,) = design.true_ties_dropped()
    covered = 0

    for _ in range(repeats):
        outcomes = outcomes_against(simulate_votes(design, rng), "entrant-0", REFERENCE)
        independent = preference_rate(outcomes, ties="drop").independent
        covered += independent is not None and truth in independent.wilson

    assert covered / repeats < 0.85


def test_at_the_margin_equivalence_is_claimed_no_more_often_than_allowed() -> None:
    design = ArenaDesign(raters=200, prompts=1632, votes=4000, rates=(0.45,))
    rng, repeats = np.random.default_rng(22), 1000
    claimed = 0

    for _ in range(repeats):
        rate = preference_rate(outcomes_against(simulate_votes(design, rng), "entrant-0", REFERENCE), ties="half")
        p = tost(rate.rate, rate.se, rate.df, delta=0.05).p
        claimed += p is not None and p < 0.05

    assert claimed / repeats <= 0.062 + 2 * sqrt(0.05 * 0.95 / repeats)


def test_six_entrants_as_good_as_the_reference_seldom_give_a_false_claim() -> None:
    design = ArenaDesign(raters=48, prompts=400, votes=3000, rates=(0.5,) * 6)
    rng, repeats = np.random.default_rng(23), 300
    false_claims = 0

    for _ in range(repeats):
        found = compare_with_reference(
            simulate_votes(design, rng), reference=REFERENCE, entrants=design.entrants, delta=0.05
        )
        false_claims += any((result.half_tie.p_holm or 1) < 0.05 for result in found)

    assert false_claims / repeats <= 0.075 + 2 * sqrt(0.05 * 0.95 / repeats)
