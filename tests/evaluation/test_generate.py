"""Painting what a gallery lacks: whole, resumed, repeated, and refused."""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from arena.images import ImageStore
from arena.ledger.errors import EntrantConflictError
from arena.ledger.ledger import Ledger
from arena.ledger.records import Entrant
from evaluation.generate import PAINTED_WITH, OtherSettingsError, Painted, SeedsError, find_entrant, generate
from evaluation.samplers.swatch import Swatch
from evaluation.weights import NotWeightsError
from prompts.prompt import PromptSet

TEAL = Entrant(name="teal", source="swatch:teal", sampler="swatch", details={"colour": "teal"})


def now() -> datetime:
    return datetime(2025, 3, 1, tzinfo=UTC)


def hashes(ledger: Ledger, name: str, asked: PromptSet, seeds: Sequence[int] = (0,)) -> list[str]:
    return [image.image_hash for image in ledger.gallery(name, asked, seeds)]


class Paint:
    """`generate` into one arena."""

    def __init__(self, ledger: Ledger, images: ImageStore, asked: PromptSet) -> None:
        self.ledger, self.images, self.asked = ledger, images, asked

    def __call__(
        self, entrant: Entrant = TEAL, *, prompts: PromptSet | None = None, seeds: Sequence[int] = (0,), **settings: Any
    ) -> Painted:
        return generate(
            self.ledger,
            self.images,
            entrant=entrant,
            prompts=prompts or self.asked,
            seeds=list(seeds),
            settings=settings,
            clock=now,
        )


@pytest.fixture
def paint(ledger: Ledger, images: ImageStore, asked: PromptSet) -> Paint:
    return Paint(ledger, images, asked)


@pytest.fixture
def tiny(pipeline_folder: Path) -> Entrant:
    """The tiny pipeline, as its entrant.json would ask for it to be sampled."""
    return Entrant(
        name="tiny",
        source=str(pipeline_folder),
        sampler="diffusers",
        details={"sampler": {"steps": 2, "guidance": 3.0, "size_px": 32}},
    )


def test_a_new_entrant_is_entered_with_its_prompts_and_painted_whole(
    paint: Paint, ledger: Ledger, images: ImageStore, asked: PromptSet
) -> None:
    painted = paint(seeds=[0, 1])

    assert (painted.images, painted.new) == (12, 12)
    assert ledger.prompt_set(asked.name) == asked
    assert ledger.missing_images("teal", asked, [0, 1]) == []
    assert len(set(hashes(ledger, "teal", asked, [0, 1]))) == 12
    assert images.open(hashes(ledger, "teal", asked)[0]).size == (32, 32)


def test_painting_again_paints_nothing(paint: Paint, ledger: Ledger, asked: PromptSet) -> None:
    paint()
    before = hashes(ledger, "teal", asked)

    again = paint()

    assert (again.images, again.new) == (6, 0)
    assert hashes(ledger, "teal", asked) == before


def test_other_prompts_of_the_same_entrant_reuse_what_they_share(paint: Paint, asked: PromptSet) -> None:
    part = PromptSet(name="part", prompts=asked.prompts[:4], licence=asked.licence, source=asked.source)
    paint(prompts=part)

    painted = paint()

    assert painted.new == 2


