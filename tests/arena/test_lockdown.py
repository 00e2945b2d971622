"""The right refusal for everything that a stranger, another rater or a broken script may try, and text that stays text.

What Gradio leaves open is tried in test_guard.py, the doors of results and of the login in doors/.
"""

import time
from collections.abc import Callable, Iterator
from typing import Any
from uuid import uuid4

import httpx
import pytest
from starlette.responses import Response

from arena.accounts import Account, Role, hash_password
from arena.cookies import AccountCookie, RaterCookie
from arena.settings import Settings
from arena.study_parts import Check, KnownPair, Question
from prompts.prompt import Prompt, PromptSet

POSTS = ["join", "consent", "practice", "check", "vote", "undo", "report", "withdraw"]
JSON = {"content-type": "application/json"}
#: What would run, load, or be computed, in HTML, in an attribute and in a template.
EVIL = (
    '<script>window.ran = 1; alert(1)</script><img src=x onerror="window.ran = 2; alert(2)">'
    "\"'><svg onload=alert(3)> ${window.ran = 4} {{7*7}} `"
)


class Browser:
    """Cookies, JSON and nothing else."""

    def __init__(self, address: str) -> None:
        self.http = httpx.Client(base_url=address, timeout=30)

    def post(self, name: str, **body: Any) -> httpx.Response:
        return self.http.post(f"/rate/api/{name}", json=body)

    def join(self, study: str) -> dict[str, Any]:
        answer = self.post("join", study=study)
        assert answer.status_code == 200, answer.text
        value: dict[str, Any] = answer.json()
        return value

    def vote(self, study: str, pair: dict[str, Any], **given: Any) -> httpx.Response:
        body = {"study": study, "pair": pair["pair"], "round": 1, "key": str(uuid4()), "latency_ms": 900}
        choice = {} if "choices" in given else {"choice": "left"}
        return self.post("vote", **body | choice | given)


@pytest.fixture
def browser(site: Any) -> Iterator[Callable[[], Browser]]:
    opened: list[Browser] = []

    def one() -> Browser:
        opened.append(Browser(site.address))
        return opened[-1]

    yield one
    for each in opened:
        each.http.close()


@pytest.fixture
def study(site: Any) -> str:
    name: str = site.open_study(f"locked-{uuid4().hex[:8]}", ties=False, both_bad=False)
    return name


@pytest.fixture
def staged(site: Any) -> str:
    """A study with everything that comes before its first pair."""
    prompts = PromptSet(name="staged", licence="CC0-1.0", source="made up", prompts=(Prompt(text="a step"),))
    known = KnownPair(prompt="a step", better="zebra-candidate", worse="aardvark-reference", feedback="See?")
    name: str = site.open_study(
        f"staged-{uuid4().hex[:8]}",
        prompts=prompts,
        consent="You may stop.",
        practice=(known,),
        checks=(Check(text="What counts?", answers=("This", "That"), right=1),),
    )
    return name


def votes_of(site: Any, study: str) -> list[Any]:
    found: list[Any] = site.ledger.votes(study, raters="people")
    return found


# Every route of the page's protocol refuses alike.


@pytest.mark.parametrize("name", POSTS)
@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"])
def test_what_a_form_on_another_site_could_send_is_a_415(site: Any, name: str, kind: str) -> None:
    answer = httpx.post(f"{site.address}/rate/api/{name}", content=b"{}", headers={"content-type": kind})

    assert answer.status_code == 415
    assert "application/json" in answer.json()["error"]


@pytest.mark.parametrize("name", POSTS)
def test_a_body_over_64_kib_is_a_413(site: Any, name: str) -> None:
    answer = httpx.post(f"{site.address}/rate/api/{name}", content=b" " * 65_537, headers=JSON)

    assert answer.status_code == 413


@pytest.mark.parametrize("name", POSTS)
def test_a_body_of_unknown_length_is_a_411(site: Any, name: str) -> None:
    answer = httpx.post(f"{site.address}/rate/api/{name}", content=iter([b"{}"]), headers=JSON)

    assert answer.status_code == 411


