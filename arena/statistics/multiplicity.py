"""Many questions asked at once: p-values adjusted over a family of tests.

In: p-values; None stands for a test that could not be made. Out: adjusted p-values in the same order. A test that could
not be made still belongs to the declared family: it counts as if its p were 1, so that a claim about one entrant does
not appear, and later vanish, because another has no votes yet.
Source: Holm (1979), "A simple sequentially rejective multiple test procedure", Scand. J. Statist. 6, 65-70;
Benjamini & Hochberg (1995), doi:10.1111/j.2517-6161.1995.tb02031.x.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float64, Int


def holm(p_values: Sequence[float | None]) -> list[float | None]:
    """Holm's adjusted p-values: the chance of any false claim in the family stays below alpha. For claims."""
    p, order = _ascending(p_values)
    tests_left = np.arange(len(p), 0, -1)
    adjusted = np.minimum(1.0, np.maximum.accumulate(p[order] * tests_left))
    return _in_place(adjusted, order, p_values)


def benjamini_hochberg(p_values: Sequence[float | None]) -> list[float | None]:
    """Benjamini and Hochberg's adjusted p-values: the expected share of false findings. For exploring."""
    p, order = _ascending(p_values)
    ranks = np.arange(1, len(p) + 1)
    adjusted = np.minimum(1.0, np.minimum.accumulate((p[order] * (len(p) / ranks))[::-1])[::-1])
    return _in_place(adjusted, order, p_values)


def _ascending(
    p_values: Sequence[float | None],
) -> tuple[Float64[np.ndarray, " tests"], Int[np.ndarray, " tests"]]:
    p = np.array([1.0 if value is None else value for value in p_values], dtype=np.float64)
    assert np.all((p >= 0) & (p <= 1)), "a p-value lies in [0, 1]"
    return p, np.argsort(p, kind="stable")


def _in_place(
    adjusted: Float64[np.ndarray, " tests"], order: Int[np.ndarray, " tests"], p_values: Sequence[float | None]
) -> list[float | None]:
    back = np.empty_like(adjusted)
    back[order] = adjusted
    return [None if given is None else float(value) for value, given in zip(back, p_values, strict=True)]
