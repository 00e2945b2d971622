"""The room's README is true: its files are there, its commands run, its study opens."""

import inspect
import re
import shlex
import tomllib
from dataclasses import fields, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

import arena as room
from arena.cli import app, study_app
from arena.cli_accounts import invite
from arena.export import COLUMNS
from arena.ledger.errors import NotInvitedError
from arena.ledger.records import Entrant
from arena.quality import GATE_NAMES, Gates, GatesError
from arena.study import Study
from arena.study_file import read_study_file
from arena.study_parts import LARGEST_SHARE, Crowd, KnownPair, Sample, StudyError
from arena.study_workable import check_workable, most_pairs
from prompts.sets import demo

ROOM = Path(room.__file__).parent
README = (ROOM / "README.md").read_text(encoding="utf-8")
COMMANDS = re.findall(r"^\$ canvas (.+)$", README, flags=re.MULTILINE)


@pytest.fixture
def study_files(tmp_path: Path) -> dict[str, Path]:
    """The README's study files, by their studies' names."""
    files = {}
    for block in re.findall(r"```toml\n(.*?)```", README, flags=re.DOTALL):
        name = tomllib.loads(block)["name"]
        files[name] = tmp_path / f"{name}.toml"
        files[name].write_text(block, encoding="utf-8")
    return files


@pytest.fixture
def study_file(study_files: dict[str, Path]) -> Path:
    return study_files["first"]


def test_every_file_of_the_room_has_its_line() -> None:
    named = re.findall(r"^\| `([\w/]+\.py)` \|", README, flags=re.MULTILINE)

    files = {str(file.relative_to(ROOM)) for folder in (ROOM, ROOM / "ledger") for file in folder.glob("*.py")}
    assert set(named) == {name for name in files if not name.endswith("__init__.py")}
    assert len(named) == len(set(named))


def test_every_command_is_shown() -> None:
    shown = {tuple(shlex.split(command)[1:3]) for command in COMMANDS if command.startswith("arena ")}

    for command in app.registered_commands:
        assert command.callback is not None
        name = command.name or command.callback.__name__
        assert any(words[0] == name for words in shown), name
    for command in study_app.registered_commands:
        assert ("study", command.name) in shown


def test_the_example_study_is_one(study_file: Path) -> None:
    study = read_study_file(study_file, lambda name: demo.load() if name == "demo" else pytest.fail(name))

    assert (study.name, study.reference, study.candidates) == ("first", "plain", ("bold",))
    assert (study.seeds, study.delta, study.votes_per_rater) == ((0,), 0.05, 30)


def test_the_crowd_study_opens_and_leaves_no_part_of_a_declaration_out(
    bare_arena: Any, study_files: dict[str, Path], now: datetime
) -> None:
    for name in ("plain", "bold"):
        bare_arena.ledger.enter(Entrant(name=name, source=f"swatch:{name}", sampler="swatch"), now=now)
        bare_arena.paint(name, demo.load())

    study = read_study_file(study_files["crowd"], bare_arena.ledger.prompt_set)
    record = bare_arena.ledger.open_study(study, now=now)

    assert record.newly_opened
    assert (len(study.prompts), study.votes_per_rater, most_pairs(study)) == (32, 36, 38)
    left_out = {field.name for field in fields(Study) if getattr(study, field.name) == field.default}
    # The first example and the table's lines have these, or they contradict what is declared.
    assert left_out == {"question", "seeds", "stopping", "links", "sampling", "access", "delta"}
    assert study.gates is not None
    assert set(study.gates.declared) == set(GATE_NAMES)
    assert study.crowd is not None
    assert all(getattr(study.crowd, field.name) for field in fields(Crowd))


def test_the_defaults_that_it_names_are_the_programs(study_files: dict[str, Path]) -> None:
    text = study_files["crowd"].read_text(encoding="utf-8")
    named = dict(re.findall(r"^(\w+) = .*?# .*?\b(\d[\d.]*|false) without it", text, flags=re.MULTILINE))

    assert named == {"seed": "0", "latency_share": "0.5", "attention": "false", "minutes": "60"}
    assert Sample(size=1).seed == KnownPair(prompt="a cat", better="a", worse="b").seed == 0
    assert (Gates().latency_share, Gates().attention) == (0.5, False)
    assert Crowd(site="mturk", slots=1, completion_code="C").minutes == 60
    assert f"{LARGEST_SHARE} at most" in README
    invite_help = inspect.signature(invite).parameters["expires"].default
    assert f"lasts {invite_help[:-1]} days" in README
    assert invite_help[-1] == "d"


@pytest.mark.parametrize("gate", ["latency_floor_ms", "left_share_p"])
def test_a_gate_that_needs_nothing_stands_alone(study_files: dict[str, Path], gate: str) -> None:
    study = read_study_file(study_files["crowd"], lambda _: demo.load())
    alone = Gates.from_dict({gate: getattr(study.gates, gate)})

    check_workable(replace(study, gates=alone, repeats=0.0, gold=(), gold_share=0.0, votes_per_rater=30))

    assert len(alone.declared) == 1


@pytest.mark.parametrize(
    ("gate", "lacking"),
    [
        ("repeat_agreement", {"repeats": 0.0}),
        ("gold_pass", {"gold": (), "gold_share": 0.0}),
        ("attention", {"gold": (), "gold_share": 0.0}),
    ],
)
def test_a_gate_that_needs_a_partner_is_refused_without_it(
    study_files: dict[str, Path], gate: str, lacking: dict[str, Any]
) -> None:
    study = read_study_file(study_files["crowd"], lambda _: demo.load())
    alone = replace(study, gates=Gates.from_dict({gate: getattr(study.gates, gate)}), votes_per_rater=30)
    check_workable(alone)

    with pytest.raises(StudyError, match=gate):
        check_workable(replace(alone, **lacking))


def test_a_share_of_quick_votes_needs_the_floor() -> None:
    with pytest.raises(GatesError, match="no latency_floor_ms"):
        Gates(latency_share=0.4)


def test_the_commands_lead_from_nothing_to_a_board(
    bare_arena: Any, study_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ARENA_HOME", str(bare_arena.home))
    monkeypatch.chdir(tmp_path)

    for command in COMMANDS:
        words = shlex.split(command)
        if words[0] == "evaluate":
            # Painting is another room's: here the images come from the fixture.
            bare_arena.paint(words[words.index("--entrant") + 1].removeprefix("swatch:"), demo.load())
        elif words[1] == "serve":
            bare_arena.rate_all(bare_arena.join(study="first"), study="first")
        elif words[1] == "returned":
            # The example study has no crowd site, and says so.
            with pytest.raises(NotInvitedError, match="has no crowd site"):
                CliRunner().invoke(app, words[1:], catch_exceptions=False)
        else:
            result = CliRunner().invoke(app, words[1:], catch_exceptions=False)
            assert result.exit_code == 0, result.output

    assert len((tmp_path / "votes.csv").read_text().splitlines()) == 31


def test_the_exported_columns_are_those_it_names() -> None:
    assert f"`{', '.join(COLUMNS)}`" in README
