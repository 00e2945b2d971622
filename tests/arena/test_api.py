"""The rating routes over real HTTP: joining, votes that count once, undo, and nothing that tells who painted what."""

import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import httpx
import pytest
from starlette.responses import Response

from arena.cookies import RaterCookie
from arena.settings import Settings

# What a client must not learn of an image, beside the entrants' names.
HASH = re.compile(r"[0-9a-f]{64}")


class Rater:
    """A browser without a screen: cookies, JSON and nothing else."""

    def __init__(self, address: str, study: str) -> None:
        self.http = httpx.Client(base_url=address)
        self.study = study
        self.answers: list[httpx.Response] = []

    def ask(self, path: str, body: dict[str, Any]) -> httpx.Response:
        answer = self.http.post(f"/rate/api/{path}", json=body)
        self.answers.append(answer)
        return answer

    def join(self) -> dict[str, Any]:
        answer = self.ask("join", {"study": self.study})
        assert answer.status_code == 200, answer.text
        value: dict[str, Any] = answer.json()
        return value

    def vote(self, pair: dict[str, Any], choice: str = "left", **given: Any) -> httpx.Response:
        body = {"study": self.study, "pair": pair["pair"], "round": pair["round"], "choice": choice}
        return self.ask("vote", body | {"key": str(uuid4()), "latency_ms": 900} | given)

    def undo(self, pair: dict[str, Any], **given: Any) -> httpx.Response:
        body = {"study": self.study, "pair": pair["pair"], "round": pair["round"], "key": str(uuid4())}
        return self.ask("undo", body | given)


@pytest.fixture
def come(site: Any) -> Iterator[Callable[[str], Rater]]:
    """Makes raters of a study; each has cookies of its own."""
    raters: list[Rater] = []

    def comes(study: str) -> Rater:
        raters.append(Rater(site.address, study))
        return raters[-1]

    yield comes
    for rater in raters:
        rater.http.close()


def test_joining_gives_a_cookie_and_two_pairs(site: Any, come: Any) -> None:
    rater = come(site.open_study("joining", ties=True, both_bad=False, votes_per_rater=5))

    answer = rater.join()

    assert answer["study"] == {
        "name": "joining",
        "title": "Joining",
        "language": "",
        "instructions": "",
        "questions": [{"key": "overall", "text": "Which image do you prefer for this prompt?"}],
        "ties": True,
        "both_bad": False,
        "votes_per_rater": 5,
        "guard_ms": 300,
        "idle_s": 300,
        "crowd": None,
    }
    assert answer["stage"] == "rating"
    assert answer["done"] == 0
    assert len(answer["pairs"]) == 2
    assert set(answer["pairs"][0]) == {"pair", "prompt", "left", "right", "round"}
    cookie = rater.answers[0].headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=lax" in cookie


def test_coming_back_shows_the_pairs_that_were_not_voted_on(site: Any, come: Any) -> None:
    rater = come(site.open_study("coming-back"))
    first = rater.join()
    rater.vote(first["pairs"][0])

    again = rater.join()

    assert again["done"] == 1
    assert again["pairs"][0] == first["pairs"][1]


def test_a_vote_brings_a_pair_that_was_not_handed_out_yet(site: Any, come: Any) -> None:
    rater = come(site.open_study("next-pair"))
    pairs = rater.join()["pairs"]

    answer = rater.vote(pairs[0]).json()

    assert answer["done"] == 1
    assert answer["next"]["pair"] not in {pair["pair"] for pair in pairs}


def test_all_votes_of_a_rater_are_in_the_ledger_with_their_latency(site: Any, come: Any) -> None:
    rater = come(site.open_study("kept", votes_per_rater=5))
    waiting = rater.join()["pairs"]
    choices = ["left", "right", "tie", "both_bad", "left"]

    for choice in choices:
        following = rater.vote(waiting.pop(0), choice, latency_ms=1234, session="page-1").json()["next"]
        waiting += [following] if following else []

    votes = site.ledger.votes("kept", raters="people")
    assert waiting == []
    assert [vote.choice.value for vote in votes] == choices
    assert {vote.latency_ms for vote in votes} == {1234}
    assert {vote.session for vote in votes} == {"page-1"}
    assert not any(vote.simulated for vote in votes)


