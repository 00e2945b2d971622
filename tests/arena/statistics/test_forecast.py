import doctest
import json
from math import sqrt

import numpy as np
import pytest

from arena.statistics import forecast as module
from arena.statistics.against_reference import compare_with_reference
from arena.statistics.equivalence import MarginError
from arena.statistics.forecast import Forecast, forecast
from arena.statistics.rates import Ties
from arena.statistics.simulator import REFERENCE, ArenaDesign, simulate_votes
from arena.statistics.verdicts import Verdict

DESIGN = ArenaDesign(raters=24, prompts=80, votes=800, rates=(0.75, 0.5), tie_share=0.2)


def _forecast(*, repeats: int = 60, seed: int = 1, ties: Ties = "half", design: ArenaDesign = DESIGN) -> Forecast:
    return forecast(design, delta=0.05, ties=ties, repeats=repeats, rng=np.random.default_rng(seed))


@pytest.mark.parametrize("ties", ["half", "drop"])
def test_it_counts_what_the_board_would_say_of_each_simulated_study(ties: Ties) -> None:
    rng = np.random.default_rng(1)
    boards = [
        compare_with_reference(
            simulate_votes(DESIGN, rng), reference=REFERENCE, entrants=DESIGN.entrants, delta=0.05, ties=ties
        )
        for _ in range(60)
    ]
    truths = DESIGN.true_half_tie() if ties == "half" else DESIGN.true_ties_dropped()

    found = _forecast(ties=ties)

    for place, entrant in enumerate(found.entrants):
        rows = [board[place] for board in boards]
        rates = [row.half_tie if ties == "half" else row.ties_dropped for row in rows]
        for verdict in Verdict:
            share = sum(row.judgement.verdict is verdict for row in rows) / 60
            assert entrant.verdicts[verdict].share == share
        covered = sum(rate.interval is not None and truths[place] in rate.interval for rate in rates)
        assert entrant.true_rate == truths[place]
        assert entrant.coverage is not None
        assert entrant.coverage.share == covered / 60
        assert entrant.interval_width == pytest.approx(
            np.mean([rate.interval.high - rate.interval.low for rate in rates if rate.interval is not None])
        )
        assert entrant.design_effect == pytest.approx(np.mean([rate.design_effect for rate in rates]))


def test_the_shares_add_up_and_their_errors_shrink_with_the_root_of_the_studies() -> None:
    few, many = _forecast(repeats=20), _forecast(repeats=80)

    for entrant in (*few.entrants, *many.entrants):
        assert sum(one.share for one in entrant.verdicts.values()) == pytest.approx(1)
        assert all(one.se > 0 for one in entrant.verdicts.values())
    never = Verdict.NOT_PREFERRED
    assert (few.entrants[0].verdicts[never].share, many.entrants[0].verdicts[never].share) == (0, 0)
    assert many.entrants[0].verdicts[never].se < few.entrants[0].verdicts[never].se
    even = next(one for one in many.entrants[1].verdicts.values() if 0.2 < one.share < 0.8 or one.share > 0.8)
    assert even.se == pytest.approx(sqrt(even.share * (1 - even.share) / 80), abs=0.02)


def test_the_same_seed_gives_the_same_forecast_and_each_study_is_told_of() -> None:
    steps: list[int] = []

    found = forecast(
        DESIGN, delta=0.05, repeats=5, rng=np.random.default_rng(3), on_step=lambda: steps.append(len(steps))
    )

    assert steps == [0, 1, 2, 3, 4]
    assert found.to_dict() == _forecast(repeats=5, seed=3).to_dict()
    assert found.to_dict() != _forecast(repeats=5, seed=4).to_dict()


def test_studies_without_an_interval_have_no_coverage_and_no_width() -> None:
    design = ArenaDesign(raters=1, prompts=10, votes=30)

    (entrant,) = _forecast(repeats=3, design=design).entrants

    assert entrant.with_interval == 0
    assert (entrant.coverage, entrant.interval_width, entrant.design_effect) == (None, None, None)
    assert entrant.verdicts[Verdict.INCONCLUSIVE].share == 1
    assert json.dumps(entrant.to_dict(), allow_nan=False)


def test_a_margin_that_is_none_is_refused() -> None:
    with pytest.raises(MarginError):
        forecast(DESIGN, delta=0.0, repeats=1, rng=np.random.default_rng(1))


def test_the_examples_give_what_they_say() -> None:
    failed, tried = doctest.testmod(module)

    assert tried > 0
    assert failed == 0
