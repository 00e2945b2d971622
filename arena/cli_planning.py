"""`canvas arena plan` and `canvas arena watch`: before a study, how much it takes; during it, when it may stop."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from arena.cli_home import Home, open_ledger
from prompts.console import AsJson, print_json, print_table, progress, say
from prompts.errors import CanvasError, printable, quoted

if TYPE_CHECKING:
    from arena.ledger.ledger import Ledger
    from arena.statistics.forecast import Forecast
    from arena.statistics.planning import Need, Plan, Reach
    from arena.statistics.stopping import StoppingRule
    from arena.statistics.votes import VoteTable
    from arena.statistics.watching import Watch, WatchedLook
    from arena.study import Study
    from arena.vote_streams import VotesSoFar

app = typer.Typer(help="Plan a study, and watch one as its votes come in.", no_args_is_help=True)

_DELTA = 0.05


class PlanOptionsError(CanvasError):
    """Options of `plan` that lack one another."""


class WatchOptionsError(CanvasError):
    """Options of `watch` that contradict each other or what a study declared."""


@app.command()
def plan(
    *,
    rate: Annotated[float, typer.Option(help="The true preference rate you expect, such as 0.47.")],
    power: Annotated[float, typer.Option(help="The chance with which the study is to show what is true.")] = 0.8,
    delta: Annotated[
        float, typer.Option(help="The margin of equivalence in preference rate: 0.05 is 5 points.")
    ] = 0.05,
    design_effect: Annotated[
        float, typer.Option(help="Votes per independent vote, as earlier votes showed; 2 to 2.4 is usual.")
    ] = 1.0,
    votes: Annotated[int | None, typer.Option(help="The votes per entrant you can have: what do they show?")] = None,
    raters: Annotated[int | None, typer.Option(help="The raters you can have: do they suffice?")] = None,
    simulate: Annotated[
        int | None,
        typer.Option(
            metavar="REPEATS", help="Try the study out so often in a simulated arena (with --raters, --votes)."
        ),
    ] = None,
    prompts: Annotated[int, typer.Option(help="How many prompts the simulated study has.")] = 200,
    seed: Annotated[int, typer.Option(min=0, help="The simulation's seed.")] = 0,
    as_json: AsJson = False,
) -> None:
    """Say how many votes and raters a study takes, per entrant, before it starts.

    With --json: rate, power, delta, design_effect; difference, equivalence_at_half and equivalence_at_rate, each with
    votes, votes_with_design_effect and raters; votes and of_votes, raters, of_raters and raters_suffice (null where not
    given); forecast (null without --simulate); not_estimable, with the reason of every other null.
    """
    from arena.statistics.planning import plan_study

    planned = plan_study(rate, delta=delta, power=power, design_effect=design_effect, votes=votes, raters=raters)
    found = None if simulate is None else _forecast(planned, simulate, prompts, seed)
    if as_json:
        print_json({**planned.to_dict(), "forecast": None if found is None else found.to_dict()})
        return
    _print_plan(planned)
    if found is not None:
        _print_forecast(found)


@app.command()
def watch(
    votes: Annotated[
        str, typer.Argument(metavar="VOTES", help="A study's name, a .csv or .parquet file, or - for CSV on stdin.")
    ],
    *,
    reference: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="The model the others are held against; a study declares its own."),
    ] = None,
    delta: Annotated[
        float | None, typer.Option(help="The margin of equivalence; 0.05 where no study declares it.")
    ] = None,
    ties: Annotated[Literal["half", "drop"], typer.Option(help="A tie is half a win, or no vote.")] = "half",
    every: Annotated[
        int | None, typer.Option(help="Look after so many votes per entrant; 50 where no study declares it.")
    ] = None,
    follow: Annotated[
        bool, typer.Option("--follow", help="Keep reading until the rule says stop; Ctrl-C ends it too.")
    ] = False,
    raters: Annotated[
        Literal["people", "simulated"] | None,
        typer.Option("--raters", help="Whose votes: people's in a study, those of the one kind there is in a file."),
    ] = None,
    arena: Home = None,
    as_json: AsJson = False,
) -> None:
    """Look at votes as they come in, as often as you like, and hear when the study may stop.

    Intervals and p-values hold at all looks together. With --json: reference, delta, ties, rule, votes, looks (with
    --follow up to the stop) and decision, which has stop, reason, votes_seen and every entrant's standing.
    """
    options = _Options(reference=reference, delta=delta, every=every, ties=ties, follow=follow)
    # With --json the looks are progress; else they are the result.
    show: Callable[[str], None] = say if as_json else typer.echo
    if votes == "-" or "." in votes or "/" in votes:
        seen = _watch_file(votes, raters, options, show)
    else:
        with open_ledger(arena) as ledger:
            seen = _watch_study(ledger, votes, raters or "people", options, show)
    if as_json:
        print_json((replace(seen, looks=seen.looks_until_stop) if follow else seen).to_dict())
    else:
        show(_ending(seen))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Options:
    reference: str | None
    delta: float | None
    every: int | None
    ties: Literal["half", "drop"]
    follow: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class _Declared:
    """What is known before the votes are; where it is None, the votes themselves must say it."""

    reference: str | None
    entrants: tuple[str, ...] | None
    delta: float
    rule: "StoppingRule"


def _watch_file(
    votes: str, raters: Literal["people", "simulated"] | None, options: _Options, show: Callable[[str], None]
) -> "Watch":
    import sys

    from arena.statistics.equivalence import check_margin
    from arena.vote_streams import file_votes, line_votes

    delta = _DELTA if options.delta is None else options.delta
    check_margin(delta)
    declared = _Declared(reference=options.reference, entrants=None, delta=delta, rule=_rule(options))
    if votes == "-":
        if options.follow and options.reference is None:
            raise WatchOptionsError(
                "The first votes do not yet show who is the reference: to follow stdin, name it with --reference."
            )
        return _watch(line_votes(sys.stdin, raters=raters, follow=options.follow), declared, options, show)
    if options.follow:
        raise WatchOptionsError(
            f"--follow reads a study or stdin, not {quoted(votes)}. A CSV file that grows can be followed with "
            "'tail -n +1 -f FILE | canvas arena watch - --follow --reference NAME'."
        )
    return _watch(file_votes(Path(votes), raters=raters), declared, options, show)


def _watch_study(
    ledger: "Ledger",
    name: str,
    raters: Literal["people", "simulated"],
    options: _Options,
    show: Callable[[str], None],
) -> "Watch":
    from arena.vote_streams import study_votes

    record = ledger.study(name)
    study = record.study
    _refuse_what_is_declared(study, options)
    declared = _Declared(
        reference=study.reference,
        entrants=study.candidates,
        delta=study.delta,
        rule=study.stopping or _rule(options),
    )
    votes = study_votes(ledger, f"{record.name}@{record.version}", raters=raters, follow=options.follow)
    return _watch(votes, declared, options, show)


def _rule(options: _Options) -> "StoppingRule":
    from arena.statistics.stopping import StoppingRule

    return StoppingRule() if options.every is None else StoppingRule(look_every=options.every)


def _refuse_what_is_declared(study: "Study", options: _Options) -> None:
    asked: dict[str, object] = {"--reference": options.reference, "--delta": options.delta}
    if study.stopping is not None:
        asked["--every"] = options.every
    for option, value in asked.items():
        if value is not None:
            raise WatchOptionsError(
                f"The study '{study.name}' declared this before its first vote: leave {option} out."
            )


def _watch(
    states: "Iterator[VotesSoFar]", declared: _Declared, options: _Options, show: Callable[[str], None]
) -> "Watch":
    """Watch every state of the votes and show the looks that are new; what is returned is the last state's watch."""
    from arena.statistics.watching import watch_votes

    seen: Watch | None = None
    shown: set[tuple[str, int]] = set()
    noted: set[str] = set()
    try:
        for votes in states:
            for note in votes.notes:
                if note not in noted:
                    say(note)
            noted.update(votes.notes)
            reference, entrants = _who(votes.table, declared)
            seen = watch_votes(
                votes.table,
                votes.order,
                reference=reference,
                entrants=entrants,
                delta=declared.delta,
                rule=declared.rule,
                ties=options.ties,
            )
            for look in seen.looks_until_stop if options.follow else seen.looks:
                if (look.entrant, look.look.n) not in shown:
                    shown.add((look.entrant, look.look.n))
                    show(_look_line(look))
            if options.follow and seen.stopped_at is not None:
                break
    except KeyboardInterrupt:
        say("Stopped watching; the votes stay where they are.")
    if seen is None:
        raise WatchOptionsError("No vote came in, so there was nothing to watch.")
    return seen


