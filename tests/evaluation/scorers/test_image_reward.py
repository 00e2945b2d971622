"""ImageReward, by a tiny checkpoint in the layout of BLIP's own code, against its equations written out here."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch.nn import functional

from evaluation.scorers.base import ScorerSettings
from evaluation.scorers.image_reward import in_transformers_names, open_scorer
from evaluation.weights import LocatedFile, MissingWeightsError, NotWeightsError

MEAN, STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)


def test_every_tensor_of_the_published_layout_goes_by_a_new_name_or_is_known_to_be_unused(reward_folder: Path) -> None:
    original = torch.load(reward_folder / "ImageReward.pt")
    located = LocatedFile(path=reward_folder / "ImageReward.pt", source="here", revision=None)

    renamed = in_transformers_names(original, located)

    used = {id(tensor) for tensor in renamed.values()}
    unused = {name for name, tensor in original.items() if id(tensor) not in used}
    assert len(renamed) == len(used) == len(original) - len(unused)
    assert unused == {
        "blip.text_encoder.embeddings.position_ids",
        "blip.vision_proj.weight",
        "blip.vision_proj.bias",
        "blip.text_proj.weight",
        "blip.text_proj.bias",
    }


def test_rewards_are_those_of_the_original_networks_equations(
    reward_folder: Path, bert_tokenizer: Any, pictures: list[Image.Image], texts: list[str], settings: ScorerSettings
) -> None:
    original = torch.load(reward_folder / "ImageReward.pt")
    scorer = open_scorer(str(reward_folder), None, settings)

    scores = scorer.score(pictures, texts)

    expected = [
        (original_reward(original, pixels_of(picture), bert_tokenizer(text)["input_ids"]) - 0.16717362830052426)
        / 1.0333394966054072
        for picture, text in zip(pictures, texts, strict=True)
    ]
    np.testing.assert_allclose(scores.values, expected, atol=2e-5)
    assert np.ptp(scores.values) > 0.01
    assert scores.truncated == 0


def test_a_text_is_cut_at_35_tokens_and_counted(
    reward_folder: Path, pictures: list[Image.Image], settings: ScorerSettings
) -> None:
    scorer = open_scorer(str(reward_folder), None, settings)
    fits = " ".join(["red"] * 33)

    scores = scorer.score(pictures[:1] * 3, [fits, f"{fits} blue", f"{fits} green circle"])

    assert scores.truncated == 2
    np.testing.assert_allclose(scores.values, scores.values[0], atol=1e-6)


def test_the_tokenizer_may_lie_elsewhere(
    reward_folder: Path,
    tmp_path: Path,
    pictures: list[Image.Image],
    texts: list[str],
    settings: ScorerSettings,
    empty_hub_cache: Path,
) -> None:
    alone = tmp_path / "ImageReward.pt"
    alone.write_bytes((reward_folder / "ImageReward.pt").read_bytes())

    with pytest.raises(MissingWeightsError, match="bert-base-uncased"):
        open_scorer(str(alone), None, settings)
    scorer = open_scorer(str(alone), None, replace(settings, companion=str(reward_folder)))

    expected = open_scorer(str(reward_folder), None, settings).score(pictures, texts).values
    np.testing.assert_array_equal(scorer.score(pictures, texts).values, expected)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (lambda state: state.pop("mlp.layers.7.bias"), "lacks head.layers.7.bias"),
        (lambda state: state.pop("blip.visual_encoder.pos_embed"), "lacks vision.embeddings.position_embedding"),
        (lambda state: state.update({"blip.visual_decoder.w": torch.ones(1)}), "unknown blip.visual_decoder.w"),
        (lambda state: state.update({"mlp.layers.7.bias": torch.ones(2)}), "another shape of head.layers.7.bias"),
    ],
)
def test_a_checkpoint_that_is_not_image_reward_is_named(
    reward_folder: Path, tmp_path: Path, settings: ScorerSettings, change: Callable[[Any], Any], complaint: str
) -> None:
    state = torch.load(reward_folder / "ImageReward.pt")
    change(state)
    torch.save(state, tmp_path / "ImageReward.pt")

    with pytest.raises(NotWeightsError, match=complaint):
        open_scorer(str(tmp_path / "ImageReward.pt"), None, replace(settings, companion=str(reward_folder)))


def test_a_tokenizer_with_words_that_the_model_does_not_know_is_refused(
    reward_folder: Path, tmp_path: Path, settings: ScorerSettings
) -> None:
    words = [*(reward_folder / "vocab.txt").read_text().split(), *(f"word{number}" for number in range(100))]
    (tmp_path / "vocab.txt").write_text("\n".join(words))

    with pytest.raises(NotWeightsError, match="not ImageReward's tokenizer"):
        open_scorer(str(reward_folder), None, replace(settings, companion=str(tmp_path)))


def pixels_of(picture: Image.Image) -> torch.Tensor:
    """The shorter side resized to 32 with PIL's bicubic filter, the middle cut out, then normalised."""
    width, height = picture.size
    short = min(width, height)
    small = picture.resize((int(32 * width / short), int(32 * height / short)), Image.Resampling.BICUBIC)
    left, top = round((small.width - 32) / 2), round((small.height - 32) / 2)
    square = np.asarray(small.crop((left, top, left + 32, top + 32)), dtype=np.float32) / 255
    return torch.from_numpy(((square - MEAN) / STD).astype(np.float32)).permute(2, 0, 1)


