"""Tiny networks of the scorers' true classes with random weights, saved as the published ones are."""

import json
from pathlib import Path
from string import ascii_lowercase
from typing import Any

import numpy as np
import pytest
from PIL import Image

from evaluation.scorers.base import ScorerSettings

QUESTIONS = [
    ("a red circle", "is this a circle ?", ["yes", "no"], "yes", "shape"),
    ("a red circle", "what color is the circle ?", ["red", "blue", "green"], "red", "color"),
    ("a blue square on black", "what shape ?", ["circle", "square"], "square", "shape"),
    ("a green triangle", "is it green ?", ["yes", "no"], "yes", "color"),
    ("a photo of a circle", "is this a photo ?", ["yes", "no"], "yes", "other"),
    ("a photo of a circle", "is this a photo of a blue square on black ?", ["yes", "no"], "no", "other"),
]


@pytest.fixture
def pictures() -> list[Image.Image]:
    """Five of different sizes."""
    rng = np.random.default_rng(0)
    sizes = [(40, 40), (64, 48), (33, 57), (32, 32), (90, 41)]
    return [Image.fromarray(rng.integers(0, 256, (height, width, 3), np.uint8)) for width, height in sizes]


@pytest.fixture
def texts() -> list[str]:
    """The prompt of each picture; two share one."""
    return ["a red circle", "a blue square on black", "a green triangle", "a photo of a circle", "a red circle"]


@pytest.fixture
def settings() -> ScorerSettings:
    """On the processor, two at a time."""
    return ScorerSettings(device="cpu", batch_size=2)


@pytest.fixture(scope="session")
def bert_tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """BERT's own tokenizer class over the words of these tests."""
    from transformers import BertTokenizerFast

    words = sorted({word for row in QUESTIONS for text in (row[0], row[1], *row[2]) for word in text.split()})
    tokens = dict.fromkeys(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *words, *ascii_lowercase])
    path = tmp_path_factory.mktemp("words") / "vocab.txt"
    path.write_text("\n".join(tokens), encoding="utf-8")
    return BertTokenizerFast(vocab_file=str(path))


@pytest.fixture(scope="session")
def questions_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """QUESTIONS in the format of TIFA v1.0."""
    names = ("caption", "question", "choices", "answer", "element_type")
    rows = [{"id": f"made_{row[0]}", **dict(zip(names, row, strict=True)), "element": "x"} for row in QUESTIONS]
    path = tmp_path_factory.mktemp("questions") / "questions.json"
    path.write_text(json.dumps(rows), encoding="utf-8")
    return path


