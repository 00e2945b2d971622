"""Where a report's labels come from: a run's folder, or a table; and where its images are.

In: a folder that `canvas evaluate audit run` made, or a .csv or .tsv of labels. Out: a `Source`, and `Pictures` from
the arena's image store or from folders with a gallery.csv.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from arena.images import ImageStore, UnknownImageError
from evaluation.audit.judged import (
    LABELS,
    SCORES,
    Judged,
    judges_beside_each_other,
    read_human,
    read_judged,
    read_points,
)
from evaluation.audit.labels import UNKNOWN, Labels, LabelsError, read_labels
from evaluation.audit.people import ABOUT, merge_human
from evaluation.audit.report_images import Asked, Pictures, asked_of
from evaluation.audit.report_words import targets_of
from evaluation.folder_stage import read_manifest
from evaluation.samplers.base import SamplerSettings
from evaluation.samplers.image_folder import LIST, ImageFolder, ImageFolderError, open_sampler
from evaluation.weights import read_json
from prompts.errors import CanvasError, quoted


class ReportSourceError(CanvasError):
    """Labels or images that no report can be made of."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Labels, and what is known of them: hashes, who is the reference (None where nobody said), and a run's manifest,
    lines of judges and people's answers. `names` says how people call a character, by the labels' word for it; a table
    tells none."""

    labels: Labels
    hashes: Mapping[str, str]
    reference: str | None = None
    targets: str = "the characters"
    run: Mapping[str, Any] | None = None
    points: Mapping[str, Any] | None = None
    people: Mapping[str, Any] | None = None
    names: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = field(default=())


def read_source(path: Path, *, human: Path | None, now: datetime) -> Source:
    """The labels in `path`, a run's folder or a table, with people's answers in the table `human`.

    With a run the answers are kept, in place of earlier ones, as `audit calibrate --human` does. With a table they are
    the column `human` of another table of labels. Raises LabelsError, NoRunError, UnfinishedFolderError,
    HumanLabelsError and ReportSourceError.
    """
    if path.is_dir():
        if human is not None:
            merge_human(path, human, now=now)
        return _of_run(path)
    labels = read_labels(path)
    hashes = {"labels": _hash(path)}
    if human is not None:
        labels = with_human(labels, read_labels(human), human)
        hashes["human"] = _hash(human)
    return Source(labels=labels, hashes=hashes)


def with_human(labels: Labels, answers: Labels, table: Path) -> Labels:
    """`labels` with the column `human` of `answers`, image by image. Raises ReportSourceError for one that is not
    among them, and where nobody said anything."""
    place = {asked_of(labels, row): row for row in range(len(labels))}
    human = labels.human.copy()
    said = np.flatnonzero(answers.human != UNKNOWN)
    if not len(said):
        raise ReportSourceError(f"{table} has no answer of people: its column human is missing or empty.")
    for row in said:
        asked = asked_of(answers, int(row))
        if asked not in place:
            raise ReportSourceError(
                f"{table} has an answer about an image of '{asked.model}' that is not among the labels: the "
                f"{asked.kind} prompt {quoted(asked.prompt)} with seed {asked.seed}."
            )
        human[place[asked]] = answers.human[row]
    return replace(labels, human=human)


def pictures_of_run(folder: Path, labels: Labels, store: ImageStore) -> Pictures:
    """The images of a run, from the arena that painted them. Raises ReportSourceError where the store has none."""
    judged = read_judged(folder)
    hashes = {
        Asked(model=model, kind=kind, prompt=prompt, seed=int(seed)): image
        for model, kind, prompt, seed, image in zip(
            judged.model, judged.kind, judged.prompt, judged.seed, judged.image, strict=True
        )
    }
    if not any(store.has(image) for image in dict.fromkeys(judged.image)):
        raise ReportSourceError(
            f"None of the {len(labels):,} images of {folder} are in the arena's image store: name the arena that "
            "painted them with --arena, hand in folders with --images MODEL=FOLDER, or leave them out with --no-images."
        )

    def open_one(asked: Asked) -> Image.Image | None:
        try:
            return store.open(hashes[asked])
        except UnknownImageError:
            return None

    return Pictures(open=open_one, identity=_images_hash(judged))


def pictures_of_folders(folders: Mapping[str, Path]) -> Pictures:
    """The images of folders with a gallery.csv, by model. Raises ImageFolderError."""
    opened: dict[str, ImageFolder] = {
        model: open_sampler(str(folder), SamplerSettings()) for model, folder in folders.items()
    }
    identity = hashlib.sha256()
    for model, folder in sorted(folders.items()):
        identity.update(f"{model}\0{_hash(folder.expanduser() / LIST)}\0".encode())

    def open_one(asked: Asked) -> Image.Image | None:
        if asked.model not in opened:
            return None
        try:
            return opened[asked.model].paint([asked.prompt], [asked.seed])[0]
        except ImageFolderError:
            return None

    return Pictures(open=open_one, identity=identity.hexdigest())


def _of_run(folder: Path) -> Source:
    manifest = read_manifest(folder)
    points = read_points(folder)
    people = read_json(folder / ABOUT, "people's answers") if (folder / ABOUT).is_file() else None
    if not (folder / LABELS).is_file():
        raise LabelsError(f"{folder} has no {LABELS}: delete the folder and run the audit again.")
    cut = {name: int(count) for name, count in manifest.details.get("prompts_cut", {}).items() if count}
    notes = [
        f"{name} reads prompts only to a length: the ends of {count:,} prompts went unread."
        for name, count in cut.items()
    ]
    if people is not None and people.get("even"):
        notes.append(f"Of {people['even']:,} images people said yes as often as no: they count as not labelled.")
    return Source(
        labels=read_labels(folder / LABELS),
        hashes={"labels": _hash(folder / LABELS), "run": _hash(folder / SCORES)},
        reference=str(manifest.settings["reference"]),
        targets=targets_of(str(manifest.details.get("probe_set", ""))),
        run={
            "settings": manifest.settings,
            "inputs": manifest.inputs,
            "made_at": manifest.made_at,
            "commit": manifest.commit,
            "details": manifest.details,
        },
        points={
            **points.to_dict(),
            "agreement": judges_beside_each_other(read_judged(folder), points, read_human(folder)),
        },
        people=people,
        names={str(key): str(name) for key, name in manifest.details.get("names", {}).items()},
        notes=tuple(notes),
    )


def _images_hash(judged: Judged) -> str:
    return hashlib.sha256("\n".join(judged.image).encode()).hexdigest()


def _hash(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
