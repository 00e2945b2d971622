"""What happens around each training step: pace, average of the weights, the record of losses, checkpoints.

Composer calls these at its events, in the order in which they are given to it. Each keeps in the checkpoint what it
needs to go on as if nothing had happened.
"""

import csv
import io
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from composer.core import Callback, State
from composer.loggers import Logger
from composer.utils import dist
from composer.utils.checkpoint import save_checkpoint
from torch import nn

from prompts.console import Ticker
from prompts.errors import CanvasError
from training.ema import WeightAverage
from training.engine.checkpoints import CheckpointFolder
from training.engine.interruption import Interruption
from training.engine.schedule import Schedule

_LOSS = "loss/train/total"
_COLUMNS = ("step", "loss", "learning_rate", "elapsed_s")


class DivergedError(CanvasError):
    """A loss that is no number any more."""


class Pace(Callback):
    """Sets each step's seed and learning rate, clips its gradients, keeps the time and says when it is over."""

    def __init__(
        self,
        schedule: Schedule,
        *,
        learning_rate: float,
        clip_norm: float | None,
        seed: int,
        clock: Callable[[], float],
        started_at: float,
        interruption: Interruption,
    ) -> None:
        self._schedule = schedule
        self._learning_rate = learning_rate
        self._clip_norm = clip_norm
        self._seed = seed
        self._clock = clock
        self._started_at = started_at
        self._interruption = interruption
        self._elapsed_before_s = 0.0
        self.elapsed_s = 0.0
        self.progress = 0.0
        self.interrupted = False
        self.rate = 0.0

    def batch_start(self, state: State, logger: Logger) -> None:
        """Randomness is a function of seed, step and process: a resumed training draws what it would have drawn."""
        step = int(state.timestamp.batch)
        seed = _mixed(self._seed, step, dist.get_global_rank())
        # Not torch.manual_seed: where there is no GPU it keeps a note for one at every call.
        torch.default_generator.manual_seed(seed)
        if torch.cuda.is_available():
            torch.cuda.manual_seed(seed)
        self.rate = self._learning_rate * self._schedule.multiplier(step, self.elapsed_s)
        for group in state.optimizers[0].param_groups:
            group["lr"] = self.rate

    def after_train_batch(self, state: State, logger: Logger) -> None:
        """Composer's own clipping passes over FSDP2's sharded gradients without a word; torch's knows them."""
        if self._clip_norm is not None:
            # From the optimiser, not the model: walking all modules anew at each step takes a tiny one's tenth.
            weights = [weight for group in state.optimizers[0].param_groups for weight in group["params"]]
            torch.nn.utils.clip_grad_norm_(weights, self._clip_norm)

    def batch_end(self, state: State, logger: Logger) -> None:
        """All processes must agree on time and interruption, or some would wait for others for ever."""
        elapsed_s = self._elapsed_before_s + self._clock() - self._started_at
        agreed = torch.tensor([elapsed_s, float(self._interruption.signal is not None)], dtype=torch.float64)
        if dist.get_world_size() > 1:
            agreed = state.device.tensor_to_device(agreed)
            dist.all_reduce(agreed, reduce_operation="MAX")
        self.elapsed_s = float(agreed[0])
        self.interrupted = bool(agreed[1])
        self.progress = self._schedule.progress(int(state.timestamp.batch), self.elapsed_s)
        if self.progress >= 1.0:
            state.stop_training()

    def state_dict(self) -> dict[str, Any]:
        """The time used up so far."""
        return {"elapsed_s": self.elapsed_s, "progress": self.progress}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Time that passed between two sessions does not count."""
        self._elapsed_before_s = self.elapsed_s = float(state["elapsed_s"])
        self.progress = float(state["progress"])


class Averaging(Callback):
    """Keeps the average of the weights, from `start` (a share of the training) on."""

    def __init__(self, task: nn.Module, pace: Pace, *, smoothing: float, start: float, warm_up: bool) -> None:
        self._task = task
        self._pace = pace
        self._smoothing = smoothing
        self._start = start
        self._warm_up = warm_up
        self._average: WeightAverage | None = None

    @property
    def average(self) -> WeightAverage:
        """Made when first asked for: by then sharding has taken hold of the weights."""
        if self._average is None:
            self._average = WeightAverage(self._task, smoothing=self._smoothing, warm_up=self._warm_up)
        return self._average

    def batch_end(self, state: State, logger: Logger) -> None:
        """Follow the weights, once the training has come far enough."""
        if self._pace.progress >= self._start:
            self.average.update()

    def state_dict(self) -> dict[str, Any]:
        """The average, also before it has begun: a sharded checkpoint is read into the layout it finds here."""
        return self.average.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on averaging."""
        self.average.load_state_dict(state)


