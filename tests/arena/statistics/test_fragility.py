import doctest
import json
import warnings
from collections.abc import Iterator
from itertools import combinations
from math import sqrt

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from arena.statistics import fragility as module
from arena.statistics.equivalence import MarginError, tost
from arena.statistics.fragility import Fragility, fragility
from arena.statistics.multiplicity import holm
from arena.statistics.not_estimable import Obstacle
from arena.statistics.rates import preference_rate
from arena.statistics.simulator import REFERENCE, ArenaDesign, simulate_votes
from arena.statistics.verdicts import Verdict, judge
from arena.statistics.votes import Outcomes, outcomes_against

OTHERS = (0.3, None, 0.004)


def _outcomes(value: list[float], rater: list[int], prompt: list[int]) -> Outcomes:
    return Outcomes(
        value=np.array(value, dtype=np.float64),
        rater=np.array(rater, dtype=np.int32),
        prompt=np.array(prompt, dtype=np.int32),
        both_bad=0,
    )


def _simulated(seed: int, **design: float) -> Outcomes:
    sizes = {"raters": 6, "prompts": 5, "votes": 12, "tie_share": 0.1} | design
    rng = np.random.default_rng(seed)
    votes = simulate_votes(ArenaDesign(rates=(float(rng.uniform(0.1, 0.9)),), **sizes), rng)
    return outcomes_against(votes, "entrant-0", REFERENCE)


def _verdict(outcomes: Outcomes, kept: np.ndarray, delta: float, others: tuple[float | None, ...] = OTHERS) -> Verdict:
    rate = preference_rate(
        Outcomes(value=outcomes.value[kept], rater=outcomes.rater[kept], prompt=outcomes.prompt[kept], both_bad=0),
        ties="half",
    )
    adjusted = holm([rate.p, *others])[0]
    rate = type(rate)(**{name: getattr(rate, name) for name in rate.__slots__} | {"p_holm": adjusted})
    return judge(rate, tost(rate.rate, rate.se, rate.df, delta=delta)).verdict


def _kept_sets(outcomes: Outcomes, by: str) -> Iterator[tuple[int, np.ndarray]]:
    """Every set of votes or raters that may go, the small ones first, as its size and the votes that stay."""
    unit = outcomes.rater if by == "raters" else np.arange(len(outcomes.value))
    units = np.unique(unit)
    keeping = 2 if by == "raters" else 10
    for size in range(1, len(units) - keeping + 1):
        for gone in combinations(units.tolist(), size):
            yield size, ~np.isin(unit, gone)


def _true_minimum(outcomes: Outcomes, by: str, delta: float) -> int | None:
    whole = _verdict(outcomes, np.ones(len(outcomes.value), dtype=bool), delta)
    sizes = (size for size, kept in _kept_sets(outcomes, by) if _verdict(outcomes, kept, delta) is not whole)
    return next(sizes, None)


def _counts(found: Fragility) -> tuple[int | None, int | None]:
    return found.votes and found.votes.count, found.raters and found.raters.count


@pytest.mark.parametrize("seed", range(20))
def test_in_a_small_arena_it_is_the_minimum_over_all_sets(seed: int) -> None:
    delta = (0.05, 0.3)[seed % 2]
    outcomes = _simulated(seed)

    found = fragility(outcomes, other_p=OTHERS, delta=delta, ties="half")

    assert _counts(found) == (_true_minimum(outcomes, "votes", delta), _true_minimum(outcomes, "raters", delta))
    assert all(one is None or one.exact for one in (found.votes, found.raters))


def test_influence_alone_never_beats_the_minimum_and_nearly_always_finds_it(monkeypatch: pytest.MonkeyPatch) -> None:
    arenas = [_simulated(seed, raters=11, prompts=8, votes=32) for seed in range(50)]
    exact = [fragility(one, other_p=OTHERS, delta=0.1, ties="half") for one in arenas]
    monkeypatch.setattr(module, "_EXHAUSTIVE_NUMBERS", 0)

    found = [fragility(one, other_p=OTHERS, delta=0.1, ties="half") for one in arenas]

    pairs = [
        (least.count, None if upper is None else upper.count)
        for a, b in zip(exact, found, strict=True)
        for least, upper in ((a.votes, b.votes), (a.raters, b.raters))
        if least is not None and least.exact
    ]
    assert len(pairs) > 40
    assert all(upper is None or upper >= least for least, upper in pairs)
    assert np.mean([upper == least for least, upper in pairs]) > 0.9


def test_independent_votes_lose_their_verdict_after_as_many_wins_as_the_t_test_says() -> None:
    # Every vote has a rater and a prompt of its own: then n_eff is n - 1 and df is n - 1.
    wins, losses = 60, 30

    def p(taken: int) -> float:
        n = wins + losses - taken
        return float(2 * stats.t.sf(abs((wins - taken) / n - 0.5) * 2 * sqrt(n - 1), n - 1))

    own = list(range(wins + losses))
    fewest = next(taken for taken in range(wins) if p(taken) >= 0.05)

    found = fragility(_outcomes([1.0] * wins + [0.0] * losses, own, own), other_p=(), delta=0.01, ties="half")

    assert found.verdict is Verdict.PREFERRED
    assert _counts(found) == (fewest, fewest)
    assert found.votes is not None
    assert found.votes.verdict is Verdict.INCONCLUSIVE
    assert set(found.votes.members) < set(range(wins))