def original_reward(state: dict[str, torch.Tensor], pixels: torch.Tensor, tokens: list[int]) -> float:
    """The reward by BLIP's ViT (pre-norm, epsilon 1e-6), its BERT (post-norm, epsilon 1e-12) and the head."""

    def linear(name: str, x: torch.Tensor) -> torch.Tensor:
        return x @ state[f"{name}.weight"].T + state[f"{name}.bias"]

    def norm(name: str, x: torch.Tensor, epsilon: float) -> torch.Tensor:
        centred = x - x.mean(-1, keepdim=True)
        scaled = centred / (centred.square().mean(-1, keepdim=True) + epsilon).sqrt()
        return scaled * state[f"{name}.weight"] + state[f"{name}.bias"]

    def attend(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor) -> torch.Tensor:
        heads = []
        for start in range(0, query.shape[1], 64):
            q, k, v = (each[:, start : start + 64] for each in (query, key, value))
            heads.append(torch.softmax(q @ k.T / 8, dim=-1) @ v)
        return torch.cat(heads, dim=1)

    eyes = "blip.visual_encoder"
    patches = functional.conv2d(
        pixels[None], state[f"{eyes}.patch_embed.proj.weight"], state[f"{eyes}.patch_embed.proj.bias"], stride=8
    )
    x = torch.cat([state[f"{eyes}.cls_token"][0], patches[0].flatten(1).T]) + state[f"{eyes}.pos_embed"][0]
    for layer in range(2):
        block = f"{eyes}.blocks.{layer}"
        query, key, value = linear(f"{block}.attn.qkv", norm(f"{block}.norm1", x, 1e-6)).chunk(3, dim=1)
        x = x + linear(f"{block}.attn.proj", attend(query, key, value))
        x = x + linear(f"{block}.mlp.fc2", functional.gelu(linear(f"{block}.mlp.fc1", norm(f"{block}.norm2", x, 1e-6))))
    seen = norm(f"{eyes}.norm", x, 1e-6)

    words = state["blip.text_encoder.embeddings.word_embeddings.weight"][tokens]
    places = state["blip.text_encoder.embeddings.position_embeddings.weight"][: len(tokens)]
    y = norm("blip.text_encoder.embeddings.LayerNorm", words + places, 1e-12)
    for layer in range(2):
        block = f"blip.text_encoder.encoder.layer.{layer}"
        for kind in ("attention", "crossattention"):
            there = y if kind == "attention" else seen
            projected = [linear(f"{block}.{kind}.self.query", y)]
            projected += [linear(f"{block}.{kind}.self.{part}", there) for part in ("key", "value")]
            y = norm(
                f"{block}.{kind}.output.LayerNorm",
                y + linear(f"{block}.{kind}.output.dense", attend(*projected)),
                1e-12,
            )
        wide = functional.gelu(linear(f"{block}.intermediate.dense", y))
        y = norm(f"{block}.output.LayerNorm", y + linear(f"{block}.output.dense", wide), 1e-12)
    value = y[:1]
    for position in (0, 2, 4, 6, 7):
        value = linear(f"mlp.layers.{position}", value)
    return float(value)
