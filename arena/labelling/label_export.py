"""A label study's labels as a table: one row per label, for the audit and for anybody.

In: the study and its effective labels. Out: rows, CSV or JSON. Repeats and gold are not among them.
"""

import csv
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from arena.labelling.label_study import LabelStudy, Mode
from arena.ledger.label_records import LabelRecord
from prompts.errors import CanvasError

#: `human` is 1 where what was typed names the image's own target; another one, or none, stands in `which`.
COLUMNS: dict[Mode, tuple[str, ...]] = {
    "single": (
        "character",
        "prompt",
        "seed",
        "kind",
        "model",
        "human",
        "which",
        "closeness",
        "rater",
        "label_id",
        "ts",
    ),
    "pair": ("character", "prompt", "seed", "kind", "model_a", "model_b", "left", "answer", "rater", "label_id", "ts"),
}
#: What a spreadsheet takes for a formula when a cell begins with it.
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


class LabelExportError(CanvasError):
    """A file that labels cannot be written to."""


def label_rows(study: LabelStudy, labels: Iterable[LabelRecord]) -> list[dict[str, Any]]:
    """One row per label on what the study drew, under `COLUMNS`; `rater` is the random number, `prompt` the text."""
    prompts = {prompt.id: prompt for prompt in study.prompts}
    rows = []
    for label in labels:
        if label.kind != "study":
            continue
        prompt = prompts[label.prompt_id]
        row: dict[str, Any] = {
            "character": prompt.category,
            "prompt": prompt.text,
            "seed": label.seed,
            "kind": prompt.challenge,
        }
        row |= _single(label, prompt.category) if study.mode == "single" else _pair(study, label)
        rows.append(row | {"rater": label.rater, "label_id": label.label_id, "ts": label.ts.isoformat()})
    return rows


def write_label_rows(path: Path, mode: Mode, rows: Sequence[dict[str, Any]]) -> None:
    """Write the rows as CSV in UTF-8. Raises LabelExportError for another ending and a place that cannot be written.

    What was typed is a stranger's: where a spreadsheet would take it for a formula, an apostrophe stands before it.
    """
    if path.suffix.lower() != ".csv":
        raise LabelExportError(f"Labels are written as CSV, and {path} does not end in .csv. Name such a file.")
    beside = path.with_name(f".{path.name}.partial")
    try:
        with beside.open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, COLUMNS[mode])
            writer.writeheader()
            for row in rows:
                typed = row.get("which", "")
                safe = {"which": f"'{typed}"} if typed.startswith(_FORMULA) else {}
                writer.writerow(row | safe)
        beside.replace(path)
    except OSError as error:
        raise LabelExportError(f"{path} cannot be written: {error.strerror}. Name another place with --out.") from error


def _single(label: LabelRecord, own: str) -> dict[str, Any]:
    return {
        "model": label.entrants[0],
        "human": int(label.answer == "yes" and label.target == own),
        "which": label.which,
        "closeness": label.closeness or 0,
    }


def _pair(study: LabelStudy, label: LabelRecord) -> dict[str, Any]:
    first, second = next(group for group in study.groups if set(group) == set(label.entrants))
    return {
        "model_a": first,
        "model_b": second,
        "left": "A" if label.entrants[0] == first else "B",
        "answer": label.answer,
    }
