"""Samples: a fair part of a prompt set, the same one for the same seed."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from prompts.prompt import Prompt, PromptSet, SampleError, largest_remainders
from prompts.sets import demo, parti


def of_categories(*categories: str) -> PromptSet:
    prompts = tuple(Prompt(text=f"prompt {index}", category=category) for index, category in enumerate(categories))
    return PromptSet(name="mixed", prompts=prompts, licence="CC0-1.0", source="written for a test")


sets = st.lists(st.sampled_from("abcdefg"), min_size=1, max_size=80).map(lambda letters: of_categories(*letters))
seeds = st.integers(min_value=0, max_value=2**64)


@given(prompts=sets, seed=seeds, data=st.data())
def test_a_sample_is_a_part_of_exactly_that_size_in_the_original_order(
    prompts: PromptSet, seed: int, data: st.DataObject
) -> None:
    count = data.draw(st.integers(1, len(prompts)))

    sample = prompts.sample(count, seed)

    places = [prompts.prompts.index(prompt) for prompt in sample]
    assert len(sample) == count
    assert places == sorted(set(places))


@given(prompts=sets, seed=seeds, data=st.data())
def test_a_sample_gives_each_category_its_share_by_largest_remainders(
    prompts: PromptSet, seed: int, data: st.DataObject
) -> None:
    count = data.draw(st.integers(1, len(prompts)))

    shares = Counter(prompt.category for prompt in prompts.sample(count, seed))

    rounded_up: list[int] = []
    rounded_down: list[int] = []
    for category, size in prompts.categories().items():
        whole, remainder = divmod(count * size, len(prompts))
        assert shares[category] in (whole, whole + 1)
        (rounded_up if shares[category] > whole else rounded_down).append(remainder)
    assert min(rounded_up, default=len(prompts)) >= max(rounded_down, default=0)


@given(prompts=sets, seed=seeds, data=st.data())
def test_the_same_seed_draws_the_same_sample(prompts: PromptSet, seed: int, data: st.DataObject) -> None:
    count = data.draw(st.integers(1, len(prompts)))

    first, second = prompts.sample(count, seed), prompts.sample(count, seed)

    assert first == second
    assert first.id == second.id


@given(prompts=sets, seed=seeds)
def test_a_sample_of_everything_is_everything(prompts: PromptSet, seed: int) -> None:
    assert prompts.sample(len(prompts), seed).id == prompts.id


def test_a_sample_names_its_set_its_size_and_its_seed_and_keeps_licence_and_source() -> None:
    whole = demo.load()

    sample = whole.sample(24, seed=7)

    assert sample.name == "demo-24-seed7"
    assert (sample.licence, sample.source) == (whole.licence, whole.source)


def test_another_seed_draws_another_sample() -> None:
    assert len({demo.load().sample(24, seed).id for seed in range(20)}) == 20


def test_within_a_category_every_prompt_is_as_likely_as_another() -> None:
    whole = of_categories(*"aaaaaaaaaa", *"bbbbb")
    draws = 2000

    times = Counter(prompt.text for seed in range(draws) for prompt in whole.sample(3, seed))

    # Each of 10 'a' fills 2 of 2000 * 2 places, each of 5 'b' one of 2000 * 1: 400 times each, give or take
    # sqrt(2000 * 0.2 * 0.8) = 18; chi-squared with 13 degrees of freedom stays below 34.5 in 999 of 1000 cases.
    counts = np.array([times[prompt.text] for prompt in whole])
    assert ((counts - 400) ** 2 / (400 * 0.8)).sum() < 34.5


def test_a_sample_stays_what_it_was_on_every_machine_and_numpy() -> None:
    texts = [prompt.text for prompt in demo.load().sample(4, seed=0)]

    assert texts == [
        "a red triangle on a white background",
        "a green cross on a white background",
        "a blue circle on a purple background",
        "a yellow square on a white background",
    ]


def test_24_of_partiprompts_stay_the_24_that_they_were(parti_file: Path) -> None:
    sample = parti.load(parti_file).sample(24, seed=0)

    assert sample.name == "parti-24-seed0"
    assert sample.id == "5fdf475a91d9fb37"
    assert sample.categories()["Animals"] == 5


@pytest.mark.parametrize("count", [0, -1, 49])
def test_more_prompts_than_there_are_or_none_are_refused(count: int) -> None:
    with pytest.raises(SampleError, match=f"Cannot draw {count} of the 48 prompts of 'demo': ask for 1 to 48"):
        demo.load().sample(count, seed=0)


def test_a_negative_seed_is_refused() -> None:
    with pytest.raises(SampleError, match="0 or more, not -1"):
        demo.load().sample(4, seed=-1)


def test_largest_remainders_apportion_the_house_of_1792_as_hamiltons_vetoed_bill_did() -> None:
    """Source: COMAP, "For All Practical Purposes", 10th edition, chapter 14, example 6; populations of 1790."""
    populations = {
        "Virginia": 630_560,
        "Massachusetts": 475_327,
        "Pennsylvania": 432_879,
        "North Carolina": 353_523,
        "New York": 331_589,
        "Maryland": 278_514,
        "Connecticut": 236_841,
        "South Carolina": 206_236,
        "New Jersey": 179_570,
        "New Hampshire": 141_822,
        "Vermont": 85_533,
        "Georgia": 70_835,
        "Kentucky": 68_705,
        "Rhode Island": 68_446,
        "Delaware": 55_540,
    }

    seats = largest_remainders(populations, 120)

    assert list(seats.values()) == [21, 16, 14, 12, 11, 9, 8, 7, 6, 5, 3, 2, 2, 2, 2]


def test_of_equal_remainders_the_earlier_category_gets_the_seat() -> None:
    assert largest_remainders({"first": 5, "second": 5, "third": 5}, 4) == {"first": 2, "second": 1, "third": 1}
