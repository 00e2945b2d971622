"""Scores of whole galleries: the numbers, their intervals, and what they carry."""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from arena.images import ImageStore
from arena.ledger.ledger import Ledger
from arena.ledger.records import Score
from evaluation.bench import MissingReferenceError
from evaluation.feature_store import FeatureStore
from evaluation.features.base import ExtractorSettings
from evaluation.features.clip import open_extractor
from evaluation.galleries import IncompleteGalleryError, NoGalleryError, whole_galleries, whole_gallery
from evaluation.generate import find_entrant, generate
from evaluation.metrics import METRICS
from evaluation.metrics.base import Metric, Weights
from evaluation.metrics.clip_score import clip_score, clip_score_hessel
from evaluation.metrics.frechet import frechet_distance
from evaluation.pictures import PictureError
from evaluation.reference import ReferenceImages
from evaluation.score import ScoreSettings, TooLongPromptsError, score
from prompts.plugins import UnknownPluginError, load_plugin
from prompts.prompt import PromptSet

OF_CLIP = ["clip_score", "clip_score_hessel", "clip_fid"]


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
def reference(tmp_path: Path) -> ReferenceImages:
    """Ten pictures of noise."""
    folder = tmp_path / "real"
    (folder / "more").mkdir(parents=True)
    rng = np.random.default_rng(0)
    for number in range(10):
        picture = Image.fromarray(rng.integers(0, 256, (40, 48, 3), dtype=np.uint8))
        picture.save(folder / ("more" if number % 2 else "") / f"{number}.png")
    return ReferenceImages(folder)


@pytest.fixture
def scores(
    painted: None,
    ledger: Ledger,
    images: ImageStore,
    asked: PromptSet,
    clip_folder: Path,
    reference: ReferenceImages,
) -> list[Score]:
    """The metrics that CLIP makes the features of, for both entrants."""
    return measured(ledger, images, asked, clip_folder, OF_CLIP, reference)


def measured(
    ledger: Ledger,
    images: ImageStore,
    asked: PromptSet,
    clip_folder: Path,
    metrics: Sequence[str],
    reference: ReferenceImages | None = None,
    **settings: Any,
) -> list[Score]:
    return score(
        ledger,
        images,
        galleries=whole_galleries(ledger, asked, [0, 1]),
        prompts=asked,
        seeds=[0, 1],
        metrics=metrics,
        reference=reference,
        settings=ScoreSettings(
            **{"weights": {"clip": Weights(source=str(clip_folder), revision=None)}, "resamples": 100, **settings}
        ),
    )


def of(scores: list[Score], metric: str, entrant: str) -> Score:
    [found] = [one for one in scores if (one.metric, one.entrant) == (metric, entrant)]
    return found


@pytest.mark.parametrize("line", sorted(METRICS))
def test_every_line_of_the_table_is_a_metric(line: str) -> None:
    metric = load_plugin(METRICS, line, "metric")

    assert isinstance(metric, Metric)
    assert metric.name == line


def test_values_are_the_metrics_of_the_galleries_own_features(
    scores: list[Score],
    ledger: Ledger,
    images: ImageStore,
    asked: PromptSet,
    clip_folder: Path,
    reference: ReferenceImages,
) -> None:
    clip = open_extractor(str(clip_folder), None, ExtractorSettings())
    gallery = whole_gallery(ledger, "teal", asked, [0, 1])
    features = clip.images([images.open(image.image_hash) for image in gallery.images])
    text_of = {prompt.id: prompt.text for prompt in asked}
    texts = [text_of[image.prompt_id] for image in gallery.images]
    real = clip.images([reference.read(index) for index in range(10)])

    assert of(scores, "clip_score", "teal").value == pytest.approx(
        clip_score(features, clip.texts(texts).features), abs=1e-4
    )
    assert of(scores, "clip_score_hessel", "teal").value == pytest.approx(
        clip_score_hessel(features, clip.texts([f"A photo depicts {text}" for text in texts]).features), abs=1e-6
    )
    assert of(scores, "clip_fid", "teal").value == pytest.approx(frechet_distance(features, real), rel=1e-6)


def test_every_score_has_an_interval_and_its_number_of_images(scores: list[Score], asked: PromptSet) -> None:
    assert [one.metric for one in scores] == [metric for metric in OF_CLIP for _ in range(2)]
    for one in scores:
        assert one.low < one.value < one.high
        assert (one.n, one.prompt_set_id) == (12, asked.id)


