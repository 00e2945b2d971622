"""Are the numbers as sure as they say? Arenas whose truth is known are simulated, and how often they miss is counted.

Usage: python benchmarks/calibration.py [--quick] [--seed N] [--design FILE] [--json]. A figure is a share of simulated
arenas, with its Monte-Carlo standard error and, where the statistics promise one, a band; exact figures have no such
error. The exit code is 1 when a figure lies outside its band by more than two of its standard errors, and 2 when what
is asked makes no sense. What is found depends on the seed and the design alone, not on the machine.

FILE is a JSON object: {"raters": 30, "prompts": 200, "votes": 1500, "entrants": 3, "rates": [0.45, 0.5, 0.6],
"tie_share": 0.1, "spammers": 2}; sd_rater, sd_rater_entrant, sd_prompt and activity may be given too. Coverage is then
measured at its rates, TOST with them moved to the margin, Holm and peeking with every entrant as good as the reference.
"""

import argparse
import json
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from fractions import Fraction
from functools import partial
from math import comb, exp, fsum, sqrt
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
from scipy import special

from arena.statistics.against_reference import compare_with_reference
from arena.statistics.bradley_terry import fit_bradley_terry
from arena.statistics.e_values import beta_binomial_e_value
from arena.statistics.equivalence import tost
from arena.statistics.independent import score_interval
from arena.statistics.interval import ALPHA, Interval
from arena.statistics.peeking import exact_rejection_probability
from arena.statistics.rates import PreferenceRate, preference_rate
from arena.statistics.running_rates import rates_after
from arena.statistics.sequential import look_at
from arena.statistics.simulator import REFERENCE, ArenaDesign, DesignError, design_from_json, simulate_votes
from arena.statistics.simultaneous import ranked_pairs
from arena.statistics.stopping import StoppingRule
from arena.statistics.votes import outcomes_of_each
from prompts.console import print_json, print_table, progress, say
from prompts.errors import CanvasError, printable, quoted

Band = tuple[float, float]

# What we demand of our statistics, for seeds and designs that nobody has tried before.
COVERAGE: Band = (0.935, 0.970)
TOST_ERROR: Band = (0.0, 0.062)
FAMILY_ERROR: Band = (0.0, 0.075)
PEEKING_ERROR: Band = (0.0, 0.075)
EXACT_ERROR: Band = (0.0, 1e-9)

# The mixture bound is asymptotic in raters: with fewer effective ones it claims too often (.11 at 5.6), which is why a
# stopping rule does not count such looks. From here on it keeps its band by itself.
BOUND_RATERS = 9

DELTA = 0.05
STANDING_RULE = StoppingRule()
EVERY_LOOK = StoppingRule(min_raters=2, min_votes=1)
LOOK_EVERY = STANDING_RULE.look_every
EXACT_VOTES = 400
CHUNK = 50

SMALL = ArenaDesign(raters=12, prompts=200, votes=600, rates=(0.45,), tie_share=0.1)
MIDDLE = ArenaDesign(raters=48, prompts=1632, votes=1440, rates=(0.55,), tie_share=0.15, side_bias=0.2)
LARGE = ArenaDesign(raters=200, prompts=1632, votes=3000, rates=(0.35,), tie_share=0.05, activity=0.8)
FAMILY = (0.5,) * 6

# Seconds of one core for all series together, and the most repeats of each.
FULL, QUICK = (240.0, 20_000), (40.0, 2_000)
FEWEST_REPEATS = 100
# More models than this take seconds an arena for their simultaneous intervals, and are left out.
MOST_RANKED = 8
MOST_VOTES = 1_000_000


class CalibrationError(CanvasError):
    """A question about calibration that cannot be asked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One measured number, over `repeats` arenas; None where none of them had it. Without a band, low is None.

    `ok` is False where the value lies outside its band by more than two standard errors, None where there is no value.
    """

    name: str
    value: float | None
    mc_se: float | None
    low: float | None
    high: float | None
    repeats: int
    ok: bool | None = field(init=False)

    def __post_init__(self) -> None:
        ok: bool | None = None
        if self.value is not None and self.mc_se is not None:
            low, high = (-np.inf if self.low is None else self.low), (np.inf if self.high is None else self.high)
            ok = bool(low - 2 * self.mc_se <= self.value <= high + 2 * self.mc_se)
        object.__setattr__(self, "ok", ok)


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """The name of one figure of a series, and the band in which it should lie, if any."""

    name: str
    band: Band | None = None


