"""The road from a crowd site to the arena and back, in a real browser, with a small crowd site of our own beside it.

The site keeps to Prolific's conventions: a page for every participant with a link to the study that has their ids
filled in, a number of places, submissions that can be returned or run out of time, and an address that takes the
participant back with a code. It answers MTurk's way, too: there a worker types the code into the task's form.
"""

import hashlib
import html
import subprocess
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http.cookies import SimpleCookie
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

import numpy as np
import pytest
from typer.testing import CliRunner

from arena.cli import app
from arena.rating import RatingRoom
from arena.reception import Reception
from arena.settings import Settings
from arena.study_parts import Check, Crowd, KnownPair, StudyError

pytestmark = pytest.mark.browser

ANSWERS_AFTER_MS = 350  # the page takes no choice in the first 300 ms of a pair
ANNA, BERT = "5a9d64f5f6dfdd0001eaa73d", "60fd1c8a0b7e4d0b3c9a11f2"
STUDY_ID = "63b4a2e1c7f90d5518a6e04b"
CHECKS = (Check(text="What do you compare?", answers=("Prompts", "Images"), right=1),)
PRACTICE = (
    KnownPair(
        prompt="thing number 0 on a plain table",
        better="zebra-candidate",
        worse="aardvark-reference",
        feedback="Look at the edges.",
    ),
)


# ---- the crowd site ----------------------------------------------------------------------------------------------


@dataclass(slots=True, kw_only=True)
class Submission:
    """One participant's go at the study. `session` is new for each; `code` is what they came back with."""

    session: str
    status: str = "active"
    code: str = ""


class CrowdSite:
    """Answers under `address`; `submissions` says who came and who came back.

    `study` is the address that the researcher gave it, with Prolific's own place holders.
    """

    def __init__(self, *, places: int) -> None:
        self.places = places
        self.study = ""
        self.submissions: dict[str, Submission] = {}
        self._one_at_a_time = threading.Lock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler_of(self))
        # Another host than the arena's, as in life: cookies know hosts and no ports.
        self.address = f"http://localhost:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(timeout=10)

    def page_of(self, person: str) -> str:
        """The address of a participant's own page."""
        return f"{self.address}/participants/{person}"

    def link_for(self, person: str) -> str | None:
        """The study's address with the participant's ids filled in; None where all places are taken."""
        with self._one_at_a_time:
            submission = self.submissions.get(person)
            if submission is None:
                if sum(one.status in ("active", "completed") for one in self.submissions.values()) >= self.places:
                    return None
                session = hashlib.sha256(f"{person} {len(self.submissions)}".encode()).hexdigest()[:24]
                submission = self.submissions[person] = Submission(session=session)
        filled = {"PROLIFIC_PID": person, "STUDY_ID": STUDY_ID, "SESSION_ID": submission.session}
        link = self.study
        for name, value in filled.items():
            link = link.replace(f"{{{{%{name}%}}}}", quote(value))
        return link

    def come_back(self, person: str, code: str) -> None:
        """The participant opened the completion address."""
        self.submissions[person].code = code
        self.submissions[person].status = "screened out" if code == "OUT7" else "completed"

    def give_up(self, person: str, status: str) -> None:
        """The participant returned the submission, or time ran out: the place is another's."""
        self.submissions[person].status = status


def _handler_of(site: CrowdSite) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        timeout = 5

        def do_GET(self) -> None:
            place = urlsplit(self.path)
            if place.path.startswith("/participants/"):
                person = place.path.rpartition("/")[2]
                link = site.link_for(person)
                way = (
                    "No places left" if link is None else f'<a id="open" href="{html.escape(link)}">Open the study</a>'
                )
                self._say(
                    way + '<form method="post" action="/submissions/return"><button>Return</button></form>', person
                )
            elif place.path == "/submissions/complete" and (person := self._person()) in site.submissions:
                site.come_back(person, parse_qs(place.query)["cc"][0])
                self._say("<h1>Submission received</h1>")
            elif place.path == "/tasks/HIT-1":
                link = f'<a id="open" href="{html.escape(site.study)}" target="_blank">Open the study</a>'
                field = '<input name="code"><button>Submit</button>'
                self._say(f'{link}<form method="post" action="/mturk/externalSubmit">{field}</form>')
            else:
                self.send_error(404)

        def do_POST(self) -> None:
            given = parse_qs(self.rfile.read(int(self.headers["content-length"])).decode())
            if self.path == "/submissions/return":
                site.give_up(self._person(), "returned")
                self._say("<h1>Returned</h1>")
            elif self.path == "/mturk/externalSubmit":
                site.submissions["worker"] = Submission(session="", status="completed", code=given["code"][0])
                self._say("<h1>Submitted</h1>")
            else:
                self.send_error(404)

        def log_message(self, format: str, *words: Any) -> None:
            """The test says what went wrong."""

        def _person(self) -> str:
            return SimpleCookie(self.headers["cookie"])["participant"].value

        def _say(self, body: str, person: str | None = None) -> None:
            page = f'<!doctype html><link rel="icon" href="data:,"><title>Crowd</title>{body}'.encode()
            self.send_response(200)
            self.send_header("content-type", "text/html; charset=utf-8")
            self.send_header("content-length", str(len(page)))
            if person is not None:
                self.send_header("set-cookie", f"participant={person}; Path=/; HttpOnly; SameSite=Lax")
            self.end_headers()
            self.wfile.write(page)

    return Handler


