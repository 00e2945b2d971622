"""What every extractor holds to, whichever line of the table it is."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from evaluation.features import FEATURES
from evaluation.features.base import Extractor, ExtractorSettings, NoTextsError, PixelsError, eight_bit
from evaluation.features.linter import check_antialiased
from evaluation.weights import MissingWeightsError
from prompts.plugins import load_plugin

SOURCES = {
    "clip": "clip_folder",
    "open_clip": "open_clip_folder",
    "inception": "inception_file",
    "dinov2": "dinov2_folder",
    "sscd": "sscd_file",
}
LINES = sorted(FEATURES)


def opened(line: str, request: pytest.FixtureRequest, **settings: Any) -> Extractor:
    source: Path = request.getfixturevalue(SOURCES[line])
    extractor = load_plugin(FEATURES, line, "extractor")(str(source), None, ExtractorSettings(**settings))
    assert isinstance(extractor, Extractor)
    return extractor


@pytest.mark.parametrize("line", LINES)
def test_features_do_not_depend_on_the_batch(
    line: str, request: pytest.FixtureRequest, pictures: list[Image.Image]
) -> None:
    extractor, heard = opened(line, request, batch_size=2), list[int]()
    together = opened(line, request, batch_size=5).images(pictures)

    found = extractor.images(pictures, heard.append)
    again = extractor.images(pictures[::-1])[::-1]

    assert found.dtype == np.float32
    assert found == pytest.approx(together, rel=1e-4, abs=1e-5)
    assert found == pytest.approx(again, rel=1e-4, abs=1e-5)
    assert heard == [2, 2, 1]
    assert np.ptp(found, axis=0).max() > 1e-3


@pytest.mark.parametrize("line", LINES)
def test_details_name_weights_preprocessing_and_versions(line: str, request: pytest.FixtureRequest) -> None:
    details = opened(line, request).details

    check_antialiased(details["preprocessing"])
    assert json.loads(json.dumps(details)) == details
    assert details["extractor"] == line
    assert (details["precision"], details["revision"]) == ("float32", None)
    assert len(details["weights_sha256"]) == len(details["extractor_hash"]) == 64
    assert {"numpy", "pillow", "torch"} <= set(details["versions"])


@pytest.mark.parametrize("line", LINES)
def test_the_hash_stands_for_what_decides_and_not_for_where_it_lies(
    line: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    source: Path = request.getfixturevalue(SOURCES[line])
    moved = tmp_path / "elsewhere"
    moved.symlink_to(source)
    open_extractor = load_plugin(FEATURES, line, "extractor")

    there = open_extractor(str(moved), None, ExtractorSettings(batch_size=1)).details
    half = open_extractor(str(source), None, ExtractorSettings(dtype="bfloat16")).details

    assert there["extractor_hash"] == opened(line, request).details["extractor_hash"]
    assert half["extractor_hash"] != there["extractor_hash"]


@pytest.mark.parametrize("line", LINES)
def test_half_precision_is_asked_for_and_stays_near(
    line: str, request: pytest.FixtureRequest, pictures: list[Image.Image]
) -> None:
    whole = opened(line, request).images(pictures)

    half = opened(line, request, dtype="bfloat16").images(pictures)

    cosines = (whole * half).sum(axis=1) / np.linalg.norm(whole, axis=1) / np.linalg.norm(half, axis=1)
    assert half.dtype == np.float32
    assert not np.array_equal(half, whole)
    assert cosines.min() > 0.999


def test_arrays_are_no_pictures() -> None:
    with pytest.raises(PixelsError, match="decoded PIL images and one was a ndarray: convert to 8-bit RGB first"):
        eight_bit(np.zeros((8, 8, 3), np.float32))


@pytest.mark.parametrize("line", LINES)
def test_pictures_that_would_be_misread_are_refused_before_any_work(line: str, request: pytest.FixtureRequest) -> None:
    extractor, heard = opened(line, request, batch_size=1), list[int]()

    with pytest.raises(PixelsError, match="of mode F: lay transparency on white"):
        extractor.images([Image.new("RGB", (8, 8)), Image.new("F", (8, 8))], heard.append)

    assert heard == []


@pytest.mark.parametrize("line", LINES)
def test_no_pictures_have_no_rows(line: str, request: pytest.FixtureRequest, pictures: list[Image.Image]) -> None:
    extractor = opened(line, request)

    assert extractor.images([]).shape == (0, extractor.images(pictures[:1]).shape[1])


@pytest.mark.parametrize("line", ["inception", "dinov2", "sscd"])
def test_extractors_of_pictures_say_so_to_texts(line: str, request: pytest.FixtureRequest) -> None:
    with pytest.raises(NoTextsError, match=r"features of images only: texts need CLIP"):
        opened(line, request).texts(["a cat"])


@pytest.mark.parametrize("line", LINES)
@pytest.mark.usefixtures("empty_hub_cache")
def test_weights_that_are_nowhere_are_one_sentence(line: str) -> None:
    with pytest.raises(MissingWeightsError, match="the hub cannot be reached: download it where there is a network"):
        load_plugin(FEATURES, line, "extractor")("someone/network", None, ExtractorSettings())
