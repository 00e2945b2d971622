"""The first page: which studies are open, and where to rate, to label and to read."""

from typing import TypedDict

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

from arena.accounts import Role
from arena.doors import Doorkeeper
from arena.labelling.label_study import LabelStudy
from arena.ledger.label_book import LabelBook
from arena.ledger.ledger import Ledger
from arena.ledger.records import StudyRecord
from arena.pages.html import page
from arena.pages.studies import newest_versions
from arena.rating_crowd import SITE_NAMES


class Entry(TypedDict):
    """One study on the first page; `crowd_site` is the name of the site that sends its raters, else ""."""

    name: str
    title: str
    sentence: str
    is_open: bool
    by_link: bool
    crowd_site: str


def home_routes(ledger: Ledger, doorkeeper: Doorkeeper) -> APIRouter:
    """GET /: the open studies, then the closed ones, newest first; results are offered to those who may read them.

    Label studies follow while they are open: what became of them is read on the command line.
    """
    router = APIRouter()
    book = LabelBook(ledger)

    @router.get("/")
    def home(request: Request) -> HTMLResponse:
        visitor = doorkeeper.visitor(request.scope)
        return page(
            "home.html",
            studies=[_entry(record) for record in newest_versions(ledger.studies())],
            label_studies=[
                _label_entry(record.study)
                for record in sorted(book.studies(), key=lambda record: -record.id)
                if record.is_open
            ],
            may_read=visitor.may_enter(Role.RESEARCHER),
            may_administer=visitor.may_enter(Role.ADMIN),
            open_to_all=visitor.reads_results and not doorkeeper.accounts.exists,
            account_label="Log in" if visitor.account is None else visitor.account.name,
        )

    return router


def _entry(record: StudyRecord) -> Entry:
    study = record.study
    questions = " ".join(question.text for question in study.asked)
    prompts = "one prompt" if len(study.prompts) == 1 else f"{len(study.prompts)} prompts"
    votes = "one vote" if study.votes_per_rater == 1 else f"up to {study.votes_per_rater} votes"
    return {
        "name": record.name,
        "title": study.shown_title,
        "sentence": f"{questions} {prompts[:1].upper()}{prompts[1:]}, {votes} from you.",
        "is_open": record.is_open,
        "by_link": study.access == "link",
        "crowd_site": "" if study.crowd is None else SITE_NAMES[study.crowd.site],
    }


def _label_entry(study: LabelStudy) -> Entry:
    asked = (
        "One image at a time: do you recognise a character, person or logo?"
        if study.mode == "single"
        else "Two images at a time: which of them resembles the one that is named more?"
    )
    most = min(study.labels_per_rater, len(study.items)) if not study.repeats else study.labels_per_rater
    return {
        "name": study.name,
        "title": study.shown_title,
        "sentence": f"{asked} {'One answer' if most == 1 else f'Up to {most} answers'} from you.",
        "is_open": True,
        "by_link": False,
        "crowd_site": "" if study.crowd is None else SITE_NAMES[study.crowd.site],
    }
