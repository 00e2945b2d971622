"""Latents as training batches: shuffled by a seed, resumable within an epoch, the same for any number of workers.

In: the folder of a latents stage. Out: batches with "latents" (batch, c, h, w) and "text" (batch, tokens, width), both
float32 and writable; what is in them was scaled when it was computed and is not scaled again.
"""

from pathlib import Path
from typing import Any, SupportsInt

import numpy as np
import torch
from jaxtyping import Float32
from streaming import StreamingDataLoader, StreamingDataset
from torch import Tensor

from prompts.errors import CanvasError
from training.latents import EMPTY_TEXT
from training.shared_memory import claim, own_turn
from training.stage import require_stage


class LatentsError(CanvasError):
    """A latents folder that cannot be trained on as asked."""


class LatentsDataset(StreamingDataset):
    """The samples of a latents folder as tensors of their own; streaming hands out read-only arrays."""

    def get_item(self, sample_id: SupportsInt, retry: int = 7) -> dict[str, Tensor]:
        """The latents and the text embedding of one sample, in float32."""
        sample = super().get_item(int(sample_id), retry)
        return {key: torch.from_numpy(np.array(sample[key], np.float32)) for key in ("latents", "text")}


def latents_loader(
    folder: Path,
    *,
    batch_size: int,
    seed: int,
    shuffle: bool = True,
    workers: int = 0,
    drop_last: bool = True,
    canonical_nodes: int = 1,
) -> StreamingDataLoader:
    """Batches of `batch_size` per process from a latents folder, in an order that `seed` and the epoch decide.

    Processes of one job share the samples of an epoch among them. `state_dict()` and `load_state_dict(state)` go on
    within an epoch, on another number of processes too when `canonical_nodes` is a multiple of the nodes of both.
    Raises LatentsError, MissingInputError.
    """
    samples = _require_latents(folder)
    if drop_last and samples < batch_size:
        raise LatentsError(
            f"{folder} holds {samples} samples, fewer than one batch of {batch_size}: make the batch smaller."
        )
    with own_turn():
        dataset = LatentsDataset(
            local=str(folder),
            batch_size=batch_size,
            shuffle=shuffle,
            shuffle_seed=seed,
            num_canonical_nodes=canonical_nodes,
        )
        claim(dataset._shm_prefix_int)
    return StreamingDataLoader(dataset, batch_size=batch_size, num_workers=workers, drop_last=drop_last)


def read_empty_text(folder: Path) -> Float32[Tensor, "tokens width"]:
    """The embedding of "" that belongs to a latents folder: the one that sampling uses as its unconditional text."""
    _require_latents(folder)
    array: Any = np.load(folder / EMPTY_TEXT, allow_pickle=False)
    return torch.from_numpy(array)


def _require_latents(folder: Path) -> int:
    """The number of samples in a latents folder whose latents are scaled; else an error."""
    manifest = require_stage(folder, "latents")
    if manifest.details.get("latents_scaled") is not True:
        raise LatentsError(f"The latents in {folder} are not scaled: compute them anew with 'canvas train latents'.")
    return manifest.counts["images"]
