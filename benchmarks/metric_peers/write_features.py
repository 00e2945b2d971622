"""Two tables of features as an Inception network might give them: correlated, never negative, many of them near 0.

Usage: python write_features.py FOLDER ROWS WIDTH SEED. Each table is a rectified mixture of an eighth as many hidden
causes, of falling weight, and of noise of each feature's own; the second has other weights and offsets. They are
written in float64 and, rounded, in float32, with the means and covariances of both in float64.
"""

import sys
from pathlib import Path
from typing import Any

import numpy as np

from evaluation.metrics.frechet import gaussian_of
from evaluation.metrics.moments import StreamingMoments

_BLOCK = 2000


open_table: Any = np.lib.format.open_memmap


def write(folder: Path, rows: int, width: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    hidden = max(2, width // 8)
    weights = rng.normal(size=(hidden, width)) / np.sqrt(np.arange(1, hidden + 1))[:, None]
    offsets = rng.normal(0.1, 0.1, size=width)
    kept: dict[str, Any] = {}
    for name, scale, shift in (("reference", 0.3, 0.0), ("gallery", 0.3 * rng.uniform(0.8, 1.2, size=width), 0.05)):
        tables = [
            open_table(folder / f"{name}{bits}.npy", mode="w+", dtype=f"f{bits // 8}", shape=(rows, width))
            for bits in (32, 64)
        ]
        moments = StreamingMoments(width, exact=True)
        for start in range(0, rows, _BLOCK):
            count = min(_BLOCK, rows - start)
            causes = rng.normal(size=(count, hidden)) @ weights
            block = np.maximum(causes * scale + 0.2 * rng.normal(size=(count, width)) + offsets + shift, 0)
            moments.add(block)
            for table in tables:
                table[start : start + count] = block
        for table in tables:
            table.flush()
        found = gaussian_of(moments.moments())
        kept |= {f"{name}_mean": found.mean, f"{name}_covariance": found.covariance}
    np.savez(folder / "gaussians.npz", **kept)


if __name__ == "__main__":
    write(Path(sys.argv[1]), *(int(argument) for argument in sys.argv[2:5]))
