"""The README stays true: its commands and options exist, its files are there, and it stays short."""

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import typer.main

import canvas.cli
from arena.study_file import read_study_file
from prompts.prompt import Prompt, PromptSet

PROJECT = Path(__file__).resolve().parents[2]
README = (PROJECT / "README.md").read_text("utf-8")
COMMANDS = sorted(
    {
        line.removeprefix("$ ").partition("  #")[0].strip()
        for page in (PROJECT / "README.md", *sorted(PROJECT.glob("*/README.md")))
        for line in page.read_text("utf-8").splitlines()
        if line.startswith("$ canvas ")
    }
)


def leaf_and_rest(words: list[str]) -> tuple[Any, list[str]]:
    """The command that `words` lead to, and the words after its name."""
    command: Any = typer.main.get_command(canvas.cli.app)
    while words and getattr(command, "commands", None) and words[0] in command.commands:
        command = command.commands[words[0]]
        words = words[1:]
    return command, words


@pytest.mark.parametrize("line", COMMANDS)
def test_every_command_in_a_readme_exists_with_its_options(line: str) -> None:
    command, rest = leaf_and_rest(shlex.split(line)[1:])

    known = {option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)}
    given = {word.partition("=")[0] for word in rest if word.startswith("--")}
    assert not getattr(command, "commands", None), f"'{line}' stops at a group"
    assert given <= known | {"--help"}


def test_the_readme_names_every_room_and_stays_short() -> None:
    linked = set(re.findall(r"\]\((?!https?:)([^)#]+)\)", README))

    assert len(README.splitlines()) < 150
    assert {f"{room}/README.md" for room in ("prompts", "arena", "evaluation", "training")} <= linked
    assert [target for target in linked if not (PROJECT / target).exists()] == []


def test_the_two_commands_of_the_readme_are_makes(tmp_path: Path) -> None:
    makefile = (PROJECT / "Makefile").read_text("utf-8")

    targets = re.findall(r"^\$ make (\w+)", README, re.MULTILINE)

    assert targets == ["demo", "test"]
    assert all(re.search(rf"^{target}:", makefile, re.MULTILINE) for target in targets)


def test_the_study_in_the_readme_can_be_opened(tmp_path: Path) -> None:
    written = re.search(r"```toml\n(.*?)```", README, re.DOTALL)
    assert written is not None
    file = tmp_path / "study.toml"
    file.write_text(written.group(1), "utf-8")
    cats = tuple(Prompt(text=f"{count} cats") for count in range(40))
    prompts = PromptSet(name="parti", prompts=cats, licence="Apache-2.0", source="a test")

    study = read_study_file(file, lambda name: prompts)

    assert (study.reference, study.candidates, study.delta) == ("sd2", ("mine",), 0.05)
