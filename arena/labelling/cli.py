"""`canvas arena labels`: label studies, by hand and by eye, from the file to the exported labels."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from arena.cli_home import Home, open_ledger
from prompts.console import AsJson, print_json, print_table, say

if TYPE_CHECKING:
    from arena.ledger.label_records import LabelStudyRecord

app = typer.Typer(
    help="Let people say whom they recognise in images: open a label study, export its labels.", no_args_is_help=True
)

File = Annotated[
    Path, typer.Argument(metavar="FILE.toml", help="The declaration; arena/labelling/README.md shows one.")
]
Name = Annotated[str, typer.Argument(metavar="NAME", help="The label study's name.")]


@app.command("check")
def check_labels(file: File, *, arena: Home = None, as_json: AsJson = False) -> None:
    """Say whether `labels open` would take this file, and refuse what it refuses; nothing is changed."""
    from arena.labelling.label_file import read_label_file
    from arena.ledger.label_book import LabelBook
    from arena.study_file import lines_named

    with open_ledger(arena) as ledger:
        study = read_label_file(file, ledger.prompt_set)
        with lines_named(file):
            LabelBook(ledger).check_study(study)
    labels = len(study.items) * study.labels_per_image
    raters = -(-labels // study.labels_per_rater)
    if as_json:
        print_json({"name": study.name, "hash": study.hash, "sample": len(study.items), "labels": labels})
        return
    say(
        f"'{study.name}' could open: {len(study.items):,} {_things(study.mode)} drawn, {labels:,} labels wanted, at "
        f"least {raters:,} {'rater' if raters == 1 else 'raters'}. Hash: {study.hash}"
    )


@app.command("open")
def open_labels(file: File, *, arena: Home = None, as_json: AsJson = False) -> None:
    """Open a label study; from then on its declaration and its drawn images are frozen."""
    from arena.labelling.label_file import read_label_file
    from arena.ledger.label_book import LabelBook
    from arena.study_file import lines_named

    with open_ledger(arena) as ledger:
        study = read_label_file(file, ledger.prompt_set)
        with lines_named(file):
            record = LabelBook(ledger).open_study(study, now=_now())
    if as_json:
        print_json({**_study_json(record), "newly_opened": record.newly_opened})
    elif record.newly_opened:
        say(f"Opened '{record.name}'. With `canvas arena serve`, people label at /resemblance/?study={record.name}")
    else:
        say(f"'{record.name}' is open with exactly this declaration; no change.")


@app.command("close")
def close_labels(name: Name, *, arena: Home = None, as_json: AsJson = False) -> None:
    """Take no more labels; those that stand stay."""
    from arena.ledger.label_book import LabelBook

    with open_ledger(arena) as ledger:
        record = LabelBook(ledger).close_study(name, now=_now())
    if as_json:
        print_json(_study_json(record))
    else:
        say(f"'{record.name}' is closed. Its labels: canvas arena labels export {record.name} --out labels.csv")


@app.command("list")
def list_labels(*, arena: Home = None, as_json: AsJson = False) -> None:
    """List the label studies."""
    from arena.ledger.label_book import LabelBook

    with open_ledger(arena) as ledger:
        found = LabelBook(ledger).studies()
    if as_json:
        print_json([_study_json(record) for record in found])
        return
    if not found:
        say("No label study was opened yet: canvas arena labels open FILE.toml")
        return
    print_table(
        ["label study", "state", "mode", "entrants", "prompts", "drawn"],
        (
            (
                record.name,
                "open" if record.is_open else "closed",
                record.study.mode,
                ", ".join(record.study.entrants),
                record.study.prompts.name,
                f"{len(record.study.items):,}",
            )
            for record in found
        ),
    )


@app.command("show")
def show_labels(name: Name, *, arena: Home = None, as_json: AsJson = False) -> None:
    """Show a label study's declaration, how far it is, and what the gates say of its raters."""
    from collections import Counter

    from arena.labelling.quality import judge_labellers
    from arena.ledger.label_book import LabelBook

    with open_ledger(arena) as ledger:
        book = LabelBook(ledger)
        record, labels, reports = book.study(name), book.labels(name), book.reports(name)
    study, quality = record.study, judge_labellers(record.study, labels)
    counted = [label for label in labels if label.kind == "study"]
    answers = Counter(label.answer for label in counted)
    failed = sum(one.excluded for one in quality)
    if as_json:
        print_json(
            {
                **_study_json(record),
                "declaration": study.to_dict(),
                "labels": len(counted),
                "answers": {answer: answers[answer] for answer in study.answers},
                "raters": len(quality),
                "failed_a_gate": failed,
                "put_aside": len(reports),
            }
        )
        return
    wanted = len(study.items) * study.labels_per_image
    print_table(
        ["declared", record.name],
        [
            ("state", "open" if record.is_open else "closed"),
            ("title", study.shown_title),
            ("mode", study.mode),
            ("entrants", ", ".join(study.entrants)),
            ("prompts", f"{study.prompts.name} ({len(study.prompts):,})"),
            ("kinds", ", ".join(study.kinds) or "all"),
            ("seeds", ", ".join(map(str, study.seeds))),
            ("drawn", f"{len(study.items):,} {_things(study.mode)} by seed {study.sample_seed}"),
            ("labels per image", str(study.labels_per_image)),
            ("labels per rater", str(study.labels_per_rater)),
            ("gates", ", ".join(study.gates.declared) if study.gates else "none"),
            ("labels", f"{len(counted):,} of {wanted:,}"),
            ("answers", ", ".join(f"{answer} {answers[answer]:,}" for answer in study.answers)),
            ("raters", f"{len(quality):,}, of whom {failed:,} failed a gate"),
            ("put aside", f"{len(reports):,}"),
            ("hash", record.hash),
        ],
    )


