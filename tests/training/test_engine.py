"""The engine with the real Composer, on a task of 97 weights. Composer takes ten seconds to import, once."""

import csv
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from training.engine.callbacks import DivergedError
from training.engine.checkpoints import CheckpointError
from training.engine.fit import BadFitError, EmaSettings, FitSettings, fit
from training.engine.loaders import tensor_loader

SETTINGS = FitSettings(
    steps=12,
    microbatch=16,
    learning_rate=1e-2,
    checkpoint_every=3,
    warmup_steps=2,
    clip_norm=0.5,
    ema=EmaSettings(smoothing=0.9, start=0.5),
)


class SumTask(nn.Module):
    """Learns to add four numbers up; `noise` makes each step draw random numbers, as diffusion does."""

    def __init__(self, noise: float = 0.1) -> None:
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            self.layers = nn.Sequential(nn.Linear(4, 16), nn.SiLU(), nn.Linear(16, 1))
        self.noise = noise

    def training_loss(self, batch: Mapping[str, Tensor]) -> Tensor:
        terms = batch["terms"] + self.noise * torch.randn_like(batch["terms"])
        loss: Tensor = (self.layers(terms) - batch["sums"]).square().mean()
        return loss


def loader(batch_size: int = 16) -> DataLoader[dict[str, Tensor]]:
    """100 rows: six batches of 16 an epoch, so twelve steps cross an epoch's end."""
    terms = torch.randn(100, 4, generator=torch.Generator().manual_seed(1))
    return tensor_loader({"terms": terms, "sums": terms.sum(1, keepdim=True)}, batch_size=batch_size, seed=0)


def losses(folder: Path) -> list[str]:
    with (folder / "losses.csv").open(newline="") as file:
        return [row["loss"] for row in csv.DictReader(file)]


def stop_at(step: int, how: Callable[[], Any]) -> Callable[[int, float], None]:
    def on_step(now: int, _loss: float) -> None:
        if now == step:
            how()

    return on_step


def crash() -> None:
    raise RuntimeError("the power went")


def weights(task: nn.Module) -> Tensor:
    return torch.cat([weight.detach().flatten() for weight in task.parameters()])


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Tensor]:
    """A training that nothing interrupted: its folder and the weights it ended with."""
    folder, task = tmp_path_factory.mktemp("whole"), SumTask()
    fit(task, loader(), SETTINGS, folder)
    return folder, weights(task)


def test_a_task_learns_and_the_record_holds_every_step(tmp_path: Path) -> None:
    task, heard = SumTask(), list[int]()
    settings = replace(SETTINGS, steps=150, checkpoint_every=100)

    report = fit(task, loader(), settings, tmp_path, lambda step, loss: heard.append(step))

    record = [float(loss) for loss in losses(tmp_path)]
    assert report.steps == 150
    assert report.final_loss == pytest.approx(sum(record[-100:]) / 100)
    assert record[-1] < 0.1 * record[0]
    assert heard == list(range(1, 151))
    assert {path.name for path in (tmp_path / "checkpoints").iterdir()} == {"latest.json", "step100.pt", "step150.pt"}


@pytest.mark.parametrize("step", [4, 5, 6, 7, 8, 11])
def test_after_a_crash_the_losses_and_the_average_are_those_of_an_uninterrupted_training(
    step: int, tmp_path: Path, whole: tuple[Path, Tensor]
) -> None:
    # The average begins with step 6, the second epoch with step 7: crashes before, at and after both.
    with pytest.raises(RuntimeError, match="the power went"):
        fit(SumTask(), loader(), SETTINGS, tmp_path, stop_at(step, crash))

    resumed = SumTask()
    report = fit(resumed, loader(), SETTINGS, tmp_path)

    assert report.steps == 12
    assert losses(tmp_path) == losses(whole[0])
    assert torch.equal(weights(resumed), whole[1])


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_training_saves_after_the_step_it_is_at_and_goes_on_from_there(
    number: signal.Signals, tmp_path: Path, whole: tuple[Path, Tensor]
) -> None:
    with pytest.raises((KeyboardInterrupt, SystemExit)):
        # Step 7 is told of when it is done, so the signal comes while step 8 is under way.
        fit(SumTask(), loader(), SETTINGS, tmp_path, stop_at(7, lambda: signal.raise_signal(number)))
    saved = {path.name for path in (tmp_path / "checkpoints").iterdir()}

    resumed = SumTask()
    steps: list[int] = []
    fit(resumed, loader(), SETTINGS, tmp_path, lambda step, loss: steps.append(step))

    assert saved == {"latest.json", "step6.pt", "step8.pt"}
    assert steps == [9, 10, 11, 12]
    assert losses(tmp_path) == losses(whole[0])
    assert torch.equal(weights(resumed), whole[1])


def test_a_finished_training_is_loaded_and_not_trained_again(tmp_path: Path, whole: tuple[Path, Tensor]) -> None:
    folder, expected = whole
    again, steps = SumTask(), list[int]()

    report = fit(again, loader(), SETTINGS, folder, lambda step, loss: steps.append(step))

    assert steps == []
    assert report.steps == 12
    assert torch.equal(weights(again), expected)


