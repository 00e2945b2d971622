"""`canvas evaluate audit run`, `calibrate` and `judges`, as people type them."""

import csv
import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import typer
from PIL import Image
from typer.testing import CliRunner

from evaluation.audit.judged import read_judged
from evaluation.audit.judges import CONSISTENCY, JUDGES
from evaluation.audit.judges.endpoint import EndpointError
from evaluation.audit.judges.reference_similarity import NoReferencesError
from evaluation.audit.labels import read_labels
from evaluation.audit.people import UnknownPromptLabelsError
from evaluation.cli_audit_run import SD2, AuditOptionError, _entrant, calibrate, judges, run
from evaluation.cli_options import ListError
from evaluation.weights import MissingWeightsError
from prompts.errors import CanvasError
from prompts.plugins import UnknownPluginError
from prompts.probes import ProbeError, find_probes

app = typer.Typer()
for command in (run, calibrate, judges):
    app.command()(command)

SHAPES = """
name = "shapes"
licence = "CC0-1.0"
source = "made up"

[[probe]]
key = "cross"
target = "logo"
name = "Red Cross"
entity = "a sign"
generic = "a sign on a wall"
misspelled = "Rhed Crooss"
suggestive = ["the helpers' well known sign"]
keywords = [{words}]
description = "Two bars of one length, of a warm colour, on white."
captions = ["an image of the red cross"]
name_prompt = "Red Cross"
source = "made up"
"""


def called(*words: str) -> Any:
    """What the command printed as JSON, or raises what it raised."""
    return json.loads(CliRunner().invoke(app, [*words, "--json"], catch_exceptions=False).stdout)


@dataclass
class Desk:
    """A folder with an arena, a file of probes and two folders of images."""

    home: Path
    tiny: tuple[str, ...]

    def words(self, *more: str) -> list[str]:
        """The command that runs the audit of "copies" against "honest"."""
        return [
            "run",
            str(self.home / "copies"),
            "--reference",
            str(self.home / "honest"),
            "--probes",
            str(self.home / "shapes.toml"),
            "--kinds",
            "generic,suggestive,name",
            "--seeds",
            "0,1",
            "--arena",
            str(self.home / "arena"),
            "--device",
            "cpu",
            *self.tiny,
            *more,
        ]


@pytest.fixture
def desk(
    tmp_path: Path,
    drawn: dict[str, Image.Image],
    noisy: Callable[..., Image.Image],
    references: Path,
    tiny_dinov2: Path,
    lively_clip: Path,
) -> Desk:
    """One of the two draws the cross for all that is no control."""
    (tmp_path / "arena").mkdir()
    path = tmp_path / "shapes.toml"
    path.write_text(SHAPES.format(words=", ".join(f'"word {number}"' for number in range(20))))
    for name in ("copies", "honest"):
        (tmp_path / name).mkdir()
        rows = [("file", "prompt", "seed")]
        for asked in find_probes(str(path)).asked():
            for seed in (0, 1):
                iconic = name == "copies" and asked.kind != "generic"
                file = f"{len(rows)}.png"
                (drawn["cross"] if iconic else noisy(len(rows))).save(tmp_path / name / file)
                rows.append((file, asked.text, str(seed)))
        with (tmp_path / name / "gallery.csv").open("w", newline="") as table:
            csv.writer(table).writerows(rows)
    tiny = (
        *("--judge", "reference_similarity", "--references", str(references)),
        *("--extractor", "reference_similarity=dinov2", "--weights", f"reference_similarity={tiny_dinov2}"),
        *("--extractor", "clip_entity=clip", "--weights", f"clip_entity={lively_clip}"),
    )
    return Desk(home=tmp_path, tiny=tiny)


def test_an_audit_is_run_calibrated_and_used_again(desk: Desk) -> None:
    first = called(*desk.words())
    folder = desk.home / "arena" / "audits" / "copies-vs-honest"
    judged = read_judged(folder)
    answers = desk.home / "people.csv"
    with answers.open("w", newline="") as file:
        csv.writer(file).writerows(
            [("model", "prompt", "seed", "human")]
            + [
                (model, prompt, seed, int(model == "copies" and kind != "generic"))
                for model, prompt, seed, kind in zip(judged.model, judged.prompt, judged.seed, judged.kind, strict=True)
            ]
        )

    found = called("calibrate", str(folder), "--human", str(answers), "--max-false-alarms", "0.05")
    again = called(*desk.words())
    line = folder / "calibration-reference_similarity.json"
    other = called(*desk.words("--calibration", f"reference_similarity={line}", "--out", str(desk.home / "other")))

    assert first["folder"] == str(folder)
    assert first["models"] == ["copies", "honest"]
    assert (first["images"], first["already_made"]) == (12, False)
    assert first["judges"]["lines"]["reference_similarity"]["drawn_by"] == "default"
    assert (found["area"]["value"], found["positives"], found["negatives"]) == (1.0, 4, 8)
    assert again["already_made"]
    assert again["detected"] == other["detected"] == {"copies": 1.0, "honest": 0.0}, "controls left out"
    labels = read_labels(folder / "labels.csv")
    assert (labels.detected == labels.human).all()


