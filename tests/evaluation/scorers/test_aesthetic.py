"""The aesthetic predictor, by a tiny CLIP and a head of the published layers."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from evaluation.features.clip import open_extractor
from evaluation.scorers.aesthetic import open_scorer
from evaluation.scorers.base import ScorerSettings
from evaluation.weights import DamagedWeightsError, MissingWeightsError, NotWeightsError


def test_the_score_is_the_heads_affine_map_of_normalised_features(
    aesthetic_file: Path, clip_folder: Path, pictures: list[Image.Image], texts: list[str], settings: ScorerSettings
) -> None:
    state = {name: tensor.double().numpy() for name, tensor in torch.load(aesthetic_file).items()}
    values = open_extractor(str(clip_folder), None, settings).images(pictures).astype(np.float64)

    scorer = open_scorer(str(aesthetic_file), None, replace(settings, companion=str(clip_folder)))
    scores = scorer.score(pictures, texts)

    values /= np.linalg.norm(values, axis=1, keepdims=True)
    for position in (0, 2, 4, 6, 7):
        values = values @ state[f"layers.{position}.weight"].T + state[f"layers.{position}.bias"]
    np.testing.assert_allclose(scores.values, values[:, 0], atol=1e-5)


def test_the_text_plays_no_part(
    aesthetic_file: Path, clip_folder: Path, pictures: list[Image.Image], texts: list[str], settings: ScorerSettings
) -> None:
    scorer = open_scorer(str(aesthetic_file), None, replace(settings, companion=str(clip_folder)))

    assert np.array_equal(scorer.score(pictures, texts).values, scorer.score(pictures, texts[::-1]).values)


def test_a_head_for_another_clip_is_refused(
    aesthetic_file: Path, clip_folder: Path, tmp_path: Path, settings: ScorerSettings
) -> None:
    state = torch.load(aesthetic_file)
    state["layers.0.weight"] = torch.zeros(1024, 24)
    torch.save(state, tmp_path / "head.pth")

    with pytest.raises(NotWeightsError, match=r"reads 24 features and .* makes 16"):
        open_scorer(str(tmp_path / "head.pth"), None, replace(settings, companion=str(clip_folder)))


def test_a_checkpoint_of_something_else_is_named(reward_folder: Path, settings: ScorerSettings) -> None:
    with pytest.raises(NotWeightsError, match="not the head of an aesthetic predictor"):
        open_scorer(str(reward_folder / "ImageReward.pt"), None, settings)


def test_bytes_that_are_no_checkpoint_are_damaged(tmp_path: Path, settings: ScorerSettings) -> None:
    (tmp_path / "head.pth").write_bytes(b"not a checkpoint")

    with pytest.raises(DamagedWeightsError, match="download it again"):
        open_scorer(str(tmp_path / "head.pth"), None, settings)


def test_a_list_is_no_checkpoint(tmp_path: Path, settings: ScorerSettings) -> None:
    torch.save([torch.ones(1)], tmp_path / "head.pth")

    with pytest.raises(NotWeightsError, match="holds no tensors by name"):
        open_scorer(str(tmp_path / "head.pth"), None, settings)


def test_without_network_the_published_clip_is_named(
    aesthetic_file: Path, settings: ScorerSettings, empty_hub_cache: Path
) -> None:
    with pytest.raises(MissingWeightsError, match="openai/clip-vit-large-patch14"):
        open_scorer(str(aesthetic_file), None, settings)