def test_scores_are_kept_with_what_makes_them_comparable(
    scores: list[Score], ledger: Ledger, clip_folder: Path, reference: ReferenceImages
) -> None:
    kept = of(ledger.scores("teal"), "clip_fid", "teal")

    assert kept == of(scores, "clip_fid", "teal")
    assert kept.details["seeds"] == [0, 1]
    assert kept.details["extractor"]["model"] == str(clip_folder)
    assert kept.details["extractor"]["preprocessing"]["filter"] == "bicubic"
    assert kept.details["reference"] == {
        "folder": str(reference.folder),
        "images": 10,
        "sha256": reference.details["sha256"],
    }
    assert kept.details["interval"]["prompts"] == 6
    assert set(kept.details["versions"]) >= {"torch", "transformers"}


def test_metrics_of_means_keep_each_prompts_value_and_distances_keep_none(
    scores: list[Score], asked: PromptSet
) -> None:
    score_of = of(scores, "clip_score", "teal").details["per_prompt"]

    assert set(score_of) == {prompt.id for prompt in asked}
    assert np.mean(list(score_of.values())) == pytest.approx(of(scores, "clip_score", "teal").value, rel=1e-5)
    assert "per_prompt" not in of(scores, "clip_fid", "teal").details


def test_metrics_of_several_extractors_are_measured_together_each_with_its_own_weights(
    painted: None,
    ledger: Ledger,
    images: ImageStore,
    asked: PromptSet,
    clip_folder: Path,
    dinov2_folder: Path,
    sscd_file: Path,
    reference: ReferenceImages,
) -> None:
    metrics = ["dinov2_fd", "clip_score", "precision", "recall", "density", "coverage", "auth_pct", "copy_score"]

    found = score(
        ledger,
        images,
        galleries=whole_galleries(ledger, asked, [0, 1]),
        prompts=asked,
        seeds=[0, 1],
        metrics=metrics,
        reference=reference,
        training=reference,
        settings=ScoreSettings(
            weights={
                "clip": Weights(source=str(clip_folder), revision=None),
                "dinov2": Weights(source=str(dinov2_folder), revision=None),
                "copy_score": Weights(source=str(sscd_file), revision=None),
            },
            resamples=100,
        ),
    )

    assert [one.metric for one in found] == [metric for metric in metrics for _ in range(2)]
    assert of(found, "copy_score", "teal").details["extractor"]["extractor"] == "sscd"
    assert of(found, "auth_pct", "teal").details["reference"]["images"] == 10
    assert 0 <= of(found, "precision", "teal").value <= 1


def test_a_learned_judge_scores_each_image_beside_its_prompt(
    painted: None, ledger: Ledger, images: ImageStore, asked: PromptSet, clip_folder: Path
) -> None:
    found = measured(
        ledger,
        images,
        asked,
        clip_folder,
        ["pick_score"],
        weights={"pick_score": Weights(source=str(clip_folder), revision=None)},
        companions={"pick_score": str(clip_folder)},
    )

    teal = of(found, "pick_score", "teal")
    assert teal.low <= teal.value <= teal.high
    assert set(teal.details["per_prompt"]) == {prompt.id for prompt in asked}


def test_a_metric_about_copies_asks_for_the_training_images(
    ledger: Ledger, images: ImageStore, asked: PromptSet, clip_folder: Path, painted: None
) -> None:
    with pytest.raises(MissingReferenceError, match=r"copy_score compares .* training images: .*--training-images"):
        measured(ledger, images, asked, clip_folder, ["copy_score"])


def test_features_of_reference_images_are_made_once_and_kept(
    painted: None,
    ledger: Ledger,
    images: ImageStore,
    asked: PromptSet,
    clip_folder: Path,
    reference: ReferenceImages,
    tmp_path: Path,
) -> None:
    store = FeatureStore(tmp_path / "kept")
    first = measured(ledger, images, asked, clip_folder, ["clip_fid"], reference, store=store)
    [features] = (tmp_path / "kept").rglob("features.npy")
    made = features.stat().st_mtime_ns

    second = measured(ledger, images, asked, clip_folder, ["clip_fid"], reference, store=store)

    assert features.stat().st_mtime_ns == made
    assert [one.value for one in second] == [one.value for one in first]


