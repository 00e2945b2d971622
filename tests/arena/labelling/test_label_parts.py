"""What is pure in labelling: drawing the images, matching names, gates and the exported table."""

from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from arena.labelling.drawing import draw_items
from arena.labelling.label_export import COLUMNS, LabelExportError, label_rows, write_label_rows
from arena.labelling.label_study import GoldImage
from arena.labelling.matching import Target, named_target
from arena.labelling.quality import judge_labellers, of_passing
from arena.ledger.label_records import LabelRecord
from arena.quality import Gates, GateState
from prompts.prompt import Prompt

GROUPS = (("a",), ("b",), ("c",))
TARGETS = (
    Target(key="elsa", names=("Elsa", "Queen Elsa")),
    Target(key="minnie", names=("Minnie Mouse",)),
    Target(key="mickey", names=("Mickey Mouse", "Mickey")),
    Target(key="beyonce", names=("Beyoncé",)),
)


def prompts_of(sizes: dict[str, int]) -> list[Prompt]:
    """So many prompts of each character."""
    return [
        Prompt(text=f"{character} {number}", category=character)
        for character, size in sizes.items()
        for number in range(size)
    ]


@given(sizes=st.lists(st.integers(1, 6), min_size=1, max_size=5), share=st.floats(0.05, 1), seed=st.integers(0, 99))
def test_what_is_drawn_is_even_over_entrants_and_characters_and_never_twice(
    sizes: list[int], share: float, seed: int
) -> None:
    prompts = prompts_of({f"c{number}": size for number, size in enumerate(sizes)})
    there = len(prompts) * len(GROUPS) * 2
    count = max(1, int(share * there))

    items = draw_items(prompts, GROUPS, (0, 1), count=count, rng=np.random.default_rng(seed))

    character = {prompt.id: prompt.category for prompt in prompts}
    cells = Counter((character[item.prompt_id], item.entrants) for item in items)
    most = max(cells.values())
    assert len(set(items)) == len(items) == count
    for name, size in ((f"c{number}", size) for number, size in enumerate(sizes)):
        for group in GROUPS:
            assert cells[name, group] >= min(most - 1, 2 * size)


def test_inside_a_cell_every_image_is_equally_likely() -> None:
    prompts = prompts_of({"one": 5})
    drawn: Counter[str] = Counter()

    for seed in range(2000):
        drawn.update(
            item.prompt_id for item in draw_items(prompts, (("a",),), (0,), count=2, rng=np.random.default_rng(seed))
        )

    # 800 of 2000 each, with a standard deviation of 22.
    assert all(abs(drawn[prompt.id] - 800) < 90 for prompt in prompts)


@pytest.mark.parametrize(
    ("typed", "own", "found"),
    [
        ("elsa", "elsa", "elsa"),
        ("It is Queen  ELSA!", "mickey", "elsa"),
        ("Elsa's castle", "elsa", "elsa"),
        ("elsaa", "elsa", None),
        ("Mickey or Minnie-Mouse", "minnie", "minnie"),
        ("Mickey or Minnie Mouse", "elsa", "minnie"),
        ("mickey", "minnie", "mickey"),
        ("beyonce", "beyonce", "beyonce"),
        ("BEYONCÉ", "beyonce", "beyonce"),
        ("a mouse", "mickey", None),
        ("", "elsa", None),
    ],
)
def test_a_typed_name_is_matched_as_a_word_whatever_its_case_and_accents(
    typed: str, own: str, found: str | None
) -> None:
    assert named_target(typed, TARGETS, own) == found


def record(number: int, *, rater: int = 1, **said: Any) -> LabelRecord:
    """A label; what is not said does not matter."""
    values: dict[str, Any] = {
        "label_id": number,
        "ts": datetime(2024, 5, 1, 12, 0, number % 60, tzinfo=UTC),
        "rater": rater,
        "showing": number,
        "kind": "study",
        "repeats": None,
        "prompt_id": "",
        "seed": 0,
        "entrants": ("aardvark",),
        "images": ("left",),
        "answer": "no",
        "target": None,
        "closeness": None,
        "latency_ms": 2000,
        "session": "",
        "digest": None,
    }
    return LabelRecord(**(values | said))