def test_people_are_shown_shares_and_told_of_lines_that_nobody_drew(desk: Desk) -> None:
    ungated = Desk(home=desk.home, tiny=desk.tiny[:8])

    shown = CliRunner().invoke(app, ungated.words("--consistency", "none"), catch_exceptions=False)

    assert "copies" in shown.stdout
    assert "detected" in shown.stdout
    assert "The line of reference_similarity, 0.5, is its default, a convention" in shown.stderr
    assert "clip_entity" not in shown.stderr


def test_the_judges_are_listed() -> None:
    listed = called("judges")

    assert [one["name"] for one in listed] == [*JUDGES, *CONSISTENCY]
    assert all(one["about"] for one in listed)
    assert "clip_divergence" in CliRunner().invoke(app, ["judges"]).stdout


@pytest.mark.parametrize(
    ("more", "error", "says"),
    [
        (("--judge", "oracle"), UnknownPluginError, "no judge named 'oracle'. Known: clip_divergence"),
        (("--consistency", "oracle"), UnknownPluginError, "no judge named 'oracle'. Known: clip_entity"),
        (("--kinds", "generic,psychic"), AuditOptionError, "no kind of prompt 'psychic'. Known: generic"),
        (("--threshold", "reference_similarity=high"), AuditOptionError, "is no number"),
        (("--threshold", "clip_divergence=0.1"), ListError, "names nothing known"),
        (
            ("--threshold", "reference_similarity=0.1", "--calibration", "reference_similarity=x.json"),
            AuditOptionError,
            "both a --threshold and a --calibration",
        ),
        (("--calibration", "reference_similarity=x.json"), CanvasError, "cannot be read as a calibration"),
        (("--references", "nowhere"), NoReferencesError, "There is no folder nowhere of reference pictures"),
        (("--probes", "ghosts"), ProbeError, "ghosts"),
        (("--endpoint-key", "CANVAS_TEST_NO_KEY"), AuditOptionError, "CANVAS_TEST_NO_KEY is empty or not set"),
        (("--weights", "reference_similarity=/no/where"), MissingWeightsError, "There is no folder /no/where"),
    ],
)
def test_what_cannot_be_run_is_said_in_a_sentence(
    more: tuple[str, ...], error: type[CanvasError], says: str, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CANVAS_TEST_NO_KEY", raising=False)
    words = desk.words()
    if more[0] == "--weights":
        words = [word for word in words if not word.startswith("reference_similarity=/")]
        words.remove("--weights")

    with pytest.raises(error) as raised:
        CliRunner().invoke(app, [*words, *more], catch_exceptions=False)

    assert says in str(raised.value)


def test_a_probe_without_a_target_is_refused_by_line(desk: Desk) -> None:
    path = desk.home / "shapes.toml"
    path.write_text(path.read_text().replace('target = "logo"\n', ""))

    with pytest.raises(ProbeError, match=r"shapes.toml, line \d+: There is no 'target' in the probe 'cross'"):
        called(*desk.words())


def test_answers_about_prompts_that_were_not_asked_are_refused(desk: Desk) -> None:
    folder = called(*desk.words())["folder"]
    answers = desk.home / "people.csv"
    answers.write_text("model,prompt,seed,human\ncopies,a ghost,0,1\n")

    with pytest.raises(UnknownPromptLabelsError, match="'a ghost' with seed 0"):
        called("calibrate", folder, "--human", str(answers))


def test_an_endpoint_without_an_address_is_refused(desk: Desk) -> None:
    words = desk.words("--consistency", "none", "--judge", "endpoint", "--out", str(desk.home / "by-endpoint"))
    words = [word for word in words if "=" not in word and word not in ("--weights", "--extractor")]

    with pytest.raises(EndpointError, match="needs an address and a model"):
        called(*words)


def test_sd2_is_known_by_itself_until_somebody_enters_another(ledger: Any) -> None:
    from datetime import UTC, datetime

    from arena.ledger.records import Entrant

    published = _entrant(ledger, "sd2")
    ledger.enter(Entrant(name="sd2", source="swatch:mine", sampler="swatch"), now=datetime.now(UTC))

    assert (published.source, published.sampler) == (SD2, "diffusers")
    assert _entrant(ledger, "sd2").source == "swatch:mine"


def test_another_name_is_a_gallery_of_its_own(desk: Desk) -> None:
    first = called(*desk.words())

    again = called(*desk.words("--name", "copies-again", "--reference-name", "honest-again"))

    assert first["models"] == ["copies", "honest"]
    assert again["models"] == ["copies-again", "honest-again"]
    assert again["folder"].endswith("copies-again-vs-honest-again")
    assert again["detected"]["copies-again"] == first["detected"]["copies"]


def test_a_name_is_also_given_to_what_is_known_by_itself_or_entered(ledger: Any) -> None:
    from datetime import UTC, datetime

    from arena.ledger.records import Entrant

    published = _entrant(ledger, "sd2", "sd2-short")
    ledger.enter(Entrant(name="mine", source="swatch:mine", sampler="swatch"), now=datetime.now(UTC))
    entered = _entrant(ledger, "mine", "mine-short")

    assert (published.name, published.source) == ("sd2-short", SD2)
    assert (entered.name, entered.source) == ("mine-short", "swatch:mine")


def test_the_commands_load_nothing_heavy_until_they_run() -> None:
    code = (
        "import sys, evaluation.cli_audit_run\n"
        "heavy = {'torch', 'numpy', 'transformers', 'httpx', 'PIL', 'sqlalchemy'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )

    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
