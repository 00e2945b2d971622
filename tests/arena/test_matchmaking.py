import doctest
from collections import Counter
from collections.abc import Callable, Iterator
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from arena import matchmaking
from arena.matchmaking import (
    Comparison,
    Showing,
    Voted,
    category_codes,
    choose,
    choose_gold,
    choose_repeat,
    connectivity_warning,
    interval_widths,
)
from arena.statistics.interval import Interval

SHAPES = st.tuples(st.integers(1, 4), st.integers(1, 5), st.integers(1, 2))
SEEDS = st.integers(0, 2**32 - 1)


class EveryWay(np.random.Generator):
    """A generator that takes, run after run, every way that its draws can go; a random number is one of `grid`."""

    def __init__(self, grid: int) -> None:
        super().__init__(np.random.PCG64(0))
        self._grid = grid
        self._path: list[int] = []
        self._widths: list[int] = []
        self._at = 0

    def runs(self) -> Iterator[None]:
        """One step per way; between two steps, draw."""
        while True:
            self._at = 0
            yield
            while self._path and self._path[-1] == self._widths[-1] - 1:
                self._path.pop()
                self._widths.pop()
            if not self._path:
                return
            self._path[-1] += 1

    def _next(self, width: int) -> int:
        if self._at == len(self._path):
            self._path.append(0)
            self._widths.append(width)
        self._at += 1
        return self._path[self._at - 1]

    def integers(self, low: Any, *_: Any, **__: Any) -> Any:
        return self._next(int(low))

    def random(self, *_: Any, **__: Any) -> Any:
        return (self._next(self._grid) + 0.5) / self._grid


def every_outcome(draw: Callable[[np.random.Generator], Any], grid: int) -> set[Any]:
    """All that `draw` can return."""
    ways = EveryWay(grid)
    return {draw(ways) for _ in ways.runs()}


def drawn(
    shown: np.ndarray,
    seen: set[Comparison],
    rng: np.random.Generator,
    lefts: int = 0,
    rights: int = 0,
    **options: Any,
) -> Comparison:
    showing = choose(shown, seen, times_left=lefts, times_right=rights, rng=rng, **options)
    assert showing is not None
    return showing.comparison


def count(shown: np.ndarray, at: Comparison) -> None:
    shown[at.line, at.prompt, at.seed] += 1


@given(SHAPES, SEEDS)
def test_a_rater_sees_every_comparison_once_and_then_nothing(shape: tuple[int, int, int], seed: int) -> None:
    rng, shown, seen = np.random.default_rng(seed), np.zeros(shape, dtype=np.int64), set[Comparison]()

    while (showing := choose(shown, seen, times_left=0, times_right=0, rng=rng)) is not None:
        assert showing.comparison not in seen
        seen.add(showing.comparison)
        count(shown, showing.comparison)

    assert len(seen) == shown.size
    assert (shown == 1).all()


@given(SHAPES, st.integers(1, 8), st.integers(1, 3), SEEDS)
def test_showings_stay_balanced_over_lines_prompts_seeds_and_categories(
    shape: tuple[int, int, int], raters: int, kinds: int, seed: int
) -> None:
    rng, shown = np.random.default_rng(seed), np.zeros(shape, dtype=np.int64)
    categories = category_codes([str(prompt % kinds) for prompt in range(shape[1])])
    # Nobody runs out of anything: each new rater sees one comparison, as if many came and left again.
    for _ in range(raters * 3):
        count(shown, drawn(shown, set(), rng, categories=categories))

        totals = shown.sum(axis=(1, 2))
        assert totals.max() - totals.min() <= 1
        for line in shown:
            assert line.max() - line.min() <= 1
            assert np.ptp(line.sum(axis=1)) <= 1


