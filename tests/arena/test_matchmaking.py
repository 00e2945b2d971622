import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from arena.matchmaking import Comparison, choose

SHAPES = st.tuples(st.integers(1, 4), st.integers(1, 5), st.integers(1, 2))


def drawn(
    shown: np.ndarray, seen: set[Comparison], rng: np.random.Generator, lefts: int = 0, rights: int = 0
) -> Comparison:
    showing = choose(shown, seen, times_left=lefts, times_right=rights, rng=rng)
    assert showing is not None
    return showing.comparison


@given(SHAPES, st.integers(0, 2**32 - 1))
def test_a_rater_sees_every_comparison_once_and_then_nothing(shape: tuple[int, int, int], seed: int) -> None:
    rng, shown, seen = np.random.default_rng(seed), np.zeros(shape, dtype=np.int64), set[Comparison]()

    while (showing := choose(shown, seen, times_left=0, times_right=0, rng=rng)) is not None:
        assert showing.comparison not in seen
        seen.add(showing.comparison)
        at = showing.comparison
        shown[at.candidate, at.prompt, at.seed] += 1

    assert len(seen) == shown.size
    assert (shown == 1).all()


@given(SHAPES, st.integers(1, 8), st.integers(0, 2**32 - 1))
def test_showings_stay_balanced_over_candidates_comparisons_and_prompts(
    shape: tuple[int, int, int], raters: int, seed: int
) -> None:
    rng, shown = np.random.default_rng(seed), np.zeros(shape, dtype=np.int64)
    # Nobody runs out of anything: each new rater sees one comparison, as if many came and left again.
    for _ in range(raters * 3):
        at = drawn(shown, set(), rng)
        shown[at.candidate, at.prompt, at.seed] += 1

        totals = shown.sum(axis=(1, 2))
        assert totals.max() - totals.min() <= 1
        for candidate in shown:
            assert candidate.max() - candidate.min() <= 1


def test_the_least_shown_candidate_comes_first_then_its_least_shown_comparison() -> None:
    shown = np.array([[[5], [5], [5]], [[2], [0], [2]], [[4], [4], [4]]], dtype=np.int64)

    at = drawn(shown, set(), np.random.default_rng(0))

    assert at == Comparison(1, 1, 0)


def test_a_candidate_whose_comparisons_the_rater_has_all_seen_is_passed_over() -> None:
    shown = np.array([[[0], [0]], [[9], [9]]], dtype=np.int64)
    seen = {Comparison(0, 0, 0), Comparison(0, 1, 0)}

    assert drawn(shown, seen, np.random.default_rng(0)).candidate == 1


def test_among_equals_the_prompt_that_was_shown_least_over_all_candidates_wins() -> None:
    shown = np.array([[[1], [1], [1]], [[0], [2], [2]]], dtype=np.int64)

    assert {drawn(shown, set(), np.random.default_rng(seed)) for seed in range(20)} == {Comparison(0, 0, 0)}


def test_what_is_equal_in_everything_is_drawn_evenly_and_its_propensity_says_so() -> None:
    shown, rng = np.zeros((2, 3, 1), dtype=np.int64), np.random.default_rng(1)

    showings = [choose(shown, set(), times_left=0, times_right=0, rng=rng) for _ in range(6000)]

    drawn_at = [(one.comparison, one.candidate_left) for one in showings if one is not None]
    counts = np.array([drawn_at.count(place) for place in set(drawn_at)])
    assert len(counts) == 12
    # 6000 draws over 12 places: 500 each, standard deviation 21.4; five of them either way.
    assert np.abs(counts - 500).max() < 107
    assert {one.propensity for one in showings if one is not None} == {1 / 12}


@given(st.integers(0, 2**32 - 1))
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

    choose(shown, seen, times_left=0, times_right=0, rng=np.random.default_rng(0))

    assert shown.ravel().tolist() == [0, 1, 2, 3, 4, 5]
    assert seen == {Comparison(0, 0, 0)}
