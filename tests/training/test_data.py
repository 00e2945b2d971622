"""Latents as batches: writable, shuffled by a seed, resumable, and clean in shared memory."""

import multiprocessing
import os
import signal
from itertools import islice
from multiprocessing.connection import Connection
from pathlib import Path

import pytest
import torch
from torch import Tensor

from training.data import LatentsError, latents_loader, read_empty_text
from training.shared_memory import own_turn
from training.stage import MissingInputError


def order(batches: list[dict[str, Tensor]]) -> list[float]:
    """The first number of every sample: it tells samples apart."""
    return [float(sample.flatten()[0]) for batch in batches for sample in batch["latents"]]


def segments(number: int) -> set[str]:
    return {path.name for path in Path("/dev/shm").glob(f"{number:06}_*")}


def test_a_batch_holds_float32_latents_and_text_that_may_be_written_to(latents: Path) -> None:
    batch = next(iter(latents_loader(latents, batch_size=4, seed=0)))

    assert {key: tuple(value.shape) for key, value in batch.items()} == {"latents": (4, 4, 8, 8), "text": (4, 12, 32)}
    assert {value.dtype for value in batch.values()} == {torch.float32}
    batch["latents"] += 1
    assert read_empty_text(latents).shape == (12, 32)


def test_an_epoch_shows_every_sample_once_in_an_order_that_the_seed_decides(latents: Path) -> None:
    def epochs(seed: int) -> list[list[float]]:
        loader = latents_loader(latents, batch_size=3, seed=seed, drop_last=False)
        return [order(list(loader)) for _ in range(2)]

    first, again, other = epochs(1), epochs(1), epochs(2)

    assert first == again
    assert first[0] != first[1]
    assert first[0] != other[0]
    assert len(set(first[0])) == 10
    assert sorted(first[0]) == sorted(first[1]) == sorted(other[0])


def test_workers_do_not_change_what_an_epoch_shows(latents: Path) -> None:
    alone = latents_loader(latents, batch_size=3, seed=1, drop_last=False)
    helped = latents_loader(latents, batch_size=3, seed=1, drop_last=False, workers=1)

    assert order(list(alone)) == order(list(helped))


def test_a_loader_goes_on_within_an_epoch_from_its_state(latents: Path) -> None:
    whole = order(list(latents_loader(latents, batch_size=2, seed=5)))
    stopped = latents_loader(latents, batch_size=2, seed=5)
    begun = order(list(islice(iter(stopped), 3)))
    state = stopped.state_dict()
    assert state is not None
    assert state["sample_in_epoch"] == 6

    resumed = latents_loader(latents, batch_size=2, seed=5)
    resumed.load_state_dict(state)

    assert begun + order(list(resumed)) == whole


def test_too_few_samples_and_folders_that_hold_no_latents_are_refused(
    latents: Path, shards: Path, tmp_path: Path
) -> None:
    with pytest.raises(LatentsError, match="holds 10 samples, fewer than one batch of 11"):
        latents_loader(latents, batch_size=11, seed=0)
    with pytest.raises(MissingInputError, match="made by the stage 'shards', and 'latents' is needed"):
        latents_loader(shards, batch_size=2, seed=0)
    with pytest.raises(MissingInputError, match="no finished stage's folder"):
        latents_loader(tmp_path, batch_size=2, seed=0)


def open_and_die(folder: Path, pipe: Connection) -> None:
    loader = latents_loader(folder, batch_size=2, seed=0)
    next(iter(loader))
    pipe.send(loader.dataset._shm_prefix_int)  # type: ignore[attr-defined]
    os.kill(os.getpid(), signal.SIGKILL)


def test_what_a_killed_job_left_in_shared_memory_is_removed_and_what_living_jobs_use_is_not(latents: Path) -> None:
    alive = latents_loader(latents, batch_size=2, seed=0)
    number_of_the_living = alive.dataset._shm_prefix_int  # type: ignore[attr-defined]
    held = segments(number_of_the_living)
    receiving, sending = multiprocessing.Pipe(duplex=False)
    process = multiprocessing.get_context("fork").Process(target=open_and_die, args=(latents, sending))
    process.start()
    sending.close()
    number_of_the_dead = receiving.recv()
    process.join(30)
    assert segments(number_of_the_dead)

    with own_turn():
        pass

    assert segments(number_of_the_dead) == set()
    assert held <= segments(number_of_the_living)
    assert len(order(list(alive))) == 10