@pytest.mark.parametrize("name", POSTS)
@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[]", b"\xff", b"[" * 60_000, b'{"study": NaN}', b'{"study": "a\\u0000b"}', b'{"study": "\\ud800"}'],
)
def test_a_body_that_is_no_request_is_a_4xx_in_one_sentence(site: Any, name: str, body: bytes) -> None:
    answer = httpx.post(f"{site.address}/rate/api/{name}", content=body, headers=JSON)

    assert answer.status_code in (400, 422)
    # FastAPI's own 400 for what is no UTF-8, which no browser sends, has no code.
    assert {"error"} <= set(answer.json()) <= {"error", "code"}


# Whose pair, whose session.


def bodies(study: str, pair: str) -> dict[str, dict[str, Any]]:
    """A request of every kind that is about a pair or a rater."""
    one = {"study": study, "pair": pair, "round": 1, "key": str(uuid4())}
    return {
        "consent": {"study": study},
        "practice": {"study": study, "pair": pair, "choices": {"overall": "left"}},
        "check": {"study": study, "answers": [1]},
        "vote": one | {"choice": "left", "latency_ms": 900},
        "undo": one,
        "report": one | {"kind": "skip"},
        "withdraw": {"study": study},
    }


def sealed(site: Any, rater: int) -> str:
    carrier = Response()
    RaterCookie(Settings(home=site.home).signing_secret, secure=False).write(carrier, rater)
    return carrier.headers["set-cookie"].partition(";")[0].partition("=")[2]


@pytest.mark.parametrize("name", [name for name in POSTS if name != "join"])
@pytest.mark.parametrize("kind", ["none", "forged", "over a year old", "of an account", "of nobody"])
def test_without_a_session_of_this_arena_everything_is_a_403(
    site: Any, study: str, browser: Any, monkeypatch: pytest.MonkeyPatch, name: str, kind: str
) -> None:
    pair = browser().join(study)["pairs"][0]["pair"]
    with monkeypatch.context() as past:
        now = time.time()
        if kind == "over a year old":
            past.setattr("itsdangerous.timed.time.time", lambda: now - 366 * 24 * 3600)
        genuine = sealed(site, 4242)
    account = Response()
    AccountCookie(Settings(home=site.home).signing_secret, secure=False).write(
        account, Account(name="adam", role=Role.ADMIN, password=hash_password("four words in a row"))
    )
    value = {
        "none": "",
        "forged": f"{genuine[:-2]}{'aa' if genuine[-2:] != 'aa' else 'bb'}",
        "over a year old": genuine,
        "of an account": account.headers["set-cookie"].partition(";")[0].partition("=")[2],
        "of nobody": genuine,
    }[kind]
    headers = {"cookie": f"arena_rater={value}"} if value else {}

    answer = httpx.post(f"{site.address}/rate/api/{name}", json=bodies(study, pair)[name], headers=headers)

    assert answer.status_code == 403
    assert votes_of(site, study) == []


def test_another_raters_pair_cannot_be_reported(site: Any, study: str, browser: Any) -> None:
    mine, other = browser(), browser()
    pair = mine.join(study)["pairs"][0]["pair"]
    other.join(study)

    answer = other.post("report", **bodies(study, pair)["report"])

    assert answer.status_code == 403
    assert mine.join(study)["pairs"][0]["pair"] == pair


def test_a_pair_of_one_study_takes_no_vote_in_another(site: Any, study: str, browser: Any) -> None:
    other = site.open_study(f"other-{uuid4().hex[:8]}")
    rater = browser()
    pair = rater.join(study)["pairs"][0]
    rater.join(other)

    answer = rater.vote(other, pair)

    assert answer.status_code == 403
    assert votes_of(site, study) == votes_of(site, other) == []


@pytest.mark.parametrize("name", ["vote", "undo", "report"])
@pytest.mark.parametrize("token", ["A" * 22, "../../ledger.db", "%00", "' OR 1=1 --", "x" * 128])
def test_a_token_that_nobody_was_given_is_a_404(study: str, browser: Any, name: str, token: str) -> None:
    rater = browser()
    rater.join(study)

    answer = rater.post(name, **bodies(study, token)[name])

    assert answer.status_code == 404


