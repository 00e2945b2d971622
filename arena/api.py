"""The HTTP routes of rating, and of what researchers read as JSON and as images.

In: JSON from the rating page's script, and a signed cookie that holds the rater's number. Out: JSON and WebP. A browser
that has not voted yet gets random tokens, the prompt and pixels, and nothing else about the images.

A vote is awaited, not waited for: no thread stands still until its durable commit. The other routes are plain
functions, which FastAPI runs in threads.
"""

import asyncio
from collections.abc import Callable
from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

import numpy as np
from fastapi import APIRouter, Depends, FastAPI, HTTPException, Path, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field

from arena.ballots import Ballot
from arena.board import board_from_votes
from arena.cookies import RaterCookie
from arena.images import ImageStore, UnknownImageError
from arena.ledger import errors
from arena.ledger.ledger import Ledger
from arena.rating import PairView, RatingRoom
from arena.votes import Choice
from prompts.errors import CanvasError

Clock = Callable[[], datetime]
Dice = Callable[[], np.random.Generator]

#: The page keeps one pair on show and one loading behind it.
PAIRS_AT_HAND = 2

_FOREVER = {"Cache-Control": "private, max-age=31536000, immutable"}
_NOT_KEPT = {"Cache-Control": "no-store"}

#: What each refusal is in HTTP. The first class that fits counts; anything else is our own mistake, a 500.
_STATUS: tuple[tuple[type[CanvasError], int], ...] = (
    (errors.UnknownStudyError, 404),
    (errors.UnknownPairError, 404),
    (errors.UnknownGeneratedImageError, 404),
    (UnknownImageError, 404),
    (errors.UnknownRaterError, 403),
    (errors.ForeignPairError, 403),
    (errors.ChoiceNotOfferedError, 422),
    (errors.VoteFormError, 422),
    (errors.RatingError, 409),
    (errors.LedgerWriteError, 503),
)

StudyName = Annotated[str, Field(min_length=1, max_length=80)]
Token = Annotated[str, Field(min_length=1, max_length=128)]


class JoinBody(BaseModel):
    """A rater comes to a study."""

    model_config = ConfigDict(extra="forbid")
    study: StudyName


class PairBody(BaseModel):
    """What a vote and its undoing have in common. `key` makes a repeated request count once."""

    model_config = ConfigDict(extra="forbid")
    study: StudyName
    pair: Token
    round: Annotated[int, Field(ge=1, le=10_000)]
    key: UUID


class VoteBody(PairBody):
    """A vote. `latency_ms` runs from both images' appearance to the choice; `session` names the page load."""

    choice: Choice
    latency_ms: Annotated[int | None, Field(ge=0, le=2**31 - 1)] = None
    session: Annotated[str, Field(max_length=64)] = ""


