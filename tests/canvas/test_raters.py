"""Simulated raters: they prefer what the prompt asks for, with noise and taste, and know nothing else."""

import numpy as np
import pytest

from arena.votes import Choice
from canvas.demo.raters import NotAShapesPromptError, Taste, new_rater
from canvas.demo.shapes_world import draw
from prompts.sets.demo import ShapesScene

WANTED = ShapesScene(shape="circle", colour="red", background="white")
WRONG = ShapesScene(shape="cross", colour="blue", background="white")


def test_raters_mostly_prefer_the_picture_that_the_prompt_asks_for() -> None:
    rng = np.random.default_rng(0)
    right, wrong = draw(WANTED, rng), draw(WRONG, rng)

    choices = [new_rater(rng)(WANTED.caption, right, wrong, rng) for _ in range(200)]

    assert 0.9 < choices.count(Choice.LEFT) / len(choices) < 1.0


def test_between_equals_raters_split_evenly_and_sometimes_see_a_tie() -> None:
    rng = np.random.default_rng(1)
    picture = draw(WANTED, rng)

    choices = [new_rater(rng)(WANTED.caption, picture, picture, rng) for _ in range(1000)]

    decisive = [choice for choice in choices if choice is not Choice.TIE]
    assert 0.45 < decisive.count(Choice.LEFT) / len(decisive) < 0.55
    assert 0.02 < choices.count(Choice.TIE) / len(choices) < 0.2


def test_a_rater_with_a_pull_to_the_left_shows_it() -> None:
    rng = np.random.default_rng(2)
    picture = draw(WANTED, rng)
    taste = Taste(shape=5.0, colour=3.0, background=2.0, left_pull=2.0)

    choices = [taste.judge(WANTED.caption, picture, picture, rng) for _ in range(300)]

    assert choices.count(Choice.LEFT) > 200


def test_a_prompt_outside_the_shapes_world_is_refused() -> None:
    rng = np.random.default_rng(3)
    picture = draw(WANTED, rng)

    with pytest.raises(NotAShapesPromptError, match="a raccoon in a hat"):
        new_rater(rng)("a raccoon in a hat", picture, picture, rng)