def test_the_same_request_again_gets_the_same_answer_and_counts_once(site: Any, come: Any) -> None:
    rater = come(site.open_study("replay"))
    pair = rater.join()["pairs"][0]
    key = str(uuid4())

    first, second = rater.vote(pair, key=key), rater.vote(pair, key=key)

    assert first.json() == second.json()
    assert len(site.ledger.votes("replay", raters="people")) == 1


def test_another_choice_under_the_same_key_is_refused(site: Any, come: Any) -> None:
    rater = come(site.open_study("other-choice"))
    pair = rater.join()["pairs"][0]
    key = str(uuid4())
    rater.vote(pair, "left", key=key)

    answer = rater.vote(pair, "right", key=key)

    assert answer.status_code == 409
    assert [vote.choice.value for vote in site.ledger.votes("other-choice", raters="people")] == ["left"]


def test_a_second_vote_on_a_pair_is_refused_in_one_sentence(site: Any, come: Any) -> None:
    rater = come(site.open_study("second-vote"))
    pair = rater.join()["pairs"][0]
    rater.vote(pair)

    answer = rater.vote(pair, "right")

    assert answer.status_code == 409
    assert set(answer.json()) == {"error", "code"}


def test_undo_opens_the_next_round_of_the_same_pair(site: Any, come: Any) -> None:
    rater = come(site.open_study("undo"))
    pair = rater.join()["pairs"][0]
    rater.vote(pair, "left")

    answer = rater.undo(pair).json()
    rater.vote(answer["pair"], "right")

    assert answer["done"] == 0
    assert (answer["pair"]["pair"], answer["pair"]["round"]) == (pair["pair"], 2)
    assert [vote.choice.value for vote in site.ledger.votes("undo", raters="people")] == ["right"]


def test_images_are_webp_that_only_this_browser_may_keep(site: Any, come: Any) -> None:
    rater = come(site.open_study("images"))
    pair = rater.join()["pairs"][0]

    answer = rater.http.get(pair["left"])

    assert answer.headers["content-type"] == "image/webp"
    assert answer.headers["cache-control"] == "private, max-age=31536000, immutable"
    assert answer.content[8:12] == b"WEBP"


def test_another_raters_pair_and_images_are_closed(site: Any, come: Any) -> None:
    study = site.open_study("foreign")
    mine, other = come(study), come(study)
    pair = mine.join()["pairs"][0]
    other.join()

    assert other.http.get(pair["left"]).status_code == 403
    assert other.vote(pair).status_code == 403
    assert other.undo(pair).status_code == 403
    assert httpx.get(site.address + pair["left"]).status_code == 403


def test_tokens_that_nobody_was_given_lead_nowhere(site: Any, come: Any) -> None:
    rater = come(site.open_study("tokens"))
    pair = rater.join()["pairs"][0]

    assert rater.http.get("/rate/image/made-up").status_code == 404
    assert rater.http.get("/rate/image/made-up.left").status_code == 404
    assert rater.vote(pair | {"pair": "made-up"}).status_code == 404


def test_a_vote_needs_a_cookie_that_was_not_tampered_with(site: Any, come: Any) -> None:
    rater = come(site.open_study("cookie"))
    pair = rater.join()["pairs"][0]
    value = rater.http.cookies.pop("arena_rater")

    without = rater.vote(pair)
    rater.http.cookies.set("arena_rater", value[:-2] + ("aa" if value[-2:] != "aa" else "bb"), path="/rate")
    forged = rater.vote(pair)

    assert (without.status_code, forged.status_code) == (403, 403)
    assert site.ledger.votes("cookie", raters="people") == []


