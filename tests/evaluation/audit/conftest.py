"""Two small targets, a cross and a ring, with their pictures; and tiny networks of the judges' true classes."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageDraw

from evaluation.audit.judges.base import JudgeSettings
from prompts.probes import Probe, ProbeSet, TargetKind

SIDE_PX = 56


@pytest.fixture(scope="session")
def targets() -> ProbeSet:
    """Red Cross, Green Ring and a person."""
    return ProbeSet(
        name="shapes",
        licence="CC0-1.0",
        source="made up",
        probes=(
            probe("cross", "Red Cross", work="Signs", aliases=("Rotes Kreuz",)),
            probe("ring", "Green Ring", work="Signs"),
            probe("person", "Ada Nobody", work="", target=TargetKind.CELEBRITY),
        ),
    )


def probe(
    key: str,
    name: str,
    *,
    work: str,
    aliases: tuple[str, ...] = (),
    target: TargetKind = TargetKind.CHARACTER,
) -> Probe:
    """A probe of that name; all its texts are its own."""
    return Probe(
        key=key,
        target=target,
        name=name,
        work=work,
        aliases=aliases,
        entity=f"a sign of kind {key[:2]}",
        generic=f"some sign of kind {key[:2]} on a wall",
        misspelled=f"{name[0]}h{name[1:]} sign",
        suggestive=(f"the well known {key[:2]} sign on a flag", f"what one paints as {key[:2]}"),
        keywords=tuple(f"{key[:2]} word {number}" for number in range(20)),
        description=f"A long account of the {key[:2]} sign without its name.",
        captions=(f"an image of the {name.lower()}",),
        name_prompt=name,
        fictional=f"Nobody {key[:2]} at all" if target is TargetKind.CELEBRITY else "",
        source="made up",
    )


def draw_cross(size_px: int = SIDE_PX) -> Image.Image:
    """A red cross on white."""
    image = Image.new("RGB", (size_px, size_px), "white")
    draw = ImageDraw.Draw(image)
    third = size_px // 3
    draw.rectangle((third, 0, 2 * third, size_px), fill="red")
    draw.rectangle((0, third, size_px, 2 * third), fill="red")
    return image


def draw_ring(size_px: int = SIDE_PX) -> Image.Image:
    """A green ring on black."""
    image = Image.new("RGB", (size_px, size_px), "black")
    ImageDraw.Draw(image).ellipse((8, 8, size_px - 8, size_px - 8), outline="green", width=9)
    return image


def draw_person(size_px: int = SIDE_PX) -> Image.Image:
    """A blue head over shoulders."""
    image = Image.new("RGB", (size_px, size_px), "yellow")
    draw = ImageDraw.Draw(image)
    draw.ellipse((18, 5, 38, 28), fill="blue")
    draw.rectangle((8, 32, 48, size_px), fill="blue")
    return image


def noise(seed: int, width: int = SIDE_PX, height: int = SIDE_PX) -> Image.Image:
    """A picture of nothing."""
    rng = np.random.default_rng(seed)
    return Image.fromarray(rng.integers(0, 256, (height, width, 3), dtype=np.uint8))


@pytest.fixture(scope="session")
def drawn() -> dict[str, Image.Image]:
    """A picture of each target."""
    return {"cross": draw_cross(), "ring": draw_ring(), "person": draw_person()}


@pytest.fixture(scope="session")
def noisy() -> Callable[..., Image.Image]:
    """Paints nothing, from a seed."""
    return noise


@pytest.fixture(scope="session")
def make_probe() -> Callable[..., Probe]:
    """Makes a probe of a key and a name."""
    return probe


@pytest.fixture(scope="session")
def references(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with pictures of each target."""
    folder = tmp_path_factory.mktemp("references")
    for key, image in (("cross", draw_cross()), ("ring", draw_ring()), ("person", draw_person())):
        (folder / key).mkdir()
        image.save(folder / key / "one.png")
        image.transpose(Image.Transpose.ROTATE_180).save(folder / key / "turned.png")
    return folder


@pytest.fixture
def settings() -> JudgeSettings:
    """On the processor, two at a time."""
    return JudgeSettings(device="cpu", batch_size=2)


