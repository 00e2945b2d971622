"""How often is too often: counted per rater, by the signed number in the cookie, and per address.

Pure ASGI, in front of the rating routes; the login page asks the same counters, and so does the route that lets raters
in, for it alone knows who is new: who comes back costs an address nothing. Counts live in this process: with
several replicas each allows as much. A limit reads "10/second;300/minute": fixed windows, all of which must allow.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import ceil

from limits import RateLimitItem, parse_many
from limits.storage import Storage
from limits.strategies import FixedWindowRateLimiter
from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Receive, Scope, Send

from arena.addresses import Addresses
from arena.cookies import RaterCookie
from arena.guard import refuse
from arena.rating_refusals import Code

_COUNT_NEW = "count_new_rater"
_POSTS = ("/rate/api/", "/resemblance/api/")
_JOINS = ("/rate/api/join", "/resemblance/api/join")
# Windows that ended are forgotten when so many were begun since the last time.
_SWEEP_EVERY = 20_000


class Counters(Storage):
    """The library's counters in a plain dictionary.

    Its own in memory starts a thread every 10 ms that walks through all of them: 50 microseconds of CPU per vote with
    500 raters, and 11 here. Everything that counts runs in the event loop, so no lock is needed.
    """

    STORAGE_SCHEME = None

    def __init__(self, clock: Callable[[], float]) -> None:
        super().__init__()
        self._clock = clock
        self._windows: dict[str, tuple[int, float]] = {}
        self._begun = 0

    @property
    def base_exceptions(self) -> type[Exception]:
        """What a storage may raise: nothing, here."""
        return ValueError

    def incr(self, key: str, expiry: float, amount: int = 1) -> int:
        """Count `amount` more in the window of `expiry` seconds, which begins with its first count."""
        now = self._clock()
        count, end = self._windows.get(key, (0, 0.0))
        if end <= now:
            count, end = 0, now + expiry
            self._begun += 1
            if self._begun >= _SWEEP_EVERY:
                self._sweep(now)
        self._windows[key] = (count + amount, end)
        return count + amount

    def get(self, key: str) -> int:
        """The count in the window that is running, else 0."""
        count, end = self._windows.get(key, (0, 0.0))
        return count if end > self._clock() else 0

    def get_expiry(self, key: str) -> float:
        """When the key's window ends, on the clock's own scale."""
        return self._windows.get(key, (0, self._clock()))[1]

    def check(self) -> bool:
        """A dictionary is always there."""
        return True

    def reset(self) -> int:
        """Forget everything; how much that was."""
        size = len(self._windows)
        self._windows.clear()
        return size

    def clear(self, key: str) -> None:
        """Forget one key."""
        self._windows.pop(key, None)

    def __len__(self) -> int:
        return len(self._windows)

    def _sweep(self, now: float) -> None:
        self._windows = {key: window for key, window in self._windows.items() if window[1] > now}
        self._begun = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Rates:
    """What is allowed: requests of one rater, requests, new raters and logins from one address, tries at one name."""

    per_rater: str
    per_address: str
    joins: str
    logins: str


class RateLimiter:
    """Counts, and says how long to wait. With `rates` None it allows everything: for benchmarks."""

    def __init__(self, rates: Rates | None, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._window = FixedWindowRateLimiter(Counters(clock))
        self._items: Mapping[str, list[RateLimitItem]] = (
            {}
            if rates is None
            else {
                "rater": parse_many(rates.per_rater),
                "address": parse_many(rates.per_address),
                "join": parse_many(rates.joins),
                "login": parse_many(rates.logins),
                "name": parse_many(rates.logins),
            }
        )

    def wait_s(self, kind: str, who: str) -> int:
        """Count one more of `kind` by `who`: 0 when it is allowed, else the seconds until it may be tried again."""
        for item in self._items.get(kind, ()):
            if not self._window.hit(item, kind, who):
                return max(1, ceil(self._window.get_window_stats(item, kind, who).reset_time - self._clock()))
        return 0


class RateLimits:
    """Middleware: refuses what comes too often to the rating routes with 429 and the seconds to wait."""

    def __init__(self, app: ASGIApp, *, limiter: RateLimiter, addresses: Addresses, cookie: RaterCookie) -> None:
        self._app = app
        self._limiter = limiter
        self._addresses = addresses
        self._cookie = cookie

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Count, then pass on or refuse."""
        if scope["type"] == "http" and scope["method"] == "POST" and scope["path"].startswith(_POSTS):
            wait_s = self._wait_s(scope)
            if wait_s:
                header = (b"retry-after", str(wait_s).encode())
                await refuse(send, 429, too_many(wait_s), header, code=Code.TOO_MANY_REQUESTS)
                return
            if scope["path"].rstrip("/") in _JOINS:
                address = self._addresses.client(scope)
                scope.setdefault("state", {})[_COUNT_NEW] = lambda: self._limiter.wait_s("join", address)
        await self._app(scope, receive, send)

    def _wait_s(self, scope: Scope) -> int:
        address = self._addresses.client(scope)
        # Read exactly as the routes read it: of two cookies with one name both must take the same.
        rater = self._cookie.read(HTTPConnection(scope).cookies)
        if rater is not None:
            # First, so that one rater's refused requests are not counted against everyone at the same address.
            wait_s = self._limiter.wait_s("rater", str(rater))
            return wait_s or self._limiter.wait_s("address", address)
        return self._limiter.wait_s("address", address)


def new_rater_wait_s(scope: Scope) -> int:
    """Count a new rater from the request's address: 0 when one may come, else the seconds until the next may.

    To be asked in the event loop, where everything is counted.
    """
    count: Callable[[], int] | None = scope.get("state", {}).get(_COUNT_NEW)
    return 0 if count is None else count()


def too_many(wait_s: int) -> str:
    """The sentence for who has to wait."""
    return f"Too many requests came from here. Try again in {in_words(wait_s)}."


def in_words(seconds: int) -> str:
    """How long, for people."""
    if seconds <= 90:
        return "1 second" if seconds == 1 else f"{seconds} seconds"
    return f"{ceil(seconds / 60)} minutes"
