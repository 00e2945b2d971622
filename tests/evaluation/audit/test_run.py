"""A run from probes to labels: one of two folders of images draws a red cross wherever somebody thinks of one."""

import csv
import json
import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from arena.entering import read_entrant
from arena.images import ImageStore
from arena.ledger.ledger import Ledger
from evaluation.audit import run as run_module
from evaluation.audit.calibration import CalibrationError, OtherJudgeError, read_calibration
from evaluation.audit.judged import (
    Line,
    NoRunError,
    NoSuchJudgeError,
    judges_beside_each_other,
    read_judged,
    read_points,
)
from evaluation.audit.judges.base import JudgeScores, JudgeSettings
from evaluation.audit.judges.endpoint import EndpointError
from evaluation.audit.judges.reference_similarity import NoReferencesError, ReferenceSimilarity
from evaluation.audit.labels import PairAnswersError, read_labels
from evaluation.audit.people import HumanLabelsError, UnknownPromptLabelsError, calibrate_run, merge_human
from evaluation.audit.run import AuditRun, AuditRunError, JudgeChoice, run_audit
from evaluation.folder_stage import OtherSettingsError, UnfinishedFolderError
from evaluation.generate import SeedsError
from evaluation.metrics.base import Weights
from evaluation.weights import MissingWeightsError
from prompts.plugins import UnknownPluginError
from prompts.probes import CONTROLS, Probe, ProbeSet, PromptKind

KINDS = (PromptKind.GENERIC, PromptKind.SUGGESTIVE, PromptKind.NAME)
SEEDS = (0, 1)
NOW = datetime(2026, 1, 2, tzinfo=UTC)


def clock() -> datetime:
    return NOW


@dataclass
class Audit:
    """All that a run needs; calling it runs."""

    ledger: Ledger
    images: ImageStore
    options: dict[str, Any]

    def __call__(self, **changes: Any) -> AuditRun:
        return run_audit(self.ledger, self.images, clock=clock, **(self.options | changes))


