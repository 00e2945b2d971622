"""Latents that the tiny UNets take, and a run of a few steps on them."""

import shutil
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest
import torch

from training.recipes import find_recipe
from training.run import Run


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    """Batches of four are too small to share among threads, which then spend their time waiting for each other."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory, tiny_base: Path) -> Path:
    """The tiny base with texts of width 64."""
    from transformers import CLIPTextConfig, CLIPTextModel

    folder = tmp_path_factory.mktemp("wide") / "base"
    shutil.copytree(tiny_base, folder)
    config = CLIPTextConfig.from_pretrained(tiny_base / "text_encoder")
    config.hidden_size = 64
    torch.manual_seed(0)
    CLIPTextModel(config).save_pretrained(folder / "text_encoder")
    return folder


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory, shards: Path, base: Path, now: datetime) -> Path:
    """Ten samples of 4 x 8 x 8 latents and 12 x 64 text embeddings."""
    from training.latents import LatentsSettings, precompute_latents

    out = tmp_path_factory.mktemp("data") / "latents"
    return precompute_latents(shards, out, base=str(base), settings=LatentsSettings(size_px=16), now=now).folder


@pytest.fixture(scope="module")
def short_run() -> Run:
    """Six steps of four samples: two batches an epoch, averaged from the third step on."""
    return replace(
        find_recipe("tiny.s_nc"),
        steps=6,
        batch_size=4,
        microbatch=4,
        time_limit_s=None,
        ema_start=0.5,
        checkpoint_every=1,
        sample_steps=2,
    )


@pytest.fixture(scope="module")
def trained(
    tmp_path_factory: pytest.TempPathFactory, one_thread: None, data: Path, base: Path, short_run: Run, now: datetime
) -> Path:
    """The folder of that run. Not to be changed."""
    from training.launch import train

    out = tmp_path_factory.mktemp("trained") / "run"
    return train(short_run, data=data, base=str(base), out=out, now=now).folder
