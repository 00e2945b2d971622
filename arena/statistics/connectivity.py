"""Can these votes rank these entrants at all? When not, the strengths would run off to infinity, and we say why.

In: K x K counts. Out: None, or a sentence that names what is in the way. Strengths of all entrants on one scale need,
for every way to part the entrants in two, somebody in each part who was preferred to somebody in the other: the graph
of wins must be strongly connected. A side term or ties ask for more; whether the likelihood then has one highest point
is decided exactly, by a linear program over the directions in which it never falls.
Source: Ford (1957), doi:10.1080/00029890.1957.11989117, for the graph; Albert & Anderson (1984),
doi:10.1093/biomet/71.1.1, and Konis (2007), DPhil thesis, Oxford, for the directions.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float64, Int
from scipy import sparse
from scipy.sparse.csgraph import connected_components

from arena.statistics.paired_counts import PairedCounts

# A group of more entrants than this is named by its first ones and a count.
_NAMED = 6


def strong_groups(beats: Bool[np.ndarray, "entrants entrants"]) -> Int[np.ndarray, " entrants"]:
    """The number of each entrant's group; within a group everybody beat everybody, directly or by way of others."""
    _, group = connected_components(sparse.csr_matrix(beats), directed=True, connection="strong")
    numbers: Int[np.ndarray, " entrants"] = group
    return numbers


def why_not_ranked(beats: Bool[np.ndarray, "entrants entrants"], names: Sequence[str]) -> str | None:
    """None where the graph of wins (`beats[i, j]`: i was preferred to j at least once) is strongly connected.

    >>> import numpy as np
    >>> print(why_not_ranked(np.array([[False, True], [False, False]]), ["a", "b"]))
    The strengths cannot be put on one scale: [b] never beat any of [a].
    """
    group = strong_groups(beats)
    if group.max(initial=0) == 0:
        return None
    members = [np.flatnonzero(group == number) for number in range(int(group.max()) + 1)]
    members.sort(key=lambda rows: (-len(rows), int(rows[0])))
    lacking = next(filter(None, (_what_lacks(rows, beats, names) for rows in reversed(members))), None)
    # Every graph that is not strongly connected has a group that nobody outside beat.
    assert lacking is not None, "a group of entrants stands apart, and yet nothing is lacking"
    parts = f" The votes leave {len(members)} groups apart." if len(members) > 2 else ""
    return f"The strengths cannot be put on one scale: {lacking}.{parts}"


def why_no_maximum(counts: PairedCounts, names: Sequence[str], *, ties: bool, side: bool) -> str | None:
    """None where the likelihood has one highest point; else a sentence. `side`: rows of the counts stood left."""
    if ties and not counts.ties.any():
        return "No vote is a tie, so how readily raters call a tie cannot be estimated."
    if not (counts.first.any() or counts.second.any()):
        return "No vote prefers one entrant to another, so their strengths cannot be told apart."
    beats = counts.wins > 0
    if ties:
        # A tie holds both strengths near each other, as a win each way does.
        beats = beats | (counts.ties > 0) | (counts.ties > 0).T
    reason = why_not_ranked(beats, names)
    if reason is not None or not (ties or side):
        return reason
    if _surely_one_maximum(counts, ties=ties, side=side) or not _rises_forever(counts, ties=ties, side=side):
        return None
    if side:
        return "The side of the page cannot be told from the entrants: their sides and wins do not vary enough."
    return "How readily raters call a tie cannot be told from the strengths: wins go one way wherever there is no tie."


def _what_lacks(
    rows: Int[np.ndarray, " group"], beats: Bool[np.ndarray, "entrants entrants"], names: Sequence[str]
) -> str | None:
    """What keeps this group from the others: it won nothing against them, lost nothing, or never met them."""
    outside = np.ones(len(names), dtype=np.bool_)
    outside[rows] = False
    won, lost = beats[np.ix_(rows, outside)].any(), beats[np.ix_(outside, rows)].any()
    here, there = _named(rows, names), _named(np.flatnonzero(outside), names)
    if not won and not lost:
        return f"no vote prefers any of {here} to any of {there}, or the other way round"
    if not lost:
        return f"{here} was never beaten by any of {there}"
    if not won:
        return f"{here} never beat any of {there}"
    return None


