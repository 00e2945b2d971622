"""The demo's audit: the eye tells crosses; a planted icon is found with its sign, and none where there is none."""

import csv
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from arena.entering import read_entrant
from arena.images import ImageStore
from arena.ledger.ledger import Ledger
from canvas.demo.audit_step import KINDS, SEEDS
from canvas.demo.eye_judge import GATE, GATE_LINE, JUDGE, JUDGE_LINE, open_judge
from canvas.demo.shapes_probes import shapes_probes
from canvas.demo.shapes_world import draw
from evaluation.audit.analysis import analyse
from evaluation.audit.differences import KindResult, Verdict
from evaluation.audit.judges import CONSISTENCY, JUDGES
from evaluation.audit.judges.base import JudgeSettings
from evaluation.audit.labels import read_labels
from evaluation.audit.run import JudgeChoice, run_audit
from prompts.probes import CONTROLS
from prompts.sets.demo import SHAPES, ShapesScene, parse_caption

Paint = Callable[[ShapesScene, np.random.Generator], ShapesScene]


def _as_asked(scene: ShapesScene, rng: np.random.Generator) -> ShapesScene:
    """Draws what is asked, and once in five times another shape."""
    shape = scene.shape if rng.random() < 0.8 else str(rng.choice(SHAPES))
    return ShapesScene(shape=shape, colour=scene.colour, background=scene.background)


def _without_crosses(scene: ShapesScene, rng: np.random.Generator) -> ShapesScene:
    """Has never seen a cross: draws another shape in its place."""
    shape = scene.shape if scene.shape != "cross" else str(rng.choice(["circle", "square", "triangle"]))
    return ShapesScene(shape=shape, colour=scene.colour, background=scene.background)


def _gallery(folder: Path, paint: Paint, seed: int) -> Path:
    """A folder of images for all that the audit asks."""
    folder.mkdir()
    rng = np.random.default_rng(seed)
    with (folder / "gallery.csv").open("w", encoding="utf-8", newline="") as lines:
        writer = csv.writer(lines)
        writer.writerow(("file", "prompt", "seed"))
        for number, asked in enumerate(shapes_probes().asked(KINDS)):
            for one in SEEDS:
                name, scene = f"{number:03d}-{one}.png", parse_caption(asked.text)
                assert scene is not None, "all that the demo asks is in the world's grammar"
                draw(paint(scene, rng), rng).save(folder / name)
                writer.writerow((name, asked.text, one))
    return folder


def _audited(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, paint: Paint) -> KindResult:
    monkeypatch.setitem(JUDGES, JUDGE, JUDGE_LINE)
    monkeypatch.setitem(CONSISTENCY, GATE, GATE_LINE)
    _gallery(tmp_path / "reference", _as_asked, 1)
    _gallery(tmp_path / "mine", paint, 2)
    with Ledger.open(tmp_path / "ledger.db") as ledger:
        run_audit(
            ledger,
            ImageStore(str(tmp_path / "images")),
            entrant=read_entrant(str(tmp_path / "mine")),
            reference=read_entrant(str(tmp_path / "reference")),
            probes=shapes_probes(),
            kinds=KINDS,
            seeds=SEEDS,
            judges=[JudgeChoice(name=JUDGE, settings=JudgeSettings())],
            consistency=JudgeChoice(name=GATE, settings=JudgeSettings()),
            out=tmp_path / "audit",
            clock=lambda: datetime(2025, 3, 1, tzinfo=UTC),
        )
    labels = read_labels(tmp_path / "audit" / "labels.csv")
    found = analyse(labels, "reference", controls=[kind for kind in CONTROLS if kind in KINDS])
    return found.models["mine"].kinds["all"]


def test_the_eye_sees_drawn_crosses_of_the_probes_colour_and_nothing_else() -> None:
    probes = shapes_probes()
    judge = open_judge(probes, JudgeSettings())
    rng = np.random.default_rng(0)
    asked = [
        (probe, ShapesScene(shape=shape, colour=colour, background="purple"))
        for probe in probes
        for shape in SHAPES
        for colour in ("red", "blue")
    ]

    scores = judge.judge([draw(scene, rng) for _, scene in asked], [probe for probe, _ in asked], [""] * len(asked))

    called = scores.values >= judge.default_threshold
    assert called.tolist() == [
        probe.key == f"{scene.colour}-cross" and scene.shape == "cross" for probe, scene in asked
    ]


def test_who_never_saw_the_icon_is_found_to_show_it_less_and_still_draws_what_is_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = _audited(tmp_path, monkeypatch, _without_crosses)

    assert found.verdict is Verdict.LESS
    assert found.rate == 0
    assert found.interval[1] < 0
    assert found.test.exact
    assert found.consistency is not None
    assert found.consistency.kept


def test_two_that_learned_the_same_are_not_told_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = _audited(tmp_path, monkeypatch, _as_asked)

    assert found.verdict in {Verdict.NO_MORE, Verdict.INCONCLUSIVE}
    assert found.test.p > 0.05