class LossRecord(Callback):
    """Writes each step's loss to a CSV file, moves the progress bar, and stops a training that has diverged."""

    def __init__(
        self, path: Path, pace: Pace, *, steps: int, tick: Ticker, on_step: Callable[[int, float], None] | None
    ) -> None:
        self._path = path
        self._pace = pace
        self._steps = steps
        self._tick = tick
        self._ticked = 0
        self._on_step = on_step
        self._rows = io.StringIO(newline="")

    def fit_start(self, state: State, logger: Logger) -> None:
        """Rows beyond the checkpoint that this session goes on from are of steps that are taken again."""
        self._move_bar()
        if dist.get_global_rank() == 0:
            done = int(state.timestamp.batch)
            kept = [row for row in read_losses(self._path) if int(row["step"]) <= done] if done else []
            with self._path.open("w", newline="") as file:
                writer = csv.DictWriter(file, _COLUMNS, lineterminator="\n")
                writer.writeheader()
                writer.writerows(kept)

    def batch_end(self, state: State, logger: Logger) -> None:
        """The loss that Composer reports is the mean over the whole batch on all processes."""
        step = int(state.timestamp.batch)
        loss = float(state.total_loss_dict[_LOSS])
        if not math.isfinite(loss):
            raise DivergedError(
                f"The loss is {loss} at step {step}: the training has diverged. Lower the learning rate, or clip the "
                "gradients; the last checkpoint is from before."
            )
        self._move_bar()
        if dist.get_global_rank() == 0:
            row = (step, f"{loss:.6g}", f"{self._pace.rate:.6g}", f"{self._pace.elapsed_s:.3f}")
            with self._path.open("a", newline="") as file:
                csv.writer(file, lineterminator="\n").writerow(row)
        if self._on_step is not None:
            self._on_step(step, loss)

    def _move_bar(self) -> None:
        due = round(self._pace.progress * self._steps)
        self._tick(due - self._ticked)
        self._ticked = due


class Checkpointing(Callback):
    """Saves every `every` steps, at the end, and before an interruption is obeyed."""

    def __init__(self, folder: CheckpointFolder, pace: Pace, *, every: int, interruption: Interruption) -> None:
        self._folder = folder
        self._pace = pace
        self._every = every
        self._interruption = interruption

    def batch_checkpoint(self, state: State, logger: Logger) -> None:
        """After the step is counted, so that the checkpoint is of a whole number of steps."""
        step = int(state.timestamp.batch)
        if step % self._every == 0 or self._pace.progress >= 1.0 or self._pace.interrupted:
            self._save(state, step)
        if self._pace.interrupted and self._pace.progress < 1.0:
            self._interruption.leave()

    def _save(self, state: State, step: int) -> None:
        written = save_checkpoint(state, str(self._folder.folder / f"step{step}.pt"))
        if dist.get_global_rank() == 0:
            path = Path(written)
            # Under sharding Composer makes a folder of its own naming, and gives back this process's file in it.
            whole = path.parent if state.fsdp_sharded_state_dict_enabled else path
            self._folder.point_at(whole, step=step, progress=self._pace.progress)


def read_losses(path: Path) -> list[Mapping[str, str]]:
    """The rows of a losses.csv; none where the file is not there. A last line cut short is left out."""
    if not path.is_file():
        return []
    with path.open(newline="") as file:
        return [row for row in csv.DictReader(file) if None not in row.values()]


def _mixed(seed: int, step: int, rank: int) -> int:
    """One of 2^63 seeds; neighbouring steps and processes get unrelated ones (SplitMix64's finaliser)."""
    mixed = (seed * 0x9E3779B97F4A7C15 + step * 0xBF58476D1CE4E5B9 + rank * 0x94D049BB133111EB) % 2**64
    mixed = ((mixed ^ (mixed >> 30)) * 0xBF58476D1CE4E5B9) % 2**64
    mixed = ((mixed ^ (mixed >> 27)) * 0x94D049BB133111EB) % 2**64
    return (mixed ^ (mixed >> 31)) >> 1