def test_a_cookie_of_another_arena_is_replaced_on_joining(site: Any, come: Any) -> None:
    rater = come(site.open_study("old-cookie"))
    carrier = Response()
    RaterCookie(Settings(home=site.home).signing_secret, secure=False).write(carrier, 12345)
    rater.http.cookies.set("arena_rater", carrier.headers["set-cookie"].split(";")[0].partition("=")[2], path="/rate")

    answer = rater.join()

    assert answer["done"] == 0
    assert rater.vote(answer["pairs"][0]).status_code == 200


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"choice": "middle"}, 422),
        ({"choice": "tie"}, 422),
        ({"round": 0}, 422),
        ({"round": 2}, 409),
        ({"key": "not a uuid"}, 422),
        ({"latency_ms": -1}, 422),
        ({"latency_ms": 2**31}, 422),
        ({"entrant": "zebra"}, 422),
        ({"study": "no-such-study"}, 404),
    ],
)
def test_a_vote_that_cannot_stand_is_refused(site: Any, come: Any, change: dict[str, Any], status: int) -> None:
    name = f"refused-{uuid4().hex[:8]}"
    rater = come(site.open_study(name, ties=False, both_bad=False))
    pair = rater.join()["pairs"][0]

    answer = rater.vote(pair, **change)

    assert answer.status_code == status
    assert set(answer.json()) == {"error", "code"}
    assert site.ledger.votes(name, raters="people") == []


def test_unknown_and_closed_studies_say_so(site: Any, come: Any) -> None:
    closed = site.open_study("closed-study")
    site.ledger.close_study(closed, now=datetime.now(UTC))

    unknown = come("nothing").ask("join", {"study": "nothing"})
    shut = come(closed).ask("join", {"study": closed})

    assert (unknown.status_code, shut.status_code) == (404, 409)
    assert "closed" in shut.json()["error"]


def test_wrong_content_types_and_broken_json_are_client_errors(site: Any) -> None:
    url = f"{site.address}/rate/api/join"

    form = httpx.post(url, data={"study": "x"})
    broken = httpx.post(url, content=b'{"study": ', headers={"content-type": "application/json"})
    listed = httpx.post(url, json=["x"])
    got = httpx.get(url)

    assert [answer.status_code for answer in (form, broken, listed, got)] == [415, 422, 422, 405]
    assert all("error" in answer.json() for answer in (form, broken, listed, got))


def test_nothing_before_or_after_a_vote_tells_who_painted_what(site: Any, come: Any) -> None:
    rater = come(site.open_study("blind", votes_per_rater=5))
    waiting = rater.join()["pairs"]
    images = []

    while waiting:
        pair = waiting.pop(0)
        images += [rater.http.get(pair[side]) for side in ("left", "right")]
        answer = rater.vote(pair).json()
        waiting += [answer["next"]] if answer["next"] else []

    stored = {image.image_hash for name in _entrants(site) for image in _gallery(site, name, "blind")}
    for response in [*rater.answers, *images]:
        seen = f"{response.url} {dict(response.headers)} {response.content.decode('latin-1')}"
        assert not any(name in seen for name in _entrants(site))
        assert not any(image_hash in seen for image_hash in stored)
        assert not HASH.search(seen)
        assert str(site.home) not in seen
    assert len({tuple(sorted(set(image.headers) - {"date", "content-length"})) for image in images}) == 1


def test_the_board_route_gives_the_board_of_one_kind_of_raters(site: Any, come: Any) -> None:
    rater = come(site.open_study("board-json"))
    rater.vote(rater.join()["pairs"][0])

    people = httpx.get(f"{site.address}/api/board/board-json?raters=people").json()
    simulated = httpx.get(f"{site.address}/api/board/board-json?raters=simulated").json()

    assert (people["votes"], people["raters_kind"]) == (1, "people")
    assert (simulated["votes"], simulated["simulated"]) == (0, True)
    assert httpx.get(f"{site.address}/api/board/board-json").status_code == 422
    assert httpx.get(f"{site.address}/api/board/nothing?raters=people").status_code == 404


def _entrants(site: Any) -> list[str]:
    return [entrant.name for entrant in site.ledger.entrants()]


def _gallery(site: Any, entrant: str, study: str) -> Any:
    return site.ledger.gallery(entrant, site.ledger.study(study).study.prompts, (0,))