def rating_routes(room: RatingRoom, cookie: RaterCookie, *, clock: Clock, dice: Dice) -> APIRouter:
    """/rate/api/join, /rate/api/vote, /rate/api/undo and /rate/image/TOKEN."""
    router = APIRouter(prefix="/rate")

    async def known_rater(request: Request) -> int:
        rater = cookie.read(request.cookies)
        if rater is None:
            raise HTTPException(403, "This browser has not joined a study. Open the study's page first.")
        return rater

    def joined(request: Request, study: str) -> tuple[int, int]:
        """The rater's number and votes so far; a cookie that this ledger never gave is replaced."""
        rater = cookie.read(request.cookies)
        if rater is not None:
            try:
                return rater, room.done(rater=rater, study=study)
            except errors.UnknownRaterError:
                pass
        rater = room.join(study, now=clock())
        return rater, room.done(rater=rater, study=study)

    @router.post("/api/join", dependencies=[Depends(_json_only)])
    def join(body: JoinBody, request: Request) -> JSONResponse:
        study = room.study(body.study)
        rater, done = joined(request, body.study)
        pairs = room.next_pairs(rater=rater, study=body.study, count=PAIRS_AT_HAND, rng=dice(), now=clock())
        answer = JSONResponse(
            {
                "study": {
                    "name": study.name,
                    "title": study.shown_title,
                    "question": study.question,
                    "ties": study.ties,
                    "both_bad": study.both_bad,
                    "votes_per_rater": study.votes_per_rater,
                },
                "done": done,
                "pairs": [_pair(pair) for pair in pairs],
            },
            headers=_NOT_KEPT,
        )
        cookie.write(answer, rater)
        return answer

    @router.post("/api/vote", dependencies=[Depends(_json_only)])
    async def vote(body: VoteBody, rater: Annotated[int, Depends(known_rater)]) -> JSONResponse:
        ballot = Ballot(
            rater=rater,
            study=body.study,
            pair=body.pair,
            round=body.round,
            choice=body.choice,
            key=str(body.key),
            latency_ms=body.latency_ms,
            session=body.session,
            rng=dice(),
            now=clock(),
        )
        # Shielded: a rater who closes the page right after the click has still voted.
        accepted = await asyncio.shield(asyncio.wrap_future(room.vote_soon(ballot)))
        following = None if accepted.next is None else _pair(accepted.next)
        return JSONResponse({"done": accepted.done, "next": following}, headers=_NOT_KEPT)

    @router.post("/api/undo", dependencies=[Depends(_json_only)])
    def undo(body: PairBody, rater: Annotated[int, Depends(known_rater)]) -> JSONResponse:
        undone = room.undo(
            rater=rater, study=body.study, pair=body.pair, round=body.round, key=str(body.key), now=clock()
        )
        return JSONResponse({"done": undone.done, "pair": _pair(undone.pair)}, headers=_NOT_KEPT)

    @router.get("/image/{token}")
    def image(token: Annotated[str, Path(max_length=128)], rater: Annotated[int, Depends(known_rater)]) -> Response:
        return Response(room.image(rater=rater, token=token), media_type="image/webp", headers=_FOREVER)

    # Whatever else is asked for below these two ends here; the page's own mount never sees it.
    @router.post("/api/{rest:path}")
    @router.get("/image/{rest:path}")
    async def nothing() -> JSONResponse:
        raise HTTPException(404, "There is nothing at this address.")

    return router


def research_routes(ledger: Ledger, images: ImageStore) -> APIRouter:
    """/api/board/STUDY, the board as JSON, and /gallery/image/ID, one image of a gallery."""
    router = APIRouter()

    @router.get("/api/board/{study}")
    def board(study: str, raters: Literal["people", "simulated"]) -> JSONResponse:
        record = ledger.study(study)
        value = board_from_votes(record.study, ledger.votes(study, raters=raters), raters)
        return JSONResponse(value.to_dict(), headers=_NOT_KEPT)

    @router.get("/gallery/image/{number}")
    def gallery_image(number: Annotated[int, Path(ge=1, le=2**63 - 1)]) -> Response:
        encoded = images.get(ledger.generated_image(number).image_hash)
        return Response(encoded, media_type="image/webp", headers=_FOREVER)

    return router


def answer_errors(app: FastAPI) -> None:
    """Every refusal of a JSON route is `{"error": "one sentence"}` with the fitting status."""

    @app.exception_handler(CanvasError)
    def refused(request: Request, error: Exception) -> JSONResponse:
        status = next((code for kind, code in _STATUS if isinstance(error, kind)), None)
        if status is None:
            raise error
        return JSONResponse({"error": str(error)}, status, _NOT_KEPT)

    @app.exception_handler(RequestValidationError)
    def misread(request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, RequestValidationError)
        places = sorted({".".join(str(step) for step in fault["loc"]) for fault in error.errors()})
        return JSONResponse({"error": f"This request cannot be read; see {', '.join(places)}."}, 422, _NOT_KEPT)


async def _json_only(request: Request) -> None:
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":
        raise HTTPException(415, "Send JSON: the content type must be application/json.")


def _pair(pair: PairView) -> dict[str, Any]:
    return {
        "pair": pair.pair,
        "prompt": pair.prompt,
        "left": f"/rate/image/{pair.left}",
        "right": f"/rate/image/{pair.right}",
        "round": pair.round,
    }