# Votes that may not stand.


@pytest.mark.parametrize("latency_ms", [0, 1, 299])
def test_a_vote_within_300_ms_is_a_422_and_not_counted(site: Any, study: str, browser: Any, latency_ms: int) -> None:
    rater = browser()
    pair = rater.join(study)["pairs"][0]

    early, late = rater.vote(study, pair, latency_ms=latency_ms), rater.vote(study, pair, latency_ms=300)

    assert (early.status_code, late.status_code) == (422, 200)
    assert "300 ms" in early.json()["error"]
    assert [vote.latency_ms for vote in votes_of(site, study)] == [300]


@pytest.mark.parametrize("choice", ["tie", "both_bad", "middle", "", None, 1])
def test_a_choice_that_is_not_offered_is_a_422(site: Any, study: str, browser: Any, choice: Any) -> None:
    rater = browser()
    pair = rater.join(study)["pairs"][0]

    answer = rater.vote(study, pair, choice=choice)

    assert answer.status_code == 422
    assert votes_of(site, study) == []


@pytest.mark.parametrize(
    "choices", [{}, {"quality": "left"}, {"quality": "left", "fit": "left", "overall": "left"}, {"other": "left"}]
)
def test_a_vote_that_does_not_answer_exactly_the_studys_questions_is_a_422(
    site: Any, browser: Any, choices: dict[str, str]
) -> None:
    asked = (Question(key="quality", text="Which is better made?"), Question(key="fit", text="Which fits?"))
    name = site.open_study(f"two-{uuid4().hex[:8]}", question="", questions=asked)
    rater = browser()
    pair = rater.join(name)["pairs"][0]

    answer = rater.vote(name, pair, choices=choices)

    assert answer.status_code == 422
    assert votes_of(site, name) == []


def test_before_consent_there_is_no_pair_and_no_later_step(staged: str, site: Any, browser: Any) -> None:
    rater = browser()
    arrived = rater.join(staged)

    answers = {name: rater.post(name, **body).status_code for name, body in bodies(staged, "A" * 22).items()}

    assert (arrived["stage"], arrived["pairs"], arrived["practice"], arrived["check"]) == ("consent", [], None, None)
    assert {name: answers[name] for name in ("vote", "undo", "report")} == {"vote": 404, "undo": 404, "report": 404}
    assert votes_of(site, staged) == []


def test_practice_and_check_do_not_open_before_consent(staged: str, browser: Any) -> None:
    rater = browser()
    rater.join(staged)

    answers = [rater.post(name, **bodies(staged, "A" * 22)[name]) for name in ("practice", "check")]

    assert [answer.status_code for answer in answers] == [409, 409]


@pytest.mark.parametrize("name", ["vote", "undo", "report"])
def test_a_practice_pair_takes_no_vote(staged: str, site: Any, browser: Any, name: str) -> None:
    rater = browser()
    rater.join(staged)
    [pair] = rater.post("consent", study=staged).json()["practice"]

    answer = rater.post(name, **bodies(staged, pair["pair"])[name])

    assert answer.status_code == 404
    assert votes_of(site, staged) == []


def test_a_check_answered_a_third_time_opens_nothing(staged: str, browser: Any) -> None:
    rater = browser()
    rater.join(staged)
    [pair] = rater.post("consent", study=staged).json()["practice"]
    rater.post("practice", study=staged, pair=pair["pair"], choices={"overall": "left"})

    tries = [rater.post("check", study=staged, answers=answers).json() for answers in ([0], [0], [1])]

    assert [one["passed"] for one in tries] == [False, False, False]
    assert [one["tries_left"] for one in tries] == [1, 0, 0]
    assert rater.join(staged)["stage"] == "screened_out"
    assert rater.join(staged)["pairs"] == []


# Addresses.


