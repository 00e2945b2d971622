"""One of two processes that train together; test_sharding.py starts both. The first writes what came of it.

Usage: two_processes.py FOLDER, with RANK, WORLD_SIZE and the rest as torchrun sets them.
"""

import csv
import json
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributed.checkpoint.state_dict import StateDictOptions, get_model_state_dict

from training.engine.fit import EmaSettings, FitSettings, fit
from training.engine.loaders import tensor_loader
from training.engine.ranks import rank

SETTINGS = FitSettings(
    steps=10,
    microbatch=4,
    learning_rate=1e-2,
    checkpoint_every=3,
    clip_norm=0.5,
    ema=EmaSettings(smoothing=0.9, start=0.5),
)


class SumTask(nn.Module):
    """Learns to add four numbers up."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.layers = nn.Sequential(nn.Linear(4, 16), nn.SiLU(), nn.Linear(16, 1))

    def training_loss(self, batch: Mapping[str, Tensor]) -> Tensor:
        """No randomness: two processes would draw other numbers than one."""
        loss: Tensor = (self.layers(batch["terms"]) - batch["sums"]).square().mean()
        return loss

    def shards_alone(self, module: nn.Module) -> bool:
        return isinstance(module, nn.Linear)


class PowerCutError(Exception):
    """A crash."""


def train(folder: Path, *, sharding: str, crashes: tuple[int, ...] = ()) -> dict[str, Any]:
    """Train into `folder`, crashing at the given steps and going on; the losses and the weights in the end."""
    terms = torch.randn(64, 4, generator=torch.Generator().manual_seed(1))
    for crash in (*crashes, None):
        task = SumTask()
        loader = tensor_loader({"terms": terms, "sums": terms.sum(1, keepdim=True)}, batch_size=16, seed=0)

        def on_step(step: int, loss: float, crash: int | None = crash) -> None:
            if step == crash:
                raise PowerCutError

        try:
            fit(task, loader, replace(SETTINGS, sharding=sharding), folder, on_step)
        except PowerCutError:
            continue
    weights = get_model_state_dict(task, options=StateDictOptions(full_state_dict=True, cpu_offload=True))
    with (folder / "losses.csv").open(newline="") as file:
        losses = [float(row["loss"]) for row in csv.DictReader(file)]
    kinds = sorted({type(weight).__name__ for weight in task.parameters()})
    flat = torch.cat([weight.flatten() for weight in weights.values()]).tolist() if weights else []
    return {"losses": losses, "weights": flat, "kinds": kinds}


def main(folder: Path) -> None:
    """All the ways to train that two processes have."""
    torch.set_num_threads(1)
    outcome = {
        "sharded": train(folder / "sharded", sharding="shard_grad_op"),
        # The average begins with step 5: crashes before and after that.
        "crashed": train(folder / "crashed", sharding="shard_grad_op", crashes=(4, 8)),
        "copied": train(folder / "copied", sharding="none"),
    }
    if rank() == 0:
        (folder / "outcome.json").write_text(json.dumps(outcome))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
