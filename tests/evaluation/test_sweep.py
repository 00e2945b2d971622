"""Sweeps over guidance scales: scales as they are written, variants as entrants, best scales and the frontier."""

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from arena.images import ImageStore
from arena.ledger.ledger import Ledger
from arena.ledger.records import Score
from evaluation.galleries import whole_galleries
from evaluation.generate import find_entrant
from evaluation.guidance import PAPER, VARIANT_OF, GuidanceError, read_scales, variant
from evaluation.metrics.base import Weights
from evaluation.reference import ReferenceImages
from evaluation.score import ScoreSettings
from evaluation.sweep import Point, Sweep, sweep
from prompts.prompt import PromptSet


@pytest.mark.parametrize(
    ("words", "scales"),
    [
        ("7.5", (7.5,)),
        ("1..8", (1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0)),
        ("1,1.5,2..8", PAPER),
        ("paper", PAPER),
        ("2, 1,2", (1.0, 2.0)),
        ("1..2:0.25", (1.0, 1.25, 1.5, 1.75, 2.0)),
        ("1..1.3:0.1", (1.0, 1.1, 1.2, 1.3)),
    ],
)
def test_scales_are_numbers_and_ranges(words: str, scales: tuple[float, ...]) -> None:
    assert read_scales(words) == scales


@pytest.mark.parametrize("words", ["", "a", "8..1", "1..2:0", "-1", "nan", "1,,2", "1..", "inf"])
def test_what_is_no_scale_is_refused_with_the_way_to_write_it(words: str) -> None:
    with pytest.raises(GuidanceError, match=r"write numbers from 0 and ranges with commas"):
        read_scales(words)


def test_an_entrant_that_no_scale_steers_is_refused(ledger: Ledger) -> None:
    with pytest.raises(GuidanceError, match="'teal' is painted by swatch, which no guidance scale steers"):
        variant(find_entrant(ledger, "swatch:teal", name=None), 3.0)


def _score(metric: str, value: float, better: str) -> Score:
    return Score(
        entrant="e",
        prompt_set_id="p",
        metric=metric,
        value=value,
        low=value,
        high=value,
        n=4,
        details={"better": better},
    )


def _sweep(values: dict[tuple[str, float], tuple[float, float]]) -> Sweep:
    """By entrant and scale: a distance, and a text score."""
    return Sweep(
        metrics=("fid", "clip_score"),
        points=tuple(
            Point(
                entrant=entrant,
                guidance=scale,
                scores={"fid": _score("fid", distance, "lower"), "clip_score": _score("clip_score", text, "higher")},
            )
            for (entrant, scale), (distance, text) in values.items()
        ),
    )


def test_the_best_scale_is_the_lowest_distance_or_the_highest_score_and_of_equal_ones_the_lower_scale() -> None:
    found = _sweep({("a", 1.0): (30.0, 20.0), ("a", 2.0): (10.0, 25.0), ("a", 3.0): (10.0, 26.0)})

    assert found.best("a", "fid").guidance == 2.0
    assert found.best("a", "clip_score").guidance == 3.0


def test_the_frontier_holds_what_no_other_point_betters_in_both() -> None:
    found = _sweep(
        {
            ("a", 1.0): (10.0, 20.0),
            ("a", 2.0): (12.0, 25.0),
            ("a", 3.0): (20.0, 24.0),  # worse than a at 2 in both
            ("b", 1.0): (9.0, 19.0),
            ("b", 2.0): (11.0, 20.0),  # worse than a at 1 in one, equal in the other
        }
    )

    assert [(point.entrant, point.guidance) for point in found.frontier("fid")] == [("b", 1.0), ("a", 1.0), ("a", 2.0)]


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=1, max_size=12))
def test_every_point_off_the_frontier_is_bettered_by_one_on_it(values: list[tuple[int, int]]) -> None:
    found = _sweep({("a", float(number)): (float(one), float(two)) for number, (one, two) in enumerate(values)})

    kept = found.frontier("fid")

    for point in found.points:
        mine = point.scores["fid"].value, -point.scores["clip_score"].value
        others = [(one.scores["fid"].value, -one.scores["clip_score"].value) for one in kept]
        assert point in kept or any(other != mine and other[0] <= mine[0] and other[1] <= mine[1] for other in others)


@pytest.fixture
def real(tmp_path: Path) -> ReferenceImages:
    """Twelve pictures of noise."""
    folder = tmp_path / "real"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for number in range(12):
        Image.fromarray(rng.integers(0, 256, (32, 32, 3), dtype=np.uint8)).save(folder / f"{number}.png")
    return ReferenceImages(folder)


def _run(
    ledger: Ledger,
    images: ImageStore,
    asked: PromptSet,
    real: ReferenceImages,
    folders: tuple[Path, Path],
    scales: tuple[float, ...],
) -> Sweep:
    pipeline, clip = folders
    return sweep(
        ledger,
        images,
        entrants=[find_entrant(ledger, str(pipeline), name=None)],
        scales=scales,
        prompts=asked,
        seeds=[0],
        metrics=["clip_fid", "clip_score"],
        reference=real,
        clock=lambda: datetime(2025, 3, 1, tzinfo=UTC),
        settings=ScoreSettings(weights={"clip": Weights(source=str(clip), revision=None)}, resamples=100),
        sampling={"steps": 2},
    )


def test_a_sweep_paints_each_scale_once_and_measures_all_of_them(
    ledger: Ledger,
    images: ImageStore,
    asked: PromptSet,
    real: ReferenceImages,
    pipeline_folder: Path,
    clip_folder: Path,
) -> None:
    folders = (pipeline_folder, clip_folder)
    first = _run(ledger, images, asked, real, folders, (1.0, 4.0))

    second = _run(ledger, images, asked, real, folders, (1.0, 4.0, 8.0))

    assert [point.guidance for point in second.points] == [1.0, 4.0, 8.0]
    assert second.points[1].scores["clip_fid"].value == first.points[1].scores["clip_fid"].value
    assert second.points[0].scores["clip_score"].value != second.points[2].scores["clip_score"].value
    entered = {one.name: one for one in ledger.entrants()}
    assert set(entered) == {f"{pipeline_folder.name} @ {scale}" for scale in (1, 4, 8)}
    assert entered[f"{pipeline_folder.name} @ 4"].details["painted_with"]["guidance"] == 4.0
    assert entered[f"{pipeline_folder.name} @ 4"].details[VARIANT_OF] == pipeline_folder.name


def test_variants_are_left_out_where_all_whole_galleries_are_meant(
    ledger: Ledger,
    images: ImageStore,
    asked: PromptSet,
    real: ReferenceImages,
    pipeline_folder: Path,
    clip_folder: Path,
) -> None:
    _run(ledger, images, asked, real, (pipeline_folder, clip_folder), (1.0,))
    entrant = find_entrant(ledger, "swatch:teal", name=None)
    from evaluation.generate import generate

    generate(
        ledger,
        images,
        entrant=entrant,
        prompts=asked,
        seeds=[0],
        clock=lambda: datetime(2025, 3, 1, tzinfo=UTC),
    )

    assert [one.entrant for one in whole_galleries(ledger, asked, [0])] == ["teal"]
