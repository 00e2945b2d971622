"""`canvas evaluate score`, `compare`, `sweep` and `people`: galleries measured, compared, swept, held against votes."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from arena.cli_home import Home
from evaluation.cache import Cache, cache_folder
from evaluation.cli_options import (
    Device,
    Entrants,
    ListError,
    Prompts,
    SampleSeed,
    Seeds,
    chosen_galleries,
    known_prompts,
    named,
    now,
    numbers,
    open_arena,
    weights_of,
    words,
)
from evaluation.features import FEATURES
from evaluation.metrics import METRICS
from evaluation.scorers import SCORERS
from prompts.console import AsJson, print_json, print_table, say
from prompts.options import PartiFile, Sample

if TYPE_CHECKING:
    from collections.abc import Sequence

    from arena.ledger.records import Score
    from evaluation.compare import Comparison
    from evaluation.reference import ReferenceImages
    from evaluation.score import ScoreSettings

Metrics = Annotated[str, typer.Option("--metrics", metavar="NAME,...", help=f"{', '.join(METRICS)}.")]
Clip = Annotated[
    str | None,
    typer.Option("--clip", metavar="MODEL_OR_FOLDER", help="Another CLIP than the one a metric is defined on."),
]
ClipRevision = Annotated[str | None, typer.Option("--clip-revision", help="The commit of --clip on the hub.")]
OwnWeights = Annotated[
    list[str] | None,
    typer.Option(
        "--weights",
        metavar="NAME=WHERE",
        help="Weights in place of the published ones, for a metric or an extractor: a file, a folder, or a hub id with "
        "@REVISION. Repeatable.",
    ),
]
Companions = Annotated[
    list[str] | None,
    typer.Option(
        "--companion",
        metavar="NAME=WHERE",
        help="The second model that a learned judge needs: aesthetic's CLIP, image_reward's tokenizer, pick_score's "
        "processor, tifa's sentence encoder. Repeatable.",
    ),
]
ReferenceFolder = Annotated[
    Path | None,
    typer.Option("--reference-images", metavar="FOLDER", help="Real images, which distances compare with."),
]
TrainingFolder = Annotated[
    Path | None,
    typer.Option("--training-images", metavar="FOLDER", help="What the entrants learned from, for copies."),
]
Questions = Annotated[
    str | None, typer.Option("--questions", metavar="FILE", help="TIFA's questions; else those of TIFA v1.0.")
]
IntervalBy = Annotated[
    str,
    typer.Option("--interval", help="linear (from influences), bootstrap (prompts are drawn), or auto."),
]
Resamples = Annotated[int, typer.Option("--resamples", min=100, help="How often a bootstrap draws the prompts.")]
Seed = Annotated[int, typer.Option("--seed", min=0, help="The seed of these draws.")]
Batch = Annotated[int, typer.Option("--batch", min=1, help="Images at once.")]
CutLong = Annotated[
    bool,
    typer.Option("--cut-long-prompts", help="Measure prompts beyond what a model reads as far as it reads them."),
]
Plot = Annotated[
    Path | None, typer.Option("--plot", metavar="FILE", help="Write the figure as FILE.html and FILE.svg.")
]


def score(
    prompts: Prompts,
    *,
    entrant: Entrants = None,
    metrics: Metrics = "clip_score",
    sample: Sample = None,
    sample_seed: SampleSeed = 0,
    seeds: Seeds = "0",
    clip: Clip = None,
    clip_revision: ClipRevision = None,
    weights: OwnWeights = None,
    companion: Companions = None,
    reference_images: ReferenceFolder = None,
    training_images: TrainingFolder = None,
    questions: Questions = None,
    interval: IntervalBy = "auto",
    resamples: Resamples = 1000,
    seed: Seed = 0,
    cut_long_prompts: CutLong = False,
    batch: Batch = 32,
    device: Device = "auto",
    cache: Cache = None,
    plot: Plot = None,
    parti_file: PartiFile = None,
    arena: Home = None,
    as_json: AsJson = False,
) -> None:
    """Measure whole galleries; each score has a 95% interval over prompts and goes into the ledger."""
    from evaluation.score import score as measure

    names, listed = words(metrics), numbers(seeds)
    settings = _settings(
        clip=clip,
        clip_revision=clip_revision,
        weights=weights,
        companion=companion,
        questions=questions,
        interval=interval,
        resamples=resamples,
        seed=seed,
        cut_long_prompts=cut_long_prompts,
        batch=batch,
        device=device,
        cache=cache,
    )
    with open_arena(arena) as (ledger, images):
        chosen = known_prompts(ledger, prompts, parti_file, sample, sample_seed)
        scores = measure(
            ledger,
            images,
            galleries=chosen_galleries(ledger, entrant, chosen, listed),
            prompts=chosen,
            seeds=listed,
            metrics=names,
            reference=_images(reference_images),
            training=_images(training_images),
            settings=settings,
        )
    if plot is not None:
        from evaluation.plots import score_figure, write_and_tell

        write_and_tell(score_figure(scores, chosen.name), plot, "the scores")
    _say_what_was_smaller(scores)
    if as_json:
        print_json([asdict(one) for one in scores])
        return
    rows = [
        (one.metric, one.entrant, f"{one.value:.4g}", f"{one.low:.4g} to {one.high:.4g}", f"{one.n:,}")
        for one in scores
    ]
    print_table(["metric", "entrant", "value", "95% interval", "images"], rows)
    cut = max((one.details.get("texts_cut", 0) for one in scores), default=0)
    if cut:
        say(f"{cut:,} of the {len(chosen):,} prompts are longer than the model reads and were cut at their end.")


def compare(
    first: Annotated[str, typer.Argument(metavar="ENTRANT", help="Compared with the second, on the same prompts.")],
    second: Annotated[str, typer.Argument(metavar="ENTRANT")],
    prompts: Prompts,
    *,
    metrics: Metrics = "clip_score",
    sample: Sample = None,
    sample_seed: SampleSeed = 0,
    seeds: Seeds = "0",
    clip: Clip = None,
    clip_revision: ClipRevision = None,
    weights: OwnWeights = None,
    companion: Companions = None,
    reference_images: ReferenceFolder = None,
    training_images: TrainingFolder = None,
    questions: Questions = None,
    interval: IntervalBy = "auto",
    resamples: Resamples = 1000,
    seed: Seed = 0,
    cut_long_prompts: CutLong = False,
    batch: Batch = 32,
    device: Device = "auto",
    cache: Cache = None,
    plot: Plot = None,
    parti_file: PartiFile = None,
    arena: Home = None,
    as_json: AsJson = False,
) -> None:
    """Compare two entrants image by image: difference, interval, test, and Holm's correction over the metrics."""
    from evaluation.compare import compare as measure

    names, listed = words(metrics), numbers(seeds)
    settings = _settings(
        clip=clip,
        clip_revision=clip_revision,
        weights=weights,
        companion=companion,
        questions=questions,
        interval=interval,
        resamples=resamples,
        seed=seed,
        cut_long_prompts=cut_long_prompts,
        batch=batch,
        device=device,
        cache=cache,
    )
    with open_arena(arena) as (ledger, images):
        chosen = known_prompts(ledger, prompts, parti_file, sample, sample_seed)
        one, other = chosen_galleries(ledger, _two(first, second), chosen, listed)
        found = measure(
            images,
            one,
            other,
            prompts=chosen,
            seeds=listed,
            metrics=names,
            reference=_images(reference_images),
            training=_images(training_images),
            settings=settings,
        )
    if plot is not None:
        from evaluation.plots import compare_figure, write_and_tell

        write_and_tell(compare_figure(first, second, found), plot, "the differences")
    _say_what_was_smaller(found)
    if as_json:
        print_json({"first": first, "second": second, "metrics": [row.to_dict() for row in found]})
        return
    print_table(
        ["metric", first, second, "difference", "95% interval", "p (Holm)", f"{first} is"],
        [
            (
                row.metric,
                *(f"{value:.4g}" for value in row.values),
                f"{row.difference.value:+.4g}",
                f"{row.difference.low:+.4g} to {row.difference.high:+.4g}",
                f"{row.p_holm:.3g}",
                row.verdict,
            )
            for row in found
        ],
    )


