"""FID's Inception network, against torchvision's blocks with the two kinds of pooling that differ."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional

from evaluation.features.base import ExtractorSettings
from evaluation.features.inception import FidInception, network_input, open_extractor
from evaluation.weights import DamagedWeightsError, NotWeightsError


def test_features_are_those_of_torchvisions_blocks_with_fids_pooling(
    inception_file: Path, pictures: list[Image.Image], monkeypatch: pytest.MonkeyPatch
) -> None:
    """pytorch-fid's own class gave the same numbers, bit for bit, at all four depths when this was written."""
    blocks = pytest.importorskip("torchvision.models.inception", reason="torchvision, a peer, is not installed")

    def pooled(grid: Tensor, **shape: Any) -> Tensor:
        if grid.shape[1] == 2048:
            return functional.max_pool2d(grid, **shape)
        return functional.avg_pool2d(grid, **shape, count_include_pad=False)

    names = {name: getattr(functional, name) for name in ("relu", "max_pool2d", "adaptive_avg_pool2d")}
    monkeypatch.setattr(blocks, "F", SimpleNamespace(**names, avg_pool2d=pooled))
    peer = blocks.Inception3(num_classes=1008, aux_logits=False, init_weights=False).eval()
    peer.load_state_dict(torch.load(inception_file))
    peer.fc = torch.nn.Identity()
    with torch.inference_mode():
        expected = peer(torch.from_numpy(np.stack([network_input(picture) for picture in pictures]))).numpy()

    found = open_extractor(str(inception_file), None, ExtractorSettings()).images(pictures)

    assert found.shape == (5, 2048)
    assert found == pytest.approx(expected, abs=1e-5)


def test_the_network_has_the_published_number_of_weights() -> None:
    """torchvision's Inception v3 has 27,161,264 parameters with 1,000 classes and its auxiliary head; FID's 1,008
    classes less that head and its classifier leave 21,785,568."""
    assert sum(values.numel() for values in FidInception().parameters()) == 21_785_568


def test_pixels_become_what_the_first_fid_code_fed() -> None:
    """(pixel - 128) / 128: 0 is -1 and 255 is just below 1, which pixel / 127.5 - 1 would not be."""
    black, white = network_input(Image.new("RGB", (20, 30))), network_input(Image.new("RGB", (400, 300), "white"))

    assert black.shape == (3, 299, 299)
    assert np.unique(black).tolist() == [-1.0]
    assert np.unique(white) == pytest.approx([127 / 128], abs=1e-6)


def test_the_folder_that_holds_the_file_will_do(inception_file: Path, pictures: list[Image.Image]) -> None:
    found = open_extractor(str(inception_file.parent), None, ExtractorSettings())

    expected = open_extractor(str(inception_file), None, ExtractorSettings()).images(pictures[:1])
    assert np.array_equal(found.images(pictures[:1]), expected)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"fc.bias": torch.zeros(1000)}, "of 1000 classes, as torchvision's is, and not the Inception network of FID"),
        ({"Mixed_5b.branch1x1.conv.weight": torch.zeros(64, 8, 1, 1)}, "Mixed_5b.branch1x1.conv.weight among them"),
        ({"AuxLogits.fc.bias": torch.zeros(3)}, "AuxLogits.fc.bias among them"),
        ({"epoch": 3}, "it holds no state dict"),
    ],
)
def test_another_network_is_refused_by_what_differs(
    inception_file: Path, tmp_path: Path, change: dict[str, Any], message: str
) -> None:
    torch.save(torch.load(inception_file, mmap=True) | change, tmp_path / "other.pth")

    with pytest.raises(NotWeightsError, match=message):
        open_extractor(str(tmp_path / "other.pth"), None, ExtractorSettings())


def test_a_damaged_file_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "torn.pth").write_bytes(b"PK\x03\x04 torn")

    with pytest.raises(DamagedWeightsError, match=r"torn\.pth cannot be loaded .*: download it again") as caught:
        open_extractor(str(tmp_path / "torn.pth"), None, ExtractorSettings())

    assert "\n" not in str(caught.value)
