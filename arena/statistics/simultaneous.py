"""All pairs of entrants at once: how far apart two strengths must be so that no pair of equals seems apart.

In: the strengths and their two-way covariance. Out: the 95 % point q of the largest |z| over all pairs, an interval of
+- q * se for every difference, and rank sets: an entrant's ranks run from 1 + the number of those surely above it to
K - the number of those surely below. q is found for normal errors and for Student's t on G* - 1 degrees of freedom; the
latter is used below 40 raters.
Source: Hothorn, Bretz & Westfall (2008), doi:10.1002/bimj.200810425, for simultaneous intervals under any covariance;
Mogstad, Romano, Shaikh & Wilhelm (2024), doi:10.1093/restud/rdad006, for ranks from them. The probability is a radius
integrated exactly times directions, as in Genz & Bretz (2009), doi:10.1007/978-3-642-01689-9, section 4.1.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from math import sqrt
from os import cpu_count
from typing import Any

import numpy as np
from jaxtyping import Bool, Float64
from scipy import special

from arena.statistics.bradley_terry import Fit
from arena.statistics.interval import ALPHA

# With fewer raters than this, the wider t quantile makes the intervals.
FEW_RATERS = 40
# The quantile's wanted error, the seeded copies it is judged by, and the most |z| that are computed for it.
_WANTED_ERROR = 2.5e-4
_COPIES = 8
_MOST_NUMBERS = 3_000_000_000
_BINS = 2_000
# Beyond this, a quantile is no number that anybody could use.
_NO_END = 1e100
_SEED = 20_110_601


@dataclass(frozen=True, slots=True, kw_only=True)
class Quantiles:
    """The 95 % point of the largest |z| over all pairs, with normal and with t errors, and its numerical error."""

    normal: float
    t: float
    numerical_error: float


@dataclass(frozen=True, slots=True, kw_only=True)
class PairDifference:
    """The strength of `a` less that of `b`; all pairs' intervals are made to hold at once, 95 times in 100.

    How often they do with few raters is in this folder's README.
    """

    a: str
    b: str
    difference: float
    se: float
    low: float
    high: float

    @property
    def surely_apart(self) -> bool:
        """Whether the simultaneous interval leaves 0 out."""
        return self.low > 0 or self.high < 0

    def to_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        return {
            "a": self.a,
            "b": self.b,
            "difference": self.difference,
            "se": self.se,
            "interval": [self.low, self.high],
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class RankedPairs:
    """All differences, each entrant's [best, worst] rank, and the quantiles; `used` is the one that made them."""

    quantiles: Quantiles
    used: float
    pairs: tuple[PairDifference, ...]
    rank_sets: dict[str, tuple[int, int]]


def ranked_pairs(fit: Fit) -> RankedPairs | None:
    """Simultaneous intervals of all differences and the rank sets; None where the fit has no clustered spread."""
    if fit.estimate is None or fit.covariance is None or fit.df is None or fit.raters is None:
        return None
    covariance = fit.of_strengths(fit.covariance.usable())
    variances = _variances(fit)
    quantiles = all_pairs_quantiles(covariance, df=fit.df)
    used = quantiles.t if fit.raters < FEW_RATERS else quantiles.normal
    strengths = fit.estimate.strengths
    difference, half = strengths[:, None] - strengths[None, :], used * np.sqrt(variances)
    return RankedPairs(
        quantiles=quantiles,
        used=used,
        pairs=tuple(
            PairDifference(
                a=fit.entrants[i],
                b=fit.entrants[j],
                difference=float(difference[i, j]),
                se=sqrt(float(variances[i, j])),
                low=float(difference[i, j] - half[i, j]),
                high=float(difference[i, j] + half[i, j]),
            )
            for i in range(len(strengths))
            for j in range(i + 1, len(strengths))
        ),
        rank_sets=rank_sets(difference > half, fit.entrants),
    )


def rank_sets(surely_above: Bool[np.ndarray, "entrants entrants"], names: Sequence[str]) -> dict[str, tuple[int, int]]:
    """[best, worst] rank of each, where `surely_above[i, j]` says that i is surely above j.

    >>> above = np.array([[False, True, True], [False, False, False], [False, False, False]])
    >>> rank_sets(above, ["a", "b", "c"])
    {'a': (1, 1), 'b': (2, 3), 'c': (2, 3)}
    """
    best = 1 + surely_above.sum(axis=0)
    worst = len(names) - surely_above.sum(axis=1)
    return {name: (int(high), int(low)) for name, high, low in zip(names, best, worst, strict=True)}


