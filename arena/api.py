"""The HTTP routes of rating, and of what researchers read as JSON and as images.

In: JSON from the rating page's script, and a signed cookie that holds the rater's number. Out: JSON and WebP. A browser
that has not voted yet gets random tokens, the prompt and pixels, and nothing else about the images.

A vote is awaited, not waited for: no thread stands still until its durable commit. The other routes are plain
functions, which FastAPI runs in threads.
"""

import asyncio
import json
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

import numpy as np
from fastapi import APIRouter, Depends, FastAPI, HTTPException, Path, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect
from starlette.types import Scope

from arena.ballots import GUARD_MS, Ballot
from arena.board import board_from_votes
from arena.cookies import RaterCookie
from arena.images import ImageStore, UnknownImageError
from arena.invitations import InvitationError
from arena.ledger import errors
from arena.ledger.ledger import Ledger
from arena.rate_limits import new_rater_wait_s, too_many
from arena.rating import LONGEST_COMMENT, Accepted, PairView, RatingRoom, ReportKind
from arena.rating_crowd import SITE_NAMES, way_back
from arena.rating_refusals import Code, refusal
from arena.reception import End, Reception, Welcome
from arena.votes import Choice
from prompts.errors import CanvasError, quoted

Clock = Callable[[], datetime]
Dice = Callable[[], np.random.Generator]

#: The page keeps one pair on show and one loading behind it.
PAIRS_AT_HAND = 2
#: How long a rater may look away before the page covers the images: what is not looked at is not judged.
IDLE_S = 300

_FOREVER = {"Cache-Control": "private, max-age=31536000, immutable"}
_NOT_KEPT = {"Cache-Control": "no-store"}


class NotJsonError(CanvasError):
    """A request that does not say that it is JSON (HTTP 415)."""


#: What each refusal is in HTTP, and by which code the page knows it; anything else is our own mistake, a 500.
REFUSALS: dict[type[CanvasError], tuple[int, Code]] = {
    errors.UnknownStudyError: (404, Code.UNKNOWN_STUDY),
    errors.UnknownPairError: (404, Code.UNKNOWN_PAIR),
    errors.UnknownGeneratedImageError: (404, Code.UNKNOWN_IMAGE),
    UnknownImageError: (404, Code.UNKNOWN_IMAGE),
    errors.UnknownRaterError: (403, Code.UNKNOWN_RATER),
    errors.NotInvitedError: (403, Code.NOT_INVITED),
    errors.UnfilledLinkError: (403, Code.LINK_NOT_FILLED),
    InvitationError: (403, Code.LINK_NOT_VALID),
    errors.ForeignPairError: (403, Code.FOREIGN_PAIR),
    errors.StudyClosedError: (409, Code.STUDY_CLOSED),
    errors.AlreadyVotedError: (409, Code.ALREADY_VOTED),
    errors.KeyReusedError: (409, Code.KEY_REUSED),
    errors.RoundError: (409, Code.ROUND_NOT_OPEN),
    errors.StageError: (409, Code.STEP_NOT_OPEN),
    NotJsonError: (415, Code.UNREADABLE_REQUEST),
    errors.ChoiceNotOfferedError: (422, Code.CHOICE_NOT_OFFERED),
    errors.VoteFormError: (422, Code.VOTE_NOT_VALID),
    errors.AccidentalVoteError: (422, Code.ACCIDENTAL_VOTE),
    errors.LedgerWriteError: (503, Code.NOT_NOW),
    errors.LedgerReadError: (503, Code.NOT_NOW),
}

# PostgreSQL keeps no NUL in a text, and would only say so when it is asked.
_TEXT = r"^[^\x00]*$"
StudyName = Annotated[str, Field(min_length=1, max_length=80, pattern=_TEXT)]
QuestionKey = Annotated[str, Field(min_length=1, max_length=20)]
Choices = Annotated[dict[QuestionKey, Choice], Field(min_length=1, max_length=20)]
ArrivalKey = Annotated[str, Field(max_length=64, pattern=_TEXT)]
ArrivalValue = Annotated[str, Field(max_length=1024, pattern=_TEXT)]
Token = Annotated[str, Field(min_length=1, max_length=128, pattern=_TEXT)]


