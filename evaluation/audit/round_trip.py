"""The telephone test: does an image's round trip through a caption bring back this image, or just an image?

In: features of source images, and of what was painted from each one's caption. Out: how much more alike an image is to
its own round trip than to the round trips of the other images, with an interval and a test. The subtrahend matters:
features of any two pictures are alike to some degree, and a model that paints one and the same thing for every caption
would else seem to copy them all.

With s_ij the cosine of source i and output j, the difference is a U-statistic of order 2 over images,

    U = mean over i of s_ii - mean over i != j of s_ij
      = mean over i < j of h_ij,    h_ij = (s_ii + s_jj - s_ij - s_ji) / 2,

and its interval is U +- t_{n-1} se by the jackknife: se^2 = 4 (n - 1) / (n (n - 2)^2) * sum over i of (q_i - U)^2, with
q_i the mean of h_ij over j. The test permutes which output belongs to which source: if outputs tell nothing of their
sources, every assignment is as good. All sums are taken from the sum of all outputs, so that every mismatched pair
counts and none has to be drawn. Pure; `rng` comes in.
Sources: Hoeffding (1948), doi:10.1214/aoms/1177730196; Sen (1960), "On some convergence properties of U-statistics";
Phipson & Smyth (2010), doi:10.2202/1544-6115.1585. Telephoning: Gokaslan et al. (2023), CommonCanvas, section 3.1.
"""

from dataclasses import asdict, dataclass
from itertools import permutations
from math import factorial
from typing import Any

import numpy as np
from jaxtyping import Float, Float64, Int
from scipy import stats

from evaluation.metrics.base import MismatchedFeaturesError, TooFewFeaturesError, check_features
from evaluation.metrics.directions import unit_rows