def test_the_one_rater_who_carries_a_verdict_is_named() -> None:
    # Rater 7 alone gives thirty wins; nine others are evenly divided.
    value = [1.0] * 30 + [1.0, 0.0] * 9
    rater = [7] * 30 + [code for code in range(10, 19) for _ in range(2)]
    prompt = [number % 12 for number in range(48)]
    outcomes = _outcomes(value, rater, prompt)
    before = _verdict(outcomes, np.ones(48, dtype=bool), 0.2, ())

    found = fragility(outcomes, other_p=(), delta=0.2, ties="half")

    assert found.verdict is before is Verdict.INCONCLUSIVE
    assert found.raters is not None
    assert (found.raters.members, found.raters.exact) == ((7,), True)
    assert found.raters.verdict is Verdict.EQUIVALENT
    assert found.raters.share == pytest.approx(1 / 10)


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 2**32 - 1), st.integers(15, 300), st.sampled_from([0.02, 0.1, 0.3]))
def test_without_the_named_votes_or_raters_the_verdict_is_the_one_told(seed: int, votes: int, delta: float) -> None:
    outcomes = _simulated(seed, raters=9, prompts=20, votes=votes)

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = fragility(outcomes, other_p=OTHERS, delta=delta, ties="half")

    own = np.arange(votes)
    for removal, unit in ((found.votes, own), (found.raters, outcomes.rater)):
        if removal is not None:
            gone = np.isin(unit, removal.members)
            assert removal.count == len(set(removal.members)) == len(np.unique(unit[gone]))
            assert removal.share == pytest.approx(removal.count / len(np.unique(unit)))
            assert _verdict(outcomes, ~gone, delta) is removal.verdict is not found.verdict
            for member in removal.members[:5]:
                fewer = np.isin(unit, [one for one in removal.members if one != member])
                assert _verdict(outcomes, ~fewer, delta) is found.verdict


def test_what_other_entrants_say_can_make_a_verdict_more_fragile() -> None:
    outcomes = _simulated(5, raters=60, prompts=60, votes=600)

    alone = fragility(outcomes, other_p=(), delta=0.02, ties="half")
    among = fragility(outcomes, other_p=(0.9,) * 20, delta=0.02, ties="half")

    assert alone.verdict is among.verdict is Verdict.PREFERRED
    assert alone.votes is not None
    assert among.votes is not None
    assert among.votes.count < alone.votes.count


def test_where_ties_are_dropped_they_are_not_among_the_votes_and_rows_still_count_all() -> None:
    outcomes = _simulated(8, raters=30, prompts=40, votes=400, tie_share=0.3)
    decisive = outcomes.without_ties()

    found = fragility(outcomes, other_p=OTHERS, delta=0.1, ties="drop")

    assert found.votes is not None
    assert (outcomes.value[list(found.votes.members)] != 0.5).all()
    assert found.votes.share == pytest.approx(found.votes.count / len(decisive.value))
    kept = np.ones(400, dtype=bool)
    kept[list(found.votes.members)] = False
    kept &= outcomes.value != 0.5
    assert _verdict(outcomes, kept, 0.1) is found.votes.verdict
    assert _counts(found) == _counts(fragility(decisive, other_p=OTHERS, delta=0.1, ties="half"))


@pytest.mark.parametrize(
    ("outcomes", "obstacle"),
    [
        (_outcomes([], [], []), Obstacle.NO_VOTES),
        (_outcomes([1.0, 0.0], [-1, 0], [0, 1]), Obstacle.UNKNOWN_RATERS),
        (_outcomes([1.0, 0.0], [0, 1], [-1, 1]), Obstacle.UNKNOWN_PROMPTS),
        (_outcomes([1.0, 0.0], [0, 1], [0, 1]), Obstacle.NO_CHANGE),
        (_outcomes([1.0] * 20, [0] * 20, list(range(20))), Obstacle.NO_CHANGE),
    ],
)
def test_what_cannot_be_had_is_named(outcomes: Outcomes, obstacle: Obstacle) -> None:
    found = fragility(outcomes, other_p=(), delta=0.05, ties="half")

    assert _counts(found) == (None, None)
    assert [(gap.what, gap.obstacle) for gap in found.missing] == [
        ("fewest votes", obstacle),
        ("fewest raters", obstacle),
    ]
    assert json.loads(json.dumps(found.to_dict(), allow_nan=False)) == found.to_dict()


def test_a_result_is_plain_json() -> None:
    found = fragility(_simulated(1, votes=60), other_p=OTHERS, delta=0.3, ties="half")

    assert json.loads(json.dumps(found.to_dict(), allow_nan=False)) == found.to_dict()


def test_a_margin_that_is_none_is_refused() -> None:
    with pytest.raises(MarginError, match="is no equivalence margin"):
        fragility(_simulated(1), other_p=(), delta=0.7, ties="half")


def test_the_examples_in_the_docstrings_are_true() -> None:
    failed, tried = doctest.testmod(module)

    assert tried > 5
    assert failed == 0
