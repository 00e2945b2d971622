"""`canvas evaluate`: paint galleries, measure them, look at them."""

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from arena.cli_home import Home
from evaluation.metrics import METRICS
from prompts.console import AsJson, print_json, print_table, say
from prompts.errors import CanvasError
from prompts.options import PartiFile, Sample

if TYPE_CHECKING:
    from collections.abc import Iterator

    from arena.images import ImageStore
    from arena.ledger.ledger import Ledger
    from arena.ledger.records import Score
    from evaluation.galleries import Gallery
    from prompts.prompt import PromptSet

app = typer.Typer(help="Paint galleries, measure them, and look at them.", no_args_is_help=True)


class ListError(CanvasError):
    """An option that takes a list, and was given something else."""


Prompts = Annotated[
    str,
    typer.Option(
        "--prompts",
        metavar="SET_OR_FILE",
        help="A set from `canvas prompts list`, your own file, or a set that the arena keeps, by its name.",
    ),
]
Entrants = Annotated[
    list[str] | None,
    typer.Option("--entrant", metavar="NAME", help="Repeatable; all with a whole gallery where nothing is said."),
]
SampleSeed = Annotated[int, typer.Option("--sample-seed", min=0, help="Which sample: the same seed draws the same.")]
Seeds = Annotated[str, typer.Option("--seeds", metavar="0,1,...", help="One image per prompt and seed.")]
Device = Annotated[str, typer.Option("--device", help="cpu, cuda, cuda:1, ...; auto is a GPU where there is one.")]


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
    with _open(arena) as (ledger, images):
        painted = paint(
            ledger,
            images,
            entrant=find_entrant(ledger, entrant, name=name),
            prompts=_prompts(ledger, prompts, parti_file, sample, sample_seed),
            seeds=_numbers(seeds),
            settings=settings,
            clock=_now,
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
def score(
    prompts: Prompts,
    *,
    entrant: Entrants = None,
    metrics: Annotated[
        str, typer.Option("--metrics", metavar="NAME,...", help=f"{', '.join(METRICS)}.")
    ] = "clip_score",
    sample: Sample = None,
    sample_seed: SampleSeed = 0,
    seeds: Seeds = "0",
    clip: Annotated[
        str | None,
        typer.Option("--clip", metavar="MODEL_OR_FOLDER", help="Another CLIP than the one a metric is defined on."),
    ] = None,
    clip_revision: Annotated[str | None, typer.Option(help="The commit of --clip on the hub.")] = None,
    reference_images: Annotated[
        Path | None, typer.Option("--reference-images", metavar="FOLDER", help="Real images, which clip_fid needs.")
    ] = None,
    resamples: Annotated[int, typer.Option(min=100, help="How often prompts are drawn for the interval.")] = 1000,
    seed: Annotated[int, typer.Option(min=0, help="The seed of these draws.")] = 0,
    batch: Annotated[int, typer.Option(min=1, help="Images at once.")] = 32,
    device: Device = "auto",
    parti_file: PartiFile = None,
    arena: Home = None,
    as_json: AsJson = False,
) -> None:
    """Measure whole galleries; each score has a 95% interval over prompts and goes into the ledger."""
    from evaluation.features.base import ExtractorSettings
    from evaluation.metrics.base import Weights
    from evaluation.reference import ReferenceImages
    from evaluation.score import ScoreSettings
    from evaluation.score import score as measure

    settings = ScoreSettings(
        weights=None if clip is None else Weights(source=clip, revision=clip_revision),
        extractor=ExtractorSettings(device=device, batch_size=batch),
        resamples=resamples,
        seed=seed,
    )
    names, numbers = _words(metrics), _numbers(seeds)
    with _open(arena) as (ledger, images):
        chosen = _prompts(ledger, prompts, parti_file, sample, sample_seed)
        scores = measure(
            ledger,
            images,
            galleries=_galleries(ledger, entrant, chosen, numbers),
            prompts=chosen,
            seeds=numbers,
            metrics=names,
            reference=None if reference_images is None else ReferenceImages(reference_images),
            settings=settings,
        )
    if as_json:
        print_json([_score_json(one) for one in scores])
        return
    rows = [
        (one.metric, one.entrant, f"{one.value:.4g}", f"{one.low:.4g} to {one.high:.4g}", f"{one.n:,}")
        for one in scores
    ]
    print_table(["metric", "entrant", "value", "95% interval", "images"], rows)
    cut = max((one.details.get("texts_cut", 0) for one in scores), default=0)
    if cut:
        say(f"{cut:,} of the {len(chosen):,} prompts are longer than the model reads and were cut at their end.")


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

    numbers = _numbers(seeds)
    with _open(arena) as (ledger, images):
        chosen = _prompts(ledger, prompts, parti_file, sample, sample_seed)
        galleries = _galleries(ledger, entrant, chosen, numbers)
        if out.suffix.lower() in SHEET_ENDINGS:
            write_sheet(out, galleries, images, chosen, numbers, cell_px=cell)
        else:
            write_galleries(out, galleries, images, chosen)
    shown = [one.entrant for one in galleries]
    if as_json:
        print_json({"out": str(out), "entrants": shown, "prompts": len(chosen), "seeds": numbers})
        return
    say(f"{out} shows {len(chosen):,} prompts by {', '.join(shown)}.")


@contextmanager
def _open(home: Path | None) -> "Iterator[tuple[Ledger, ImageStore]]":
    from arena.images import ImageStore
    from arena.ledger.ledger import Ledger
    from arena.settings import read_settings

    settings = read_settings(home=home)
    with Ledger.open(settings.database_url) as ledger:
        yield ledger, ImageStore(settings.images_url)


def _prompts(ledger: "Ledger", name: str, parti_file: Path | None, sample: int | None, sample_seed: int) -> "PromptSet":
    """The prompt set that is known everywhere by this name, or else the one that the ledger keeps under it."""
    from prompts.library import UnknownPromptSetError, find_prompts

    try:
        return find_prompts(name, parti_file=parti_file, sample=sample, seed=sample_seed)
    except UnknownPromptSetError:
        if name not in {found for kept in ledger.prompt_sets() for found in (kept.name, kept.id)}:
            raise
        kept = ledger.prompt_set(name)
        return kept if sample is None else kept.sample(sample, sample_seed)


def _galleries(ledger: "Ledger", entrants: list[str] | None, prompts: "PromptSet", seeds: list[int]) -> "list[Gallery]":
    from evaluation.galleries import whole_galleries, whole_gallery
    from evaluation.generate import check_seeds

    check_seeds(seeds)
    if entrants:
        return [whole_gallery(ledger, name, prompts, seeds) for name in dict.fromkeys(entrants)]
    galleries = whole_galleries(ledger, prompts, seeds)
    left_out = {one.name for one in ledger.entrants()} - {one.entrant for one in galleries}
    if left_out:
        say(f"Left out, because their galleries of '{prompts.name}' lack images: {', '.join(sorted(left_out))}.")
    return galleries


def _score_json(score: "Score") -> dict[str, Any]:
    from dataclasses import asdict

    return asdict(score)


def _words(listed: str) -> list[str]:
    words = list(dict.fromkeys(word.strip() for word in listed.split(",") if word.strip()))
    if not words:
        raise ListError("No metric is named: say for example --metrics clip_score,clip_fid.")
    return words


def _numbers(listed: str) -> list[int]:
    try:
        return [int(word) for word in listed.split(",")]
    except ValueError as error:
        raise ListError(
            f"--seeds takes whole numbers with commas between them, as in 0,1, and not '{listed}'."
        ) from error


def _now() -> Any:
    from datetime import UTC, datetime

    return datetime.now(UTC)
