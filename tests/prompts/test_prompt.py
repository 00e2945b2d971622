"""Prompts and prompt sets: who they are, what they refuse."""

from dataclasses import FrozenInstanceError, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prompts.prompt import Prompt, PromptError, PromptSet, PromptSetError


def a_set(*texts: str, name: str = "mine") -> PromptSet:
    prompts = tuple(Prompt(text=text) for text in texts)
    return PromptSet(name=name, prompts=prompts, licence="CC0-1.0", source="written for a test")


@pytest.mark.parametrize(
    ("text", "digits"),
    [
        # What coreutils' sha256sum says of the same bytes.
        ("a red circle on a white background", "a38422c388ae4f62"),
        ("a café at night – 夜", "7eb4f07bc429d430"),
    ],
)
def test_a_prompts_id_is_the_beginning_of_the_sha256_of_its_text_in_utf_8(text: str, digits: str) -> None:
    assert Prompt(text=text).id == digits


def test_labels_have_no_part_in_a_prompts_id() -> None:
    bare = Prompt(text="a cat")
    labelled = replace(bare, category="Animals", challenge="Basic", note="easy")

    assert labelled.id == bare.id
    assert labelled != bare


def test_white_space_and_case_make_a_different_prompt() -> None:
    assert len({Prompt(text=text).id for text in ("a cat", "a cat ", "A cat", "a  cat")}) == 4


@pytest.mark.parametrize("text", ["", "   ", "\t\n", "\u3000"])
def test_a_blank_prompt_is_refused(text: str) -> None:
    with pytest.raises(PromptError, match="has no text"):
        Prompt(text=text)


@pytest.mark.parametrize("bad", ["a \x00 cat", "a \ud83d cat"])
def test_text_that_no_database_keeps_is_refused_in_every_field(bad: str) -> None:
    with pytest.raises(PromptError, match=r"The text .* holds a character that is no text"):
        Prompt(text=bad)
    with pytest.raises(PromptError, match=r"The category .* holds a character that is no text"):
        Prompt(text="a cat", category=bad)


def test_a_prompt_cannot_be_changed() -> None:
    prompt = Prompt(text="a cat")

    with pytest.raises(FrozenInstanceError):
        prompt.text = "a dog"  # type: ignore[misc]


def test_a_sets_id_follows_its_prompts_and_their_order_and_nothing_else() -> None:
    prompts = a_set("a cat", "a dog")

    # printf 'a cat' | sha256sum | head -c 16, the same for 'a dog', and again over both with a newline between.
    assert [prompt.id for prompt in prompts] == ["51e4674156077982", "7dbdf68ac0bb3482"]
    assert prompts.id == "282fde3d194a7491"
    assert a_set("a cat", "a dog", name="theirs").id == prompts.id
    assert a_set("a dog", "a cat").id != prompts.id
    assert a_set("a cat").id != prompts.id


def test_a_set_counts_and_gives_its_prompts_in_order() -> None:
    prompts = a_set("one", "two", "three")

    assert len(prompts) == 3
    assert [prompt.text for prompt in prompts] == ["one", "two", "three"]


def test_categories_and_challenges_are_counted_in_the_order_of_their_first_prompt() -> None:
    prompts = PromptSet(
        name="mixed",
        prompts=(
            Prompt(text="1", category="People", challenge="Basic"),
            Prompt(text="2", category="Arts", challenge="Quantity"),
            Prompt(text="3", category="People", challenge="Quantity"),
            Prompt(text="4"),
        ),
        licence="CC0-1.0",
        source="written for a test",
    )

    assert list(prompts.categories().items()) == [("People", 2), ("Arts", 1), ("", 1)]
    assert list(prompts.challenges().items()) == [("Basic", 1), ("Quantity", 2), ("", 1)]


def test_an_empty_set_is_refused() -> None:
    with pytest.raises(PromptSetError, match="'mine' is empty"):
        a_set()


def test_the_same_prompt_twice_is_refused_whatever_its_labels() -> None:
    prompts = (Prompt(text="a cat"), Prompt(text="a dog"), Prompt(text="a cat", category="Animals"))

    with pytest.raises(PromptSetError, match="asks 'a cat' 2 times"):
        PromptSet(name="mine", prompts=prompts, licence="CC0-1.0", source="written for a test")


@pytest.mark.parametrize("field", ["name", "licence", "source"])
def test_a_set_says_its_name_licence_and_source(field: str) -> None:
    with pytest.raises(PromptSetError, match=f"has no {field}"):
        PromptSet(
            **{"name": "mine", "licence": "CC0-1.0", "source": "a test", field: " "}, prompts=(Prompt(text="a cat"),)
        )


def test_to_dict_holds_what_json_needs() -> None:
    prompts = PromptSet(
        name="one",
        prompts=(Prompt(text="a cat", category="Animals", challenge="Basic", note="easy"),),
        licence="CC0-1.0",
        source="written for a test",
    )

    assert prompts.to_dict() == {
        "name": "one",
        "id": prompts.id,
        "licence": "CC0-1.0",
        "source": "written for a test",
        "categories": {"Animals": 1},
        "prompts": [
            {"id": "51e4674156077982", "text": "a cat", "category": "Animals", "challenge": "Basic", "note": "easy"}
        ],
    }


@given(texts=st.lists(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00")), unique=True))
def test_every_text_that_can_be_stored_can_be_a_prompt(texts: list[str]) -> None:
    kept = [text for text in texts if text.strip()]

    ids = {Prompt(text=text).id for text in kept}

    assert len(ids) == len(kept)
    assert all(len(one) == 16 for one in ids)
