"""`canvas evaluate`, as people and scripts use it."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from typer.testing import CliRunner, Result

from evaluation.cli import app
from evaluation.cli_options import ListError
from evaluation.galleries import IncompleteGalleryError
from evaluation.generate import OtherSettingsError
from prompts.files import MissingPromptFileError
from prompts.library import UnknownPromptSetError


@pytest.fixture(autouse=True)
def own_arena(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Commands without --arena work in this test's own folder."""
    monkeypatch.setenv("ARENA_HOME", str(tmp_path / "arena"))


def canvas_evaluate(*arguments: str) -> Result:
    return CliRunner().invoke(app, arguments)


def as_json(*arguments: str) -> Any:
    result = canvas_evaluate(*arguments, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def paint(*arguments: str) -> Any:
    return as_json("generate", "--prompts", "demo", "--sample", "6", *arguments)


def test_generate_says_what_it_painted() -> None:
    result = canvas_evaluate("generate", "--entrant", "swatch:teal", "--prompts", "demo", "--seeds", "0,1")

    assert result.exit_code == 0
    assert result.stdout == ""
    assert "The gallery of 'teal' for 'demo' is whole: 96 images, 96 of them painted now in" in result.stderr


def test_generate_as_json_is_one_value() -> None:
    painted = paint("--entrant", "swatch:teal", "--sample-seed", "3")

    assert painted["seconds"] >= 0
    assert {**painted, "seconds": 0} == {
        "entrant": "teal",
        "prompt_set": "demo-6-seed3",
        "images": 6,
        "new": 6,
        "cut": 0,
        "seconds": 0,
    }


def test_a_pipeline_folder_is_painted_with_the_options_given(pipeline_folder: Path) -> None:
    first = paint("--entrant", str(pipeline_folder), "--steps", "1", "--guidance", "2", "--batch", "3")
    again = paint("--entrant", str(pipeline_folder), "--steps", "1")
    refused = canvas_evaluate(
        "generate", "--entrant", str(pipeline_folder), "--prompts", "demo", "--sample", "6", "--steps", "2"
    )

    assert (first["entrant"], first["new"], again["new"]) == ("tiny-sd", 6, 0)
    assert isinstance(refused.exception, OtherSettingsError)


def test_score_prints_value_and_interval(clip_folder: Path) -> None:
    paint("--entrant", "swatch:teal")
    options = ["--prompts", "demo", "--sample", "6", "--clip", str(clip_folder), "--resamples", "100"]

    table = canvas_evaluate("score", *options)
    [score] = as_json("score", *options)

    assert table.exit_code == 0
    assert "clip_score" in table.stdout
    assert f"{score['value']:.4g}" in table.stdout
    assert (score["entrant"], score["n"]) == ("teal", 6)
    assert score["low"] <= score["value"] <= score["high"]


def test_score_takes_several_metrics_and_real_images(clip_folder: Path, tmp_path: Path) -> None:
    paint("--entrant", "swatch:teal")
    (tmp_path / "real").mkdir()
    for number in range(4):
        Image.radial_gradient("L").rotate(40 * number).save(tmp_path / "real" / f"{number}.png")

    scores = as_json(
        "score", "--prompts", "demo-6-seed0", "--entrant", "teal", "--metrics", "clip_fid,clip_score",
        "--clip", str(clip_folder), "--reference-images", str(tmp_path / "real"), "--resamples", "100",
    )  # fmt: skip

    assert [score["metric"] for score in scores] == ["clip_fid", "clip_score"]


def real_pictures(folder: Path, count: int) -> str:
    folder.mkdir()
    for number in range(count):
        Image.radial_gradient("L").rotate(40 * number).save(folder / f"{number}.png")
    return str(folder)


def test_kid_of_small_sets_says_how_small_its_subsets_were(inception_file: Path, tmp_path: Path) -> None:
    paint("--entrant", "swatch:teal")
    paint("--entrant", "swatch:rose")
    options = [
        "--prompts", "demo-6-seed0", "--metrics", "kid", "--weights", f"kid={inception_file}", "--resamples", "100",
        "--reference-images", real_pictures(tmp_path / "real", 4), "--cache", str(tmp_path / "kept"),
    ]  # fmt: skip

    scored = canvas_evaluate("score", "--entrant", "teal", *options, "--json")
    compared = canvas_evaluate("compare", "teal", "rose", *options, "--json")

    assert json.loads(scored.stdout)[0]["details"]["subset_size"] == 4
    assert json.loads(compared.stdout)["metrics"][0]["details"]["subset_size"] == 4
    for found in (scored, compared):
        assert "kid: subsets are of 4 images instead of 1,000" in found.stderr


@pytest.mark.browser
def test_scores_and_differences_are_drawn_where_a_plot_is_asked_for(clip_folder: Path, tmp_path: Path) -> None:
    paint("--entrant", "swatch:teal")
    paint("--entrant", "swatch:rose")
    options = ["--prompts", "demo-6-seed0", "--clip", str(clip_folder), "--resamples", "100"]

    scored = canvas_evaluate("score", *options, "--plot", str(tmp_path / "scores"))
    compared = canvas_evaluate("compare", "teal", "rose", *options, "--plot", str(tmp_path / "both.svg"), "--json")

    assert f"{tmp_path / 'scores.html'} shows the scores." in scored.stderr
    assert f"{tmp_path / 'both.svg'} shows the differences." in compared.stderr
    assert "CLIP-Score" in (tmp_path / "scores.svg").read_text("utf-8")
    assert "teal less rose" in (tmp_path / "both.svg").read_text("utf-8")
    assert json.loads(compared.stdout)["first"] == "teal"


def test_score_leaves_out_partial_galleries_only_when_nobody_named_them(clip_folder: Path) -> None:
    paint("--entrant", "swatch:teal", "--seeds", "0,1")
    paint("--entrant", "swatch:rose")
    options = ["--prompts", "demo-6-seed0", "--seeds", "0,1", "--clip", str(clip_folder), "--resamples", "100"]

    silent = canvas_evaluate("score", *options)
    named = canvas_evaluate("score", "--entrant", "rose", *options)

    assert "Left out, because their galleries of 'demo-6-seed0' lack images: rose." in silent.stderr
    assert isinstance(named.exception, IncompleteGalleryError)


def test_a_set_whose_file_is_gone_is_the_one_that_the_arena_keeps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("mine.txt").write_text("a red kite\na blue door\n")
    as_json("generate", "--entrant", "swatch:teal", "--prompts", "mine.txt")
    Path("mine.txt").unlink()

    kept = as_json("generate", "--entrant", "swatch:rose", "--prompts", "mine.txt")
    unkept = canvas_evaluate("generate", "--entrant", "swatch:rose", "--prompts", "yours.txt")

    assert (kept["prompt_set"], kept["images"]) == ("mine.txt", 2)
    assert isinstance(unkept.exception, MissingPromptFileError)


def test_gallery_writes_a_sheet_or_a_folder(tmp_path: Path) -> None:
    paint("--entrant", "swatch:teal")

    sheet = as_json("gallery", "--prompts", "demo-6-seed0", "--out", str(tmp_path / "grid.png"))
    canvas_evaluate("gallery", "--prompts", "demo-6-seed0", "--out", str(tmp_path / "files"))

    assert sheet["entrants"] == ["teal"]
    assert (tmp_path / "grid.png").is_file()
    assert len(list((tmp_path / "files" / "00-teal").glob("*.png"))) == 6


def test_the_command_that_an_error_names_paints_what_was_missing() -> None:
    paint("--entrant", "swatch:teal")
    refused = canvas_evaluate(
        "gallery", "--prompts", "demo-6-seed0", "--entrant", "teal", "--seeds", "0,1", "--out", "x"
    )
    command = str(refused.exception).partition("canvas evaluate ")[2].partition("`")[0]

    painted = as_json(*command.split())

    assert (painted["images"], painted["new"]) == (12, 6)


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (["generate", "--entrant", "swatch:teal", "--prompts", "demo", "--seeds", "one"], ListError),
        (["generate", "--entrant", "swatch:teal", "--prompts", "unheard-of"], UnknownPromptSetError),
        (["score", "--prompts", "demo", "--metrics", ","], ListError),
    ],
)
def test_options_that_make_no_sense_are_refused(arguments: list[str], error: type[Exception]) -> None:
    paint("--entrant", "swatch:teal")

    result = canvas_evaluate(*arguments)

    assert isinstance(result.exception, error)


def test_the_commands_module_and_the_swatch_load_no_torch() -> None:
    """The first keeps --help quick; the second paints where torch is not installed."""
    script = (
        "import sys; import evaluation.cli; import evaluation.generate; import evaluation.samplers.swatch; "
        "sys.exit(bool({'torch', 'transformers', 'diffusers'} & set(sys.modules)))"
    )

    subprocess.run([sys.executable, "-c", script], check=True)
