"""The first road: prompts are painted, compared through the rating page's own protocol, counted and exported."""

import csv
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from fastapi.testclient import TestClient

from arena.app import create_app
from arena.settings import Settings

PROMPTS = (
    "Prompt\tCategory\na red fox\tAnimals\na tin robot\tArtifacts\na paper boat\tArtifacts\na green hill\tOutdoor\n"
)
STUDY = """
name = "swatches"
question = "Which image do you prefer?"
reference = "grey"
candidates = ["warm", "cold"]
prompts = "mine.tsv"
ties = true
both_bad = true
delta = 0.05
votes_per_rater = 8
"""


@pytest.fixture
def arena_home(tmp_path: Path, command: Callable[..., Any]) -> Path:
    """An arena with three painted galleries and an open study."""
    home, prompts, study = tmp_path / "arena", tmp_path / "mine.tsv", tmp_path / "study.toml"
    prompts.write_text(PROMPTS, "utf-8")
    study.write_text(STUDY, "utf-8")
    for name in ("grey", "warm", "cold"):
        command("evaluate", "generate", "--entrant", f"swatch:{name}", "--prompts", prompts, "--arena", home)
    command("arena", "study", "open", study, "--arena", home)
    return home


def rate_everything(home: Path) -> list[dict[str, Any]]:
    """Join as one rater, always choose left but for one tie, and return the pairs that were shown."""
    shown = []
    with TestClient(create_app(Settings(home=home)), base_url="http://localhost") as browser:
        pairs = browser.post("/rate/api/join", json={"study": "swatches"}).raise_for_status().json()["pairs"]
        while pairs:
            pair = pairs.pop(0)
            shown.append(pair)
            vote = {
                "study": "swatches",
                "pair": pair["pair"],
                "round": pair["round"],
                "choice": "tie" if len(shown) == 3 else "left",
                "key": str(uuid4()),
                "latency_ms": 1500,
            }
            following = browser.post("/rate/api/vote", json=vote).raise_for_status().json()["next"]
            if following is not None:
                pairs.append(following)
    return shown


def test_a_prompt_travels_from_a_file_to_a_verdict(arena_home: Path, command: Callable[..., Any]) -> None:
    shown = rate_everything(arena_home)

    board = command("arena", "board", "swatches", "--arena", arena_home, "--json").json
    assert len(shown) == 8
    assert board["votes"] == 8
    assert board["raters"] == 1
    assert set(board["entrants"]) == {"warm", "cold"}
    assert sum(row["ties"] for row in board["entrants"].values()) == 1
    assert all(row["verdict"] == "inconclusive" for row in board["entrants"].values())


def test_every_vote_is_exported_and_the_chain_holds(
    arena_home: Path, tmp_path: Path, command: Callable[..., Any]
) -> None:
    rate_everything(arena_home)
    table = tmp_path / "votes.csv"

    command("arena", "export", "swatches", "--out", table, "--arena", arena_home)
    verified = command("arena", "verify", "swatches", "--arena", arena_home)

    rows = list(csv.DictReader(table.open(encoding="utf-8")))
    assert len(rows) == 8
    assert {row["model_b"] for row in rows} == {"grey"}
    assert Counter(row["choice"] == row["left"] for row in rows if row["choice"] != "tie") == {True: 7}
    assert {row["simulated"] for row in rows} == {"false"}
    assert verified.status == 0


def test_painting_again_paints_nothing(arena_home: Path, tmp_path: Path, command: Callable[..., Any]) -> None:
    again = command(
        "evaluate", "generate", "--entrant", "swatch:warm", "--prompts", tmp_path / "mine.tsv", "--arena", arena_home,
        "--json",
    )  # fmt: skip

    assert again.json["new"] == 0
    assert again.json["images"] == 4


def test_a_study_whose_gallery_lacks_images_is_refused_and_the_command_that_paints_them_is_named(
    arena_home: Path, tmp_path: Path, command: Callable[..., Any]
) -> None:
    study = tmp_path / "late.toml"
    study.write_text(STUDY.replace('"swatches"', '"late"').replace('"cold"', '"late-comer"'), "utf-8")
    command("arena", "enter", "swatch:late-comer", "--arena", arena_home)

    refused = command("arena", "study", "open", study, "--arena", arena_home, status=1)

    assert "late-comer" in refused.err
    assert "canvas evaluate generate" in refused.err
    assert "Traceback" not in refused.err