def _who(table: "VoteTable", declared: _Declared) -> tuple[str, tuple[str, ...]]:
    """The reference, and who is held against it: as declared, else as the votes say."""
    from arena.statistics.analysis import WhichReferenceError, reference_of

    reference = reference_of(table) if declared.reference is None else declared.reference
    if declared.entrants is not None:
        return reference, declared.entrants
    if reference not in table.models:
        raise WhichReferenceError(
            f"No vote knows the reference {quoted(reference)}. The votes are on "
            f"{', '.join(quoted(name) for name in table.models)}: name one of them."
        )
    place = table.models.index(reference)
    met = {*table.model_b[table.model_a == place].tolist(), *table.model_a[table.model_b == place].tolist()}
    return reference, tuple(table.models[model] for model in sorted(met))


def _look_line(seen: "WatchedLook") -> str:
    look = seen.look
    opening = f"{printable(seen.entrant)}: {look.n:,} votes"
    if look.interval is None or look.n_eff is None or look.rate is None or look.p is None:
        rate = "" if look.rate is None else f", {look.rate:.1%}"
        return f"{opening}{rate}; not yet: {' '.join(gap.reason for gap in look.missing)}"
    return (
        f"{opening} count as {look.n_eff:,.0f}; {look.rate:.1%} [{look.interval.low:.1%}, {look.interval.high:.1%}], "
        f"always-valid p {look.p:.2g}; {seen.standing.value}"
    )


