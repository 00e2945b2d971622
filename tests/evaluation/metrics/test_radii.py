"""Radii and tiles from float32 products: never another number than float64 gives."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evaluation.metrics import seen_blocks
from evaluation.metrics.nearest import nearest
from evaluation.metrics.prdc import manifolds
from evaluation.metrics.radii import radii


def table(kind: str, seed: int, n: int, d: int) -> np.ndarray:
    """Float32 features that are easy (spread) or hard for float32 products."""
    rng = np.random.default_rng(seed)
    spread = rng.normal(size=(n, d))
    made = {
        "spread": spread,
        "ties": rng.integers(0, 3, size=(n, d)),
        "copies": spread[rng.integers(0, max(1, n // 3), size=n)],
        "offset": spread + 1e4,
        # All distances within a cluster are below what float32 products can tell apart.
        "clusters": 1e3 * np.eye(d)[rng.integers(0, d, size=n)] + 1e-3 * spread,
        "huge": 1e18 * spread,
        "tiny": 1e-22 * spread,
        "outlier": np.concatenate([spread[:-1], 1e6 * spread[-1:]]),
    }
    features: np.ndarray = made[kind].astype(np.float32)
    return features


KINDS = ["spread", "ties", "copies", "offset", "clusters", "huge", "tiny", "outlier"]


@settings(max_examples=60, deadline=None)
@given(
    kind=st.sampled_from(KINDS),
    seed=st.integers(0, 2**32 - 1),
    n=st.integers(8, 60),
    d=st.integers(1, 12),
    k=st.integers(1, 6),
    block=st.integers(1, 70),
)
def test_radii_are_those_of_float64_to_the_last_digit(kind: str, seed: int, n: int, d: int, k: int, block: int) -> None:
    x = table(kind, seed, n, d)

    found = radii(x, k, block=block)

    assert (found == nearest(x, x, k=k, leave_out_self=True).values[:, -1]).all()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("many", [0.0, 1.0])
def test_what_lies_where_is_the_same_from_float32_and_from_float64(
    kind: str, many: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both where open pairs are looked at one by one (many = 1) and where the whole tile is taken again (0)."""
    monkeypatch.setattr(seen_blocks, "_MANY", many)
    real, generated = table(kind, 1, 300, 24), table(kind, 2, 260, 24)
    generated[:20] = real[:20]

    narrow = manifolds(real, generated, k=4, block=100)
    wide = manifolds(real.astype(np.float64), generated.astype(np.float64), k=4)

    assert (narrow.within_real == wide.within_real).all()
    assert (narrow.within_generated == wide.within_generated).all()
    assert (narrow.covered == wide.covered).all()


@pytest.mark.parametrize("kind", ["spread", "offset", "outlier"])
def test_the_bound_holds_for_products_in_float32(kind: str) -> None:
    x, y = table(kind, 3, 200, 600), table(kind, 4, 150, 600)
    origin = x.mean(axis=0, dtype=np.float64)
    a, b = (seen_blocks.see(one, slice(0, len(one)), origin) for one in (x, y))

    tile = seen_blocks.Tile.of(a, b)

    assert tile.is_narrow
    true = np.square(x.astype(np.float64)[:, None] - y.astype(np.float64)[None]).sum(axis=2)
    bound = seen_blocks.rounding(600) * np.add.outer(a.squares, b.squares)
    assert (np.abs(tile.squared - true) <= bound).all()