#: Fewer images leave the jackknife nothing to work with.
LEAST_IMAGES = 4
#: The test looks at so many images, drawn where there are more: their power is ample, and their table fits in memory.
TESTED_IMAGES = 2048
_CHUNK = 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class RoundTrip:
    """How alike sources and round trips are, by cosine. `difference` is `own` - `mismatched`.

    `low` and `high` are its interval at `level`; `p_value` is two-sided, exact or by `draws` random assignments.
    `nearest` is the share of sources to which their own output is the most alike of all; by chance that is 1 / images.
    """

    images: int
    seeds: int
    own: float
    mismatched: float
    difference: float
    low: float
    high: float
    standard_error: float
    level: float
    p_value: float
    exact: bool
    draws: int
    nearest: float

    def to_dict(self) -> dict[str, Any]:
        """As JSON values."""
        return asdict(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Similarities:
    """For each source its cosine with its own output, and the mean of its cosines with the others' outputs."""

    own: Float64[np.ndarray, " images"]
    mismatched: Float64[np.ndarray, " images"]


def round_trip(
    sources: Float[np.ndarray, "images features"],
    outputs: Float[np.ndarray, "trips seeds width"],
    *,
    rng: np.random.Generator,
    level: float = 0.95,
    draws: int = 9999,
) -> RoundTrip:
    """The telephone test of features; `outputs[i]` are those painted from the caption of source i, by several seeds.

    An image is what is drawn: the seeds of one are averaged. Raises TooFewFeaturesError for fewer than LEAST_IMAGES
    images, MismatchedFeaturesError, and FeaturesError for a row of zeros or of no numbers.
    """
    a, b = _directions(sources, outputs)
    n = len(a)
    found = _similarities(a, b)
    to_others = (b @ a.sum(axis=0) - found.own) / (n - 1)  # the mean of an output's cosines with the others' sources
    difference = float(found.own.mean() - found.mismatched.mean())
    # q_i: what image i says of the difference, paired with each of the others.
    others_own = (found.own.sum() - found.own) / (n - 1)
    said = (found.own + others_own - found.mismatched - to_others) / 2
    error = float(np.sqrt(4 * (n - 1) / (n * (n - 2) ** 2) * np.square(said - said.mean()).sum()))
    reach = float(stats.t.ppf((1 + level) / 2, n - 1)) * error
    test = _permuted(a, b, rng=rng, draws=draws)
    return RoundTrip(
        images=n,
        seeds=outputs.shape[1],
        own=float(found.own.mean()),
        mismatched=float(found.mismatched.mean()),
        difference=difference,
        low=difference - reach,
        high=difference + reach,
        standard_error=error,
        level=level,
        p_value=test.p_value,
        exact=test.exact,
        draws=test.draws,
        nearest=_share_nearest(a, b),
    )


def similarities(
    sources: Float[np.ndarray, "images features"], outputs: Float[np.ndarray, "trips seeds width"]
) -> Similarities:
    """Source by source, for whoever looks at single images. Raises as `round_trip` does."""
    return _similarities(*_directions(sources, outputs))


def _directions(
    sources: Float[np.ndarray, "images features"], outputs: Float[np.ndarray, "trips seeds width"]
) -> tuple[Float64[np.ndarray, "images features"], Float64[np.ndarray, "images features"]]:
    """Sources of length 1, and for each the mean of its outputs' directions: a cosine with it is the mean cosine."""
    if outputs.ndim != 3 or sources.ndim != 2 or outputs.shape[::2] != sources.shape or not outputs.shape[1]:
        raise MismatchedFeaturesError(
            f"Features of sources of shape {sources.shape} and of outputs of shape {outputs.shape} do not belong "
            "together: give each source its outputs, by the same extractor."
        )
    if len(sources) < LEAST_IMAGES:
        raise TooFewFeaturesError(
            f"A round trip is measured on {LEAST_IMAGES} images or more, and there are {len(sources)}: add images."
        )
    flat = outputs.reshape(-1, outputs.shape[2])
    a = unit_rows(check_features(sources, "the sources", at_least=LEAST_IMAGES), "source")
    b = unit_rows(check_features(flat, "the round trips", at_least=LEAST_IMAGES), "round trip")
    return a, b.reshape(outputs.shape).mean(axis=1)


def _similarities(a: Float64[np.ndarray, "n d"], b: Float64[np.ndarray, "n d"]) -> Similarities:
    own: Float64[np.ndarray, " n"] = np.einsum("nd,nd->n", a, b)
    return Similarities(own=own, mismatched=(a @ b.sum(axis=0) - own) / (len(a) - 1))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Permuted:
    p_value: float
    exact: bool
    draws: int


def _permuted(
    a: Float64[np.ndarray, "n d"], b: Float64[np.ndarray, "n d"], *, rng: np.random.Generator, draws: int
) -> _Permuted:
    """How often another assignment of outputs lies as far from what all assignments have on average."""
    if len(a) > TESTED_IMAGES:
        some = np.sort(rng.choice(len(a), TESTED_IMAGES, replace=False))
        a, b = a[some], b[some]
    n = len(a)
    table = a @ (b - b.mean(axis=0)).T
    # A last digit's difference in the order of adding must not tell equal sums apart.
    reached = abs(float(np.trace(table))) - 1e-12 * n
    if factorial(min(n, 20)) <= draws:
        ways = np.array(list(permutations(range(n))))
        return _Permuted(p_value=float((_assigned(table, ways) >= reached).mean()), exact=True, draws=0)
    hits = 1
    each = max(1, _CHUNK * _CHUNK // n)
    for start in range(0, draws, each):
        ways = rng.permuted(np.tile(np.arange(n), (min(each, draws - start), 1)), axis=1)
        hits += int((_assigned(table, ways) >= reached).sum())
    return _Permuted(p_value=hits / (draws + 1), exact=False, draws=draws)


def _assigned(table: Float64[np.ndarray, "n n"], ways: Int[np.ndarray, "ways n"]) -> Float64[np.ndarray, " ways"]:
    """How far the sum of own cosines lies from its mean, for each way to assign outputs to sources."""
    found: Float64[np.ndarray, " ways"] = np.abs(table[np.arange(len(table)), ways].sum(axis=1))
    return found


def _share_nearest(a: Float64[np.ndarray, "n d"], b: Float64[np.ndarray, "n d"]) -> float:
    """How many sources have their own output as the most alike; equals share the place."""
    total = 0.0
    for start in range(0, len(a), _CHUNK):
        table = a[start : start + _CHUNK] @ b.T
        own = np.take_along_axis(table, np.arange(start, start + len(table))[:, None], axis=1)
        equals = (table >= own - 1e-12).sum(axis=1)
        total += float(np.where((table > own + 1e-12).any(axis=1), 0.0, 1.0 / equals).sum())
    return total / len(a)