@pytest.fixture(scope="session")
def tiny_dinov2(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Dinov2Model with random weights, large enough for pictures to matter to the class token."""
    import torch
    from transformers import Dinov2Config, Dinov2Model

    torch.manual_seed(3)
    config = Dinov2Config(hidden_size=32, num_hidden_layers=2, num_attention_heads=4, image_size=70, patch_size=14)
    model = Dinov2Model(config)
    for values in model.parameters():
        if values.ndim >= 2:
            torch.nn.init.normal_(values, std=0.3)
    folder = tmp_path_factory.mktemp("dinov2") / "tiny-dinov2"
    model.save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def tiny_sscd(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small TorchScript module that takes what the published one takes."""
    import torch
    from torch import nn

    torch.manual_seed(4)
    network = nn.Sequential(nn.Conv2d(3, 8, 16, stride=16), nn.ReLU(), nn.AdaptiveAvgPool2d(2), nn.Flatten())
    file = tmp_path_factory.mktemp("sscd") / "sscd_disc_mixup.torchscript.pt"
    torch.jit.script(network.eval()).save(file)  # type: ignore[no-untyped-call]
    return file


@pytest.fixture(scope="session")
def lively_clip(clip_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny CLIP with larger random weights, so that pictures and texts matter to what it says."""
    import shutil

    import torch
    from transformers import CLIPModel

    folder = tmp_path_factory.mktemp("lively") / "tiny-clip"
    shutil.copytree(clip_folder, folder)
    model = CLIPModel.from_pretrained(folder)
    torch.manual_seed(9)
    for name, values in model.named_parameters():
        if values.ndim >= 2 and "position" not in name:
            torch.nn.init.normal_(values, std=0.25)
    model.save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def speller(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A byte-level GPT-2 tokenizer with a token for an image."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import AddedToken, GPT2TokenizerFast

    learner = Tokenizer(models.BPE())
    learner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    learner.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=300,
        special_tokens=["<s>", "<pad>", "</s>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    learner.train_from_iterator(["Does this image show a character, person or logo"], trainer)
    found = GPT2TokenizerFast(
        tokenizer_object=learner, bos_token="<s>", eos_token="</s>", unk_token="</s>", pad_token="<pad>"
    )
    marks = ["<image>", "<|vision_start|>", "<|vision_end|>", "<|image_pad|>", "<|video_pad|>"]
    found.add_special_tokens(
        {"additional_special_tokens": [AddedToken(mark, normalized=False, special=True) for mark in marks]}
    )
    return found


@pytest.fixture(scope="session")
def tiny_blip2(speller: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """BLIP-2 around an OPT, two layers each, with its processor; without a chat template."""
    import torch
    from transformers import Blip2Config, Blip2ForConditionalGeneration, Blip2Processor, BlipImageProcessor, OPTConfig

    layers = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 64}
    text = OPTConfig(
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        ffn_dim=64,
        word_embed_proj_dim=32,
        max_position_embeddings=512,
        init_std=0.5,
        vocab_size=len(speller),
        bos_token_id=speller.bos_token_id,
        eos_token_id=speller.eos_token_id,
        pad_token_id=speller.pad_token_id,
    )
    config = Blip2Config(
        vision_config={**layers, "image_size": 32, "patch_size": 8, "initializer_range": 0.5},
        qformer_config={**layers, "vocab_size": 40, "encoder_hidden_size": 32, "initializer_range": 0.5},
        text_config=text.to_dict(),
        num_query_tokens=4,
        image_token_index=speller.convert_tokens_to_ids("<image>"),
    )
    torch.manual_seed(8)
    model = Blip2ForConditionalGeneration(config)
    torch.nn.init.normal_(model.query_tokens)
    torch.nn.init.normal_(model.language_projection.weight)
    folder = tmp_path_factory.mktemp("blip2") / "tiny-blip2"
    model.save_pretrained(folder)
    Blip2Processor(BlipImageProcessor(size={"height": 32, "width": 32}), speller, num_query_tokens=4).save_pretrained(
        folder
    )
    return folder


@pytest.fixture(scope="session")
def tiny_llava(speller: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """LLaVA around a Llama, two layers each, with its processor and a chat template."""
    import torch
    from transformers import (
        CLIPImageProcessor,
        CLIPVisionConfig,
        LlamaConfig,
        LlavaConfig,
        LlavaForConditionalGeneration,
        LlavaProcessor,
    )

    layers = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 64}
    config = LlavaConfig(
        vision_config=CLIPVisionConfig(**layers, image_size=32, patch_size=8).to_dict(),
        text_config=LlamaConfig(
            **layers,
            vocab_size=len(speller),
            max_position_embeddings=512,
            initializer_range=0.5,
            bos_token_id=speller.bos_token_id,
            eos_token_id=speller.eos_token_id,
            pad_token_id=speller.pad_token_id,
        ).to_dict(),
        image_token_index=speller.convert_tokens_to_ids("<image>"),
        vision_feature_layer=-1,
    )
    torch.manual_seed(7)
    model = LlavaForConditionalGeneration(config)
    for name, values in model.named_parameters():
        if values.ndim >= 2 and "language_model" not in name:
            torch.nn.init.normal_(values, std=0.4)
    folder = tmp_path_factory.mktemp("llava") / "tiny-llava"
    model.save_pretrained(folder)
    LlavaProcessor(
        CLIPImageProcessor(size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32}),
        speller,
        patch_size=8,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
        chat_template=(
            "{% for turn in messages %}USER: {% for part in turn['content'] %}"
            "{% if part['type'] == 'image' %}<image>{% else %}{{ part['text'] }}{% endif %}{% endfor %} ANSWER:"
            "{% endfor %}"
        ),
    ).save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def tiny_qwen2_vl(speller: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Qwen2-VL, two layers each, with its processor and a chat template; pictures keep their shape in it."""
    import torch
    from transformers import (
        Qwen2TokenizerFast,
        Qwen2VLConfig,
        Qwen2VLForConditionalGeneration,
        Qwen2VLImageProcessor,
        Qwen2VLProcessor,
        Qwen2VLVideoProcessor,
    )

    token = speller.convert_tokens_to_ids
    config = Qwen2VLConfig(
        text_config={
            "vocab_size": len(speller),
            "hidden_size": 32,
            "intermediate_size": 64,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "num_key_value_heads": 2,
            "max_position_embeddings": 1024,
            "initializer_range": 0.5,
            "rope_scaling": {"type": "mrope", "mrope_section": [1, 1, 2]},
            "bos_token_id": speller.bos_token_id,
            "eos_token_id": speller.eos_token_id,
            "pad_token_id": speller.pad_token_id,
        },
        vision_config={
            "depth": 2,
            "embed_dim": 32,
            "hidden_size": 32,
            "num_heads": 4,
            "mlp_ratio": 2,
            "initializer_range": 0.5,
        },
        image_token_id=token("<|image_pad|>"),
        video_token_id=token("<|video_pad|>"),
        vision_start_token_id=token("<|vision_start|>"),
        vision_end_token_id=token("<|vision_end|>"),
    )
    torch.manual_seed(6)
    model = Qwen2VLForConditionalGeneration(config)
    for name, values in model.named_parameters():
        if values.ndim >= 2 and "visual" in name:
            torch.nn.init.normal_(values, std=0.3)
    folder = tmp_path_factory.mktemp("qwen2_vl") / "tiny-qwen2-vl"
    model.save_pretrained(folder)
    Qwen2VLProcessor(
        Qwen2VLImageProcessor(min_pixels=28 * 28 * 4, max_pixels=28 * 28 * 16),
        Qwen2TokenizerFast(
            tokenizer_object=speller.backend_tokenizer, unk_token=None, eos_token="</s>", pad_token="<pad>"
        ),
        Qwen2VLVideoProcessor(),
        chat_template=(
            "{% for turn in messages %}user: {% for part in turn['content'] %}{% if part['type'] == 'image' %}"
            "<|vision_start|><|image_pad|><|vision_end|>{% else %}{{ part['text'] }}{% endif %}{% endfor %} assistant:"
            "{% endfor %}"
        ),
    ).save_pretrained(folder)
    return folder


@pytest.fixture
def talkers(tiny_blip2: Path, tiny_llava: Path, tiny_qwen2_vl: Path) -> dict[str, Path]:
    """Models that talk about images, by their kind."""
    return {"blip2": tiny_blip2, "llava": tiny_llava, "qwen2_vl": tiny_qwen2_vl}
