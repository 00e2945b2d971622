"""Which images a label study shows: a random sample, balanced over entrants and characters. Pure.

In: the prompts with their characters, the entrants, the seeds and a count. Out: the drawn items. Every cell (one
entrant, or a pair of them, on one character) gives as many images as any other that has them, within one; inside a cell
all are equally likely. What was drawn at random can correct a judge that saw everything: the prediction-powered mean of
a stratified sample weighs each cell by its size.
Source: Angelopoulos et al. (2023), "Prediction-powered inference", Science 382, doi:10.1126/science.adi6000; Fisch et
al. (2024), "Stratified Prediction-Powered Inference", arXiv:2406.04291, for samples drawn by strata.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from prompts.prompt import Prompt

Cell = tuple[str, tuple[str, ...]]


@dataclass(frozen=True, slots=True, order=True)
class Item:
    """What is shown and judged once: the images that `entrants`, one or two, painted for the prompt with the seed."""

    prompt_id: str
    seed: int
    entrants: tuple[str, ...]


def draw_items(
    prompts: Sequence[Prompt],
    groups: Sequence[tuple[str, ...]],
    seeds: Sequence[int],
    *,
    count: int,
    rng: np.random.Generator,
) -> tuple[Item, ...]:
    """`count` items, cell by cell; a prompt's character is its category. At most as many as there are.

    `groups` are the entrants that are shown together: one each, or pairs.
    """
    cells = _shuffled_cells(prompts, groups, seeds, rng)
    characters = list(dict.fromkeys(prompt.category for prompt in prompts))
    drawn: list[Item] = []
    while len(drawn) < count and any(cells.values()):
        # A round takes one of every cell; the last, cut short, goes by characters, so that entrants stay even.
        for character in rng.permutation(len(characters)):
            for group in rng.permutation(len(groups)):
                cell = cells[characters[character], groups[group]]
                if cell and len(drawn) < count:
                    drawn.append(cell.pop())
    return tuple(drawn)


def _shuffled_cells(
    prompts: Sequence[Prompt], groups: Sequence[tuple[str, ...]], seeds: Sequence[int], rng: np.random.Generator
) -> dict[Cell, list[Item]]:
    asked: dict[str, list[tuple[str, int]]] = defaultdict(list)
    for prompt in prompts:
        asked[prompt.category] += [(prompt.id, seed) for seed in seeds]
    return {
        (character, group): [_item(places[at], group) for at in rng.permutation(len(places))]
        for character, places in asked.items()
        for group in groups
    }


def _item(place: tuple[str, int], group: tuple[str, ...]) -> Item:
    prompt_id, seed = place
    return Item(prompt_id, seed, group)
