"""The judge behind an endpoint, against a real server on this machine that speaks chat completions."""

import base64
import io
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from PIL import Image

from evaluation.audit.judges.base import JudgeSettings
from evaluation.audit.judges.endpoint import EndpointError, open_judge
from prompts.probes import ProbeSet

REPLY = tuple[int, dict[str, str], Any]


@dataclass
class Server:
    """What it was asked, and what it answers: `script` first, then what `looks` says of the image."""

    address: str = ""
    asked: list[dict[str, Any]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    script: list[REPLY] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)


def looks(body: dict[str, Any]) -> str:
    """A judge that knows colours: red is the cross, green the ring."""
    url = body["messages"][0]["content"][1]["image_url"]["url"]
    image = Image.open(io.BytesIO(base64.b64decode(url.removeprefix("data:image/png;base64,"))))
    red, green, _ = image.getpixel((image.width // 2, image.height // 2))  # type: ignore[misc]
    return "The Red Cross." if red > 200 and green < 50 else "none"


@pytest.fixture
def server() -> Iterator[Server]:
    """A server of one test."""
    state = Server()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            with state.lock:
                state.asked.append({"path": self.path, **body})
                state.headers.append(dict(self.headers))
                status, headers, told = state.script.pop(0) if state.script else (200, {}, None)
            if told is None:
                told = {"model": "colours-1.2", "choices": [{"message": {"content": looks(body)}}]}
            sent = told.encode() if isinstance(told, str) else json.dumps(told).encode()
            self.send_response(status)
            for name, value in {"Content-Length": str(len(sent)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(sent)

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    listening = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    state.address = f"http://127.0.0.1:{listening.server_port}/v1"
    thread = threading.Thread(target=listening.serve_forever, daemon=True)
    thread.start()
    yield state
    listening.shutdown()
    thread.join(timeout=10)
    listening.server_close()


@pytest.fixture
def asking(server: Server, settings: JudgeSettings) -> JudgeSettings:
    """How the server is asked."""
    return replace(settings, address=server.address, model="colours", key="s3cret", attempts=3, patience_s=10.0)


def test_the_model_sees_the_image_and_the_question_and_never_the_name(
    server: Server, asking: JudgeSettings, targets: ProbeSet, drawn: dict[str, Image.Image]
) -> None:
    pictures = [drawn["cross"], drawn["ring"], drawn["cross"]]
    about = [targets.probe(key) for key in ("cross", "ring", "ring")]
    done: list[int] = []

    found = open_judge(targets, asking).judge(pictures, about, ["x"] * 3, done.append)

    assert found.values.tolist() == [1, 0, 0]
    assert found.recognised == ("cross", None, "cross")
    assert found.said == ("The Red Cross.", "none", "The Red Cross.")
    assert found.counts == {"answered by colours-1.2": 3}
    assert sum(done) == 3
    assert {one["path"] for one in server.asked} == {"/v1/chat/completions"}
    assert {one["model"] for one in server.asked} == {"colours"}
    words = [part["text"] for one in server.asked for part in one["messages"][0]["content"] if part["type"] == "text"]
    assert all(probe.named_in(text) is None for text in words for probe in targets)
    assert {one["Authorization"] for one in server.headers} == {"Bearer s3cret"}


def test_the_key_stays_out_of_the_details_and_of_what_is_printed(targets: ProbeSet, asking: JudgeSettings) -> None:
    judge = open_judge(targets, asking)

    assert "s3cret" not in json.dumps(judge.details)
    assert "s3cret" not in repr(asking)


def test_a_busy_server_is_asked_again_after_a_growing_wait(
    server: Server, asking: JudgeSettings, targets: ProbeSet, drawn: dict[str, Image.Image]
) -> None:
    server.script = [(503, {}, "busy"), (429, {"Retry-After": "7"}, "slow down")]
    waits: list[float] = []

    found = open_judge(targets, asking, waits.append).judge([drawn["cross"]], [targets.probe("cross")], ["x"])

    assert found.values.tolist() == [1]
    assert waits == [1.0, 7.0]


def test_a_server_that_stays_busy_is_given_up(
    server: Server, asking: JudgeSettings, targets: ProbeSet, drawn: dict[str, Image.Image]
) -> None:
    server.script = [(500, {}, "no")] * 3
    waits: list[float] = []

    with pytest.raises(EndpointError, match=r"gave no answer in 3 attempts \(it answered 500\)"):
        open_judge(targets, asking, waits.append).judge([drawn["cross"]], [targets.probe("cross")], ["x"])

    assert waits == [1.0, 2.0]


def test_a_server_that_is_not_there_is_named(
    asking: JudgeSettings, targets: ProbeSet, drawn: dict[str, Image.Image]
) -> None:
    gone = replace(asking, address="http://127.0.0.1:9/v1")

    with pytest.raises(EndpointError, match=r"http://127.0.0.1:9/v1/chat/completions gave no answer in 3 attempts"):
        open_judge(targets, gone, lambda seconds: None).judge([drawn["cross"]], [targets.probe("cross")], ["x"])


@pytest.mark.parametrize(
    ("reply", "says"),
    [
        ((401, {}, "bad key"), r"refuses the key \(401\)"),
        ((404, {}, "no such model"), r"answered 404: 'no such model'"),
        ((200, {}, "<html>hello</html>"), r"does not answer as chat completions do"),
        ((200, {}, {"choices": []}), r"does not answer as chat completions do"),
        ((200, {}, [1]), r"does not answer as chat completions do"),
        ((302, {"Location": "http://127.0.0.1:9/elsewhere"}, ""), r"answered 302"),
    ],
)
def test_an_answer_that_is_none_is_told_at_once(
    reply: REPLY,
    says: str,
    server: Server,
    asking: JudgeSettings,
    targets: ProbeSet,
    drawn: dict[str, Image.Image],
) -> None:
    server.script = [reply]

    with pytest.raises(EndpointError, match=says):
        open_judge(targets, asking).judge([drawn["cross"]], [targets.probe("cross")], ["x"])

    assert len(server.asked) == 1


def test_a_model_that_says_nothing_recognises_nobody(
    server: Server, asking: JudgeSettings, targets: ProbeSet, drawn: dict[str, Image.Image]
) -> None:
    server.script = [(200, {}, {"choices": [{"message": {"content": None}}]})]

    found = open_judge(targets, asking).judge([drawn["cross"]], [targets.probe("cross")], ["x"])

    assert (found.values[0], found.said[0]) == (0, "")
    assert found.counts == {"answered by colours": 1}


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"address": None}, "needs an address and a model"),
        ({"model": None}, "needs an address and a model"),
        ({"address": "localhost:8000"}, "is no address"),
        ({"address": "http://models.example.org/v1"}, "would travel unencrypted"),
    ],
)
def test_an_endpoint_that_cannot_be_asked_is_refused_before_anything_is_sent(
    changes: dict[str, Any], says: str, asking: JudgeSettings, targets: ProbeSet
) -> None:
    with pytest.raises(EndpointError, match=says):
        open_judge(targets, replace(asking, **changes))


def test_another_model_or_address_makes_another_judge(targets: ProbeSet, asking: JudgeSettings) -> None:
    def told(**changes: Any) -> str:
        return str(open_judge(targets, replace(asking, **changes)).details["judge_hash"])

    assert told() == told(key="another", batch_size=7)
    assert len({told(), told(model="other"), told(address="http://127.0.0.1:1/v1")}) == 3
