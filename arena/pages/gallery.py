"""The gallery page: each prompt of a study beside what every entrant painted for it. It names names."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter, Query, Request
from fastapi.responses import HTMLResponse

from arena.doors import administers
from arena.ledger.errors import UnknownStudyError
from arena.ledger.ledger import Ledger
from arena.ledger.records import GeneratedImage
from arena.pages.html import page as answer
from arena.pages.studies import study_entries
from arena.study import Study

ROWS_PER_PAGE = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One entrant's image in a row; None where its gallery lacks it."""

    entrant: str
    is_reference: bool
    image: GeneratedImage | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One prompt; `seed` is None where the study has a single one."""

    prompt: str
    seed: int | None
    cells: tuple[Cell, ...]


def gallery_routes(ledger: Ledger) -> APIRouter:
    """GET /gallery/?study=NAME&page=1."""
    router = APIRouter()

    @router.get("/gallery/")
    def gallery(request: Request, study: str = "", page: Annotated[int, Query(ge=1, le=1_000_000)] = 1) -> HTMLResponse:
        studies = study_entries(ledger.studies())
        if not studies:
            return answer(
                "problem.html",
                heading="No gallery yet",
                sentence="A gallery belongs to a study. Open one with: canvas arena study open FILE.toml",
            )
        try:
            record = ledger.study(study or studies[0].key)
        except UnknownStudyError as error:
            return answer("problem.html", status=404, heading="No such study", sentence=str(error))
        total = len(record.study.prompts) * len(record.study.seeds)
        pages = max(1, -(-total // ROWS_PER_PAGE))
        page = min(page, pages)
        start = (page - 1) * ROWS_PER_PAGE
        rows = _rows(ledger, record.study, start)
        return answer(
            "gallery.html",
            may_administer=administers(request.state),
            title=record.study.shown_title,
            key=study or studies[0].key,
            studies=studies,
            rows=rows,
            page=page,
            pages=pages,
            first=start + 1,
            last=start + len(rows),
            total=total,
            address=_address(study or studies[0].key),
        )

    return router


def _rows(ledger: Ledger, study: Study, start: int) -> list[Row]:
    wanted = [(prompt, seed) for prompt in study.prompts for seed in study.seeds][start : start + ROWS_PER_PAGE]
    shown = replace(study.prompts, prompts=tuple(dict.fromkeys(prompt for prompt, _ in wanted)))
    galleries = {
        entrant: {
            (image.prompt_id, image.seed): image
            for image in ledger.gallery(entrant, shown, sorted({seed for _, seed in wanted}))
        }
        for entrant in study.entrants
    }
    return [
        Row(
            prompt=prompt.text,
            seed=seed if len(study.seeds) > 1 else None,
            cells=tuple(
                Cell(
                    entrant=entrant,
                    is_reference=entrant == study.reference,
                    image=galleries[entrant].get((prompt.id, seed)),
                )
                for entrant in study.entrants
            ),
        )
        for prompt, seed in wanted
    ]


def _address(key: str) -> Callable[[int], str]:
    return lambda page: "/gallery/?" + urlencode({"study": key, "page": page})
