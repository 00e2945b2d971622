"""Resizing, against the filter's own formula and torchvision, the peer that CLIP, DINOv2 and SSCD were used with."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from evaluation.features import dinov2, sscd
from evaluation.features.resizing import ResizingError, check_resizing, resize


def bicubic_matrix(count: int, wanted: int) -> np.ndarray:
    """The weights of `count` pixels in each of `wanted`: Keys' cubic (a = -0.5), as wide as the shrinking."""
    scale = count / wanted
    wide = max(scale, 1.0)
    away = np.abs(np.arange(count) + 0.5 - (np.arange(wanted)[:, None] + 0.5) * scale) / wide
    near, far = 1.5 * away**3 - 2.5 * away**2 + 1, -0.5 * away**3 + 2.5 * away**2 - 4 * away + 2
    weights = np.where(away < 1, near, np.where(away < 2, far, 0.0))
    weighed: np.ndarray = weights / weights.sum(axis=1, keepdims=True)
    return weighed


def noise(width: int, height: int, seed: int = 0) -> Image.Image:
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return Image.fromarray(pixels)


@pytest.mark.parametrize("size", [(512, 384), (299, 299), (60, 800), (7, 9)])
def test_clean_is_the_antialiased_cubic_of_each_colour_not_rounded(size: tuple[int, int]) -> None:
    """clean-fid 0.1.35 gave the same values, bit for bit, for 24 pictures when this was written."""
    picture = noise(*size)
    pixels = np.asarray(picture, np.float64)
    expected = np.einsum("hi,iwc->hwc", bicubic_matrix(size[1], 299), pixels)
    expected = np.einsum("wj,hjc->hwc", bicubic_matrix(size[0], 299), expected).clip(0, 255)

    found = resize(picture, width_px=299, height_px=299, way="clean")

    assert found.dtype == np.float32
    assert found == pytest.approx(expected, abs=2e-3)


@settings(deadline=None, max_examples=30)
@given(
    width=st.integers(1, 60),
    height=st.integers(1, 60),
    way=st.sampled_from(["clean", "bicubic", "bilinear"]),
    seed=st.integers(0, 9),
)
def test_every_way_stays_in_range_and_commutes_with_a_mirror(width: int, height: int, way: str, seed: int) -> None:
    picture = noise(width, height, seed)
    mirrored = picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT)

    found = resize(picture, width_px=21, height_px=17, way=way)

    assert found.shape == (17, 21, 3)
    assert found.min() >= 0
    assert found.max() <= 255
    assert found[:, ::-1] == pytest.approx(resize(mirrored, width_px=21, height_px=17, way=way), abs=1.01)


def test_fine_stripes_become_grey_and_no_stripes() -> None:
    """What happens without antialiasing: every other pixel is picked, and the stripes turn all black or all white."""
    stripes = np.zeros((598, 598, 3), np.uint8)
    stripes[:, ::2] = 255

    found = resize(Image.fromarray(stripes), width_px=299, height_px=299, way="clean")

    assert found[:, 5:-5] == pytest.approx(127.5, abs=0.01)


@pytest.mark.parametrize(("extractor", "filter_name"), [(dinov2, "BICUBIC"), (sscd, "BILINEAR")])
@pytest.mark.parametrize("size", [(640, 480), (100, 37)])
def test_networks_read_what_torchvision_gives_them(extractor: Any, filter_name: str, size: tuple[int, int]) -> None:
    transforms = pytest.importorskip("torchvision.transforms", reason="torchvision, a peer, is not installed")
    side = extractor.SIDE_PX
    peer = transforms.Compose(
        [
            transforms.Resize([side, side], interpolation=transforms.InterpolationMode[filter_name]),
            transforms.ToTensor(),
            transforms.Normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]),
        ]
    )

    found = extractor.network_input(noise(*size))

    assert found == pytest.approx(peer(noise(*size)).numpy(), abs=1e-6)


@pytest.mark.parametrize("way", ["legacy_pytorch", "legacy_tensorflow", "nearest"])
def test_ways_that_drop_pixels_are_refused(way: str) -> None:
    with pytest.raises(ResizingError, match=rf"'{way}' .* drops pixels when it shrinks.* resize with 'clean'"):
        resize(noise(8, 8), width_px=4, height_px=4, way=way)


def test_an_unknown_way_names_the_known() -> None:
    with pytest.raises(ResizingError, match=r"no way of resizing 'fancy'. Known: clean, bicubic, bilinear"):
        check_resizing("fancy")