@pytest.mark.parametrize("mount", ["/rate", "/dashboard"])
@pytest.mark.parametrize(
    "query", ["deep_link=x", "deep%5Flink=x", "%64eep_link=x", "a=1&deep_link", "page=x", "p%61ge=-1", "page="]
)
def test_gradios_stored_states_and_further_pages_are_as_if_not_there(site: Any, mount: str, query: str) -> None:
    assert httpx.get(f"{site.address}{mount}/?{query}").status_code == 404
    assert httpx.get(f"{site.address}{mount}/?study=any").status_code == 200


@pytest.mark.parametrize("host", ["", "[::1", "a b", "a/b", "user@elsewhere.example", "here:port", "x" * 300])
def test_a_host_that_can_be_none_is_a_400(site: Any, host: str) -> None:
    for headers in ({"host": host}, {"x-forwarded-host": host or ":"}):
        answer = httpx.get(f"{site.address}/rate/", headers=headers)

        assert answer.status_code == 400, headers
        assert answer.json() == {"error": "This request names no host.", "code": "unreadable_request"}


@pytest.mark.parametrize("path", ["/api/board/a%00b?raters=people", "/gallery/?study=%00", "/rate/image/%00.left"])
def test_an_address_with_a_nul_in_it_is_a_400(site: Any, path: str) -> None:
    assert httpx.get(f"{site.address}{path}").status_code == 400


@pytest.mark.parametrize("below", ["static/" + "x" * 300, "gradio_api/heartbeat/%0a", "gradio_api/heartbeat/a%20b"])
def test_names_that_no_file_and_no_session_has_are_as_if_not_there(site: Any, below: str) -> None:
    assert httpx.get(f"{site.address}/dashboard/{below}").status_code == 404


@pytest.mark.parametrize(
    "body",
    [
        b'{"data": [], "fn_index": 99, "session_hash": "a"}',
        b'{"data": [], "fn_index": NaN}',
        b'{"data": 1, "fn_index": "\\ud800"}',
    ],
)
@pytest.mark.filterwarnings("ignore:'HTTP_422_UNPROCESSABLE_ENTITY' is deprecated")
def test_an_event_that_gradio_stumbles_over_is_a_422(site: Any, body: bytes) -> None:
    answer = httpx.post(f"{site.address}/dashboard/gradio_api/queue/join", content=body, headers=JSON)

    assert answer.status_code == 422


def test_the_page_names_no_other_server_that_a_header_asks_for(site: Any) -> None:
    asked = {"x-gradio-server": "http://elsewhere.example", "x-gradio-user": "app"}

    page = httpx.get(f"{site.address}/rate/", headers=asked)

    assert page.status_code == 200
    assert "elsewhere.example" not in page.text


@pytest.mark.parametrize(
    "path", ["/rate", "/dashboard", "/gallery", "/admin", "//elsewhere.example", "//elsewhere.example/%2e%2e"]
)
@pytest.mark.parametrize("accept", ["*/*", "text/html"])
def test_no_redirect_leaves_the_site(site: Any, path: str, accept: str) -> None:
    answer = httpx.get(f"{site.address}{path}", headers={"accept": accept}, follow_redirects=False)

    assert answer.status_code < 500
    if answer.is_redirect:
        after = httpx.URL(site.address).join(answer.headers["location"])
        assert (after.host, after.port) == (httpx.URL(site.address).host, httpx.URL(site.address).port)


@pytest.mark.parametrize(
    "after", ["//elsewhere.example", "%2F%2Felsewhere.example", "/%5Celsewhere.example", "https:elsewhere.example"]
)
def test_the_login_form_carries_no_address_of_another_site(site: Any, after: str) -> None:
    page = httpx.get(f"{site.address}/login?next={after}").text

    assert 'name="next" value="/"' in page
    assert "elsewhere" not in page


def test_a_question_that_the_study_does_not_ask_has_no_board(site: Any, study: str) -> None:
    answer = httpx.get(f"{site.address}/api/board/{study}", params={"raters": "people", "question": EVIL})

    assert answer.status_code == 422
    assert "asks no question" in answer.json()["error"]


# Text stays text, in a real browser.


