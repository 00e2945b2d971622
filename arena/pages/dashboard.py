"""The dashboard: what a study's votes say, for people's votes and for simulated ones apart, kept up to date.

Gradio's controls around HTML of ours and a chart. A board is computed at most once in `FRESH_S` seconds for all who
look at it, and what a browser already shows is not sent again.
"""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from arena.board import Board, RatersKind, board_from_votes
from arena.charts import forest
from arena.ledger.errors import UnknownStudyError
from arena.ledger.ledger import Ledger
from arena.ledger.records import Score, StudyRecord
from arena.pages.html import render
from arena.pages.results import no_results_html, results_html, scores_html
from arena.pages.studies import study_entries

if TYPE_CHECKING:
    import gradio as gr

#: How often an open page asks, and how long a computed board is good for.
REFRESH_S = 5.0
FRESH_S = 2.0

_RATERS: list[tuple[str, RatersKind]] = [("People", "people"), ("Simulated raters", "simulated")]


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """All that the page shows of one study; `mark` tells two views of different content apart."""

    board: Board
    record: StudyRecord
    scores: tuple[Score, ...]
    mark: str


class Boards:
    """Reads views from the ledger and keeps each for `FRESH_S` seconds. Thread-safe."""

    def __init__(self, ledger: Ledger, *, seconds: Callable[[], float] = time.monotonic) -> None:
        """`seconds` is a clock that only goes forward."""
        self._ledger = ledger
        self._seconds = seconds
        self._lock = threading.Lock()
        self._kept: dict[tuple[str, RatersKind], tuple[float, View]] = {}

    def view(self, study: str, raters: RatersKind) -> View:
        """The study's view; raises UnknownStudyError."""
        with self._lock:
            known = self._kept.get((study, raters))
            if known is None or self._seconds() - known[0] >= FRESH_S:
                known = (self._seconds(), self._read(study, raters))
                self._kept[study, raters] = known
            return known[1]

    def usual_raters(self, study: str) -> RatersKind:
        """People where a person has voted, or nobody has; else simulated raters."""
        people_voted = self.view(study, "people").board.votes > 0
        return "simulated" if not people_voted and self.view(study, "simulated").board.votes > 0 else "people"

    def _read(self, study: str, raters: RatersKind) -> View:
        record = self._ledger.study(study)
        votes = self._ledger.votes(study, raters=raters)
        scores = tuple(
            score
            for score in self._ledger.scores()
            if score.entrant in record.study.entrants and score.prompt_set_id == record.study.prompts.id
        )
        newest = max((vote.vote_id for vote in votes), default=0)
        measured = ",".join(f"{score.entrant}:{score.metric}:{score.value}" for score in scores)
        return View(
            board=board_from_votes(
                record.study, votes, raters, quality=self._ledger.quality_votes(study, raters=raters)
            ),
            record=record,
            scores=scores,
            mark=f"{study} {raters} {len(votes)} {newest} {record.is_open} {measured}",
        )


def dashboard_page(ledger: Ledger) -> "gr.Blocks":
    """The page at /dashboard/?study=NAME&raters=people|simulated."""
    import gradio as gr

    boards = Boards(ledger)

    def arrive(request: gr.Request) -> list[Any]:
        """What the address asks for, and the studies that there are now."""
        entries = study_entries(ledger.studies())
        asked = request.query_params.get("study") or (entries[0].key if entries else "")
        known = asked in {entry.key for entry in entries}
        raters = _raters_kind(request.query_params.get("raters"))
        if known and raters is None:
            raters = boards.usual_raters(asked)
        choices = [(entry.title, entry.key) for entry in entries]
        dropdown = gr.Dropdown(choices=choices, value=asked if known else None)
        return [dropdown, raters, *draw(asked, raters, "")]

    def choose(study: str | None) -> list[Any]:
        """Another study comes with the raters who voted in it."""
        raters = boards.usual_raters(study) if study else None
        return [raters, *draw(study, raters, "")]

    def draw(study: str | None, raters: str | None, shown: str) -> list[Any]:
        """The results, the chart, the scores and the mark of all three; nothing where `shown` is that mark."""
        kind = _raters_kind(raters)
        if not study or kind is None:
            html = _nothing(study)
            return [html, None, "", html] if html != shown else [gr.skip()] * 4
        try:
            view = boards.view(study, kind)
        except UnknownStudyError:
            return [_nothing(study), None, "", ""]
        if view.mark == shown:
            return [gr.skip()] * 4
        scores = scores_html(view.record.study, view.scores)
        if view.board.votes == 0:
            html = no_results_html(
                heading=view.record.study.shown_title,
                sentence=f"There are no votes by {'people' if kind == 'people' else 'simulated raters'} yet.",
                key=study,
                is_open=view.record.is_open,
            )
            return [html, None, scores, view.mark]
        html = results_html(
            view.board, key=study, shows_both_bad=view.record.study.both_bad, is_open=view.record.is_open
        )
        return [html, forest(view.board), scores, view.mark]

    with gr.Blocks(title="Results · Canvas Arena", analytics_enabled=False) as blocks:
        gr.HTML(render("top.html"), elem_id="top", apply_default_css=False)
        with gr.Row(elem_id="controls"):
            study = gr.Dropdown(label="Study", choices=[], interactive=True, min_width=240)
            raters = gr.Radio(label="Votes by", choices=_RATERS, interactive=True, min_width=280)
            refresh = gr.Button("Refresh", scale=0, min_width=120)
        results = gr.HTML(elem_id="results", apply_default_css=False)
        # Never made visible by an event: in Gradio 6.17 a chart that turns visible while other updates arrive can
        # send the page into an endless loop. shell.css hides it where there is nothing to draw.
        chart = gr.Plot(show_label=False, elem_id="chart")
        scores = gr.HTML(elem_id="scores", apply_default_css=False)
        shown = gr.State("")
        drawn: list[Any] = [results, chart, scores, shown]
        quiet: dict[str, Any] = {"show_progress": "hidden", "concurrency_limit": None, "api_visibility": "private"}
        blocks.load(arrive, None, [study, raters, *drawn], **quiet)
        study.input(choose, study, [raters, *drawn], **quiet)
        raters.input(draw, [study, raters, shown], drawn, **quiet)
        refresh.click(draw, [study, raters, shown], drawn, **quiet)
        gr.Timer(REFRESH_S).tick(draw, [study, raters, shown], drawn, **quiet)
    page: gr.Blocks = blocks
    return page


def _raters_kind(value: str | None) -> RatersKind | None:
    return next((kind for _, kind in _RATERS if kind == value), None)


def _nothing(study: str | None) -> str:
    if study:
        return no_results_html(
            heading="No such study",
            sentence=f"There is no study named “{study}”. Choose one on the first page.",
            key="",
            is_open=False,
        )
    return no_results_html(
        heading="No study yet",
        sentence="Results belong to a study. Open one with: canvas arena study open FILE.toml",
        key="",
        is_open=False,
    )