class StudyBody(BaseModel):
    """A request about a study."""

    model_config = ConfigDict(extra="forbid")
    study: StudyName


class JoinBody(StudyBody):
    """A rater comes to a study; `arrival` are the query parameters of the page, such as a crowd site's.

    `anew`: who took consent back begins again, as somebody new.
    """

    arrival: Annotated[dict[ArrivalKey, ArrivalValue], Field(max_length=20)] = {}
    anew: bool = False


class PracticeBody(StudyBody):
    """An answer to a practice pair."""

    pair: Token
    choices: Choices


class CheckBody(StudyBody):
    """Answers to the comprehension check: the number of the chosen answer, question by question.

    `tries_left` is how many the page knew of, so that a lost answer that is sent again does not cost the next one.
    """

    answers: Annotated[list[Annotated[int, Field(ge=0, le=100)]], Field(max_length=50)]
    tries_left: Annotated[int | None, Field(ge=0, le=100)] = None


class PairBody(StudyBody):
    """What a vote and its undoing have in common. `key` makes a repeated request count once."""

    pair: Token
    round: Annotated[int, Field(ge=1, le=10_000)]
    key: UUID


class VoteBody(PairBody):
    """A vote: a choice for every question of the study, or `choice` where it asks one.

    `latency_ms` runs from both images' appearance to the choice; `session` names the page load.
    """

    choices: Choices | None = None
    choice: Choice | None = None
    # No default: a vote that does not say how long it took would pass the guard against slips.
    latency_ms: Annotated[int, Field(ge=0, le=2**31 - 1)]
    session: Annotated[str, Field(max_length=64)] = ""

    @model_validator(mode="after")
    def _one_of_them(self) -> "VoteBody":
        if (self.choices is None) == (self.choice is None):
            raise ValueError("a vote has choices, or a choice")
        return self


class ReportBody(PairBody):
    """A pair that the rater will not judge, and why."""

    kind: ReportKind
    comment: Annotated[str, Field(max_length=LONGEST_COMMENT, pattern=_TEXT)] = ""


def rating_routes(
    room: RatingRoom,
    reception: Reception,
    cookie: RaterCookie,
    *,
    clock: Clock,
    dice: Dice,
    may_read: Callable[[Scope], bool] = lambda _: False,
) -> APIRouter:
    """/rate/api/join, consent, decline, practice, check, vote, undo, report, withdraw, and /rate/image/TOKEN.

    `may_read` says whether whoever sent a request may read results: the end page then offers them.
    """
    router = APIRouter(prefix="/rate")
    counter = _Counter(room, reception, cookie, clock=clock, dice=dice, may_read=may_read)
    # First, and a route of Starlette's: to find it late and to read it as FastAPI does takes a quarter of a vote's CPU.
    router.add_route("/rate/api/vote", counter.vote, methods=["POST"])
    posts: dict[str, Callable[..., Any]] = {
        "join": counter.join,
        "consent": counter.consent,
        "decline": counter.decline,
        "practice": counter.practice,
        "check": counter.check,
        "undo": counter.undo,
        "report": counter.report,
        "withdraw": counter.withdraw,
    }
    for name, answer in posts.items():
        router.add_api_route(f"/api/{name}", answer, methods=["POST"], dependencies=[Depends(_json_only)])
    router.add_api_route("/image/{token}", counter.image, methods=["GET"])

    # Whatever else is asked for below these two ends here; the page's own mount never sees it.
    @router.post("/api/{rest:path}")
    @router.get("/image/{rest:path}")
    async def nothing() -> JSONResponse:
        return JSONResponse(refusal("There is nothing at this address.", Code.NOTHING_THERE), 404, _NOT_KEPT)

    return router


