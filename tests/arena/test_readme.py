"""The room's README is true: its files are there, its commands run, its study opens."""

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

import arena as room
from arena.cli import app, study_app
from arena.export import COLUMNS
from arena.ledger.errors import NotInvitedError
from arena.study_file import read_study_file
from prompts.sets import demo

ROOM = Path(room.__file__).parent
README = (ROOM / "README.md").read_text(encoding="utf-8")
COMMANDS = re.findall(r"^\$ canvas (.+)$", README, flags=re.MULTILINE)


@pytest.fixture
def study_file(tmp_path: Path) -> Path:
    [block] = re.findall(r"```toml\n(.*?)```", README, flags=re.DOTALL)
    file = tmp_path / "first.toml"
    file.write_text(str(block), encoding="utf-8")
    return file


def test_every_file_of_the_room_has_its_line() -> None:
    named = re.findall(r"^\| `([\w/]+\.py)` \|", README, flags=re.MULTILINE)

    files = {str(file.relative_to(ROOM)) for folder in (ROOM, ROOM / "ledger") for file in folder.glob("*.py")}
    assert set(named) == {name for name in files if not name.endswith("__init__.py")}
    assert len(named) == len(set(named))


def test_every_command_is_shown() -> None:
    shown = {tuple(shlex.split(command)[1:3]) for command in COMMANDS if command.startswith("arena ")}

    for command in app.registered_commands:
        name = command.name or command.callback.__name__
        assert any(words[0] == name for words in shown), name
    for command in study_app.registered_commands:
        assert ("study", command.name) in shown


def test_the_example_study_is_one(study_file: Path) -> None:
    study = read_study_file(study_file, lambda name: demo.load() if name == "demo" else pytest.fail(name))

    assert (study.name, study.reference, study.candidates) == ("first", "plain", ("bold",))
    assert (study.seeds, study.delta, study.votes_per_rater) == ((0,), 0.05, 30)


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
