"""SSCD's descriptors from a small TorchScript module that takes and gives what the published one does."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from evaluation.features.base import ExtractorSettings
from evaluation.features.sscd import network_input, open_extractor
from evaluation.weights import DamagedWeightsError, MissingWeightsError, NotWeightsError


class FlatRows(nn.Module):
    def forward(self, pixels: Tensor) -> Tensor:
        return pixels.mean(dim=[1, 2, 3])


class ForTexts(nn.Module):
    def forward(self, tokens: Tensor) -> Tensor:
        return tokens.reshape(1, 7)


def saved(network: nn.Module, folder: Path) -> str:
    torch.jit.script(network).save(folder / "network.pt")  # type: ignore[no-untyped-call]
    return str(folder / "network.pt")


def test_descriptors_are_the_networks_rows_at_length_1(sscd_file: Path, pictures: list[Image.Image]) -> None:
    network: Any = torch.jit.load(sscd_file)  # type: ignore[no-untyped-call]
    with torch.inference_mode():
        rows = network(torch.from_numpy(np.stack([network_input(picture) for picture in pictures]))).numpy()

    found = open_extractor(str(sscd_file), None, ExtractorSettings()).images(pictures)

    assert found == pytest.approx(rows / np.linalg.norm(rows, axis=1, keepdims=True), abs=1e-6)
    assert np.linalg.norm(found, axis=1) == pytest.approx(np.ones(5), abs=1e-6)


def test_a_program_that_does_not_describe_pictures_is_refused(tmp_path: Path) -> None:
    with pytest.raises(NotWeightsError, match="one picture does not become one row; give sscd_disc_mixup"):
        open_extractor(saved(FlatRows(), tmp_path), None, ExtractorSettings())
    with pytest.raises(NotWeightsError, match="it takes no pictures"):
        open_extractor(saved(ForTexts(), tmp_path), None, ExtractorSettings())


def test_a_file_that_is_no_program_is_refused(tmp_path: Path) -> None:
    torch.save({"backbone": torch.zeros(3)}, tmp_path / "weights.pt")

    with pytest.raises(DamagedWeightsError, match="cannot be loaded as TorchScript"):
        open_extractor(str(tmp_path / "weights.pt"), None, ExtractorSettings())


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(MissingWeightsError, match=r"There is no folder .*nowhere\.pt, and it is no id on the"):
        open_extractor(str(tmp_path / "nowhere.pt"), None, ExtractorSettings())
