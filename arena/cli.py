"""`canvas arena`: entrants, studies, the site, boards, exports and the check of the log."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from arena import cli_accounts
from arena.cli_analysis import analyse
from arena.cli_home import Home, open_ledger
from arena.cli_planning import plan, watch
from arena.cli_reports import reports
from arena.labelling import cli as cli_labels
from prompts.console import AsJson, print_json, print_table, say

if TYPE_CHECKING:
    from arena.ledger.records import Entrant, StudyRecord
    from arena.statistics.against_reference import EntrantResult

app = typer.Typer(help="Let people compare entrants: enter, open a study, serve, read the board.", no_args_is_help=True)
study_app = typer.Typer(help="Open a study for votes, see what was declared, close it.", no_args_is_help=True)
app.add_typer(study_app, name="study")
app.add_typer(cli_accounts.app, name="account")
app.add_typer(cli_labels.app, name="labels")
for command in (analyse, plan, watch, reports, cli_accounts.invite):
    app.command()(command)


StudyName = Annotated[str, typer.Argument(metavar="STUDY", help="The study's name; NAME@1 is its first version.")]
NewVersion = Annotated[
    bool, typer.Option("--new-version", help="The declaration changed: close the old version and open this one.")
]
OneKind = Annotated[
    Literal["people", "simulated"],
    typer.Option("--raters", help="Whose votes: people's, or those of simulated raters. They never mix."),
]


@app.command()
def enter(
    source: Annotated[
        str,
        typer.Argument(
            metavar="FOLDER_OR_HUB_ID",
            help="A diffusers folder, a folder of images with a gallery.csv, owner/name on the hub, or swatch:NAME.",
        ),
    ],
    *,
    name: Annotated[str | None, typer.Option(help="What to call it; else its entrant.json or its folder says.")] = None,
    arena: Home = None,
    as_json: AsJson = False,
) -> None:
    """Enter a model or a folder of images."""
    from arena.entering import read_entrant

    entrant = read_entrant(source, name=name)
    with open_ledger(arena, begin=True) as ledger:
        known = {one.name: one for one in ledger.entrants()}.get(entrant.name)
        # What was painted since is written into the details: entering the same folder again takes nothing away.
        if known is None or not _says_as_much(known, entrant):
            ledger.enter(entrant, now=_now())
            known = None
        kept = ledger.entrant(entrant.name)
    if as_json:
        print_json({**_entrant_json(kept), "new": known is None})
    elif known is None:
        say(f"Entered '{kept.name}'. Paint its gallery: canvas evaluate generate --entrant {source} --prompts SET")
    else:
        say(f"'{kept.name}' was entered before; nothing changed.")


@app.command()
def entrants(*, arena: Home = None, as_json: AsJson = False) -> None:
    """List who is entered."""
    with open_ledger(arena) as ledger:
        found = ledger.entrants()
    if as_json:
        print_json([_entrant_json(entrant) for entrant in found])
        return
    if not found:
        say("Nobody is entered yet: canvas arena enter FOLDER_OR_HUB_ID")
        return
    print_table(["name", "sampler", "source"], ((one.name, one.sampler, one.source) for one in found))


@study_app.command("check")
def check_study(
    file: Annotated[Path, typer.Argument(metavar="FILE.toml", help="The declaration; arena/README.md shows one.")],
    *,
    new_version: NewVersion = False,
    arena: Home = None,
    as_json: AsJson = False,
) -> None:
    """Say whether `study open` would take this file, and refuse what it refuses; nothing is changed."""
    from arena.study_changes import changes_in_words, refusal
    from arena.study_file import lines_named, read_study_file

    with open_ledger(arena) as ledger:
        study = read_study_file(file, ledger.prompt_set)
        opened = next((record for record in reversed(ledger.studies()) if record.name == study.name), None)
        same = opened is not None and opened.is_open and opened.hash == study.hash
        if opened is not None and not same and not new_version:
            raise refusal(opened, study, file)
        with lines_named(file):
            ledger.check_study(study)
    text = file.read_text(encoding="utf-8")
    changed = "" if opened is None else changes_in_words(text, before=opened.study, after=study)
    size = {"lines": len(study.lines), "comparisons": study.comparisons}
    if as_json:
        print_json({"name": study.name, "hash": study.hash, **size, "already_open": same, "changed": changed})
        return
    from arena.study_words import size_in_words

    could = "is open with exactly this declaration" if same else "could open"
    say(f"'{study.name}' {could}. Comparisons: {size_in_words(study)}. Hash: {study.hash}")
    if opened is not None and not same:
        say(f"It would be version {opened.version + 1}. Since version {opened.version}: {changed or 'no change'}.")


@study_app.command("open")
def open_study(
    file: Annotated[Path, typer.Argument(metavar="FILE.toml", help="The declaration; arena/README.md shows one.")],
    *,
    new_version: NewVersion = False,
    arena: Home = None,
    as_json: AsJson = False,
) -> None:
    """Open a study for votes; from then on its declaration is frozen."""
    from arena.ledger.errors import StudyChangedError, StudyClosedError
    from arena.study_changes import refusal
    from arena.study_file import lines_named, read_study_file

    with open_ledger(arena) as ledger:
        study = read_study_file(file, ledger.prompt_set)
        try:
            with lines_named(file):
                record = ledger.open_study(study, now=_now(), new_version=new_version)
        except (StudyChangedError, StudyClosedError) as error:
            # The ledger knows what changed, and not where in the file that stands.
            raise refusal(ledger.study(study.name), study, file) from error
    if as_json:
        print_json({**_study_json(record), "newly_opened": record.newly_opened})
        return
    shown = f"'{record.name}', version {record.version}"
    if record.newly_opened:
        say(f"Opened {shown}: {study.comparisons:,} comparisons. Let people vote: canvas arena serve")
    else:
        say(f"{shown} is open with exactly this declaration since {record.opened_at:%Y-%m-%d %H:%M} UTC; no change.")


@study_app.command("list")
def list_studies(*, arena: Home = None, as_json: AsJson = False) -> None:
    """List the studies and their versions."""
    with open_ledger(arena) as ledger:
        found = ledger.studies()
    if as_json:
        print_json([_study_json(record) for record in found])
        return
    if not found:
        say("No study was opened yet: canvas arena study open FILE.toml")
        return
    from arena.study_words import questions_in_words

    print_table(
        ["study", "version", "state", "reference", "candidates", "prompts", "question"],
        (
            (
                record.name,
                record.version,
                "open" if record.is_open else "closed",
                record.study.reference,
                ", ".join(record.study.candidates),
                f"{record.study.prompts.name} ({len(record.study.prompts):,})",
                questions_in_words(record.study),
            )
            for record in found
        ),
    )


@study_app.command("show")
def show_study(name: StudyName, *, arena: Home = None, as_json: AsJson = False) -> None:
    """Show a study's declaration, its hash, and how many votes it has."""
    with open_ledger(arena) as ledger:
        record = ledger.study(name)
        key = f"{record.name}@{record.version}"
        counts = {kind: len(ledger.votes(key, raters=kind)) for kind in ("people", "simulated")}
    if as_json:
        print_json({**_study_json(record), "declaration": record.study.to_dict(), "votes": counts})
        return
    from arena.study_words import in_words

    state = f"open since {record.opened_at:%Y-%m-%d}" if record.closed_at is None else f"closed {record.closed_at}"
    print_table(
        ["declared", key],
        [
            ("state", state),
            *in_words(record.study),
            ("votes of people", f"{counts['people']:,}"),
            ("votes of simulated raters", f"{counts['simulated']:,}"),
            ("hash", record.hash),
        ],
    )