# ---- what participants and researchers do ------------------------------------------------------------------------


@pytest.fixture
def crowd() -> Iterator[Callable[..., CrowdSite]]:
    """Makes crowd sites: `crowd(places=2)`."""
    made: list[CrowdSite] = []

    def make(*, places: int = 5) -> CrowdSite:
        made.append(CrowdSite(places=places))
        return made[-1]

    yield make
    for one in made:
        one.close()


def offer(site: Any, crowd_site: CrowdSite, name: str, *, slots: int = 5, **declared: Any) -> str:
    """Open a study that the crowd site sends its participants to."""
    study: str = site.open_study(
        name,
        crowd=Crowd(
            site="prolific",
            slots=slots,
            completion_code="DONE7",
            screen_out_code="OUT7",
            return_url=f"{crowd_site.address}/submissions/complete?cc={{code}}",
        ),
        **({"votes_per_rater": 3} | declared),
    )
    crowd_site.study = (
        f"{site.address}/rate/?study={study}"
        "&PROLIFIC_PID={{%PROLIFIC_PID%}}&STUDY_ID={{%STUDY_ID%}}&SESSION_ID={{%SESSION_ID%}}"
    )
    return study


def until(page: Any, phase: str) -> None:
    page.wait_for_selector(f".rate[data-phase={phase}]")


def rate(page: Any, votes: int) -> None:
    for _ in range(votes):
        until(page, "voting")
        page.wait_for_timeout(ANSWERS_AFTER_MS)
        before = page.inner_text(".count")
        page.keyboard.press("ArrowLeft")
        page.wait_for_function("(before) => document.querySelector('.count').textContent !== before", arg=before)
    # What was said is said: the server has every vote before anyone leaves.
    page.wait_for_function("Object.keys(localStorage).every((name) => !name.includes('outbox'))")


def answer_check(page: Any, number: int) -> None:
    until(page, "check")
    page.check(f".check [value='{number}']")
    page.click(".check [type=submit]")


def come_back(page: Any) -> None:
    """Follow the thanks page's own link."""
    page.click(".redirect")
    page.wait_for_selector("text=Submission received")


def votes_by_rater(site: Any, study: str) -> list[int]:
    """How many effective votes each rater of the study has, the largest first."""
    raters = [vote.rater for vote in site.ledger.votes(study, raters="people")]
    return sorted((raters.count(rater) for rater in set(raters)), reverse=True)


def what_is_kept(site: Any) -> bytes:
    """Every byte below the arena's folder except the images': the database, its log, and the rest."""
    files = [str(file) for file in site.home.rglob("*") if file.is_file() and "images" not in file.parts]
    # In a process of its own: to close a file takes away the locks that SQLite has on it in this one.
    return subprocess.run(["cat", *files], check=True, capture_output=True, timeout=60).stdout


# ---- the tests ---------------------------------------------------------------------------------------------------


def test_a_participant_walks_the_whole_road_and_is_back_with_the_completion_code(
    site: Any, visit: Any, crowd: Any
) -> None:
    crowd_site = crowd()
    study = offer(
        site,
        crowd_site,
        "crowd-road",
        consent="I take part.",
        instructions="Look at both images.",
        practice=PRACTICE,
        checks=CHECKS,
    )
    found = visit(crowd_site.page_of(ANNA))
    page = found.page

    page.click("#open")
    page.click(".agree")
    until(page, "voting")
    page.wait_for_timeout(ANSWERS_AFTER_MS)
    page.keyboard.press("1")
    until(page, "feedback")
    page.keyboard.press("Enter")
    answer_check(page, 1)
    rate(page, 3)
    until(page, "ended")
    thanked, code = page.inner_text(".card h1"), page.inner_text(".code")
    come_back(page)

    assert (thanked, code) == ("Thank you", "DONE7")
    assert (crowd_site.submissions[ANNA].status, crowd_site.submissions[ANNA].code) == ("completed", "DONE7")
    assert votes_by_rater(site, study) == [3]
    assert found.errors == []
    assert site.ledger.verify(study)


