"""When strengths exist, and what is said when they do not. The linear program is held against what the fit does."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize

from arena.statistics.connectivity import strong_groups, why_no_maximum, why_not_ranked
from arena.statistics.likelihood import estimate
from arena.statistics.paired_counts import PairedCounts


def _beats(*pairs: str) -> np.ndarray:
    names = sorted(set("".join(pairs)))
    beats = np.zeros((len(names), len(names)), dtype=np.bool_)
    for winner, loser in pairs:
        beats[names.index(winner), names.index(loser)] = True
    return beats


def _counts(first: list[list[int]], second: list[list[int]], ties: list[list[int]] | None = None) -> PairedCounts:
    blank = np.zeros((len(first), len(first)))
    return PairedCounts(
        first=np.array(first, dtype=np.float64),
        second=np.array(second, dtype=np.float64),
        ties=blank if ties is None else np.array(ties, dtype=np.float64),
    )


def test_a_circle_of_wins_ranks_everybody() -> None:
    assert why_not_ranked(_beats("ab", "bc", "ca"), "abc") is None
    assert strong_groups(_beats("ab", "bc", "ca")).tolist() == [0, 0, 0]


@pytest.mark.parametrize(
    ("beats", "sentence"),
    [
        (_beats("ab", "ac", "bc", "cb"), "[a] was never beaten by any of [b, c]."),
        (_beats("ab", "ba", "ac", "bc"), "[c] never beat any of [a, b]."),
        (
            _beats("ab", "ba", "cd", "dc"),
            "no vote prefers any of [c, d] to any of [a, b], or the other way round.",
        ),
        (_beats("ab", "bc"), "[c] never beat any of [a, b]. The votes leave 3 groups apart."),
    ],
)
def test_what_keeps_groups_apart_is_named(beats: np.ndarray, sentence: str) -> None:
    assert why_not_ranked(beats, "abcd"[: len(beats)]) == f"The strengths cannot be put on one scale: {sentence}"


def test_many_and_long_names_are_cut() -> None:
    beats = np.zeros((9, 9), dtype=np.bool_)
    beats[0, 1:] = True

    reason = why_not_ranked(beats, ["x" * 10_000, *map(str, range(1, 9))])

    assert reason is not None
    assert len(reason) < 400


def test_sides_that_never_change_cannot_be_told_from_strengths() -> None:
    always_left = _counts([[0, 5], [0, 0]], [[0, 3], [0, 0]])

    assert why_no_maximum(always_left, "ab", ties=False, side=False) is None
    assert "cannot be told from the entrants" in str(why_no_maximum(always_left, "ab", ties=False, side=True))


def test_a_side_that_always_wins_has_no_finite_worth() -> None:
    left_wins = _counts([[0, 5], [5, 0]], [[0, 0], [0, 0]])

    assert "do not vary enough" in str(why_no_maximum(left_wins, "ab", ties=False, side=True))


def test_ties_beside_one_way_wins_run_off_together() -> None:
    # Strength and readiness to tie can grow together for ever: both outcomes then keep their share of one half.
    one_way = _counts([[0, 1], [0, 0]], [[0, 0], [0, 0]], [[0, 1], [0, 0]])

    assert "wins go one way" in str(why_no_maximum(one_way, "ab", ties=True, side=False))


def test_votes_without_a_tie_or_without_a_preference_say_so() -> None:
    decisive, tied = (
        _counts([[0, 2], [0, 0]], [[0, 1], [0, 0]]),
        _counts([[0, 0], [0, 0]], [[0, 0], [0, 0]], [[0, 3], [0, 0]]),
    )

    assert "No vote is a tie" in str(why_no_maximum(decisive, "ab", ties=True, side=False))
    assert "No vote prefers" in str(why_no_maximum(tied, "ab", ties=True, side=False))


small = st.lists(st.integers(0, 2), min_size=9, max_size=9)


@settings(max_examples=150, deadline=None)
@given(first=small, second=small, tied=small, ties=st.booleans(), side=st.booleans())
def test_strengths_are_refused_exactly_where_the_likelihood_has_no_highest_point(
    first: list[int], second: list[int], tied: list[int], ties: bool, side: bool
) -> None:
    off_diagonal = 1 - np.eye(3)
    tables = [np.array(values, dtype=np.float64).reshape(3, 3) * off_diagonal for values in (first, second, tied)]
    if not side:
        tables = [
            np.triu(table + mirror.T) for table, mirror in zip(tables, (tables[1], tables[0], tables[2]), strict=True)
        ]
        tables[1] = np.triu(tables[1])
    counts = PairedCounts(first=tables[0], second=tables[1], ties=tables[2])

    reason = why_no_maximum(counts, "abc", ties=ties, side=side)

    # With a faint pull to some point there is always a highest one. Where there is one without it, it hardly cares how
    # faint the pull is, or to where; else it runs off like log(1 / pull), or goes where it is pulled.
    near, far = (_highest_point(counts, ties=ties, side=side, pull=pull, to=to) for pull, to in ((1e-4, 0), (1e-6, 1)))
    moved = float(np.abs(near - far).max())
    assert (reason is None) == (moved < 0.05), (reason, moved)
    if reason is None:
        found = estimate(counts, reference=0, ties=ties, side=side)
        assert found.strengths[1:] == pytest.approx(near[:2], abs=2e-2)


def _highest_point(counts: PairedCounts, *, ties: bool, side: bool, pull: float, to: float) -> np.ndarray:
    # A point in no special direction, so that a pull to it shows in every direction that the votes leave open.
    aim = to * np.array([1.0, 0.37, -0.61, 0.83])[: 2 + int(side) + int(ties)]
    observed = np.stack([counts.first, counts.second, counts.ties * ties])

    def loss(point: np.ndarray) -> tuple[float, np.ndarray]:
        strengths = np.append(0.0, point[:2])
        gap = strengths[:, None] - strengths[None, :] + (point[2] if side else 0.0)
        log_nu = point[-1] if ties else -1e3
        logits = np.stack([gap / 2, -gap / 2, np.full_like(gap, log_nu)])
        top = logits.max(axis=0)
        total = top + np.log(np.exp(logits - top).sum(axis=0))
        chance = np.exp(logits - total)
        surprise = observed - observed.sum(axis=0) * chance
        lean = (surprise[0] - surprise[1]) / 2
        slopes = (lean.sum(axis=1) - lean.sum(axis=0))[1:]
        gradient = np.concatenate([slopes, [lean.sum()] * side, [surprise[2].sum()] * ties])
        value = float((observed * (logits - total)).sum())
        return pull * float((point - aim) @ (point - aim)) / 2 - value, pull * (point - aim) - gradient

    found = minimize(loss, aim, jac=True, method="BFGS", options={"gtol": 1e-12, "maxiter": 5000})
    return np.asarray(found.x)
