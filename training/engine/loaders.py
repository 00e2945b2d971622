"""Batches from tensors in memory, in an order that a resumed training finds again."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, DistributedSampler

from training.engine.ranks import rank, world_size


class TensorRows(Dataset[dict[str, Tensor]]):
    """Rows of named tensors that are all as long; a whole batch is taken in one indexing."""

    def __init__(self, tensors: Mapping[str, Tensor]) -> None:
        lengths = {name: len(tensor) for name, tensor in tensors.items()}
        assert len(set(lengths.values())) == 1, f"the tensors differ in length: {lengths}"
        self._tensors = dict(tensors)
        self._rows = next(iter(lengths.values()))

    def __len__(self) -> int:
        return self._rows

    def __getitem__(self, row: int) -> dict[str, Tensor]:
        return {name: tensor[row] for name, tensor in self._tensors.items()}

    def __getitems__(self, rows: list[int]) -> dict[str, Tensor]:
        """What torch's fetcher asks for where it is offered: much faster than row by row."""
        index = torch.tensor(rows)
        return {name: tensor[index] for name, tensor in self._tensors.items()}


def tensor_loader(tensors: Mapping[str, Tensor], *, batch_size: int, seed: int) -> DataLoader[dict[str, Tensor]]:
    """Shuffled batches of rows, each a dictionary like `tensors`; a rest smaller than a batch waits for next time.

    `batch_size` counts rows over all processes. The order depends on `seed` and the epoch alone.
    """
    rows = TensorRows(tensors)
    sampler: DistributedSampler[dict[str, Tensor]] = DistributedSampler(
        rows, num_replicas=world_size(), rank=rank(), shuffle=True, seed=seed, drop_last=True
    )
    return DataLoader(
        rows, batch_size=batch_size // world_size(), sampler=sampler, drop_last=True, collate_fn=_already_a_batch
    )


def _already_a_batch(batch: Any) -> Any:
    return batch
