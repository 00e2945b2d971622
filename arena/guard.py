"""The guard before every route: which paths exist, who may post, and what a browser is told about each answer.

Pure ASGI, so that Gradio's event streams pass through unbuffered. Gradio's own routes are open by default (uploads,
remote files, its configuration, its documentation); here a page gets only the routes that its script needs, by name,
and everything else under its mount answers 404 as if it were not there.
"""

import json
import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from urllib.parse import parse_qsl

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from arena.rating_refusals import Code, refusal

# What Gradio's script asks for on any page of ours: its own files and the first handshake.
SHELL_READS = ("assets/", "static/", "theme.css", "gradio_api/startup-events", "gradio_api/heartbeat/")
# What it asks for besides on a page whose events run in Python.
EVENT_READS = ("gradio_api/queue/data",)
EVENT_POSTS = ("gradio_api/queue/join", "gradio_api/reset", "gradio_api/cancel")

LARGEST_BODY_BYTES = 64 * 1024

_READS = ("GET", "HEAD")
# Gradio makes addresses and file names of what it is given, and stumbles over what can be neither.
_HOST = re.compile(r"(\[[0-9A-Fa-f:.]{2,45}\]|[A-Za-z0-9._-]{1,253})(:[0-9]{1,5})?")
_BELOW = re.compile(r"[A-Za-z0-9._~/-]{1,200}")
# A deep link makes Gradio read a stored state from disk by a name in the URL; our pages have no pages below them.
_GRADIOS_OWN = {"deep_link", "page"}
# What names another address to Gradio than the one that was asked.
_MISLEADING = {b"x-gradio-server", b"x-gradio-target", b"x-gradio-user"}
_log = logging.getLogger(__name__)
_COMMON_HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(), microphone=(), geolocation=()"),
)
_OWN_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; font-src 'self'; connect-src 'self'; "
    "manifest-src 'self'; base-uri 'none'; frame-ancestors 'none'; form-action 'self'"
)
# Gradio's shell has inline scripts and styles and compiles its templates in the browser; Plotly starts blob workers.
_SHELL_POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; font-src 'self' data:; connect-src 'self'; worker-src 'self' blob:; "
    "object-src 'none'; base-uri 'self'; frame-ancestors 'none'; form-action 'self'"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Doors:
    """What passes through a Gradio mount: prefixes of the paths below it, for reading and for posting."""

    reads: tuple[str, ...] = SHELL_READS
    posts: tuple[str, ...] = ()


# A page that only shows one component, and a page with events in Python.
STILL_PAGE = Doors()
LIVE_PAGE = Doors(reads=SHELL_READS + EVENT_READS, posts=EVENT_POSTS)


@dataclass(frozen=True, slots=True)
class _Refused:
    """What has no business here: the status, the sentence for programs, and the code for our own pages."""

    status: int
    sentence: str
    code: Code | None = None