def test_the_arenas_gates_judge_labellers_by_gold_by_repeats_and_by_latency(labels: Any) -> None:
    prompt = labels.prompts.prompts[0]
    gold = GoldImage(entrant="aardvark", prompt=prompt.text, answer="yes")
    study = labels.study(
        gold=(gold,),
        gold_share=0.1,
        repeats=0.1,
        gates=Gates(gold_pass=0.7, repeat_agreement=0.7, latency_floor_ms=500),
    )
    said: list[LabelRecord] = []
    for rater, right, quick in ((1, True, False), (2, True, False), (3, False, True)):
        for number in range(12):
            at = 100 * rater + number
            latency = 400 if quick else 2000
            said += [
                record(at, rater=rater, answer="no", latency_ms=latency),
                record(
                    at + 20,
                    rater=rater,
                    kind="gold",
                    prompt_id=prompt.id,
                    answer="yes" if right else "not_sure",
                ),
                record(
                    at + 40, rater=rater, kind="repeat", repeats=at, answer="no" if right else "yes", latency_ms=latency
                ),
            ]

    quality = {one.rater: one for one in judge_labellers(study, said)}

    assert not quality[1].excluded
    assert not quality[2].excluded
    assert {name for name, gate in quality[3].gates.items() if gate.state is GateState.FAIL} == {
        "latency",
        "repeats",
        "gold",
    }
    assert {label.rater for label in of_passing(said, quality.values())} == {1, 2}


def test_of_a_pair_the_repeats_sides_are_read_as_they_stand_now(labels: Any) -> None:
    study = labels.study(mode="pair", sample=9, repeats=0.1, gates=Gates(repeat_agreement=0.7))
    said = []
    for number in range(9):
        pair: dict[str, Any] = {"entrants": ("aardvark", "zebra"), "images": ("x", "y"), "answer": "left"}
        turned: dict[str, Any] = {"entrants": ("zebra", "aardvark"), "images": ("y", "x"), "answer": "right"}
        said += [record(number, **pair), record(number + 20, kind="repeat", repeats=number, **turned)]
    clicks_left = [replace(label, rater=2, answer="left") for label in said]

    [true] = judge_labellers(study, said)
    [false] = judge_labellers(study, clicks_left)

    assert true.gates["repeats"].by_rule is GateState.PASS
    assert false.gates["repeats"].by_rule is GateState.FAIL


def test_the_table_says_human_only_where_the_images_own_target_was_named(labels: Any, tmp_path: Path) -> None:
    labels.open(labels_per_rater=9)
    rater, answers = labels.join(), iter([("yes", "elsa"), ("yes", "=Snoopy"), ("not_sure", ""), ("no", "")] * 3)
    own: dict[int, tuple[str, str]] = {}

    def say(showing: Any) -> dict[str, Any]:
        answer, which = next(answers)
        own[labels.book.showing(showing.showing).id] = (labels.own_target(showing), which)
        return {"answer": answer} | ({"which": which} if which else {})

    labels.label_all(rater, say)
    kept = labels.book.labels("who")

    rows = label_rows(labels.book.study("who").study, kept)
    write_label_rows(tmp_path / "labels.csv", "single", rows)

    assert [tuple(row) for row in rows] == [COLUMNS["single"]] * 9
    for row, label in zip(rows, kept, strict=True):
        target, which = own[label.showing]
        assert row["character"] == target
        assert row["human"] == int(which.lstrip("=").lower() == target)
        assert (row["which"], row["closeness"]) == (which, 2 if which else 0)
    written = (tmp_path / "labels.csv").read_text().splitlines()
    assert written[0] == "character,prompt,seed,kind,model,human,which,closeness,rater,label_id,ts"
    assert any(",'=Snoopy," in line for line in written)
    with pytest.raises(LabelExportError, match=r"does not end in \.csv"):
        write_label_rows(tmp_path / "labels.xlsx", "single", rows)


def test_a_pairs_table_says_who_stood_left(labels: Any) -> None:
    labels.open(mode="pair", sample=6, labels_per_rater=6)
    labels.label_all(labels.join(), lambda _: {"answer": "left"})
    kept = labels.book.labels("who")

    rows = label_rows(labels.book.study("who").study, kept)

    assert [tuple(row) for row in rows] == [COLUMNS["pair"]] * 6
    assert [row["left"] for row in rows] == ["A" if one.entrants[0] == "aardvark" else "B" for one in kept]
    assert {(row["model_a"], row["model_b"]) for row in rows} == {("aardvark", "zebra")}
