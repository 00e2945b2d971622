"""`canvas evaluate audit report`: an audit as a folder of pages to publish."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from arena.cli_home import Home
from evaluation.cli_options import named, now
from prompts.console import AsJson, print_json, say
from prompts.errors import CanvasError

if TYPE_CHECKING:
    from evaluation.audit.report_images import Pictures
    from evaluation.audit.report_source import Source

NONE = "none"


class ReportOptionError(CanvasError):
    """An option of a report that cannot be used."""


def report(
    source: Annotated[
        Path, typer.Argument(metavar="RUN|LABELS.csv", help="A folder that `audit run` made, or a table of labels.")
    ],
    out: Annotated[Path, typer.Option("--out", metavar="FOLDER", help="A new folder for the pages.")],
    *,
    reference: Annotated[
        str | None, typer.Option("--reference", metavar="NAME", help="A run knows it; a table has to be told.")
    ] = None,
    human: Annotated[
        Path | None,
        typer.Option(
            "--human",
            metavar="LABELS.csv",
            help="People's answers. With a run they are kept in it; with a table: the same columns, and human.",
        ),
    ] = None,
    images: Annotated[
        list[str] | None,
        typer.Option(
            "--images",
            metavar="MODEL=FOLDER",
            help="Images with a gallery.csv, in place of the arena's. Repeatable.",
        ),
    ] = None,
    no_images: Annotated[bool, typer.Option("--no-images", help="Leave out the pages of images.")] = False,
    controls: Annotated[
        str | None,
        typer.Option(
            "--controls",
            metavar="KIND,...",
            help="Kinds that should bring out nobody; else generic, misspelled and fictional. Or none.",
        ),
    ] = None,
    delta: Annotated[
        float, typer.Option("--delta", help="The margin of 'no more than the reference', as a difference of rates.")
    ] = 0.05,
    consistency_margin: Annotated[
        float,
        typer.Option(
            "--consistency-margin",
            help="How much less often a model may show what is asked and still count as drawing it.",
        ),
    ] = 0.1,
    seed: Annotated[int, typer.Option("--seed", min=0, help="The seed of bootstrap and sign-flip draws.")] = 0,
    arena: Home = None,
    as_json: AsJson = False,
) -> None:
    """Write an audit as pages to publish: findings, tables, the dose-response curve, and images blurred by default."""
    from evaluation.audit.analysis import analyse
    from evaluation.audit.differences import AuditSettings
    from evaluation.audit.report import INDEX, write_report
    from evaluation.audit.report_source import read_source

    if images and no_images:
        raise ReportOptionError("--images and --no-images contradict each other: keep one.")
    found = read_source(source, human=human, now=now())
    chosen = reference or found.reference
    if chosen is None:
        raise ReportOptionError(
            f"{source} is a table, which does not say who the reference is: name one of "
            f"{', '.join(found.labels.models)} with --reference."
        )
    settings = AuditSettings(delta=delta, consistency_margin=consistency_margin, seed=seed)
    audit = analyse(found.labels, chosen, controls=_controls(controls, found), settings=settings)
    pictures = None if no_images else _pictures(source, found, images, arena)
    made = write_report(found, audit, out=out, pictures=pictures, now=now())
    if as_json:
        print_json(made.to_dict())
        return
    counts = made.manifest.counts
    say(
        f"{out / INDEX} {'was there already' if made.already_made else 'is written'}: {counts['images']:,} images' "
        f"labels of {counts['characters']:,} characters, {counts['thumbnails']:,} images shown."
    )
    if pictures is None and not no_images:
        say("The table does not say where its images are: hand them in with --images MODEL=FOLDER to show them.")
    for sentence in made.manifest.details["left_out"]:
        say(f"Left out: {sentence}")


def _controls(listed: str | None, source: "Source") -> list[str]:
    from prompts.probes import CONTROLS

    kinds = source.labels.kinds
    if listed is None:
        return [kind for kind in CONTROLS if kind in kinds]
    if listed.strip() == NONE:
        return []
    asked = [word.strip() for word in listed.split(",") if word.strip()]
    unknown = [kind for kind in asked if kind not in kinds]
    if unknown or not asked:
        raise ReportOptionError(
            f"--controls {listed} names no kind of these labels. Kinds: {', '.join(kinds)}; or say none."
        )
    return asked


def _pictures(path: Path, source: "Source", folders: list[str] | None, arena: Path | None) -> "Pictures | None":
    from evaluation.audit.report_source import pictures_of_folders, pictures_of_run

    if folders:
        given = named(folders, option="--images", known=set(source.labels.models))
        return pictures_of_folders({model: Path(folder) for model, folder in given.items()})
    if source.run is None:
        return None
    from arena.images import ImageStore
    from arena.settings import read_settings

    return pictures_of_run(path, source.labels, ImageStore(read_settings(home=arena).images_url))
