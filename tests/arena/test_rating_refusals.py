"""Refusals that a rater can meet: each has a code, and each code a sentence in every language."""

import ast
import importlib
import inspect
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from types import ModuleType
from typing import Any
from uuid import uuid4

import httpx
import pytest

from arena import api, guard, rate_limits
from arena.api import REFUSALS
from arena.images import UnknownImageError
from arena.invitations import Invitations
from arena.ledger import errors
from arena.pages.messages.messages import load_messages
from arena.rating_refusals import Code, refusal
from arena.settings import Settings
from arena.study_parts import Crowd
from prompts.errors import CanvasError

PATH = [
    *(
        f"arena.{name}"
        for name in ("api", "reception", "rating", "rating_crowd", "rating_state", "ballots", "invitations")
    ),
    "arena.ledger.voting",
    "arena.ledger.writer",
]


def kinds_of(kind: type[CanvasError]) -> Iterator[type[CanvasError]]:
    for one in kind.__subclasses__():
        yield one
        yield from kinds_of(one)


def raised_in(module: ModuleType) -> set[type]:
    """The classes that a module's `raise` statements name."""
    calls = (node.exc for node in ast.walk(ast.parse(inspect.getsource(module))) if isinstance(node, ast.Raise))
    names = (call.func for call in calls if isinstance(call, ast.Call))
    return {eval(ast.unparse(name), vars(module)) for name in names}


def calls_of(module: ModuleType, name: str) -> list[ast.Call]:
    calls = (node for node in ast.walk(ast.parse(inspect.getsource(module))) if isinstance(node, ast.Call))
    return [call for call in calls if ast.unparse(call.func) == name]


def test_every_code_has_its_sentence_in_every_language_and_every_sentence_its_code() -> None:
    for language, texts in load_messages().items():
        written = {key.removeprefix("refusal.") for key in texts if key.startswith("refusal.")}

        assert written == set(Code), language


def test_every_code_is_given_by_somebody() -> None:
    given = {code for _, code in REFUSALS.values()}
    for module in (api, guard, rate_limits):
        given |= {code for code in Code if f"Code.{code.name}" in inspect.getsource(module)}

    assert given == set(Code)


def test_every_refusal_of_the_rating_path_has_its_own_line() -> None:
    assert set(kinds_of(errors.RatingError)) - set(REFUSALS) == set()


@pytest.mark.parametrize("name", PATH)
def test_whatever_the_rating_path_raises_for_people_has_a_code(name: str) -> None:
    module = importlib.import_module(name)

    refusals = {kind for kind in raised_in(module) if issubclass(kind, CanvasError)}

    assert refusals - set(REFUSALS) == set()


def test_the_walk_over_the_code_finds_what_is_raised() -> None:
    found = set().union(*(raised_in(importlib.import_module(name)) for name in PATH))

    # Images are asked for by the browser, which reads no sentence; these two come from other rooms.
    from_elsewhere = {errors.UnknownGeneratedImageError, errors.LedgerReadError, UnknownImageError}
    assert set(REFUSALS) - found == from_elsewhere


def test_whoever_refuses_without_an_exception_names_a_code() -> None:
    # `doors` refuses on other pages than the rating page, and is not among them.
    for module in (guard, rate_limits):
        refused = calls_of(module, "refuse")
        assert refused
        assert all("code" in {word.arg for word in call.keywords} for call in refused), module
    for call in calls_of(api, "JSONResponse"):
        assert "'error'" not in ast.unparse(call)
    # The one left is the researchers'.
    assert len(calls_of(api, "HTTPException")) == 1


def test_a_refusal_says_what_there_is_and_nothing_else() -> None:
    assert refusal("No.", None) == {"error": "No."}
    assert refusal("No.", Code.NOT_NOW) == {"error": "No.", "code": "not_now"}
    assert refusal("No.", Code.NOT_NOW, language="de") == {"error": "No.", "code": "not_now", "language": "de"}


# Over HTTP: the code beside the sentence, and the language for those who are not let in.


@pytest.fixture
def come(site: Any) -> Iterator[Callable[[], httpx.Client]]:
    """Makes browsers with cookies of their own."""
    with ExitStack() as opened:
        yield lambda: opened.enter_context(httpx.Client(base_url=site.address))


def join(client: httpx.Client, study: str, **arrival: str) -> httpx.Response:
    return client.post("/rate/api/join", json={"study": study, "arrival": arrival})


