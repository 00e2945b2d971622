"""The dashboard: what a study's votes say, for people's votes and for simulated ones apart, kept up to date.

One question at a time, and with or without the gates, where the study asks several and declares some.
Gradio's controls around HTML of ours and a chart. A board is computed at most once in `FRESH_S` seconds for all who
look at it, and what a browser already shows is not sent again.
"""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import urlencode

from arena.board import Board, RatersKind, board_from_votes
from arena.charts import forest
from arena.doors import administers
from arena.ledger.errors import UnknownStudyError
from arena.ledger.ledger import Ledger
from arena.ledger.records import Score, StudyRecord
from arena.pages.gates import gates_html
from arena.pages.html import render
from arena.pages.results import no_results_html, results_html, scores_html
from arena.pages.studies import study_entries
from arena.study import Study

if TYPE_CHECKING:
    import gradio as gr

#: How often an open page asks, and how long a computed board is good for.
REFRESH_S = 5.0
FRESH_S = 2.0

_RATERS: list[tuple[str, RatersKind]] = [("People", "people"), ("Simulated raters", "simulated")]
_GATES: list[tuple[str, Literal["without", "with"]]] = [("Without the gates", "without"), ("With the gates", "with")]


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """All that the page shows of one question of a study; `mark` tells two views of different content apart."""

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
        self._kept: dict[tuple[str, RatersKind, str | None], tuple[float, View]] = {}

    def view(self, study: str, raters: RatersKind, question: str | None = None) -> View:
        """The study's view of this question, or of its first where it does not ask this; raises UnknownStudyError."""
        asked = (study, raters, question)
        with self._lock:
            known = self._kept.get(asked)
            if known is None or self._seconds() - known[0] >= FRESH_S:
                known = (self._seconds(), self._read(study, raters, question))
                self._kept[asked] = known
            return known[1]

    def usual_raters(self, study: str) -> RatersKind:
        """People where a person has voted, or nobody has; else simulated raters."""
        people_voted = self.view(study, "people").board.votes > 0
        return "simulated" if not people_voted and self.view(study, "simulated").board.votes > 0 else "people"

    def _read(self, study: str, raters: RatersKind, question: str | None) -> View:
        record = self._ledger.study(study)
        votes = self._ledger.votes(study, raters=raters)
        # Repeats and gold pairs are among them, and nobody else looks at those.
        quality = self._ledger.quality_votes(study, raters=raters) if record.study.gates is not None else []
        scores = tuple(
            score
            for score in self._ledger.scores()
            if score.entrant in record.study.entrants and score.prompt_set_id == record.study.prompts.id
        )
        newest = max((vote.vote_id for vote in votes), default=0)
        judged_at = max((vote.cast_at for vote in quality), default="")
        measured = ",".join(f"{score.entrant}:{score.metric}:{score.value}" for score in scores)
        key = _asked_key(record.study, question)
        return View(
            board=board_from_votes(record.study, votes, raters, question=key, quality=quality),
            record=record,
            scores=scores,
            mark=f"{study} {raters} {key} {len(votes)} {newest} {len(quality)} {judged_at} {record.is_open} {measured}",
        )


