"""The demo: one command walks the whole road, can be interrupted anywhere, and shows simulated votes as simulated."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from arena.ledger.ledger import Ledger
from canvas.demo.layout import MODELS, PARTI_STUDY, SHAPES_STUDY, DemoFolderError, Layout, claim

CANVAS = Path(sys.executable).with_name("canvas")
SMALL = ("--no-serve", "--images", "240", "--effort", "0.005", "--simulate-raters", "3")
NO_FILE = "there-is-no-such-file.tsv"


@dataclass(frozen=True, slots=True, kw_only=True)
class Walk:
    status: int
    said: str


def walk(folder: Path, *, interrupt_at: str | None = None, parti: str | None = None) -> Walk:
    """Run the demo in a process of its own; Ctrl-C it when it says `interrupt_at`."""
    environment = {name: value for name, value in os.environ.items() if name != "ARENA_PARTI_PROMPTS"}
    if parti is not None:
        environment["ARENA_PARTI_PROMPTS"] = parti
    demo = subprocess.Popen(
        [CANVAS, "demo", "--folder", str(folder), *SMALL], stderr=subprocess.PIPE, text=True, env=environment
    )
    said = []
    assert demo.stderr is not None
    for line in demo.stderr:
        said.append(line)
        if interrupt_at is not None and interrupt_at in line:
            demo.send_signal(signal.SIGINT)
            interrupt_at = None
    return Walk(status=demo.wait(timeout=60), said="".join(said))


@dataclass(frozen=True, slots=True, kw_only=True)
class Walked:
    layout: Layout
    interrupted: Walk
    resumed: Walk
    again: Walk


@pytest.fixture(scope="module")
def walked(tmp_path_factory: pytest.TempPathFactory) -> Walked:
    """A demo that was interrupted in a training, resumed to its end, and then walked once more."""
    folder = tmp_path_factory.mktemp("walk") / "demo"
    parti = os.environ.get("ARENA_PARTI_PROMPTS")
    return Walked(
        layout=Layout(folder=folder),
        interrupted=walk(folder, interrupt_at="Training sd2-tiny ...", parti=parti),
        resumed=walk(folder, parti=parti),
        again=walk(folder, parti=parti),
    )


@pytest.fixture
def ledger(walked: Walked) -> Iterator[Ledger]:
    with Ledger.open(walked.layout.arena / "ledger.db") as opened:
        yield opened


@pytest.mark.slow
def test_an_interrupted_walk_says_so_and_the_next_one_goes_on_from_there(walked: Walked) -> None:
    assert walked.interrupted.status == 130
    assert "goes on from there" in walked.interrupted.said
    assert "Traceback" not in walked.interrupted.said
    assert walked.resumed.status == 0, walked.resumed.said
    assert "Drawing" not in walked.resumed.said
    assert "Trained l-nc-tiny" in walked.resumed.said


@pytest.mark.slow
def test_a_finished_road_is_not_walked_again(walked: Walked) -> None:
    assert walked.again.status == 0
    assert "[" not in walked.again.said
    assert "3 simulated raters have voted already" in walked.again.said


@pytest.mark.slow
def test_every_model_is_entered_painted_and_scored(walked: Walked, ledger: Ledger) -> None:
    study = ledger.study(SHAPES_STUDY).study

    scores = {(score.entrant, score.metric) for score in ledger.scores()}

    assert {entrant.name for entrant in ledger.entrants()} == {model.name for model in MODELS}
    assert all(not ledger.missing_images(model.name, study.prompts, study.seeds) for model in MODELS)
    assert scores == {(model.name, metric) for model in MODELS for metric in ("clip_score", "clip_fid")}


@pytest.mark.slow
def test_the_simulated_votes_are_marked_and_people_have_cast_none(ledger: Ledger) -> None:
    simulated = ledger.votes(SHAPES_STUDY, raters="simulated")

    assert len(simulated) == 90
    assert all(vote.simulated for vote in simulated)
    assert ledger.votes(SHAPES_STUDY, raters="people") == []
    assert ledger.verify(SHAPES_STUDY)


@pytest.mark.slow
@pytest.mark.skipif(not os.environ.get("ARENA_PARTI_PROMPTS"), reason="ARENA_PARTI_PROMPTS names no copy of the file")
def test_real_parti_prompts_wait_in_a_second_study(ledger: Ledger) -> None:
    study = ledger.study(PARTI_STUDY)

    assert study.is_open
    assert len(study.study.prompts) == 24
    assert study.study.entrants == ("sd2-tiny", "l-nc-tiny")


@pytest.mark.slow
def test_what_each_step_took_is_noted(walked: Walked) -> None:
    times = json.loads(walked.layout.times.read_text("utf-8"))

    assert {"source", "split", "captions", "shards", "base", "latents", "export", "paint"} <= times.keys()


def test_a_parti_file_that_is_not_there_stops_the_walk_before_it_begins(tmp_path: Path) -> None:
    stopped = walk(tmp_path / "demo", parti=str(tmp_path / NO_FILE))

    assert stopped.status == 1
    assert NO_FILE in stopped.said
    assert "[1/" not in stopped.said


def test_a_folder_of_something_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "holiday.jpg").write_bytes(b"")

    with pytest.raises(DemoFolderError, match="not empty and not the demo's"):
        claim(Layout(folder=tmp_path))


def test_a_demo_of_another_size_is_not_mixed_in(tmp_path: Path) -> None:
    claim(Layout(folder=tmp_path, images=300))

    with pytest.raises(DemoFolderError, match="other options"):
        claim(Layout(folder=tmp_path, images=400))
