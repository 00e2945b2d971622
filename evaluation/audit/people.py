"""People's answers join a run: they are kept beside its scores, and each judge's line can be drawn by them.

In: a run's folder, and a table of answers as the arena exports them or anyone writes them: model, prompt (its text or
its id), seed and human (0/1, yes/no); other columns are left alone. Several people's answers to one image become the
majority's; where they are even, nobody is taken to have said anything. Out: human.csv, calibration-JUDGE.json and new
labels.csv in the folder.
"""

import csv
import hashlib
from collections import defaultdict
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from evaluation.audit.calibration import Calibration, CalibrationError, calibrate, write_calibration
from evaluation.audit.judged import (
    HUMAN,
    Judged,
    Line,
    read_human,
    read_judged,
    read_points,
    refresh_labels,
    write_points,
)
from evaluation.audit.labels import FLAGS, FLAGS_IN_WORDS, LabelsError, read_table, refuse_pairs
from evaluation.folder_stage import json_bytes, read_manifest, write_atomically
from evaluation.weights import read_json
from prompts.errors import CanvasError, quoted

ABOUT = "human.json"


class HumanLabelsError(CanvasError):
    """A table of people's answers that cannot be used; the sentence names file and line."""


class UnknownPromptLabelsError(HumanLabelsError):
    """Answers about prompts or seeds that the run did not ask."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Merged:
    """What `merge_human` took: `labelled` of `images` have an answer, from `answers` in all. `even` images were left
    out because people disagreed evenly, `of_others` answers because they are about models that are not in the run."""

    labelled: int
    images: int
    answers: int
    even: int
    of_others: int
    labelled_at: str
    sha256: str

    def to_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        return asdict(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Answer:
    """One row of a table of answers; the prompt is a text or an id."""

    model: str
    prompt: str
    seed: int
    human: bool
    at: str
    where: str


def merge_human(folder: Path, table: Path, *, now: datetime) -> Merged:
    """Keep people's answers in `table` with the run in `folder`, in place of earlier ones, and write its labels anew.

    A column `labelled_at` or `ts` (ISO 8601) dates the answers; without it they are of `now`.
    Raises HumanLabelsError, PairAnswersError, UnknownPromptLabelsError, NoRunError and UnfinishedFolderError.
    """
    judged = read_judged(folder)
    answers = _read_answers(table)
    mine = [one for one in answers if one.model in set(judged.model)]
    if not mine:
        raise HumanLabelsError(
            f"{table} has no answer about {' or '.join(dict.fromkeys(judged.model))}: give answers about this run's "
            "models."
        )
    votes: dict[tuple[str, str, int], list[bool]] = defaultdict(list)
    for key, one in zip(_keys(judged, mine, table), mine, strict=True):
        votes[key].append(one.human)
    said = {key: sum(given) * 2 > len(given) for key, given in votes.items() if sum(given) * 2 != len(given)}
    merged = Merged(
        labelled=len(said),
        images=len(judged),
        answers=len(mine),
        even=len(votes) - len(said),
        of_others=len(answers) - len(mine),
        labelled_at=max((one.at for one in mine), default="") or now.astimezone(UTC).isoformat(timespec="seconds"),
        sha256=hashlib.sha256(table.read_bytes()).hexdigest(),
    )
    beside = folder / f".{HUMAN}.writing"
    with beside.open("w", encoding="utf-8", newline="") as lines:
        writer = csv.writer(lines)
        writer.writerow(("model", "prompt", "seed", "human", "people"))
        writer.writerows((*key, int(answer), len(votes[key])) for key, answer in said.items())
    beside.replace(folder / HUMAN)
    write_atomically(folder / ABOUT, json_bytes(merged.to_dict()))
    refresh_labels(folder)
    return merged


def calibrate_run(
    folder: Path, judge: str | None = None, *, max_false_alarms: float | None = None, detects: bool = False
) -> Calibration:
    """Draw the line of `judge`, or of the one that detects, by people's answers; keep it, and write the labels anew.

    `detects` makes it the judge whose calls are counted. Raises CalibrationError without answers or with too few,
    NoSuchJudgeError, NoRunError and UnfinishedFolderError.
    """
    judged, points, human = read_judged(folder), read_points(folder), read_human(folder)
    name = judge or points.detects
    column = judged.column(name)
    if name == points.consistency:
        raise CalibrationError(
            f"'{name}' says whether an image shows what was asked, and people were asked whom they recognise: their "
            "answers draw no line for it."
        )
    if not human:
        raise CalibrationError(f"Nobody labelled images of {folder} yet: give people's answers with --human FILE.")
    rows = [
        row for row in range(len(judged)) if (judged.model[row], judged.prompt[row], int(judged.seed[row])) in human
    ]
    seen = [human[judged.model[row], judged.prompt[row], int(judged.seed[row])] for row in rows]
    manifest = read_manifest(folder)
    found = calibrate(
        column.values[rows],
        np.array(seen, dtype=bool),
        [judged.character[row] for row in rows],
        judge=name,
        details=manifest.details["judges"][name]["details"],
        probes=manifest.details["probe_set"],
        kinds=sorted({judged.kind[row] for row in rows}),
        labelled_at=datetime.fromisoformat(read_json(folder / ABOUT, "people's answers")["labelled_at"]),
        max_false_alarms=max_false_alarms,
    )
    write_calibration(folder / f"calibration-{name}.json", found)
    line = Line(threshold=found.point.threshold, drawn_by="calibration", rule=found.point.rule)
    lines = {**points.lines, name: line}
    write_points(folder, replace(points, lines=lines, detects=name if detects else points.detects))
    refresh_labels(folder)
    return found


def _keys(judged: Judged, answers: list[_Answer], table: Path) -> list[tuple[str, str, int]]:
    """Model, prompt's text and seed of each answer. Raises UnknownPromptLabelsError."""
    texts = {one: text for text, one in zip(judged.prompt, judged.prompt_id, strict=True)}
    asked = {
        (model, prompt, int(seed)) for model, prompt, seed in zip(judged.model, judged.prompt, judged.seed, strict=True)
    }
    keys = [(one.model, texts.get(one.prompt, one.prompt), one.seed) for one in answers]
    unknown = [one for key, one in zip(keys, answers, strict=True) if key not in asked]
    if unknown:
        raise UnknownPromptLabelsError(
            f"{table} has {len(unknown):,} {'answer' if len(unknown) == 1 else 'answers'} about images that this run "
            f"did not ask for, the first in line {unknown[0].where}: {quoted(unknown[0].prompt)} with seed "
            f"{unknown[0].seed}. Give answers about this run's prompts and seeds."
        )
    return keys


