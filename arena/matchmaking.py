"""Which comparison a rater sees next, and on which side: balanced or active, with declared repeats and gold pairs.

A *line* is an ordered pair of entrants: a candidate and the reference, or a declared link between two candidates. A
comparison is a line on one prompt and seed; it is known by its place in an array (line, prompt, seed).
In: how often each comparison was shown, what the rater saw. Out: the next showing, with the probability it was drawn
by, so that an analysis can weigh what was drawn unevenly. Pure; randomness comes in.

Source: for active sampling, Chiang et al. (2024), "Chatbot Arena", arXiv:2403.04132, section 5, which draws pairs by
how much a further vote narrows the interval; here by the interval's width, and with a floor. For weights from logged
propensities, Horvitz & Thompson (1952), doi:10.1080/01621459.1952.10483446.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float64, Int, Int64

from arena.statistics.interval import Interval

#: How far a rater's sides may drift apart.
_SIDE_LIMIT = 2
#: The part of active sampling that is shared out evenly: no line is drawn with less than this over the lines.
_FLOOR = 0.1
#: A repeat stays away from this many of the rater's last comparisons, which are still remembered.
_FRESH = 5


@dataclass(frozen=True, slots=True, order=True)
class Comparison:
    """Places in the study's lines, prompts and seeds."""

    line: int
    prompt: int
    seed: int

    @property
    def candidate(self) -> int:
        """The line, in a study whose lines are its candidates against the reference."""
        return self.line


@dataclass(frozen=True, slots=True, kw_only=True)
class Showing:
    """What to show next; `candidate_left`: the line's first entrant stands on the left.

    `propensity` is the probability that exactly this comparison and side were drawn, given that neither a repeat nor a
    gold pair was due; whether one was does not depend on the comparison.
    """

    comparison: Comparison
    candidate_left: bool
    propensity: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Voted:
    """A comparison that the rater has voted on; `repeated`: it has been shown again since."""

    comparison: Comparison
    candidate_left: bool
    repeated: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Repeat:
    """The vote to ask for again: `voted[index]`, with the sides changed over; `propensity`: of exactly this repeat."""

    index: int
    comparison: Comparison
    candidate_left: bool
    propensity: float


@dataclass(frozen=True, slots=True, kw_only=True)
class GoldShowing:
    """A gold pair to show; `better_left`: its known answer stands on the left; `propensity`: of this pair and side."""

    place: int
    better_left: bool
    propensity: float


def choose(
    shown: Int64[np.ndarray, "lines prompts seeds"],
    seen: Collection[Comparison],
    *,
    times_left: int,
    times_right: int,
    rng: np.random.Generator,
    categories: Int64[np.ndarray, " prompts"] | None = None,
    cap: int | None = None,
    widths: Float64[np.ndarray, " lines"] | None = None,
) -> Showing | None:
    """The next comparison for a rater who has `seen` these; None when there is none left.

    `shown` counts showings over all raters; `times_left` and `times_right` count this rater's first entrants per side.
    `categories` are the prompts' codes, 0 and up (`category_codes`); without them all prompts are of one category.
    `cap`: no comparison is shown more often than this over all raters.

    Least shown comes first: first the line, then the category within it (for its size, so that every prompt gets as
    much), then the prompt, then the seed; of categories and prompts that are equal in the line, the one that was shown
    least over all lines; what is equal still is drawn at random. So the lines' totals stay within one of each other,
    and so do a line's comparisons, as long as no rater runs out of them.

    `widths` makes the sampling active: the line is drawn with a probability that grows with the width of its rate's
    interval (`interval_widths`), and never below .1 over the number of lines; within the line all stays as above.
    """
    free = _free(shown, seen, cap)
    lines = np.flatnonzero(free.any(axis=(1, 2)))
    if not len(lines):
        return None
    line, chance = _drawn_line(shown, lines, widths, rng)
    counts = shown[line]
    prompts = np.flatnonzero(free[line].any(axis=1))
    # How often each prompt was shown, in this line and over all. NumPy sums the one axis after the other sooner than
    # both at once, where there are few seeds.
    in_line, overall = counts.sum(axis=1), shown.sum(axis=0).sum(axis=1)
    if categories is not None:
        prompts, among = _of_one_category(prompts, categories, in_line, overall, rng)
        chance /= among
    prompts = prompts[_lowest(in_line[prompts])]
    prompts = prompts[_lowest(overall[prompts])]
    prompt = _one(prompts, rng)
    seeds = np.flatnonzero(free[line, prompt])
    seeds = seeds[_lowest(counts[prompt, seeds])]
    seed = _one(seeds, rng)
    left, side_chance = _side(times_left, times_right, rng)
    return Showing(
        comparison=Comparison(line, prompt, seed),
        candidate_left=left,
        propensity=chance * side_chance / (len(prompts) * len(seeds)),
    )


def choose_repeat(voted: Sequence[Voted], *, share: float, done: int, rng: np.random.Generator) -> Repeat | None:
    """An earlier comparison to show this rater again now, its sides changed over; None when none is due.

    `voted` are the rater's comparisons in the order of voting, without repeats and gold pairs; `done` counts all pairs
    the rater was handed. None of the last five comes again, and none comes again twice. Repeats keep close to `share`
    of all pairs at every length of a session, and a rater who knows the share cannot tell where they fall.
    """
    old = [index for index, vote in enumerate(voted[:-_FRESH]) if not vote.repeated]
    due = _chance_of_extra(share, done, sum(vote.repeated for vote in voted))
    if not old or rng.random() >= due:
        return None
    index = old[int(rng.integers(len(old)))]
    again = voted[index]
    return Repeat(
        index=index,
        comparison=again.comparison,
        candidate_left=not again.candidate_left,
        propensity=due / len(old),
    )