class Guard:
    """Middleware around the whole site."""

    def __init__(self, app: ASGIApp, *, mounts: Mapping[str, Doors], ours: Mapping[str, str]) -> None:
        """`mounts` maps a Gradio mount ("/rate") to the doors that stand open in it.

        `ours` maps a prefix of our own routes below a mount ("/rate/api/") to the one method that they take.
        """
        self._app = app
        self._mounts = dict(mounts)
        self._ours = dict(ours)
        self._our_places = tuple(self._ours)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse what has no business here, and put the security headers on whatever answers."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":
            await send({"type": "websocket.close", "code": 1008})
            return
        mount = self._mount_of(scope["path"])
        policy = _OWN_POLICY if mount is None else _SHELL_POLICY
        refused = self._refusal(scope, mount)
        guarded = _with_headers(send, policy)
        if refused is not None:
            await refuse(guarded, refused.status, refused.sentence, code=refused.code)
        elif mount is None:
            await self._app(scope, receive, guarded)
        else:
            kept = [header for header in scope["headers"] if header[0] not in _MISLEADING]
            await self._pass_to_gradio({**scope, "headers": kept}, receive, guarded)

    async def _pass_to_gradio(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Gradio trusts what its own script sends: an event that it stumbles over came from elsewhere, and is a 422."""
        stumbled = False

        async def sending(message: Message) -> None:
            nonlocal stumbled
            stumbled = stumbled or (message.get("status") == 500 and scope["method"] == "POST")
            if not stumbled:
                await send(message)

        try:
            await self._app(scope, receive, sending)
        except Exception as error:
            if not stumbled:
                raise
            _log.warning("Gradio could not take an event at %s: %.300r", scope["path"], error)
        if stumbled:
            await refuse(send, 422, "This event cannot be read. Load the page anew.", code=Code.UNREADABLE_REQUEST)

    def _mount_of(self, path: str) -> str | None:
        if path.startswith(self._our_places):
            return None
        return next((mount for mount in self._mounts if path == mount or path.startswith(f"{mount}/")), None)

    def _refusal(self, scope: Scope, mount: str | None) -> _Refused | None:
        method = scope["method"]
        if not _names_a_host(scope):
            return _Refused(400, "This request names no host.", Code.UNREADABLE_REQUEST)
        if "\x00" in scope["path"] or b"%00" in scope.get("query_string", b""):
            return _Refused(400, "This address cannot be read.", Code.UNREADABLE_REQUEST)
        if mount is not None and not _stands_open(self._mounts[mount], mount, scope):
            # Without a code, like an address that never was.
            return _Refused(404, "There is nothing at this address.")
        taken = next((one for prefix, one in self._ours.items() if scope["path"].startswith(prefix)), method)
        if method != taken:
            return _Refused(405, f"This address takes {taken} requests only.", Code.UNREADABLE_REQUEST)
        if method in _READS:
            return None
        headers = {name.lower(): value.decode("latin-1") for name, value in scope["headers"]}
        if _comes_from_elsewhere(headers):
            return _Refused(403, "This request came from another site and was refused.", Code.FROM_ANOTHER_SITE)
        return _body_refusal(headers) if method == "POST" else None


async def refuse(send: Send, status: int, sentence: str, *extra: tuple[bytes, bytes], code: Code | None = None) -> None:
    """Answer `{"error": sentence, "code": code}`, which no browser keeps, with `extra` headers.

    What a rater's page can be answered has its code.
    """
    body = json.dumps(refusal(sentence, code)).encode()
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
        (b"cache-control", b"no-store"),
        *extra,
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def _stands_open(doors: Doors, mount: str, scope: Scope) -> bool:
    path: str = scope["path"]
    below = path.removeprefix(mount).removeprefix("/")
    if not below:
        query = scope.get("query_string", b"").decode("latin-1")
        asked = {name for name, _ in parse_qsl(query, keep_blank_values=True)}
        return scope["method"] in _READS and not asked & _GRADIOS_OWN
    if "//" in path or ".." in path or not _BELOW.fullmatch(below):
        return False
    if scope["method"] in _READS:
        return below.startswith(doors.reads)
    return scope["method"] == "POST" and below.rstrip("/") in doors.posts


def _names_a_host(scope: Scope) -> bool:
    named = []
    for name, value in scope["headers"]:
        if name == b"host":
            named.append(value.decode("latin-1"))
        elif name == b"x-forwarded-host":
            named += [part.strip() for part in value.decode("latin-1").split(",") if part.strip()]
    return all(_HOST.fullmatch(one) for one in named)


def _comes_from_elsewhere(headers: Mapping[bytes, str]) -> bool:
    """Browsers say where a request starts; a program that says nothing carries no one's cookie."""
    if headers.get(b"sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        return True
    origin = headers.get(b"origin")
    return origin is not None and origin.partition("://")[2] != headers.get(b"host", "")


def _body_refusal(headers: Mapping[bytes, str]) -> _Refused | None:
    length = headers.get(b"content-length", "")
    if not length.isascii() or not length.isdigit():
        return _Refused(411, "A request with a body has to say its length.", Code.UNREADABLE_REQUEST)
    if int(length) > LARGEST_BODY_BYTES:
        sentence = f"A request's body may be {LARGEST_BODY_BYTES} bytes at most."
        return _Refused(413, sentence, Code.UNREADABLE_REQUEST)
    return None


@cache
def _headers_under(policy: str) -> tuple[tuple[bytes, bytes], ...]:
    return (*_COMMON_HEADERS, (b"content-security-policy", policy.encode()))


def _with_headers(send: Send, policy: str) -> Send:
    extra = _headers_under(policy)

    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            message = {**message, "headers": [*message.get("headers", []), *extra]}
        await send(message)

    return sending
