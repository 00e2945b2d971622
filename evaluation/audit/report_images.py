"""The images of an audit, to be looked at: small copies of them, and who answers what beside whom.

In: labels, and a function that opens an image. Out: thumbnails in a folder, and a page's worth of rows per character.
An image that is not to be had is no error: its place says so, and the report counts them.
"""

import hashlib
import io
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from evaluation.audit.analysis import Audit
from evaluation.audit.labels import UNKNOWN, Labels
from evaluation.audit.report_rows import models_of
from evaluation.audit.report_words import in_order, kind_words, percent
from evaluation.folder_stage import write_atomically
from evaluation.ordered import ordered_map
from prompts.console import progress
from prompts.probes import LADDER

#: The longer side of a thumbnail. Smaller images stay as they are; browsers enlarge them without smoothing.
SIDE_PX = 256
_TINY_PX = 160
_READERS, _AHEAD, _QUALITY, _SLUG_LENGTH = 2, 8, 80, 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """Which image: who was asked what."""

    model: str
    kind: str
    prompt: str
    seed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Pictures:
    """`open` gives the image, or None where there is none; `identity` is a hash of what lies behind it."""

    open: Callable[[Asked], Image.Image | None]
    identity: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Thumbnail:
    """A file's name in the folder of thumbnails, and its size in px."""

    file: str
    width: int
    height: int

    @property
    def is_tiny(self) -> bool:
        """Whether it is to be enlarged pixel by pixel."""
        return max(self.width, self.height) <= _TINY_PX


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One model's answer; `consistent` and `human` are None where nobody said."""

    number: int
    model: str
    seed: int
    is_reference: bool
    image: Thumbnail | None
    detected: bool
    consistent: bool | None
    human: bool | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptBlock:
    """One prompt: for each seed the answers of all models, the reference last."""

    prompt: str
    seeds: tuple[tuple[int, tuple[Cell, ...]], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class KindBlock:
    """The prompts of one kind."""

    label: str
    is_control: bool
    prompts: tuple[PromptBlock, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class CharacterPage:
    """All answers about one character, `name` to people; `rates` are each model's share over all that is shown,
    controls included."""

    character: str
    name: str
    file: str
    kinds: tuple[KindBlock, ...]
    images: int
    rates: tuple[tuple[str, str, int], ...]


Thumbnails = dict[Asked, Thumbnail]


def write_thumbnails(labels: Labels, pictures: Pictures, folder: Path) -> Thumbnails:
    """Write a small WebP of every image that is to be had into `folder`; those that are there already are kept."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = [asked_of(labels, row) for row in range(len(labels))]
    found: Thumbnails = {}
    with progress("Writing thumbnails", total=len(rows)) as tick:
        made = ordered_map(lambda one: _thumbnail(one, pictures, folder), rows, threads=_READERS, ahead=_AHEAD)
        for asked, thumbnail in zip(rows, made, strict=True):
            if thumbnail is not None:
                found[asked] = thumbnail
            tick()
    return found


def character_pages(
    labels: Labels, audit: Audit, thumbnails: Thumbnails, *, names: Mapping[str, str]
) -> list[CharacterPage]:
    """A page per character, in the order of their words in the labels; `names` says how people call them.

    Kinds of prompts go up the ladder, from what says nothing of the target to its name.
    """
    order = {name: place for place, name in enumerate(models_of(audit))}
    kinds = in_order(dict.fromkeys(labels.kinds), audit.controls)
    # What asks for nothing is a control, and the ladder's first step.
    kinds.sort(key=lambda kind: kind != LADDER[0])
    pages = []
    for number, name in enumerate(labels.characters):
        rows = np.flatnonzero(labels.character == number)
        of_kind = {kind: rows[labels.kind[rows] == labels.kinds.index(kind)] for kind in kinds}
        blocks = [
            KindBlock(
                label=kind_words(kind),
                is_control=kind in audit.controls,
                prompts=tuple(_prompts(labels, asked, order, audit, thumbnails)),
            )
            for kind, asked in of_kind.items()
            if len(asked)
        ]
        pages.append(
            CharacterPage(
                character=name,
                name=names.get(name, name),
                file=f"{slug(name)}.html",
                kinds=tuple(blocks),
                images=len(rows),
                rates=tuple(_rates(labels, rows, list(order))),
            )
        )
    return pages


def asked_of(labels: Labels, row: int) -> Asked:
    """Who was asked what in this row."""
    return Asked(
        model=labels.models[labels.model[row]],
        kind=labels.kinds[labels.kind[row]],
        prompt=labels.prompts[labels.prompt[row]],
        seed=int(labels.seed[row]),
    )


def slug(name: str) -> str:
    """A file's name that says `name` as far as a file system takes it; different for different names."""
    plain = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:_SLUG_LENGTH]
    # A name that ends as hashes do gets one of its own, or it could be another's file.
    if plain == name and not re.search(r"(^|-)[0-9a-f]{8}$", name):
        return plain
    return "-".join(filter(None, (plain, hashlib.sha256(name.encode()).hexdigest()[:8])))


def _rates(labels: Labels, rows: np.ndarray, models: Sequence[str]) -> list[tuple[str, str, int]]:
    found = []
    for model in models:
        detected = labels.detected[rows[labels.model[rows] == labels.models.index(model)]]
        found.append((model, percent(float(detected.mean()), 0) if len(detected) else "–", int(detected.sum())))
    return found


def _prompts(
    labels: Labels, rows: np.ndarray, order: dict[str, int], audit: Audit, thumbnails: Thumbnails
) -> list[PromptBlock]:
    found = []
    for prompt in dict.fromkeys(labels.prompt[rows].tolist()):
        of_prompt = rows[labels.prompt[rows] == prompt]
        seeds = []
        for seed in sorted({int(one) for one in labels.seed[of_prompt]}):
            of_seed = of_prompt[labels.seed[of_prompt] == seed]
            cells = [_cell(labels, int(row), audit, thumbnails) for row in of_seed]
            seeds.append((seed, tuple(sorted(cells, key=lambda cell: order[cell.model]))))
        found.append(PromptBlock(prompt=labels.prompts[prompt], seeds=tuple(seeds)))
    return found


def _cell(labels: Labels, row: int, audit: Audit, thumbnails: Thumbnails) -> Cell:
    asked = asked_of(labels, row)
    return Cell(
        number=row,
        model=asked.model,
        seed=asked.seed,
        is_reference=asked.model == audit.reference,
        image=thumbnails.get(asked),
        detected=bool(labels.detected[row]),
        consistent=_said(labels.consistent[row]),
        human=_said(labels.human[row]),
    )


def _said(value: np.int8) -> bool | None:
    return None if value == UNKNOWN else bool(value)


def _thumbnail(asked: Asked, pictures: Pictures, folder: Path) -> Thumbnail | None:
    key = "\0".join((pictures.identity, asked.model, asked.kind, asked.prompt, str(asked.seed)))
    path = folder / f"{hashlib.sha256(key.encode()).hexdigest()[:24]}.webp"
    if not path.is_file():
        image = pictures.open(asked)
        if image is None:
            return None
        small = image.convert("RGB")
        small.thumbnail((SIDE_PX, SIDE_PX), Image.Resampling.LANCZOS)
        buffer = io.BytesIO()
        # Fresh pixels: what else came with the file (places, names, profiles) is not published.
        Image.frombytes("RGB", small.size, small.tobytes()).save(buffer, format="WEBP", quality=_QUALITY, method=4)
        write_atomically(path, buffer.getvalue())
    with Image.open(path) as written:
        return Thumbnail(file=path.name, width=written.width, height=written.height)