@study_app.command("close")
def close_study(name: StudyName, *, arena: Home = None, as_json: AsJson = False) -> None:
    """Take no more votes; the board stays."""
    with open_ledger(arena) as ledger:
        record = ledger.close_study(name, now=_now())
    if as_json:
        print_json(_study_json(record))
    else:
        say(f"'{record.name}', version {record.version}, is closed. Its board: canvas arena board {record.name}")


@app.command("returned")
def returned_slot(
    study: StudyName,
    person: Annotated[
        str,
        typer.Argument(metavar="ID", help="The crowd site's id of the rater, or of their session or assignment there."),
    ],
    *,
    force: Annotated[
        bool, typer.Option("--force", help="Also for a rater who finished: one more than the slots may then finish.")
    ] = False,
    arena: Home = None,
    as_json: AsJson = False,
) -> None:
    """Give a crowd rater's slot to others: they returned it on the site, or ran out of time there."""
    from arena.images import ImageStore
    from arena.rating import RatingRoom
    from arena.reception import Reception
    from arena.settings import read_settings

    settings = read_settings(home=arena)
    with open_ledger(arena) as ledger:
        room = RatingRoom(ledger, ImageStore(settings.images_url), identity_secret=settings.signing_secret)
        Reception(ledger, room).give_back_of(study, person, force=force, now=_now())
    if as_json:
        print_json({"study": study, "returned": True})
    else:
        say("The slot is free: the next rater of the site can have it.")


