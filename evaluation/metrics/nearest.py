"""The nearest rows of one table to each row of another, block by block, by distance or by angle.

In: two tables of features, in memory or memory-mapped. Out: for each row of the first, the indices of the `k` nearest
rows of the second, and how near they are. All is float64.

|a - b|^2 = |a|^2 + |b|^2 - 2 a.b is quick and finds the candidates, but its rounding would part copies by 1e-7 or so
and decide ties by the size of a block. What is reported of candidates is therefore worked out from a - b: copies lie at
distance 0, and equal distances are equal. Pure.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float, Float64, Int

from evaluation.metrics.base import TooFewFeaturesError
from evaluation.metrics.blocks import BLOCK_ROWS, products, read, spans
from evaluation.metrics.directions import unit_rows

#: What the quick form may be off by, in units of |a|^2 + |b|^2, for some thousand features.
ROUNDING = 1e-12
# Candidates beyond the k that are wanted, among which the order of near ties is settled.
_SPARE = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Nearest:
    """`rows[i]` are the nearest rows to row i, the nearest first; `values[i]` their squared distances or cosines."""

    rows: Int[np.ndarray, "n k"]
    values: Float64[np.ndarray, "n k"]


def nearest(
    queries: Float[np.ndarray, "n d"],
    among: Float[np.ndarray, "m d"],
    *,
    k: int = 1,
    by: Literal["distance", "cosine"] = "distance",
    leave_out_self: bool = False,
    block: int = BLOCK_ROWS,
) -> Nearest:
    """The `k` nearest rows of `among` to each row of `queries`, by squared Euclidean distance or by cosine.

    With `leave_out_self` both are the same table, and no row is its own neighbour. Raises TooFewFeaturesError where
    there are no k rows to find, and for a cosine FeaturesError for a row of zeros.
    """
    there = len(among) - leave_out_self
    if not 1 <= k <= there:
        raise TooFewFeaturesError(
            f"{k} nearest rows were asked for, among {there}: ask for 1 or more and for fewer than there are, "
            "or add images."
        )
    kept = min(k + _SPARE, there)
    origin = centre(among) if by == "distance" else None
    rows, values = np.empty((len(queries), k), dtype=np.int64), np.empty((len(queries), k))
    for part in spans(len(queries), block):
        a = _block(queries, part, origin)
        best = np.empty((len(a), 0), dtype=np.int64)
        scores = np.empty((len(a), 0))
        for columns in spans(len(among), block):
            tile = _roughly(a, _block(among, columns, origin), by)
            if leave_out_self:
                shared = np.arange(max(part.start, columns.start), min(part.stop, columns.stop))
                tile[shared - part.start, shared - columns.start] = np.inf
            best, scores = _merged(best, scores, tile, columns.start, kept)
        exact = _exactly(queries, part, best, among, by)
        order = np.lexsort((best, exact), axis=1)[:, :k]
        rows[part] = np.take_along_axis(best, order, axis=1)
        found = np.take_along_axis(exact, order, axis=1)
        values[part] = -found if by == "cosine" else found
    return Nearest(rows=rows, values=values)


def centre(table: Float[np.ndarray, "n d"]) -> Float64[np.ndarray, " d"]:
    """A point amid the rows: seen from there a common offset costs the quick form no digits."""
    found: Float64[np.ndarray, " d"] = table[:BLOCK_ROWS].mean(axis=0, dtype=np.float64)
    return found


def squared_distances(a: Float64[np.ndarray, "n d"], b: Float64[np.ndarray, "m d"]) -> Float64[np.ndarray, "n m"]:
    """|a - b|^2 of each row of a with each of b by the quick form, right to `ROUNDING` (|a|^2 + |b|^2)."""
    found = products(a, b)
    found *= -2
    found += np.square(a).sum(axis=1)[:, None]
    found += np.square(b).sum(axis=1)[None, :]
    return found


def exact_distances(a: Float64[np.ndarray, "n d"], b: Float64[np.ndarray, "n d"]) -> Float64[np.ndarray, " n"]:
    """|a - b|^2 of each row of a with the row of b beside it, from the differences."""
    gap = a - b
    found: Float64[np.ndarray, " n"] = np.einsum("nd,nd->n", gap, gap)
    return found


def _block(
    table: Float[np.ndarray, "n d"], rows: slice, origin: Float64[np.ndarray, " d"] | None
) -> Float64[np.ndarray, "rows d"]:
    """A block as seen from `origin`, or as directions."""
    block = read(table, rows, np.float64)
    return unit_rows(block, "image") if origin is None else block - origin


def _roughly(a: Float64[np.ndarray, "n d"], b: Float64[np.ndarray, "m d"], by: str) -> Float64[np.ndarray, "n m"]:
    """How far each row of b lies from each of a; the order is all that counts."""
    return -products(a, b) if by == "cosine" else squared_distances(a, b)


def _merged(
    best: Int[np.ndarray, "n old"],
    scores: Float64[np.ndarray, "n old"],
    tile: Float64[np.ndarray, "n m"],
    start: int,
    kept: int,
) -> tuple[Int[np.ndarray, "n new"], Float64[np.ndarray, "n new"]]:
    """The `kept` best of those so far and of this tile, whose columns begin at `start`."""
    here = min(kept, tile.shape[1])
    chosen = np.argpartition(tile, here - 1, axis=1)[:, :here]
    rows = np.concatenate([best, chosen + start], axis=1)
    values = np.concatenate([scores, np.take_along_axis(tile, chosen, axis=1)], axis=1)
    if rows.shape[1] <= kept:
        return rows, values
    order = np.argpartition(values, kept - 1, axis=1)[:, :kept]
    return np.take_along_axis(rows, order, axis=1), np.take_along_axis(values, order, axis=1)


def _exactly(
    queries: Float[np.ndarray, "q d"],
    part: slice,
    best: Int[np.ndarray, "n kept"],
    among: Float[np.ndarray, "m d"],
    by: str,
) -> Float64[np.ndarray, "n kept"]:
    """How far each candidate lies from its row, candidate by candidate."""
    a = read(queries, part, np.float64)
    a = unit_rows(a, "image") if by == "cosine" else a
    exact = np.empty(best.shape)
    for column in range(best.shape[1]):
        b = np.ascontiguousarray(among[best[:, column]], dtype=np.float64)
        exact[:, column] = -np.einsum("nd,nd->n", a, unit_rows(b, "image")) if by == "cosine" else exact_distances(a, b)
    return exact
