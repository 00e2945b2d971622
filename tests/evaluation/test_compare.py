"""Two galleries compared image by image, in Python and on the command line."""

import json
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from arena.images import ImageStore
from arena.ledger.ledger import Ledger
from arena.statistics.multiplicity import holm
from evaluation.cli import app
from evaluation.cli_options import ListError
from evaluation.compare import Comparison, compare
from evaluation.features.base import ExtractorSettings
from evaluation.features.clip import open_extractor
from evaluation.galleries import whole_gallery
from evaluation.generate import find_entrant, generate
from evaluation.metrics.base import Weights
from evaluation.metrics.clip_score import cosines
from evaluation.reference import ReferenceImages
from evaluation.score import ScoreSettings
from prompts.prompt import PromptSet


@pytest.fixture
def painted(ledger: Ledger, images: ImageStore, asked: PromptSet) -> None:
    """Two entrants with two seeds each."""
    for source in ("swatch:teal", "swatch:rose"):
        generate(
            ledger,
            images,
            entrant=find_entrant(ledger, source, name=None),
            prompts=asked,
            seeds=[0, 1],
            clock=lambda: datetime(2025, 3, 1, tzinfo=UTC),
        )


@pytest.fixture
def real(tmp_path: Path) -> Path:
    """Ten pictures of noise."""
    folder = tmp_path / "real"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for number in range(10):
        Image.fromarray(rng.integers(0, 256, (32, 32, 3), dtype=np.uint8)).save(folder / f"{number}.png")
    return folder


def _compared(
    ledger: Ledger, images: ImageStore, asked: PromptSet, clip: Path, real: Path, names: tuple[str, str]
) -> list[Comparison]:
    first, second = (whole_gallery(ledger, name, asked, [0, 1]) for name in names)
    return compare(
        images,
        first,
        second,
        prompts=asked,
        seeds=[0, 1],
        metrics=["clip_fid", "clip_score"],
        reference=ReferenceImages(real),
        settings=ScoreSettings(weights={"clip": Weights(source=str(clip), revision=None)}, resamples=200),
    )


@pytest.mark.usefixtures("painted")
def test_a_difference_is_that_of_the_two_values_and_turns_its_sign_with_their_order(
    ledger: Ledger, images: ImageStore, asked: PromptSet, clip_folder: Path, real: Path
) -> None:
    one = _compared(ledger, images, asked, clip_folder, real, ("teal", "rose"))
    other = _compared(ledger, images, asked, clip_folder, real, ("rose", "teal"))

    assert [row.metric for row in one] == ["clip_fid", "clip_score"]
    for here, there in zip(one, other, strict=True):
        assert here.difference.value == pytest.approx(here.values[0] - here.values[1], abs=1e-9)
        assert here.values == there.values[::-1]
        assert here.difference.value == pytest.approx(-there.difference.value, abs=1e-9)
        assert here.difference.low < here.difference.value < here.difference.high


@pytest.mark.usefixtures("painted")
def test_the_pairing_is_by_prompt_and_seed(
    ledger: Ledger, images: ImageStore, asked: PromptSet, clip_folder: Path, real: Path
) -> None:
    clip = open_extractor(str(clip_folder), None, ExtractorSettings())
    text_of = {prompt.id: prompt.text for prompt in asked}
    values = []
    for name in ("teal", "rose"):
        gallery = whole_gallery(ledger, name, asked, [0, 1])
        features = clip.images([images.open(image.image_hash) for image in gallery.images])
        texts = clip.texts([text_of[image.prompt_id] for image in gallery.images]).features
        values.append(100 * cosines(features, texts))

    row = _compared(ledger, images, asked, clip_folder, real, ("teal", "rose"))[1]

    assert row.difference.value == pytest.approx((values[0] - values[1]).mean(), abs=1e-4)
    assert row.difference.test == "sign-flip"


@pytest.mark.usefixtures("painted")
def test_p_values_are_corrected_over_the_metrics_and_decide_the_verdict(
    ledger: Ledger, images: ImageStore, asked: PromptSet, clip_folder: Path, real: Path
) -> None:
    rows = _compared(ledger, images, asked, clip_folder, real, ("teal", "rose"))

    assert [row.p_holm for row in rows] == holm([row.difference.p_value for row in rows])
    for row in rows:
        better = (row.difference.value > 0) == (row.better == "higher")
        expected = "undecided" if row.p_holm >= 0.05 else "better" if better else "worse"
        assert row.verdict == expected


@pytest.mark.usefixtures("painted")
def test_the_command_prints_the_comparison_as_json(tmp_path: Path, clip_folder: Path, real: Path) -> None:
    words = ["compare", "teal", "rose", "--prompts", "demo", "--sample", "6", "--seeds", "0,1", "--json"]
    options = ["--clip", str(clip_folder), "--reference-images", str(real), "--metrics", "clip_fid,clip_score"]

    result = CliRunner().invoke(
        app,
        [*words, *options, "--resamples", "100", "--arena", str(tmp_path / "arena"), "--cache", str(tmp_path / "kept")],
        catch_exceptions=False,
    )

    found = json.loads(result.stdout)
    assert (found["first"], found["second"]) == ("teal", "rose")
    assert [row["metric"] for row in found["metrics"]] == ["clip_fid", "clip_score"]
    assert found["metrics"][0]["verdict"] in {"better", "worse", "undecided"}


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["teal", "teal"], "'teal' is compared with itself"),
        (["teal", "rose", "--weights", "clip"], "--weights takes NAME=WHERE"),
        (["teal", "rose", "--weights", "klip=x"], "names nothing known"),
        (["teal", "rose", "--interval", "guess"], "--interval is auto, linear or bootstrap, and not 'guess'"),
        (["teal", "rose", "--metrics", ","], "--metrics names nothing"),
    ],
)
@pytest.mark.usefixtures("painted")
def test_what_cannot_be_compared_is_refused_with_one_sentence(tmp_path: Path, words: list[str], sentence: str) -> None:
    with pytest.raises(ListError, match=sentence):
        CliRunner().invoke(
            app,
            ["compare", *words, "--prompts", "demo", "--sample", "6", "--arena", str(tmp_path / "arena")],
            catch_exceptions=False,
        )
