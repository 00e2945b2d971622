"""`canvas train`: from licensed images to a model, stage by stage, each from folder to folder.

Every command parses, calls one function and says what came of it; with --json it prints one value.
"""

from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from prompts.console import AsJson, print_json, print_table, say
from training.licences import Collection

if TYPE_CHECKING:
    from training.stage import StageResult

app = typer.Typer(help="Train text-to-image models on licensed images, stage by stage.", no_args_is_help=True)

Out = Annotated[Path, typer.Option("--out", help="The folder to make; it must not hold anything else.")]
Source = Annotated[Path, typer.Option("--source", help="The source folder: catalogue.jsonl and the images it names.")]
SkipBroken = Annotated[bool, typer.Option("--skip-broken", help="Leave out images that cannot be decoded, and count.")]
Base = Annotated[str, typer.Option("--base", help="Folder or hub id with vae/, text_encoder/ and tokenizer/.")]
Device = Annotated[str, typer.Option("--device", help="auto, cpu, cuda or cuda:N.")]
Revision = Annotated[str, typer.Option("--revision", help="Which revision of a hub's model; the newest if not given.")]


@app.command()
def split(
    source: Annotated[Path, typer.Argument(help="The source folder: catalogue.jsonl and the images it names.")],
    out: Out,
    as_json: AsJson = False,
) -> None:
    """Part source images by licence: commercial, non-commercial, evaluation-only, refused."""
    from training.split import split_source

    _tell(split_source(source, out, now=_now()), as_json)


@app.command()
def caption(
    split: Annotated[Path, typer.Argument(help="The folder that `split` made.")],
    source: Source,
    out: Out,
    *,
    captioner: Annotated[str, typer.Option(help="Who writes the captions: blip2 or alt_text.")] = "blip2",
    model: Annotated[str, typer.Option(help="The captioner's model: a folder or a hub id; its own if not given.")] = "",
    revision: Revision = "",
    batch: Annotated[int, typer.Option(min=1, help="Images per batch.")] = 16,
    max_new_tokens: Annotated[int, typer.Option(min=1, help="The longest caption, in tokens.")] = 30,
    device: Device = "auto",
    precision: Annotated[str, typer.Option(help="auto, fp32, bf16 or fp16.")] = "auto",
    skip_broken: SkipBroken = False,
    skip_uncaptioned: Annotated[
        bool, typer.Option("--skip-uncaptioned", help="Leave out images that get no caption, and count.")
    ] = False,
    warn_names: Annotated[
        float,
        typer.Option(
            min=0, max=1, help="Warn where more than this share of captions name a character, brand or person."
        ),
    ] = 0.01,
    as_json: AsJson = False,
) -> None:
    """Caption the images of a split, those for evaluation too."""
    from training.captioners.base import CaptionerSettings
    from training.captions import caption_images, names_warning

    settings = CaptionerSettings(
        model=model,
        revision=revision,
        batch_size=batch,
        max_new_tokens=max_new_tokens,
        device=device,
        precision=precision,
    )
    result = caption_images(
        split,
        source,
        out,
        captioner=captioner,
        settings=settings,
        now=_now(),
        skip_broken=skip_broken,
        skip_uncaptioned=skip_uncaptioned,
    )
    _tell(result, as_json)
    if warning := names_warning(result, above=warn_names):
        say(warning)


@app.command()
def shards(
    split: Annotated[Path, typer.Argument(help="The folder that `split` made.")],
    source: Source,
    captions: Annotated[Path, typer.Option(help="The folder that `caption` made.")],
    collection: Annotated[
        Collection, typer.Option("--split", help="commercial, or non-commercial, which contains the commercial images.")
    ],
    out: Out,
    *,
    images_per_shard: Annotated[int, typer.Option(min=1, help="Source images per partition.")] = 1000,
    skip_broken: SkipBroken = False,
    as_json: AsJson = False,
) -> None:
    """Pack images, captions and provenance into MDS shards; ND images never enter."""
    from training.shards import write_shards

    result = write_shards(
        source,
        split,
        captions,
        out,
        collection=collection,
        now=_now(),
        skip_broken=skip_broken,
        images_per_shard=images_per_shard,
    )
    _tell(result, as_json)


@app.command("base")
def make_base(
    shards: Annotated[Path, typer.Argument(help="The folder that `shards` made.")],
    out: Out,
    *,
    size: Annotated[int, typer.Option(min=32, help="Pixels of the square images; a multiple of 8.")] = 32,
    effort: Annotated[float, typer.Option(min=0.001, max=10.0, help="Share of the training steps.")] = 1.0,
    seed: Annotated[int, typer.Option(help="The seed of weights and batches.")] = 0,
    as_json: AsJson = False,
) -> None:
    """Learn a tiny base (tokenizer, CLIP, autoencoder) where Stable Diffusion's own is not to be had."""
    from training.base.build import BaseSettings, build_base

    result = build_base(shards, out, BaseSettings(image_px=size, seed=seed).at_effort(effort), now=_now())
    _tell(result, as_json)


