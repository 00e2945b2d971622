"""The steps inside the arena: the models enter, paint, are scored, and two studies open.

Whether a step is done, the ledger knows: an interrupted gallery goes on with the images that it lacks.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING

from canvas.demo.layout import (
    CANDIDATES,
    MODELS,
    PARTI_PROMPTS,
    PARTI_STUDY,
    REFERENCE,
    SHAPES_STUDY,
    Layout,
    Model,
)
from canvas.demo.road import Step
from prompts.library import find_prompts
from prompts.prompt import PromptSet
from prompts.sets.parti import PartiError

if TYPE_CHECKING:
    from arena.images import ImageStore
    from arena.ledger.ledger import Ledger
    from arena.study import Study
    from evaluation.generate import Painted

# The demo's prompts twice over, with other noise: 96 comparisons for each candidate.
SEEDS = (0, 1)
PARTI_SEEDS = (0,)
PARTI_MODELS = (MODELS[0], MODELS[-1])
METRICS = ("clip_score", "clip_fid")
VOTES_EACH = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenArena:
    """The demo's ledger and image store, opened."""

    ledger: "Ledger"
    images: "ImageStore"


@contextmanager
def open_arena(layout: Layout) -> Iterator[OpenArena]:
    """The demo's arena, made where it is not there yet; closed on the way out."""
    from arena.images import ImageStore
    from arena.ledger.ledger import Ledger
    from arena.settings import Settings

    settings = Settings(home=layout.arena)
    layout.arena.mkdir(parents=True, exist_ok=True)
    with Ledger.open(settings.database_url) as ledger:
        yield OpenArena(ledger=ledger, images=ImageStore(settings.images_url))


def shapes_prompts() -> PromptSet:
    """What the four models are asked first: the demo's 48 prompts."""
    return find_prompts("demo")


def _now() -> datetime:
    return datetime.now(UTC)


def _paint_gallery(
    arena: OpenArena, layout: Layout, model: Model, prompts: PromptSet, seeds: tuple[int, ...]
) -> "Painted":
    from arena.entering import read_entrant
    from evaluation.generate import generate

    return generate(
        arena.ledger,
        arena.images,
        entrant=read_entrant(str(layout.entrant(model))),
        prompts=prompts,
        seeds=seeds,
        clock=_now,
        settings={"batch_size": 32},
    )


def _is_painted(layout: Layout) -> bool:
    if not (layout.arena / "ledger.db").is_file():
        return False
    with open_arena(layout) as arena:
        entered = {entrant.name for entrant in arena.ledger.entrants()}
        return all(
            model.name in entered and not arena.ledger.missing_images(model.name, shapes_prompts(), SEEDS)
            for model in MODELS
        )


def _paint(layout: Layout) -> str:
    with open_arena(layout) as arena:
        for model in MODELS:
            _paint_gallery(arena, layout, model, shapes_prompts(), SEEDS)
    each = len(shapes_prompts()) * len(SEEDS)
    return f"Entered the four models in the arena; each painted {each} images for {len(shapes_prompts())} prompts."


def _is_scored(layout: Layout) -> bool:
    with open_arena(layout) as arena:
        scored = {(score.entrant, score.metric) for score in arena.ledger.scores()}
    return scored >= {(model.name, metric) for model in MODELS for metric in METRICS}


def _score(layout: Layout) -> str:
    from evaluation.galleries import whole_gallery
    from evaluation.metrics.base import Weights
    from evaluation.reference import ReferenceImages
    from evaluation.score import ScoreSettings, score

    prompts = shapes_prompts()
    with open_arena(layout) as arena:
        scores = score(
            arena.ledger,
            arena.images,
            galleries=[whole_gallery(arena.ledger, model.name, prompts, SEEDS) for model in MODELS],
            prompts=prompts,
            seeds=SEEDS,
            metrics=METRICS,
            reference=ReferenceImages(layout.source / "images"),
            settings=ScoreSettings(weights={"clip": Weights(source=str(layout.base / "clip"), revision=None)}),
        )
    clip_scores = {one.entrant: one.value for one in scores if one.metric == "clip_score"}
    listed = ", ".join(f"{name} {value:.1f}" for name, value in clip_scores.items())
    return f"Scored the galleries with the small CLIP; CLIP-Score: {listed}."


