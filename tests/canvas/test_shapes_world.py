"""The shapes world: what is in it, who may use it, and that the eye reads it."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from canvas.demo.eye import likeness, look
from canvas.demo.shapes_world import draw, scenes, source_images, write_source_images
from prompts.sets.demo import ShapesScene
from training.catalogue import SourceImage, read_catalogue
from training.licences import Split, read_licence


def rows(count: int = 1200) -> list[SourceImage]:
    return [row for row, _ in source_images(count, seed=0)]


def test_every_scene_is_met_before_any_is_met_twice() -> None:
    captions = [row.caption for row in rows(len(scenes()))]

    assert len(set(captions)) == len(scenes()) == 224


def test_the_same_seed_draws_the_same_pictures() -> None:
    first, second = (list(source_images(20, seed=7)) for _ in range(2))

    assert [row for row, _ in first] == [row for row, _ in second]
    assert all(a.tobytes() == b.tobytes() for (_, a), (_, b) in zip(first, second, strict=True))


def test_crosses_and_purple_exist_under_non_commercial_licences_only() -> None:
    commercial = [row.caption for row in rows() if read_licence(row.licence).split is Split.COMMERCIAL]
    non_commercial = [row.caption for row in rows() if read_licence(row.licence).split is Split.NON_COMMERCIAL]

    assert commercial
    assert not [caption for caption in commercial if "cross" in caption or "purple" in caption]
    assert [caption for caption in non_commercial if "cross" in caption]
    assert [caption for caption in non_commercial if "circle" in caption]


def test_some_pictures_forbid_derivatives() -> None:
    splits = Counter(read_licence(row.licence).split for row in rows())

    assert 0.05 < splits[Split.EVALUATION_ONLY] / splits.total() < 0.12


def test_what_is_written_is_a_source_that_the_catalogue_reads(tmp_path: Path) -> None:
    written = list(write_source_images(tmp_path, count=10, seed=0))

    assert list(read_catalogue(tmp_path)) == written
    assert all((tmp_path / row.file).is_file() and row.author and row.origin for row in written)


@pytest.mark.parametrize("scene", scenes()[::5], ids=lambda scene: scene.caption)
def test_the_eye_names_what_is_drawn(scene: ShapesScene) -> None:
    picture = draw(scene, np.random.default_rng(1))

    seen = look(picture)

    assert (seen.shape, seen.colour, seen.background) == (scene.shape, scene.colour, scene.background)
    assert seen.shape_overlap > 0.8


def test_the_eye_sees_no_shape_on_an_empty_picture() -> None:
    picture = draw(ShapesScene(shape="circle", colour="red", background="white"), np.random.default_rng(0))
    picture.paste((50, 80, 220), (0, 0, *picture.size))

    seen = look(picture)

    assert (seen.shape, seen.colour, seen.background) == ("", "", "blue")


def test_a_picture_is_more_like_its_own_scene_than_like_another() -> None:
    scene = ShapesScene(shape="triangle", colour="orange", background="black")
    other = ShapesScene(shape="square", colour="blue", background="white")

    own, foreign = (likeness(draw(scene, np.random.default_rng(2)), wanted) for wanted in (scene, other))

    assert own.shape > foreign.shape
    assert own.colour > 0.9 > foreign.colour
    assert own.background > 0.9 > foreign.background