@app.command()
def latents(
    shards: Annotated[Path, typer.Argument(help="The folder that `shards` made.")],
    base: Base,
    size: Annotated[int, typer.Option(min=1, help="Pixels of the square images, as 256 or 512.")],
    out: Out,
    *,
    storage: Annotated[str, typer.Option(help="float32, or float16 for half the disk and a slightly other loss.")] = (
        "float32"
    ),
    precision: Annotated[str, typer.Option(help="What to compute in: fp32, bf16, fp16 or auto.")] = "fp32",
    posterior: Annotated[str, typer.Option(help="mean, or sample: one draw per image.")] = "mean",
    seed: Annotated[int, typer.Option(help="The seed of the draws.")] = 0,
    revision: Revision = "",
    device: Device = "auto",
    batch: Annotated[int, typer.Option(min=1, help="Images per batch.")] = 32,
    as_json: AsJson = False,
) -> None:
    """Compute latents and text embeddings once, by the frozen parts of a base."""
    from training.latents import LatentsSettings, precompute_latents

    settings = LatentsSettings(size_px=size, storage=storage, precision=precision, posterior=posterior, seed=seed)
    result = precompute_latents(
        shards, out, base=base, settings=settings, now=_now(), revision=revision, device=device, batch_size=batch
    )
    _tell(result, as_json)


@app.command()
def attribution(
    shards: Annotated[Path, typer.Argument(help="A folder that `shards` or `latents` made.")],
    as_json: AsJson = False,
) -> None:
    """List whom to thank for the images of a shard folder: title, author, source, licence."""
    from training.shards import read_attributions

    if as_json:
        print_json([entry.to_dict() for entry in read_attributions(shards)])
        return
    for entry in read_attributions(shards):
        typer.echo(entry.line)


@app.command()
def recipes(as_json: AsJson = False) -> None:
    """List the recipes, each of which returns a run."""
    from training.recipes import RECIPES, find_recipe

    runs = {name: find_recipe(name) for name in RECIPES}
    if as_json:
        print_json({name: asdict(run) for name, run in runs.items()})
        return
    columns = ["recipe", "unet", "licence split", "batch", "steps", "learning rate", "precision"]
    rows = [
        (name, run.unet, run.licence_split, f"{run.batch_size:,}", f"{run.steps:,}", run.learning_rate, run.precision)
        for name, run in runs.items()
    ]
    print_table(columns, rows)
    say("Follow one with `canvas train run RECIPE --data LATENTS --base BASE --out FOLDER`.")


@app.command()
def run(
    recipe: Annotated[str, typer.Argument(help="A recipe from `recipes`.")],
    data: Annotated[Path, typer.Option(help="The folder that `latents` made.")],
    base: Base,
    out: Out,
    *,
    overrides: Annotated[
        list[str] | None, typer.Option("--set", help="field=value: another value for one field of the run; repeatable.")
    ] = None,
    start_from: Annotated[
        Path | None, typer.Option("--start-from", help="The run folder to go on from, where the recipe asks for one.")
    ] = None,
    revision: Revision = "",
    as_json: AsJson = False,
) -> None:
    """Train a UNet by a recipe; an interrupted run goes on from its last checkpoint."""
    from training.launch import train
    from training.recipes import find_recipe
    from training.run import apply_overrides

    chosen = apply_overrides(find_recipe(recipe), overrides or [])
    result = train(chosen, data=data, base=base, out=out, now=_now(), revision=revision, start_from=start_from)
    _tell(result, as_json)


@app.command()
def export(
    run_folder: Annotated[Path, typer.Argument(help="The folder that `run` made.")],
    base: Base,
    out: Out,
    *,
    name: Annotated[str | None, typer.Option(help="The entrant's name; the run's own if not given.")] = None,
    revision: Revision = "",
    as_json: AsJson = False,
) -> None:
    """Make a diffusers folder of a run's weights, which `canvas arena enter` and `canvas evaluate` take."""
    from training.export import export as export_run

    _tell(export_run(run_folder, base=base, out=out, now=_now(), name=name, revision=revision), as_json)


def _now() -> datetime:
    return datetime.now(UTC)


def _tell(result: "StageResult", as_json: bool) -> None:
    """Say what a stage made, or that it was made before."""
    counts = ", ".join(f"{count:,} {name.replace('_', ' ')}" for name, count in result.manifest.counts.items())
    verb = "was already made from the same input" if result.already_made else "is made"
    say(f"{result.folder} {verb}: {counts}.")
    if as_json:
        print_json(result.to_dict())
