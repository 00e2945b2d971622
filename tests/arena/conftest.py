"""Shared by the tests of this room: a warning is an error, and small real arenas on real SQLite files."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4
from zlib import crc32

import numpy as np
import pytest
from hypothesis import settings
from PIL import Image

from arena.images import ImageStore
from arena.ledger.ledger import Ledger
from arena.ledger.records import Entrant
from arena.rating import Accepted, PairView, RatingRoom
from arena.study import Study
from arena.votes import Choice
from prompts.prompt import Prompt, PromptSet

# A busy machine makes a quick property slow now and then, which says nothing about the property.
settings.register_profile("canvas", deadline=None)
settings.load_profile("canvas")

HERE = Path(__file__).parent
SECRET = "kept in a drawer"
NOW = datetime(2024, 5, 1, 12, 0, tzinfo=UTC)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """This room is light: a warning in it is an error."""
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.filterwarnings("error"), append=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Arena:
    """A ledger with entrants, galleries and perhaps a study; a room over it, and short words for what raters do."""

    home: Path
    ledger: Ledger
    images: ImageStore
    room: RatingRoom
    rng: np.random.Generator

    def study(self, *, name: str = "shapes", prompts: int = 4, **declared: Any) -> Study:
        """A declaration over the arena's entrants: "old" is the reference."""
        values: dict[str, Any] = {
            "name": name,
            "question": "Which fits the prompt better?",
            "reference": "old",
            "candidates": tuple(one.name for one in self.ledger.entrants() if one.name != "old"),
            "prompts": prompt_set_of(prompts),
            "ties": True,
            "both_bad": True,
        }
        return Study(**(values | declared))

    def open(self, **declared: Any) -> Study:
        """Open such a study."""
        study = self.study(**declared)
        self.ledger.open_study(study, now=NOW)
        return study

    def paint(self, entrant: str, prompts: PromptSet, *, seeds: tuple[int, ...] = (0,), size: int = 8) -> None:
        """Give the entrant a whole gallery of plain colours, all different."""
        self.ledger.keep_prompts(prompts)
        for prompt in prompts:
            for seed in seeds:
                rng = np.random.default_rng(crc32(f"{entrant} {prompt.id} {seed}".encode()))
                colour = tuple(int(part) for part in rng.integers(0, 256, 3))
                stored = self.images.put(Image.new("RGB", (size, size), colour))
                self.ledger.keep_image(entrant, prompt.id, seed, stored, seconds=0.1, now=NOW)

    def join(self, *, study: str = "shapes", simulated: bool = False) -> int:
        """A new rater."""
        return self.room.join(study, now=NOW, simulated=simulated)

    def pairs(self, rater: int, *, count: int = 2, study: str = "shapes") -> list[PairView]:
        """The rater's next pairs."""
        return self.room.next_pairs(rater=rater, study=study, count=count, rng=self.rng, now=NOW)

    def vote(self, rater: int, pair: PairView, choice: Choice = Choice.LEFT, **given: Any) -> Accepted:
        """A vote with a key of its own, unless one is given."""
        values: dict[str, Any] = {
            "study": "shapes",
            "pair": pair.pair,
            "round": pair.round,
            "key": str(uuid4()),
            "latency_ms": 900,
            "session": "page-1",
            "rng": self.rng,
            "now": NOW,
        }
        return self.room.vote(rater=rater, choice=choice, **(values | given))

    def rate_all(
        self, rater: int, choose: Callable[[PairView], Choice] = lambda _: Choice.LEFT, *, study: str = "shapes"
    ) -> int:
        """Let the rater vote until nothing is left; how many votes that were."""
        waiting, cast = self.pairs(rater, study=study), 0
        while waiting:
            pair = waiting.pop(0)
            answer = self.vote(rater, pair, choose(pair), study=study)
            cast += 1
            if answer.next is not None:
                waiting.append(answer.next)
        return cast

    def another_room(self) -> RatingRoom:
        """A room over the same ledger that remembers nothing, as after a restart or in another process."""
        return RatingRoom(self.ledger, self.images)

    def another_room_with_secret(self) -> RatingRoom:
        """The same, with the secret that people's ids are hashed with."""
        return RatingRoom(self.ledger, self.images, identity_secret=SECRET)


def prompt_set_of(count: int) -> PromptSet:
    """`count` prompts in two categories; a smaller set is the beginning of a larger one."""
    return PromptSet(
        name=f"things-{count}",
        licence="CC0-1.0",
        source="made up",
        prompts=tuple(
            Prompt(text=f"thing number {number}", category="even" if number % 2 == 0 else "odd")
            for number in range(count)
        ),
    )


@pytest.fixture
def things() -> Callable[[int], PromptSet]:
    """Makes a prompt set of a size."""
    return prompt_set_of


@pytest.fixture
def now() -> datetime:
    """One fixed moment."""
    return NOW


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    """An empty ledger on a real SQLite file."""
    with Ledger.open(tmp_path / "arena" / "ledger.db") as opened:
        yield opened


@pytest.fixture
def bare_arena(tmp_path: Path, ledger: Ledger) -> Arena:
    """Nobody is entered yet."""
    images = ImageStore(str(tmp_path / "arena" / "images"))
    return Arena(
        home=tmp_path / "arena",
        ledger=ledger,
        images=images,
        room=RatingRoom(ledger, images, identity_secret=SECRET),
        rng=np.random.default_rng(7),
    )


@pytest.fixture
def arena(bare_arena: Arena) -> Arena:
    """The reference "old" and the candidates "ant" and "bee", with whole galleries of four prompts; no study yet."""
    for name in ("old", "ant", "bee"):
        bare_arena.ledger.enter(Entrant(name=name, source=f"swatch:{name}", sampler="swatch"), now=NOW)
        bare_arena.paint(name, prompt_set_of(4))
    return bare_arena
