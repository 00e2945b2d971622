"""The stage that makes a tiny base from shards: a tokenizer, a CLIP and an autoencoder, learned from their images.

In: a shards folder. Out: a folder in diffusers' layout (tokenizer/, text_encoder/, vae/) beside clip/, the
whole CLIP with its processor, which measures CLIP-Score. The text encoder is the CLIP's text half, weight for weight.
Both networks learn through the engine, as a UNet does; an interrupted stage goes on from its last checkpoint.
"""

import shutil
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKL
from PIL import Image
from transformers import CLIPModel, CLIPProcessor, CLIPTextModel, CLIPTokenizer

from training.base.autoencoder import AutoencoderTask, set_scaling_factor, tiny_autoencoder
from training.base.contrastive import ContrastiveTask, image_processor, tiny_clip
from training.base.tokenizer import learn_tokenizer
from training.decoding import centre_square, decode_image
from training.engine.fit import FitSettings, fit
from training.engine.loaders import tensor_loader
from training.mds import read_samples
from training.stage import Made, Stage, StageResult, require_stage, run_stage

_SCALE_BATCH = 256
_CLIP_FIT, _AUTOENCODER_FIT = "learning-clip", "learning-vae"


@dataclass(frozen=True, slots=True, kw_only=True)
class BaseSettings:
    """How the base learns. The defaults suit 32 px images and two cores: about half a minute in all."""

    image_px: int = 32
    max_tokens: int = 16
    autoencoder_steps: int = 700
    autoencoder_batch: int = 16
    autoencoder_learning_rate: float = 3e-3
    clip_steps: int = 900
    clip_batch: int = 64
    clip_learning_rate: float = 2e-3
    seed: int = 0

    def at_effort(self, share: float) -> "BaseSettings":
        """The same with `share` of the steps, at least one: for tests and quick looks."""
        return replace(
            self,
            autoencoder_steps=max(1, round(share * self.autoencoder_steps)),
            clip_steps=max(1, round(share * self.clip_steps)),
        )

    def fit_settings(self, steps: int, batch: int, learning_rate: float) -> FitSettings:
        """The engine's settings for one of the two networks."""
        return FitSettings(
            steps=steps,
            microbatch=batch,
            learning_rate=learning_rate,
            warmup_steps=min(20, steps // 2),
            betas=(0.9, 0.99),
            clip_norm=1.0,
            checkpoint_every=200,
            seed=self.seed,
        )


def build_base(shards: Path, out: Path, settings: BaseSettings, *, now: datetime) -> StageResult:
    """Learn a base from the images and captions of `shards` and write it to `out`.

    Raises the errors of `run_stage`, and MissingInputError where `shards` is no shards folder.
    """
    require_stage(shards, "shards")
    stage = Stage(name="base", out=out, inputs={"shards": shards}, settings=asdict(settings))
    return run_stage(stage, lambda folder: _build_into(folder, shards, settings), now=now)


def _build_into(folder: Path, shards: Path, settings: BaseSettings) -> Made:
    torch.manual_seed(settings.seed)
    pictures, captions = _read_shards(shards, settings.image_px)
    tokenizer = learn_tokenizer(captions, folder / "tokenizer", max_tokens=settings.max_tokens)
    clip = _learn_clip(folder, pictures, captions, tokenizer, settings)
    autoencoder = _learn_autoencoder(folder, pictures, settings)
    for name in (_CLIP_FIT, _AUTOENCODER_FIT):
        shutil.rmtree(folder / name)
    return Made(
        counts={
            "images": len(pictures),
            "tokens": len(tokenizer),
            "clip_parameters": clip.num_parameters(),
            "autoencoder_parameters": autoencoder.num_parameters(),
        },
        details={"scaling_factor": autoencoder.config.scaling_factor},
    )


def _read_shards(shards: Path, image_px: int) -> tuple[list[Image.Image], list[str]]:
    """Every image of `shards` as a square of `image_px`, with its caption."""
    pictures, captions = [], []
    for sample in read_samples(shards):
        pictures.append(centre_square(decode_image(sample["image"], sample["id"]), image_px, enlarge=True))
        captions.append(sample["caption"])
    return pictures, captions


def _learn_clip(
    folder: Path, pictures: list[Image.Image], captions: list[str], tokenizer: CLIPTokenizer, settings: BaseSettings
) -> CLIPModel:
    """Train the CLIP; write it to clip/ with its processor, and its text half to text_encoder/."""
    processor = image_processor(settings.image_px)
    tokens = tokenizer(captions, padding="max_length", truncation=True, return_tensors="pt")
    columns = {
        "pixel_values": processor(pictures, return_tensors="pt").pixel_values,
        "input_ids": tokens.input_ids,
        "attention_mask": tokens.attention_mask,
    }
    clip = tiny_clip(tokenizer, settings.image_px)
    fit(
        ContrastiveTask(clip),
        tensor_loader(columns, batch_size=settings.clip_batch, seed=settings.seed),
        settings.fit_settings(settings.clip_steps, settings.clip_batch, settings.clip_learning_rate),
        folder / _CLIP_FIT,
        description="Training the small CLIP",
    )
    clip.save_pretrained(folder / "clip")
    CLIPProcessor(image_processor=processor, tokenizer=tokenizer).save_pretrained(folder / "clip")
    text_encoder = CLIPTextModel(clip.config.text_config)
    text_encoder.text_model.load_state_dict(clip.text_model.state_dict())
    text_encoder.save_pretrained(folder / "text_encoder")
    return clip


def _learn_autoencoder(folder: Path, pictures: list[Image.Image], settings: BaseSettings) -> AutoencoderKL:
    """Train the autoencoder, set its scaling factor from all images, and write it to vae/."""
    images = torch.from_numpy(np.stack([np.asarray(picture) for picture in pictures]))
    images = images.permute(0, 3, 1, 2).float().div(127.5).sub(1).contiguous()
    autoencoder = tiny_autoencoder(settings.image_px)
    fit(
        AutoencoderTask(autoencoder),
        tensor_loader({"images": images}, batch_size=settings.autoencoder_batch, seed=settings.seed),
        settings.fit_settings(
            settings.autoencoder_steps, settings.autoencoder_batch, settings.autoencoder_learning_rate
        ),
        folder / _AUTOENCODER_FIT,
        description="Training the autoencoder",
    )
    set_scaling_factor(autoencoder, torch.split(images, _SCALE_BATCH))
    autoencoder.save_pretrained(folder / "vae")
    return autoencoder
