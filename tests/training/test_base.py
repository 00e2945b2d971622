"""The tiny base: a CLIP tokenizer, a CLIP and an autoencoder, learned from shards and loaded by their true classes."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
import torch
from diffusers import AutoencoderKL
from hypothesis import given
from hypothesis import strategies as st
from transformers import CLIPModel, CLIPProcessor, CLIPTextModel, CLIPTokenizer

from canvas.demo.shapes_world import write_source_images
from training.base.autoencoder import set_scaling_factor, tiny_autoencoder
from training.base.build import BaseSettings, build_base
from training.base.tokenizer import END, START, learn_tokenizer
from training.captioners.base import CaptionerSettings
from training.captions import caption_images
from training.licences import Collection
from training.shards import write_shards
from training.split import split_source

NOW = datetime(2026, 1, 1, tzinfo=UTC)
CAPTIONS = ["a red circle on a white background", "an orange cross on a black background"] * 3


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> CLIPTokenizer:
    return learn_tokenizer(CAPTIONS, tmp_path_factory.mktemp("tokenizer"), max_tokens=16)


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("base")
    source, split, captions, shards = (folder / name for name in ("source", "split", "captions", "shards"))
    list(write_source_images(source, count=230, seed=0))
    split_source(source, split, now=NOW)
    caption_images(split, source, captions, captioner="alt_text", settings=CaptionerSettings(), now=NOW)
    write_shards(source, split, captions, shards, collection=Collection.NC, now=NOW)
    build_base(shards, folder / "made", BaseSettings(clip_steps=4, autoencoder_steps=4), now=NOW)
    return folder


def test_a_word_of_the_captions_is_one_token(tokenizer: CLIPTokenizer) -> None:
    words = tokenizer.tokenize("A red circle on a white background")

    assert words == [f"{word}</w>" for word in ["a", "red", "circle", "on", "a", "white", "background"]]


def test_the_vocabulary_stands_in_clips_order(tokenizer: CLIPTokenizer) -> None:
    tokens = [token for token, _ in sorted(tokenizer.get_vocab().items(), key=lambda pair: pair[1])]

    assert all(not token.endswith("</w>") for token in tokens[:256])
    assert tokens[256:512] == [f"{token}</w>" for token in tokens[:256]]
    assert tokens[-2:] == [START, END]


@given(text=st.text(alphabet=st.characters(codec="ascii", categories=("Ll",)), min_size=1, max_size=10))
def test_any_word_can_be_tokenized_and_read_back(tokenizer: CLIPTokenizer, text: str) -> None:
    numbers = tokenizer(text, truncation=False).input_ids

    assert tokenizer.decode(numbers, skip_special_tokens=True).strip() == text


def test_scaled_latents_have_unit_deviation() -> None:
    torch.manual_seed(0)
    autoencoder = tiny_autoencoder(32)
    images = torch.rand(32, 3, 32, 32) * 2 - 1

    factor = set_scaling_factor(autoencoder, images.split(8))

    with torch.no_grad():
        latents = autoencoder.encode(images).latent_dist.mean * autoencoder.config.scaling_factor
    assert latents.shape == (32, 4, 8, 8)
    assert factor == autoencoder.config.scaling_factor
    assert latents.std().item() == pytest.approx(1.0, abs=1e-4)


@pytest.mark.slow
def test_each_part_of_a_base_is_loaded_by_its_true_class(base: Path) -> None:
    made = base / "made"

    text_encoder = CLIPTextModel.from_pretrained(made / "text_encoder")
    autoencoder = AutoencoderKL.from_pretrained(made / "vae")
    tokenizer = CLIPTokenizer.from_pretrained(made / "tokenizer")

    assert tokenizer.model_max_length == 16 == text_encoder.config.max_position_embeddings
    assert text_encoder.config.vocab_size == len(tokenizer)
    assert autoencoder.config.scaling_factor != 0.18215


@pytest.mark.slow
def test_the_text_encoder_is_the_clips_text_half(base: Path) -> None:
    clip = CLIPModel.from_pretrained(base / "made" / "clip")
    text_encoder = CLIPTextModel.from_pretrained(base / "made" / "text_encoder")
    processor = CLIPProcessor.from_pretrained(base / "made" / "clip")
    tokens = processor(text=CAPTIONS[:2], padding="max_length", return_tensors="pt")

    with torch.no_grad():
        whole = clip.text_model(**tokens).last_hidden_state
        half = text_encoder(**tokens).last_hidden_state

    assert torch.equal(whole, half)


@pytest.mark.slow
def test_a_base_that_is_made_is_not_made_again(base: Path) -> None:
    again = build_base(base / "shards", base / "made", BaseSettings(clip_steps=4, autoencoder_steps=4), now=NOW)

    assert again.already_made
    assert again.manifest.counts["images"] > 150
