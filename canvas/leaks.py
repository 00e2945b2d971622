"""The leak scan: how often captions name a character, a brand or a person, by licence split.

In: captions (a folder that `canvas train caption` made, a source folder with its catalogue's own texts, or a file), and
probes whose names are the word lists. Out: for each set of captions and each licence split, the share that names
someone with its interval, whom, and examples; beside it, where a tagger is given, what that marks in a sample. Captions
that came with the images are the measure for those written for them: telephoning is meant to lose the names.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from prompts.errors import CanvasError
from prompts.name_scan import EXAMPLES, NameFinder, NameScan, NameTally, wilson_interval
from prompts.probes import ProbeSet
from training.captions import CAPTIONED_SPLITS, CAPTIONS
from training.catalogue import read_catalogue, read_rows
from training.split import place, read_split
from training.stage import CATALOGUE, MANIFEST, MissingInputError, input_hash, require_stage

if TYPE_CHECKING:
    from evaluation.audit.entities import Entity, EntityTagger

ALL = "all"


class NoCaptionsError(CanvasError):
    """A folder or file that holds no captions."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TaggedSample:
    """What a tagger marks in captions drawn at random: in `named` of `texts` a person or an organisation."""

    texts: int
    named: int
    low: float
    high: float
    people: int
    organisations: int
    examples: tuple[dict[str, Any], ...]

    def to_dict(self) -> dict[str, Any]:
        """As JSON values."""
        return {
            "texts": self.texts,
            "named": self.named,
            "share": self.named / self.texts,
            "interval": [self.low, self.high],
            "people": self.people,
            "organisations": self.organisations,
            "examples": list(self.examples),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class SplitScan:
    """One licence split of one set of captions; `split` is "all" where nobody says which images may be used for what.

    `empty` images have no caption, and are not among the scan's texts.
    """

    captions: str
    split: str
    scan: NameScan
    empty: int
    tagged: TaggedSample | None

    def to_dict(self) -> dict[str, Any]:
        """As JSON values."""
        return {
            "captions": self.captions,
            "split": self.split,
            **self.scan.to_dict(),
            "empty": self.empty,
            "tagged": None if self.tagged is None else self.tagged.to_dict(),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class _Caption:
    id: str
    text: str
    split: str


def scan_captions(
    places: Sequence[Path],
    probes: ProbeSet,
    *,
    split: Path | None = None,
    tagger: "EntityTagger | None" = None,
    tagged_sample: int = 2000,
    seed: int = 0,
    examples: int = EXAMPLES,
) -> list[SplitScan]:
    """Scan each of `places`, split by split; `split` is the folder that parted the images of a captions folder.

    A tagger, being slow, reads `tagged_sample` captions of each split, drawn by `seed`.
    Raises NoCaptionsError, MissingInputError (an unfinished folder, another split than the captions were made from) and
    CatalogueError.
    """
    finder = NameFinder(probes)
    found = []
    for path in places:
        tallies: dict[str, _Tally] = {}
        for caption in _captions(path, split):
            tally = tallies.get(caption.split)
            if tally is None:
                tally = tallies[caption.split] = _Tally(finder, 0 if tagger is None else tagged_sample, seed)
            tally.add(caption)
        if not any(one.count for one in tallies.values()):
            raise NoCaptionsError(f"{path} holds no captions: caption its images, or name another with captions.")
        for name in sorted(tallies, key=_order):
            tally = tallies[name]
            found.append(
                SplitScan(
                    captions=str(path),
                    split=name,
                    scan=tally.names.result(examples=examples),
                    empty=tally.empty,
                    tagged=None if tagger is None or not tally.count else _tagged(tally.sample, tagger, examples),
                )
            )
    return found


class _Tally:
    """One split on its way: counts, and an even sample for the tagger (reservoir sampling)."""

    def __init__(self, finder: NameFinder, sample: int, seed: int) -> None:
        self.names = NameTally(finder)
        self.sample: list[_Caption] = []
        self.count = 0
        self.empty = 0
        self._wanted = sample
        self._rng = np.random.default_rng(seed)

    def add(self, caption: _Caption) -> None:
        if not caption.text.strip():
            self.empty += 1
            return
        self.names.add(caption.text, caption.id)
        self.count += 1
        if len(self.sample) < self._wanted:
            self.sample.append(caption)
        elif self._wanted and (at := int(self._rng.integers(self.count))) < self._wanted:
            self.sample[at] = caption


def _captions(path: Path, split: Path | None) -> Iterator[_Caption]:
    """The captions at `path`, whatever it is."""
    if path.is_dir() and (path / CATALOGUE).is_file() and not (path / MANIFEST).is_file():
        for image in read_catalogue(path):
            yield _Caption(id=image.id, text=image.caption, split=str(place(image).split))
    elif path.is_dir():
        yield from _of_stage(path, split)
    elif path.is_file() and path.suffix == ".jsonl":
        for number, row in read_rows(path):
            if not isinstance(row.get("caption"), str):
                raise NoCaptionsError(f"{path}, line {number}: there is no text under 'caption'; give every row one.")
            yield _Caption(id=str(row.get("id", number)), text=row["caption"], split=str(row.get("split", ALL)))
    elif path.is_file() and path.suffix == ".txt":
        yield from _of_lines(path)
    else:
        raise NoCaptionsError(
            f"{path} holds no captions: name a folder that `canvas train caption` made, a source folder with its "
            f"{CATALOGUE}, a .jsonl file with 'caption' in every row, or a .txt file with a caption in every line."
        )


def _of_stage(path: Path, split: Path | None) -> Iterator[_Caption]:
    made = require_stage(path, "captions")
    splits: dict[str, str] = {}
    if split is not None:
        if input_hash(split) != made.inputs["split"]:
            raise MissingInputError(
                f"{path} was not made from the split {split}: name with --split the one its images were captioned by."
            )
        splits = {image.id: str(name) for name in CAPTIONED_SPLITS for image in read_split(split, name)}
    for _, row in read_rows(path / CAPTIONS):
        yield _Caption(id=row["id"], text=row["caption"], split=splits.get(row["id"], ALL))


def _of_lines(path: Path) -> Iterator[_Caption]:
    try:
        with path.open(encoding="utf-8") as lines:
            for number, line in enumerate(lines, start=1):
                yield _Caption(id=str(number), text=line.strip(), split=ALL)
    except UnicodeDecodeError as error:
        raise NoCaptionsError(f"{path} is not UTF-8 ({error.reason}): save it as UTF-8.") from error


def _order(split: str) -> tuple[int, str]:
    known = [str(one) for one in CAPTIONED_SPLITS]
    return (known.index(split) if split in known else len(known), split)


def _tagged(sample: Sequence[_Caption], tagger: "EntityTagger", examples: int) -> TaggedSample:
    from evaluation.audit.entities import EntityKind
    from prompts.console import progress

    with progress("Tagging captions", total=len(sample)) as tick:
        entities = tagger.find([one.text for one in sample], tick)
    marked = [(one, names) for one, names in zip(sample, entities, strict=True) if names]
    interval = wilson_interval(len(marked), len(sample))

    def holding(kind: EntityKind) -> int:
        return sum(any(name.kind is kind for name in names) for _, names in marked)

    return TaggedSample(
        texts=len(sample),
        named=len(marked),
        low=interval.low,
        high=interval.high,
        people=holding(EntityKind.PERSON),
        organisations=holding(EntityKind.ORGANISATION),
        examples=tuple(_example(one, names) for one, names in marked[:examples]),
    )


def _example(caption: _Caption, names: "Sequence[Entity]") -> dict[str, Any]:
    told = [{"kind": str(one.kind), "words": one.words, "score": round(one.score, 4)} for one in names]
    return {"id": caption.id, "text": caption.text, "names": told}
