"""The first page: which studies are open, and where to rate and to read."""

from typing import TypedDict

from fastapi import APIRouter
from fastapi.responses import HTMLResponse

from arena.ledger.ledger import Ledger
from arena.ledger.records import StudyRecord
from arena.pages.html import page
from arena.pages.studies import newest_versions


class Entry(TypedDict):
    """One study on the first page."""

    name: str
    title: str
    sentence: str
    is_open: bool


def home_routes(ledger: Ledger) -> APIRouter:
    """GET /: the open studies, then the closed ones, newest first."""
    router = APIRouter()

    @router.get("/")
    def home() -> HTMLResponse:
        return page("home.html", studies=[_entry(record) for record in newest_versions(ledger.studies())])

    return router


def _entry(record: StudyRecord) -> Entry:
    study = record.study
    prompts = "one prompt" if len(study.prompts) == 1 else f"{len(study.prompts)} prompts"
    votes = "one vote" if study.votes_per_rater == 1 else f"up to {study.votes_per_rater} votes"
    return {
        "name": record.name,
        "title": study.shown_title,
        "sentence": f"{study.question} {prompts[:1].upper()}{prompts[1:]}, {votes} from you.",
        "is_open": record.is_open,
    }
