"""`canvas evaluate`: paint galleries, look at them, measure and compare them."""

from pathlib import Path
from typing import Annotated

import typer

from arena.cli_home import Home
from evaluation import cli_audit, cli_reference
from evaluation.cli_distance import distance
from evaluation.cli_fid import fid
from evaluation.cli_lint import lint
from evaluation.cli_options import (
    Device,
    Entrants,
    Prompts,
    SampleSeed,
    Seeds,
    chosen_galleries,
    known_prompts,
    now,
    numbers,
    open_arena,
)
from evaluation.cli_scores import compare, people, score, sweep
from prompts.console import AsJson, print_json, say
from prompts.options import PartiFile, Sample

app = typer.Typer(help="Paint galleries, look at them, measure and compare them.", no_args_is_help=True)


@app.command()
def generate(
    entrant: Annotated[
        str,
        typer.Option(
            "--entrant",
            metavar="FOLDER_OR_HUB_ID",
            help="A diffusers folder, a folder of images with a gallery.csv, owner/name on the hub, swatch:NAME, or "
            "the name of one that is entered.",
        ),
    ],
    prompts: Prompts,
    *,
    sample: Sample = None,
    sample_seed: SampleSeed = 0,
    name: Annotated[str | None, typer.Option(help="What to call it; else its entrant.json or its folder says.")] = None,
    seeds: Seeds = "0",
    steps: Annotated[int | None, typer.Option(help="Denoising steps; else entrant.json's, else 50.")] = None,
    guidance: Annotated[float | None, typer.Option(help="Guidance scale; else entrant.json's, else 7.5.")] = None,
    size: Annotated[int | None, typer.Option(help="Pixels of the side; else entrant.json's, else the model's.")] = None,
    dtype: Annotated[
        str | None, typer.Option(help="float32, float16, bfloat16; auto is float32 on a CPU and half on a GPU.")
    ] = None,
    revision: Annotated[str | None, typer.Option(help="The commit, branch or tag of a hub id.")] = None,
    batch: Annotated[int | None, typer.Option(help="Images at once; it does not change them.")] = None,
    device: Device = "auto",
    parti_file: PartiFile = None,
    arena: Home = None,
    as_json: AsJson = False,
) -> None:
    """Paint the images that an entrant's gallery lacks; interrupted, it goes on where it stopped."""
    from evaluation.generate import find_entrant
    from evaluation.generate import generate as paint

    settings = {
        "steps": steps,
        "guidance": guidance,
        "size_px": size,
        "dtype": dtype,
        "revision": revision,
        "batch_size": batch,
        "device": device,
    }
    with open_arena(arena) as (ledger, images):
        painted = paint(
            ledger,
            images,
            entrant=find_entrant(ledger, entrant, name=name),
            prompts=known_prompts(ledger, prompts, parti_file, sample, sample_seed),
            seeds=numbers(seeds),
            settings=settings,
            clock=now,
        )
    if as_json:
        print_json(
            {
                "entrant": painted.entrant,
                "prompt_set": painted.prompt_set,
                "images": painted.images,
                "new": painted.new,
                "cut": painted.cut,
                "seconds": round(painted.seconds, 3),
            }
        )
        return
    say(
        f"The gallery of '{painted.entrant}' for '{painted.prompt_set}' is whole: {painted.images:,} images, "
        f"{painted.new:,} of them painted now in {painted.seconds:,.1f} s."
    )
    if painted.cut:
        say(f"{painted.cut:,} prompts are longer than what '{painted.entrant}' reads; their ends went unread.")


@app.command()
def gallery(
    prompts: Prompts,
    out: Annotated[
        Path,
        typer.Option(
            "--out", metavar="FILE.png|FOLDER", help="A sheet in a .png, .jpg or .webp file, or a new folder of files."
        ),
    ],
    *,
    entrant: Entrants = None,
    sample: Sample = None,
    sample_seed: SampleSeed = 0,
    seeds: Seeds = "0",
    cell: Annotated[int, typer.Option(min=32, help="Pixels of an image on the sheet.")] = 160,
    parti_file: PartiFile = None,
    arena: Home = None,
    as_json: AsJson = False,
) -> None:
    """Put whole galleries side by side on one sheet, prompts by entrants, or write them as files."""
    from evaluation.gallery import SHEET_ENDINGS, write_galleries, write_sheet

    listed = numbers(seeds)
    with open_arena(arena) as (ledger, images):
        chosen = known_prompts(ledger, prompts, parti_file, sample, sample_seed)
        galleries = chosen_galleries(ledger, entrant, chosen, listed)
        if out.suffix.lower() in SHEET_ENDINGS:
            write_sheet(out, galleries, images, chosen, listed, cell_px=cell)
        else:
            write_galleries(out, galleries, images, chosen)
    shown = [one.entrant for one in galleries]
    if as_json:
        print_json({"out": str(out), "entrants": shown, "prompts": len(chosen), "seeds": listed})
        return
    say(f"{out} shows {len(chosen):,} prompts by {', '.join(shown)}.")


for command in (score, compare, sweep, people, distance, fid, lint):
    app.command()(command)
app.add_typer(cli_reference.app, name="reference")
app.add_typer(cli_audit.app, name="audit")
