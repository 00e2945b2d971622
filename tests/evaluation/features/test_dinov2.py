"""DINOv2's features from a real, tiny Dinov2Model, against transformers used directly and a ramp worked out by hand."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from transformers import Dinov2Config, Dinov2Model

from evaluation.features.base import ExtractorSettings
from evaluation.features.dinov2 import network_input, open_extractor, stretched_places
from evaluation.weights import DamagedWeightsError, NotWeightsError


def test_features_are_the_class_token_of_the_model(tmp_path: Path, pictures: list[Image.Image]) -> None:
    """A model that was trained at 224 px needs no stretching, so transformers alone says what is right."""
    torch.manual_seed(0)
    config = Dinov2Config(hidden_size=32, num_hidden_layers=2, num_attention_heads=4, image_size=224, patch_size=14)
    model: Any = Dinov2Model(config).eval()
    model.save_pretrained(tmp_path / "at-224")
    with torch.inference_mode():
        pixels = torch.from_numpy(np.stack([network_input(picture) for picture in pictures]))
        expected = model(pixel_values=pixels).pooler_output.numpy()

    found = open_extractor(str(tmp_path / "at-224"), None, ExtractorSettings()).images(pictures)

    assert found == pytest.approx(expected, abs=1e-5)


def keys_matrix(places: np.ndarray, count: int) -> np.ndarray:
    """The weights of `count` values at `places` between them: Keys' cubic (a = -0.75), the border's values repeated."""
    matrix = np.zeros((len(places), count))
    for row, place in enumerate(places):
        for tap in range(int(np.floor(place)) - 1, int(np.floor(place)) + 3):
            away = abs(place - tap)
            near, far = 1.25 * away**3 - 2.25 * away**2 + 1, -0.75 * away**3 + 3.75 * away**2 - 6 * away + 3
            matrix[row, min(max(tap, 0), count - 1)] += near if away <= 1 else far
    return matrix


def test_positions_are_stretched_by_the_authors_offset() -> None:
    """Place i of 16 lies at (i + 0.5) * 37 / 16.1 - 0.5 of the 37; transformers would take 37 / 16."""
    grid = np.random.default_rng(0).normal(size=(37, 37))
    trained = torch.from_numpy(np.concatenate([[-7.0], grid.reshape(-1)]))[None, :, None]
    asked = keys_matrix((np.arange(16) + 0.5) * 37 / 16.1 - 0.5, 37)

    found = stretched_places(trained, 16)[0, :, 0].numpy()

    assert found[0] == -7.0
    assert found[1:].reshape(16, 16) == pytest.approx(asked @ grid @ asked.T, abs=1e-9)


def test_the_opened_model_uses_the_stretched_positions(dinov2_folder: Path, pictures: list[Image.Image]) -> None:
    model: Any = Dinov2Model.from_pretrained(dinov2_folder).eval()
    pixels = torch.from_numpy(network_input(pictures[0]))[None]
    with torch.inference_mode():
        unmoved = model(pixel_values=pixels).pooler_output.numpy()
        places = stretched_places(model.embeddings.position_embeddings, 16)
        model.embeddings.position_embeddings = torch.nn.Parameter(places)
        expected = model(pixel_values=pixels).pooler_output.numpy()

    found = open_extractor(str(dinov2_folder), None, ExtractorSettings()).images(pictures[:1])

    assert found == pytest.approx(expected, abs=1e-5)
    assert np.abs(found - unmoved).max() > 1e-3


def test_another_model_is_refused(clip_folder: Path) -> None:
    with pytest.raises(NotWeightsError, match="says model_type 'clip' and not 'dinov2'"):
        open_extractor(str(clip_folder), None, ExtractorSettings())


def test_patches_that_do_not_fill_the_picture_are_refused(tmp_path: Path) -> None:
    config = Dinov2Config(hidden_size=8, num_hidden_layers=1, num_attention_heads=2, image_size=45, patch_size=15)
    Dinov2Model(config).save_pretrained(tmp_path / "odd")

    with pytest.raises(NotWeightsError, match="patches of 15 px, which do not fill 224 px"):
        open_extractor(str(tmp_path / "odd"), None, ExtractorSettings())


def test_a_damaged_model_is_one_sentence(dinov2_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_bytes((dinov2_folder / "config.json").read_bytes())
    (tmp_path / "model.safetensors").write_bytes(b"torn")

    with pytest.raises(DamagedWeightsError, match=r"cannot be loaded .*: download or save it again"):
        open_extractor(str(tmp_path), None, ExtractorSettings())
