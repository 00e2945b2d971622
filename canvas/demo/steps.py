"""The steps of the road: what each one makes, how one sees that it is made, and its one sentence.

Each step calls the same public function that the matching `canvas` command calls. Heavy libraries are imported inside
the steps, so that a walk over a finished road loads none of them.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from canvas.demo.arena_steps import ARENA_STEPS
from canvas.demo.audit_step import AUDIT_STEPS
from canvas.demo.layout import COLLECTIONS, MODELS, Layout, Model
from canvas.demo.road import Step
from canvas.demo.shapes_world import IMAGE_PX
from prompts.console import track
from training.licences import Collection
from training.stage import CATALOGUE, MANIFEST, read_manifest


def _now() -> datetime:
    return datetime.now(UTC)


def _made(*folders: Callable[[Layout], Path]) -> Callable[[Layout], bool]:
    """Whether all these stage folders are finished."""
    return lambda layout: all((folder(layout) / MANIFEST).is_file() for folder in folders)


def _is_source_drawn(layout: Layout) -> bool:
    # The catalogue is written last, in one step: where it is, every image is.
    return (layout.source / CATALOGUE).is_file()


def _draw_source(layout: Layout) -> str:
    from canvas.demo.shapes_world import write_source_images

    rows = write_source_images(layout.source, count=layout.images, seed=layout.seed)
    authors = {row.author for row in track(rows, "Drawing", layout.images)}
    return f"Drew the shapes world: {layout.images:,} captioned images by {len(authors)} example authors."


def _split(layout: Layout) -> str:
    from training.split import split_source

    counts: Counter[str] = Counter(split_source(layout.source, layout.split, now=_now()).manifest.counts)
    return (
        f"Parted them by licence: {counts['commercial']:,} commercial, {counts['non-commercial']:,} non-commercial; "
        f"{counts['evaluation-only']:,} forbid derivatives and are kept out of training."
    )


def _caption(layout: Layout) -> str:
    from training.captioners.base import CaptionerSettings
    from training.captions import caption_images

    made = caption_images(
        layout.split, layout.source, layout.captions, captioner="alt_text", settings=CaptionerSettings(), now=_now()
    )
    return f"Captioned {made.manifest.counts['captions']:,} images with the text that came with them."


def _shard(layout: Layout) -> str:
    from training.shards import write_shards

    for collection in COLLECTIONS:
        write_shards(
            layout.source,
            layout.split,
            layout.captions,
            layout.shards(collection),
            collection=collection,
            now=_now(),
        )
    counts = {collection: read_manifest(layout.shards(collection)).counts["images"] for collection in COLLECTIONS}
    return (
        f"Packed the collections into MDS shards: C with {counts[Collection.C]:,} images, "
        f"NC, which contains C, with {counts[Collection.NC]:,}."
    )


def _use_one_thread() -> None:
    """Let torch compute in one thread: at this size a second one costs more in waiting than it brings in work.

    benchmarks/RESULTS.md has the figures: on a virtual machine of two cores, two threads were 2 to 10 times slower.
    """
    import torch

    torch.set_num_threads(1)


def _build_base(layout: Layout) -> str:
    from training.base.build import BaseSettings, build_base

    _use_one_thread()
    settings = BaseSettings(seed=layout.seed).at_effort(layout.effort)
    made = build_base(layout.shards(Collection.NC), layout.base, settings, now=_now()).manifest
    return (
        f"Trained a small autoencoder ({made.counts['autoencoder_parameters'] / 1e6:.2f} M parameters) and a small "
        f"CLIP ({made.counts['clip_parameters'] / 1e6:.2f} M), whose text half the models listen to."
    )


def _encode(layout: Layout) -> str:
    from training.latents import LatentsSettings, precompute_latents

    _use_one_thread()
    for collection in COLLECTIONS:
        precompute_latents(
            layout.shards(collection),
            layout.latents(collection),
            base=str(layout.base),
            settings=LatentsSettings(size_px=IMAGE_PX),
            now=_now(),
            batch_size=128,
        )
    return "Encoded images and captions once; from here on training reads latents and text embeddings."


def _train(model: Model) -> Callable[[Layout], str]:
    """The work of training `model` by its recipe."""

    def work(layout: Layout) -> str:
        from training.launch import train
        from training.recipes import find_recipe

        _use_one_thread()
        recipe = find_recipe(model.recipe)
        run = replace(recipe, steps=max(1, round(layout.effort * recipe.steps)))
        made = train(
            run, data=layout.latents(model.collection), base=str(layout.base), out=layout.run(model), now=_now()
        ).manifest
        return (
            f"Trained {model.name} on the {model.collection} collection: {made.counts['parameters'] / 1e6:.2f} M "
            f"parameters, {made.counts['steps']:,} steps."
        )

    return work


def _export(layout: Layout) -> str:
    from training.export import export

    for model in track(MODELS, "Exporting", len(MODELS)):
        export(layout.run(model), base=str(layout.base), out=layout.entrant(model), now=_now(), name=model.name)
    return "Exported each model as a diffusers folder, checked to paint exactly as it did in training."


STEPS = (
    Step(name="source", title="Drawing the shapes world", is_done=_is_source_drawn, work=_draw_source),
    Step(name="split", title="Parting the images by licence", is_done=_made(lambda it: it.split), work=_split),
    Step(name="captions", title="Captioning", is_done=_made(lambda it: it.captions), work=_caption),
    Step(
        name="shards",
        title="Packing shards",
        is_done=_made(*(partial(Layout.shards, collection=collection) for collection in COLLECTIONS)),
        work=_shard,
    ),
    Step(name="base", title="Training the frozen parts", is_done=_made(lambda it: it.base), work=_build_base),
    Step(
        name="latents",
        title="Encoding images and captions",
        is_done=_made(*(partial(Layout.latents, collection=collection) for collection in COLLECTIONS)),
        work=_encode,
    ),
    *(
        Step(
            name=model.name,
            title=f"Training {model.name}",
            is_done=_made(partial(Layout.run, model=model)),
            work=_train(model),
        )
        for model in MODELS
    ),
    Step(
        name="export",
        title="Exporting the models",
        is_done=_made(*(partial(Layout.entrant, model=model) for model in MODELS)),
        work=_export,
    ),
    *ARENA_STEPS,
    *AUDIT_STEPS,
)
