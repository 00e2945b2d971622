"""A run: two entrants paint the same prompts with the same seeds, and judges look at every image.

In: an arena, two entrants, probes and judges. Out: a folder with scores.npz (every judge's score of every image),
labels.csv (what the analysis reads), operating_points.json (each judge's line), a .jsonl per judge, and manifest.json.
An interrupted run goes on where it stopped; a finished one is left as it is. Judges are opened one at a time: once
before anything is painted, to see that they can be, and again when there is something to judge.
"""

import hashlib
import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from arena.images import ImageStore
from arena.ledger.ledger import Ledger
from arena.ledger.records import Entrant
from evaluation.audit.calibration import OtherJudgeError, read_calibration
from evaluation.audit.judged import (
    LABELS,
    Column,
    Judged,
    Line,
    Points,
    labels_of_run,
    read_judged,
    read_points,
    write_judged,
    write_points,
)
from evaluation.audit.judges import CONSISTENCY, JUDGES
from evaluation.audit.judges.base import Judge, JudgeSettings
from evaluation.audit.judges.reference_similarity import hash_of_references, reference_pictures
from evaluation.audit.labels import write_labels
from evaluation.folder_stage import Made, Stage, StageResult, run_stage
from evaluation.galleries import whole_gallery
from evaluation.generate import check_seeds, generate
from evaluation.ordered import ordered_map
from prompts.console import progress
from prompts.errors import CanvasError, quoted
from prompts.plugins import load_plugin
from prompts.probes import CONTROLS, Probe, ProbeSet, PromptKind
from prompts.prompt import PromptSet

SEEDS = (0, 1, 2, 3)
_READERS = 4