def all_pairs_quantiles(covariance: Float64[np.ndarray, "entrants entrants"], *, df: float) -> Quantiles:
    """The 95 % points of max |z_i - z_j| / se_ij over all pairs, z ~ N(0, covariance), and of its t counterpart.

    `covariance` is positive semi-definite; pairs without spread between them are left out. Two entrants, or two
    dimensions, are exact; else the directions are seeded, and more are drawn until the error is below 1e-3.

    >>> round(all_pairs_quantiles(np.eye(3), df=1e9).normal, 3)  # Tukey's studentized range: 3.314 / sqrt(2)
    2.344
    """
    root = _root(covariance)
    pairs = _pairs(root)
    dimensions = root.shape[1]
    if dimensions == 0:
        # Nothing is uncertain: no pair can seem apart by chance.
        return Quantiles(normal=0.0, t=0.0, numerical_error=0.0)
    if dimensions <= 2:
        angle = (np.arange(1 << 16) + 0.5) * (np.pi / (1 << 16))
        directions = np.stack([np.cos(angle), np.sin(angle)], axis=1) if dimensions == 2 else np.ones((1, 1))
        largest = _largest(directions, root, pairs)
        return Quantiles(
            normal=_quantile(largest, dimensions, None), t=_quantile(largest, dimensions, df), numerical_error=0.0
        )
    # Imported here, so that whoever only fits strengths does not wait for it.
    from scipy.stats import qmc

    # Scrambled Sobol points, in copies that are independent of each other so that they show the error of their mean.
    engines = [qmc.Sobol(dimensions, seed=np.random.default_rng([_SEED, copy])) for copy in range(_COPIES)]
    samples: list[list[Float64[np.ndarray, " directions"]]] = [[] for _ in engines]
    drawn, wanted = 0, 1 << 11
    while True:
        more = wanted - drawn

        def draw(engine: Any, more: int = more) -> Float64[np.ndarray, " directions"]:
            normal = special.ndtri(np.clip(engine.random(more), 1e-15, 1 - 1e-15))
            directions = normal / np.linalg.norm(normal, axis=1, keepdims=True)
            return _largest(directions, root, pairs)

        # numpy lets go of the interpreter while it computes, so threads use every core.
        with ThreadPoolExecutor(max_workers=min(_COPIES, cpu_count() or 1)) as pool:
            for found, new in zip(samples, pool.map(draw, engines), strict=True):
                found.append(new)
        drawn = wanted
        joined = [np.concatenate(found) for found in samples]
        copies = [_quantile(largest, dimensions, None) for largest in joined]
        error = float(np.std(copies, ddof=1)) / sqrt(_COPIES)
        if error < _WANTED_ERROR or 2 * drawn * _COPIES * len(pairs) > _MOST_NUMBERS:
            every = np.concatenate(joined)
            return Quantiles(
                normal=_quantile(every, dimensions, None), t=_quantile(every, dimensions, df), numerical_error=error
            )
        wanted = 2 * drawn


def _variances(fit: Fit) -> Float64[np.ndarray, "entrants entrants"]:
    """The variance of every difference, the reference among them, each by the rule for one that is not positive."""
    assert fit.covariance is not None, "only a fit with spread has differences with spread"
    return fit.covariance.each(fit.of_strengths).of_differences()


def _root(covariance: Float64[np.ndarray, "entrants entrants"]) -> Float64[np.ndarray, "entrants dimensions"]:
    """A matrix whose product with its own transpose is the covariance, with as few columns as that takes."""
    # Only differences matter: without the mean of all, K entrants span K - 1 dimensions.
    centred = covariance - covariance.mean(axis=0, keepdims=True) - covariance.mean(axis=1, keepdims=True)
    values, vectors = np.linalg.eigh(centred + covariance.mean())
    kept = values > 1e-12 * max(values[-1], 0.0)
    root: Float64[np.ndarray, "entrants dimensions"] = vectors[:, kept] * np.sqrt(values[kept])
    return root


def _pairs(root: Float64[np.ndarray, "entrants dimensions"]) -> list[tuple[int, int, np.float32]]:
    """Every pair that has spread between its two, with the inverse of its standard error."""
    first, second = np.triu_indices(len(root), k=1)
    se = np.linalg.norm(root[first] - root[second], axis=1)
    kept = se > 1e-9 * se.max(initial=0.0)
    inverse = (1 / se[kept]).astype(np.float32)
    return list(zip(first[kept].tolist(), second[kept].tolist(), inverse, strict=True))


def _largest(
    directions: Float64[np.ndarray, "directions dimensions"],
    root: Float64[np.ndarray, "entrants dimensions"],
    pairs: list[tuple[int, int, np.float32]],
) -> Float64[np.ndarray, " directions"]:
    """The largest |z| over the pairs in each direction, for a radius of 1."""
    # One row per entrant in memory and single precision (7 digits) make this seconds, not minutes.
    points = np.ascontiguousarray((root @ directions.T).astype(np.float32))
    largest = np.zeros(len(directions), dtype=np.float32)
    gap = np.empty_like(largest)
    for one, other, inverse_se in pairs:
        np.subtract(points[one], points[other], out=gap)
        np.abs(gap, out=gap)
        gap *= inverse_se
        np.maximum(largest, gap, out=largest)
    return largest.astype(np.float64)


def _quantile(largest: Float64[np.ndarray, " directions"], dimensions: int, df: float | None) -> float:
    """The radius at which a share of 95 % lies within: the radius is chi, or for t the root of a multiple of F."""

    from scipy.optimize import brentq

    value, weight = _binned(largest)

    def within(q: float) -> float:
        square = (q / value) ** 2
        if df is None:
            return float(weight @ special.chdtr(dimensions, square))
        return float(weight @ special.fdtr(dimensions, df, square / dimensions))

    high = 4.0
    while within(high) < 1 - ALPHA:
        high *= 2
        if high > _NO_END:
            # One rater gives nearly all votes: nothing is known of how raters differ, and no distance is enough.
            return high
    return float(brentq(lambda q: within(q) - (1 - ALPHA), 0.5, high, xtol=1e-10))


def _binned(
    largest: Float64[np.ndarray, " directions"],
) -> tuple[Float64[np.ndarray, " bins"], Float64[np.ndarray, " bins"]]:
    """Means and shares of narrow bins, so narrow that a smooth function's mean over them errs by less than 1e-7."""
    if len(largest) <= _BINS:
        return largest, np.full(len(largest), 1 / len(largest))
    low, high = float(largest.min()), float(largest.max())
    place = ((largest - low) * (_BINS / max(high - low, 1e-300))).astype(np.int64)
    counts = np.bincount(place)
    sums = np.bincount(place, weights=largest)
    kept = counts > 0
    return sums[kept] / counts[kept], counts[kept] / len(largest)
