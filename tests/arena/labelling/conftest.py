"""A small real arena with probes, galleries of plain colours, and short words for what labellers do."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import uuid4
from zlib import crc32

import numpy as np
import pytest
from PIL import Image

from arena.images import ImageStore
from arena.labelling.drawing import draw_items
from arena.labelling.label_ballots import LabelBallot
from arena.labelling.label_study import LabelStudy, groups_of
from arena.labelling.matching import Target
from arena.labelling.room import Labelled, LabelRoom, ShowingView
from arena.ledger.label_book import LabelBook
from arena.ledger.label_records import LabelStudyRecord
from arena.ledger.ledger import Ledger
from arena.ledger.records import Entrant
from prompts.probes import Probe, ProbeSet, PromptKind, TargetKind
from prompts.prompt import PromptSet

#: What holds of labels holds on both databases.
ON_BOTH = {"test_label_ledger.py", "test_label_room.py"}
SECRET = "kept in a drawer"
ENTRANTS = ("aardvark", "zebra")
KINDS = (PromptKind.SUGGESTIVE, PromptKind.GENERIC)
NAMES = {"elsa": ("Elsa", "Queen Elsa"), "snoopy": ("Snoopy", "the beagle of Peanuts"), "pikachu": ("Pikachu",)}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run what is in ON_BOTH on both databases."""
    if "database" in metafunc.fixturenames and metafunc.definition.path.name in ON_BOTH:
        metafunc.parametrize("database", ["sqlite", "postgresql"], indirect=True)


def a_probe(key: str) -> Probe:
    """A probe whose words are made up, but for its names."""
    name, *aliases = NAMES[key]
    return Probe(
        key=key,
        target=TargetKind.CHARACTER,
        name=name,
        aliases=tuple(aliases),
        entity="somebody",
        generic=f"somebody of kind {len(key)}{key[-1]}",
        misspelled=f"{key[0]}{key[2:]}x",
        suggestive=(f"the famous one who ends with {key[-1]}", f"{len(key)} letters that end with {key[-1]}"),
        keywords=tuple(f"word {number} {key[-1]}" for number in range(20)),
        description=f"a figure whose name ends with {key[-1]} and has {len(key)} letters",
        captions=(f"{name} in the snow",),
        name_prompt=f"{name}",
        source="made up",
    )


def some_probes() -> ProbeSet:
    """Three probes."""
    return ProbeSet(name="three", licence="CC0-1.0", source="made up", probes=tuple(map(a_probe, NAMES)))


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelArena:
    """A ledger with two entrants and their galleries, and a room over it."""

    ledger: Ledger
    book: LabelBook
    images: ImageStore
    room: LabelRoom
    now: datetime
    rng: np.random.Generator = field(default_factory=lambda: np.random.default_rng(5))

    @property
    def prompts(self) -> PromptSet:
        """What the galleries were painted for: two suggestive prompts and a generic one of each target."""
        return some_probes().prompt_set(KINDS)

    def study(self, *, mode: str = "single", sample: int = 12, **declared: Any) -> LabelStudy:
        """A declaration over the whole arena."""
        prompts, entrants = self.prompts, declared.pop("entrants", ENTRANTS)
        items = draw_items(
            prompts.prompts,
            groups_of("pair" if mode == "pair" else "single", entrants),
            (0,),
            count=sample,
            rng=np.random.default_rng(3),
        )
        values: dict[str, Any] = {
            "name": "who",
            "mode": mode,
            "entrants": entrants,
            "prompts": prompts,
            "targets": tuple(Target(key=probe.key, names=probe.names) for probe in some_probes()),
            "items": items,
            "labels_per_rater": 5,
        }
        return LabelStudy(**(values | declared))

    def open(self, **declared: Any) -> LabelStudyRecord:
        """Open such a study."""
        return self.book.open_study(self.study(**declared), now=self.now)

    def paint(self, entrant: str, *, size: tuple[int, int] = (8, 8), seeds: tuple[int, ...] = (0,)) -> None:
        """A whole gallery of plain colours, all different."""
        self.ledger.keep_prompts(self.prompts)
        for prompt in self.prompts:
            for seed in seeds:
                rng = np.random.default_rng(crc32(f"{entrant} {prompt.id} {seed}".encode()))
                colour = tuple(int(part) for part in rng.integers(0, 256, 3))
                stored = self.images.put(Image.new("RGB", size, colour))
                self.ledger.keep_image(entrant, prompt.id, seed, stored, seconds=0.1, now=self.now)

    def join(self, *, study: str = "who", **given: Any) -> int:
        """A new rater, who has read whatever there is to read."""
        values: dict[str, Any] = {"known": None, "arrival": {}, "at_hand": 2, "rng": self.rng, "now": self.now}
        welcome = self.room.arrive(study, **(values | given))
        assert welcome.rater is not None
        if welcome.stage == "consent":
            self.room.consent(study, welcome.rater, now=self.now)
        return welcome.rater

    def showings(self, rater: int, *, study: str = "who", count: int = 2) -> list[ShowingView]:
        """What waits for the rater."""
        return list(self.room.welcome(study, rater, at_hand=count, rng=self.rng, now=self.now).showings)

    def label(self, rater: int, showing: ShowingView, answer: str = "no", **given: Any) -> Labelled:
        """A label with a key of its own, unless one is given."""
        if answer == "yes":
            given = {"which": "Elsa", "closeness": 2} | given
        values: dict[str, Any] = {
            "study": "who",
            "round": showing.round,
            "key": str(uuid4()),
            "which": "",
            "closeness": None,
            "latency_ms": 1500,
            "session": "page-1",
        }
        ballot = LabelBallot(rater=rater, showing=showing.showing, answer=answer, **(values | given))
        return self.room.label(ballot, rng=self.rng, now=self.now)

    def label_all(self, rater: int, say: Callable[[ShowingView], dict[str, Any]] = lambda _: {}) -> int:
        """Label until nothing is left; how many that were."""
        waiting, cast = self.showings(rater), 0
        while waiting:
            showing = waiting.pop(0)
            answer = self.label(rater, showing, **say(showing))
            cast += 1
            if answer.next is not None:
                waiting.append(answer.next)
        return cast

    def own_target(self, showing: ShowingView) -> str:
        """Whose prompt the image was painted for: what the page never learns."""
        found = self.book.showing(showing.showing)
        assert found is not None
        return {prompt.id: prompt.category for prompt in self.prompts}[found.item.prompt_id]


@pytest.fixture
def probes() -> ProbeSet:
    """Three probes, whose names the tests know."""
    return some_probes()


@pytest.fixture
def empty(tmp_path: Any, ledger: Ledger, now: datetime) -> LabelArena:
    """Two entrants, and nothing painted."""
    images = ImageStore(str(tmp_path / "arena" / "images"))
    for name in ENTRANTS:
        ledger.enter(Entrant(name=name, source=f"swatch:{name}", sampler="swatch"), now=now)
    return LabelArena(
        ledger=ledger,
        book=LabelBook(ledger),
        images=images,
        room=LabelRoom(ledger, images, identity_secret=SECRET),
        now=now,
    )


@pytest.fixture
def labels(empty: LabelArena) -> LabelArena:
    """The same with whole galleries."""
    for name in ENTRANTS:
        empty.paint(name)
    return empty