class _Counter:
    """Answers the rating page's requests, one method each."""

    def __init__(
        self,
        room: RatingRoom,
        reception: Reception,
        cookie: RaterCookie,
        *,
        clock: Clock,
        dice: Dice,
        may_read: Callable[[Scope], bool],
    ) -> None:
        self._room, self._reception, self._cookie = room, reception, cookie
        self._clock, self._dice, self._may_read = clock, dice, may_read
        self._bell = _Bell()

    async def join(self, body: JoinBody, request: Request) -> JSONResponse:
        known = self._cookie.read(request.cookies)
        is_new = await run_in_threadpool(self._reception.would_be_new, body.study, known=known, arrival=body.arrival)
        # Asked here and not in a thread: everything is counted in the event loop.
        wait_s = new_rater_wait_s(request.scope) if is_new or body.anew else 0
        if wait_s:
            headers = {**_NOT_KEPT, "Retry-After": str(wait_s)}
            return JSONResponse(refusal(too_many(wait_s), Code.TOO_MANY_REQUESTS), 429, headers)
        return await run_in_threadpool(self._let_in, body, known, request)

    def _let_in(self, body: JoinBody, known: int | None, request: Request) -> JSONResponse:
        try:
            welcome = self._reception.arrive(
                body.study,
                known=known,
                arrival=body.arrival,
                at_hand=PAIRS_AT_HAND,
                anew=body.anew,
                rng=self._dice(),
                now=self._clock(),
            )
        except (errors.RatingError, InvitationError) as error:
            # Who is let in learns the study's language with everything else; who is not, learns it here.
            return _refused(error, language=self._reception.language_of(body.study))
        answer = JSONResponse(self._said(welcome, request), headers=_NOT_KEPT)
        if welcome.rater is not None:
            self._cookie.write(answer, welcome.rater)
        return answer

    def consent(self, body: StudyBody, request: Request) -> JSONResponse:
        rater = self._rater(request)
        self._reception.consent(body.study, rater, now=self._clock())
        return JSONResponse(self._welcome(body.study, rater, request), headers=_NOT_KEPT)

    def decline(self, body: StudyBody, request: Request) -> JSONResponse:
        self._reception.decline(body.study, self._rater(request), now=self._clock())
        return JSONResponse({"declined": True}, headers=_NOT_KEPT)

    def practice(self, body: PracticeBody, request: Request) -> JSONResponse:
        rater = self._rater(request)
        found = self._reception.practise(
            body.study, rater, pair=body.pair, choices=body.choices, rng=self._dice(), now=self._clock()
        )
        following = self._welcome(body.study, rater, request) if found.over else None
        answer = {"good": found.good, "right": found.right, "feedback": found.feedback, "join": following}
        return JSONResponse(answer, headers=_NOT_KEPT)

    def check(self, body: CheckBody, request: Request) -> JSONResponse:
        rater = self._rater(request)
        passed = self._reception.answer_check(
            body.study, rater, body.answers, tries_left=body.tries_left, now=self._clock()
        )
        following = self._welcome(body.study, rater, request)
        tries_left = following["check"]["tries_left"] if following["check"] else 0
        return JSONResponse({"passed": passed, "tries_left": tries_left, "join": following}, headers=_NOT_KEPT)

    async def vote(self, request: Request) -> Response:
        await _json_only(request)
        try:
            body = _read_vote(await request.body())
        except ClientDisconnect:
            # Nobody hears it; FastAPI answers so for its own routes.
            return JSONResponse(refusal("This request broke off.", Code.UNREADABLE_REQUEST), 400, _NOT_KEPT)
        rater = self._rater(request)
        choices = body.choices
        if choices is None:
            assert body.choice is not None, "a body with neither was refused"
            choices = {self._room.study_at_hand(body.study).asked[0].key: body.choice}
        ballot = Ballot(
            rater=rater,
            study=body.study,
            pair=body.pair,
            round=body.round,
            choices=choices,
            key=str(body.key),
            latency_ms=body.latency_ms,
            session=body.session,
            rng=self._dice(),
            now=self._clock(),
        )
        # Waiting may be broken off and the vote is not: a rater who closes the page right after the click has voted.
        accepted = await self._bell.answer(self._room.vote_soon(ballot))
        end = None
        if accepted.finished:
            end = await run_in_threadpool(self._reception.finish, body.study, rater, now=self._clock())
        return Response(json.dumps(_accepted(accepted, end)), media_type="application/json", headers=_NOT_KEPT)

    def undo(self, body: PairBody, request: Request) -> JSONResponse:
        undone = self._room.undo(
            rater=self._rater(request),
            study=body.study,
            pair=body.pair,
            round=body.round,
            key=str(body.key),
            now=self._clock(),
        )
        return JSONResponse({"done": undone.done, "pair": _pair(undone.pair)}, headers=_NOT_KEPT)

    def report(self, body: ReportBody, request: Request) -> JSONResponse:
        rater = self._rater(request)
        accepted = self._room.report(
            rater=rater,
            study=body.study,
            pair=body.pair,
            round=body.round,
            kind=body.kind,
            comment=body.comment.strip(),
            key=str(body.key),
            rng=self._dice(),
            now=self._clock(),
        )
        end = self._reception.finish(body.study, rater, now=self._clock()) if accepted.finished else None
        return JSONResponse(_accepted(accepted, end), headers=_NOT_KEPT)

    def withdraw(self, body: StudyBody, request: Request) -> JSONResponse:
        self._reception.withdraw(body.study, self._rater(request), now=self._clock())
        answer = JSONResponse({"withdrawn": True}, headers=_NOT_KEPT)
        self._cookie.forget(answer)
        return answer

    def image(self, token: Annotated[str, Path(max_length=128)], request: Request) -> Response:
        encoded = self._room.image(rater=self._rater(request), token=token)
        return Response(encoded, media_type="image/webp", headers=_FOREVER)

    def _rater(self, request: Request) -> int:
        rater = self._cookie.read(request.cookies)
        if rater is None:
            raise errors.UnknownRaterError("This browser has not joined a study. Open the study's page first.")
        return rater

    def _welcome(self, study: str, rater: int, request: Request) -> dict[str, Any]:
        welcome = self._reception.welcome(study, rater, at_hand=PAIRS_AT_HAND, rng=self._dice(), now=self._clock())
        return self._said(welcome, request)

    def _said(self, welcome: Welcome, request: Request) -> dict[str, Any]:
        return _welcome(welcome, may_read=self._may_read(request.scope))


