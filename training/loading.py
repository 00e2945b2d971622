"""Latents as the engine's batches: from memory where they fit, streamed from disk where they do not.

In: the folder of a latents stage. Out: a loader whose order depends on the seed and the epoch alone. Streaming keeps
threads of its own busy, which at 46 ms a step took a fifth of a tiny run's time from it.
"""

import math
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader

from training.data import latents_loader
from training.engine.loaders import tensor_loader
from training.engine.ranks import world_size
from training.mds import read_samples
from training.stage import Manifest, require_stage

IN_MEMORY_BYTES = 2**29  # every process holds them all
_COLUMNS = {"latents": "latents_shape", "text": "text_shape"}
_FLOAT_BYTES = 4


def training_loader(data: Path, *, batch_size: int, seed: int, canonical_nodes: int) -> DataLoader[Any]:
    """Batches of `batch_size` over all processes, with float32 "latents" and "text".

    `canonical_nodes` is for streaming: see `training.data`. Raises the errors of `require_stage` and LatentsError.
    """
    manifest = require_stage(data, "latents")
    if _bytes_in_memory(manifest) <= IN_MEMORY_BYTES:
        return tensor_loader(_read_into_memory(data, manifest), batch_size=batch_size, seed=seed)
    streamed: DataLoader[Any] = latents_loader(
        data, batch_size=batch_size // world_size(), seed=seed, canonical_nodes=canonical_nodes
    )
    return streamed


def _bytes_in_memory(manifest: Manifest) -> int:
    numbers = sum(int(math.prod(manifest.details[shape])) for shape in _COLUMNS.values())
    return manifest.counts["images"] * numbers * _FLOAT_BYTES


def _read_into_memory(data: Path, manifest: Manifest) -> dict[str, torch.Tensor]:
    images = manifest.counts["images"]
    columns = {name: np.empty((images, *manifest.details[shape]), np.float32) for name, shape in _COLUMNS.items()}
    for row, sample in enumerate(read_samples(data)):
        for name, column in columns.items():
            column[row] = sample[name]
    return {name: torch.from_numpy(column) for name, column in columns.items()}
