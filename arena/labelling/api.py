"""The HTTP routes of labelling, and the resemblance page that asks them.

In: JSON from the page's script, and a signed cookie that holds the rater's number. Out: the page, JSON and WebP. A
browser gets random tokens and pixels, in pair mode the target's name, and nothing else about the images.
"""

import json
from collections.abc import Callable
from functools import cache
from pathlib import Path as FilePath
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Depends, Path, Request, Response
from fastapi.responses import HTMLResponse, JSONResponse
from pydantic import BaseModel, ConfigDict, Field
from starlette.concurrency import run_in_threadpool

from arena.api import IDLE_S, REFUSALS, Clock, Dice, NotJsonError, StudyName
from arena.ballots import GUARD_MS
from arena.cookies import RaterCookie
from arena.labelling.label_ballots import LONGEST_NAME, LabelBallot
from arena.labelling.label_study import CLOSEST, LabelStudy
from arena.labelling.room import Labelled, LabelRoom, LabelWelcome, ShowingView
from arena.labelling.texts import load_label_messages
from arena.ledger.errors import RatingError, UnknownRaterError, UnknownStudyError
from arena.pages.html import ASSETS
from arena.rate_limits import new_rater_wait_s, too_many
from arena.rating import ReportKind
from arena.rating_crowd import SITE_NAMES, way_back
from arena.rating_refusals import Code, refusal
from arena.reception import End

PREFIX = "/resemblance"
#: The page keeps one showing in sight and one loading behind it.
AT_HAND = 2

_OWN = FilePath(__file__).parent / "assets"
#: The page's scripts in the order in which they run, as the body of one function: the rating page's, then its own.
SHARED_SCRIPTS = ("state.js", "words.js", "server.js", "outbox.js")
OWN_SCRIPTS = ("showings.js", "answers.js", "stages.js", "begin.js")

_FOREVER = {"Cache-Control": "private, max-age=31536000, immutable"}
_NOT_KEPT = {"Cache-Control": "no-store"}
_TEXT = r"^[^\x00]*$"
Token = Annotated[str, Field(min_length=1, max_length=128, pattern=_TEXT)]
ArrivalKey = Annotated[str, Field(max_length=64, pattern=_TEXT)]
ArrivalValue = Annotated[str, Field(max_length=1024, pattern=_TEXT)]


class LabelStudyBody(BaseModel):
    """A request about a label study."""

    model_config = ConfigDict(extra="forbid")
    study: StudyName


class LabelJoinBody(LabelStudyBody):
    """A rater comes; `arrival` are the page's query parameters. `anew`: who took consent back begins again."""

    arrival: Annotated[dict[ArrivalKey, ArrivalValue], Field(max_length=20)] = {}
    anew: bool = False


class ShowingBody(LabelStudyBody):
    """What a label, its undoing and a report have in common. `key` makes a repeated request count once."""

    showing: Token
    round: Annotated[int, Field(ge=1, le=10_000)]
    key: UUID


class LabelBody(ShowingBody):
    """A label. `latency_ms` runs from the image's appearance to the answer; `session` names the page load."""

    answer: Annotated[str, Field(min_length=1, max_length=10)]
    which: Annotated[str, Field(max_length=LONGEST_NAME, pattern=_TEXT)] = ""
    closeness: Annotated[int, Field(ge=1, le=CLOSEST)] | None = None
    latency_ms: Annotated[int, Field(ge=0, le=2**31 - 1)]
    session: Annotated[str, Field(max_length=64)] = ""


class LabelReportBody(ShowingBody):
    """A showing that the rater will not label, and why."""

    kind: ReportKind