class AuditRunError(CanvasError):
    """An audit that cannot be run as it was asked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgeChoice:
    """A line of JUDGES or CONSISTENCY, how it is opened, and its line: `threshold`, or that of a calibration's file,
    or else the judge's default."""

    name: str
    settings: JudgeSettings
    threshold: float | None = None
    calibration: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditRun:
    """A finished run. `detected` is each model's share of images that the first judge calls, `consistent` that of the
    gate, None without one. Controls are not among these images, as in the analysis; where nothing else was asked the
    shares are None."""

    result: StageResult
    models: tuple[str, ...]
    images: int
    points: Points
    detected: dict[str, float | None]
    consistent: dict[str, float | None] | None

    @property
    def folder(self) -> Path:
        """Where it lies."""
        return self.result.folder

    @property
    def already_made(self) -> bool:
        """Whether nothing had to be done."""
        return self.result.already_made

    def to_dict(self) -> dict[str, Any]:
        """As one JSON value."""
        return {
            "folder": str(self.folder),
            "already_made": self.already_made,
            "models": list(self.models),
            "images": self.images,
            "detected": self.detected,
            "consistent": self.consistent,
            "judges": self.points.to_dict(),
            "manifest": asdict(self.result.manifest),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asked:
    """One image of the run."""

    model: str
    probe: Probe
    prompt: str
    prompt_id: str
    kind: str
    seed: int
    image: str


def run_audit(
    ledger: Ledger,
    images: ImageStore,
    *,
    entrant: Entrant,
    reference: Entrant,
    probes: ProbeSet,
    kinds: Sequence[PromptKind] | None = None,
    seeds: Sequence[int] = SEEDS,
    judges: Sequence[JudgeChoice],
    consistency: JudgeChoice | None,
    out: Path,
    clock: Callable[[], datetime],
    sampling: Mapping[str, Any] | None = None,
) -> AuditRun:
    """Paint both galleries, judge every image, and write `out`; `judges[0]` is the one whose calls are counted.

    `kinds` None is all kinds. `sampling` are fields of SamplerSettings, the same for both entrants.
    Raises AuditRunError (one entrant twice, no judge or one twice), SeedsError, UnknownPluginError for an unknown
    judge, OtherSettingsError for a folder of another run, OtherJudgeError for another judge's calibration or for
    weights that changed half-way, and what `generate` and the judges raise.
    """
    check_seeds(seeds)
    _check(entrant, reference, judges, consistency)
    prompts = probes.prompt_set(kinds)
    choices = [*judges, *([] if consistency is None else [consistency])]
    stage = Stage(
        name="audit",
        out=out,
        inputs={"probes": hash_of_probes(probes), "prompts": prompts.id},
        settings={
            "entrant": entrant.name,
            "reference": reference.name,
            "kinds": None if kinds is None else sorted(set(kinds)),
            "seeds": list(seeds),
            "judges": [one.name for one in judges],
            "consistency": None if consistency is None else consistency.name,
            "sampling": {name: value for name, value in (sampling or {}).items() if name not in _CIRCUMSTANCES},
            **{f"judge {one.name}": _asked_of(one, probes) for one in choices},
        },
    )

    def work(partial: Path) -> Made:
        for choice in choices:
            _require_usable(choice, probes, is_gate=choice is consistency)
        painted = {
            one.name: generate(
                ledger, images, entrant=one, prompts=prompts, seeds=seeds, settings=sampling, clock=clock
            )
            for one in (entrant, reference)
        }
        rows = [row for one in (entrant, reference) for row in _rows(ledger, one.name, prompts, probes, seeds)]
        columns: dict[str, Column] = {}
        lines: dict[str, Line] = {}
        about: dict[str, Any] = {}
        for choice in choices:
            judge = _opened(choice, probes, is_gate=choice is consistency)
            details = judge.details
            lines[choice.name] = _line(choice, judge, details)
            columns[choice.name], counts = _judged(partial, choice, judge, details, rows, images)
            about[choice.name] = {"details": details, "counts": counts}
        judged = _table(rows, columns)
        points = Points(
            lines=lines, detects=judges[0].name, consistency=None if consistency is None else consistency.name
        )
        write_judged(partial, judged)
        write_points(partial, points)
        write_labels(partial / LABELS, labels_of_run(judged, points, {}))
        entered = {one.name: one for one in ledger.entrants()}
        return Made(
            counts={"images": len(rows), "prompts": len(prompts), "probes": len(probes), "seeds": len(seeds)},
            details={
                "probe_set": probes.name,
                "names": {probe.key: probe.name for probe in probes},
                "entrants": {name: entered[name].details for name in painted},
                "prompts_cut": {name: one.cut for name, one in painted.items()},
                "judges": about,
            },
        )

    return _finished(run_stage(stage, work, now=clock()), models=(entrant.name, reference.name))


def hash_of_probes(probes: ProbeSet) -> str:
    """One hash of all that the probes say."""
    told = [asdict(probe) for probe in probes]
    return hashlib.sha256(json.dumps(told, sort_keys=True, ensure_ascii=False).encode()).hexdigest()


# Sampler settings that change no image, or none that matters.
_CIRCUMSTANCES = {"batch_size", "device"}


def _check(
    entrant: Entrant, reference: Entrant, judges: Sequence[JudgeChoice], consistency: JudgeChoice | None
) -> None:
    if entrant.name == reference.name:
        raise AuditRunError(f"'{entrant.name}' is compared with itself: name another --reference.")
    names = [one.name for one in judges] + ([] if consistency is None else [consistency.name])
    if not judges or len(set(names)) != len(names):
        raise AuditRunError(f"An audit has one judge or more, each once, and not {', '.join(names) or 'none'}.")
    for table, chosen in ((JUDGES, judges), (CONSISTENCY, [] if consistency is None else [consistency])):
        for one in chosen:
            load_plugin(table, one.name, "judge")


def _asked_of(choice: JudgeChoice, probes: ProbeSet) -> dict[str, Any]:
    """What decides a judge's calls, as far as it is known before the judge is opened."""
    how = choice.settings
    return {
        "weights": None if how.weights is None else [how.weights.source, how.weights.revision],
        "extractor": how.extractor,
        "dtype": how.dtype,
        "references": None
        if how.references is None
        else hash_of_references(reference_pictures(how.references, probes)),
        "address": how.address,
        "model": how.model,
        "threshold": choice.threshold,
        "calibration": None
        if choice.calibration is None
        else hashlib.sha256(json.dumps(read_calibration(choice.calibration).to_dict()).encode()).hexdigest(),
    }


def _opened(choice: JudgeChoice, probes: ProbeSet, *, is_gate: bool) -> Judge:
    judge: Judge = load_plugin(CONSISTENCY if is_gate else JUDGES, choice.name, "judge")(probes, choice.settings)
    return judge


def _require_usable(choice: JudgeChoice, probes: ProbeSet, *, is_gate: bool) -> None:
    """Open the judge and let it go again: missing weights are to be known before hours of painting, not after them."""
    judge = _opened(choice, probes, is_gate=is_gate)
    _line(choice, judge, judge.details)


def _line(choice: JudgeChoice, judge: Judge, details: Mapping[str, Any]) -> Line:
    if choice.calibration is not None:
        found = read_calibration(choice.calibration, judge_hash=details["judge_hash"])
        return Line(threshold=found.point.threshold, drawn_by="calibration", rule=found.point.rule)
    if choice.threshold is not None:
        return Line(threshold=choice.threshold, drawn_by="given")
    return Line(threshold=judge.default_threshold, drawn_by="default")


def _rows(ledger: Ledger, name: str, prompts: PromptSet, probes: ProbeSet, seeds: Sequence[int]) -> list[_Asked]:
    asked = {prompt.id: prompt for prompt in prompts}
    of_key = {probe.key: probe for probe in probes}
    return [
        _Asked(
            model=name,
            probe=of_key[asked[one.prompt_id].category],
            prompt=asked[one.prompt_id].text,
            prompt_id=one.prompt_id,
            kind=asked[one.prompt_id].challenge,
            seed=one.seed,
            image=one.image_hash,
        )
        for one in whole_gallery(ledger, name, prompts, seeds).images
    ]


def _judged(
    partial: Path,
    choice: JudgeChoice,
    judge: Judge,
    details: Mapping[str, Any],
    rows: Sequence[_Asked],
    images: ImageStore,
) -> tuple[Column, dict[str, int]]:
    """The judge's column and its counts; each batch is durable when it is done."""
    path = partial / f"{choice.name}.jsonl"
    done, counts = _read_lines(path, str(details["judge_hash"]), choice.name)
    size = choice.settings.batch_size
    # A batch that was cut short is judged whole again: scores come out as they would have without the interruption.
    waiting = [
        batch
        for batch in (rows[start : start + size] for start in range(0, len(rows), size))
        if any((row.model, row.prompt_id, row.seed) not in done for row in batch)
    ]
    left = sum(len(batch) for batch in waiting)
    with (
        path.open("a", encoding="utf-8") as lines,
        progress(f"{choice.name} looks at the images", total=len(rows)) as tick,
    ):
        tick(len(rows) - left)
        pictures = ordered_map(
            lambda row: images.open(row.image), chain.from_iterable(waiting), threads=_READERS, ahead=2 * size
        )
        for batch in waiting:
            looked_at = [next(pictures) for _ in batch]
            found = judge.judge(looked_at, [row.probe for row in batch], [row.prompt for row in batch], tick)
            told: list[dict[str, Any]] = [
                {
                    "model": row.model,
                    "prompt": row.prompt_id,
                    "seed": row.seed,
                    "score": float(found.values[place]),
                    "recognised": found.recognised[place],
                    "said": found.said[place],
                }
                for place, row in enumerate(batch)
            ]
            if found.counts:
                told.append({"counts": found.counts})
            lines.write("".join(json.dumps(one, ensure_ascii=False) + "\n" for one in told))
            lines.flush()
            os.fsync(lines.fileno())
            for one in told:
                _take(one, done, counts)
    kept = [done[row.model, row.prompt_id, row.seed] for row in rows]
    return Column(
        values=np.array([one["score"] for one in kept], dtype=np.float32),
        recognised=tuple(one["recognised"] or "" for one in kept),
        said=tuple(one["said"] or "" for one in kept),
    ), counts


_Done = dict[tuple[str, str, int], dict[str, Any]]


def _read_lines(path: Path, judge_hash: str, name: str) -> tuple[_Done, dict[str, int]]:
    """What an earlier run judged; a line that was cut short is dropped. A new file begins with the judge's hash."""
    done: _Done = {}
    counts: dict[str, int] = {}
    whole = path.read_bytes() if path.is_file() else b""
    whole = whole[: whole.rfind(b"\n") + 1]
    if not whole:
        path.write_text(json.dumps({"judge_hash": judge_hash}) + "\n", encoding="utf-8")
        return done, counts
    first, *others = [json.loads(line) for line in whole.decode().splitlines()]
    if first["judge_hash"] != judge_hash:
        raise OtherJudgeError(
            f"{path} was begun by {quoted(name)} with other weights or settings: delete {path.parent} and begin anew, "
            "or name another folder with --out."
        )
    path.write_bytes(whole)
    for one in others:
        _take(one, done, counts)
    return done, counts


def _take(told: dict[str, Any], done: _Done, counts: dict[str, int]) -> None:
    for name, count in told.get("counts", {}).items():
        counts[name] = counts.get(name, 0) + count
    if "score" in told:
        done[told["model"], told["prompt"], told["seed"]] = told


def _table(rows: Sequence[_Asked], columns: Mapping[str, Column]) -> Judged:
    return Judged(
        model=tuple(row.model for row in rows),
        character=tuple(row.probe.key for row in rows),
        prompt=tuple(row.prompt for row in rows),
        prompt_id=tuple(row.prompt_id for row in rows),
        kind=tuple(row.kind for row in rows),
        image=tuple(row.image for row in rows),
        seed=np.array([row.seed for row in rows], dtype=np.int64),
        columns=columns,
    )


def _finished(result: StageResult, *, models: tuple[str, ...]) -> AuditRun:
    judged, points = read_judged(result.folder), read_points(result.folder)
    labels = [one for one in labels_of_run(judged, points, {}) if one.kind not in CONTROLS]
    calls = {name: [one for one in labels if one.model == name] for name in models}
    return AuditRun(
        result=result,
        models=models,
        images=len(judged),
        points=points,
        detected={name: _share([one.detected for one in rows]) for name, rows in calls.items()},
        consistent=None
        if points.consistency is None
        else {name: _share([bool(one.consistent) for one in rows]) for name, rows in calls.items()},
    )


def _share(calls: Sequence[bool]) -> float | None:
    return float(np.mean(calls)) if calls else None
