"""Rate limits: per rater and per address, over and renewed when they say, and not dodged by any header."""

from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from PIL import Image
from starlette.responses import Response

from arena.cookies import NAME, RaterCookie
from arena.ledger.records import Entrant
from arena.rate_limits import Counters, RateLimiter, Rates, in_words
from arena.settings import Settings
from arena.study import Study
from arena.study_parts import Crowd
from prompts.prompt import Prompt, PromptSet

JOINS = Settings.model_fields["rate_joins"].default
RATES = Rates(per_rater="2/second;3/minute", per_address="10/minute", joins="2/hour", logins="1/minute")


class Clock:
    """A clock that the test turns."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_what_is_allowed_is_allowed_again_after_the_wait(clock: Clock) -> None:
    limiter = RateLimiter(RATES, clock=clock)

    first = [limiter.wait_s("rater", "7") for _ in range(3)]
    clock.now += 1
    second = [limiter.wait_s("rater", "7") for _ in range(2)]
    clock.now += second[1]

    assert first == [0, 0, 1]
    assert second == [0, 59]
    assert limiter.wait_s("rater", "7") == 0


def test_one_does_not_use_up_what_another_may(clock: Clock) -> None:
    limiter = RateLimiter(RATES, clock=clock)

    waits = [limiter.wait_s("login", who) for who in ("anna", "bert", "anna")]

    assert waits == [0, 0, 60]
    assert limiter.wait_s("name", "anna") == 0


def test_without_rates_everything_is_allowed() -> None:
    limiter = RateLimiter(None)

    assert not any(limiter.wait_s("rater", "7") for _ in range(1000))


def test_windows_that_ended_are_forgotten(clock: Clock) -> None:
    counters = Counters(clock)
    for number in range(15_000):
        counters.incr(f"early {number}", 10)
    clock.now += 20

    for number in range(10_000):
        counters.incr(f"late {number}", 10)

    assert len(counters) == 10_000
    assert counters.get("early 1") == 0
    assert counters.get("late 1") == 1


def test_a_wait_is_told_in_words() -> None:
    assert [in_words(seconds) for seconds in (1, 60, 91, 3600)] == ["1 second", "60 seconds", "2 minutes", "60 minutes"]


@pytest.fixture(scope="module")
def site(open_site: Any) -> Any:
    """Little is allowed here; every test comes from an address of its own. 127.0.0.99 is the proxy."""
    return open_site(
        trusted_proxies="127.0.0.99", rate_joins="2/hour", rate_per_rater="3/minute", rate_per_address="5/minute"
    )


def join(client: httpx.Client, **headers: str) -> httpx.Response:
    return client.post("/rate/api/join", json={"study": "nowhere"}, headers=headers)


def test_too_many_new_raters_are_told_how_long_to_wait(site: Any) -> None:
    client = site.visit("127.0.0.2")

    answers = [join(client) for _ in range(3)]

    assert [answer.status_code for answer in answers] == [404, 404, 429]
    assert 3500 < int(answers[2].headers["retry-after"]) <= 3600
    assert answers[2].json() == {
        "error": "Too many requests came from here. Try again in 60 minutes.",
        "code": "too_many_requests",
    }
    assert answers[2].headers["x-content-type-options"] == "nosniff"
    assert client.get("/rate/").status_code == 200


HEADERS = ("x-forwarded-for", "x-real-ip", "forwarded", "cf-connecting-ip", "true-client-ip", "x-client-ip")


@pytest.mark.parametrize(("header", "number"), [(header, 10 + place) for place, header in enumerate(HEADERS)])
def test_no_header_makes_many_of_one_address(site: Any, header: str, number: int) -> None:
    client = site.visit(f"127.0.0.{number}")

    answers = [join(client, **{header: f"198.51.100.{place}"}).status_code for place in range(4)]

    assert answers == [404, 404, 429, 429]


def test_behind_a_trusted_proxy_each_client_has_its_own_count(site: Any) -> None:
    proxy = site.visit("127.0.0.99")
    hops = ["198.51.100.1"] * 3 + ["198.51.100.2", "9.9.9.9, 198.51.100.2", "9.9.9.8, 198.51.100.2"]

    answers = [join(proxy, **{"x-forwarded-for": one}).status_code for one in hops]

    assert answers == [404, 404, 429, 404, 404, 429]


def test_a_forged_cookie_is_no_rater_and_counts_as_its_address(site: Any) -> None:
    client = site.visit("127.0.0.3")

    answers = [join(client, cookie=f"{NAME}=forged-{number}").status_code for number in range(3)]

    assert answers == [404, 404, 429]


def test_one_rater_is_slowed_and_others_at_the_address_are_not(site: Any) -> None:
    client = site.visit("127.0.0.4")

    fast = [join(client, cookie=rater_cookie(1)).status_code for _ in range(6)]
    calm = [join(client, cookie=rater_cookie(2)).status_code for _ in range(3)]

    assert fast == [404, 404, 404, 429, 429, 429]
    assert calm == [404, 404, 429]


def test_another_address_does_not_help_a_rater_who_is_too_fast(site: Any) -> None:
    clients = [site.visit(f"127.0.0.{number}") for number in (5, 6, 7, 8)]

    answers = [join(client, cookie=rater_cookie(3)).status_code for client in clients]

    assert answers == [404, 404, 404, 429]


def test_of_two_cookies_the_one_that_votes_is_the_one_that_counts(site: Any) -> None:
    client = site.visit("127.0.0.9")

    answers = [
        join(client, cookie=f"{rater_cookie(number)}; {rater_cookie(4)}").status_code for number in (11, 12, 13, 14)
    ]

    assert answers == [404, 404, 404, 429]


def test_who_comes_back_is_not_a_new_rater_with_and_without_a_cookie(site: Any) -> None:
    study = crowd_study(site)
    client = site.visit("127.0.0.30")
    come = {"study": study, "arrival": {"PROLIFIC_PID": "anna"}}

    first = client.post("/rate/api/join", json=come)
    back = [site.visit("127.0.0.30").post("/rate/api/join", json=come).status_code for _ in range(2)]
    others = [
        site.visit("127.0.0.30").post("/rate/api/join", json=come | {"arrival": {"PROLIFIC_PID": name}}).status_code
        for name in ("bert", "carl")
    ]

    assert (first.status_code, back) == (200, [200, 200])
    # Two new raters an hour: Anna was one of them, however often she came.
    assert others[0] == 200
    assert others[1] == 429


def test_another_person_in_a_browser_with_a_cookie_is_a_new_rater(site: Any) -> None:
    study = crowd_study(site)
    client = site.visit("127.0.0.31")

    answers = [
        client.post("/rate/api/join", json={"study": study, "arrival": {"PROLIFIC_PID": name}})
        for name in ("dora", "emil", "fritz")
    ]

    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert answers[2].json()["code"] == "too_many_requests"
    assert 3500 < int(answers[2].headers["retry-after"]) <= 3600


def test_a_lecture_hall_behind_one_address_gets_in_within_minutes_and_not_without_end() -> None:
    clock = Clock()
    limiter = RateLimiter(
        Rates(per_rater="1/second", per_address="1/second", joins=JOINS, logins="1/minute"), clock=clock
    )

    minutes = []
    for _ in range(12):
        minutes.append(sum(limiter.wait_s("join", "the hall") == 0 for _ in range(100)))
        clock.now += 60

    assert minutes == [60] * 10 + [0, 0]


def test_reading_pages_is_not_counted(site: Any) -> None:
    client = site.visit("127.0.0.20")

    assert {client.get("/rate/").status_code for _ in range(8)} == {200}
    assert join(client).status_code == 404


def test_limits_that_are_off_refuse_nothing(open_site: Any) -> None:
    client = open_site(rate_joins="1/hour", rate_limits=False).visit()

    assert {join(client).status_code for _ in range(5)} == {404}


def crowd_study(site: Any) -> str:
    """A study of the site that takes raters from a crowd site; opened once."""
    from arena.images import ImageStore
    from arena.ledger.ledger import Ledger

    images, now = ImageStore(site.settings.images_url), datetime.now(UTC)
    prompts = PromptSet(name="one", licence="CC0-1.0", source="made up", prompts=(Prompt(text="a thing"),))
    with Ledger.open(site.settings.database_url) as ledger:
        if any(record.name == "crowded" for record in ledger.studies()):
            return "crowded"
        ledger.keep_prompts(prompts)
        for number, name in enumerate(("old", "new")):
            ledger.enter(Entrant(name=name, source=f"swatch:{name}", sampler="swatch"), now=now)
            stored = images.put(Image.new("RGB", (8, 8), (90 * number, 40, 40)))
            ledger.keep_image(name, prompts.prompts[0].id, 0, stored, seconds=0.1, now=now)
        study = Study(
            name="crowded",
            question="Which?",
            reference="old",
            candidates=("new",),
            prompts=prompts,
            ties=True,
            both_bad=True,
            crowd=Crowd(site="prolific", slots=50, completion_code="C"),
        )
        ledger.open_study(study, now=now)
    return "crowded"


def rater_cookie(number: int) -> str:
    """What the browser of this rater sends to a site with this secret."""
    answer = Response()
    RaterCookie("kept in a drawer", secure=False).write(answer, number)
    return answer.headers["set-cookie"].partition(";")[0]