def label_routes(room: LabelRoom, cookie: RaterCookie, *, clock: Clock, dice: Dice) -> APIRouter:
    """/resemblance/, its script and style, /resemblance/api/... and /resemblance/image/TOKEN."""
    router = APIRouter(prefix=PREFIX)
    counter = _Counter(room, cookie, clock=clock, dice=dice)
    posts: dict[str, Callable[..., Any]] = {
        "join": counter.join,
        "consent": counter.consent,
        "label": counter.label,
        "undo": counter.undo,
        "report": counter.report,
        "withdraw": counter.withdraw,
    }
    for name, answer in posts.items():
        router.add_api_route(f"/api/{name}", answer, methods=["POST"], dependencies=[Depends(_json_only)])
    router.add_api_route("/api/studies", counter.studies, methods=["GET"])
    router.add_api_route("/image/{token}", counter.image, methods=["GET"])
    router.add_api_route("/", _page, methods=["GET"])
    router.add_api_route("/resemblance.js", _script, methods=["GET"])
    router.add_api_route("/resemblance.css", _style, methods=["GET"])
    return router


class _Counter:
    """Answers the page's requests, one method each."""

    def __init__(self, room: LabelRoom, cookie: RaterCookie, *, clock: Clock, dice: Dice) -> None:
        self._room, self._cookie, self._clock, self._dice = room, cookie, clock, dice

    async def join(self, body: LabelJoinBody, request: Request) -> JSONResponse:
        known = self._cookie.read(request.cookies)
        is_new = await run_in_threadpool(self._would_be_new, body, known)
        # Asked here and not in a thread: everything is counted in the event loop.
        wait_s = new_rater_wait_s(request.scope) if is_new or body.anew else 0
        if wait_s:
            headers = {**_NOT_KEPT, "Retry-After": str(wait_s)}
            return JSONResponse(refusal(too_many(wait_s), Code.TOO_MANY_REQUESTS), 429, headers)
        return await run_in_threadpool(self._let_in, body, known)

    def _would_be_new(self, body: LabelJoinBody, known: int | None) -> bool:
        try:
            return self._room.would_be_new(body.study, known=known, arrival=body.arrival)
        except (RatingError, UnknownStudyError):
            # Refused below; that trying addresses is not free, it counts for a browser that nobody knows.
            return known is None

    def _let_in(self, body: LabelJoinBody, known: int | None) -> JSONResponse:
        try:
            welcome = self._room.arrive(
                body.study,
                known=known,
                arrival=body.arrival,
                at_hand=AT_HAND,
                anew=body.anew,
                rng=self._dice(),
                now=self._clock(),
            )
        except RatingError as error:
            status, code = REFUSALS[type(error)]
            language = self._room.language_of(body.study)
            return JSONResponse(refusal(str(error), code, language=language), status, _NOT_KEPT)
        answer = JSONResponse(_welcome(welcome), headers=_NOT_KEPT)
        if welcome.rater is not None:
            self._cookie.write(answer, welcome.rater)
        return answer

    def studies(self) -> JSONResponse:
        """Those that are open to anybody: for who opens the page without naming one."""
        offered = [{"name": study.name, "title": study.shown_title} for study in self._room.open_studies()]
        return JSONResponse({"studies": offered}, headers=_NOT_KEPT)

    def consent(self, body: LabelStudyBody, request: Request) -> JSONResponse:
        rater = self._rater(request)
        self._room.consent(body.study, rater, now=self._clock())
        welcome = self._room.welcome(body.study, rater, at_hand=AT_HAND, rng=self._dice(), now=self._clock())
        return JSONResponse(_welcome(welcome), headers=_NOT_KEPT)

    def label(self, body: LabelBody, request: Request) -> JSONResponse:
        ballot = LabelBallot(
            rater=self._rater(request),
            study=body.study,
            showing=body.showing,
            round=body.round,
            key=str(body.key),
            answer=body.answer,
            which=body.which,
            closeness=body.closeness,
            latency_ms=body.latency_ms,
            session=body.session,
        )
        return JSONResponse(_labelled(self._room.label(ballot, rng=self._dice(), now=self._clock())), headers=_NOT_KEPT)

    def undo(self, body: ShowingBody, request: Request) -> JSONResponse:
        undone = self._room.undo(
            rater=self._rater(request),
            study=body.study,
            showing=body.showing,
            round=body.round,
            key=str(body.key),
            now=self._clock(),
        )
        return JSONResponse({"done": undone.done, "showing": _showing(undone.showing)}, headers=_NOT_KEPT)

    def report(self, body: LabelReportBody, request: Request) -> JSONResponse:
        labelled = self._room.report(
            rater=self._rater(request),
            study=body.study,
            showing=body.showing,
            round=body.round,
            why=body.kind,
            key=str(body.key),
            rng=self._dice(),
            now=self._clock(),
        )
        return JSONResponse(_labelled(labelled), headers=_NOT_KEPT)

    def withdraw(self, body: LabelStudyBody, request: Request) -> JSONResponse:
        self._room.withdraw(body.study, self._rater(request), now=self._clock())
        answer = JSONResponse({"withdrawn": True}, headers=_NOT_KEPT)
        self._cookie.forget(answer)
        return answer

    def image(self, token: Annotated[str, Path(max_length=128)], request: Request) -> Response:
        encoded = self._room.image(rater=self._rater(request), token=token)
        return Response(encoded, media_type="image/webp", headers=_FOREVER)

    def _rater(self, request: Request) -> int:
        rater = self._cookie.read(request.cookies)
        if rater is None:
            raise UnknownRaterError("This browser has not joined a study. Open the study's page first.")
        return rater


