"""The classic mistakes are refused by name, and what is right passes."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from PIL import Image

from evaluation.features import linter
from evaluation.pictures import PictureError, picture_kind

UNIT = arrays.arrays(
    st.sampled_from([np.float32, np.float64]),
    arrays.array_shapes(max_dims=3, max_side=6),
    elements=st.floats(0, 1, width=32),
)


@given(pixels=UNIT)
def test_to_uint8_takes_the_nearest_and_the_check_agrees(pixels: np.ndarray) -> None:
    found = linter.to_uint8(pixels)

    assert np.abs(found - pixels.astype(np.float64) * 255).max() <= 0.5
    linter.check_rounded(pixels, found)


@given(whole=arrays.arrays(np.uint8, 40))
def test_pixels_that_were_divided_by_255_come_back(whole: np.ndarray) -> None:
    assert np.array_equal(linter.to_uint8((whole / 255).astype(np.float32)), whole)


def test_truncated_pixels_are_told_from_other_changes() -> None:
    floats = np.random.default_rng(0).random((16, 16, 3), dtype=np.float32)

    with pytest.raises(linter.TruncatedPixelsError, match=r"[45]\d% of the values are a step too low.*with to_uint8"):
        linter.check_rounded(floats, (floats * 255).astype(np.uint8))
    with pytest.raises(linter.FloatPixelsError, match=r"are not those of the floats: .* steps off"):
        linter.check_rounded(floats, 255 - linter.to_uint8(floats))


@pytest.mark.parametrize("value", [-0.1, 1.01, 255.0, np.nan, np.inf])
def test_floats_out_of_range_are_refused_rather_than_wrapped(value: float) -> None:
    pixels = np.full((2, 2), 0.5, np.float32)
    pixels[0, 0] = value

    with pytest.raises(linter.FloatPixelsError, match=r"1 of 4 values are not in \[0, 1\].* by x / 2 \+ 0\.5"):
        linter.to_uint8(pixels)


def test_a_processor_that_rescales_takes_8_bit_pixels_only() -> None:
    floats = np.linspace(0, 1, 12, dtype=np.float32).reshape(2, 2, 3)
    whole = linter.to_uint8(floats)

    linter.check_processor_input(whole, rescales=True)
    linter.check_processor_input(floats, rescales=False)
    with pytest.raises(linter.FloatPixelsError, match=r"takes 8-bit pixels and was given float32 between 0 and 1"):
        linter.check_processor_input(floats, rescales=True)
    with pytest.raises(
        linter.FloatPixelsError, match=r"takes floats in \[0, 1\] and was given uint8 between 0 and 255"
    ):
        linter.check_processor_input(whole, rescales=False)
    with pytest.raises(linter.FloatPixelsError, match="hold NaN or infinity"):
        linter.check_processor_input(floats * np.float32(np.nan), rescales=False)


@pytest.mark.parametrize(
    "declared",
    [
        {"resize": 224, "filter": "bicubic", "antialias": False},
        {"resize": 224, "filter": "nearest", "antialias": True},
        {"resize": 224, "filter": "bicubic"},
        {},
    ],
)
def test_a_resize_that_does_not_antialias_or_does_not_say_is_refused(declared: dict[str, Any]) -> None:
    with pytest.raises(linter.AliasedResizeError, match="resize with PIL"):
        linter.check_antialiased(declared)


def test_no_resize_and_a_smooth_one_pass() -> None:
    linter.check_antialiased({"resize": None})
    linter.check_antialiased({"resize": {"height": 224}, "filter": "BILINEAR", "antialias": True})


def test_texts_with_more_tokens_than_are_read_are_counted() -> None:
    linter.check_tokens([3, 77])

    with pytest.raises(linter.TooManyTokensError, match="2 of 3 texts have more than 77 tokens, the first is text 1"):
        linter.check_tokens([77, 78, 300])


def test_galleries_of_different_size_do_not_compare() -> None:
    linter.check_same_count({"a": 5, "b": 5})

    with pytest.raises(linter.UnequalCountsError, match=r"\(a 30000, b 10000\).*take the first 10000 of each"):
        linter.check_same_count({"b": 10_000, "a": 30_000})


def test_resolutions_do_not_mix_inside_a_gallery() -> None:
    linter.check_same_size({"a": (512, 512), "b": (512, 512)})

    with pytest.raises(linter.UnequalSizesError, match=r"1 of 3 pictures are not 512 x 512 .* b is 512 x 768 px"):
        linter.check_same_size({"a": (512, 512), "b": (512, 768), "c": (512, 512)})


def test_a_jpeg_is_known_by_its_bytes_whatever_its_name(tmp_path: Path) -> None:
    Image.new("RGB", (8, 8), "red").save(tmp_path / "painted.png", format="JPEG")
    Image.new("RGB", (8, 8), "red").save(tmp_path / "whole.png")
    kinds = {path.name: picture_kind(path) for path in tmp_path.iterdir()}

    with pytest.raises(
        linter.LossyPicturesError, match=r"1 of 2 generated pictures are JPEG files, painted\.png among"
    ):
        linter.check_lossless(kinds)


def test_a_clean_gallery_has_no_findings(tmp_path: Path) -> None:
    for name in "abc":
        Image.new("RGB", (8, 8), "red").save(tmp_path / f"{name}.png")

    assert linter.lint_pictures([tmp_path, tmp_path / "a.png"]) == []


def test_every_finding_counts_its_files_and_names_the_first(tmp_path: Path) -> None:
    for name in "abcd":
        Image.new("RGB", (8, 8), "red").save(tmp_path / f"{name}.png")
    Image.new("RGB", (8, 8), "red").save(tmp_path / "e.jpg")
    Image.new("RGB", (8, 8), "red").save(tmp_path / "f.png", format="JPEG")
    Image.new("RGB", (9, 8), "red").save(tmp_path / "g.png")
    Image.new("RGBA", (8, 8), "red").save(tmp_path / "h.png")
    Image.fromarray(np.zeros((8, 8), np.uint16)).save(tmp_path / "i.png")
    (tmp_path / "j.png").write_bytes(b"no picture")

    findings = {finding.rule: finding for finding in linter.lint_pictures([tmp_path])}

    assert {rule: (found.files, Path(found.first).name) for rule, found in findings.items()} == {
        "unreadable": (1, "j.png"),
        "jpeg": (2, "e.jpg"),
        "sizes": (1, "g.png"),
        "depth": (1, "i.png"),
        "transparency": (1, "h.png"),
    }
    assert "g.png is PNG, 9 x 8 px, RGB" in findings["sizes"].message


def test_a_path_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(PictureError, match=r"no file or folder .*gone: name pictures"):
        linter.lint_pictures([tmp_path / "gone"])