@pytest.fixture
def evil_study(site: Any, browser: Any) -> str:
    """A study all of whose words would run if they could; one vote is cast in it."""
    words = PromptSet(
        name="evil-words", licence="CC0-1.0", source="here", prompts=(Prompt(text=EVIL), Prompt(text="b"))
    )
    name: str = site.open_study(f"evil-{uuid4().hex[:8]}", prompts=words, title=EVIL, question=EVIL)
    rater = browser()
    rater.vote(name, rater.join(name)["pairs"][0])
    return name


def watch(found: Any) -> list[str]:
    """Dialogs of the page, from now on."""
    dialogs: list[str] = []

    def seen(dialog: Any) -> None:
        dialogs.append(dialog.message)
        dialog.dismiss()

    found.page.on("dialog", seen)
    return dialogs


def stays_text(site: Any, found: Any, dialogs: list[str]) -> None:
    """Nothing ran, no element was made of it, and nobody was asked for its image."""
    found.page.wait_for_timeout(300)
    assert dialogs == []
    assert found.page.evaluate("window.ran === undefined")
    assert found.page.locator("img[src=x], svg[onload]").count() == 0
    assert not [response.url for response in found.responses if response.url.endswith("/x")]
    assert found.hosts == {site.address.removeprefix("http://")}


@pytest.mark.browser
@pytest.mark.filterwarnings("ignore:'HTTP_422_UNPROCESSABLE_ENTITY' is deprecated")
@pytest.mark.parametrize(
    ("path", "ready"),
    [
        ("/", "main"),
        ("/gallery/?study={study}", "main img"),
        ("/dashboard/?study={study}", "#results h1"),
        ("/rate/?study={study}", ".rate[data-phase=voting]"),
    ],
)
def test_words_with_script_tags_are_shown_as_text(
    site: Any, evil_study: str, visit: Any, path: str, ready: str
) -> None:
    found = visit("about:blank")
    dialogs = watch(found)

    found.page.goto(site.address + path.format(study=evil_study))
    found.hosts.discard("")
    found.page.wait_for_selector(ready)
    found.page.wait_for_function("document.body.textContent.includes('alert(1)</script>')")

    assert EVIL in found.page.evaluate("document.body.textContent")
    stays_text(site, found, dialogs)


@pytest.mark.browser
def test_the_words_before_the_first_pair_are_shown_as_text(site: Any, visit: Any) -> None:
    words = PromptSet(name="evil-steps", licence="CC0-1.0", source="here", prompts=(Prompt(text=EVIL),))
    known = KnownPair(prompt=EVIL, better="zebra-candidate", worse="aardvark-reference", feedback=EVIL)
    name = site.open_study(
        f"evil-steps-{uuid4().hex[:8]}",
        prompts=words,
        title=EVIL,
        consent=EVIL,
        instructions=EVIL,
        practice=(known,),
        checks=(Check(text=EVIL, answers=(EVIL, "That"), right=1),),
    )
    found = visit("about:blank")
    dialogs = watch(found)

    found.page.goto(f"{site.address}/rate/?study={name}")
    found.hosts.discard("")
    for phase, click in (("consent", ".agree"), ("voting", "[data-choice=left]"), ("feedback", ".go"), ("check", None)):
        found.page.wait_for_selector(f".rate[data-phase={phase}]")
        found.page.wait_for_function("document.body.innerText.includes('alert(1)</script>')")
        found.page.wait_for_timeout(400)
        assert " ".join(EVIL.split()) in " ".join(found.page.inner_text("body").split())
        if click:
            found.page.click(click)

    stays_text(site, found, dialogs)


def test_a_name_that_was_typed_and_a_study_that_was_asked_for_come_back_as_text(site: Any) -> None:
    params = {"study": EVIL}

    pages = [httpx.get(f"{site.address}{path}", params=params).text for path in ("/gallery/", "/dashboard/", "/rate/")]

    assert not any("<script>window.ran" in page or "<img src=x" in page for page in pages)


def test_a_refusal_quotes_what_was_sent_as_json_and_never_as_a_page(site: Any, browser: Any) -> None:
    answer = browser().post("join", study="<script>alert(1)</script>")

    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["x-content-type-options"] == "nosniff"
