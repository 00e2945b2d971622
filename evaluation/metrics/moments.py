"""Count, mean and scatter of features, a block of rows at a time: all that a Frechet distance needs of a table.

In: blocks of features, from memory, from a file or from an extractor at work. Out: `Moments`, which can be merged,
kept as arrays and read back. However many rows there are, a few d x d tables are all that is held (200 MB and less for
d = 2,048). Any partition into blocks and any order of merging give the same moments, but for rounding.

Every block is centred on its own mean before it is multiplied by itself, and joins the rest by the pairwise update of
Chan, so that a large common offset costs no digits. Blocks of float32 are multiplied in float32, which takes half the
time, and added up in float64; `exact` multiplies them in float64 too. Blocks of float64 always stay float64. Pure.
Source: Chan, Golub & LeVeque (1983), doi:10.1080/00031305.1983.10483115.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Float64, Shaped
from scipy.linalg import blas

from evaluation.metrics.base import FeaturesError, MismatchedFeaturesError, NotFiniteFeaturesError

# What one block takes in memory while it is centred. Smaller blocks spend their time on adding up d x d tables; in
# larger ones the float32 products would run longer before float64 takes over.
_BLOCK_BYTES = 16 * 2**20
_PANEL = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class Moments:
    """What is known of `count` rows: their mean, and the sum of (row - mean)(row - mean)^T.

    `exact` says that no product was taken in float32.
    """

    count: int
    mean: Float64[np.ndarray, " d"]
    scatter: Float64[np.ndarray, "d d"]
    exact: bool = True

    @classmethod
    def nothing(cls, width: int) -> "Moments":
        """The moments of no rows, which change nothing that they are merged with."""
        return cls(count=0, mean=np.zeros(width), scatter=np.zeros((width, width)))

    @property
    def covariance(self) -> Float64[np.ndarray, "d d"]:
        """The unbiased covariance (ddof = 1), of two rows or more."""
        return self.scatter / (self.count - 1)

    def merged(self, other: "Moments") -> "Moments":
        """The moments of both sets of rows together. Raises MismatchedFeaturesError for another width."""
        _same_width(len(self.mean), len(other.mean))
        count = self.count + other.count
        if not count:
            return self
        gap = other.mean - self.mean
        scatter = self.scatter + other.scatter
        scaled = gap * np.sqrt(self.count * other.count / count)
        # In panels: a whole outer product would be one more d x d table.
        for start in range(0, len(gap), _PANEL):
            scatter[start : start + _PANEL] += np.outer(scaled[start : start + _PANEL], scaled)
        return Moments(
            count=count,
            mean=self.mean + gap * (other.count / count),
            scatter=scatter,
            exact=self.exact and other.exact,
        )

    def to_arrays(self) -> dict[str, Shaped[np.ndarray, "..."]]:
        """These moments as named arrays, as `np.savez` takes them."""
        return {
            "count": np.array(self.count, dtype=np.int64),
            "mean": self.mean,
            "scatter": self.scatter,
            "exact": np.array(self.exact),
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Any]) -> "Moments":
        """What `to_arrays` gave. Raises FeaturesError for anything else."""
        missing = [name for name in ("count", "mean", "scatter", "exact") if name not in arrays]
        if missing:
            raise FeaturesError(f"These are no statistics: {', '.join(missing)} are missing. Make them again.")
        mean, scatter = (np.asarray(arrays[name], dtype=np.float64) for name in ("mean", "scatter"))
        count = int(arrays["count"])
        fits = mean.ndim == 1 and scatter.shape == (len(mean), len(mean)) and count >= 0
        if not (fits and np.isfinite(mean).all() and np.isfinite(scatter).all()):
            raise FeaturesError(
                f"These statistics (count {count}, mean {mean.shape}, scatter {scatter.shape}) do not fit together "
                "or are not finite: make them again."
            )
        return cls(count=count, mean=mean, scatter=scatter, exact=bool(arrays["exact"]))


class StreamingMoments:
    """Moments that grow by blocks of rows; `what` names the rows in an error."""

    def __init__(self, width: int, *, exact: bool = False, what: str = "the images") -> None:
        """Nothing is added yet. `width` is the number of features per row."""
        self._width, self._force_exact, self._what = width, exact, what
        self._count = 0
        self._exact = True
        self._mean: Float64[np.ndarray, " d"] = np.zeros(width)
        # Upper triangle only, in the order of columns that BLAS updates in place.
        self._scatter: Float64[np.ndarray, "d d"] = np.zeros((width, width), order="F")
        self._product: Shaped[np.ndarray, "d d"] | None = None
        self._centred: Shaped[np.ndarray, "rows d"] | None = None

    @property
    def count(self) -> int:
        """How many rows were added."""
        return self._count

    def add(self, rows: Shaped[np.ndarray, "..."]) -> None:
        """Add rows, as many as come at once; they are left as they are.

        Raises FeaturesError for what is no table of floats, MismatchedFeaturesError for another width, and
        NotFiniteFeaturesError, with the number of the first broken row since the beginning.
        """
        if rows.ndim != 2 or rows.dtype.kind != "f":
            raise FeaturesError(
                f"The features of {self._what} are of shape {rows.shape} and type {rows.dtype}: "
                "a table of floats is needed, one row per image."
            )
        _same_width(self._width, rows.shape[1])
        kind = np.dtype(np.float64 if self._force_exact or rows.dtype.itemsize > 4 else np.float32)
        each = max(1, _BLOCK_BYTES // (kind.itemsize * max(1, self._width)))
        for start in range(0, len(rows), each):
            self._add_block(rows[start : start + each], kind)

    def moments(self) -> Moments:
        """The moments of all rows so far; what is added later does not change them."""
        return Moments(count=self._count, mean=self._mean.copy(), scatter=_mirrored(self._scatter), exact=self._exact)

    def _add_block(self, block: Float[np.ndarray, "rows d"], kind: np.dtype[Any]) -> None:
        n = len(block)
        with np.errstate(over="ignore", invalid="ignore"):
            first = block.mean(axis=0, dtype=np.float64)
        shift = first.astype(kind)
        if not np.isfinite(shift).all():
            self._refuse(block)
        centred = self._room(n, kind)
        np.subtract(block, shift, out=centred, casting="same_kind")
        # The first mean is rounded; what it left is small, so that its own rounding is of no account. In float32 the
        # subtraction rounds as well, which concerns the products alone.
        rest = centred.mean(axis=0, dtype=np.float64)
        centred -= rest.astype(kind)
        mean = first + rest if kind == np.float64 else first
        if kind == np.float64:
            self._scatter = blas.dsyrk(1.0, centred.T, beta=1.0, c=self._scatter, overwrite_c=1)
        else:
            if self._product is None:
                self._product = np.zeros((self._width, self._width), dtype=np.float32, order="F")
            self._product = blas.ssyrk(1.0, centred.T, beta=0.0, c=self._product, overwrite_c=1)
            if not np.isfinite(np.diagonal(self._product)).all():
                # Squares of features beyond 1e16 or so do not fit into float32.
                self._add_block(block, np.dtype(np.float64))
                return
            np.add(self._scatter, self._product, out=self._scatter)
            self._exact = False
        gap, count = mean - self._mean, self._count + n
        if self._count:
            self._scatter = blas.dsyr(self._count * n / count, gap, a=self._scatter, overwrite_a=1)
        self._mean += gap * (n / count)
        self._count = count

    def _room(self, n: int, kind: np.dtype[Any]) -> Shaped[np.ndarray, "rows d"]:
        """A place for a centred block, used again and again: fresh memory costs as much as the subtraction."""
        if self._centred is None or self._centred.dtype != kind or len(self._centred) < n:
            self._centred = None
            self._centred = np.empty((n, self._width), dtype=kind)
        return self._centred[:n]

    def _refuse(self, block: Float[np.ndarray, "rows d"]) -> None:
        whole: Bool[np.ndarray, " rows"] = np.isfinite(block).all(axis=1)
        if whole.all():
            raise FeaturesError(f"The features of {self._what} are too large to be added up: scale them down.")
        raise NotFiniteFeaturesError(
            f"The features of {self._what} hold NaN or infinity, first in row {self._count + int(whole.argmin())}: "
            "extract them again in float32."
        )


def moments_of(features: Shaped[np.ndarray, "..."], *, exact: bool = False, what: str = "the images") -> Moments:
    """The moments of a table of features, which may be a np.memmap. Raises as `StreamingMoments.add` does."""
    stream = StreamingMoments(features.shape[1] if features.ndim == 2 else 0, exact=exact, what=what)
    stream.add(features)
    return stream.moments()


def _same_width(here: int, there: int) -> None:
    if here != there:
        raise MismatchedFeaturesError(
            f"These rows have {there} features and those before them {here}: all must come from the same extractor."
        )


def _mirrored(upper: Float64[np.ndarray, "d d"]) -> Float64[np.ndarray, "d d"]:
    """The whole symmetric table of an upper triangle."""
    whole = upper.copy(order="F")
    for start in range(0, len(whole), _PANEL):
        panel = slice(start, start + _PANEL)
        corner = np.triu(whole[panel, panel])
        whole[panel, panel] = corner + np.triu(corner, 1).T
        whole[panel, :start] = whole[:start, panel].T
    return whole
