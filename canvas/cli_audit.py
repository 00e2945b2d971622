"""What the front door adds to `canvas evaluate`: `leaks`, `telephone` and `copies`, which need both training and arena.

Every command parses, calls one function and says what came of it; with --json it prints one value.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from arena.cli_home import Home
from evaluation.cache import Cache, cache_folder
from evaluation.cli_options import (
    Prompts,
    SampleSeed,
    Seeds,
    known_prompts,
    named,
    now,
    numbers,
    open_arena,
    weights_of,
    words,
)
from prompts.console import AsJson, print_json, print_table, say
from prompts.options import PartiFile, Sample
from training.licences import Collection

if TYPE_CHECKING:
    from arena.ledger.records import Entrant
    from canvas.leaks import SplitScan
    from evaluation.audit.entities import EntityTagger

app = typer.Typer()
EVERYONE = "characters,celebrities,logos"

Device = Annotated[str, typer.Option("--device", help="cpu, cuda, cuda:1, ...; auto is a GPU where there is one.")]
Weights = Annotated[
    list[str] | None,
    typer.Option(
        "--weights",
        metavar="NAME=WHERE",
        help="Weights in place of the published ones: a file, a folder, or a hub id with @REVISION. Repeatable.",
    ),
]
Probes = Annotated[
    str,
    typer.Option(
        "--probes", metavar="SET_OR_FILE,...", help="Whose names are looked for: our sets, or your own files."
    ),
]


@app.command()
def leaks(
    captions: Annotated[
        list[Path],
        typer.Argument(
            metavar="CAPTIONS...",
            help="Folders that `train caption` made, source folders with their catalogues, .jsonl or .txt files.",
        ),
    ],
    *,
    split: Annotated[
        Path | None, typer.Option(help="The folder that `train split` made: captions are told apart by licence split.")
    ] = None,
    probes: Probes = EVERYONE,
    tagger: Annotated[
        str | None,
        typer.Option(metavar="NAME|FOLDER|ID", help="Also mark names that stand in no list: bert_ner, or your own."),
    ] = None,
    tagger_sample: Annotated[int, typer.Option(min=1, help="How many captions of a split the tagger reads.")] = 2000,
    seed: Annotated[int, typer.Option(min=0, help="Which captions the tagger reads.")] = 0,
    examples: Annotated[int, typer.Option(min=0, help="How many captions are shown of each split.")] = 5,
    max_rate: Annotated[
        float | None, typer.Option(min=0, max=1, help="End with exit code 1 where a larger share names someone.")
    ] = None,
    batch: Annotated[int, typer.Option(min=1, help="Captions the tagger reads at once.")] = 32,
    device: Device = "auto",
    as_json: AsJson = False,
) -> None:
    """Count the captions that name a character, a brand or a person, by licence split, and show some."""
    from canvas.leaks import scan_captions
    from prompts.probes import find_probes

    known = find_probes(probes)
    opened = None if tagger is None else _tagger(tagger, device=device, batch_size=batch)
    scans = scan_captions(
        captions, known, split=split, tagger=opened, tagged_sample=tagger_sample, seed=seed, examples=examples
    )
    above = [one for one in scans if max_rate is not None and one.scan.share > max_rate]
    if as_json:
        print_json(
            {
                "probes": known.name,
                "targets": len(known),
                "tagger": None if opened is None else opened.details,
                "max_rate": max_rate,
                "above_max_rate": bool(above),
                "scans": [one.to_dict() for one in scans],
            }
        )
    else:
        _show_leaks(scans, len(known))
    for one in above:
        say(
            f"{one.captions} ({one.split}): {one.scan.share:.2%} of the captions name someone, and {max_rate:.2%} was "
            "declared as the most."
        )
    if above:
        raise typer.Exit(1)


@app.command()
def telephone(
    images: Annotated[
        Path, typer.Argument(metavar="IMAGES", help="A folder of pictures, or a source folder with its catalogue.")
    ],
    entrant: Annotated[
        str,
        typer.Option("--entrant", metavar="NAME|FOLDER|ID", help="Who paints: one that is entered, or as `generate`."),
    ],
    out: Annotated[Path, typer.Option("--out", metavar="FOLDER", help="The folder to make; it goes on where it was.")],
    *,
    captioner: Annotated[str, typer.Option(help="Who puts images into words: blip2 or alt_text.")] = "blip2",
    captioner_model: Annotated[
        str, typer.Option("--captioner-model", metavar="FOLDER|ID", help="Its model; its own if not given.")
    ] = "",
    captioner_revision: Annotated[str, typer.Option("--captioner-revision", help="The commit of that model.")] = "",
    max_new_tokens: Annotated[int, typer.Option(min=1, help="The longest caption, in tokens.")] = 30,
    skip_uncaptioned: Annotated[
        bool, typer.Option("--skip-uncaptioned", help="Leave out images that get no caption, and count.")
    ] = False,
    features: Annotated[
        str, typer.Option("--features", metavar="NAME,...", help="What likeness is measured by.")
    ] = "clip,dinov2,sscd",
    weights: Weights = None,
    sample: Annotated[int | None, typer.Option(min=1, help="Draw this many of the images.")] = None,
    repeats: Annotated[int, typer.Option(min=1, help="Pictures painted of each caption.")] = 1,
    seed: Annotated[int, typer.Option(min=0, help="Image number i is painted with this seed plus i.")] = 0,
    steps: Annotated[int | None, typer.Option(help="Denoising steps; else entrant.json's, else 50.")] = None,
    guidance: Annotated[float | None, typer.Option(help="Guidance scale; else entrant.json's, else 7.5.")] = None,
    size: Annotated[int | None, typer.Option(help="Pixels of the side; else entrant.json's, else the model's.")] = None,
    dtype: Annotated[str | None, typer.Option(help="float32, float16, bfloat16; auto fits the device.")] = None,
    batch: Annotated[int, typer.Option(min=1, help="Images at once; it does not change them.")] = 16,
    device: Device = "auto",
    cache: Cache = None,
    arena: Home = None,
    as_json: AsJson = False,
) -> None:
    """Send images through words and back, and measure whether they come back; interrupted, it goes on."""
    from canvas.telephone import Measures
    from canvas.telephone import telephone as send
    from evaluation.feature_store import FeatureStore
    from training.captioners.base import CaptionerSettings

    lines = words(features, option="--features", example="clip,dinov2")
    where = named(weights, option="--weights", known=set(lines))
    found = send(
        images,
        out,
        captioner=captioner,
        captioning=CaptionerSettings(
            model=captioner_model,
            revision=captioner_revision,
            batch_size=batch,
            max_new_tokens=max_new_tokens,
            device=device,
        ),
        entrant=_entrant(entrant, arena),
        measures=Measures(
            features={line: weights_of(where[line]) if line in where else None for line in lines},
            device=device,
            batch_size=batch,
            store=FeatureStore(cache_folder(cache) / "features"),
        ),
        sampling={
            "steps": steps,
            "guidance": guidance,
            "size_px": size,
            "dtype": dtype,
            "batch_size": batch,
            "device": device,
        },
        repeats=repeats,
        seed=seed,
        sample=sample,
        skip_uncaptioned=skip_uncaptioned,
        now=now(),
    )
    if as_json:
        print_json(found.to_dict())
        return
    rows = [
        (
            line,
            f"{one.own:.3f}",
            f"{one.mismatched:.3f}",
            f"{one.difference:.3f} ({one.low:.3f} to {one.high:.3f})",
            f"{one.p_value:.2g}",
            f"{one.nearest:.1%}",
        )
        for line, one in found.measures.items()
    ]
    print_table(["features", "own", "others", "difference (95%)", "p", "own is nearest"], rows)
    verb = "was already made" if found.result.already_made else "is made"
    say(
        f"{found.result.folder} {verb}: {found.results['images']:,} round trips; open {found.result.folder}/index.html."
    )


@app.command()
def copies(
    entrant: Annotated[
        str, typer.Argument(metavar="ENTRANT", help="Whose gallery: an entrant's name, or its folder or hub id.")
    ],
    prompts: Prompts,
    training_images: Annotated[
        Path,
        typer.Option(
            "--training-images", metavar="FOLDER|CATALOGUE", help="The source folder, or its catalogue.jsonl."
        ),
    ],
    *,
    catalogue: Annotated[
        Path | None, typer.Option(help="For a folder without a catalogue: the one that tells whose its pictures are.")
    ] = None,
    collection: Annotated[
        Collection | None, typer.Option("--split", help="Search only what a model of this collection learned from.")
    ] = None,
    sample: Sample = None,
    sample_seed: SampleSeed = 0,
    seeds: Seeds = "0",
    features: Annotated[str, typer.Option(help="sscd, or another line of the table of extractors.")] = "sscd",
    weights: Annotated[
        str | None, typer.Option(metavar="FILE|FOLDER|ID", help="The extractor's weights; else the published ones.")
    ] = None,
    threshold: Annotated[float, typer.Option(min=-1, max=1, help="Above which cosine an image is a copy.")] = 0.5,
    top: Annotated[int, typer.Option(min=1, help="How many of the nearest training images are told.")] = 3,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FOLDER", help="Also write copies.json and a page with the pairs.")
    ] = None,
    batch: Annotated[int, typer.Option(min=1, help="Images at once.")] = 32,
    device: Device = "auto",
    cache: Cache = None,
    parti_file: PartiFile = None,
    arena: Home = None,
    as_json: AsJson = False,
) -> None:
    """List the images of a gallery that are copies of training images, with whose those are."""
    from canvas.memorisation import Searching, find_copies, write_copies
    from canvas.training_images import find_training_images
    from evaluation.feature_store import FeatureStore
    from evaluation.galleries import whole_gallery
    from evaluation.generate import find_entrant

    training = find_training_images(training_images, catalogue=catalogue, collection=collection)
    if not training.known:
        say(
            f"{training_images} has no catalogue, so that licences, authors and origins stay unknown: name one with "
            "--catalogue."
        )
    listed = numbers(seeds)
    searching = Searching(
        features=features,
        weights=None if weights is None else weights_of(weights),
        threshold=threshold,
        top=top,
        device=device,
        batch_size=batch,
        store=FeatureStore(cache_folder(cache) / "features"),
    )
    with open_arena(arena) as (ledger, images):
        chosen = known_prompts(ledger, prompts, parti_file, sample, sample_seed)
        gallery = whole_gallery(ledger, find_entrant(ledger, entrant, name=None).name, chosen, listed)
        found = find_copies(gallery, images, chosen, listed, training, searching)
        if out is not None:
            write_copies(out, found, images, now=now())
    if as_json:
        print_json(found.to_dict())
        return
    rows = [
        (
            f"{near.cosine:.3f}",
            one.prompt,
            one.seed,
            near.id,
            near.licence or "-",
            near.author or "-",
            near.origin or "-",
        )
        for one in found.copies
        for near in one.nearest
        if near.is_copy
    ]
    if rows:
        print_table(["cosine", "prompt", "seed", "training image", "licence", "author", "origin"], rows)
    say(
        f"{len(found.copies):,} of {len(found.found):,} images by {found.entrant} are copies "
        f"({len(found.copies) / len(found.found):.1%}, 95% {found.low:.1%} to {found.high:.1%}): a cosine above "
        f"{threshold:g} with one of {len(training.images):,} training images. The nearest lies at "
        f"{found.found[0].cosine:.3f}."
    )
    if out is not None:
        say(f"Open {out}/index.html to see the pairs.")


def _entrant(source: str, home: Path | None) -> "Entrant":
    """Who is meant; the arena is opened only where it can know."""
    from arena.entering import read_entrant
    from evaluation.generate import find_entrant

    if Path(source).expanduser().is_dir() or source.startswith("swatch:"):
        return read_entrant(source)
    with open_arena(home) as (ledger, _):
        return find_entrant(ledger, source, name=None)


def _tagger(name: str, *, device: str, batch_size: int) -> "EntityTagger":
    from evaluation.audit.entities import TAGGERS, open_tagger

    opened = open_tagger(TAGGERS.get(name) or weights_of(name), device=device, batch_size=batch_size)
    if opened.cased:
        say(f"The tagger {name} tells names by their capitals: captions in small letters hide them from it.")
    return opened


def _show_leaks(scans: "list[SplitScan]", targets: int) -> None:
    rows = []
    for one in scans:
        found = one.scan
        tagged = one.tagged
        rows.append(
            (
                one.captions,
                one.split,
                f"{found.texts:,}",
                f"{found.named:,}",
                f"{found.share:.2%} ({found.low:.2%} to {found.high:.2%})" if found.texts else "-",
                ", ".join(f"{key} {count:,}" for key, count in list(found.targets.items())[:3]) or "-",
                "-" if tagged is None else f"{tagged.named / tagged.texts:.2%} of {tagged.texts:,}",
            )
        )
    print_table(["captions", "split", "texts", "name someone", "share (95%)", "most often", "tagged"], rows)
    for one in scans:
        for shown in one.scan.examples:
            names = ", ".join(f"{named.probe} ('{named.words}')" for named in shown.named)
            say(f"{one.split}, {shown.id}: {shown.text}  [{names}]")
    say(f"Looked for the names of {targets:,} targets; whoever stands in no list is not seen.")