def _study(name: str, title: str, models: tuple[Model, ...], prompts: PromptSet, seeds: tuple[int, ...]) -> "Study":
    """A study of `models` against the first of them."""
    from arena.study import Study

    reference, *candidates = models
    return Study(
        name=name,
        title=title,
        question="Which image shows better what the prompt says?",
        reference=reference.name,
        candidates=tuple(candidate.name for candidate in candidates),
        prompts=prompts,
        seeds=seeds,
        ties=True,
        both_bad=False,
        votes_per_rater=min(VOTES_EACH, len(prompts) * len(seeds) * len(candidates)),
    )


def _has_study(name: str, layout: Layout) -> bool:
    with open_arena(layout) as arena:
        return any(record.name == name for record in arena.ledger.studies())


def _open_shapes(layout: Layout) -> str:
    study = _study(SHAPES_STUDY, "The shapes world", (REFERENCE, *CANDIDATES), shapes_prompts(), SEEDS)
    with open_arena(layout) as arena:
        arena.ledger.open_study(study, now=_now())
    return f"Opened the study '{SHAPES_STUDY}': three candidates against {REFERENCE.name}."


def _is_parti_settled(layout: Layout) -> bool:
    # Where the file could not be had, a later walk does not wait for the network again unless it is given the file.
    return _has_study(PARTI_STUDY, layout) or (layout.parti_file is None and layout.parti_left_out.is_file())


def _open_parti(layout: Layout) -> str:
    try:
        prompts = find_prompts("parti", parti_file=layout.parti_file, sample=PARTI_PROMPTS, seed=layout.seed)
    except PartiError as error:
        layout.parti_left_out.write_text(f"{error}\n", "utf-8")
        return f"Left out the PartiPrompts study: {error} Delete {layout.parti_left_out} to try the network again."
    with open_arena(layout) as arena:
        painted = [_paint_gallery(arena, layout, model, prompts, PARTI_SEEDS) for model in PARTI_MODELS]
        arena.ledger.open_study(
            _study(
                PARTI_STUDY, "PartiPrompts, painted by models that know only shapes", PARTI_MODELS, prompts, PARTI_SEEDS
            ),
            now=_now(),
        )
    return (
        f"Painted {PARTI_PROMPTS} of the PartiPrompts with two models ({painted[0].cut} are longer than they "
        f"can read) and opened the study '{PARTI_STUDY}' for votes."
    )


def simulate_raters(layout: Layout, raters: int) -> str:
    """Let `raters` simulated raters vote in the shapes study, unless as many have voted already."""
    import numpy as np

    from arena.rating import RatingRoom
    from arena.simulation import simulate
    from canvas.demo.raters import new_rater

    with open_arena(layout) as arena:
        present = len({vote.rater for vote in arena.ledger.votes(SHAPES_STUDY, raters="simulated")})
        missing = max(0, raters - present)
        if missing == 0:
            return f"{present} simulated raters have voted already."
        rng = np.random.default_rng([layout.seed, present])
        cast = simulate(
            RatingRoom(arena.ledger, arena.images),
            SHAPES_STUDY,
            raters=missing,
            votes_each=VOTES_EACH,
            judge=[new_rater(rng) for _ in range(missing)],
            rng=rng,
            now=_now(),
        )
    return f"{missing} simulated raters cast {cast:,} votes, each marked as simulated."


ARENA_STEPS = (
    Step(name="paint", title="Painting the galleries", is_done=_is_painted, work=_paint),
    Step(name="score", title="Scoring the galleries", is_done=_is_scored, work=_score),
    # The study that these models are made for opens last: the site shows the newest first.
    Step(name="parti", title="Painting PartiPrompts", is_done=_is_parti_settled, work=_open_parti),
    Step(name="study", title="Opening the study", is_done=partial(_has_study, SHAPES_STUDY), work=_open_shapes),
)