def vote(client: httpx.Client, study: str, pair: dict[str, Any], /, **given: Any) -> httpx.Response:
    body = {"study": study, "pair": pair["pair"], "round": pair["round"], "choice": "left", "latency_ms": 900}
    return client.post("/rate/api/vote", json=body | {"key": str(uuid4())} | given)


@pytest.mark.parametrize(
    ("given", "status", "code"),
    [
        ({"latency_ms": 10}, 422, "accidental_vote"),
        ({"choice": "tie"}, 422, "choice_not_offered"),
        ({"round": 2}, 409, "round_not_open"),
        ({"pair": "made-up"}, 404, "unknown_pair"),
        ({"study": "no-such-study"}, 404, "unknown_study"),
        ({"choice": None, "choices": {"other": "left"}}, 422, "vote_not_valid"),
        ({"round": 0}, 422, "unreadable_request"),
    ],
)
def test_a_refused_vote_says_its_code_beside_the_english_sentence(
    site: Any, come: Any, given: dict[str, Any], status: int, code: str
) -> None:
    study = site.open_study(f"code-{uuid4().hex[:8]}", ties=False, language="de")
    client = come()
    pair = join(client, study).json()["pairs"][0]

    answer = vote(client, study, pair, **given)

    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert set(answer.json()) == {"error", "code"}


def test_a_vote_on_a_judged_pair_and_one_without_a_cookie_are_told_apart(site: Any, come: Any) -> None:
    study = site.open_study("codes-apart")
    client = come()
    pair = join(client, study).json()["pairs"][0]
    vote(client, study, pair)

    again, stranger = vote(client, study, pair), vote(come(), study, pair)
    other = come()
    join(other, study)

    assert again.json() == {"error": "This pair already has its vote; the first one stands.", "code": "already_voted"}
    assert (stranger.status_code, stranger.json()["code"]) == (403, "unknown_rater")
    assert vote(other, study, pair).json()["code"] == "foreign_pair"


def test_who_is_not_let_in_learns_the_studys_language(site: Any, come: Any) -> None:
    closed = site.open_study("codes-closed", language="de")
    site.ledger.close_study(closed, now=datetime.now(UTC))
    crowd = site.open_study("codes-crowd", language="de", crowd=Crowd(site="mturk", slots=1, completion_code="C"))
    linked = site.open_study("codes-linked", language="de", access="link")
    past = Invitations(Settings(home=site.home).signing_secret, clock=lambda: datetime.now(UTC) - timedelta(days=9))
    over = past.make_link(linked, lasts=timedelta(days=7)).token

    answers = [join(come(), closed), join(come(), crowd), join(come(), linked), join(come(), linked, link=over)]

    assert [(answer.status_code, answer.json()["code"]) for answer in answers] == [
        (409, "study_closed"),
        (403, "not_invited"),
        (403, "link_not_valid"),
        (403, "link_not_valid"),
    ]
    assert {answer.json()["language"] for answer in answers} == {"de"}
    assert answers[0].json()["error"] == "The study is closed: it takes no more votes. Thank you for yours."


def test_a_study_without_a_language_and_none_at_all_leave_it_to_the_browser(site: Any, come: Any) -> None:
    closed = site.open_study("codes-plain")
    site.ledger.close_study(closed, now=datetime.now(UTC))

    assert set(join(come(), closed).json()) == {"error", "code"}
    assert set(join(come(), "no-such-study").json()) == {"error", "code"}


def test_what_only_programs_send_has_a_code_too(site: Any, come: Any) -> None:
    client = come()

    answers = {
        "form": client.post("/rate/api/join", data={"study": "any"}),
        "broken": client.post("/rate/api/join", content=b"{", headers={"content-type": "application/json"}),
        "elsewhere": client.post("/rate/api/join", json={}, headers={"origin": "https://elsewhere.example"}),
        "nothing": client.post("/rate/api/nothing", json={}),
        "large": client.post("/rate/api/join", json={"study": "x" * 70_000}),
    }

    assert {name: (answer.status_code, answer.json()["code"]) for name, answer in answers.items()} == {
        "form": (415, "unreadable_request"),
        "broken": (422, "unreadable_request"),
        "elsewhere": (403, "from_another_site"),
        "nothing": (404, "nothing_there"),
        "large": (413, "unreadable_request"),
    }