@app.command("export")
def export_labels(
    name: Name,
    *,
    out: Annotated[Path | None, typer.Option("--out", metavar="FILE.csv", help="Where to.")] = None,
    passing: Annotated[
        bool, typer.Option("--passing", help="Only labels of raters who failed no declared gate.")
    ] = False,
    arena: Home = None,
    as_json: AsJson = False,
) -> None:
    """Write the effective labels, one row each: `human` is 1 where a person recognised the image's own target."""
    from arena.labelling.label_export import LabelExportError, label_rows, write_label_rows
    from arena.labelling.quality import judge_labellers, of_passing
    from arena.ledger.label_book import LabelBook

    if out is None and not as_json:
        raise LabelExportError("Say where the labels go: --out FILE.csv, or --json to print them.")
    with open_ledger(arena) as ledger:
        book = LabelBook(ledger)
        record, labels = book.study(name), book.labels(name)
    if passing:
        labels = of_passing(labels, judge_labellers(record.study, labels))
    rows = label_rows(record.study, labels)
    if out is not None:
        write_label_rows(out, record.study.mode, rows)
    if as_json:
        print_json({"study": record.name, "mode": record.study.mode, "passing": passing, "labels": rows})
    else:
        say(f"Wrote {len(rows):,} labels to {out}.")


def _things(mode: str) -> str:
    return "images" if mode == "single" else "pairs"


def _now() -> Any:
    from datetime import UTC, datetime

    return datetime.now(UTC)


def _study_json(record: "LabelStudyRecord") -> dict[str, Any]:
    return {
        "name": record.name,
        "mode": record.study.mode,
        "open": record.is_open,
        "hash": record.hash,
        "entrants": list(record.study.entrants),
        "prompts": record.study.prompts.name,
        "sample": len(record.study.items),
        "opened_at": record.opened_at.isoformat(),
        "closed_at": None if record.closed_at is None else record.closed_at.isoformat(),
    }