# One simulated arena's part in each figure: the share of hits among its entrants; None where it has no answer.
Measure = Callable[[np.random.Generator], Sequence[float | None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """One arena, to be simulated and measured again and again; one repeat takes about `cost_ms`."""

    measure: Measure
    figures: tuple[Asked, ...]
    cost_ms: float


def coverage(design: ArenaDesign, *, interval: str = "headline") -> Series:
    """How often the interval of each rate holds the truth: half-tie, ties dropped, and as if votes were independent."""
    figures = []
    for rate in sorted(set(design.rates)):
        which = _label(design) + (f", rate {rate:g}" if len(set(design.rates)) > 1 else "")
        figures += [
            Asked(name=f"coverage, half-tie, {which}", band=COVERAGE),
            Asked(name=f"coverage, ties dropped, {which}", band=COVERAGE),
            Asked(name=f"coverage of Wilson on raw counts, {which}"),
        ]
    measure = partial(_coverage, design, INTERVALS[interval])
    return Series(measure=measure, figures=tuple(figures), cost_ms=_cost_ms(design, rates=2))


def tost_at_margin(design: ArenaDesign) -> Series:
    """How often TOST claims equivalence where the true half-tie rate is exactly .5 - delta, or .5 + delta."""
    figures = tuple(Asked(name=f"TOST at .5 {sign} delta, {_label(design)}", band=TOST_ERROR) for sign in "-+")
    try:
        arenas = tuple(design.with_truth(rate, ties="half") for rate in (0.5 - DELTA, 0.5 + DELTA))
    except DesignError as error:
        say(f"TOST is left out: {error}")
        return Series(measure=_no_answers, figures=figures, cost_ms=1e-3)
    return Series(measure=partial(_tost_at_margin, arenas), figures=figures, cost_ms=2 * _cost_ms(design, rates=1))


def holm_family(design: ArenaDesign) -> Series:
    """How often any of the entrants, all as good as the reference, is said to differ from it."""
    null = design.with_truth(0.5, ties="half")
    of = f"{len(null.rates)} null entrant{'s' if len(null.rates) > 1 else ''}, {_label(design)}"
    figures = (
        Asked(name=f"Holm, any of {of}, half-tie", band=FAMILY_ERROR),
        Asked(name=f"Holm, any of {of}, ties dropped", band=FAMILY_ERROR),
    )
    return Series(measure=partial(_holm_family, null), figures=figures, cost_ms=_cost_ms(design, rates=2.2))


def peeking(design: ArenaDesign) -> Series:
    """How often an entrant as good as the reference is ever said to differ, when one looks every 50 of its votes.

    By the mixture bound where the standing rule lets a look count, by the bound at every look, and by the headline
    interval, which was never meant to be watched.
    """
    null = design.with_truth(0.5, ties="half")
    enough = _effective_raters(design) >= BOUND_RATERS
    figures = (
        Asked(name=f"peeking, where a look counts, {_label(design)}", band=PEEKING_ERROR),
        Asked(name=f"peeking, mixture bound, {_label(design)}", band=PEEKING_ERROR if enough else None),
        Asked(name=f"peeking, headline interval, {_label(design)}"),
    )
    cost_ms = _cost_ms(design, rates=0) + 0.2 * len(design.rates) + 2e-3 * design.votes
    return Series(measure=partial(_peeking, null), figures=figures, cost_ms=cost_ms)


def bradley_terry(design: ArenaDesign) -> Series:
    """How often strengths' intervals hold the truth: one at a time, and those of all pairs at once."""
    figures = (
        Asked(name=f"coverage, Bradley-Terry, one at a time, {_label(design)}"),
        Asked(name=f"coverage, Bradley-Terry, all pairs at once, {_label(design)}"),
    )
    cost_ms = _cost_ms(design, rates=0) + 2 + 4e-4 * design.votes + 2 * len(design.models) ** 2
    return Series(measure=partial(_bradley_terry, design), figures=figures, cost_ms=cost_ms)


def _coverage(
    design: ArenaDesign, interval: Callable[[PreferenceRate], Interval | None], rng: np.random.Generator
) -> list[float | None]:
    outcomes = outcomes_of_each(simulate_votes(design, rng), design.entrants, REFERENCE)
    half = [preference_rate(one, ties="half") for one in outcomes]
    dropped = [preference_rate(one, ties="drop") for one in outcomes]
    true_half, true_dropped = design.true_half_tie(), design.true_ties_dropped()
    found: list[float | None] = []
    for rate in sorted(set(design.rates)):
        own = [number for number, other in enumerate(design.rates) if other == rate]
        found += [
            _share(_holds(interval(half[number]), true_half[number]) for number in own),
            _share(_holds(interval(dropped[number]), true_dropped[number]) for number in own),
            _share(_holds(as_if_independent(dropped[number]), true_dropped[number]) for number in own),
        ]
    return found


def _no_answers(rng: np.random.Generator) -> list[float | None]:
    return [None, None]


def _tost_at_margin(arenas: tuple[ArenaDesign, ...], rng: np.random.Generator) -> list[float | None]:
    found: list[float | None] = []
    for arena in arenas:
        outcomes = outcomes_of_each(simulate_votes(arena, rng), arena.entrants, REFERENCE)
        rates = [preference_rate(one, ties="half") for one in outcomes]
        found.append(_share(_claims(tost(rate.rate, rate.se, rate.df, delta=DELTA).p) for rate in rates))
    return found


def _holm_family(design: ArenaDesign, rng: np.random.Generator) -> list[float | None]:
    votes = simulate_votes(design, rng)
    results = compare_with_reference(votes, reference=REFERENCE, entrants=design.entrants, delta=DELTA)
    half = any(_claims(result.half_tie.p_holm) for result in results)
    dropped = any(_claims(result.ties_dropped.p_holm) for result in results)
    return [float(half), float(dropped)]


def _peeking(design: ArenaDesign, rng: np.random.Generator) -> list[float | None]:
    counted, bound, unbound = [], [], []
    for outcomes in outcomes_of_each(simulate_votes(design, rng), design.entrants, REFERENCE):
        looks = range(LOOK_EVERY, len(outcomes.value) + 1, LOOK_EVERY)
        rates = rates_after(outcomes, looks, ties="half")
        counted.append(any(_claims(look_at(rate, STANDING_RULE).p) for rate in rates))
        bound.append(any(_claims(look_at(rate, EVERY_LOOK).p) for rate in rates))
        unbound.append(any(_claims(rate.p) for rate in rates))
    return [_share(counted), _share(bound), _share(unbound)]


def _bradley_terry(design: ArenaDesign, rng: np.random.Generator) -> list[float | None]:
    fit = fit_bradley_terry(simulate_votes(design, rng), reference=REFERENCE)
    truth = dict(zip(design.models, design.true_strengths(), strict=True))
    alone = _share(low <= truth[name] <= high for name, (low, high) in fit.intervals().items())
    ranked = ranked_pairs(fit)
    if ranked is None:
        return [alone, None]
    return [alone, float(all(pair.low <= truth[pair.a] - truth[pair.b] <= pair.high for pair in ranked.pairs))]


def headline(rate: PreferenceRate) -> Interval | None:
    """The interval that we report."""
    return rate.interval


def as_if_independent(rate: PreferenceRate) -> Interval | None:
    """Wilson's interval on raw counts, as if votes were independent: with clustered votes it promises too much."""
    if rate.rate is None:
        return None
    return score_interval(rate.rate, float(rate.n), quantile=float(special.ndtri(1 - ALPHA / 2)))


INTERVALS: dict[str, Callable[[PreferenceRate], Interval | None]] = {
    "headline": headline,
    "independent": as_if_independent,
}


def _holds(interval: Interval | None, truth: float) -> bool | None:
    return None if interval is None else truth in interval


def _claims(p: float | None) -> bool:
    """Whether something is claimed; where p cannot be had, nothing is."""
    return p is not None and p < ALPHA


def _share(hits: Iterable[bool | None]) -> float | None:
    answers = [hit for hit in hits if hit is not None]
    return sum(answers) / len(answers) if answers else None


def _effective_raters(design: ArenaDesign) -> float:
    """About G*, with very many raters and votes: a log-normal weight of sd s has E[w]^2 / E[w^2] = exp(-s^2)."""
    if isinstance(design.activity, tuple):
        return sum(design.activity) ** 2 / sum(weight * weight for weight in design.activity)
    return design.raters * exp(-(design.activity**2))


def _label(design: ArenaDesign) -> str:
    return f"{design.raters} raters"


def _cost_ms(design: ArenaDesign, *, rates: float) -> float:
    """About how long one repeat takes: a simulation, and `rates` preference rates of every entrant."""
    simulated = 0.15 + 8e-5 * design.votes + 3e-5 * (design.raters * len(design.rates) + design.prompts)
    return simulated + rates * (0.12 * len(design.rates) + 6e-5 * design.votes)


def exact_figures(votes: int) -> list[Figure]:
    """The e-value of independent votes held against whole numbers and fractions: every path of wins is counted."""
    exact = _exact_e_values(votes)
    found = [[beta_binomial_e_value(wins, seen) for wins in range(seen + 1)] for seen in range(votes + 1)]
    relative = max(
        abs(value / float(true) - 1)
        for row, own in zip(found, exact, strict=True)
        for value, true in zip(row, own, strict=True)
    )
    means = [
        fsum(float(Fraction(comb(seen, wins), 2**seen)) * value for wins, value in enumerate(row))
        for seen, row in enumerate(found)
    ]
    stopped = _stopped_paths(exact)
    claims = {rate: float(_chance(stopped.claimed, rate)) for rate in (Fraction(1, 2), Fraction(3, 5))}
    worth = fsum(
        float(Fraction(paths, 2**seen)) * found[seen][wins]
        for (seen, wins), paths in (stopped.claimed | stopped.inside).items()
    )
    programmed = max(
        abs(exact_rejection_probability(votes, rate=float(rate)) - chance) for rate, chance in claims.items()
    )
    return [
        _exact("e-value, largest relative error", relative, EXACT_ERROR),
        _exact("e-value, mean under the null less 1", max(abs(mean - 1) for mean in means), EXACT_ERROR),
        _exact("e-value, mean when stopped at the claim less 1", abs(worth - 1), EXACT_ERROR),
        _exact(f"e-value, false claims within {votes} votes", claims[Fraction(1, 2)], (0.0, ALPHA)),
        _exact("e-value, error of its rejection probability", programmed, EXACT_ERROR),
    ]


def _exact_e_values(votes: int) -> list[list[Fraction]]:
    """`[t][s]` after s wins in t votes: each next vote wins with chance (1 + wins) / (2 + votes), paid double."""
    rows = [[Fraction(1)]]
    for seen in range(votes):
        last = rows[-1]
        lost = [value * Fraction(2 * (1 + seen - wins), 2 + seen) for wins, value in enumerate(last)]
        rows.append([*lost, last[-1] * Fraction(2 * (1 + seen), 2 + seen)])
    return rows


@dataclass(frozen=True, slots=True, kw_only=True)
class _Paths:
    """How many orders of wins and losses first claim at (votes, wins), and how many end there without a claim."""

    claimed: dict[tuple[int, int], int]
    inside: dict[tuple[int, int], int]


def _stopped_paths(exact: list[list[Fraction]]) -> _Paths:
    claimed: dict[tuple[int, int], int] = {}
    inside = {0: 1}
    for seen in range(1, len(exact)):
        arrived: dict[int, int] = {}
        for wins, paths in inside.items():
            for next_wins in (wins, wins + 1):
                arrived[next_wins] = arrived.get(next_wins, 0) + paths
        out = {wins for wins in arrived if exact[seen][wins] * Fraction(ALPHA).limit_denominator(1000) >= 1}
        claimed |= {(seen, wins): arrived[wins] for wins in out}
        inside = {wins: paths for wins, paths in arrived.items() if wins not in out}
    return _Paths(claimed=claimed, inside={(len(exact) - 1, wins): paths for wins, paths in inside.items()})


def _chance(paths: dict[tuple[int, int], int], rate: Fraction) -> Fraction:
    return sum((count * rate**wins * (1 - rate) ** (seen - wins) for (seen, wins), count in paths.items()), Fraction(0))


def _exact(name: str, value: float, band: Band) -> Figure:
    return Figure(name=name, value=value, mc_se=0.0, low=band[0], high=band[1], repeats=0)


def default_series(interval: str = "headline") -> list[Series]:
    """12, 48 and 200 raters: coverage, TOST, Holm over six entrants, peeking, Bradley-Terry."""
    arenas = (SMALL, MIDDLE, LARGE)
    family = [
        replace(arena, rates=FAMILY, votes=votes, prompts=400)
        for arena, votes in zip(arenas, (1800, 3000, 6000), strict=True)
    ]
    all_pairs = [
        replace(arena, rates=(0.6, 0.5, 0.42), pairs="all", votes=votes, side_bias=0.0)
        for arena, votes in zip(arenas, (1200, 2400, 4000), strict=True)
    ]
    return [
        *(coverage(arena, interval=interval) for arena in arenas),
        *(tost_at_margin(replace(arena, votes=votes)) for arena, votes in zip(arenas, (1200, 3000, 6000), strict=True)),
        *map(holm_family, family),
        *map(peeking, arenas),
        *map(bradley_terry, all_pairs),
    ]


def series_of(design: ArenaDesign, interval: str = "headline") -> list[Series]:
    """The same questions for one design."""
    found = [coverage(design, interval=interval), tost_at_margin(design), holm_family(design), peeking(design)]
    if len(design.models) <= MOST_RANKED:
        found.append(bradley_terry(design))
    return found


def measure_all(series: Sequence[Series], repeats: Sequence[int], *, seed: int, workers: int) -> list[Figure]:
    """The figures of each series, the same for any number of workers: every chunk of repeats has its own seed."""
    chunks = []
    for one, wanted, seeds in zip(series, repeats, np.random.SeedSequence(seed).spawn(len(series)), strict=True):
        sizes = [min(CHUNK, wanted - done) for done in range(0, wanted, CHUNK)]
        chunks.append([(one.measure, size, part) for size, part in zip(sizes, seeds.spawn(len(sizes)), strict=True)])
    figures: list[Figure] = []
    with progress("simulating arenas", total=sum(repeats)) as tick, _mapping(workers) as mapped:
        measured = mapped(_measure_chunk, [chunk for own in chunks for chunk in own])
        for one, own in zip(series, chunks, strict=True):
            rows: list[Sequence[float | None]] = []
            for _ in own:
                rows.extend(found := next(measured))
                tick(len(found))
            columns = zip(*rows, strict=True)
            figures.extend(_figure(asked, column) for asked, column in zip(one.figures, columns, strict=True))
    return figures


def affordable(series: Sequence[Series], *, quick: bool) -> list[int]:
    """How many repeats each series gets: an even share of the time, and what quick series spare goes to slow ones."""
    core_s, most = QUICK if quick else FULL
    left_ms, repeats = 1000 * core_s, [0] * len(series)
    quickest_first = sorted(range(len(series)), key=lambda number: series[number].cost_ms)
    for done, number in enumerate(quickest_first):
        cost_ms = series[number].cost_ms
        repeats[number] = int(min(most, max(FEWEST_REPEATS, left_ms / (len(series) - done) / cost_ms)))
        left_ms = max(0.0, left_ms - repeats[number] * cost_ms)
    return repeats


def read_design(file: Path) -> ArenaDesign:
    """The design in this JSON file; CalibrationError or DesignError, in one sentence, where it holds none."""
    try:
        value = json.loads(file.read_text("utf-8"))
    except OSError as error:
        raise CalibrationError(f"Cannot read the design {quoted(str(file))}: {error.strerror}.") from error
    except (ValueError, RecursionError) as error:
        raise CalibrationError(f"The design {quoted(str(file))} is no JSON ({printable(str(error))}).") from error
    design = design_from_json(value)
    if min(design.raters, design.prompts) < 2:
        raise CalibrationError("One rater, or one prompt, says nothing about others. Give at least 2 of each.")
    if not 1 <= design.votes <= MOST_VOTES:
        raise CalibrationError(f"The design has {design.votes:,} votes. Give 1 to {MOST_VOTES:,} of them.")
    return design


def _measure_chunk(chunk: tuple[Measure, int, np.random.SeedSequence]) -> list[Sequence[float | None]]:
    measure, repeats, seed = chunk
    rng = np.random.default_rng(seed)
    return [measure(rng) for _ in range(repeats)]


def _figure(asked: Asked, found: Sequence[float | None]) -> Figure:
    low, high = asked.band or (None, None)
    values = np.array([value for value in found if value is not None], dtype=np.float64)
    n = len(values)
    if n == 0:
        return Figure(name=asked.name, value=None, mc_se=None, low=low, high=high, repeats=0)
    # Two imagined arenas, a hit and a miss, keep the standard error above 0 where all real ones agree.
    spread = np.append(values, (0.0, 1.0)).std()
    return Figure(
        name=asked.name, value=float(values.mean()), mc_se=float(spread / sqrt(n)), low=low, high=high, repeats=n
    )


@contextmanager
def _mapping(workers: int) -> Iterator[Callable[..., Iterator[Any]]]:
    """`map`, over this many processes; each of them counts on one thread, so that they do not crowd each other out."""
    if workers == 1:
        yield map
        return
    for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[variable] = "1"
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        try:
            yield pool.map
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def main(words: Sequence[str] | None = None) -> int:
    """0 when every figure lies in its band, 1 when one does not, 2 when the question makes no sense."""
    options = _parser().parse_args(words)
    try:
        design = None if options.design is None else read_design(options.design)
    except CanvasError as error:
        say(str(error))
        return 2
    series = default_series(options.interval) if design is None else series_of(design, options.interval)
    repeats = [options.repeats] * len(series) if options.repeats else affordable(series, quick=options.quick)
    measured = measure_all(series, repeats, seed=options.seed, workers=options.workers)
    figures = measured + exact_figures(EXACT_VOTES)
    # A design in which nothing with a band could be measured has not shown that any band holds.
    ok = all(figure.ok is not False for figure in figures) and any(
        figure.ok is not None for figure in measured if figure.low is not None
    )
    if options.json:
        print_json(
            {
                "seed": options.seed,
                "quick": options.quick,
                "design": None if design is None else asdict(design),
                "figures": [asdict(figure) for figure in figures],
                "ok": ok,
            }
        )
    else:
        print_table(["figure", "value", "MC se", "band", "ok"], map(_row, figures))
    return 0 if ok else 1


def _row(figure: Figure) -> tuple[str, str, str, str, str]:
    band = "" if figure.low is None or figure.high is None else f"{figure.low:g} to {figure.high:g}"
    said = {True: "yes" if band else "", False: "NO", None: "not found"}
    return figure.name, _number(figure.value), _number(figure.mc_se or None), band, said[figure.ok]


def _number(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:.1e}" if 0 < value < 1e-4 else f"{value:.4f}"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="within a minute, with fewer arenas")
    parser.add_argument("--seed", type=_natural, default=0, metavar="N", help="what the arenas are drawn from (0)")
    parser.add_argument("--design", type=Path, metavar="FILE", help="measure the arena that this JSON file describes")
    parser.add_argument("--json", action="store_true", help="print one JSON value")
    parser.add_argument("--repeats", type=_positive, metavar="N", help="arenas per figure, however long it takes")
    parser.add_argument(
        "--interval",
        choices=sorted(INTERVALS),
        default="headline",
        help="the interval held against the band; 'independent' shows a failure",
    )
    workers = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    parser.add_argument("--workers", type=_positive, default=workers, metavar="N", help=f"processes ({workers})")
    return parser


def _natural(text: str) -> int:
    if not text.isascii() or not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{quoted(text)} is no whole number from 0 up")
    return int(text)


def _positive(text: str) -> int:
    if _natural(text) == 0:
        raise argparse.ArgumentTypeError("0 is too few")
    return int(text)


if __name__ == "__main__":
    sys.exit(main())
