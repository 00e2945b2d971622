"""`canvas arena analyse`: everything that votes say, from a study in the ledger or from a plain file."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from arena.cli_home import Home, open_ledger
from prompts.console import AsJson, print_json, print_table, progress, say
from prompts.errors import CanvasError, printable, quoted

if TYPE_CHECKING:
    from arena.statistics.against_reference import EntrantResult
    from arena.statistics.analysis import Analysis
    from arena.statistics.resampling import RaterBootstrap
    from arena.statistics.votes import VoteTable

app = typer.Typer(help="Analyse votes.", no_args_is_help=True)

_DELTA = 0.05
# So many rows of a table are shown to people; --json has them all.
_SHOWN = 15


class UnknownEntrantError(CanvasError):
    """A name that none of the votes knows."""


class UnknownQuestionError(CanvasError):
    """A question that the study does not ask."""


@app.command()
def analyse(
    votes: Annotated[
        str,
        typer.Argument(
            metavar="VOTES", help="A .csv, .tsv, .parquet or .json file of votes, a study's name, or an arena's folder."
        ),
    ],
    *,
    reference: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="The model the others are held against; else the one in every vote."),
    ] = None,
    delta: Annotated[
        float | None,
        typer.Option(help="The margin of equivalence in preference rate; 0.05 unless a study declares it."),
    ] = None,
    ties: Annotated[
        Literal["half", "drop"], typer.Option(help="What verdicts are on: a tie as half a win, or ties dropped.")
    ] = "half",
    only: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="Only votes between these models and the reference; repeat it for each."),
    ] = None,
    bootstrap: Annotated[
        int | None,
        typer.Option(
            min=2, metavar="RESAMPLES", help="Also draw the raters again so often, as a check on the strengths."
        ),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="The bootstrap's seed.")] = 0,
    raters: Annotated[
        Literal["people", "simulated"] | None,
        typer.Option("--raters", help="Whose votes: people's in a study, those of the one kind there is in a file."),
    ] = None,
    question: Annotated[
        str | None, typer.Option(metavar="KEY", help="The question, where there are several; a study's first.")
    ] = None,
    arena: Home = None,
    as_json: AsJson = False,
) -> None:
    """Say what votes show: rates, intervals, verdicts, contrasts, strengths, ranks, sides and agreement.

    Needs no server. --json prints one value whose keys arena/statistics/README.md lists; the intervals are 95 %.
    """
    from arena.statistics.analysis import PARTS, reference_of
    from arena.statistics.analysis import analyse as analyse_votes

    if reference is not None and not reference.strip():
        raise UnknownEntrantError("The reference has no name. Say --reference NAME, or leave it out.")
    source = _read(votes, raters=raters, question=question, arena=arena)
    for note in source.notes:
        say(printable(note))
    chosen = reference or source.reference
    table, entrants = _cut(source, only, chosen)
    chosen = chosen or reference_of(table)
    for note in (remarks := _departures(source, chosen, delta)):
        say(note)
    with progress("Analysing", total=len(PARTS)) as tick:
        found = analyse_votes(
            table,
            reference=chosen,
            entrants=entrants if chosen == source.reference else None,
            delta=delta if delta is not None else source.delta,
            ties=ties,
            on_part=tick,
        )
    drawn = None if bootstrap is None else _bootstrap(table, chosen, bootstrap, seed)
    if as_json:
        print_json(
            {
                **found.to_dict(),
                "simulated": source.is_simulated,
                "notes": [*source.notes, *remarks],
                "bootstrap": None if drawn is None else _bootstrap_json(drawn, bootstrap or 0, seed),
            }
        )
        return
    _show(found, source)
    if drawn is not None:
        _show_bootstrap(drawn, found)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Source:
    """Votes, and what was declared about them before the first one, if anything was."""

    table: "VoteTable"
    notes: tuple[str, ...]
    is_simulated: bool
    study: str | None = None
    reference: str | None = None
    entrants: tuple[str, ...] | None = None
    delta: float = _DELTA


def _read(
    votes: str, *, raters: Literal["people", "simulated"] | None, question: str | None, arena: Path | None
) -> _Source:
    path = Path(votes)
    if path.is_dir():
        return _read_study(None, raters or "people", question, path)
    if "." in votes or "/" in votes or path.is_file():
        from arena.votes_file import read_votes_file

        file = read_votes_file(path, raters=raters, question=question)
        # In the order in which the votes were cast, so that the order of the file's rows says nothing.
        votes_in_time = file.table.rows(file.order)
        return _Source(table=votes_in_time, notes=file.notes, is_simulated=file.simulated == "simulated")
    return _read_study(votes, raters or "people", question, arena)


def _read_study(
    name: str | None, raters: Literal["people", "simulated"], question: str | None, arena: Path | None
) -> _Source:
    from arena.statistics.votes import from_records

    with open_ledger(arena) as ledger:
        if name is None:
            studies = sorted({record.name for record in ledger.studies()})
            if len(studies) != 1:
                found = f"has the studies {', '.join(studies)}" if studies else "has no study yet"
                raise CanvasError(f"The arena in {arena} {found}: canvas arena analyse STUDY --arena {arena}")
            name = studies[0]
        record = ledger.study(name)
        version = f"{record.name}@{record.version}"
        records = ledger.votes(version, raters=raters)
        others: Literal["people", "simulated"] = "people" if raters == "simulated" else "simulated"
        elsewhere = 0 if records else len(ledger.votes(version, raters=others))
    study = record.study
    asked = [one.key for one in study.asked]
    key = question or asked[0]
    if key not in asked:
        raise UnknownQuestionError(f"The study '{study.name}' asks no {quoted(key)}, but {', '.join(asked)}.")
    notes: tuple[str, ...] = (
        () if len(asked) == 1 else (f"Votes on the question '{key}'; the study also asks {', '.join(asked)}.",)
    )
    records = [one for one in records if one.question == key]
    if elsewhere:
        notes += (f"No votes of this kind; there are {elsewhere:,} of the other: --raters {others}.",)
    challenges = {prompt.id: prompt.challenge for prompt in study.prompts.prompts}
    return _Source(
        table=from_records(records, challenges),
        notes=notes,
        is_simulated=raters == "simulated",
        study=study.name,
        reference=study.reference,
        entrants=study.candidates,
        delta=study.delta,
    )


def _cut(source: _Source, only: list[str] | None, reference: str | None) -> "tuple[VoteTable, Sequence[str] | None]":
    """The votes among `only` and the reference, and who is to be reported; all of them without `only`."""
    if not only:
        return source.table, source.entrants
    wanted = {*only, *([reference] if reference else [])}
    known = {*source.table.models, *(source.entrants or ())}
    for name in sorted(wanted - known):
        raise UnknownEntrantError(f"No vote knows {quoted(name)}. The votes are on {', '.join(sorted(known))[:400]}.")
    table = source.table.only_models(tuple(name for name in source.table.models if name in wanted))
    if len(table.models) < 2:
        raise UnknownEntrantError("Only one model is left to compare with --only. Name two or more.")
    return table, None if source.entrants is None else [one for one in source.entrants if one in wanted]


def _departures(source: _Source, reference: str, delta: float | None) -> list[str]:
    """What this analysis does otherwise than the study declared: allowed, and said."""
    said = []
    if source.study is not None and delta is not None and delta != source.delta:
        said.append(
            f"The study '{source.study}' declared delta = {source.delta:g} before its first vote; "
            f"verdicts with delta = {delta:g} are exploratory."
        )
    if source.study is not None and reference != source.reference:
        said.append(f"The study '{source.study}' declared the reference '{source.reference}'; this one is exploratory.")
    return said


def _bootstrap(table: "VoteTable", reference: str, resamples: int, seed: int) -> "RaterBootstrap":
    import numpy as np

    from arena.statistics.resampling import rater_bootstrap

    with progress("Drawing raters", total=resamples) as tick:
        return rater_bootstrap(
            table, reference=reference, resamples=resamples, rng=np.random.default_rng(seed), on_step=tick
        )


def _bootstrap_json(drawn: "RaterBootstrap", resamples: int, seed: int) -> dict[str, Any]:
    return {
        "resamples": resamples,
        "seed": seed,
        "unrankable": drawn.unrankable,
        "se": drawn.se() or None,
        "intervals": {name: list(ends) for name, ends in drawn.intervals().items()} or None,
        "not_estimable": [] if drawn.missing is None else [drawn.missing.to_dict()],
    }


def _show(found: "Analysis", source: _Source) -> None:
    whose = "simulated raters" if source.is_simulated else "raters"
    unknown = "no" if not found.votes else "an unknown number of"
    raters = f"{unknown} {whose}" if found.raters is None else f"{found.raters:,} {whose}"
    on_prompts = "" if found.prompts is None else f" on {found.prompts:,} prompts"
    estimand = "ties count as half" if found.ties == "half" else "ties are dropped"
    typer.echo(
        printable(
            f"{found.votes:,} votes of {raters}{on_prompts}, against '{found.reference}'; "
            f"{estimand}, delta {found.delta:g}"
        )
    )
    print_table(
        ["entrant", "rate", "95% interval", "votes", "as many as", "p (Holm)", "p (TOST)", "verdict", "hangs on"],
        (_entrant_cells(row, found) for row in found.entrants),
    )
    for row in found.entrants:
        for reason in row.judgement.reasons:
            typer.echo(printable(f"  {row.entrant}: {reason}"))
    _show_contrasts(found)
    _show_strengths(found)
    _show_raters(found)


def _entrant_cells(row: "EntrantResult", found: "Analysis") -> tuple[str, ...]:
    rate = row.half_tie if found.ties == "half" else row.ties_dropped
    fragile = found.fragility[row.entrant]
    also = ", and yet not the same" if row.judgement.also_different else ""
    hangs = [
        f"{removal.count:,} {what}{'' if removal.count == 1 else 's'}"
        for what, removal in (("vote", fragile.votes), ("rater", fragile.raters))
        if removal is not None
    ]
    return (
        row.entrant,
        _percent(rate.rate),
        "none" if rate.interval is None else f"{rate.interval.low:.1%} to {rate.interval.high:.1%}",
        f"{rate.n:,}",
        "none" if rate.n_eff is None else f"{rate.n_eff:,.0f} independent",
        _p(rate.p_holm),
        _p(row.tost.p),
        row.judgement.verdict.value + also,
        " or ".join(hangs) or "none",
    )


def _show_contrasts(found: "Analysis") -> None:
    if not found.contrasts:
        return
    surest = sorted(found.contrasts, key=lambda one: (one.p is None, one.p or 0.0))[:_SHOWN]
    title = "Entrant against entrant, through the reference"
    typer.echo(title if len(found.contrasts) <= _SHOWN else f"{title}: the {_SHOWN} surest of {len(found.contrasts):,}")
    print_table(
        ["a", "b", "difference", "se", "p (Holm)", "a preferred to b directly"],
        (
            (
                one.a,
                one.b,
                _points(one.difference),
                _points(one.se, sign=""),
                _p(one.p_holm),
                "never met" if one.direct is None else f"{_percent(one.direct.rate)} of {one.direct.n:,}",
            )
            for one in surest
        ),
    )


def _show_strengths(found: "Analysis") -> None:
    fit = found.bradley_terry
    if fit.reason is not None:
        typer.echo(printable(f"No ranking. {fit.reason}"))
        return
    intervals, strengths = fit.intervals(), fit.strengths()
    ranks = {} if found.ranks is None else found.ranks.rank_sets
    typer.echo("Bradley-Terry strengths (log-odds), and the ranks that are not ruled out")
    print_table(
        ["entrant", "strength", "95% interval", "rank"],
        (
            (
                name,
                f"{strengths[name]:+.3f}",
                f"{intervals[name][0]:+.3f} to {intervals[name][1]:+.3f}"
                if name in intervals
                else ("the reference" if name == fit.reference else "none"),
                _rank(ranks.get(name)),
            )
            for name in sorted(strengths, key=lambda name: -strengths[name])
        ),
    )
    for gap in fit.missing:
        typer.echo(gap.reason)


def _show_raters(found: "Analysis") -> None:
    position = found.position
    if position.left_share is not None:
        typer.echo(
            f"Left image preferred in {position.left_share:.1%} of {position.n:,} decisive votes, p {_p(position.p)}."
        )
    flagged = found.sides.flagged
    if flagged:
        typer.echo(
            f"{len(flagged)} of {len(found.sides.raters):,} raters favour a side; their votes are counted all the same:"
        )
        print_table(
            ["rater", "left", "of", "p (Holm)"],
            ((one.rater, one.left, one.n, _p(one.p_holm)) for one in flagged[:_SHOWN]),
        )
    typer.echo(_agreement(found))


def _agreement(found: "Analysis") -> str:
    agreement = found.agreement
    if agreement.alpha is None:
        return "Agreement: none to measure. " + " ".join(dict.fromkeys(gap.reason for gap in agreement.missing))
    return (
        f"Agreement: Krippendorff's alpha {agreement.alpha:.3f} over {agreement.units:,} comparisons "
        "that several raters judged (descriptive only)."
    )


def _show_bootstrap(drawn: "RaterBootstrap", found: "Analysis") -> None:
    if drawn.missing is not None:
        typer.echo(f"No bootstrap. {drawn.missing.reason}")
        return
    errors, intervals, sandwich = drawn.se(), drawn.intervals(), found.bradley_terry.se()
    lost = f"; {drawn.unrankable:,} could not be ranked" if drawn.unrankable else ""
    typer.echo(f"Raters drawn again {len(drawn.strengths) + drawn.unrankable:,} times{lost}")
    print_table(
        ["entrant", "se, raters drawn again", "se, two-way clustered", "95% of the draws"],
        (
            (name, f"{errors[name]:.3f}", f"{sandwich[name]:.3f}", f"{low:+.3f} to {high:+.3f}")
            for name, (low, high) in intervals.items()
            if name != found.reference and name in sandwich
        ),
    )


def _rank(ends: tuple[int, int] | None) -> str:
    if ends is None:
        return "none"
    return str(ends[0]) if ends[0] == ends[1] else f"{ends[0]} to {ends[1]}"


def _percent(rate: float | None) -> str:
    return "none" if rate is None else f"{rate:.1%}"


def _points(share: float | None, sign: str = "+") -> str:
    return "none" if share is None else f"{100 * share:{sign}.1f} points"


def _p(p: float | None) -> str:
    if p is None:
        return "none"
    return "< 0.0001" if p < 0.0001 else f"{p:.4f}"