def _read_answers(path: Path) -> list[_Answer]:
    try:
        table = read_table(path)
    except LabelsError as error:
        raise HumanLabelsError(str(error)) from error
    columns = table.columns
    refuse_pairs(path, columns)
    model = next((name for name in ("model", "entrant") if name in columns), None)
    prompt = next((name for name in ("prompt", "prompt_id") if name in columns), None)
    if model is None or prompt is None or not {"seed", "human"} <= set(columns):
        raise HumanLabelsError(
            f"{path} has the columns {', '.join(columns) or '(none)'}: it needs model, prompt, seed and human."
        )
    found = []
    for line, row in table.rows:
        answer, seed = (row["human"] or "").strip().lower(), (row["seed"] or "").strip()
        if not answer:
            continue
        if answer not in FLAGS:
            raise HumanLabelsError(f"{path}, line {line} has human {quoted(answer)}: {FLAGS_IN_WORDS}.")
        if not seed.isdecimal():
            raise HumanLabelsError(f"{path}, line {line} has the seed {quoted(seed)}, which is no whole number from 0.")
        found.append(
            _Answer(
                model=(row[model] or "").strip(),
                prompt=(row[prompt] or "").strip(),
                seed=int(seed),
                human=FLAGS[answer],
                at=_date(row.get("labelled_at") or row.get("ts"), f"{path}, line {line}"),
                where=str(line),
            )
        )
    return found


def _date(text: str | None, where: str) -> str:
    """`text` in UTC, so that dates compare as words; "" for none."""
    if not (text or "").strip():
        return ""
    try:
        read = datetime.fromisoformat((text or "").strip())
    except ValueError as error:
        raise HumanLabelsError(
            f"{where} has the date {quoted(text or '')}: write a date as in 2025-01-31T12:00:00+00:00."
        ) from error
    # A date that tells no zone is taken to be in UTC.
    aware = read if read.tzinfo is not None else read.replace(tzinfo=UTC)
    return aware.astimezone(UTC).isoformat(timespec="seconds")
