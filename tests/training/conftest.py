"""A small licensed source, and tiny frozen parts of the true classes, built in code."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from training.catalogue import SourceImage, write_catalogue

NOW = datetime(2024, 5, 17, 12, 30, tzinfo=UTC)
LICENCES = (
    "CC-BY-2.0",
    "CC-BY-SA 2.0",
    "cc by-nc 2.0",
    "CC-BY-NC-SA-2.0",
    "CC-BY-ND-2.0",
    "CC-BY-NC-ND-2.0",
    "CC0-1.0",
)
COLOURS = ("red", "green", "blue", "orange", "purple", "white", "black")


@pytest.fixture(scope="session")
def now() -> datetime:
    return NOW


@pytest.fixture(scope="session")
def make_source() -> Callable[..., Path]:
    """Writes a source folder of `count` images: PNG and JPEG, landscape and upright, one licence after another."""

    def make(folder: Path, count: int = 14, licences: tuple[str, ...] = LICENCES) -> Path:
        (folder / "images").mkdir(parents=True)
        rng = np.random.default_rng(0)
        images = []
        for number in range(count):
            width, height = (40, 32) if number % 2 else (24, 48)
            file = f"images/{number:03}.{'png' if number % 3 else 'jpg'}"
            Image.fromarray(rng.integers(0, 256, (height, width, 3), np.uint8)).save(folder / file)
            images.append(
                SourceImage(
                    id=f"image-{number:03}",
                    file=file,
                    caption=f"a {COLOURS[number % len(COLOURS)]} pattern number {number}",
                    licence=licences[number % len(licences)],
                    author=f"Author {number}",
                    origin=f"https://example.org/photo/{number}",
                    title=f"Photo {number}" if number % 2 else "",
                )
            )
        write_catalogue(folder, images)
        return folder

    return make


@pytest.fixture(scope="session")
def source(tmp_path_factory: pytest.TempPathFactory, make_source: Callable[..., Path]) -> Path:
    """14 images: 6 in the commercial split, 4 in the non-commercial, 4 for evaluation only. Not to be changed."""
    return make_source(tmp_path_factory.mktemp("world") / "source")


@pytest.fixture(scope="session")
def split(tmp_path_factory: pytest.TempPathFactory, source: Path) -> Path:
    from training.split import split_source

    return split_source(source, tmp_path_factory.mktemp("split") / "split", now=NOW).folder


@pytest.fixture(scope="session")
def captions(tmp_path_factory: pytest.TempPathFactory, source: Path, split: Path) -> Path:
    from training.captioners.base import CaptionerSettings
    from training.captions import caption_images

    out = tmp_path_factory.mktemp("captions") / "captions"
    return caption_images(split, source, out, captioner="alt_text", settings=CaptionerSettings(), now=NOW).folder


@pytest.fixture(scope="session")
def shards(tmp_path_factory: pytest.TempPathFactory, source: Path, split: Path, captions: Path) -> Path:
    """The 10 images that may be trained on non-commercially, three to a partition."""
    from training.licences import Collection
    from training.shards import write_shards

    out = tmp_path_factory.mktemp("shards") / "shards"
    return write_shards(source, split, captions, out, collection=Collection.NC, images_per_shard=3, now=NOW).folder


@pytest.fixture(scope="session")
def tiny_base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Untrained frozen parts in diffusers' layout: 16 px become 8 x 8 latents, 12 tokens of width 32."""
    import torch
    from diffusers import AutoencoderKL
    from transformers import CLIPTextConfig, CLIPTextModel

    from training.base.tokenizer import learn_tokenizer

    folder = tmp_path_factory.mktemp("base")
    captions = [f"a {colour} pattern number {number}" for number, colour in enumerate(COLOURS)]
    tokenizer = learn_tokenizer(captions, folder / "tokenizer", max_tokens=12)
    torch.manual_seed(0)
    CLIPTextModel(
        CLIPTextConfig(
            vocab_size=len(tokenizer),
            hidden_size=32,
            intermediate_size=64,
            num_hidden_layers=2,
            num_attention_heads=4,
            max_position_embeddings=12,
            bos_token_id=tokenizer.bos_token_id,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
        )
    ).save_pretrained(folder / "text_encoder")
    AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * 2,
        up_block_types=("UpDecoderBlock2D",) * 2,
        block_out_channels=(8, 16),
        layers_per_block=1,
        latent_channels=4,
        norm_num_groups=4,
        sample_size=16,
        scaling_factor=0.4,
    ).save_pretrained(folder / "vae")
    return folder


@pytest.fixture(scope="session")
def latents(tmp_path_factory: pytest.TempPathFactory, shards: Path, tiny_base: Path) -> Path:
    """The shards at 16 px by the tiny base, in float32."""
    from training.latents import LatentsSettings, precompute_latents

    out = tmp_path_factory.mktemp("latents") / "latents"
    settings = LatentsSettings(size_px=16)
    return precompute_latents(shards, out, base=str(tiny_base), settings=settings, batch_size=2, now=NOW).folder
