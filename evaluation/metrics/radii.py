"""How far each row of a table is from its k-th nearest other row: the radii of the balls of a manifold.

In: a table of features, in memory or memory-mapped. Out: squared distances, worked out from the differences of rows, as
`nearest` does. Each pair of blocks is met once, for both sides. Products are float32 where the features are; a row
for which float32 leaves open which rows are its nearest is looked up again in float64, so that no digit depends on it.
Pure.
"""

from collections.abc import Callable

import numpy as np
from jaxtyping import Float, Float64, Int

from evaluation.metrics.blocks import BLOCK_ROWS, nothing_to_tell, spans
from evaluation.metrics.nearest import centre, exact_distances, nearest
from evaluation.metrics.seen_blocks import Seen, Tile, see, surely_beyond

# Candidates beyond the k that are wanted: the further the last of them, the more surely none was missed.
_SPARE = 7


def radii(
    x: Float[np.ndarray, "n d"],
    k: int,
    *,
    block: int = BLOCK_ROWS,
    on_tile: Callable[[], None] = nothing_to_tell,
) -> Float64[np.ndarray, " n"]:
    """The squared distance of each row to the k-th nearest other row, of which there must be k.

    `on_tile` is called for each pair of blocks, a block with itself among them.
    """
    kept = min(k + _SPARE, len(x) - 1)
    origin = centre(x)
    best = np.zeros((len(x), kept), dtype=np.int64)
    rough = np.full((len(x), kept), np.inf)
    squares, narrow = np.empty(len(x)), np.zeros(len(x), dtype=bool)
    for rows in spans(len(x), block):
        a = see(x, rows, origin)
        squares[rows], narrow[rows] = a.squares, a.narrow is not None
        for columns in spans(rows.start, block):
            tile = Tile.of(a, see(x, columns, origin)).squared
            _keep(best, rough, rows, tile, columns.start)
            _keep(best, rough, columns, tile.T, rows.start)
            on_tile()
        tile = Tile.of(a, a).squared
        np.fill_diagonal(tile, np.inf)
        _keep(best, rough, rows, tile, rows.start)
        on_tile()
    found: Float64[np.ndarray, " n"] = np.concatenate(
        [_exactly(x, see(x, rows, origin), best[rows], k) for rows in spans(len(x), block)]
    )
    if kept == len(x) - 1 or not narrow.any():
        return found
    open_rows = np.flatnonzero(rough.max(axis=1) <= surely_beyond(squares, found, x.shape[1]))
    if open_rows.size:
        # Each row is its own nearest, at distance 0, so that the k-th other one is the next.
        again = nearest(np.ascontiguousarray(x[open_rows]), x, k=k + 1, block=block)
        found[open_rows] = again.values[:, k]
    return found


def _keep(
    best: Int[np.ndarray, "n kept"],
    rough: Float64[np.ndarray, "n kept"],
    rows: slice,
    tile: Float[np.ndarray, "rows columns"],
    start: int,
) -> None:
    """The nearest so far of `rows`, joined by those of a tile whose columns begin at `start`; in place."""
    kept = best.shape[1]
    here = min(kept, tile.shape[1])
    chosen = np.argpartition(tile, here - 1, axis=1)[:, :here]
    values = np.concatenate([rough[rows], np.take_along_axis(tile, chosen, axis=1)], axis=1)
    candidates = np.concatenate([best[rows], chosen + start], axis=1)
    order = np.argpartition(values, kept - 1, axis=1)[:, :kept]
    best[rows] = np.take_along_axis(candidates, order, axis=1)
    rough[rows] = np.take_along_axis(values, order, axis=1)


def _exactly(
    x: Float[np.ndarray, "n d"], a: Seen, best: Int[np.ndarray, "rows kept"], k: int
) -> Float64[np.ndarray, " rows"]:
    """The k-th smallest distance to the candidates, from the differences."""
    exact = np.empty(best.shape)
    for column in range(best.shape[1]):
        exact[:, column] = exact_distances(a.rows, np.ascontiguousarray(x[best[:, column]], dtype=np.float64))
    found: Float64[np.ndarray, " rows"] = np.partition(exact, k - 1, axis=1)[:, k - 1]
    return found