def sweep(
    prompts: Prompts,
    entrant: Annotated[
        list[str],
        typer.Option(
            "--entrant", metavar="FOLDER_OR_HUB_ID", help="A diffusers folder or hub id, or an entrant's name."
        ),
    ],
    guidance: Annotated[
        str, typer.Option("--guidance", metavar="1..8", help="Scales: numbers and ranges, or 'paper' for its nine.")
    ] = "paper",
    *,
    metrics: Metrics = "clip_fid,clip_score",
    sample: Sample = None,
    sample_seed: SampleSeed = 0,
    seeds: Seeds = "0",
    steps: Annotated[int | None, typer.Option(help="Denoising steps; else entrant.json's, else 50.")] = None,
    size: Annotated[int | None, typer.Option(help="Pixels of the side; else entrant.json's, else the model's.")] = None,
    dtype: Annotated[str | None, typer.Option(help="float32, float16, bfloat16; auto fits the device.")] = None,
    clip: Clip = None,
    clip_revision: ClipRevision = None,
    weights: OwnWeights = None,
    companion: Companions = None,
    reference_images: ReferenceFolder = None,
    training_images: TrainingFolder = None,
    questions: Questions = None,
    interval: IntervalBy = "auto",
    resamples: Resamples = 1000,
    seed: Seed = 0,
    cut_long_prompts: CutLong = False,
    batch: Batch = 32,
    device: Device = "auto",
    cache: Cache = None,
    plot: Plot = None,
    parti_file: PartiFile = None,
    arena: Home = None,
    as_json: AsJson = False,
) -> None:
    """Paint and measure entrants at every guidance scale: curves, best scale, frontier (figures 7 and 8)."""
    from evaluation.generate import find_entrant
    from evaluation.guidance import read_scales
    from evaluation.plots import sweep_figure, write_and_tell
    from evaluation.sweep import sweep as measure

    names, listed, scales = words(metrics), numbers(seeds), read_scales(guidance)
    settings = _settings(
        clip=clip,
        clip_revision=clip_revision,
        weights=weights,
        companion=companion,
        questions=questions,
        interval=interval,
        resamples=resamples,
        seed=seed,
        cut_long_prompts=cut_long_prompts,
        batch=batch,
        device=device,
        cache=cache,
    )
    with open_arena(arena) as (ledger, images):
        chosen = known_prompts(ledger, prompts, parti_file, sample, sample_seed)
        found = measure(
            ledger,
            images,
            entrants=[find_entrant(ledger, one, name=None) for one in dict.fromkeys(entrant)],
            scales=scales,
            prompts=chosen,
            seeds=listed,
            metrics=names,
            reference=_images(reference_images),
            training=_images(training_images),
            clock=now,
            settings=settings,
            sampling={"steps": steps, "size_px": size, "dtype": dtype, "device": device},
        )
    if as_json:
        print_json(found.to_dict())
    else:
        rows = [
            (point.entrant, f"{point.guidance:g}", *(f"{point.scores[metric].value:.4g}" for metric in names))
            for point in found.points
        ]
        print_table(["entrant", "guidance", *names], rows)
        for one in found.entrants:
            best = ", ".join(f"{metric} at {found.best(one, metric).guidance:g}" for metric in names)
            say(f"The best scales of {one}: {best}.")
    if plot is not None:
        write_and_tell(sweep_figure(found), plot, "the curves")


