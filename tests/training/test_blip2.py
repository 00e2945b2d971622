"""BLIP-2, by a tiny model of the true classes."""

from datetime import datetime
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from training.captioners.base import CaptionerSettings
from training.captioners.blip2 import open_captioner
from training.captions import caption_images, read_captions
from training.catalogue import SourceImage
from training.models import ModelNotFoundError

WORDS = ["a red circle on a blue background", "a photo of a cat", "a yellow square", "green triangle"]


@pytest.fixture(scope="module")
def tiny_blip2(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Vision tower, Q-Former and OPT of two layers each, with its processor, saved as the hub has them."""
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import (
        AddedToken,
        Blip2Config,
        Blip2ForConditionalGeneration,
        Blip2Processor,
        Blip2QFormerConfig,
        Blip2VisionConfig,
        BlipImageProcessor,
        GPT2TokenizerFast,
        OPTConfig,
    )

    learner = Tokenizer(models.BPE())
    learner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    learner.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    special = ["<s>", "<pad>", "</s>", "<unk>"]
    trainer = trainers.BpeTrainer(
        vocab_size=400, special_tokens=special, initial_alphabet=alphabet, show_progress=False
    )
    learner.train_from_iterator(WORDS, trainer)
    tokenizer = GPT2TokenizerFast(
        tokenizer_object=learner, bos_token="</s>", eos_token="</s>", unk_token="</s>", pad_token="<pad>"
    )
    image_token = AddedToken("<image>", normalized=False, special=True)
    tokenizer.add_special_tokens({"additional_special_tokens": [image_token]})
    layers = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4}
    vision = Blip2VisionConfig(**layers, intermediate_size=64, image_size=32, patch_size=8)
    qformer = Blip2QFormerConfig(**layers, vocab_size=len(tokenizer), intermediate_size=64, encoder_hidden_size=32)
    text = OPTConfig(
        **layers,
        vocab_size=len(tokenizer),
        ffn_dim=64,
        word_embed_proj_dim=32,
        max_position_embeddings=64,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    config = Blip2Config(
        vision_config=vision.to_dict(),
        qformer_config=qformer.to_dict(),
        text_config=text.to_dict(),
        num_query_tokens=4,
        image_token_index=tokenizer.convert_tokens_to_ids("<image>"),
    )
    folder = tmp_path_factory.mktemp("blip2")
    torch.manual_seed(0)
    Blip2ForConditionalGeneration(config).save_pretrained(folder)
    processor = BlipImageProcessor(size={"height": 32, "width": 32})
    Blip2Processor(processor, tokenizer, num_query_tokens=4).save_pretrained(folder)
    return folder


def picture(seed: int, width: int = 60, height: int = 40) -> Image.Image:
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8))


def images(count: int) -> list[SourceImage]:
    return [
        SourceImage(id=str(number), file="", caption="", licence="CC0", author="", origin="") for number in range(count)
    ]


def test_the_stage_captions_by_blip2_and_names_its_weights(
    source: Path, split: Path, tiny_blip2: Path, tmp_path: Path, now: datetime
) -> None:
    settings = CaptionerSettings(model=str(tiny_blip2), batch_size=5, max_new_tokens=6, device="cpu")

    result = caption_images(
        split, source, tmp_path / "out", captioner="blip2", settings=settings, skip_uncaptioned=True, now=now
    )

    counts = result.manifest.counts
    assert counts["captions"] + counts["skipped_uncaptioned"] == 14
    assert counts["captions"] == len(read_captions(result.folder)) > 0
    assert len(result.manifest.settings["model"]) == 64
    assert result.manifest.settings["precision"] == "float32"
    assert result.manifest.details["captioner"] == f"blip2 {tiny_blip2}"


def test_captions_do_not_depend_on_the_batch(tiny_blip2: Path) -> None:
    captioner = open_captioner(CaptionerSettings(model=str(tiny_blip2), max_new_tokens=6, device="cpu"))
    pictures = [picture(seed) for seed in range(3)]

    together = captioner.caption(images(3), pictures)

    assert together == [captioner.caption(images(1), [one])[0] for one in pictures]
    assert all("<image>" not in text and "\n" not in text for text in together)


def test_it_sees_the_centre_square_of_at_most_512_px(tiny_blip2: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    captioner = open_captioner(CaptionerSettings(model=str(tiny_blip2), max_new_tokens=2, device="cpu"))
    processor, _ = captioner._load()
    seen: list[tuple[int, int]] = []
    original = type(processor).__call__

    def watched(self: object, images: list[Image.Image], **settings: object) -> object:
        seen.extend(image.size for image in images)
        return original(self, images=images, **settings)

    monkeypatch.setattr(type(processor), "__call__", watched)
    large, small = picture(0, 1200, 900), picture(1, 60, 40)
    captioner.caption(images(2), [large, small])

    assert seen == [(512, 512), (40, 40)]


def test_a_model_that_is_not_there_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()

    with pytest.raises(ModelNotFoundError, match=r"There is no folder \./nowhere: name a model's folder, or a hub id"):
        open_captioner(CaptionerSettings(model="./nowhere"))
    with pytest.raises(ModelNotFoundError, match=r"empty lacks config\.json: it is not in the layout"):
        open_captioner(CaptionerSettings(model=str(tmp_path / "empty")))