def test_a_screened_out_participant_is_back_with_that_code_and_another_has_the_slot(
    site: Any, visit: Any, crowd: Any
) -> None:
    crowd_site = crowd(places=1)
    study = offer(site, crowd_site, "crowd-screened", slots=1, checks=CHECKS)
    failing = visit(crowd_site.page_of(ANNA)).page
    failing.click("#open")
    answer_check(failing, 0)
    failing.wait_for_selector(".fault:not([hidden])")
    answer_check(failing, 0)
    until(failing, "screened_out")
    come_back(failing)

    following = visit(crowd_site.page_of(BERT)).page
    following.click("#open")
    answer_check(following, 1)
    rate(following, 3)
    come_back(following)

    back = {person: (one.status, one.code) for person, one in crowd_site.submissions.items()}
    assert back == {ANNA: ("screened out", "OUT7"), BERT: ("completed", "DONE7")}
    assert votes_by_rater(site, study) == [3]


def test_a_returned_slot_is_given_to_another(site: Any, visit: Any, crowd: Any) -> None:
    crowd_site = crowd(places=1)
    study = offer(site, crowd_site, "crowd-returned", slots=1)
    leaving = visit(crowd_site.page_of(ANNA)).page
    leaving.click("#open")
    rate(leaving, 1)
    leaving.goto(crowd_site.page_of(ANNA))
    leaving.click("text=Return")
    leaving.wait_for_selector("text=Returned")
    following = visit(crowd_site.page_of(BERT)).page
    following.click("#open")
    until(following, "full")

    told = CliRunner().invoke(app, ["returned", study, ANNA, "--arena", str(site.home)], catch_exceptions=False)
    following.reload()
    rate(following, 3)
    come_back(following)
    leaving.goto(crowd_site.link_for(ANNA))

    until(leaving, "full")
    assert (told.exit_code, "The slot is free" in told.stderr) == (0, True)
    assert crowd_site.submissions[ANNA].status == "returned"
    assert crowd_site.submissions[BERT].code == "DONE7"
    # A vote that was given stays in the ledger, whoever left.
    assert votes_by_rater(site, study) == [3, 1]


def test_a_slot_whose_time_ran_out_is_given_to_another(site: Any, visit: Any, crowd: Any) -> None:
    crowd_site = crowd(places=1)
    study = offer(site, crowd_site, "crowd-timed-out", slots=1)
    link = crowd_site.link_for(ANNA)
    room = RatingRoom(site.ledger, site.images, identity_secret=Settings(home=site.home).signing_secret)
    arrived = Reception(site.ledger, room).arrive(
        study,
        known=None,
        arrival={name: values[0] for name, values in parse_qs(urlsplit(link).query).items()},
        at_hand=2,
        rng=np.random.default_rng(3),
        now=datetime.now(UTC) - timedelta(minutes=61),
    )
    crowd_site.give_up(ANNA, "timed out")

    following = visit(crowd_site.page_of(BERT)).page
    following.click("#open")
    rate(following, 3)
    come_back(following)
    late = visit(link).page

    until(late, "full")
    assert arrived.stage == "rating"
    assert late.inner_text(".card h1") == "All places are taken"
    assert crowd_site.submissions[BERT].code == "DONE7"


def test_a_participant_who_opens_the_link_again_goes_on_where_they_stopped(site: Any, visit: Any, crowd: Any) -> None:
    crowd_site = crowd(places=1)
    study = offer(site, crowd_site, "crowd-again", slots=1, votes_per_rater=4)
    first = visit(crowd_site.page_of(ANNA)).page
    first.click("#open")
    rate(first, 2)
    stopped_at = first.inner_text(".prompt")
    session = crowd_site.submissions[ANNA].session
    first.close()

    # On another device, where no cookie says who they are.
    again = visit(crowd_site.page_of(ANNA), width=390, height=844).page
    again.click("#open")
    until(again, "voting")
    count, prompt = again.inner_text(".count"), again.inner_text(".prompt")
    rate(again, 2)
    come_back(again)

    assert (count, prompt) == ("2 of 4", stopped_at)
    assert crowd_site.submissions[ANNA] == Submission(session=session, status="completed", code="DONE7")
    assert votes_by_rater(site, study) == [4]


def test_two_participants_in_one_browser_are_two_raters(site: Any, visit: Any, crowd: Any) -> None:
    crowd_site = crowd()
    study = offer(site, crowd_site, "crowd-shared")
    page = visit(crowd_site.page_of(ANNA)).page
    page.click("#open")
    rate(page, 1)

    page.goto(crowd_site.page_of(BERT))
    page.click("#open")
    until(page, "voting")
    begins_with = page.inner_text(".count")
    rate(page, 3)
    come_back(page)
    page.goto(crowd_site.page_of(ANNA))
    page.click("#open")
    until(page, "voting")
    goes_on_with = page.inner_text(".count")
    rate(page, 2)
    come_back(page)

    assert (begins_with, goes_on_with) == ("0 of 3", "1 of 3")
    assert [crowd_site.submissions[person].code for person in (ANNA, BERT)] == ["DONE7", "DONE7"]
    assert votes_by_rater(site, study) == [3, 3]