@given(st.lists(st.integers(1, 9), min_size=2, max_size=4), st.integers(1, 60), SEEDS)
def test_a_category_gets_what_adams_method_allots_to_its_size(sizes: list[int], showings: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    categories = np.repeat(np.arange(len(sizes)), sizes)
    shown = np.zeros((1, sum(sizes), 1), dtype=np.int64)

    for _ in range(showings):
        count(shown, drawn(shown, set(), rng, categories=categories))

    # Adams: no category could give a showing to another and both still be served in the order of showings / size.
    had = np.bincount(categories, weights=shown[0, :, 0]).astype(int)
    last_given = max(Fraction(int(n) - 1, size) for n, size in zip(had, sizes, strict=True) if n)
    assert all(Fraction(int(n), size) >= last_given for n, size in zip(had, sizes, strict=True))


def test_a_rater_who_sees_few_pairs_sees_every_category_of_equal_size_equally_often() -> None:
    rng, categories = np.random.default_rng(3), np.repeat(np.arange(4), 25)
    shown, seen = np.zeros((1, 100, 2), dtype=np.int64), set[Comparison]()

    for _ in range(12):
        at = drawn(shown, seen, rng, categories=categories)
        seen.add(at)
        count(shown, at)

    assert Counter(int(categories[at.prompt]) for at in seen) == {0: 3, 1: 3, 2: 3, 3: 3}


@given(SHAPES, st.integers(1, 3), SEEDS)
def test_no_comparison_is_shown_more_often_than_the_cap(shape: tuple[int, int, int], cap: int, seed: int) -> None:
    rng, shown = np.random.default_rng(seed), np.zeros(shape, dtype=np.int64)

    while (showing := choose(shown, set(), times_left=0, times_right=0, rng=rng, cap=cap)) is not None:
        count(shown, showing.comparison)

    assert (shown == cap).all()


def test_a_line_at_its_cap_is_passed_over_even_where_it_was_shown_least() -> None:
    shown = np.array([[[2], [2]], [[9], [1]]], dtype=np.int64)

    assert drawn(shown, set(), np.random.default_rng(0), cap=2) == Comparison(1, 1, 0)


def test_the_least_shown_line_comes_first_then_its_least_shown_comparison() -> None:
    shown = np.array([[[5], [5], [5]], [[2], [0], [2]], [[4], [4], [4]]], dtype=np.int64)

    at = drawn(shown, set(), np.random.default_rng(0))

    assert at == Comparison(1, 1, 0)
    assert at.candidate == 1


def test_the_least_shown_category_comes_before_the_least_shown_prompt() -> None:
    # The category of prompts 0 and 1 was shown 3 times, that of 2 and 3 twice: 0 was never shown, and yet 2 or 3 comes.
    shown = np.array([[[0], [3], [1], [1]]], dtype=np.int64)

    at = {
        drawn(shown, set(), np.random.default_rng(seed), categories=np.array([0, 0, 1, 1])).prompt for seed in range(20)
    }

    assert at == {2, 3}


def test_a_prompt_with_less_showings_comes_before_a_seed_that_was_never_shown() -> None:
    # Prompt 0: once and never; prompt 1: never and never.
    shown = np.array([[[1, 0], [0, 0]]], dtype=np.int64)

    assert {drawn(shown, set(), np.random.default_rng(seed)).prompt for seed in range(20)} == {1}


def test_a_line_whose_comparisons_the_rater_has_all_seen_is_passed_over() -> None:
    shown = np.array([[[0], [0]], [[9], [9]]], dtype=np.int64)
    seen = {Comparison(0, 0, 0), Comparison(0, 1, 0)}

    assert drawn(shown, seen, np.random.default_rng(0)).line == 1


def test_a_category_whose_prompts_the_rater_has_all_seen_is_passed_over() -> None:
    shown = np.array([[[0], [4], [4]]], dtype=np.int64)

    at = drawn(shown, {Comparison(0, 0, 0)}, np.random.default_rng(0), categories=np.array([0, 1, 1]))

    assert at.prompt in (1, 2)


def test_among_equals_the_prompt_that_was_shown_least_over_all_lines_wins() -> None:
    shown = np.array([[[1], [1], [1]], [[0], [2], [2]]], dtype=np.int64)

    assert {drawn(shown, set(), np.random.default_rng(seed)) for seed in range(20)} == {Comparison(0, 0, 0)}


def test_among_equals_the_category_that_was_shown_least_over_all_lines_wins() -> None:
    shown = np.array([[[0], [0]], [[1], [0]]], dtype=np.int64)
    categories = np.array([0, 1])

    assert {drawn(shown, set(), np.random.default_rng(seed), categories=categories) for seed in range(20)} == {
        Comparison(0, 1, 0)
    }


def test_what_is_equal_in_everything_is_drawn_evenly_and_its_propensity_says_so() -> None:
    shown, rng = np.zeros((2, 3, 1), dtype=np.int64), np.random.default_rng(1)

    showings = [choose(shown, set(), times_left=0, times_right=0, rng=rng) for _ in range(6000)]

    drawn_at = [(one.comparison, one.candidate_left) for one in showings if one is not None]
    counts = np.array([drawn_at.count(place) for place in set(drawn_at)])
    assert len(counts) == 12
    # 6000 draws over 12 places: 500 each, standard deviation 21.4; five of them either way.
    assert np.abs(counts - 500).max() < 107
    assert {one.propensity for one in showings if one is not None} == {1 / 12}


@st.composite
def states(draw: st.DrawFn) -> dict[str, Any]:
    """A small arena in the middle of a study, and a rater in the middle of a session."""
    lines, prompts, seeds = draw(st.tuples(st.integers(1, 3), st.integers(1, 3), st.integers(1, 2)))
    places = [Comparison(*at) for at in np.ndindex(lines, prompts, seeds)]
    cells = draw(st.lists(st.integers(0, 2), min_size=len(places), max_size=len(places)))
    kinds = draw(st.lists(st.integers(0, 1), min_size=prompts, max_size=prompts))
    return {
        "shown": np.array(cells, dtype=np.int64).reshape(lines, prompts, seeds),
        "seen": draw(st.sets(st.sampled_from(places), max_size=4)),
        "times_left": draw(st.integers(0, 3)),
        "times_right": draw(st.integers(0, 3)),
        "categories": category_codes([str(kind) for kind in kinds]),
        "cap": draw(st.sampled_from([None, 2])),
    }


def check_that_propensities_sum_to_one(outcomes: set[Showing | None]) -> None:
    if outcomes == {None}:
        return
    showings = [one for one in outcomes if one is not None]
    places = [(one.comparison, one.candidate_left) for one in showings]
    assert len(set(places)) == len(showings), "one outcome, two propensities"
    assert sum(one.propensity for one in showings) == pytest.approx(1, abs=1e-12)


@given(states())
def test_the_propensities_of_all_that_could_be_drawn_sum_to_one(state: dict[str, Any]) -> None:
    outcomes = every_outcome(lambda rng: choose(**state, rng=rng), grid=2)

    check_that_propensities_sum_to_one(outcomes)


@given(states(), st.lists(st.floats(0, 1), min_size=3, max_size=3))
@settings(max_examples=30)
def test_with_active_sampling_the_propensities_sum_to_one_and_no_line_falls_below_the_floor(
    state: dict[str, Any], widths: list[float]
) -> None:
    lines = len(state["shown"])
    width = np.array(widths[:lines])

    # A line has at least .1 / 3, more than a step of the grid: every line is drawn on the way.
    outcomes = every_outcome(lambda rng: choose(**state, rng=rng, widths=width), grid=32)

    check_that_propensities_sum_to_one(outcomes)
    of_line = Counter[int]()
    for one in outcomes - {None}:
        of_line[one.comparison.line] += one.propensity
    assert all(chance >= 0.1 / lines - 1e-12 for chance in of_line.values())


def test_the_wider_a_lines_interval_the_more_often_it_is_drawn() -> None:
    shown, rng = np.zeros((3, 1, 1), dtype=np.int64), np.random.default_rng(5)
    widths = np.array([0.6, 0.3, 0.0])
    expected = 0.9 * widths / 0.9 + 0.1 / 3

    showings = [choose(shown, set(), times_left=0, times_right=0, rng=rng, widths=widths) for _ in range(6000)]

    lines = [one.comparison.line for one in showings if one is not None]
    shares = np.bincount(lines, minlength=3) / 6000
    # The standard deviation of a share is at most .0065; five of them either way.
    assert np.abs(shares - expected).max() < 0.0325
    propensity = {one.comparison.line: one.propensity for one in showings if one is not None}
    assert [propensity[line] for line in range(3)] == pytest.approx(expected / 2)


def test_weights_from_propensities_give_back_the_even_mean_that_active_sampling_bends() -> None:
    # Line 0 is always won, line 1 never; the mean over lines is one half, but line 0 is drawn far more often.
    rng, shown = np.random.default_rng(6), np.zeros((2, 1, 1), dtype=np.int64)
    widths = np.array([0.8, 0.1])

    showings = [choose(shown, set(), times_left=0, times_right=0, rng=rng, widths=widths) for _ in range(4000)]

    won = np.array([one.comparison.line == 0 for one in showings if one is not None])
    propensity = np.array([one.propensity for one in showings if one is not None])
    assert won.mean() > 0.8
    # Four outcomes (two lines, two sides), each with weight 1 / 4; standard deviation .007.
    assert (won / propensity / 4).mean() == pytest.approx(0.5, abs=0.035)


def test_lines_whose_rates_are_all_certain_are_drawn_evenly() -> None:
    shown = np.zeros((2, 1, 1), dtype=np.int64)

    outcomes = every_outcome(
        lambda rng: choose(shown, set(), times_left=2, times_right=0, rng=rng, widths=np.zeros(2)), grid=4
    )

    assert {one.propensity for one in outcomes} == {0.5}


def test_a_line_without_an_interval_may_be_anything() -> None:
    assert interval_widths([None, Interval(low=0.4, high=0.65)]) == pytest.approx([1.0, 0.25])


@given(SEEDS)
def test_a_raters_sides_never_drift_more_than_two_apart(seed: int) -> None:
    rng, shown, sides = np.random.default_rng(seed), np.zeros((1, 30, 1), dtype=np.int64), [0, 0]
    seen: set[Comparison] = set()
    for _ in range(30):
        showing = choose(shown, seen, times_left=sides[0], times_right=sides[1], rng=rng)
        assert showing is not None
        seen.add(showing.comparison)
        sides[0 if showing.candidate_left else 1] += 1

        assert abs(sides[0] - sides[1]) <= 2


def test_each_side_is_as_likely_at_every_place_in_the_session() -> None:
    rng, shown = np.random.default_rng(2), np.zeros((1, 6, 1), dtype=np.int64)
    left = np.zeros(6)
    for _ in range(2000):
        sides, seen = [0, 0], set[Comparison]()
        for place in range(6):
            showing = choose(shown, seen, times_left=sides[0], times_right=sides[1], rng=rng)
            assert showing is not None
            seen.add(showing.comparison)
            sides[0 if showing.candidate_left else 1] += 1
            left[place] += showing.candidate_left

    # 2000 raters: 1000 each, standard deviation 22.4; five of them either way.
    assert np.abs(left - 1000).max() < 112


def test_choosing_changes_nothing_it_was_given() -> None:
    shown, seen = np.arange(6, dtype=np.int64).reshape(1, 6, 1), {Comparison(0, 0, 0)}
    categories = np.array([0, 1, 0, 1, 0, 1])

    choose(shown, seen, times_left=0, times_right=0, rng=np.random.default_rng(0), categories=categories, cap=4)

    assert shown.ravel().tolist() == [0, 1, 2, 3, 4, 5]
    assert seen == {Comparison(0, 0, 0)}
    assert categories.tolist() == [0, 1, 0, 1, 0, 1]


def session(share: float, length: int, seed: int, gold: int = 0) -> list[str]:
    """What kinds of pairs a rater gets who votes on everything, and that repeats keep their rules."""
    rng, voted, had, kinds = np.random.default_rng(seed), list[Voted](), list[int](), list[str]()
    while len(kinds) < length:
        golden = choose_gold(range(gold), had, share=share if gold else 0.0, done=len(kinds), rng=rng)
        repeat = None if golden else choose_repeat(voted, share=share, done=len(kinds), rng=rng)
        if golden is not None:
            assert golden.place not in had
            had.append(golden.place)
            kinds.append("gold")
        elif repeat is not None:
            first = voted[repeat.index]
            assert repeat.comparison == first.comparison
            assert repeat.candidate_left != first.candidate_left
            assert not first.repeated
            assert repeat.index < len(voted) - 5
            voted[repeat.index] = Voted(comparison=first.comparison, candidate_left=first.candidate_left, repeated=True)
            kinds.append("repeat")
        else:
            voted.append(Voted(comparison=Comparison(0, len(voted), 0), candidate_left=bool(rng.random() < 0.5)))
            kinds.append("study")
    return kinds


@given(st.sampled_from([0.05, 0.1, 0.2]), st.integers(10, 60), SEEDS)
def test_a_repeat_comes_once_with_its_sides_changed_over_and_not_among_the_last_five(
    share: float, length: int, seed: int
) -> None:
    kinds = session(share, length, seed)

    assert kinds[:6] == ["study"] * 6
    # Never more than one ahead of the declared share, whatever the dice say.
    repeats = np.cumsum([kind == "repeat" for kind in kinds])
    assert (repeats <= share * np.arange(length) + 2).all()


@pytest.mark.parametrize(("share", "length"), [(0.05, 40), (0.1, 30), (0.2, 30), (0.1, 100)])
def test_over_sessions_the_share_of_repeats_is_as_declared_and_so_it_is_in_each(share: float, length: int) -> None:
    counts = np.array([session(share, length, seed).count("repeat") for seed in range(400)])

    # The standard deviation of a session's count is about .7, that of the mean .035.
    assert counts.mean() == pytest.approx(share * length, abs=0.2)
    assert np.abs(counts - share * length).max() <= 3


def test_gold_pairs_and_repeats_keep_their_shares_beside_each_other() -> None:
    sessions = [session(0.1, 60, seed, gold=20) for seed in range(300)]

    for kind in ("gold", "repeat"):
        assert np.mean([kinds.count(kind) for kinds in sessions]) == pytest.approx(6, abs=0.2)


def test_where_repeats_and_gold_pairs_fall_cannot_be_told_from_their_place() -> None:
    kinds = np.array([session(0.1, 40, seed, gold=20) for seed in range(600)])

    # After the first dozen pairs each place holds a repeat as often as any other: .1, standard deviation .012.
    for kind in ("gold", "repeat"):
        assert np.abs((kinds == kind)[:, 12:].mean(axis=0) - 0.1).max() < 0.06


def test_a_study_without_repeats_and_gold_pairs_shows_none() -> None:
    voted = [Voted(comparison=Comparison(0, prompt, 0), candidate_left=True) for prompt in range(20)]

    assert every_outcome(lambda rng: choose_repeat(voted, share=0.0, done=20, rng=rng), grid=16) == {None}
    assert every_outcome(lambda rng: choose_gold([0], [], share=0.0, done=20, rng=rng), grid=16) == {None}


def test_every_earlier_comparison_is_as_likely_to_come_again_and_its_propensity_says_so() -> None:
    voted = [Voted(comparison=Comparison(0, prompt, 0), candidate_left=True) for prompt in range(8)]

    outcomes = every_outcome(lambda rng: choose_repeat(voted, share=0.1, done=10, rng=rng), grid=10)

    # One behind the declared share: the chance is .2, over the three that are old enough.
    assert [one.propensity for one in outcomes if one] == pytest.approx([0.2 / 3] * 3)
    assert {one.index for one in outcomes if one} == {0, 1, 2}


def test_the_propensities_of_gold_pairs_name_the_pair_and_the_side() -> None:
    outcomes = every_outcome(lambda rng: choose_gold([3, 5, 8], [5], share=0.1, done=20, rng=rng), grid=10)

    assert {(one.place, one.better_left) for one in outcomes if one} == {(3, True), (3, False), (8, True), (8, False)}
    assert [one.propensity for one in outcomes if one] == pytest.approx([0.2 / 4] * 4)


def test_known_answers_stand_left_as_often_as_right() -> None:
    due = {"share": 0.5, "done": 40, "rng": np.random.default_rng(0)}

    after_lefts = choose_gold([0], [], times_left=2, times_right=0, **due)  # type: ignore[arg-type]
    after_rights = choose_gold([0], [], times_left=0, times_right=2, **due)  # type: ignore[arg-type]

    assert after_lefts is not None
    assert after_rights is not None
    assert (after_lefts.better_left, after_rights.better_left) == (False, True)


def test_categories_are_numbered_in_the_order_in_which_they_appear() -> None:
    assert category_codes(["b", "", "b", "a"]).tolist() == [0, 1, 0, 2]


def test_a_warning_names_the_entrants_that_no_chain_of_wins_ties_to_the_others() -> None:
    names = ["old", "ant", "bee"]
    wins = np.array([[0, 3, 0], [2, 0, 0], [0, 0, 0]])

    warning = connectivity_warning(wins, names)

    assert warning is not None
    assert "bee" in warning
    assert connectivity_warning(wins + np.array([[0, 0, 1], [0, 0, 0], [1, 0, 0]]), names) is None


def test_before_the_first_win_there_is_nothing_to_warn_of() -> None:
    assert connectivity_warning(np.zeros((3, 3), dtype=np.int64), ["old", "ant", "bee"]) is None


def test_the_examples_in_the_docstrings_are_true() -> None:
    failed, tried = doctest.testmod(matchmaking)

    assert tried >= 1
    assert failed == 0