def _ending(seen: "Watch") -> str:
    if not seen.looks:
        return f"{seen.votes:,} votes, and no look is due before an entrant has {seen.rule.look_every:,}."
    return f"After {seen.votes_at_decision:,} votes: {seen.decision.reason}"


def _forecast(planned: "Plan", repeats: int, prompts: int, seed: int) -> "Forecast":
    import numpy as np

    from arena.statistics.forecast import forecast
    from arena.statistics.simulator import ArenaDesign

    if planned.raters is None or planned.votes is None:
        raise PlanOptionsError("A study is tried out with so many raters and votes: give --raters and --votes too.")
    if repeats < 1:
        raise PlanOptionsError(f"A study cannot be tried out {repeats} times. Give --simulate 1 or more.")
    design = ArenaDesign(raters=planned.raters, prompts=prompts, votes=planned.votes, rates=(planned.rate,))
    with progress("Trying the study out", repeats) as tick:
        return forecast(design, delta=planned.delta, repeats=repeats, rng=np.random.default_rng(seed), on_step=tick)


def _print_plan(planned: "Plan") -> None:
    typer.echo(f"Per entrant, at a power of {planned.power:.0%}:")
    rate, points = _percent(planned.rate), f"±{100 * planned.delta:g} points"
    claims = [
        (f"{rate} differs from 50%", planned.difference),
        (f"equivalent within {points}, if truly 50%", planned.equivalence_at_half),
        (f"equivalent within {points}, if truly {rate}", planned.equivalence_at_rate),
    ]
    print_table(
        ["claim", "independent votes", f"votes at a design effect of {planned.design_effect:g}", "equally busy raters"],
        ((claim, *_cells(need)) for claim, need in claims if need.votes is not None),
    )
    for gap in planned.missing:
        typer.echo(gap.reason)
    if planned.of_votes is not None:
        typer.echo(f"{planned.votes:,} votes: {_reach(planned.of_votes, planned)}")
    if planned.of_raters is not None:
        endless = f"{planned.raters:,} equally busy raters, were their votes without end"
        typer.echo(f"{endless}: {_reach(planned.of_raters, planned)}")


def _cells(need: "Need") -> list[str]:
    return ["none" if number is None else f"{number:,}" for number in need.to_dict().values()]


def _percent(rate: float) -> str:
    return f"{100 * rate:.6g}%"


def _reach(reach: "Reach", planned: "Plan") -> str:
    smallest = (
        "no difference is shown so surely"
        if reach.smallest_difference is None
        else f"the smallest difference they show so surely is {100 * reach.smallest_difference:.1f} points"
    )
    return (
        f"{smallest}; that {_percent(planned.rate)} differs, with a chance of {reach.difference:.0%}; equivalence, if "
        f"truly 50%, with {reach.equivalence_at_half:.0%}."
    )


def _print_forecast(found: "Forecast") -> None:
    typer.echo(
        f"{found.repeats:,} simulated studies of {found.design.votes:,} votes by {found.design.raters:,} raters, some "
        f"busier than others, on {found.design.prompts:,} prompts:"
    )
    for entrant in found.entrants:
        print_table(
            ["verdict", "share of the studies", "Monte-Carlo error"],
            ((verdict.value, f"{one.share:.1%}", f"{one.se:.1%}") for verdict, one in entrant.verdicts.items()),
        )
        if entrant.coverage is None or entrant.interval_width is None or entrant.design_effect is None:
            typer.echo("None of them had an interval.")
        else:
            typer.echo(
                f"The interval is {100 * entrant.interval_width:.1f} points wide on average and covers the truth in "
                f"{entrant.coverage.share:.1%} of the studies; the design effect is {entrant.design_effect:.2f}."
            )
