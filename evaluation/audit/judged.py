"""What judges said of every image of an audit, as a file; and the labels that follow from it.

In: a run's folder. Out: `Judged`, a row per image, from scores.npz; the line of each judge, from operating_points.json;
people's answers, from human.csv. Scores are never changed: another line or more people only make other labels.
"""

import csv
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32, Int64

from evaluation.audit.judge_agreement import judge_agreement
from evaluation.audit.judges.base import JudgeError
from evaluation.audit.labels import UNKNOWN, Label, write_labels
from evaluation.folder_stage import json_bytes, read_manifest, write_atomically

SCORES, POINTS, LABELS, HUMAN = "scores.npz", "operating_points.json", "labels.csv", "human.csv"
_TEXTS = ("model", "character", "prompt", "prompt_id", "kind", "image")


class NoSuchJudgeError(JudgeError):
    """A judge that did not judge this run."""


class NoRunError(JudgeError):
    """A folder that holds no finished run of an audit."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Column:
    """One judge's scores, and for each image which probe it shows and what the judge said, "" for nothing."""

    values: Float32[np.ndarray, " images"]
    recognised: tuple[str, ...]
    said: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Judged:
    """Every image of a run; `character` is the probe's key and `image` its hash in the store."""

    model: tuple[str, ...]
    character: tuple[str, ...]
    prompt: tuple[str, ...]
    prompt_id: tuple[str, ...]
    kind: tuple[str, ...]
    image: tuple[str, ...]
    seed: Int64[np.ndarray, " images"]
    columns: Mapping[str, Column]

    def __len__(self) -> int:
        """How many images there are."""
        return len(self.model)

    def column(self, judge: str) -> Column:
        """What `judge` said. Raises NoSuchJudgeError."""
        if judge not in self.columns:
            raise NoSuchJudgeError(f"No judge '{judge}' judged this run. Judges: {', '.join(self.columns)}.")
        return self.columns[judge]


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """The score from which on a judge's call is yes. `drawn_by` is "default", "given" or "calibration"."""

    threshold: float
    drawn_by: str
    rule: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Points:
    """Each judge's line; `detects` is the judge whose calls are counted, `consistency` that of the gate, or None."""

    lines: Mapping[str, Line]
    detects: str
    consistency: str | None

    def to_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        return {
            "detects": self.detects,
            "consistency": self.consistency,
            "lines": {name: asdict(line) for name, line in self.lines.items()},
        }


def write_judged(folder: Path, judged: Judged) -> None:
    """Write scores.npz, which holds no pickles."""
    arrays: dict[str, Any] = {name: np.array(getattr(judged, name), dtype=np.str_) for name in _TEXTS}
    arrays |= {"seed": judged.seed, "judges": np.array(list(judged.columns), dtype=np.str_)}
    for name, column in judged.columns.items():
        arrays[f"score_{name}"] = column.values
        arrays[f"recognised_{name}"] = np.array(column.recognised, dtype=np.str_)
        arrays[f"said_{name}"] = np.array(column.said, dtype=np.str_)
    beside = folder / f".{SCORES}.writing"
    with beside.open("wb") as file:
        np.savez_compressed(file, **arrays)
    beside.replace(folder / SCORES)


def read_judged(folder: Path) -> Judged:
    """What was judged in a finished run's folder. Raises NoRunError and UnfinishedFolderError."""
    read_manifest(folder)
    try:
        with np.load(folder / SCORES, allow_pickle=False) as arrays:
            texts = {name: tuple(str(one) for one in arrays[name]) for name in _TEXTS}
            columns = {
                str(name): Column(
                    values=arrays[f"score_{name}"],
                    recognised=tuple(str(one) for one in arrays[f"recognised_{name}"]),
                    said=tuple(str(one) for one in arrays[f"said_{name}"]),
                )
                for name in arrays["judges"]
            }
            return Judged(**texts, seed=arrays["seed"], columns=columns)
    except (OSError, ValueError, KeyError) as error:
        raise NoRunError(
            f"{folder} holds no run of an audit ({SCORES}: {error}): name one that `canvas evaluate audit run` made."
        ) from error


def write_points(folder: Path, points: Points) -> None:
    """Write operating_points.json."""
    write_atomically(folder / POINTS, json_bytes(points.to_dict()))


def read_points(folder: Path) -> Points:
    """The lines of a run's judges. Raises NoRunError."""
    try:
        told = json.loads((folder / POINTS).read_text(encoding="utf-8"))
        lines = {name: Line(**line) for name, line in told["lines"].items()}
        return Points(lines=lines, detects=told["detects"], consistency=told["consistency"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise NoRunError(
            f"{folder / POINTS} cannot be read ({error}): name a folder that `canvas evaluate audit run` made."
        ) from error


def read_human(folder: Path) -> dict[tuple[str, str, int], bool]:
    """What people said of images, by model, prompt and seed; empty where nobody was asked yet."""
    path = folder / HUMAN
    if not path.is_file():
        return {}
    with path.open(encoding="utf-8", newline="") as lines:
        return {(row["model"], row["prompt"], int(row["seed"])): row["human"] == "1" for row in csv.DictReader(lines)}


def labels_of_run(judged: Judged, points: Points, human: Mapping[tuple[str, str, int], bool]) -> list[Label]:
    """A label per image: `detected` and `judge` are the call of the judge that detects, `human` what people said."""
    called = _calls(judged, points, points.detects)
    consistent: Sequence[bool | None] = [None] * len(judged)
    if points.consistency is not None:
        consistent = _calls(judged, points, points.consistency)
    return [
        Label(
            character=judged.character[row],
            prompt=judged.prompt[row],
            seed=int(judged.seed[row]),
            kind=judged.kind[row],
            model=judged.model[row],
            detected=called[row],
            consistent=consistent[row],
            judge=called[row],
            human=human.get((judged.model[row], judged.prompt[row], int(judged.seed[row]))),
        )
        for row in range(len(judged))
    ]


def refresh_labels(folder: Path) -> list[Label]:
    """Write labels.csv of a run's folder anew, from its scores, lines and people's answers, and return the labels."""
    judged = read_judged(folder)
    labels = labels_of_run(judged, read_points(folder), read_human(folder))
    beside = folder / f".{LABELS}.writing"
    write_labels(beside, labels)
    beside.replace(folder / LABELS)
    return labels


def judges_beside_each_other(
    judged: Judged, points: Points, human: Mapping[tuple[str, str, int], bool]
) -> dict[str, dict[str, Any]]:
    """How far each judge agrees with people, and with the judge that detects, as JSON values; without the gate."""
    rows = range(len(judged))
    said = [human.get((judged.model[row], judged.prompt[row], int(judged.seed[row]))) for row in rows]
    people = np.array([UNKNOWN if one is None else int(one) for one in said], dtype=np.int8)
    first = np.array(_calls(judged, points, points.detects), dtype=np.int8)
    found = {}
    for name in points.lines:
        if name == points.consistency:
            continue
        called = np.array(_calls(judged, points, name), dtype=np.int8)
        found[name] = {
            "rate": float(called.mean()),
            "with_people": judge_agreement(called, people).to_dict() if (people != UNKNOWN).any() else None,
            "with_first_judge": None if name == points.detects else judge_agreement(called, first).kappa,
        }
    return found


def _calls(judged: Judged, points: Points, judge: str) -> list[bool]:
    scores = judged.column(judge).values.astype(np.float64)
    return [bool(call) for call in scores >= points.lines[judge].threshold]
