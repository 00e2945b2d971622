"""Sums of a kernel over pairs of images, tile by tile: what both kernel distances, KID and CMMD, are made of.

In: two tables of features, in memory or memory-mapped, and a kernel of two blocks of them. Out: for each row, the sum
over the other rows, in float64. No more than two blocks and their tile are in memory. Pure.
Source: Gretton et al. (2012), "A kernel two-sample test", JMLR 13, section 2 and lemma 6.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float64

from evaluation.metrics.blocks import BLOCK_ROWS, nothing_to_tell, read, spans

#: The kernel of each row of one block with each row of another.
Kernel = Callable[[Float[np.ndarray, "n d"], Float[np.ndarray, "m d"]], Float[np.ndarray, "n m"]]


@dataclass(frozen=True, slots=True, kw_only=True)
class PairSums:
    """`x[i]` and `y[j]` are the sums over the set's other rows, `x_to_y[i]` and `y_to_x[j]` over the other set.

    `x_self[i]` and `y_self[j]` are the kernel of a row with itself.
    """

    x: Float64[np.ndarray, " n"]
    y: Float64[np.ndarray, " m"]
    x_self: Float64[np.ndarray, " n"]
    y_self: Float64[np.ndarray, " m"]
    x_to_y: Float64[np.ndarray, " n"]
    y_to_x: Float64[np.ndarray, " m"]

    def unbiased(self) -> float:
        """The squared distance as a U-statistic: no row is paired with itself. It can be negative."""
        n, m = len(self.x), len(self.y)
        own = self.x.sum() / (n * (n - 1)) + self.y.sum() / (m * (m - 1))
        return float(own - 2 * self.x_to_y.sum() / (n * m))

    def biased(self) -> float:
        """The squared distance as a V-statistic: each row is paired with itself, too. It is never negative."""
        n, m = len(self.x), len(self.y)
        own = (self.x.sum() + self.x_self.sum()) / n**2 + (self.y.sum() + self.y_self.sum()) / m**2
        return max(0.0, float(own - 2 * self.x_to_y.sum() / (n * m)))

    def unbiased_influences(self) -> Float64[np.ndarray, " m"]:
        """The first-order effect of each row of y on `unbiased` (its Hajek projection); they sum to 0.

        Source: van der Vaart (1998), "Asymptotic statistics", sections 11.3 and 12.1.
        """
        return _centred(2 * self.y / (len(self.y) - 1) - 2 * self.y_to_x / len(self.x))

    def biased_influences(self) -> Float64[np.ndarray, " m"]:
        """The first-order effect of each row of y on `biased`; they sum to 0."""
        return _centred(2 * (self.y + self.y_self) / len(self.y) - 2 * self.y_to_x / len(self.x))


def pair_sums(
    x: Float[np.ndarray, "n d"],
    y: Float[np.ndarray, "m d"],
    kernel: Kernel,
    dtype: type[np.floating],
    *,
    block: int = BLOCK_ROWS,
    on_tile: Callable[[], None] = nothing_to_tell,
) -> PairSums:
    """All sums of `kernel`, over blocks that are read as `dtype`; `on_tile` is called `pair_tiles` times."""
    own_x, self_x = _own_sums(x, kernel, dtype, block, on_tile)
    own_y, self_y = _own_sums(y, kernel, dtype, block, on_tile)
    x_to_y, y_to_x = np.zeros(len(x)), np.zeros(len(y))
    for rows in spans(len(x), block):
        a = read(x, rows, dtype)
        for columns in spans(len(y), block):
            tile = kernel(a, read(y, columns, dtype))
            x_to_y[rows] += tile.sum(axis=1, dtype=np.float64)
            y_to_x[columns] += tile.sum(axis=0, dtype=np.float64)
            on_tile()
    return PairSums(x=own_x, y=own_y, x_self=self_x, y_self=self_y, x_to_y=x_to_y, y_to_x=y_to_x)


def pair_tiles(n: int, m: int, *, block: int = BLOCK_ROWS) -> int:
    """How many pairs of blocks the sums of two tables of n and m rows take."""
    of_x, of_y = (len(list(spans(rows, block))) for rows in (n, m))
    return of_x * (of_x + 1) // 2 + of_y * (of_y + 1) // 2 + of_x * of_y


def _own_sums(
    x: Float[np.ndarray, "n d"], kernel: Kernel, dtype: type[np.floating], block: int, on_tile: Callable[[], None]
) -> tuple[Float64[np.ndarray, " n"], Float64[np.ndarray, " n"]]:
    """Each row's sum over the other rows, and the kernel of each row with itself; no tile is worked out twice."""
    sums, own = np.zeros(len(x)), np.zeros(len(x))
    for rows in spans(len(x), block):
        a = read(x, rows, dtype)
        tile = kernel(a, a)
        own[rows] = np.diagonal(tile)
        np.fill_diagonal(tile, 0)
        sums[rows] += tile.sum(axis=1, dtype=np.float64)
        on_tile()
        for columns in spans(rows.start, block):
            tile = kernel(a, read(x, columns, dtype))
            sums[rows] += tile.sum(axis=1, dtype=np.float64)
            sums[columns] += tile.sum(axis=0, dtype=np.float64)
            on_tile()
    return sums, own


def _centred(values: Float64[np.ndarray, " m"]) -> Float64[np.ndarray, " m"]:
    centred: Float64[np.ndarray, " m"] = values - values.mean()
    return centred