def test_measuring_again_gives_the_same_numbers(
    scores: list[Score], ledger: Ledger, images: ImageStore, asked: PromptSet, clip_folder: Path
) -> None:
    again = measured(ledger, images, asked, clip_folder, ["clip_score"])

    assert again == [one for one in scores if one.metric == "clip_score"]


def test_prompts_that_were_cut_are_counted(
    ledger: Ledger, images: ImageStore, asked: PromptSet, clip_folder: Path, painted: None
) -> None:
    from prompts.prompt import Prompt

    long = PromptSet(
        name="long", prompts=(Prompt(text="red " * 100), *asked.prompts[:2]), licence="CC0", source="this test"
    )
    entrant = find_entrant(ledger, "teal", name=None)
    generate(
        ledger, images, entrant=entrant, prompts=long, seeds=[0, 1], clock=lambda: datetime(2025, 3, 1, tzinfo=UTC)
    )

    [found] = measured(ledger, images, long, clip_folder, ["clip_score"], cuts_long_prompts=True)

    assert found.details["texts_cut"] == 1
    with pytest.raises(TooLongPromptsError, match=r"1 prompts are longer than clip reads.*--cut-long-prompts"):
        measured(ledger, images, long, clip_folder, ["clip_score"])


def test_a_gallery_that_lacks_images_says_how_many_and_what_paints_them(
    ledger: Ledger, asked: PromptSet, painted: None
) -> None:
    sentence = (
        "The gallery of 'teal' lacks 6 of the 18 images for the prompt set 'demo-6-seed0' with seeds 0,1,2. "
        "Paint them with `canvas evaluate generate --entrant teal --prompts demo --sample 6 --seeds 0,1,2`."
    )

    with pytest.raises(IncompleteGalleryError) as caught:
        whole_gallery(ledger, "teal", asked, [0, 1, 2])

    assert str(caught.value) == sentence


def test_an_entrant_without_a_whole_gallery_is_not_among_the_whole_ones(
    ledger: Ledger, images: ImageStore, asked: PromptSet, painted: None
) -> None:
    generate(
        ledger,
        images,
        entrant=find_entrant(ledger, "swatch:sand", name=None),
        prompts=asked,
        seeds=[0],
        clock=lambda: datetime(2025, 3, 1, tzinfo=UTC),
    )

    assert [gallery.entrant for gallery in whole_galleries(ledger, asked, [0, 1])] == ["rose", "teal"]


def test_no_whole_gallery_at_all_is_an_error(ledger: Ledger, asked: PromptSet) -> None:
    with pytest.raises(NoGalleryError, match="No entrant has a whole gallery of the prompt set 'demo-6-seed0'"):
        whole_galleries(ledger, asked, [0])


def test_a_metric_against_real_images_asks_for_them(
    ledger: Ledger, images: ImageStore, asked: PromptSet, clip_folder: Path, painted: None
) -> None:
    with pytest.raises(MissingReferenceError, match=r"clip_fid compares .* real images: .*--reference-images"):
        measured(ledger, images, asked, clip_folder, ["clip_fid"])


def test_an_unknown_metric_is_named_with_the_known_ones(
    ledger: Ledger, images: ImageStore, asked: PromptSet, clip_folder: Path, painted: None
) -> None:
    with pytest.raises(UnknownPluginError, match=r"no metric named 'fdi'\. Known: aesthetic, auth_pct, clip_fid"):
        measured(ledger, images, asked, clip_folder, ["fdi"])


def test_a_reference_picture_that_cannot_be_read_is_named(
    ledger: Ledger,
    images: ImageStore,
    asked: PromptSet,
    clip_folder: Path,
    reference: ReferenceImages,
    painted: None,
) -> None:
    (reference.folder / "0.png").write_bytes(b"no picture")

    with pytest.raises(PictureError, match=r"0\.png cannot be read as a picture"):
        measured(ledger, images, asked, clip_folder, ["clip_fid"], reference)


def test_a_reference_folder_without_pictures_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PictureError, match="holds no pictures"):
        _ = ReferenceImages(tmp_path).files

    with pytest.raises(PictureError, match="There is no folder"):
        _ = ReferenceImages(tmp_path / "nowhere").files
