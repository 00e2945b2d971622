"""Tiny checkpoints of the true classes, built in code and saved as the published ones are: no downloads."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from arena.images import ImageStore
from arena.ledger.ledger import Ledger
from prompts.library import find_prompts
from prompts.prompt import PromptSet

CORPUS = ["a red circle on a white background", "a photo depicts a blue square", "a green triangle on black"]


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> Iterator[None]:
    """Tiny models are slower on several threads than on one."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def empty_hub_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty cache of the Hugging Face hub on a machine that has no network."""
    from huggingface_hub.utils import reset_sessions

    cache = tmp_path / "hub"
    cache.mkdir()
    with monkeypatch.context() as patched:
        patched.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(cache))
        patched.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
        reset_sessions()
        yield cache
    reset_sessions()


@pytest.fixture(scope="session")
def tokenizer_files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """vocab.json and merges.txt in CLIP's layout: bytes, bytes at a word's end, merges, then the two special tokens."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE(unk_token="<|endoftext|>", end_of_word_suffix="</w>"))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Whitespace(), pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]
    )
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer.train_from_iterator(
        CORPUS,
        trainers.BpeTrainer(vocab_size=800, initial_alphabet=alphabet, end_of_word_suffix="</w>", show_progress=False),
    )
    merges = [" ".join(merge) for merge in json.loads(tokenizer.to_str())["model"]["merges"]]
    tokens = dict.fromkeys([*alphabet, *(f"{letter}</w>" for letter in alphabet)])
    tokens |= dict.fromkeys(merge.replace(" ", "") for merge in merges)
    tokens |= dict.fromkeys(["<|startoftext|>", "<|endoftext|>"])
    folder = tmp_path_factory.mktemp("tokenizer")
    (folder / "vocab.json").write_text(json.dumps({token: number for number, token in enumerate(tokens)}))
    (folder / "merges.txt").write_text("\n".join(["#version: 0.2", *merges, ""]))
    return folder


@pytest.fixture(scope="session")
def tokenizer(tokenizer_files: Path) -> Any:
    """A CLIPTokenizer on those files."""
    from transformers import CLIPTokenizer

    return CLIPTokenizer(
        str(tokenizer_files / "vocab.json"),
        str(tokenizer_files / "merges.txt"),
        model_max_length=77,
        pad_token="<|endoftext|>",
    )


@pytest.fixture(scope="session")
def pipeline_folder(tokenizer: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A StableDiffusionPipeline of 32 px with random weights, saved as diffusers saves one."""
    import torch
    from diffusers import AutoencoderKL, DDIMScheduler, StableDiffusionPipeline, UNet2DConditionModel
    from transformers import CLIPTextConfig, CLIPTextModel

    torch.manual_seed(0)
    text_encoder = CLIPTextModel(CLIPTextConfig(**_text_config(tokenizer), projection_dim=32))
    vae = AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * 2,
        up_block_types=("UpDecoderBlock2D",) * 2,
        block_out_channels=(16, 32),
        norm_num_groups=8,
        latent_channels=4,
        sample_size=32,
    )
    unet = UNet2DConditionModel(
        sample_size=16,
        block_out_channels=(32, 64),
        layers_per_block=1,
        down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
        cross_attention_dim=32,
        attention_head_dim=8,
        norm_num_groups=8,
    )
    scheduler = DDIMScheduler(
        beta_schedule="scaled_linear",
        beta_start=0.00085,
        beta_end=0.012,
        clip_sample=False,
        set_alpha_to_one=False,
        steps_offset=1,
        prediction_type="v_prediction",
    )
    folder = tmp_path_factory.mktemp("pipelines") / "tiny-sd"
    StableDiffusionPipeline(
        vae=vae,
        text_encoder=text_encoder,
        tokenizer=tokenizer,
        unet=unet,
        scheduler=scheduler,
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    ).save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def clip_folder(tokenizer: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A CLIPModel with random weights on 32 px images, saved as transformers saves one."""
    import torch
    from transformers import CLIPConfig, CLIPImageProcessor, CLIPModel, CLIPProcessor

    torch.manual_seed(1)
    vision = {
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "image_size": 32,
        "patch_size": 8,
    }
    model = CLIPModel(CLIPConfig(text_config=_text_config(tokenizer), vision_config=vision, projection_dim=16))
    processor = CLIPProcessor(
        CLIPImageProcessor(size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32}), tokenizer
    )
    folder = tmp_path_factory.mktemp("clips") / "tiny-clip"
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder


def _text_config(tokenizer: Any) -> dict[str, Any]:
    return {
        "vocab_size": len(tokenizer),
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "max_position_embeddings": 77,
        "bos_token_id": tokenizer.bos_token_id,
        "eos_token_id": tokenizer.eos_token_id,
        "pad_token_id": tokenizer.pad_token_id,
    }


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    """An empty ledger of an arena in `tmp_path`/arena."""
    (tmp_path / "arena").mkdir(exist_ok=True)
    with Ledger.open(tmp_path / "arena" / "ledger.db") as opened:
        yield opened


@pytest.fixture
def images(tmp_path: Path) -> ImageStore:
    """The image store of the same arena."""
    return ImageStore(str(tmp_path / "arena" / "images"))


@pytest.fixture
def asked() -> PromptSet:
    """Six of the demo's prompts."""
    return find_prompts("demo", sample=6, seed=0)


@pytest.fixture(scope="session")
def inception_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The whole network with random weights, in pytorch-fid's layout: classifier and no counts of batches."""
    import torch

    from evaluation.features.inception import FidInception

    torch.manual_seed(2)
    network = FidInception()
    for name, values in network.state_dict().items():
        if name.endswith("conv.weight"):  # as large as lets pictures stay apart through all layers
            values.normal_(0, (2 / values[0].numel()) ** 0.5)
        elif name.endswith(("running_var", "bn.weight")):
            values.uniform_(0.8, 1.2)
        elif name.endswith(("running_mean", "bn.bias")):
            values.normal_(0, 0.1)
    state = {name: value for name, value in network.state_dict().items() if not name.endswith("num_batches_tracked")}
    state |= {"fc.weight": torch.zeros(1008, 2048), "fc.bias": torch.zeros(1008)}
    file = tmp_path_factory.mktemp("inception") / "pt_inception-2015-12-05-6726825d.pth"
    torch.save(state, file)
    return file


@pytest.fixture(scope="session")
def dinov2_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Dinov2Model with random weights, trained on a grid of 5 x 5 patches, saved as transformers saves one."""
    import torch
    from transformers import Dinov2Config, Dinov2Model

    torch.manual_seed(3)
    config = Dinov2Config(hidden_size=32, num_hidden_layers=2, num_attention_heads=4, image_size=70, patch_size=14)
    folder = tmp_path_factory.mktemp("dinov2") / "tiny-dinov2"
    model = Dinov2Model(config)
    for values in model.parameters():
        if values.ndim >= 2:  # larger than a start of training, so that pictures and places matter to the class token
            torch.nn.init.normal_(values, std=0.3)
    model.save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def sscd_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small TorchScript module that takes what the published one takes and gives rows, here not yet of length 1."""
    import torch
    from torch import nn

    torch.manual_seed(4)
    network = nn.Sequential(nn.Conv2d(3, 8, 16, stride=16), nn.ReLU(), nn.AdaptiveAvgPool2d(2), nn.Flatten())
    file = tmp_path_factory.mktemp("sscd") / "sscd_disc_mixup.torchscript.pt"
    torch.jit.script(network.eval()).save(file)  # type: ignore[no-untyped-call]
    return file
