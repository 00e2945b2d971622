"""A board and its study's scores as HTML, for the dashboard. Pure: values in, escaped text out."""

from collections.abc import Sequence
from dataclasses import dataclass

from arena.board import Board
from arena.ledger.records import Score
from arena.pages.html import render
from arena.statistics.against_reference import EntrantResult
from arena.statistics.interval import ALPHA
from arena.statistics.verdicts import Verdict
from arena.study import Study

NONE = "–"

#: A verdict's colour in results.css.
_TONES = {
    Verdict.PREFERRED: "good",
    Verdict.NOT_PREFERRED: "poor",
    Verdict.EQUIVALENT: "even",
    Verdict.INCONCLUSIVE: "open",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ResultRow:
    """One entrant's line, in words and figures ready to be shown."""

    entrant: str
    rate: str
    interval: str
    votes: str
    raters: str
    ties: str
    both_bad: str
    verdict: str
    tone: str
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreCell:
    """One automatic measure of one entrant's gallery."""

    value: str
    interval: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreRow:
    """One entrant's scores in the order of the table's metrics; None where one was not computed."""

    entrant: str
    cells: tuple[ScoreCell | None, ...]
    n: str


def results_html(board: Board, *, key: str, shows_both_bad: bool, is_open: bool) -> str:
    """The heading, the banner of simulated raters, the table and how to read it; `key` is the study's in addresses."""
    return render(
        "results.html",
        board=board,
        key=key,
        is_open=is_open,
        shows_both_bad=shows_both_bad,
        rows=[_row(row) for row in board.rows],
        votes=_counted(board.votes, "vote"),
        raters=_counted(board.raters, "simulated rater" if board.is_simulated else "rater"),
        prompts=_counted(board.prompts, "prompt"),
        points=f"{100 * board.delta:g}",
        left=_left_share(board),
        between=_between_candidates(board),
    )


def no_results_html(*, heading: str, sentence: str, key: str, is_open: bool) -> str:
    """What the page says where there is nothing to show; `key` "" offers no study to rate."""
    return render("no_results.html", heading=heading, sentence=sentence, key=key, is_open=is_open)


def scores_html(study: Study, scores: Sequence[Score], *, against: str) -> str:
    """The automatic scores of the study's entrants on its prompts; "" where there are none.

    `against` is the address of the page that holds them against the votes.
    """
    metrics = sorted({score.metric for score in scores})
    rows = []
    for entrant in study.entrants:
        own = {score.metric: score for score in scores if score.entrant == entrant}
        if own:
            cells = tuple(_score_cell(own[metric]) if metric in own else None for metric in metrics)
            counts = sorted({score.n for score in own.values()})
            rows.append(ScoreRow(entrant=entrant, cells=cells, n=" / ".join(f"{count:,}" for count in counts)))
    return render("scores.html", metrics=metrics, rows=rows, against=against) if rows else ""


def _score_cell(score: Score) -> ScoreCell:
    # "#": 61.00 keeps its zeros beside 62.31.
    return ScoreCell(value=f"{score.value:#.4g}", interval=f"{score.low:#.4g} to {score.high:#.4g}")


def _row(row: EntrantResult) -> ResultRow:
    rate, judgement = row.half_tie, row.judgement
    verdict = judgement.verdict.value
    if judgement.also_different:
        verdict = f"{verdict}, yet not equal"
    return ResultRow(
        entrant=row.entrant,
        rate=NONE if rate.rate is None else _percent(rate.rate),
        interval=NONE if rate.interval is None else f"{_percent(rate.interval.low)} to {_percent(rate.interval.high)}",
        votes=f"{rate.n:,}",
        raters=f"{rate.raters:,}",
        ties=f"{row.ties:,}",
        both_bad=f"{row.both_bad:,}",
        verdict=verdict,
        tone=_TONES[judgement.verdict],
        notes=judgement.reasons,
    )


def _between_candidates(board: Board) -> str:
    """How many of the votes stand in no row: those on links, where two candidates met each other."""
    against_reference = sum(row.wins + row.losses + row.ties + row.both_bad for row in board.rows)
    count = board.votes - against_reference
    if not count:
        return ""
    return (
        f"{_counted(count, 'vote')} of these {'is' if count == 1 else 'are'} between candidates, and in no row below."
    )


def _left_share(board: Board) -> str:
    position = board.position
    if position.left_share is None or position.p is None:
        return ""
    reading = "more or less than chance would have it" if position.p < ALPHA else "which chance alone could give"
    return f"The left image was chosen in {_percent(position.left_share)} of the decided votes, {reading}."


def _percent(rate: float) -> str:
    return f"{100 * rate:.1f} %"


def _counted(count: int, thing: str) -> str:
    return f"{count:,} {thing}" if count == 1 else f"{count:,} {thing}s"