def dashboard_page(ledger: Ledger) -> "gr.Blocks":
    """The page at /dashboard/?study=NAME&raters=people|simulated&question=KEY&gates=without|with."""
    import gradio as gr

    boards = Boards(ledger)

    def arrive(request: gr.Request) -> list[Any]:
        """What the address asks for, and the studies that there are now."""
        entries = study_entries(ledger.studies())
        wanted = request.query_params
        asked = wanted.get("study") or (entries[0].key if entries else "")
        known = asked in {entry.key for entry in entries}
        raters = _raters_kind(wanted.get("raters"))
        if known and raters is None:
            raters = boards.usual_raters(asked)
        choices = [(entry.title, entry.key) for entry in entries]
        dropdown = gr.Dropdown(choices=choices, value=asked if known else None)
        question, gates = wanted.get("question"), "with" if wanted.get("gates") == "with" else "without"
        return [
            gr.HTML(render("top.html", may_administer=True)) if administers(request.state) else gr.skip(),
            dropdown,
            raters,
            *parts(asked if known else None, question, gates),
            *draw(asked, raters, question, gates, ""),
        ]

    def choose(study: str | None) -> list[Any]:
        """Another study comes with the raters who voted in it, its first question and everybody's votes."""
        raters = boards.usual_raters(study) if study else None
        return [raters, *parts(study, None, "without"), *draw(study, raters, None, "without", "")]

    def parts(study: str | None, question: str | None, gates: str) -> list[Any]:
        """The choice of a question where there are several, and of the gates where some are declared."""
        if not study:
            return [gr.Row(visible=False), gr.Dropdown(visible=False), gr.Radio(visible=False)]
        declared = ledger.study(study).study
        choices = [(one.text, one.key) for one in declared.asked]
        several, gated = len(choices) > 1, declared.gates is not None
        return [
            gr.Row(visible=several or gated),
            gr.Dropdown(choices=choices, value=_asked_key(declared, question), visible=several),
            gr.Radio(value=gates, visible=gated),
        ]

    def draw(study: str | None, raters: str | None, question: str | None, gates: str | None, shown: str) -> list[Any]:
        """The results, the chart, the scores and the mark of all three; nothing where `shown` is that mark.

        `study` is None on a page that has not arrived yet: it goes on saying that it reads.
        """
        drawing = [shown] if study is None else _drawing(boards, study, _raters_kind(raters), question, gates)
        return [gr.skip()] * 4 if drawing[-1] == shown else drawing

    with gr.Blocks(title="Results · Canvas Arena", analytics_enabled=False) as blocks:
        top = gr.HTML(render("top.html"), elem_id="top", apply_default_css=False)
        with gr.Column(elem_id="controls"):
            with gr.Row(equal_height=False):
                study = gr.Dropdown(label="Study", choices=[], interactive=True, min_width=240)
                raters = gr.Radio(label="Votes by", choices=_RATERS, interactive=True, min_width=280)
                refresh = gr.Button("Refresh", scale=0, min_width=120)
            with gr.Row(visible=False) as more:
                question = gr.Dropdown(label="Question", choices=[], interactive=True, min_width=240)
                gates = gr.Radio(label="Quality gates", choices=_GATES, interactive=True, min_width=320)
        # What is there at once, before the first answer comes.
        results = gr.HTML(render("loading.html"), elem_id="results", apply_default_css=False)
        # Never made visible by an event: in Gradio 6.17 a chart that turns visible while other updates arrive can
        # send the page into an endless loop. shell.css hides it where there is nothing to draw.
        chart = gr.Plot(show_label=False, elem_id="chart")
        scores = gr.HTML(elem_id="scores", apply_default_css=False)
        shown = gr.State("")
        drawn: list[Any] = [results, chart, scores, shown]
        asked: list[Any] = [study, raters, question, gates, shown]
        quiet: dict[str, Any] = {"show_progress": "hidden", "concurrency_limit": None, "api_visibility": "private"}
        blocks.load(arrive, None, [top, study, raters, more, question, gates, *drawn], **quiet)
        study.input(choose, study, [raters, more, question, gates, *drawn], **quiet)
        for control in (raters, question, gates):
            control.input(draw, asked, drawn, **quiet)
        refresh.click(draw, asked, drawn, **quiet)
        gr.Timer(REFRESH_S).tick(draw, asked, drawn, **quiet)
    page: gr.Blocks = blocks
    return page


def _drawing(
    boards: Boards, study: str | None, raters: RatersKind | None, question: str | None, gates: str | None
) -> list[Any]:
    """The results, the chart, the scores, and the mark by which they are known again."""
    if not study or raters is None:
        html = _nothing(study)
        return [html, None, "", html]
    try:
        view = boards.view(study, raters, question)
    except UnknownStudyError:
        return [_nothing(study), None, "", f"nothing {study}"]
    mark = f"{view.mark} {gates}"
    against = urlencode({"study": study, "raters": raters, "question": view.board.question_key})
    scores = scores_html(view.record.study, view.scores, against=f"/metrics/?{against}")
    if view.board.votes == 0:
        return [_no_votes(view, study), None, scores, mark]
    board = _with_or_without(view.board, gates)
    return [_results(view, board, study), forest(board), scores, mark]


def _asked_key(study: Study, question: str | None) -> str:
    """The question's key where the study asks it, else that of its first."""
    keys = [one.key for one in study.asked]
    return question if question in keys else keys[0]


def _with_or_without(board: Board, gates: str | None) -> Board:
    return board.gated.board if gates == "with" and board.gated is not None else board


def _results(view: View, board: Board, key: str) -> str:
    """What the gates leave out, where some are declared, and then the board."""
    gated, study = view.board.gated, view.record.study
    about = "" if gated is None else gates_html(view.board, gated, applied=board is gated.board)
    return about + results_html(board, key=key, shows_both_bad=study.both_bad, is_open=view.record.is_open)


def _no_votes(view: View, key: str) -> str:
    return no_results_html(
        heading=view.record.study.shown_title,
        sentence=f"There are no votes by {'simulated raters' if view.board.is_simulated else 'people'} yet.",
        key=key,
        is_open=view.record.is_open,
    )


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