@pytest.fixture(scope="session")
def vqa_folder(bert_tokenizer: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """BLIP for question answering of two layers each."""
    import torch
    from transformers import BlipConfig, BlipForQuestionAnswering, BlipImageProcessor

    layers = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4}
    text = {
        **layers,
        "vocab_size": len(bert_tokenizer),
        "encoder_hidden_size": 32,
        "projection_dim": 32,
        "max_position_embeddings": 64,
        "bos_token_id": bert_tokenizer.cls_token_id,
        "eos_token_id": bert_tokenizer.sep_token_id,
        "sep_token_id": bert_tokenizer.sep_token_id,
        "pad_token_id": bert_tokenizer.pad_token_id,
        "initializer_range": 0.5,
    }
    config = BlipConfig(
        text_config=text,
        vision_config={**layers, "image_size": 32, "patch_size": 8, "initializer_range": 0.5},
        image_text_hidden_size=32,
    )
    folder = tmp_path_factory.mktemp("vqa") / "tiny-blip-vqa"
    torch.manual_seed(5)
    BlipForQuestionAnswering(config).save_pretrained(folder)
    BlipImageProcessor(size={"height": 32, "width": 32}).save_pretrained(folder)
    bert_tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def sentences_folder(bert_tokenizer: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A BERT of two layers, without the pooler that sentence encoders do not need."""
    import torch
    from transformers import BertConfig, BertModel

    config = BertConfig(
        vocab_size=len(bert_tokenizer),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        max_position_embeddings=64,
    )
    folder = tmp_path_factory.mktemp("sentences") / "tiny-bert"
    torch.manual_seed(6)
    BertModel(config, add_pooling_layer=False).save_pretrained(folder)
    bert_tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def aesthetic_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The head's weights by the names of the published file, for features as wide as the tiny CLIP's."""
    import torch

    path = tmp_path_factory.mktemp("aesthetic") / "sac+logos+ava1-l14-linearMSE.pth"
    torch.save(head_weights(16, "layers."), path)
    return path


@pytest.fixture(scope="session")
def hps_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Checkpoints of both versions of HPS for a tiny CLIP of open_clip, which its open_clip_config.json describes."""
    import open_clip
    import torch

    config = {
        "embed_dim": 16,
        "vision_cfg": {"image_size": 32, "layers": 2, "width": 32, "head_width": 8, "patch_size": 8},
        "text_cfg": {"context_length": 16, "vocab_size": 49408, "width": 32, "heads": 4, "layers": 2},
    }
    folder = tmp_path_factory.mktemp("hps") / "tiny-hps"
    folder.mkdir()
    (folder / "open_clip_config.json").write_text(json.dumps({"model_cfg": config}))
    for seed, name in enumerate(["HPS_v2_compressed.pt", "HPS_v2.1_compressed.pt"]):
        torch.manual_seed(seed)
        torch.save({"state_dict": open_clip.CLIP(**config).state_dict()}, folder / name)
    return folder


@pytest.fixture(scope="session")
def reward_folder(bert_tokenizer: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """ImageReward.pt by the names of the published file, with its tokenizer beside it."""
    import torch

    folder = tmp_path_factory.mktemp("reward") / "tiny-image-reward"
    bert_tokenizer.save_pretrained(folder)
    torch.save(reward_weights(len(bert_tokenizer) + 2), folder / "ImageReward.pt")
    return folder


def head_weights(features: int, prefix: str) -> dict[str, Any]:
    """The five linear layers of ImageReward's head and of the aesthetic predictor's, at random."""
    made = _Made(seed=1)
    for position, outputs, inputs in [(0, 1024, features), (2, 128, 1024), (4, 64, 128), (6, 16, 64), (7, 1, 16)]:
        made.linear(f"{prefix}{position}", outputs, inputs)
    return made.tensors


def reward_weights(words: int) -> dict[str, Any]:
    """A tiny ImageReward in the layout of BLIP's own code: 2 layers each, 3 and 2 heads of 64, images of 32 px."""
    vision, text = 192, 128
    made = _Made(seed=2)
    made.random("blip.visual_encoder.cls_token", 1, 1, vision)
    made.random("blip.visual_encoder.pos_embed", 1, 17, vision)
    made.random("blip.visual_encoder.patch_embed.proj.weight", vision, 3, 8, 8)
    made.random("blip.visual_encoder.patch_embed.proj.bias", vision)
    made.norm("blip.visual_encoder.norm", vision)
    for layer in range(2):
        block = f"blip.visual_encoder.blocks.{layer}"
        made.norm(f"{block}.norm1", vision)
        made.norm(f"{block}.norm2", vision)
        made.linear(f"{block}.attn.qkv", 3 * vision, vision)
        made.linear(f"{block}.attn.proj", vision, vision)
        made.linear(f"{block}.mlp.fc1", 96, vision)
        made.linear(f"{block}.mlp.fc2", vision, 96)
    read = "blip.text_encoder"
    made.random(f"{read}.embeddings.position_ids", 1, 64)
    made.random(f"{read}.embeddings.word_embeddings.weight", words, text)
    made.random(f"{read}.embeddings.position_embeddings.weight", 64, text)
    made.norm(f"{read}.embeddings.LayerNorm", text)
    for layer in range(2):
        block = f"{read}.encoder.layer.{layer}"
        for kind, keys in [("attention", text), ("crossattention", vision)]:
            made.linear(f"{block}.{kind}.self.query", text, text)
            made.linear(f"{block}.{kind}.self.key", text, keys)
            made.linear(f"{block}.{kind}.self.value", text, keys)
            made.linear(f"{block}.{kind}.output.dense", text, text)
            made.norm(f"{block}.{kind}.output.LayerNorm", text)
        made.linear(f"{block}.intermediate.dense", 160, text)
        made.linear(f"{block}.output.dense", text, 160)
        made.norm(f"{block}.output.LayerNorm", text)
    made.linear("blip.vision_proj", 32, vision)
    made.linear("blip.text_proj", 32, text)
    return made.tensors | head_weights(text, "mlp.layers.")


class _Made:
    def __init__(self, seed: int) -> None:
        import torch

        self._generator = torch.Generator().manual_seed(seed)
        self.tensors: dict[str, Any] = {}

    def random(self, name: str, *shape: int, scale: float = 0.2) -> None:
        import torch

        self.tensors[name] = scale * torch.randn(*shape, generator=self._generator)

    def linear(self, name: str, outputs: int, inputs: int) -> None:
        self.random(f"{name}.weight", outputs, inputs, scale=inputs**-0.5)
        self.random(f"{name}.bias", outputs)

    def norm(self, name: str, width: int) -> None:
        self.random(f"{name}.weight", width)
        self.tensors[f"{name}.weight"] += 1
        self.random(f"{name}.bias", width)