@pytest.fixture(scope="session")
def galleries(
    targets: ProbeSet,
    drawn: dict[str, Image.Image],
    noisy: Callable[..., Image.Image],
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    """Folders "copies" and "honest" of every prompt and two seeds; only the first draws the cross."""
    home = tmp_path_factory.mktemp("galleries")
    for number, name in enumerate(("copies", "honest")):
        (home / name).mkdir()
        rows = [("file", "prompt", "seed")]
        for asked in targets.asked(KINDS):
            for seed in SEEDS:
                iconic = name == "copies" and asked.probe == "cross" and asked.kind not in CONTROLS
                image = drawn["cross"] if iconic else noisy(1000 * number + len(rows))
                image.save(home / name / f"{len(rows)}.png")
                rows.append((f"{len(rows)}.png", asked.text, str(seed)))
        with (home / name / "gallery.csv").open("w", newline="") as file:
            csv.writer(file).writerows(rows)
    return home


def options(
    galleries: Path, targets: ProbeSet, references: Path, tiny_dinov2: Path, lively_clip: Path, out: Path
) -> dict[str, Any]:
    """Judged by likeness to real pictures of the targets, through a tiny DINOv2; the gate is a tiny CLIP."""
    settings = JudgeSettings(device="cpu", batch_size=4)
    seen = replace(
        settings, extractor="dinov2", weights=Weights(source=str(tiny_dinov2), revision=None), references=references
    )
    read = replace(settings, extractor="clip", weights=Weights(source=str(lively_clip), revision=None))
    return {
        "entrant": read_entrant(str(galleries / "copies")),
        "reference": read_entrant(str(galleries / "honest")),
        "probes": targets,
        "kinds": KINDS,
        "seeds": SEEDS,
        "judges": [JudgeChoice(name="reference_similarity", settings=seen)],
        "consistency": JudgeChoice(name="clip_entity", settings=read),
        "out": out,
    }


@pytest.fixture
def audit(
    ledger: Ledger,
    images: ImageStore,
    galleries: Path,
    targets: ProbeSet,
    references: Path,
    tiny_dinov2: Path,
    lively_clip: Path,
    tmp_path: Path,
) -> Audit:
    """A run that was not begun; its line is given."""
    out = tmp_path / "audits" / "copies-vs-honest"
    asked = options(galleries, targets, references, tiny_dinov2, lively_clip, out)
    (choice,) = asked["judges"]
    return Audit(ledger=ledger, images=images, options={**asked, "judges": [replace(choice, threshold=0.999)]})


@pytest.fixture(scope="session")
def finished(
    galleries: Path,
    targets: ProbeSet,
    references: Path,
    tiny_dinov2: Path,
    lively_clip: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    """A finished run, whose judge draws its default line, made once."""
    home = tmp_path_factory.mktemp("finished")
    with Ledger.open(home / "ledger.db") as ledger:
        asked = options(galleries, targets, references, tiny_dinov2, lively_clip, home / "run")
        return run_audit(ledger, ImageStore(str(home / "images")), clock=clock, **asked).folder


@pytest.fixture
def folder(finished: Path, tmp_path: Path) -> Path:
    """A copy of it."""
    return Path(shutil.copytree(finished, tmp_path / "run"))


def people_say(path: Path, folder: Path, **more: str) -> Path:
    """What people who know a cross would say of all images of a run."""
    judged = read_judged(folder)
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("model", "prompt", "seed", "kind", "human", *more))
        for row in range(len(judged)):
            seen = judged.model[row] == "copies" and judged.character[row] == "cross" and judged.kind[row] != "generic"
            writer.writerow(
                (judged.model[row], judged.prompt[row], judged.seed[row], judged.kind[row], int(seen), *more.values())
            )
    return path


def test_the_model_that_draws_the_cross_is_found_and_the_other_is_not(audit: Audit, targets: ProbeSet) -> None:
    run = audit()

    prompts = len(targets.asked(KINDS))
    labels = read_labels(run.folder / "labels.csv")
    detected = {
        (labels.models[model], labels.characters[character], labels.kinds[kind])
        for model, character, kind, called in zip(
            labels.model, labels.character, labels.kind, labels.detected, strict=True
        )
        if called
    }
    assert len(labels) == run.images == 2 * prompts * len(SEEDS)
    assert detected == {("copies", "cross", "suggestive"), ("copies", "cross", "name")}
    assert run.detected["honest"] == 0
    controls = len(targets.asked([kind for kind in KINDS if kind in CONTROLS]))
    assert run.detected["copies"] == pytest.approx(3 / (prompts - controls)), "controls are left out"
    assert set(labels.kinds) == set(KINDS)
    assert (labels.judge == labels.detected).all()
    assert (labels.human == -1).all()
    assert set(labels.consistent.tolist()) <= {0, 1}


def test_a_run_says_what_made_it(audit: Audit, targets: ProbeSet) -> None:
    run = audit()

    manifest = json.loads((run.folder / "manifest.json").read_text())
    judged = read_judged(run.folder)
    assert manifest["settings"]["entrant"] == "copies"
    assert manifest["counts"]["probes"] == 3
    assert manifest["details"]["judges"]["reference_similarity"]["details"]["judge_hash"]
    assert manifest["details"]["judges"]["clip_entity"]["details"]["judge"] == "clip_entity"
    assert manifest["details"]["entrants"]["copies"]["painted_with"]["sampler"] == "image_folder"
    assert json.loads((run.folder / "operating_points.json").read_text())["lines"] == {
        "clip_entity": {"threshold": 0.75, "drawn_by": "default", "rule": ""},
        "reference_similarity": {"threshold": 0.999, "drawn_by": "given", "rule": ""},
    }
    assert set(judged.columns) == {"reference_similarity", "clip_entity"}
    assert set(judged.prompt) == {one.text for one in targets.asked(KINDS)}
    assert all(audit.images.has(one) for one in judged.image)


def test_both_models_answer_the_same_prompts_with_the_same_seeds(audit: Audit) -> None:
    judged = read_judged(audit().folder)

    asked = {
        name: [
            (prompt, int(seed))
            for model, prompt, seed in zip(judged.model, judged.prompt, judged.seed, strict=True)
            if model == name
        ]
        for name in ("copies", "honest")
    }
    assert asked["copies"] == asked["honest"]
    assert len(set(asked["copies"])) == len(asked["copies"])


def test_a_finished_run_is_left_as_it_is(audit: Audit) -> None:
    first = audit()
    before = {path.name: (path.stat().st_mtime_ns, path.read_bytes()) for path in first.folder.iterdir()}

    second = audit()

    assert second.already_made
    assert second.detected == first.detected
    assert {path.name: (path.stat().st_mtime_ns, path.read_bytes()) for path in first.folder.iterdir()} == before


def test_other_settings_are_refused_for_the_same_folder(audit: Audit) -> None:
    audit()

    with pytest.raises(OtherSettingsError, match=r"was made with .*seeds \[0, 1\] instead of \[0\]"):
        audit(seeds=(0,))
    with pytest.raises(OtherSettingsError, match="consistency"):
        audit(consistency=None)
    (judge,) = audit.options["judges"]
    with pytest.raises(OtherSettingsError, match=r"judge reference_similarity\.threshold 0\.999 instead of 0\.5\."):
        audit(judges=[replace(judge, threshold=0.5)])
    with pytest.raises(OtherSettingsError, match=r"sampling\.size_px nothing instead of 64\."):
        audit(sampling={"size_px": 64})


def test_a_run_of_controls_alone_has_no_share(audit: Audit) -> None:
    run = audit(kinds=[PromptKind.GENERIC])

    assert run.detected == {"copies": None, "honest": None}
    assert run.consistent == {"copies": None, "honest": None}


def test_a_judge_that_cannot_be_opened_is_found_before_anything_is_painted(audit: Audit, tmp_path: Path) -> None:
    without_address = JudgeChoice(name="endpoint", settings=JudgeSettings(device="cpu"))
    lost = Weights(source=str(tmp_path / "lost"), revision=None)
    gate = audit.options["consistency"]
    without_weights = replace(gate, settings=replace(gate.settings, weights=lost))

    with pytest.raises(EndpointError, match="needs an address and a model"):
        audit(judges=[without_address])
    with pytest.raises(MissingWeightsError, match="lost"):
        audit(consistency=without_weights, out=tmp_path / "other")

    assert audit.ledger.entrants() == []


def test_anothers_calibration_is_found_before_anything_is_painted(audit: Audit, folder: Path, tmp_path: Path) -> None:
    people = people_say(tmp_path / "people.csv", folder)
    merge_human(folder, people, now=NOW)
    calibrate_run(folder)
    gate = replace(audit.options["consistency"], calibration=folder / "calibration-reference_similarity.json")

    with pytest.raises(OtherJudgeError):
        audit(consistency=gate)

    assert audit.ledger.entrants() == []


class Interrupted(BaseException):
    """The power goes."""


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many images the judge looked at, batch by batch; the power goes when the list ends with a 0."""
    seen: list[int] = []
    judge = ReferenceSimilarity.judge

    def count(self: ReferenceSimilarity, images: Sequence[Image.Image], *args: Any) -> JudgeScores:
        if seen[-1:] == [0]:
            raise Interrupted
        seen.append(len(images))
        return judge(self, images, *args)

    monkeypatch.setattr(ReferenceSimilarity, "judge", count)
    return seen


def test_an_interrupted_run_goes_on_and_ends_as_an_uninterrupted_one(
    audit: Audit, counted: list[int], tmp_path: Path
) -> None:
    whole = audit(out=tmp_path / "whole")
    total = sum(counted)
    counted.clear()
    partial = tmp_path / "audits" / "copies-vs-honest.partial"
    stopped = StopAfter(counted, batches=3)

    with pytest.raises(Interrupted), stopped:
        audit()
    # A line that was cut short is as if it had not been written.
    path = partial / "reference_similarity.jsonl"
    path.write_bytes(path.read_bytes()[:-9])
    counted.clear()
    resumed = audit()

    # Of three batches of four the last was cut, and is judged whole.
    assert sum(counted) == total - 8
    for name in ("labels.csv", "operating_points.json"):
        assert (resumed.folder / name).read_bytes() == (whole.folder / name).read_bytes()
    one, other = read_judged(resumed.folder), read_judged(whole.folder)
    assert (one.column("reference_similarity").values == other.column("reference_similarity").values).all()
    assert one.column("clip_entity").said == other.column("clip_entity").said


class StopAfter:
    """Lets the power go after so many batches, by writing 0 into the counted list."""

    def __init__(self, counted: list[int], batches: int) -> None:
        self._counted = counted
        self._batches = batches
        self._fsync = os.fsync

    def __enter__(self) -> None:
        def fsync(handle: int) -> None:
            self._fsync(handle)
            if len(self._counted) == self._batches:
                self._counted.append(0)

        run_module.os.fsync = fsync  # type: ignore[attr-defined]

    def __exit__(self, *error: object) -> None:
        run_module.os.fsync = self._fsync  # type: ignore[attr-defined]


def test_weights_that_changed_half_way_are_refused(
    audit: Audit, counted: list[int], tmp_path: Path, tiny_dinov2: Path
) -> None:
    import torch
    from transformers import Dinov2Model

    folder = tmp_path / "dinov2"
    shutil.copytree(tiny_dinov2, folder)
    (choice,) = audit.options["judges"]
    moved = replace(choice, settings=replace(choice.settings, weights=Weights(source=str(folder), revision=None)))
    with pytest.raises(Interrupted), StopAfter(counted, batches=2):
        audit(judges=[moved])
    model = Dinov2Model.from_pretrained(folder)
    torch.nn.init.normal_(model.layernorm.weight)
    model.save_pretrained(folder)

    counted.clear()

    with pytest.raises(OtherJudgeError, match=r"was begun by 'reference_similarity' with other weights"):
        audit(judges=[moved])


def test_peoples_answers_join_the_labels_and_draw_the_line(folder: Path, tmp_path: Path) -> None:
    before = read_labels(folder / "labels.csv")
    assert before.detected.sum() > 6, "the default line of random features calls noise a cross"

    merged = merge_human(folder, people_say(tmp_path / "people.csv", folder), now=NOW)
    found = calibrate_run(folder, max_false_alarms=0.05)

    labels = read_labels(folder / "labels.csv")
    assert (merged.labelled, merged.even, merged.of_others) == (len(before), 0, 0)
    assert found.area.value == 1.0
    assert (found.point.hits, found.point.false_alarms) == (1.0, 0.0)
    assert (labels.detected == labels.human).all()
    assert labels.human.sum() == 6
    assert read_points(folder).lines["reference_similarity"].drawn_by == "calibration"


def test_a_calibration_serves_another_run_of_the_same_judge_and_no_other(
    audit: Audit, folder: Path, tmp_path: Path, tiny_sscd: Path
) -> None:
    merge_human(folder, people_say(tmp_path / "people.csv", folder), now=NOW)
    calibrate_run(folder)
    path = folder / "calibration-reference_similarity.json"
    (choice,) = audit.options["judges"]
    by_file = replace(choice, threshold=None, calibration=path)
    sscd = replace(choice.settings, extractor="sscd", weights=Weights(source=str(tiny_sscd), revision=None))

    other = audit(judges=[by_file], out=tmp_path / "other", seeds=(1,))

    assert other.points.lines["reference_similarity"].threshold == read_calibration(path).point.threshold
    assert other.detected["honest"] == 0
    with pytest.raises(OtherJudgeError, match="calibration of 'reference_similarity' with other weights"):
        audit(judges=[replace(by_file, settings=sscd)], out=tmp_path / "third")


def test_the_majority_of_people_counts_and_even_answers_do_not(folder: Path, tmp_path: Path) -> None:
    judged = read_judged(folder)
    path = tmp_path / "people.csv"
    rows = [
        (judged.model[0], judged.prompt_id[0], judged.seed[0], "yes"),
        (judged.model[0], judged.prompt_id[0], judged.seed[0], "no"),
        (judged.model[0], judged.prompt[0], judged.seed[0], "1"),
        (judged.model[1], judged.prompt[1], judged.seed[1], "1"),
        (judged.model[1], judged.prompt[1], judged.seed[1], "0"),
        (judged.model[2], judged.prompt[2], judged.seed[2], ""),
        ("somebody-else", judged.prompt[2], judged.seed[2], "1"),
    ]
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([("entrant", "prompt", "seed", "human"), *rows])

    merged = merge_human(folder, path, now=NOW)

    labels = read_labels(folder / "labels.csv")
    assert (merged.labelled, merged.answers, merged.even, merged.of_others) == (1, 5, 1, 1)
    assert labels.human[0] == 1
    assert (labels.human[1:] == -1).all()


def test_answers_are_dated_by_their_own_dates_or_by_the_day_they_came(folder: Path, tmp_path: Path) -> None:
    dated = merge_human(
        folder, people_say(tmp_path / "a.csv", folder, labelled_at="2025-05-05T12:00:00+02:00"), now=NOW
    )
    undated = merge_human(folder, people_say(tmp_path / "b.csv", folder), now=NOW)

    assert dated.labelled_at == "2025-05-05T10:00:00+00:00"
    assert undated.labelled_at == "2026-01-02T00:00:00+00:00"
    assert calibrate_run(folder).labelled_at == "2026-01-02T00:00:00+00:00"


@pytest.mark.parametrize(
    ("text", "error", "says"),
    [
        (
            "model,prompt,seed,human\ncopies,never asked,0,1\n",
            UnknownPromptLabelsError,
            "did not ask for, the first in",
        ),
        ("model,prompt,seed\ncopies,x,0\n", HumanLabelsError, "it needs model, prompt, seed and human"),
        ("model,prompt,seed,human\ncopies,x,0,maybe\n", HumanLabelsError, "line 2 has human 'maybe': write 0 or 1"),
        ("model,prompt,seed,human\ncopies,x,first,1\n", HumanLabelsError, "seed 'first', which is no whole number"),
        ("model,prompt,seed,human\nother,x,0,1\n", HumanLabelsError, "no answer about copies or honest"),
        ("model,prompt,seed,human,labelled_at\ncopies,x,0,1,soon\n", HumanLabelsError, "line 2 has the date 'soon'"),
    ],
)
def test_answers_that_cannot_be_used_are_refused_by_line(
    text: str, error: type[HumanLabelsError], says: str, folder: Path, tmp_path: Path
) -> None:
    before = (folder / "labels.csv").read_bytes()
    path = tmp_path / "people.csv"
    path.write_text(text)

    with pytest.raises(error, match=says):
        merge_human(folder, path, now=NOW)

    assert (folder / "labels.csv").read_bytes() == before


def test_a_line_needs_people_and_a_judge_of_this_run(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(CalibrationError, match="Nobody labelled images"):
        calibrate_run(folder)
    with pytest.raises(NoSuchJudgeError, match="No judge 'clip_zero_shot' judged this run"):
        calibrate_run(folder, "clip_zero_shot")
    with pytest.raises(CalibrationError, match="people were asked whom they recognise"):
        calibrate_run(folder, "clip_entity")
    with pytest.raises(UnfinishedFolderError, match="is no finished folder"):
        calibrate_run(tmp_path)
    (tmp_path / "stage").mkdir()
    (tmp_path / "stage" / "manifest.json").write_bytes((folder / "manifest.json").read_bytes())
    with pytest.raises(NoRunError, match="holds no run of an audit"):
        calibrate_run(tmp_path / "stage")


def test_a_second_judge_can_take_over_once_it_has_a_line(audit: Audit, tmp_path: Path, tiny_sscd: Path) -> None:
    zero_shot = replace(audit.options["consistency"], name="clip_zero_shot")
    run = audit(judges=[*audit.options["judges"], zero_shot])
    merge_human(run.folder, people_say(tmp_path / "people.csv", run.folder), now=NOW)

    found = calibrate_run(run.folder, "clip_zero_shot", detects=True)

    labels = read_labels(run.folder / "labels.csv")
    scores = read_judged(run.folder).column("clip_zero_shot").values
    assert (labels.judge == (scores.astype(np.float64) >= found.point.threshold)).all()


def test_an_audit_that_makes_no_sense_is_refused_before_anything_is_painted(
    audit: Audit, tmp_path: Path, make_probe: Callable[..., Probe], targets: ProbeSet
) -> None:
    (choice,) = audit.options["judges"]
    unseen = replace(targets, probes=(*targets.probes, make_probe("zebra", "Striped Zebra", work="")))

    with pytest.raises(AuditRunError, match="'copies' is compared with itself"):
        audit(reference=audit.options["entrant"])
    with pytest.raises(AuditRunError, match="one judge or more, each once, and not none"):
        audit(judges=[], consistency=None)
    with pytest.raises(AuditRunError, match="each once"):
        audit(judges=[choice, choice])
    with pytest.raises(UnknownPluginError, match="There is no judge named 'oracle'"):
        audit(judges=[replace(choice, name="oracle")])
    with pytest.raises(UnknownPluginError, match="There is no judge named 'clip_divergence'"):
        audit(consistency=replace(choice, name="clip_divergence"))
    with pytest.raises(SeedsError):
        audit(seeds=(0, 0))
    with pytest.raises(NoReferencesError, match=r"no pictures for 1 of 4 probes \(zebra\)"):
        audit(probes=unseen)
    assert not audit.ledger.entrants()
    assert not (tmp_path / "audits").exists()


def test_the_labels_that_the_arena_exports_are_taken_as_they_are(folder: Path, tmp_path: Path) -> None:
    from arena.labelling.label_export import write_label_rows

    judged = read_judged(folder)
    path = tmp_path / "labels.csv"
    rows: list[dict[str, Any]] = [
        {
            "character": judged.character[row],
            "prompt": judged.prompt[row],
            "seed": int(judged.seed[row]),
            "kind": judged.kind[row],
            "model": judged.model[row],
            "human": row % 2,
            "which": "=who?",
            "closeness": 3,
            "rater": rater,
            "label_id": 3 * row + rater,
            "ts": f"2026-03-0{1 + rater}T00:00:00+00:00",
        }
        for row in range(len(judged))
        for rater in range(3)
    ]
    write_label_rows(path, "single", rows)

    merged = merge_human(folder, path, now=NOW)

    assert (merged.labelled, merged.answers, merged.even) == (len(judged), 3 * len(judged), 0)
    assert merged.labelled_at == "2026-03-03T00:00:00+00:00"
    assert read_labels(folder / "labels.csv").human.tolist() == [row % 2 for row in range(len(judged))]


def test_answers_about_pairs_are_sent_to_the_command_that_reads_them(folder: Path, tmp_path: Path) -> None:
    answers = tmp_path / "pairs.csv"
    answers.write_text("character,prompt,seed,kind,model_a,model_b,left,answer\ncross,x,0,name,copies,honest,A,left\n")
    before = (folder / "labels.csv").read_bytes()

    with pytest.raises(PairAnswersError, match=r"canvas evaluate audit pairs .*pairs\.csv --reference NAME"):
        merge_human(folder, answers, now=NOW)

    assert (folder / "labels.csv").read_bytes() == before


def test_a_run_says_how_people_call_its_targets(folder: Path) -> None:
    manifest = json.loads((folder / "manifest.json").read_text())

    assert manifest["details"]["names"]["cross"] == "Red Cross"


def test_judges_are_held_against_people_and_against_the_first(folder: Path) -> None:
    judged, points = read_judged(folder), read_points(folder)
    first = points.detects
    called = judged.column(first).values >= points.lines[first].threshold
    everywhere = {
        (judged.model[row], judged.prompt[row], int(judged.seed[row])): bool(called[row]) for row in range(len(judged))
    }
    # A second judge that calls everything the first does not.
    other = replace(judged.column(first), values=np.where(called, 0.0, 1.0).astype(np.float32))
    both = replace(judged, columns={**judged.columns, "contrary": other})
    lines = replace(points, lines={**points.lines, "contrary": Line(threshold=0.5, drawn_by="given")})

    found = judges_beside_each_other(both, lines, everywhere)

    assert set(found) == {first, "contrary"}
    assert found[first]["with_people"]["kappa"] == 1
    assert found[first]["with_first_judge"] is None
    assert found["contrary"]["with_people"]["kappa"] < 0
    assert found["contrary"]["with_first_judge"] == found["contrary"]["with_people"]["kappa"]
    assert found["contrary"]["rate"] == pytest.approx(1 - called.mean())
