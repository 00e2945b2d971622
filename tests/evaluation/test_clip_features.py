"""CLIP's features from a real, tiny CLIPModel, against transformers and torchmetrics used directly."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from transformers import CLIPModel, CLIPProcessor

from evaluation.features.base import ExtractorSettings, PixelsError
from evaluation.features.clip import ClipFeatures, open_extractor
from evaluation.metrics.clip_score import clip_score
from evaluation.weights import DamagedWeightsError, MissingWeightsError, NotWeightsError

TEXTS = ["a red circle", "a blue square on a white background", "green"]


@pytest.fixture(scope="module")
def clip(clip_folder: Path) -> ClipFeatures:
    return open_extractor(str(clip_folder), None, ExtractorSettings(batch_size=2))


@pytest.fixture(scope="module")
def images() -> list[Image.Image]:
    rng = np.random.default_rng(0)
    sizes = [(40, 56), (32, 32), (90, 30)]
    return [Image.fromarray(rng.integers(0, 256, (height, width, 3), dtype=np.uint8)) for width, height in sizes]


def test_features_are_the_models_own_in_batches_of_any_size(
    clip: ClipFeatures, clip_folder: Path, images: list[Image.Image]
) -> None:
    model: Any = CLIPModel.from_pretrained(clip_folder)
    processor = CLIPProcessor.from_pretrained(clip_folder, use_fast=False)
    inputs = processor(text=TEXTS, images=images, return_tensors="pt", padding=True)
    with torch.no_grad():
        expected = (
            model.get_image_features(inputs["pixel_values"]),
            model.get_text_features(inputs["input_ids"], attention_mask=inputs["attention_mask"]),
        )
    heard: list[int] = []

    found = clip.images(images, heard.append), clip.texts(TEXTS)

    assert found[0] == pytest.approx(expected[0].numpy(), abs=1e-5)
    assert found[1].features == pytest.approx(expected[1].numpy(), abs=1e-5)
    assert found[1].truncated == 0
    assert heard == [2, 1]


def test_clip_score_is_that_of_torchmetrics(clip: ClipFeatures, clip_folder: Path, images: list[Image.Image]) -> None:
    peer = pytest.importorskip("torchmetrics.multimodal.clip_score", reason="torchmetrics, a peer, is not installed")
    model = CLIPModel.from_pretrained(clip_folder)
    processor = CLIPProcessor.from_pretrained(clip_folder, use_fast=False)
    metric = peer.CLIPScore(model_name_or_path=lambda: (model, processor))
    metric.update([torch.from_numpy(np.array(image)).permute(2, 0, 1) for image in images], TEXTS)

    score = clip_score(clip.images(images), clip.texts(TEXTS).features)

    assert score == pytest.approx(metric.compute().item(), abs=1e-3)


def test_a_text_that_is_too_long_keeps_its_end_and_is_counted(clip: ClipFeatures) -> None:
    """Only the words that fit are read: more of them change nothing, and the end token still stands for the whole."""
    long, longer = "red " * 76, "red " * 300
    just = "red " * 75

    found = clip.texts([just, long, longer])

    assert found.truncated == 2
    assert found.features[1] == pytest.approx(found.features[0], abs=1e-6)
    assert found.features[2] == pytest.approx(found.features[0], abs=1e-6)


def test_pictures_of_other_kinds_are_read_as_what_they_show(clip: ClipFeatures) -> None:
    grey = Image.new("L", (40, 40), 120)

    found = clip.images([grey, grey.convert("RGB"), grey.convert("P")])

    assert found[1] == pytest.approx(found[0], abs=1e-6)
    assert found[2] == pytest.approx(found[0], abs=1e-6)


@pytest.mark.parametrize("mode", ["F", "I;16", "RGBA"])
def test_pictures_that_would_be_misread_are_refused(clip: ClipFeatures, mode: str) -> None:
    with pytest.raises(PixelsError, match=f"of mode {mode}: lay transparency on white"):
        clip.images([Image.new(mode, (8, 8))])


def test_no_images_and_no_texts_have_no_rows(clip: ClipFeatures) -> None:
    assert clip.images([]).shape == (0, 16)
    assert clip.texts([]).features.shape == (0, 16)


def test_details_say_how_pixels_were_prepared(clip: ClipFeatures, clip_folder: Path) -> None:
    details = clip.details

    assert (details["model"], details["revision"], details["text_tokens"]) == (str(clip_folder), None, 77)
    assert details["preprocessing"]["filter"] == "bicubic"
    assert details["preprocessing"]["crop"] == {"height": 32, "width": 32}


def test_a_pipeline_is_no_clip_model(pipeline_folder: Path) -> None:
    with pytest.raises(NotWeightsError, match=r"is not a CLIP model: it holds no config\.json but"):
        open_extractor(str(pipeline_folder), None, ExtractorSettings())


def test_another_model_is_no_clip_model(pipeline_folder: Path) -> None:
    with pytest.raises(NotWeightsError, match="says model_type 'clip_text_model' and not 'clip'"):
        open_extractor(str(pipeline_folder / "text_encoder"), None, ExtractorSettings())


@pytest.mark.parametrize("file", ["config.json", "model.safetensors", "preprocessor_config.json"])
def test_a_damaged_file_is_one_sentence(clip_folder: Path, tmp_path: Path, file: str) -> None:
    copied = Path(shutil.copytree(clip_folder, tmp_path / "damaged"))
    whole = (copied / file).read_bytes()
    (copied / file).write_bytes(whole[: len(whole) // 2])

    with pytest.raises(DamagedWeightsError, match=r"damaged.*download or save it again") as caught:
        open_extractor(str(copied), None, ExtractorSettings())

    assert "\n" not in str(caught.value)


@pytest.mark.usefixtures("empty_hub_cache")
def test_published_weights_without_network_are_one_sentence() -> None:
    with pytest.raises(MissingWeightsError, match="the hub cannot be reached: download it where there is a network"):
        open_extractor("openai/clip-vit-base-patch32", "3d74acf9a28c", ExtractorSettings())
