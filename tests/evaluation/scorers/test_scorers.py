"""What holds for every scorer: each line of SCORERS is opened with its tiny network and held against the protocol."""

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from evaluation.features.base import PixelsError
from evaluation.scorers import SCORERS
from evaluation.scorers.base import MismatchedTextsError, Scorer, ScorerSettings
from evaluation.weights import MissingWeightsError


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """What a line of SCORERS is opened with."""

    source: str
    settings: ScorerSettings

    def open(self, name: str, **changes: Any) -> Scorer:
        scorer: Scorer = opener(name)(self.source, None, replace(self.settings, **changes))
        return scorer


def opener(name: str) -> Callable[..., Any]:
    module, function = SCORERS[name].split(":")
    found: Callable[..., Any] = getattr(import_module(module), function)
    return found


@pytest.fixture
def given(
    settings: ScorerSettings,
    aesthetic_file: Path,
    clip_folder: Path,
    hps_folder: Path,
    reward_folder: Path,
    vqa_folder: Path,
    questions_file: Path,
    sentences_folder: Path,
) -> dict[str, Given]:
    return {
        "aesthetic": Given(source=str(aesthetic_file), settings=replace(settings, companion=str(clip_folder))),
        "hps_v2": Given(source=str(hps_folder), settings=settings),
        "hps_v2_1": Given(source=str(hps_folder / "HPS_v2.1_compressed.pt"), settings=settings),
        "image_reward": Given(source=str(reward_folder), settings=settings),
        "pick_score": Given(source=str(clip_folder), settings=settings),
        "tifa": Given(
            source=str(vqa_folder),
            settings=replace(settings, companion=str(sentences_folder), questions=str(questions_file)),
        ),
    }


@pytest.fixture(params=sorted(SCORERS))
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_every_line_opens_a_scorer_that_scores_each_image(
    name: str, given: dict[str, Given], pictures: list[Image.Image], texts: list[str]
) -> None:
    heard: list[int] = []
    scorer = given[name].open(name)

    scores = scorer.score(pictures, texts, heard.append)

    assert isinstance(scorer, Scorer)
    assert scores.values.shape == (5,)
    assert scores.values.dtype == np.float32
    assert np.isfinite(scores.values).all()
    assert scores.truncated == 0
    assert sum(heard) == 5


def test_values_do_not_depend_on_the_batch_size_or_the_order(
    name: str, given: dict[str, Given], pictures: list[Image.Image], texts: list[str]
) -> None:
    expected = given[name].open(name).score(pictures, texts).values

    together = given[name].open(name, batch_size=5).score(pictures, texts).values
    backwards = given[name].open(name, batch_size=3).score(pictures[::-1], texts[::-1]).values

    np.testing.assert_allclose(together, expected, atol=2e-5)
    np.testing.assert_allclose(backwards[::-1], expected, atol=2e-5)


def test_details_are_json_and_tell_the_weights_and_the_definition(name: str, given: dict[str, Given]) -> None:
    details = given[name].open(name).details

    assert json.loads(json.dumps(details)) == details
    assert {"scorer", "model", "revision", "weights_sha256", "value", "precision", "preprocessing"} <= details.keys()
    assert len(details["extractor_hash"]) == 64
    assert details["versions"]["torch"]


def test_images_and_texts_of_different_counts_are_refused(
    name: str, given: dict[str, Given], pictures: list[Image.Image], texts: list[str]
) -> None:
    scorer = given[name].open(name)

    with pytest.raises(MismatchedTextsError, match="5 images and 4 texts"):
        scorer.score(pictures, texts[:4])


def test_no_images_have_no_scores(name: str, given: dict[str, Given]) -> None:
    assert given[name].open(name).score([], []).values.shape == (0,)


@pytest.mark.parametrize("mode", ["RGBA", "F", "I;16"])
def test_pictures_that_are_not_opaque_8_bit_are_refused(
    name: str, mode: str, given: dict[str, Given], texts: list[str]
) -> None:
    scorer = given[name].open(name)

    with pytest.raises(PixelsError, match=mode):
        scorer.score([Image.new(mode, (32, 32))], texts[:1])


def test_grey_pictures_are_seen_as_rgb(name: str, given: dict[str, Given], pictures: list[Image.Image]) -> None:
    scorer = given[name].open(name)
    grey = pictures[0].convert("L")

    values = scorer.score([grey, grey.convert("RGB")], ["a red circle"] * 2).values

    assert values[0] == pytest.approx(values[1], abs=1e-6)


def test_weights_that_are_nowhere_are_named(
    name: str, given: dict[str, Given], empty_hub_cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CANVAS_CACHE", str(tmp_path))

    with pytest.raises(MissingWeightsError, match="someone/something"):
        opener(name)("someone/something", None, given[name].settings)