@app.command()
def serve(
    *,
    host: Annotated[str | None, typer.Option(help="Where to listen; 127.0.0.1 where nothing is said.")] = None,
    port: Annotated[int | None, typer.Option(min=1, max=65535, help="7860 where nothing is said.")] = None,
    arena: Home = None,
) -> None:
    """Serve the rating page, the dashboard and the gallery until you press Ctrl-C."""
    from arena.app import check_port
    from arena.app import serve as serve_site
    from arena.settings import read_settings

    settings = read_settings(home=arena, host=host, port=port)
    check_port(settings.host, settings.port)
    with open_ledger(arena, begin=True) as ledger:
        if not any(record.is_open for record in ledger.studies()):
            say("No study is open here yet: canvas arena study open FILE.toml")
    serve_site(settings, on_ready=lambda address: say(f"The arena is open at {address} (Ctrl-C closes it)"))


@app.command()
def board(
    study: StudyName,
    *,
    raters: OneKind = "people",
    question: Annotated[str | None, typer.Option(metavar="KEY", help="Which question; the study's first.")] = None,
    arena: Home = None,
    as_json: AsJson = False,
) -> None:
    """Show each entrant's preference rate against the reference, its interval and its verdict."""
    from arena.board import board_from_votes

    with open_ledger(arena) as ledger:
        record = ledger.study(study)
        version = f"{record.name}@{record.version}"
        votes = ledger.votes(version, raters=raters)
        quality = ledger.quality_votes(version, raters=raters)
    result = board_from_votes(record.study, votes, raters, question=question, quality=quality)
    if as_json:
        print_json(result.to_dict())
        return
    voted = "simulated raters" if raters == "simulated" else "raters"
    # On stdout with its table: a board that is kept in a file says whose votes it counts.
    typer.echo(f"{result.title}: {result.votes:,} votes of {result.raters:,} {voted}, against '{result.reference}'")
    print_table(
        ["entrant", "rate", "95% interval", "votes", "raters", "verdict"],
        (_board_row(row) for row in result.rows),
    )
    if result.gated is not None:
        gated = result.gated
        typer.echo(
            f"Without the {gated.excluded:,} {voted} who failed a gate: {gated.votes:,} votes of {gated.raters:,}"
        )
        print_table(
            ["entrant", "rate", "95% interval", "votes", "raters", "verdict"],
            (_board_row(row) for row in gated.rows),
        )


