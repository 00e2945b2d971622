import json

import numpy as np
import pytest

from arena.statistics.against_reference import compare_with_reference
from arena.statistics.equivalence import MarginError
from arena.statistics.multiplicity import holm
from arena.statistics.simulator import REFERENCE, ArenaDesign, simulate_votes
from arena.statistics.verdicts import Verdict

DESIGN = ArenaDesign(
    raters=80, prompts=400, votes=12000, rates=(0.65, 0.5, 0.3), sd_rater=0.2, sd_prompt=0.4, tie_share=0.1
)


def test_each_entrant_gets_the_verdict_that_its_truth_deserves() -> None:
    votes = simulate_votes(DESIGN, np.random.default_rng(1))

    found = compare_with_reference(votes, reference=REFERENCE, entrants=DESIGN.entrants, delta=0.05)

    assert [result.judgement.verdict for result in found] == [
        Verdict.PREFERRED,
        Verdict.EQUIVALENT,
        Verdict.NOT_PREFERRED,
    ]


def test_holm_runs_over_the_declared_entrants_for_each_estimand() -> None:
    votes = simulate_votes(DESIGN, np.random.default_rng(2))

    found = compare_with_reference(votes, reference=REFERENCE, entrants=(*DESIGN.entrants, "not yet"), delta=0.05)

    for rates in ([result.half_tie for result in found], [result.ties_dropped for result in found]):
        assert [rate.p_holm for rate in rates] == holm([rate.p for rate in rates])
    assert found[-1].half_tie.p_holm is None
    assert found[-1].judgement.reasons == ("There are no votes yet.",)
    assert (found[-1].tie_share, found[-1].both_bad_share) == (None, None)


def test_counts_and_shares_add_up() -> None:
    votes = simulate_votes(DESIGN, np.random.default_rng(3))

    first, *_ = compare_with_reference(votes, reference=REFERENCE, entrants=DESIGN.entrants, delta=0.05)

    assert first.wins + first.losses + first.ties == first.half_tie.n
    assert first.ties_dropped.n == first.wins + first.losses
    assert first.half_tie.rate == pytest.approx((first.wins + first.ties / 2) / first.half_tie.n)
    assert first.tie_share == pytest.approx(0.1, abs=0.02)
    assert first.both_bad_share == 0


def test_ties_choose_the_estimand_of_the_verdict_only() -> None:
    votes = simulate_votes(DESIGN, np.random.default_rng(4))

    half = compare_with_reference(votes, reference=REFERENCE, entrants=DESIGN.entrants, delta=0.05, ties="half")
    drop = compare_with_reference(votes, reference=REFERENCE, entrants=DESIGN.entrants, delta=0.05, ties="drop")

    assert [result.half_tie for result in half] == [result.half_tie for result in drop]
    assert [result.ties_dropped for result in half] == [result.ties_dropped for result in drop]
    assert half[1].tost != drop[1].tost


def test_swapping_which_model_is_called_a_changes_nothing() -> None:
    votes = simulate_votes(DESIGN, np.random.default_rng(5))
    swapped = votes.__class__(
        **{
            **{name: getattr(votes, name) for name in votes.__slots__},
            "model_a": votes.model_b,
            "model_b": votes.model_a,
            "left": (1 - votes.left).astype(np.int8),
            "choice": np.where(votes.choice <= 1, 1 - votes.choice, votes.choice).astype(np.int8),
        }
    )

    one = compare_with_reference(votes, reference=REFERENCE, entrants=DESIGN.entrants, delta=0.05)
    other = compare_with_reference(swapped, reference=REFERENCE, entrants=DESIGN.entrants, delta=0.05)

    assert one == other


def test_a_result_is_plain_json() -> None:
    votes = simulate_votes(DESIGN, np.random.default_rng(6))

    found = compare_with_reference(votes, reference=REFERENCE, entrants=(*DESIGN.entrants, "not yet"), delta=0.05)

    for result in found:
        assert json.loads(json.dumps(result.to_dict(), allow_nan=False)) == result.to_dict()


def test_a_margin_that_is_none_is_refused() -> None:
    votes = simulate_votes(DESIGN, np.random.default_rng(7))

    with pytest.raises(MarginError, match="is no equivalence margin"):
        compare_with_reference(votes, reference=REFERENCE, entrants=DESIGN.entrants, delta=0.7)