def test_the_average_is_what_the_task_ends_up_with(tmp_path: Path, whole: tuple[Path, Tensor]) -> None:
    plain = SumTask()

    fit(plain, loader(), replace(SETTINGS, ema=None), tmp_path)

    assert losses(tmp_path) == losses(whole[0])
    assert not torch.equal(weights(plain), whole[1])


def test_a_time_limit_ends_the_training_annealed(tmp_path: Path) -> None:
    settings = replace(SETTINGS, steps=10**6, time_limit_s=1.5, checkpoint_every=10**6)

    report = fit(SumTask(), loader(), settings, tmp_path)

    with (tmp_path / "losses.csv").open(newline="") as file:
        rates = [float(row["learning_rate"]) for row in csv.DictReader(file)]
    assert report.steps < 10**6
    assert 1.5 <= report.seconds < 5
    assert rates[-1] < 0.05 * max(rates)


def test_the_time_used_before_an_interruption_counts(tmp_path: Path) -> None:
    settings = replace(SETTINGS, steps=10**6, time_limit_s=1.0, checkpoint_every=10**6)
    first = fit(SumTask(), loader(), settings, tmp_path)

    again = fit(SumTask(), loader(), settings, tmp_path)

    assert again.steps == first.steps
    assert again.seconds == first.seconds


def test_microbatches_change_nothing_but_memory(tmp_path: Path) -> None:
    whole, parted = SumTask(noise=0.0), SumTask(noise=0.0)

    fit(whole, loader(), SETTINGS, tmp_path / "whole")
    fit(parted, loader(), replace(SETTINGS, microbatch=5), tmp_path / "parted")

    assert torch.allclose(weights(whole), weights(parted), atol=1e-6)


def test_gradients_are_clipped_to_their_norm(tmp_path: Path) -> None:
    # With an eps this large AdamW's first step is learning rate x gradient / eps: its length tells the gradient's.
    settings = replace(
        SETTINGS, steps=1, warmup_steps=0, schedule="constant", learning_rate=1.0, eps=1e2, weight_decay=0.0, ema=None
    )
    before, clipped, free = weights(SumTask()), SumTask(), SumTask()

    fit(clipped, loader(), replace(settings, clip_norm=0.01), tmp_path / "clipped")
    fit(free, loader(), replace(settings, clip_norm=None), tmp_path / "free")

    assert (weights(clipped) - before).norm().item() * 1e2 == pytest.approx(0.01, rel=0.05)
    assert (weights(free) - before).norm().item() * 1e2 > 0.1


def test_checkpoints_of_other_settings_are_refused(whole: tuple[Path, Tensor]) -> None:
    with pytest.raises(CheckpointError, match="made with another learning_rate and steps"):
        fit(SumTask(), loader(), replace(SETTINGS, steps=24, learning_rate=1e-3), whole[0])


def test_a_loss_that_is_no_number_stops_the_training(tmp_path: Path) -> None:
    task = SumTask()
    with torch.no_grad():
        task.layers[0].weight.fill_(float("nan"))

    with pytest.raises(DivergedError, match="The loss is nan at step 1"):
        fit(task, loader(), SETTINGS, tmp_path)


def test_data_whose_order_cannot_be_found_again_are_refused(tmp_path: Path) -> None:
    rows = TensorDataset(torch.zeros(8, 4), torch.zeros(8, 1))

    with pytest.raises(BadFitError, match="RandomSampler cannot be found again"):
        fit(SumTask(), DataLoader(rows, batch_size=4, shuffle=True), SETTINGS, tmp_path)


def test_data_that_do_not_fill_a_batch_are_refused(tmp_path: Path) -> None:
    with pytest.raises(BadFitError, match="do not fill one batch"):
        fit(SumTask(), loader(batch_size=101), SETTINGS, tmp_path)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_half_precision_without_a_gpu_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadFitError, match="Training in bf16 needs a GPU"):
        fit(SumTask(), loader(), replace(SETTINGS, precision="bf16"), tmp_path)


def test_training_is_quiet_and_leaves_the_signals_as_they_were(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], recwarn: pytest.WarningsRecorder
) -> None:
    handlers = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]

    fit(SumTask(), loader(), SETTINGS, tmp_path)

    assert capfd.readouterr() == ("", "")
    assert list(recwarn) == []
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == handlers


def test_training_works_beside_the_main_thread_where_signals_cannot_be_caught(tmp_path: Path) -> None:
    reports: list[int] = []

    thread = threading.Thread(target=lambda: reports.append(fit(SumTask(), loader(), SETTINGS, tmp_path).steps))
    thread.start()
    thread.join()

    assert reports == [12]


def test_the_engine_is_imported_without_composer() -> None:
    probe = "import sys, training.engine.fit, training.engine.loaders; sys.exit('composer' in sys.modules)"

    done = subprocess.run([sys.executable, "-c", probe], check=False)

    assert done.returncode == 0
