"""The values of label studies that go into the ledger and come out of it. Pure."""

from dataclasses import dataclass
from datetime import datetime

from arena.labelling.drawing import Item
from arena.labelling.label_study import LabelStudy, ShowingKind
from arena.ledger.records import GeneratedImage


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelStudyRecord:
    """An opened label study; `closed_at` is None while it takes labels. `newly_opened` is False where it was before."""

    id: int
    name: str
    hash: str
    study: LabelStudy
    opened_at: datetime
    closed_at: datetime | None
    newly_opened: bool = False

    @property
    def is_open(self) -> bool:
        """Whether raters can label in it."""
        return self.closed_at is None


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelMaterial:
    """A label study with the images that it drew and knows the answers of, each group in its item's order."""

    record: LabelStudyRecord
    drawn: tuple[tuple[GeneratedImage, ...], ...]
    gold: tuple[tuple[GeneratedImage, ...], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class NewShowing:
    """One image, or two as they stand left and right, about to be shown to a rater.

    `place` counts into the study's items, or its gold; `repeats` is the id of the showing that this one repeats.
    """

    token: str
    study_id: int
    rater: int
    kind: ShowingKind
    place: int
    images: tuple[GeneratedImage, ...]
    propensity: float
    handed_at: datetime
    repeats: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class HandedShowing:
    """A showing that was handed out; `labels` and `undos` count its rounds. `reported`: it was put aside."""

    id: int
    token: str
    study_id: int
    rater: int
    kind: ShowingKind
    place: int
    item: Item
    hashes: tuple[str, ...]
    sizes: tuple[tuple[int, int], ...]
    repeats: int | None
    labels: int
    undos: int
    reported: bool

    @property
    def round(self) -> int:
        """The round of its next or last label."""
        return self.undos + 1

    @property
    def is_labelled(self) -> bool:
        """Whether its round has its label."""
        return self.labels > self.undos

    @property
    def is_open(self) -> bool:
        """Whether it waits for a label."""
        return not self.is_labelled and not self.reported


@dataclass(frozen=True, slots=True, kw_only=True)
class NewLabel:
    """A label about to be cast. `target` is the probe that `which`, as typed, was found to mean; `done` counts the
    rater's labels with this one."""

    showing: HandedShowing
    round: int
    key: str
    answer: str
    which: str
    target: str | None
    closeness: int | None
    latency_ms: int
    session: str
    done: int
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class CastLabel:
    """A label that stands, or a report; `following` is the id of the showing that its answer hands out."""

    id: int
    done: int
    following: int | None
    replayed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelChange:
    """A label about to be taken back, or a showing about to be put aside (then `why` says skip, broken, offensive)."""

    showing: HandedShowing
    round: int
    key: str
    done: int
    at: datetime
    why: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelRecord:
    """One effective label. `entrants` and `images` (content hashes) stand as they were shown, left first.

    `which` is what was typed; read from the events it is "", for they hold only its digest.
    """

    label_id: int
    ts: datetime
    rater: int
    showing: int
    kind: ShowingKind
    repeats: int | None
    prompt_id: str
    seed: int
    entrants: tuple[str, ...]
    images: tuple[str, ...]
    answer: str
    target: str | None
    closeness: int | None
    latency_ms: int
    session: str
    digest: str | None
    which: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelReport:
    """A showing that a rater would not label, and why."""

    report_id: int
    at: datetime
    rater: int
    showing: int
    why: str