async def _json_only(request: Request) -> None:
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":
        raise NotJsonError("Send JSON: the content type must be application/json.")


@cache
def _files() -> dict[Literal["page", "script", "style"], str]:
    """The page's three files; they are the same for everybody, and nothing about a study is in them."""
    scripts = [(ASSETS / "rate" / name).read_text(encoding="utf-8") for name in SHARED_SCRIPTS]
    scripts += [(_OWN / name).read_text(encoding="utf-8") for name in OWN_SCRIPTS]
    texts = json.dumps(load_label_messages())
    head = f'"use strict";\n(() => {{\nconst element = document;\nconst MESSAGES = {texts};\n'
    styles = [ASSETS / "rate.css", _OWN / "resemblance.css"]
    return {
        "page": (_OWN / "resemblance.html").read_text(encoding="utf-8"),
        "script": head + "\n".join(scripts) + "\n})();\n",
        "style": "\n".join(style.read_text(encoding="utf-8") for style in styles),
    }


def _page() -> HTMLResponse:
    return HTMLResponse(_files()["page"], headers={"Cache-Control": "no-cache"})


def _script() -> Response:
    return Response(_files()["script"], media_type="text/javascript", headers={"Cache-Control": "no-cache"})


def _style() -> Response:
    return Response(_files()["style"], media_type="text/css", headers={"Cache-Control": "no-cache"})


def _welcome(welcome: LabelWelcome) -> dict[str, Any]:
    study, stage = welcome.study, welcome.stage
    return {
        "study": _study(study),
        "stage": stage,
        "consent": {"text": study.consent, "instructions": study.instructions} if stage == "consent" else None,
        "done": welcome.done,
        "total": welcome.total,
        "showings": [_showing(showing) for showing in welcome.showings],
        "end": _end(welcome.end),
    }


def _study(study: LabelStudy) -> dict[str, Any]:
    crowd = study.crowd
    # Everybody's names, in the order of the alphabet: the list suggests nobody more than anybody else.
    names = sorted({target.name for target in study.targets}, key=str.casefold) if study.suggest else []
    return {
        "name": study.name,
        "title": study.shown_title,
        "language": study.language,
        "instructions": study.instructions,
        "mode": study.mode,
        "answers": list(study.answers),
        "names": names,
        "labels_per_rater": study.labels_per_rater,
        "guard_ms": GUARD_MS,
        "idle_s": IDLE_S,
        "crowd": None if crowd is None else {"site": SITE_NAMES[crowd.site], "address": way_back(crowd)},
    }


def _labelled(labelled: Labelled) -> dict[str, Any]:
    following = None if labelled.next is None else _showing(labelled.next)
    return {"done": labelled.done, "total": labelled.total, "next": following, "end": _end(labelled.end)}


def _end(end: End | None) -> dict[str, str] | None:
    return None if end is None else {"code": end.code, "redirect": end.redirect}


def _showing(showing: ShowingView) -> dict[str, Any]:
    return {
        "showing": showing.showing,
        "images": [f"{PREFIX}/image/{token}" for token in showing.images],
        "round": showing.round,
        "name": showing.name,
    }
