"""`canvas train`, the data side: each command makes its folder and says so, in JSON where asked."""

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from prompts.errors import CanvasError
from training.cli import app
from training.licences import UnknownLicenceError
from training.stage import OtherSettingsError

README = Path(__file__).parents[2] / "training" / "README.md"


def call(*words: object) -> str:
    """What a command prints on stdout; its error is raised."""
    result = CliRunner().invoke(app, [str(word) for word in words])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result.stdout


def call_json(*words: object) -> Any:
    return json.loads(call(*words, "--json"))


def test_the_commands_lead_from_a_source_to_latents(source: Path, tiny_base: Path, tmp_path: Path) -> None:
    splits, captions, shards, latents = (tmp_path / name for name in ("split", "captions", "shards", "latents"))

    made = [
        call_json("split", source, "--out", splits),
        call_json("caption", splits, "--source", source, "--captioner", "alt_text", "--out", captions),
        call_json(
            *("shards", splits, "--source", source, "--captions", captions),
            *("--split", "commercial", "--images-per-shard", 4, "--out", shards),
        ),
        call_json("latents", shards, "--base", tiny_base, "--size", 16, "--out", latents),
    ]

    assert [result["manifest"]["stage"] for result in made] == ["split", "captions", "shards", "latents"]
    assert [result["already_made"] for result in made] == [False] * 4
    assert made[-1]["manifest"]["counts"]["images"] == 6
    assert call_json("split", source, "--out", splits)["already_made"]
    listed = call_json("attribution", latents)
    assert [entry["line"] for entry in listed] == call("attribution", shards).splitlines()


def test_without_json_nothing_but_answers_goes_to_stdout(source: Path, tmp_path: Path) -> None:
    assert call("split", source, "--out", tmp_path / "split") == ""


def test_what_goes_wrong_is_one_sentence_and_harms_nothing(
    source: Path, make_source: Callable[..., Path], tmp_path: Path
) -> None:
    strange = make_source(tmp_path / "strange", 1, ("ask me",))
    call("split", source, "--out", tmp_path / "split")

    with pytest.raises(UnknownLicenceError, match="Unknown licence 'ask me'"):
        call("split", strange, "--out", tmp_path / "other")
    with pytest.raises(OtherSettingsError, match="delete this one to make it anew"):
        call("split", make_source(tmp_path / "third", 1), "--out", tmp_path / "split")

    assert call_json("split", source, "--out", tmp_path / "split")["already_made"]
    assert issubclass(OtherSettingsError, CanvasError)


def test_every_command_of_the_readme_exists_and_every_command_is_in_it() -> None:
    names = {command.name or command.callback.__name__ for command in app.registered_commands if command.callback}

    mentioned = set(re.findall(r"canvas train ([a-z]+)", README.read_text("utf-8")))

    assert mentioned == names


def test_every_file_of_the_readme_exists() -> None:
    listed = re.findall(r"^- `([\w/]+(?:\.py|/))`", README.read_text("utf-8"), re.MULTILINE)

    assert listed
    assert [name for name in listed if not (README.parent / name).exists()] == []


def test_help_names_every_command_in_one_line() -> None:
    result = CliRunner().invoke(app, ["--help"], env={"COLUMNS": str(shutil.get_terminal_size().columns)})

    assert result.exit_code == 0
    for command in app.registered_commands:
        assert command.callback is not None
        assert command.callback.__doc__
        assert "\n" not in command.callback.__doc__.strip()