def test_an_interrupted_gallery_goes_on_and_comes_out_the_same(
    paint: Paint, tiny: Entrant, ledger: Ledger, images: ImageStore, asked: PromptSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C comes while the second batch is painted: the first one stays."""
    from evaluation.samplers.diffusers import DiffusersSampler

    paint(Entrant(name="at once", source=tiny.source, sampler=tiny.sampler, details=tiny.details), batch_size=2)
    whole = DiffusersSampler.paint
    calls: list[int] = []

    def interrupted(self: Any, prompts: Sequence[str], seeds: Sequence[int]) -> list[Image.Image]:
        calls.append(len(prompts))
        if len(calls) == 2:
            raise KeyboardInterrupt
        return whole(self, prompts, seeds)

    monkeypatch.setattr(DiffusersSampler, "paint", interrupted)
    with pytest.raises(KeyboardInterrupt):
        paint(tiny, batch_size=2)
    kept = len(ledger.gallery("tiny", asked, [0]))

    resumed = paint(tiny, batch_size=2)

    assert (kept, resumed.new) == (2, 4)
    assert hashes(ledger, "tiny", asked) == hashes(ledger, "at once", asked)


def test_it_paints_as_entrant_json_asks_and_writes_down_how(paint: Paint, tiny: Entrant, ledger: Ledger) -> None:
    paint(tiny)

    written = ledger.entrant("tiny").details[PAINTED_WITH]
    assert (written["steps"], written["guidance"], written["size_px"]) == (2, 3.0, 32)
    assert (written["dtype"], written["scheduler"]) == ("float32", "DDIMScheduler")


def test_what_is_asked_for_goes_before_entrant_json_and_is_kept_when_going_on(
    paint: Paint, tiny: Entrant, ledger: Ledger
) -> None:
    paint(tiny, seeds=[0], steps=1)

    paint(tiny, seeds=[1])

    assert ledger.entrant("tiny").details[PAINTED_WITH]["steps"] == 1


def test_a_gallery_is_not_mixed_from_two_settings(paint: Paint, tiny: Entrant) -> None:
    paint(tiny)

    with pytest.raises(
        OtherSettingsError, match=r"painted with steps 2, guidance 3\.0, and steps 4, guidance 5\.0 .*--name"
    ):
        paint(tiny, seeds=[1], steps=4, guidance=5.0)


def test_other_settings_are_refused_for_a_whole_gallery_too(paint: Paint, tiny: Entrant) -> None:
    paint(tiny)

    with pytest.raises(OtherSettingsError, match="painted with size_px 32, and size_px 48 is asked for now"):
        paint(tiny, size_px=48)


def test_settings_that_do_not_shape_images_may_change(paint: Paint, tiny: Entrant) -> None:
    paint(tiny)

    painted = paint(tiny, seeds=[1], batch_size=1, device="cpu", dtype="auto")

    assert painted.new == 6


def test_other_settings_are_free_under_another_name(paint: Paint, tiny: Entrant) -> None:
    paint(tiny)

    painted = paint(Entrant(name="tiny-1", source=tiny.source, sampler=tiny.sampler, details=tiny.details), steps=1)

    assert painted.new == 6


def test_another_model_under_the_same_name_is_refused(paint: Paint) -> None:
    paint()

    with pytest.raises(EntrantConflictError, match="Enter the new one under another --name"):
        paint(Entrant(name="teal", source="swatch:teal", sampler="swatch", details={"colour": "petrol"}))


def test_an_entrant_without_images_may_still_change_its_settings(
    paint: Paint, tiny: Entrant, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first batch failed: nothing was painted yet, so nothing can be mixed."""
    from evaluation.samplers.diffusers import DiffusersSampler

    with monkeypatch.context() as patched:
        patched.setattr(DiffusersSampler, "paint", lambda self, prompts, seeds: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            paint(tiny)

    painted = paint(tiny, steps=1)

    assert painted.new == 6


def test_a_sampler_is_not_opened_when_nothing_is_to_be_painted(paint: Paint, monkeypatch: pytest.MonkeyPatch) -> None:
    paint()
    monkeypatch.setattr("evaluation.samplers.swatch.open_sampler", lambda source, settings: 1 / 0)

    assert paint().new == 0


@pytest.mark.parametrize("seeds", [[], [0, 0], [-1]])
def test_seeds_that_make_no_gallery_are_refused(paint: Paint, seeds: list[int]) -> None:
    with pytest.raises(SeedsError, match="different whole numbers from 0"):
        paint(seeds=seeds)


def test_what_a_sampler_cannot_paint_leaves_what_was_painted(
    paint: Paint, ledger: Ledger, asked: PromptSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = Swatch.paint
    last = asked.prompts[-1].text

    def failing(self: Swatch, prompts: Sequence[str], seeds: Sequence[int]) -> list[Image.Image]:
        if last in prompts:
            raise RuntimeError
        return whole(self, prompts, seeds)

    monkeypatch.setattr(Swatch, "paint", failing)
    with pytest.raises(RuntimeError):
        paint(batch_size=4)

    assert len(ledger.gallery("teal", asked, [0])) == 4


def test_what_cannot_be_opened_is_not_entered(paint: Paint, ledger: Ledger, tmp_path: Path) -> None:
    with pytest.raises(NotWeightsError):
        paint(Entrant(name="nothing", source=str(tmp_path), sampler="diffusers"))

    assert ledger.entrants() == []


def test_an_entered_entrant_is_found_by_its_name(paint: Paint, ledger: Ledger) -> None:
    paint()

    assert find_entrant(ledger, "teal", name=None) == TEAL
    assert find_entrant(ledger, "swatch:rose", name=None) == Entrant(
        name="rose", source="swatch:rose", sampler="swatch"
    )