def people(
    study: Annotated[str, typer.Argument(metavar="STUDY", help="A study's name; name@1 is its first version.")],
    *,
    raters: Annotated[str, typer.Option("--raters", help="people or simulated; never both.")] = "people",
    question: Annotated[str | None, typer.Option("--question", help="A question's key; else the first.")] = None,
    plot: Plot = None,
    arena: Home = None,
    as_json: AsJson = False,
) -> None:
    """Hold every metric of a study's galleries against its votes: agreement and rank correlation, per category."""
    from arena.metrics_board import metrics_board

    kind = _raters(raters)
    with open_arena(arena) as (ledger, _):
        board = metrics_board(ledger, study, raters=kind, question=question)
    if plot is not None:
        from evaluation.plots import people_figure, write_and_tell

        write_and_tell(people_figure(board), plot, "the agreement")
    if as_json:
        print_json(board.to_dict())
        return
    print_table(
        ["metric", "category", "agrees", "95% interval", "votes", "over prompts", "over entrants"],
        [
            (
                row.metric,
                row.category or "all",
                "-" if row.agreement.rate is None else f"{row.agreement.rate:.1%}",
                "-"
                if row.agreement.interval is None
                else f"{row.agreement.interval.low:.1%} to {row.agreement.interval.high:.1%}",
                f"{row.agreement.n:,}",
                "-" if row.prompt_correlation.value is None else f"{row.prompt_correlation.value:+.2f}",
                "-" if row.entrant_correlation.value is None else f"{row.entrant_correlation.value:+.2f}",
            )
            for row in board.rows
        ],
    )
    if not board.rows:
        say("The study's galleries have no scores yet: measure them with `canvas evaluate score`.")