def test_two_participants_with_tabs_side_by_side_both_come_to_their_end(site: Any, visit: Any, crowd: Any) -> None:
    crowd_site = crowd()
    study = offer(site, crowd_site, "crowd-tabs")
    anna = visit(crowd_site.page_of(ANNA)).page
    anna.click("#open")
    rate(anna, 1)
    bert = anna.context.new_page()
    bert.goto(crowd_site.page_of(BERT))
    bert.click("#open")
    rate(bert, 1)

    # The browser now has Bert's cookie: Anna's next choice is refused, and her page joins again as Anna.
    anna.wait_for_timeout(ANSWERS_AFTER_MS)
    anna.keyboard.press("ArrowLeft")
    anna.wait_for_selector(".notice .text:not(:empty)")
    rate(anna, 2)

    until(anna, "ended")
    bert.goto(crowd_site.link_for(BERT))
    rate(bert, 2)
    until(bert, "ended")
    assert votes_by_rater(site, study) == [3, 3]
    assert site.ledger.verify(study)


def test_no_id_of_the_crowd_site_is_kept_in_clear_text(site: Any, visit: Any, crowd: Any) -> None:
    crowd_site = crowd()
    study = offer(site, crowd_site, "crowd-ids", checks=CHECKS)
    page = visit(crowd_site.page_of(ANNA)).page
    page.click("#open")
    answer_check(page, 1)
    rate(page, 3)
    come_back(page)

    kept = what_is_kept(site)

    for id in (ANNA, STUDY_ID, crowd_site.submissions[ANNA].session):
        # Nor under a hash that anyone with a list of ids could make.
        bare = [hashlib.sha256(text.encode()) for text in (id, f"prolific:{id}")]
        forms = [id.encode(), bytes.fromhex(id)]
        forms += [form for hash in bare for form in (hash.hexdigest().encode(), hash.digest())]
        assert [form for form in forms if form.lower() in kept.lower()] == []
    assert study.encode() in kept, "what is kept was read"
    assert site.ledger.verify(study)


def test_an_mturk_worker_types_the_code_into_the_tasks_form(site: Any, visit: Any, crowd: Any) -> None:
    crowd_site = crowd()
    study = site.open_study(
        "crowd-mturk", crowd=Crowd(site="mturk", slots=1, completion_code="TURK7"), votes_per_rater=2
    )
    worker, assignment = "A2WORKEREXAMPLE7", "3ASSIGNMENTEXAMPLE5Q"
    crowd_site.study = (
        f"{site.address}/rate/?study={study}&workerId={worker}&assignmentId={assignment}&hitId=3HITEXAMPLE"
    )
    task = visit(f"{crowd_site.address}/tasks/HIT-1").page

    with task.expect_popup() as opened:
        task.click("#open")
    page = opened.value
    rate(page, 2)
    until(page, "ended")
    code, has_link = page.inner_text(".code"), page.is_visible(".redirect")
    task.fill("[name=code]", code)
    task.click("text=Submit")
    task.wait_for_selector("text=Submitted")

    assert not has_link, "MTurk takes workers back by the code alone"
    assert crowd_site.submissions["worker"].code == "TURK7"
    assert votes_by_rater(site, study) == [2]
    assert worker.encode() not in what_is_kept(site)
    assert assignment.encode() not in what_is_kept(site)


@pytest.mark.parametrize("shape", ["", "&STUDY_ID=1&SESSION_ID=2", "&PROLIFIC_PID=", "&workerId=A2"])
def test_whoever_does_not_come_from_the_crowd_site_is_told_so(site: Any, visit: Any, crowd: Any, shape: str) -> None:
    study = offer(site, crowd(), f"crowd-stranger-{hashlib.sha256(shape.encode()).hexdigest()[:6]}")

    page = visit(f"{site.address}/rate/?study={study}{shape}").page
    until(page, "message")

    assert "Open it by the link on the crowd site" in page.inner_text(".card .text")


@pytest.mark.parametrize("host", ["http://crowd.example", "http://localhost.example", "http://127.0.0.1.example:8000"])
def test_codes_go_back_in_the_clear_to_this_machine_only(host: str) -> None:
    with pytest.raises(StudyError, match=r"https://, or with http:// on 127\.0\.0\.1 or localhost"):
        Crowd(site="prolific", slots=1, completion_code="C", return_url=f"{host}/?cc={{code}}")
