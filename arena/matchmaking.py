"""Which comparison a rater sees next, and which side the candidate stands on.

A comparison is a candidate against the reference on one prompt and seed; it is known by its place in an array
(candidate, prompt, seed). In: how often each was shown, what the rater saw. Out: the next `Showing`, with the
probability it was chosen by. Pure; randomness comes in.
"""

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
from jaxtyping import Int64

#: How far a rater's sides may drift apart.
_SIDE_LIMIT = 2

_NEVER = np.iinfo(np.int64).max


@dataclass(frozen=True, slots=True, order=True)
class Comparison:
    """Places in the study's candidates, prompts and seeds."""

    candidate: int
    prompt: int
    seed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Showing:
    """What to show next. `propensity` is the probability that exactly this comparison and side were drawn."""

    comparison: Comparison
    candidate_left: bool
    propensity: float


def choose(
    shown: Int64[np.ndarray, "candidates prompts seeds"],
    seen: Collection[Comparison],
    *,
    times_left: int,
    times_right: int,
    rng: np.random.Generator,
) -> Showing | None:
    """The next comparison for a rater who has `seen` these; None when there is none left.

    `shown` counts showings over all raters; `times_left` and `times_right` count this rater's candidates per side.
    Least shown comes first: first the candidate, then the comparison within it, then the prompt over all candidates;
    what is equal in all three is drawn at random. So the candidates' totals stay within one of each other, and so do
    a candidate's comparisons, as long as no rater runs out of them.
    """
    totals = shown.sum(axis=(1, 2))
    used = np.bincount([comparison.candidate for comparison in seen], minlength=len(totals))
    totals[used >= shown[0].size] = _NEVER
    candidates = _lowest(totals)
    if totals[candidates[0]] == _NEVER:
        return None
    candidate = int(rng.choice(candidates))
    counts = shown[candidate].copy()
    for comparison in seen:
        if comparison.candidate == candidate:
            counts[comparison.prompt, comparison.seed] = _NEVER
    cells = _lowest(counts.ravel())
    per_prompt = shown.sum(axis=(0, 2))[cells // counts.shape[1]]
    cells = cells[_lowest(per_prompt)]
    prompt, seed = divmod(int(rng.choice(cells)), counts.shape[1])
    left_chance = _chance_of_left(times_left, times_right)
    left = bool(rng.random() < left_chance)
    return Showing(
        comparison=Comparison(candidate, prompt, seed),
        candidate_left=left,
        propensity=(left_chance if left else 1 - left_chance) / (len(candidates) * len(cells)),
    )


def _lowest(counts: Int64[np.ndarray, " n"]) -> Int64[np.ndarray, " lowest"]:
    return np.flatnonzero(counts == counts.min())


def _chance_of_left(times_left: int, times_right: int) -> float:
    """A fair coin until one side leads by the limit; then the other side, surely.

    Source: the big stick design, Soares & Wu (1983), doi:10.1080/03610928308828586.
    """
    lead = times_left - times_right
    if abs(lead) < _SIDE_LIMIT:
        return 0.5
    return 0.0 if lead > 0 else 1.0