class _Bell:
    """Brings answers of the ledger's thread to the event loop: all that came together, with one ring."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._came: deque[tuple[asyncio.Future[Accepted], Future[Accepted]]] = deque()

    def answer(self, soon: "Future[Accepted]") -> "asyncio.Future[Accepted]":
        """A future of this loop for one of another thread; breaking it off leaves the other as it is."""
        loop = asyncio.get_running_loop()
        waiting: asyncio.Future[Accepted] = loop.create_future()

        def came(done: "Future[Accepted]") -> None:
            with self._lock:
                first = not self._came
                self._came.append((waiting, done))
            if first:
                loop.call_soon_threadsafe(self._hand_over)

        soon.add_done_callback(came)
        return waiting

    def _hand_over(self) -> None:
        with self._lock:
            came, self._came = self._came, deque()
        for waiting, done in came:
            if waiting.done():
                continue
            error = done.exception()
            if error is None:
                waiting.set_result(done.result())
            else:
                waiting.set_exception(error)


def research_routes(ledger: Ledger, images: ImageStore) -> APIRouter:
    """/api/board/STUDY, the board as JSON, and /gallery/image/ID, one image of a gallery."""
    router = APIRouter()

    @router.get("/api/board/{study}")
    def board(study: str, raters: Literal["people", "simulated"], question: str | None = None) -> JSONResponse:
        record = ledger.study(study)
        if question is not None and question not in {one.key for one in record.study.asked}:
            raise HTTPException(422, f"The study asks no question {quoted(question)}. Look at its own.")
        quality = ledger.quality_votes(study, raters=raters)
        value = board_from_votes(
            record.study, ledger.votes(study, raters=raters), raters, question=question, quality=quality
        )
        return JSONResponse(value.to_dict(), headers=_NOT_KEPT)

    @router.get("/gallery/image/{number}")
    def gallery_image(number: Annotated[int, Path(ge=1, le=2**63 - 1)]) -> Response:
        encoded = images.get(ledger.generated_image(number).image_hash)
        return Response(encoded, media_type="image/webp", headers=_FOREVER)

    return router


def answer_errors(app: FastAPI) -> None:
    """Every refusal of a JSON route is `{"error": "one sentence", "code": "one_word"}` with the fitting status."""

    @app.exception_handler(CanvasError)
    def refused(request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, CanvasError)
        return _refused(error)

    @app.exception_handler(RequestValidationError)
    def misread(request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, RequestValidationError)
        places = sorted({".".join(str(step) for step in fault["loc"]) for fault in error.errors()})
        sentence = f"This request cannot be read; see {', '.join(places)}."
        return JSONResponse(refusal(sentence, Code.UNREADABLE_REQUEST), 422, _NOT_KEPT)


def _refused(error: CanvasError, *, language: str = "") -> JSONResponse:
    kind = next((kind for kind in type(error).__mro__ if kind in REFUSALS), None)
    if kind is None:
        raise error
    status, code = REFUSALS[kind]
    return JSONResponse(refusal(str(error), code, language=language), status, _NOT_KEPT)


def _read_vote(body: bytes) -> VoteBody:
    try:
        return VoteBody.model_validate_json(body)
    except ValidationError as error:
        faults = [{**fault, "loc": ("body", *fault["loc"])} for fault in error.errors(include_context=False)]
        raise RequestValidationError(faults) from error


async def _json_only(request: Request) -> None:
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":
        raise NotJsonError("Send JSON: the content type must be application/json.")


def _welcome(welcome: Welcome, *, may_read: bool) -> dict[str, Any]:
    study, stage, crowd = welcome.study, welcome.stage, welcome.study.crowd
    questions = [{"key": question.key, "text": question.text} for question in study.asked]
    checks = [{"text": check.text, "answers": list(check.answers)} for check in study.checks]
    return {
        "study": {
            "name": study.name,
            "title": study.shown_title,
            "language": study.language,
            "instructions": study.instructions,
            "questions": questions,
            "ties": study.ties,
            "both_bad": study.both_bad,
            "votes_per_rater": study.votes_per_rater,
            "guard_ms": GUARD_MS,
            "idle_s": IDLE_S,
            "crowd": None if crowd is None else {"site": SITE_NAMES[crowd.site], "address": way_back(crowd)},
        },
        "stage": stage,
        "consent": {"text": study.consent, "instructions": study.instructions} if stage == "consent" else None,
        "practice": [_pair(pair) for pair in welcome.practice] if stage == "practice" else None,
        "check": {"questions": checks, "tries_left": welcome.tries_left} if stage == "check" else None,
        "done": welcome.done,
        "pairs": [_pair(pair) for pair in welcome.pairs],
        "end": _end(welcome.end),
        "may_read": may_read,
    }


def _accepted(accepted: Accepted, end: End | None) -> dict[str, Any]:
    following = None if accepted.next is None else _pair(accepted.next)
    return {"done": accepted.done, "next": following, "end": _end(end)}


def _end(end: End | None) -> dict[str, str] | None:
    return None if end is None else {"code": end.code, "redirect": end.redirect}


def _pair(pair: PairView) -> dict[str, Any]:
    return {
        "pair": pair.pair,
        "prompt": pair.prompt,
        "left": f"/rate/image/{pair.left}",
        "right": f"/rate/image/{pair.right}",
        "round": pair.round,
    }
