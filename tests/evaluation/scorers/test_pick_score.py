"""PickScore, by a tiny CLIP of the true class."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from evaluation.scorers.base import ScorerSettings
from evaluation.scorers.pick_score import chances_of_being_picked, open_scorer
from evaluation.weights import MissingWeightsError, NotWeightsError


def test_scores_are_the_diagonal_of_the_models_own_logits(
    clip_folder: Path, pictures: list[Image.Image], texts: list[str], settings: ScorerSettings
) -> None:
    from transformers import CLIPModel, CLIPProcessor

    inputs = CLIPProcessor.from_pretrained(clip_folder)(images=pictures, text=texts, padding=True, return_tensors="pt")

    scores = open_scorer(str(clip_folder), None, settings).score(pictures, texts)

    with torch.inference_mode():
        logits = CLIPModel.from_pretrained(clip_folder).eval()(**inputs).logits_per_image.diagonal().numpy()
    np.testing.assert_allclose(scores.values, logits, rtol=1e-5)
    assert scores.truncated == 0


def test_long_prompts_are_counted(clip_folder: Path, pictures: list[Image.Image], settings: ScorerSettings) -> None:
    scores = open_scorer(str(clip_folder), None, settings).score(pictures[:2], ["red", "a red circle " * 60])

    assert scores.truncated == 1


def test_a_chance_of_being_picked_is_a_softmax_within_its_prompt() -> None:
    scores = np.array([20.0, 21.0, 5.0, 22.0], dtype=np.float32)

    chances = chances_of_being_picked(scores, np.array([7, 7, 3, 7]))

    total = np.exp(20) + np.exp(21) + np.exp(22)
    np.testing.assert_allclose(chances, [np.exp(20) / total, np.exp(21) / total, 1.0, np.exp(22) / total], rtol=1e-12)


@given(
    st.lists(st.tuples(st.floats(-1e4, 1e4, width=32), st.integers(0, 4)), min_size=1, max_size=20),
    st.floats(-100, 100, width=32),
)
def test_the_chances_of_a_prompts_images_add_up_to_1_whatever_is_added_to_all_scores(
    rows: list[tuple[float, int]], shift: float
) -> None:
    scores, prompts = np.array([row[0] for row in rows]), np.array([row[1] for row in rows])

    chances = chances_of_being_picked(scores + shift, prompts)

    for prompt in set(prompts.tolist()):
        assert chances[prompts == prompt].sum() == pytest.approx(1.0)
    np.testing.assert_allclose(chances, chances_of_being_picked(scores, prompts), rtol=1e-6, atol=1e-12)


def test_a_folder_without_a_processor_takes_the_authors_or_the_companion(
    clip_folder: Path, tmp_path: Path, settings: ScorerSettings, empty_hub_cache: Path
) -> None:
    for name in ("config.json", "model.safetensors"):
        shutil.copy(clip_folder / name, tmp_path / name)

    with pytest.raises(MissingWeightsError, match="laion/CLIP-ViT-H-14-laion2B-s32B-b79K"):
        open_scorer(str(tmp_path), None, settings)
    scorer = open_scorer(str(tmp_path), None, replace(settings, companion=str(clip_folder)))

    assert scorer.details["processor"]["model"] == str(clip_folder)


def test_a_model_of_another_kind_is_refused(vqa_folder: Path, settings: ScorerSettings) -> None:
    with pytest.raises(NotWeightsError, match="model_type 'blip' and not 'clip'"):
        open_scorer(str(vqa_folder), None, settings)


def test_weights_that_are_missing_are_not_made_up(clip_folder: Path, tmp_path: Path, settings: ScorerSettings) -> None:
    from safetensors.torch import load_file, save_file

    folder = tmp_path / "partial"
    shutil.copytree(clip_folder, folder)
    state = load_file(folder / "model.safetensors")
    del state["visual_projection.weight"]
    save_file(state, folder / "model.safetensors", metadata={"format": "pt"})

    with pytest.raises(NotWeightsError, match=r"lacks 1 of its weights, the first is visual_projection\.weight"):
        open_scorer(str(folder), None, settings)
