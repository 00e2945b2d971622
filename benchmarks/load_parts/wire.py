"""HTTP/1.1 by hand, over one kept connection: the raters must cost less than the server that is measured.

In: a path and a JSON value. Out: the status, the headers as bytes, and the body. A general client takes 0.5 ms of CPU
for a request; this one takes about 0.05 ms.
"""

import asyncio
import json
from dataclasses import dataclass
from typing import Any

_ANSWER_S = 60.0


class LostLineError(Exception):
    """The connection ended before the answer came: whether the request was carried out is not known."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What the server said."""

    status: int
    head: bytes
    body: bytes

    def json(self) -> Any:
        """The body's value."""
        return json.loads(self.body)

    def header(self, name: bytes) -> bytes | None:
        """The first header of this name, which is in lower case."""
        for line in self.head.split(b"\r\n")[1:]:
            found, _, value = line.partition(b":")
            if found.strip().lower() == name:
                return value.strip()
        return None


class Line:
    """One browser's connection: it is opened when it is needed, and one request is on its way at a time."""

    def __init__(self, host: str, port: int) -> None:
        self._host, self._port = host, port
        self._wire: _Wire | None = None
        self.cookie = b""

    async def get(self, path: str) -> Answer:
        """Ask for a path. Raises LostLineError."""
        return await self._ask(f"GET {path} HTTP/1.1\r\nhost: {self._host}\r\n".encode(), b"")

    async def post(self, path: str, value: Any) -> Answer:
        """Send JSON. Raises LostLineError."""
        body = json.dumps(value).encode()
        head = (
            f"POST {path} HTTP/1.1\r\nhost: {self._host}\r\n"
            f"content-type: application/json\r\ncontent-length: {len(body)}\r\n"
        )
        return await self._ask(head.encode(), body)

    def close(self) -> None:
        """Hang up."""
        if self._wire is not None:
            self._wire.close()
        self._wire = None

    async def _ask(self, head: bytes, body: bytes) -> Answer:
        cookie = b"cookie: " + self.cookie + b"\r\n" if self.cookie else b""
        try:
            if self._wire is None or self._wire.ended:
                loop = asyncio.get_running_loop()
                _, self._wire = await loop.create_connection(_Wire, self._host, self._port)
            answer = await self._wire.ask(head + cookie + b"\r\n" + body)
        except OSError as error:
            raise LostLineError(str(error)) from error
        given = answer.header(b"set-cookie")
        if given is not None:
            self.cookie = given.partition(b";")[0]
        return answer


class _Wire(asyncio.Protocol):
    """Bytes out, one answer in: of a length that is told, or in chunks."""

    def __init__(self) -> None:
        self.ended = False
        self._transport: asyncio.Transport | None = None
        self._came = bytearray()
        self._waiting: asyncio.Future[Answer] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def connection_lost(self, exc: Exception | None) -> None:
        self.ended = True
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_exception(LostLineError("the server hung up"))

    async def ask(self, request: bytes) -> Answer:
        assert self._transport is not None
        self._waiting = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        try:
            async with asyncio.timeout(_ANSWER_S):
                return await self._waiting
        except TimeoutError as error:
            self.close()
            raise LostLineError(f"no answer within {_ANSWER_S:g} s") from error

    def data_received(self, data: bytes) -> None:
        self._came += data
        end = self._came.find(b"\r\n\r\n")
        if end < 0 or self._waiting is None or self._waiting.done():
            return
        head = bytes(self._came[:end])
        body = _whole_body(head.lower(), self._came, end + 4)
        if body is not None:
            self._came.clear()
            self._waiting.set_result(Answer(int(head[9:12]), head, body))

    def close(self) -> None:
        self.ended = True
        if self._transport is not None:
            self._transport.abort()


def _whole_body(head: bytes, came: bytearray, start: int) -> bytes | None:
    """The body, once all of it is there."""
    at = head.find(b"\r\ncontent-length:")
    if at >= 0:
        length = int(head[at + 17 :].partition(b"\r\n")[0])
        return bytes(came[start : start + length]) if len(came) >= start + length else None
    if b"transfer-encoding: chunked" in head:
        return bytes(came[start:]) if came.endswith(b"0\r\n\r\n") else None
    return b""
