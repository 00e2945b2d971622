"""Training of any task, resumable: a module with `training_loss(batch)` learns from a loader's batches.

In: a task, a loader, settings, a folder. Out: the task's weights, trained in place, and in the folder `losses.csv` and
`checkpoints/`. Interrupted and called again with the same settings, it goes on from the last checkpoint, and the
losses are those of a training that was never interrupted. Composer does the work, and is imported when it begins.
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import fmean
from typing import Any, Literal

import torch
from torch import nn
from torch.utils.data import DataLoader, DistributedSampler, IterableDataset, SequentialSampler

from prompts.errors import CanvasError
from training.engine.checkpoints import CheckpointFolder
from training.engine.interruption import caught_signals, own_signals
from training.engine.quiet import quietly

_LOSSES_AVERAGED = 100


class BadFitError(CanvasError):
    """Settings or a loader that cannot be trained with here."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EmaSettings:
    """An average of the weights, from `start` (a share of the training) on; see `training.ema`."""

    smoothing: float
    start: float = 0.0
    warm_up: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class FitSettings:
    """How to train: AdamW and linear warm-up; what the rate does then is in `training.engine.schedule`.

    The loader decides the batch; `microbatch` is how much of it a device holds at a time. Training ends after `steps`,
    or annealed to the same end after `time_limit_s`, time in earlier sessions included.
    """

    steps: int
    microbatch: int
    learning_rate: float
    checkpoint_every: int
    schedule: Literal["constant", "cosine", "trapezoid"] = "cosine"
    warmup_steps: int = 0
    time_limit_s: float | None = None
    weight_decay: float = 0.01
    betas: tuple[float, float] = (0.9, 0.999)
    eps: float = 1e-8
    clip_norm: float | None = None
    ema: EmaSettings | None = None
    precision: Literal["fp32", "bf16", "fp16"] = "fp32"
    sharding: Literal["none", "shard_grad_op"] = "none"
    seed: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class FitReport:
    """What came of it. `seconds` counts all sessions; `final_loss` is the mean over the last 100 steps at most."""

    steps: int
    seconds: float
    final_loss: float
    losses: Path


def fit(
    task: nn.Module,
    loader: DataLoader[Any],
    settings: FitSettings,
    out: Path,
    on_step: Callable[[int, float], None] | None = None,
    *,
    description: str = "Training",
) -> FitReport:
    """Train `task` in place; `on_step` hears each step's number and loss. A finished training is only loaded again.

    With an average of the weights, the task ends up holding the average. Raises BadFitError, CheckpointError where
    `out` holds checkpoints of other settings, DivergedError, and KeyboardInterrupt when interrupted, after saving.
    """
    _check(loader, settings)
    checkpoints = CheckpointFolder(out / "checkpoints", settings=asdict(settings))
    checkpoints.folder.mkdir(parents=True, exist_ok=True)
    checkpoints.newest()
    with quietly():
        with own_signals():
            from training.engine.callbacks import read_losses
            from training.engine.trainer import run_session
        with caught_signals() as interruption:
            run_session(
                task,
                loader,
                settings,
                out,
                checkpoints=checkpoints,
                interruption=interruption,
                on_step=on_step,
                description=description,
            )
    rows = read_losses(out / "losses.csv")
    return FitReport(
        steps=int(rows[-1]["step"]),
        seconds=float(rows[-1]["elapsed_s"]),
        final_loss=fmean(float(row["loss"]) for row in rows[-_LOSSES_AVERAGED:]),
        losses=out / "losses.csv",
    )


def _check(loader: DataLoader[Any], settings: FitSettings) -> None:
    """Refuse what would fail later with a worse message, or silently."""
    if not torch.cuda.is_available() and settings.precision != "fp32":
        raise BadFitError(
            f"Training in {settings.precision} needs a GPU, and none is here: train in fp32 (--set precision=fp32)."
        )
    if len(loader) == 0:
        raise BadFitError("The data do not fill one batch: add data, or make the batch smaller (--set batch_size=...).")
    resumable = (
        isinstance(loader.dataset, IterableDataset)
        if hasattr(loader.dataset, "load_state_dict")
        else isinstance(loader.sampler, DistributedSampler | SequentialSampler)
    )
    if not resumable:
        raise BadFitError(
            f"The order of {type(loader.sampler).__name__} cannot be found again after an interruption: "
            "give training.engine.loaders.tensor_loader's loader, or one of a StreamingDataset."
        )
