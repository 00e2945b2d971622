"""Labels: what was seen in each audited image, as a table of one row per model, prompt and seed.

In: a CSV or TSV file with the columns character, prompt, seed, kind, model and detected, and optionally consistent,
judge and human. Out: `Labels`, columns of codes. `detected`, `consistent` and `human` are 0 or 1, or any word of FLAGS;
the last two may be empty. `judge` is the same, the automatic judge's own call, or the judge's name: then its call is
`detected`.
Every model must have been asked the same: a row that has no partner in another model is refused, because a difference
of models asked different things is no difference of models.
"""

import csv
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Int8, Int32, Int64

from prompts.errors import CanvasError, quoted

NEEDED = ("character", "prompt", "seed", "kind", "model", "detected")
OPTIONAL = ("consistent", "judge", "human")
#: Nobody said.
UNKNOWN = -1
#: How a table may say no and yes, in any case.
FLAGS = {
    "0": False,
    "1": True,
    "0.0": False,
    "1.0": True,
    "no": False,
    "yes": True,
    "false": False,
    "true": True,
}
#: How a table may say it, for a sentence that refuses another word.
FLAGS_IN_WORDS = "write 0 or 1 (no and yes, false and true mean the same)"


class LabelsError(CanvasError):
    """Labels that cannot be analysed; the sentence names file and row."""


class PairAnswersError(LabelsError):
    """A table of answers about pairs of images, where one of single images is wanted."""


class UnpairedLabelsError(LabelsError):
    """Labels of a prompt and seed that another model was not asked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Label:
    """One row. `consistent`, `judge` and `human` are None where nobody said."""

    character: str
    prompt: str
    seed: int
    kind: str
    model: str
    detected: bool
    consistent: bool | None = None
    judge: bool | None = None
    human: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Labels:
    """One row per image; codes count into the names beside them. `consistent`, `judge` and `human` are 0, 1 or UNKNOWN.

    `item` numbers what was asked, a prompt with its kind and seed: rows of different models with one item are partners.
    `file` is the table that they were read from and `line` where each stands in it, counted from 1; "" and 0 for none.
    """

    character: Int32[np.ndarray, " rows"]
    prompt: Int32[np.ndarray, " rows"]
    seed: Int64[np.ndarray, " rows"]
    kind: Int32[np.ndarray, " rows"]
    model: Int32[np.ndarray, " rows"]
    item: Int32[np.ndarray, " rows"]
    detected: Int8[np.ndarray, " rows"]
    consistent: Int8[np.ndarray, " rows"]
    judge: Int8[np.ndarray, " rows"]
    human: Int8[np.ndarray, " rows"]
    line: Int64[np.ndarray, " rows"]
    characters: tuple[str, ...]
    prompts: tuple[str, ...]
    kinds: tuple[str, ...]
    models: tuple[str, ...]
    file: str = ""

    def __len__(self) -> int:
        """How many images there are."""
        return len(self.model)

    def rows(self, kept: Bool[np.ndarray, " rows"]) -> "Labels":
        """The rows that are kept; names and codes stay as they are."""
        names = {name: getattr(self, name) for name in ("characters", "prompts", "kinds", "models", "file")}
        return Labels(**{column: getattr(self, column)[kept] for column in _COLUMNS}, **names)


_COLUMNS = (
    *("character", "prompt", "seed", "kind", "model", "item"),
    *("detected", "consistent", "judge", "human", "line"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A table as it stands in a file: its columns' names in lower case, and its rows with their lines."""

    columns: list[str]
    rows: list[tuple[int, dict[str, str | None]]]


