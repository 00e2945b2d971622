"""Where and how models compute."""

import numpy as np
import pytest
import torch
from PIL import Image

from evaluation.devices import DeviceError
from evaluation.features.base import ExtractorSettings
from evaluation.features.batches import bench


def test_float32_is_whole_whatever_was_set_before_and_that_comes_back() -> None:
    before = torch.backends.cudnn.allow_tf32, torch.get_float32_matmul_precision()
    torch.backends.cudnn.allow_tf32 = True
    torch.set_float32_matmul_precision("medium")
    try:
        with bench(ExtractorSettings(device="cpu")).computing():
            inside = torch.backends.cudnn.allow_tf32, torch.get_float32_matmul_precision()
        after = torch.backends.cudnn.allow_tf32, torch.get_float32_matmul_precision()
    finally:
        torch.backends.cudnn.allow_tf32 = before[0]
        torch.set_float32_matmul_precision(before[1])

    assert inside == (False, "highest")
    assert after == (True, "medium")


def test_rows_keep_the_order_of_the_pictures() -> None:
    shades = list(range(0, 200, 7))
    pictures = [Image.new("L", (2, 2), shade) for shade in shades]

    found = bench(ExtractorSettings(device="cpu", batch_size=4)).embed(
        pictures,
        prepare=lambda image: np.asarray(image, np.float32).transpose(2, 0, 1),
        embed=lambda pixels: pixels.mean(dim=(2, 3)),
        width=3,
        on_done=lambda done: None,
    )

    assert found[:, 1].tolist() == shades


def test_an_unknown_precision_or_device_is_named() -> None:
    with pytest.raises(DeviceError, match=r"no precision 'int3'. Known: auto, float32, float16, bfloat16"):
        bench(ExtractorSettings(device="cpu", dtype="int3"))
    with pytest.raises(DeviceError, match="no device 'abacus' here"):
        bench(ExtractorSettings(device="abacus"))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an accelerator")
def test_convolutions_of_a_gpu_and_a_cpu_agree_to_float32() -> None:
    """The GPU's default, TF32, keeps 10 bits of each factor and would miss this by far."""
    torch.manual_seed(0)
    convolution = torch.nn.Conv2d(3, 256, 3)
    pictures = [Image.effect_noise((64, 64), 80) for _ in range(4)]

    def features(device: str) -> np.ndarray:
        at = bench(ExtractorSettings(device=device))
        return at.embed(
            pictures,
            prepare=lambda image: np.asarray(image, np.float32).transpose(2, 0, 1) / 255,
            embed=lambda pixels: convolution.to(at.device)(pixels)[:, :, 7, 7],
            width=256,
            on_done=lambda done: None,
        )

    assert features("cuda") == pytest.approx(features("cpu"), abs=1e-5)