def _named(rows: Int[np.ndarray, " group"], names: Sequence[str]) -> str:
    shown = ", ".join(_short(names[row]) for row in rows[:_NAMED])
    rest = len(rows) - _NAMED
    return f"[{shown} and {rest} more]" if rest > 0 else f"[{shown}]"


def _short(name: str, longest: int = 60) -> str:
    return name if len(name) <= longest else f"{name[: longest - 1]}…"


def _surely_one_maximum(counts: PairedCounts, *, ties: bool, side: bool) -> bool:
    """A quick sufficient answer: pairs that went both ways already hold every strength, and the side, in place."""
    both_ways = (counts.first > 0) & (counts.second > 0)
    held = both_ways | (counts.ties > 0) if ties else both_ways
    if not both_ways.any():
        return False
    k, extra = len(held), int(side)
    information = np.zeros((k + extra, k + extra))
    laplacian = -(held + held.T).astype(np.float64)
    np.fill_diagonal(laplacian, 0.0)
    np.fill_diagonal(laplacian, -laplacian.sum(axis=1))
    information[:k, :k] = laplacian
    if side:
        lean = (held.sum(axis=1) - held.sum(axis=0)).astype(np.float64)
        information[:k, k] = information[k, :k] = lean
        information[k, k] = held.sum()
    # The first entrant's strength is fixed; what is left must be held in every direction.
    return bool(np.linalg.matrix_rank(information[1:, 1:], hermitian=True) == k - 1 + extra)


def _rises_forever(counts: PairedCounts, *, ties: bool, side: bool) -> bool:
    """Whether there is a direction, other than 0, in which the likelihood of these votes never falls."""
    # Imported when it is needed, which is seldom: it takes longer than most fits.
    from scipy.optimize import linprog

    rows = _demands(counts, ties=ties, side=side)
    found = linprog(
        -np.asarray(rows.sum(axis=0)).ravel(), A_ub=-rows, b_ub=np.zeros(rows.shape[0]), bounds=(-1, 1), method="highs"
    )
    assert found.status == 0, f"the linear program of the directions failed: {found.message}"
    if -found.fun > 1e-7:
        return True
    return bool(np.linalg.matrix_rank((rows.T @ rows).toarray(), hermitian=True) < rows.shape[1])


def _demands(counts: PairedCounts, *, ties: bool, side: bool) -> sparse.csr_matrix:
    """What a direction (strengths but the first, side, log nu) must meet, row * direction >= 0, not to lower any vote.

    With d the direction's change of the first's log-odds and g that of log nu: a win of the first asks for d >= 0 and
    d >= 2 g, a win of the second for the same of -d, a tie for 2 g >= d and 2 g >= -d.
    """
    k = len(counts.first)
    gap, nu = k - 1 + int(side), int(ties)
    rows: list[Float64[np.ndarray, "some directions"]] = []

    def demand(where: Bool[np.ndarray, "entrants entrants"], lean: int, tie: int) -> None:
        first, second = np.nonzero(where)
        block = np.zeros((len(first), k + int(side) + nu))
        block[np.arange(len(first)), first] += lean
        block[np.arange(len(first)), second] -= lean
        if side:
            block[:, k] = lean
        if ties:
            block[:, gap + 1] = tie
        rows.append(block[:, 1:])

    for won, lean in ((counts.first > 0, 1), (counts.second > 0, -1)):
        demand(won, lean, 0)
        if ties:
            demand(won, lean, -2)
    if ties:
        demand(counts.ties > 0, 1, 2)
        demand(counts.ties > 0, -1, 2)
    return sparse.csr_matrix(np.concatenate(rows))
