"""One session of Composer's Trainer: assembled, run from the newest checkpoint to the end, and taken apart again."""

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from composer import Trainer
from composer.utils import FSDP2Config
from torch import nn
from torch.utils.data import DataLoader

from prompts.console import progress
from training.engine.callbacks import Averaging, Checkpointing, LossRecord, Pace
from training.engine.checkpoints import CheckpointFolder
from training.engine.fit import FitSettings
from training.engine.interruption import Interruption
from training.engine.model import ComposedTask, data_spec
from training.engine.schedule import Schedule

_PRECISION = {"fp32": "fp32", "bf16": "amp_bf16", "fp16": "amp_fp16"}


def run_session(
    task: nn.Module,
    loader: DataLoader[Any],
    settings: FitSettings,
    out: Path,
    *,
    checkpoints: CheckpointFolder,
    interruption: Interruption,
    on_step: Callable[[int, float], None] | None,
    description: str,
) -> None:
    """Train `task` in place until its schedule ends; its weights are then the averaged ones where there is an average.

    Raises KeyboardInterrupt (or SystemExit) after a checkpoint when `interruption` asks for it.
    """
    started_at = time.monotonic()
    # torchrun says GROUP_RANK where Composer's own launcher says NODE_RANK, which Composer asks for.
    os.environ.setdefault("NODE_RANK", os.environ.get("GROUP_RANK", "0"))
    newest = checkpoints.newest()
    schedule = Schedule(
        shape=settings.schedule,
        steps=settings.steps,
        warmup_steps=settings.warmup_steps,
        time_limit_s=settings.time_limit_s,
    )
    pace = Pace(
        schedule,
        learning_rate=settings.learning_rate,
        clip_norm=settings.clip_norm,
        seed=settings.seed,
        clock=time.monotonic,
        started_at=started_at,
        interruption=interruption,
    )
    averaging = _averaging(task, pace, settings)
    with progress(description, settings.steps) as tick:
        record = LossRecord(out / "losses.csv", pace, steps=settings.steps, tick=tick, on_step=on_step)
        saving = Checkpointing(checkpoints, pace, every=settings.checkpoint_every, interruption=interruption)
        trainer = _trainer(
            task,
            loader,
            settings,
            callbacks=[pace, *([averaging] if averaging else []), record, saving],
            load_path=None if newest is None else str(checkpoints.folder / newest.path),
        )
        try:
            if newest is None or newest.progress < 1.0:
                trainer.fit()
        finally:
            trainer.close()
    if averaging is not None:
        averaging.average.copy_to_module()


def _trainer(
    task: nn.Module,
    loader: DataLoader[Any],
    settings: FitSettings,
    *,
    callbacks: list[Any],
    load_path: str | None,
) -> Trainer:
    optimiser = torch.optim.AdamW(
        [weight for weight in task.parameters() if weight.requires_grad],
        lr=settings.learning_rate,
        betas=settings.betas,
        eps=settings.eps,
        weight_decay=settings.weight_decay,
        fused=settings.sharding == "none",
    )
    sharded = {"fsdp": FSDP2Config(reshard_after_forward=False, state_dict_type="sharded")}
    return Trainer(
        model=ComposedTask(task),
        train_dataloader=data_spec(loader),
        optimizers=optimiser,
        max_duration=f"{settings.steps}ba",
        device="gpu" if torch.cuda.is_available() else "cpu",
        precision=_PRECISION[settings.precision],
        device_train_microbatch_size=settings.microbatch,
        parallelism_config=sharded if settings.sharding == "shard_grad_op" else None,
        callbacks=callbacks,
        seed=settings.seed,
        load_path=load_path,
        run_name="fit",
        progress_bar=False,
        log_to_console=False,
        auto_log_hparams=False,
    )


def _averaging(task: nn.Module, pace: Pace, settings: FitSettings) -> Averaging | None:
    if settings.ema is None:
        return None
    return Averaging(
        task, pace, smoothing=settings.ema.smoothing, start=settings.ema.start, warm_up=settings.ema.warm_up
    )
