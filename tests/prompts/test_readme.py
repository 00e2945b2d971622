"""The room's README is true: its files are there, its commands run, its example says what Python says."""

import doctest
import re
import shlex
from pathlib import Path

import pytest
from typer.testing import CliRunner

import prompts
from prompts.cli import app

ROOM = Path(prompts.__file__).parent
README = (ROOM / "README.md").read_text(encoding="utf-8")
COMMANDS = re.findall(r"^\$ canvas prompts (.+)$", README, flags=re.MULTILINE)


def block(language: str) -> str:
    [found] = re.findall(rf"```{language}\n(.*?)```", README, flags=re.DOTALL)
    return str(found)


def test_every_file_of_the_room_has_its_line() -> None:
    named = re.findall(r"^\| `([\w/.]+)` \|", README, flags=re.MULTILINE)

    files = {str(file.relative_to(ROOM)) for file in ROOM.rglob("*.py")} - {"__init__.py"}
    assert set(named) == files
    assert len(named) == len(files)


def test_every_command_is_shown() -> None:
    assert {command.split()[0] for command in COMMANDS} == {
        command.name or "show" for command in app.registered_commands
    }


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_runs(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    if "parti" in command:
        monkeypatch.setenv("ARENA_PARTI_PROMPTS", str(request.getfixturevalue("parti_file").absolute()))
    (tmp_path / "mine.csv").write_text(block("csv"), encoding="utf-8")
    monkeypatch.chdir(tmp_path)

    result = CliRunner().invoke(app, shlex.split(command), catch_exceptions=False)

    assert result.exit_code == 0
    assert result.stdout


def test_the_example_says_what_python_says() -> None:
    example = doctest.DocTestParser().get_doctest(block("pycon"), {}, "README.md", None, 0)
    complaints: list[str] = []

    failures = doctest.DocTestRunner().run(example, out=complaints.append).failed

    assert failures == 0, "".join(complaints)
    assert len(example.examples) == 6