def choose_gold(
    gold_places: Collection[int],
    seen_gold: Collection[int],
    *,
    share: float,
    done: int,
    rng: np.random.Generator,
    times_left: int = 0,
    times_right: int = 0,
) -> GoldShowing | None:
    """A gold pair to show this rater now, each at most once; None when none is due or none is left.

    `done` counts all pairs the rater was handed; `times_left` and `times_right` count on which side the known answers
    of this rater's gold pairs stood, so that pressing one side passes half of them. Scheduled as repeats are.
    """
    left_over = sorted(set(gold_places) - set(seen_gold))
    due = _chance_of_extra(share, done, len(seen_gold))
    if not left_over or rng.random() >= due:
        return None
    place = left_over[int(rng.integers(len(left_over)))]
    left, side_chance = _side(times_left, times_right, rng)
    return GoldShowing(place=place, better_left=left, propensity=due * side_chance / len(left_over))


def category_codes(categories: Sequence[str]) -> Int64[np.ndarray, " prompts"]:
    """Each prompt's category as a number, in the order in which the categories first appear.

    >>> category_codes(["animals", "food", "animals"]).tolist()
    [0, 1, 0]
    """
    numbers = {name: number for number, name in enumerate(dict.fromkeys(categories))}
    return np.array([numbers[name] for name in categories], dtype=np.int64)


def interval_widths(intervals: Sequence[Interval | None]) -> Float64[np.ndarray, " lines"]:
    """How much is still open about each line's rate; a line without an interval may be anything: 1."""
    return np.array([1.0 if one is None else one.high - one.low for one in intervals], dtype=np.float64)


def connectivity_warning(wins: Int[np.ndarray, "entrants entrants"], names: Sequence[str]) -> str | None:
    """Why these wins cannot put all entrants on one scale yet; None where they can, and before the first win.

    `wins[i, j]` counts how often entrant i was preferred to j.
    """
    # It loads SciPy's graphs, which choosing a pair does not need.
    from arena.statistics.connectivity import why_not_ranked

    return why_not_ranked(wins > 0, names) if wins.any() else None


def _free(
    shown: Int64[np.ndarray, "lines prompts seeds"], seen: Collection[Comparison], cap: int | None
) -> Bool[np.ndarray, "lines prompts seeds"]:
    free = np.ones(shown.shape, dtype=np.bool_) if cap is None else shown < cap
    for at in seen:
        free[at.line, at.prompt, at.seed] = False
    return free


def _drawn_line(
    shown: Int64[np.ndarray, "lines prompts seeds"],
    lines: Int[np.ndarray, " free"],
    widths: Float64[np.ndarray, " lines"] | None,
    rng: np.random.Generator,
) -> tuple[int, float]:
    """One of the lines that have something left, and the chance it had."""
    if widths is None:
        least = lines[_lowest(shown.sum(axis=(1, 2))[lines])]
        return _one(least, rng), 1 / len(least)
    width = widths[lines]
    total = float(width.sum())
    by_width = width / total if total > 0 else np.full(len(lines), 1 / len(lines))
    chances = (1 - _FLOOR) * by_width + _FLOOR / len(lines)
    # The sum of the chances may miss 1 by rounding; the last line takes what is over.
    drawn = min(int(np.searchsorted(chances.cumsum(), rng.random(), side="right")), len(lines) - 1)
    return int(lines[drawn]), float(chances[drawn])


def _of_one_category(
    prompts: Int[np.ndarray, " free"],
    categories: Int64[np.ndarray, " prompts"],
    in_line: Int64[np.ndarray, " prompts"],
    overall: Int64[np.ndarray, " prompts"],
    rng: np.random.Generator,
) -> tuple[Int[np.ndarray, " kept"], int]:
    """The free prompts of one category that is shown least for its size, and among how many it was drawn.

    The least showings per prompt comes next: Adams' method of sharing out seats, which begins with one for everybody.
    Source: Balinski & Young (1982), "Fair Representation".
    """
    of_prompt = categories[prompts]
    sizes = np.bincount(categories)
    left = np.flatnonzero(np.bincount(of_prompt))
    # Equal fractions give equal floats: division is correctly rounded.
    left = left[_lowest(np.bincount(categories, weights=in_line)[left] / sizes[left])]
    left = left[_lowest(np.bincount(categories, weights=overall)[left] / sizes[left])]
    return prompts[of_prompt == _one(left, rng)], len(left)


def _lowest(counts: Int64[np.ndarray, " n"] | Float64[np.ndarray, " n"]) -> Int[np.ndarray, " lowest"]:
    return np.flatnonzero(counts == counts.min())


def _one(options: Int[np.ndarray, " options"], rng: np.random.Generator) -> int:
    return int(options[rng.integers(len(options))] if len(options) > 1 else options[0])


def _side(times_left: int, times_right: int, rng: np.random.Generator) -> tuple[bool, float]:
    """Whether it stands on the left, and the chance of that.

    A fair coin until one side leads by the limit; then the other side, surely.
    Source: the big stick design, Soares & Wu (1983), doi:10.1080/03610928308828586.
    """
    lead = times_left - times_right
    chance = 0.5 if abs(lead) < _SIDE_LIMIT else float(lead < 0)
    left = bool(rng.random() < chance)
    return left, chance if left else 1 - chance


def _chance_of_extra(share: float, done: int, had: int) -> float:
    """The chance that the next pair is a repeat (or a gold pair), when `had` of the `done` pairs were.

    It is the share itself while there were as many as declared, grows by as much with each that is behind, and is 0
    when one is ahead. That pulls the count back to share x done, with a standard deviation of about .7 pairs.
    """
    assert 0 <= share < 1, "a share of all pairs"
    return min(1.0, max(0.0, share * (1 + share * done - had)))