def read_table(path: Path) -> Table:
    """A .csv or .tsv file in UTF-8 with a header. Raises LabelsError.

    A row's line is the one that it ends on, counted from 1: cells may hold line breaks, and blank lines are left out.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as lines:
            reader = csv.DictReader(lines, delimiter="\t" if path.suffix.lower() == ".tsv" else ",")
            columns = [column.strip().lower() for column in reader.fieldnames or []]
            reader.fieldnames = columns
            return Table(columns=columns, rows=[(reader.line_num, row) for row in reader])
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise LabelsError(f"{path} cannot be read as a table in UTF-8 ({error}): name a .csv or .tsv file.") from error


def refuse_pairs(path: Path, columns: Sequence[str]) -> None:
    """Raises PairAnswersError for a table that `canvas arena labels export` wrote of a study of pairs."""
    if {"model_a", "model_b", "answer"} <= set(columns):
        raise PairAnswersError(
            f"{path} holds answers about pairs of images, which say which model resembles a target more and not "
            f"whether one does: analyse them with `canvas evaluate audit pairs {path} --reference NAME`, or give the "
            'answers of a label study with mode = "single".'
        )


def read_labels(path: Path) -> Labels:
    """The labels of a .csv or .tsv file in UTF-8. Raises LabelsError, PairAnswersError and UnpairedLabelsError."""
    table = read_table(path)
    columns = table.columns
    refuse_pairs(path, columns)
    missing = [column for column in NEEDED if column not in columns]
    if missing:
        raise LabelsError(
            f"{path} has no column {', '.join(missing)}; its columns are {', '.join(columns) or 'none'}. "
            f"An audit needs {', '.join(NEEDED)}, and may have {', '.join(OPTIONAL)}."
        )
    labels = [_label(row, f"{path}, line {line}") for line, row in table.rows]
    try:
        return labels_of(labels, file=str(path), lines=[line for line, _ in table.rows])
    except LabelsError as error:
        raise type(error)(f"{path}: {error}") from error


def write_labels(path: Path, labels: Iterable[Label]) -> None:
    """Write `labels` as CSV, so that `read_labels` gives them back."""
    with path.open("w", encoding="utf-8", newline="") as lines:
        writer = csv.writer(lines)
        writer.writerow((*NEEDED, *OPTIONAL))
        for one in labels:
            said = ("" if value is None else int(value) for value in (one.consistent, one.judge, one.human))
            writer.writerow((one.character, one.prompt, one.seed, one.kind, one.model, int(one.detected), *said))


def labels_of(labels: Sequence[Label], *, file: str = "", lines: Sequence[int] | None = None) -> Labels:
    """The table of these labels; `file` and `lines` say where they were read, for sentences about them.

    Raises LabelsError for no label, one image labelled twice, and a prompt that belongs to two characters.
    """
    if not labels:
        raise LabelsError("There are no labels: give one row per image.")
    characters, prompts, kinds, models = (
        tuple(sorted({getattr(one, column) for one in labels})) for column in ("character", "prompt", "kind", "model")
    )
    seen = _different(labels, lines)
    asked = {item: number for number, item in enumerate(sorted({image[1:] for image in seen}))}
    return Labels(
        character=_codes([one.character for one in labels], characters),
        prompt=_codes([one.prompt for one in labels], prompts),
        seed=np.array([one.seed for one in labels], dtype=np.int64),
        kind=_codes([one.kind for one in labels], kinds),
        model=_codes([one.model for one in labels], models),
        item=np.array([asked[one.kind, one.prompt, one.seed] for one in labels], dtype=np.int32),
        detected=np.array([one.detected for one in labels], dtype=np.int8),
        consistent=_said([one.consistent for one in labels]),
        judge=_said([one.judge for one in labels]),
        human=_said([one.human for one in labels]),
        line=np.array([0] * len(labels) if lines is None else lines, dtype=np.int64),
        file=file,
        characters=characters,
        prompts=prompts,
        kinds=kinds,
        models=models,
    )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Pairs:
    """Two models' answers to the same items, item by item, sorted by item; `character` and `kind` are the items'."""

    item: Int32[np.ndarray, " items"]
    character: Int32[np.ndarray, " items"]
    prompt: Int32[np.ndarray, " items"]
    kind: Int32[np.ndarray, " items"]
    model: Int64[np.ndarray, " items"]
    reference: Int64[np.ndarray, " items"]
    """Row numbers into the labels."""


def paired(labels: Labels, model: str, reference: str) -> Pairs:
    """The rows of `model` beside those of `reference`.

    Raises LabelsError for a name that has no row, UnpairedLabelsError where one of them was not asked what the other
    was.
    """
    for name in (model, reference):
        if name not in labels.models:
            raise LabelsError(f"There is no model '{name}' among the labels. Models: {', '.join(labels.models)}.")
    rows = [np.flatnonzero(labels.model == labels.models.index(name)) for name in (model, reference)]
    mine, theirs = (one[np.argsort(labels.item[one], kind="stable")] for one in rows)
    if len(mine) != len(theirs) or (labels.item[mine] != labels.item[theirs]).any():
        alone = np.setxor1d(labels.item[mine], labels.item[theirs])
        first = int(np.flatnonzero(labels.item == alone[0])[0])
        owner = labels.models[labels.model[first]]
        having = (
            "1 image has no partner, it is"
            if len(alone) == 1
            else f"{len(alone):,} images have no partner, the first is"
        )
        raise UnpairedLabelsError(
            f"{f'{labels.file}: ' if labels.file else ''}'{model}' and '{reference}' were not asked the same: {having} "
            f"that of '{owner}' for the {labels.kinds[labels.kind[first]]} prompt "
            f"{quoted(labels.prompts[labels.prompt[first]])} with seed {labels.seed[first]}"
            f"{f' (line {labels.line[first]})' if labels.file else ''}. Label the same prompts and seeds for both."
        )
    return Pairs(
        item=labels.item[mine],
        character=labels.character[mine],
        prompt=labels.prompt[mine],
        kind=labels.kind[mine],
        model=mine,
        reference=theirs,
    )


def _different(labels: Sequence[Label], lines: Sequence[int] | None) -> set[tuple[str, str, str, int]]:
    """The images: model, kind, prompt and seed. Raises LabelsError for one labelled twice and a prompt of two
    characters."""
    places = list(lines) if lines is not None else [0] * len(labels)
    owner: dict[tuple[str, str], tuple[str, int]] = {}
    seen: dict[tuple[str, str, str, int], int] = {}
    for one, line in zip(labels, places, strict=True):
        other, earlier = owner.setdefault((one.prompt, one.kind), (one.character, line))
        if other != one.character:
            raise LabelsError(
                f"The {one.kind} prompt {quoted(one.prompt)} belongs to both '{other}' and '{one.character}'"
                f"{_on_lines(earlier, line)}: an image would count for both. Give each prompt one character."
            )
        image = (one.model, one.kind, one.prompt, one.seed)
        if image in seen:
            raise LabelsError(
                f"The image of '{one.model}' for the {one.kind} prompt {quoted(one.prompt)} with seed {one.seed} is "
                f"labelled twice{_on_lines(seen[image], line)}: keep one row."
            )
        seen[image] = line
    return set(seen)


def _on_lines(first: int, second: int) -> str:
    return f" (lines {first} and {second})" if first else ""


def _label(row: dict[str, str | None], where: str) -> Label:
    for column in NEEDED:
        if not (row.get(column) or "").strip():
            raise LabelsError(f"{where} has no {column}: every image needs one.")
    texts = {column: (row[column] or "").strip() for column in NEEDED}
    if not texts["seed"].lstrip("-").isdecimal():
        raise LabelsError(f"{where} has the seed {quoted(texts['seed'])}, which is no whole number.")
    detected = _flag(row, "detected", where)
    assert detected is not None, "an empty one was refused above"
    judge = (row.get("judge") or "").strip()
    return Label(
        character=texts["character"],
        prompt=texts["prompt"],
        seed=int(texts["seed"]),
        kind=texts["kind"],
        model=texts["model"],
        detected=detected,
        consistent=_flag(row, "consistent", where),
        judge=_flag(row, "judge", where) if judge.lower() in FLAGS or not judge else detected,
        human=_flag(row, "human", where),
    )


def _flag(row: dict[str, str | None], column: str, where: str) -> bool | None:
    word = (row.get(column) or "").strip()
    if not word:
        return None
    if word.lower() not in FLAGS:
        raise LabelsError(f"{where} has {column} {quoted(word)}: {FLAGS_IN_WORDS}.")
    return FLAGS[word.lower()]


def _codes(values: Sequence[str], names: Sequence[str]) -> Int32[np.ndarray, " rows"]:
    code = {name: number for number, name in enumerate(names)}
    return np.array([code[value] for value in values], dtype=np.int32)


def _said(values: Sequence[bool | None]) -> Int8[np.ndarray, " rows"]:
    return np.array([UNKNOWN if value is None else int(value) for value in values], dtype=np.int8)
