"""The labelling routes over HTTP: what a browser may ask and is told, and what it does not learn."""

import io
import json
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest
from fastapi.testclient import TestClient
from PIL import Image

from arena.app import create_app
from arena.labelling.texts import load_label_messages
from arena.ledger.label_book import LabelBook
from arena.ledger.ledger import Ledger
from arena.settings import Settings
from arena.study_parts import Crowd


@pytest.fixture
def site(tmp_path: Any, labels: Any) -> Iterator[Any]:
    """The whole site over the arena of the test."""
    settings = Settings(home=tmp_path / "arena", open_results=False)
    with TestClient(create_app(settings), base_url="http://127.0.0.1") as client:
        yield client


def post(site: Any, path: str, **body: Any) -> Any:
    """What the page sends."""
    return site.post(f"/resemblance/api/{path}", json={"study": "who", **body})


def said(showing: Any, **more: Any) -> dict[str, Any]:
    """An answer."""
    given = {"answer": "no", "latency_ms": 900, "key": str(uuid4())}
    return {"showing": showing["showing"], "round": showing["round"], **given, **more}


def test_from_joining_to_the_label_and_back(site: Any, labels: Any) -> None:
    labels.open(consent="May we?", labels_per_rater=2)

    joined = post(site, "join")
    welcome = post(site, "consent").json()
    first = post(site, "label", **said(welcome["showings"][0], answer="yes", which="Elsa", closeness=1)).json()
    undone = post(site, "undo", showing=welcome["showings"][0]["showing"], round=1, key=str(uuid4())).json()
    again = post(site, "label", **said(undone["showing"])).json()
    last = post(site, "label", **said(welcome["showings"][1])).json()

    assert joined.json()["stage"] == "consent"
    assert "path=/resemblance" in joined.headers["set-cookie"].lower()
    assert welcome["stage"] == "rating"
    assert (first["done"], undone["done"], again["done"], last["done"]) == (1, 0, 1, 2)
    assert last["end"] == {"code": "", "redirect": ""}
    assert [label.answer for label in labels.book.labels("who")] == ["no", "no"]
    assert post(site, "withdraw").json() == {"withdrawn": True}
    assert labels.book.labels("who") == []


@pytest.mark.parametrize("mode", ["single", "pair"])
def test_nothing_that_a_browser_gets_before_its_label_tells_model_prompt_or_target(
    site: Any, labels: Any, mode: str
) -> None:
    labels.open(mode=mode, sample=9, labels_per_rater=9)
    joined = post(site, "join")
    heard = [joined.text, str(joined.headers)]
    shown = joined.json()["showings"]
    targets, encoded = set(), []
    while shown:
        showing = shown.pop(0)
        targets.add(showing["name"])
        for address in showing["images"]:
            image = site.get(address)
            encoded.append(image.content)
            heard.append(str(image.headers))
            assert "etag" not in image.headers
            assert "last-modified" not in image.headers
        answer = post(site, "label", **said(showing, answer="no" if mode == "single" else "left"))
        heard += [answer.text, str(answer.headers)]
        shown += [answer.json()["next"]] if answer.json()["next"] else []

    images = [image for one in ("aardvark", "zebra") for image in labels.ledger.gallery(one, labels.prompts, (0,))]
    secrets = ["aardvark", "zebra", *(image.image_hash for image in images)]
    secrets += [word for prompt in labels.prompts for word in (prompt.text, prompt.id)]
    for secret in secrets:
        assert not any(secret in one for one in heard), secret
    assert targets == ({""} if mode == "single" else targets & {"Elsa", "Snoopy", "Pikachu"})
    for content in encoded:
        with Image.open(io.BytesIO(content)) as picture:
            assert (picture.format, picture.size, picture.info.get("exif")) == ("WEBP", (8, 8), None)


def test_an_images_address_says_nothing_and_changes_from_rater_to_rater(site: Any, labels: Any) -> None:
    labels.open(labels_per_image=2, labels_per_rater=12)
    mine = {address for showing in post(site, "join").json()["showings"] for address in showing["images"]}
    site.cookies.clear()

    theirs = {address for showing in post(site, "join").json()["showings"] for address in showing["images"]}

    assert not mine & theirs
    assert site.get(next(iter(mine))).status_code == 403