def _settings(
    *,
    clip: str | None,
    clip_revision: str | None,
    weights: list[str] | None,
    companion: list[str] | None,
    questions: str | None,
    interval: str,
    resamples: int,
    seed: int,
    cut_long_prompts: bool,
    batch: int,
    device: str,
    cache: Path | None,
) -> "ScoreSettings":
    from evaluation.feature_store import FeatureStore
    from evaluation.metrics.base import Weights
    from evaluation.score import ScoreSettings
    from evaluation.scorers.base import ScorerSettings

    if interval not in ("auto", "linear", "bootstrap"):
        raise ListError(f"--interval is auto, linear or bootstrap, and not '{interval}'.")
    known = {*METRICS, *FEATURES, *SCORERS}
    own = {name: weights_of(where) for name, where in named(weights, option="--weights", known=known).items()}
    if clip is not None:
        own.setdefault("clip", Weights(source=clip, revision=clip_revision))
    return ScoreSettings(
        weights=own,
        companions=named(companion, option="--companion", known=set(SCORERS)),
        extractor=ScorerSettings(device=device, batch_size=batch, questions=questions),
        method=interval,  # type: ignore[arg-type]  # one of the three, as was checked
        resamples=resamples,
        seed=seed,
        cuts_long_prompts=cut_long_prompts,
        store=FeatureStore(cache_folder(cache) / "features"),
    )


def _say_what_was_smaller(measured: "Sequence[Score | Comparison]") -> None:
    """That KID's subsets were smaller than its definition has them, once for each size."""
    from evaluation.score import SUBSET_SIZE

    for metric, drawn, asked in dict.fromkeys(
        (one.metric, one.details[SUBSET_SIZE], one.details["definition"]["size"])
        for one in measured
        if SUBSET_SIZE in one.details
    ):
        if drawn < asked:
            say(
                f"{metric}: subsets are of {drawn:,} images instead of {asked:,}, as the gallery or the reference has "
                "no more."
            )


def _images(folder: Path | None) -> "ReferenceImages | None":
    from evaluation.reference import ReferenceImages

    return None if folder is None else ReferenceImages(folder)


def _two(first: str, second: str) -> list[str]:
    if first == second:
        raise ListError(f"'{first}' is compared with itself: name two entrants.")
    return [first, second]


def _raters(word: str) -> Literal["people", "simulated"]:
    if word == "people":
        return "people"
    if word == "simulated":
        return "simulated"
    raise ListError(f"--raters is people or simulated, and not '{word}'.")
