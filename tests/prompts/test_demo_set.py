"""The shapes world: its captions, and 48 prompts in balance."""

from collections import Counter
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prompts.sets.demo import COLOURS, SHAPES, ShapesScene, UnknownSceneError, caption, load, parse_caption

SCENES = [
    ShapesScene(shape=shape, colour=colour, background=background)
    for shape, colour, background in product(SHAPES, COLOURS, COLOURS)
    if colour != background
]


@pytest.mark.parametrize(
    ("scene", "words"),
    [
        (("circle", "red", "white"), "a red circle on a white background"),
        (("circle", "orange", "black"), "an orange circle on a black background"),
        (("cross", "blue", "orange"), "a blue cross on an orange background"),
    ],
)
def test_a_caption_reads_as_english(scene: tuple[str, str, str], words: str) -> None:
    assert caption(*scene) == words


def test_the_world_has_224_scenes_and_each_has_its_own_caption() -> None:
    assert len(SCENES) == 4 * 8 * 7 == 224
    assert len({scene.caption for scene in SCENES}) == 224


def test_every_scene_is_found_again_in_its_caption() -> None:
    assert [parse_caption(scene.caption) for scene in SCENES] == SCENES


words = st.sampled_from(["a", "an", "on", "background", "star", "pink", "A", "", *SHAPES, *COLOURS])


@given(text=st.one_of(st.text(), st.lists(words, max_size=9).map(" ".join)))
def test_what_is_taken_for_a_caption_is_one_word_for_word(text: str) -> None:
    scene = parse_caption(text)

    assert scene is None or scene.caption == text


@given(
    article=st.sampled_from(["a", "an"]),
    colour=st.sampled_from([*COLOURS, "pink"]),
    shape=st.sampled_from([*SHAPES, "star"]),
    background=st.sampled_from([*COLOURS, "pink"]),
)
def test_a_text_near_a_caption_is_taken_for_one_only_when_it_is_one(
    article: str, colour: str, shape: str, background: str
) -> None:
    text = f"{article} {colour} {shape} on a {background} background"

    scene = parse_caption(text)

    assert (scene is not None) == (text in {one.caption for one in SCENES})


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a photo of a cat",
        "a orange circle on a white background",
        "a red circle on a white background.",
        "A red circle on a white background",
        "a red circle on a white background\n",
        "a red circle on a red background",
        "a pink circle on a white background",
        "a red star on a white background",
    ],
)
def test_a_text_that_is_no_caption_is_no_scene(text: str) -> None:
    assert parse_caption(text) is None


@pytest.mark.parametrize(
    ("scene", "complaint"),
    [
        (("star", "red", "white"), "has no 'star'. Choose one of circle, square, triangle, cross"),
        (("circle", "pink", "white"), "has no 'pink'. Choose one of red, green"),
        (("circle", "red", "pink"), "has no 'pink'. Choose one of red, green"),
        (("circle", "red", "red"), "A circle in red on red could not be seen"),
    ],
)
def test_a_scene_outside_the_world_is_refused(scene: tuple[str, str, str], complaint: str) -> None:
    with pytest.raises(UnknownSceneError, match=complaint):
        caption(*scene)


def test_the_demo_asks_48_captions_and_their_category_is_their_shape() -> None:
    prompts = load()

    scenes = [parse_caption(prompt.text) for prompt in prompts]
    assert prompts.name == "demo"
    assert len(prompts) == 48
    assert [prompt.category for prompt in prompts] == [scene.shape for scene in scenes if scene]
    assert prompts.challenges() == {"": 48}


def test_shapes_colours_and_backgrounds_are_in_balance() -> None:
    scenes = [scene for scene in map(parse_caption, (prompt.text for prompt in load())) if scene]

    assert Counter(scene.shape for scene in scenes) == dict.fromkeys(SHAPES, 12)
    assert Counter(scene.colour for scene in scenes) == dict.fromkeys(COLOURS, 6)
    assert Counter(scene.background for scene in scenes) == dict.fromkeys(COLOURS, 6)
    assert set(Counter((scene.shape, scene.colour) for scene in scenes).values()) == {1, 2}
    assert set(Counter((scene.shape, scene.background) for scene in scenes).values()) == {1, 2}
    assert len({(scene.colour, scene.background) for scene in scenes}) == 48


def test_the_demos_prompts_stay_what_they_were() -> None:
    assert load().id == "42f3e7241e064ef5"


def test_the_colours_can_be_told_apart() -> None:
    distances = [
        sum((one - other) ** 2 for one, other in zip(COLOURS[a], COLOURS[b], strict=True)) ** 0.5
        for a, b in product(COLOURS, COLOURS)
        if a < b
    ]

    assert len(COLOURS) == 8
    assert min(distances) > 70