@pytest.mark.parametrize(
    ("path", "body", "status", "code"),
    [
        ("join", {"study": "nobodys"}, 404, "unknown_study"),
        ("label", {"showing": "x", "round": 1, "answer": "no", "latency_ms": 900}, 404, "unknown_pair"),
        ("label", {"answer": "maybe"}, 422, "choice_not_offered"),
        ("label", {"latency_ms": 10}, 422, "accidental_vote"),
        ("label", {"answer": "yes"}, 422, "vote_not_valid"),
        ("label", {"round": 2}, 409, "round_not_open"),
        ("label", {"key": "no uuid"}, 422, "unreadable_request"),
        ("label", {"closeness": 9}, 422, "unreadable_request"),
        ("label", {"who": "me"}, 422, "unreadable_request"),
        ("report", {"kind": "boring"}, 422, "unreadable_request"),
        ("undo", {}, 409, "round_not_open"),
    ],
)
def test_a_refusal_has_its_status_and_a_code_that_the_page_has_words_for(
    site: Any, labels: Any, path: str, body: dict[str, Any], status: int, code: str
) -> None:
    labels.open()
    showing = post(site, "join").json()["showings"][0]
    sent: dict[str, Any] = {} if path == "join" else said(showing)
    if path in ("undo", "report"):
        sent = {key: value for key, value in sent.items() if key in ("showing", "round", "key")}

    answer = post(site, path, **(sent | body))

    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert all(f"refusal.{code}" in texts for texts in load_label_messages().values())
    assert labels.book.labels("who") == []


def test_names_are_sent_to_the_page_only_where_the_study_suggests_them(site: Any, labels: Any) -> None:
    labels.open()
    labels.open(name="suggesting", suggest=True)

    plain = post(site, "join")
    suggesting = post(site, "join", study="suggesting").json()

    assert plain.json()["study"]["names"] == []
    assert "Elsa" not in plain.text
    assert suggesting["study"]["names"] == ["Elsa", "Pikachu", "Snoopy"]


def test_open_label_studies_are_offered_on_the_first_page_and_to_who_names_none(site: Any, labels: Any) -> None:
    crowd = Crowd(site="prolific", slots=2, completion_code="DONE")
    labels.open(title="Do you <know> them?")
    labels.open(name="by-crowd", title="For the crowd", crowd=crowd)
    labels.open(name="shut")
    labels.book.close_study("shut", now=labels.now)

    first = site.get("/").text
    offered = site.get("/resemblance/api/studies").json()

    assert 'href="/resemblance/?study=who"' in first
    assert "Do you &lt;know&gt; them?" in first
    assert "Up to 5 answers from you" in first
    assert "For the crowd" in first
    assert "study=by-crowd" not in first
    assert "study=shut" not in first
    assert "No study is open yet" not in first
    assert offered == {"studies": [{"name": "who", "title": "Do you <know> them?"}]}


def test_who_never_joined_and_who_sends_no_json_is_refused(site: Any, labels: Any) -> None:
    labels.open()

    stranger = post(site, "consent")
    plain = site.post("/resemblance/api/join", content=json.dumps({"study": "who"}))
    elsewhere = site.post("/resemblance/api/join", json={"study": "who"}, headers={"Origin": "http://evil.example"})

    assert (stranger.status_code, stranger.json()["code"]) == (403, "unknown_rater")
    assert (plain.status_code, elsewhere.status_code) == (415, 403)


def test_a_closed_study_says_so_in_its_own_language(site: Any, labels: Any) -> None:
    labels.open(language="de")
    labels.book.close_study("who", now=labels.now)

    answer = post(site, "join")

    assert (answer.status_code, answer.json()["code"], answer.json()["language"]) == (409, "study_closed", "de")


def test_the_page_its_script_and_its_style_are_open_to_raters_and_hold_no_inline_code(site: Any) -> None:
    page, script, style = (site.get(f"/resemblance/{name}") for name in ("", "resemblance.js", "resemblance.css"))

    assert (page.status_code, script.status_code, style.status_code) == (200, 200, 200)
    assert "script-src 'self';" in page.headers["content-security-policy"]
    assert "<script>" not in page.text
    assert " style=" not in page.text
    assert site.get("/gallery/").status_code in (303, 401)


def test_joining_too_often_from_one_address_is_slowed_down(tmp_path: Any, labels: Any) -> None:
    labels.open()
    settings = Settings(home=tmp_path / "arena", rate_joins="2/minute")
    with TestClient(create_app(settings), base_url="http://127.0.0.1") as client:
        statuses = []
        for _ in range(3):
            client.cookies.clear()
            statuses.append(client.post("/resemblance/api/join", json={"study": "who"}).status_code)

    assert statuses == [200, 200, 429]


def test_a_label_is_on_the_disk_when_it_is_acknowledged(site: Any, labels: Any, database: str) -> None:
    labels.open()
    showing = post(site, "join").json()["showings"][0]

    answer = post(site, "label", **said(showing))

    assert answer.status_code == 200
    with Ledger.open(database) as another:
        assert len(LabelBook(another).labels("who")) == 1