@app.command()
def export(
    study: StudyName,
    *,
    out: Annotated[Path, typer.Option("--out", metavar="FILE", help="Where to: a .csv or .parquet file.")],
    raters: Annotated[
        Literal["people", "simulated", "all"],
        typer.Option("--raters", help="Whose votes; the column `simulated` says which is which."),
    ] = "people",
    reports_out: Annotated[
        Path | None, typer.Option("--reports", metavar="FILE", help="Write what they reported and skipped there, too.")
    ] = None,
    arena: Home = None,
    as_json: AsJson = False,
) -> None:
    """Write the effective votes as a table, one row per vote; and the reports as another."""
    from arena.export import check_format, write_reports, write_votes

    for file in filter(None, (out, reports_out)):
        check_format(file)
    with open_ledger(arena) as ledger:
        record = ledger.study(study)
        votes = ledger.votes(f"{record.name}@{record.version}", raters=raters)
        reported = ledger.reports(record.id, raters=raters)
    write_votes(out, record.study, votes)
    if reports_out is not None:
        write_reports(reports_out, reported)
    if as_json:
        counts = {"votes": len(votes), "reports": None if reports_out is None else len(reported)}
        print_json({"study": record.name, "version": record.version, "raters": raters, **counts})
        return
    say(f"Wrote {len(votes):,} votes to {out}.")
    if reports_out is not None:
        say(f"Wrote {len(reported):,} reports to {reports_out}.")


@app.command()
def verify(
    study: Annotated[str | None, typer.Argument(metavar="[STUDY]", help="One study; all of them without it.")] = None,
    *,
    expect: Annotated[
        str | None,
        typer.Option(metavar="NUMBER:HASH", help="A head noted down earlier, which must still be part of the log."),
    ] = None,
    arena: Home = None,
    as_json: AsJson = False,
) -> None:
    """Replay the hash-chained log and hold the votes against it; the first broken event is named."""
    from arena.ledger.chain import read_head
    from arena.ledger.errors import HeadFormatError

    if expect is not None and study is None:
        raise HeadFormatError("Say which study the noted head belongs to: canvas arena verify STUDY --expect ...")
    noted = None if expect is None else read_head(expect)
    with open_ledger(arena) as ledger:
        heads = {name: ledger.verify(name, noted=noted) for name in ledger.chains(study)}
    if as_json:
        print_json([{"study": name, "events": head.seq, "head": str(head)} for name, head in heads.items()])
        return
    for name, head in heads.items():
        say(f"'{name}' is whole: {head.seq:,} events. Its head, to note down elsewhere: {head}")
    if not heads:
        say("No study was opened yet: there is nothing to verify.")


def _now() -> Any:
    from datetime import UTC, datetime

    return datetime.now(UTC)


def _says_as_much(known: "Entrant", entrant: "Entrant") -> bool:
    same = (known.source, known.sampler) == (entrant.source, entrant.sampler)
    return same and all(key in known.details and known.details[key] == entrant.details[key] for key in entrant.details)


def _entrant_json(entrant: "Entrant") -> dict[str, Any]:
    return {
        "name": entrant.name,
        "source": entrant.source,
        "sampler": entrant.sampler,
        "details": entrant.details,
    }


def _study_json(record: "StudyRecord") -> dict[str, Any]:
    return {
        "name": record.name,
        "version": record.version,
        "open": record.is_open,
        "hash": record.hash,
        "reference": record.study.reference,
        "candidates": list(record.study.candidates),
        "prompts": {"name": record.study.prompts.name, "id": record.study.prompts.id},
        "opened_at": record.opened_at.isoformat(),
        "closed_at": None if record.closed_at is None else record.closed_at.isoformat(),
    }


def _board_row(row: "EntrantResult") -> tuple[str, ...]:
    rate = row.half_tie
    interval = rate.interval
    return (
        row.entrant,
        "none" if rate.rate is None else f"{rate.rate:.1%}",
        "none" if interval is None else f"{interval.low:.1%} to {interval.high:.1%}",
        f"{rate.n:,}",
        f"{rate.raters:,}",
        row.judgement.verdict.value,
    )
