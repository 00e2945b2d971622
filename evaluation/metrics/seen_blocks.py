"""Squared distances between blocks of rows in the quickest form, with a bound on what rounding may have done to them.

In: blocks of features as seen from a point amid them. Out: |a|^2 + |b|^2 - 2 a.b for each pair, in float32 where the
features are float32 (half the time) and else in float64, and how far from the truth it may be. Whoever needs to know
more than the bound tells looks at a - b. Pure.
Source of the bound: Higham (2002), "Accuracy and stability of numerical algorithms", section 3.1 (an inner product of d
terms is off by no more than d units of rounding of |a| |b|, in any order of adding up).
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Float32, Float64

from evaluation.metrics.blocks import products, read
from evaluation.metrics.nearest import ROUNDING, exact_distances, squared_distances

_UNIT = 2.0**-24
# For the roundings besides the products': of the features themselves, of their lengths, of the sum and of a radius.
_BESIDES = 32
# Beyond it float32 squares come near their limit, and below the other their last digits are lost.
_LARGEST_SQUARE, _LOST = 1e30, 1e-30
# Beyond this share of pairs that float32 leaves open, float64 is quicker than a look at each.
_MANY = 0.01
# Pairs whose differences are in memory at once.
_PAIRS = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """A block of rows: as they are, as seen from the origin, and their squared lengths from there."""

    span: slice
    rows: Float64[np.ndarray, "n d"]
    from_origin: Float64[np.ndarray, "n d"]
    narrow: Float32[np.ndarray, "n d"] | None
    squares: Float64[np.ndarray, " n"]


def see(table: Float[np.ndarray, "n d"], span: slice, origin: Float64[np.ndarray, " d"]) -> Seen:
    """The block `span` of `table`; with a float32 copy where the table is float32 and its squares fit."""
    rows = read(table, span, np.float64)
    from_origin = rows - origin
    squares = np.square(from_origin).sum(axis=1)
    fits = table.dtype.itemsize <= 4 and bool(squares.max() < _LARGEST_SQUARE)
    return Seen(
        span=span,
        rows=rows,
        from_origin=from_origin,
        narrow=from_origin.astype(np.float32) if fits else None,
        squares=squares,
    )


def rounding(width: int) -> float:
    """How far off a squared distance from float32 products may be, in units of |a|^2 + |b|^2."""
    return (width + _BESIDES) * _UNIT


@dataclass(frozen=True, slots=True, kw_only=True)
class Tile:
    """The squared distances between two blocks, and how sure they are."""

    a: Seen
    b: Seen
    squared: Float[np.ndarray, "n m"]

    @classmethod
    def of(cls, a: Seen, b: Seen) -> "Tile":
        """In float32 where both blocks have it."""
        if a.narrow is None or b.narrow is None:
            return cls(a=a, b=b, squared=squared_distances(a.from_origin, b.from_origin))
        squared = products(a.narrow, b.narrow)
        squared *= -2
        squared += a.squares.astype(np.float32)[:, None]
        squared += b.squares.astype(np.float32)[None, :]
        return cls(a=a, b=b, squared=squared)

    @property
    def is_narrow(self) -> bool:
        """Whether the products were taken in float32."""
        return bool(self.squared.dtype == np.float32)

    def closer_than(self, squared_radii: Float64[np.ndarray, "..."]) -> Bool[np.ndarray, "n m"]:
        """Which pairs are closer than these squared radii; where rounding could decide, the differences do."""
        kind: Any = self.squared.dtype.type
        gap = self.squared - squared_radii.astype(kind)
        closer: Bool[np.ndarray, "n m"] = gap < 0
        part = rounding(self.a.rows.shape[1]) if self.is_narrow else ROUNDING
        doubt = np.add.outer((part * self.a.squares).astype(kind), (part * self.b.squares).astype(kind))
        if self.is_narrow:
            doubt += np.float32(_LOST)
        doubtful, other = np.nonzero(np.abs(gap, out=gap) <= doubt)
        if self.is_narrow and len(doubtful) > _MANY * gap.size:
            wide = squared_distances(self.a.from_origin, self.b.from_origin)
            return Tile(a=self.a, b=self.b, squared=wide).closer_than(squared_radii)
        limits = np.broadcast_to(squared_radii, closer.shape)
        for start in range(0, len(doubtful), _PAIRS):
            i, j = doubtful[start : start + _PAIRS], other[start : start + _PAIRS]
            closer[i, j] = exact_distances(self.a.rows[i], self.b.rows[j]) < limits[i, j]
        return closer


def surely_beyond(
    squares: Float64[np.ndarray, " n"], reach: Float64[np.ndarray, " n"], width: int
) -> Float64[np.ndarray, " n"]:
    """What a float32 squared distance from each row must exceed, so that the true one exceeds `reach`.

    Whatever lies within `reach` is no longer than |a| + sqrt(reach), which bounds what rounding may have done to it.
    """
    longest = np.square(np.sqrt(squares) + np.sqrt(reach))
    found: Float64[np.ndarray, " n"] = reach + rounding(width) * (squares + longest) + _LOST
    return found
