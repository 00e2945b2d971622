"""The two signed cookies: a rater's number, and the name of whoever logged in. No one can write another's.

The rater's says nothing but a number that the ledger gave out; who the person is, the arena does not know. The
account's says a name and the stamp of the password that was given, so that a new password ends old sessions.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass

from itsdangerous import BadSignature, URLSafeTimedSerializer
from starlette.responses import Response

from arena.accounts import Account

NAME = "arena_rater"
ACCOUNT_NAME = "arena_account"
_PATH = "/rate"
_YEAR_S = 365 * 24 * 3600
_SESSION_S = 12 * 3600
_REMEMBERED = 20_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """A login that was once right: whether it still is, the account says."""

    name: str
    stamp: str

    def belongs_to(self, account: Account) -> bool:
        """Whether the account still has the name and the password that this session began with."""
        return bool(account.password) and (self.name, self.stamp) == (account.name, account.stamp)


class RaterCookie:
    """Reads and writes `arena_rater`."""

    def __init__(self, secret: str, *, secure: bool, path: str = _PATH) -> None:
        """`secret` signs; `secure` is for an arena behind TLS: the cookie then never travels in the clear.

        `path`: below which of the site's addresses the browser sends it.
        """
        self._seal = URLSafeTimedSerializer(secret, salt="arena-rater")
        self._secure = secure
        self._path = path
        # A vote's cookie is read twice, and checking a signature costs 22 microseconds. Only true ones are kept here.
        self._read_before: dict[str, tuple[int, float]] = {}

    def read(self, cookies: Mapping[str, str]) -> int | None:
        """The rater's number; None without a cookie, and for one that is forged, altered or over a year old."""
        sealed = cookies.get(NAME)
        if sealed is None:
            return None
        known = self._read_before.get(sealed)
        if known is not None and time.time() < known[1]:
            return known[0]
        try:
            number, signed_at = self._seal.loads(sealed, max_age=_YEAR_S, return_timestamp=True)
        except BadSignature:
            return None
        if not isinstance(number, int):
            return None
        if len(self._read_before) >= _REMEMBERED:
            self._read_before.clear()
        self._read_before[sealed] = (number, signed_at.timestamp() + _YEAR_S)
        return number

    def forget(self, response: Response) -> None:
        """Take the number away from the browser."""
        response.delete_cookie(NAME, path=self._path)

    def write(self, response: Response, rater: int) -> None:
        """Give `rater` to the browser: out of scripts' reach, and not sent along from other sites."""
        response.set_cookie(
            NAME,
            self._seal.dumps(rater),
            max_age=_YEAR_S,
            path=self._path,
            secure=self._secure,
            httponly=True,
            samesite="lax",
        )


class AccountCookie:
    """Reads, writes and takes back `arena_account`; it lasts twelve hours."""

    def __init__(self, secret: str, *, secure: bool) -> None:
        """`secret` signs; `secure` is for an arena behind TLS."""
        self._seal = URLSafeTimedSerializer(secret, salt="arena-account")
        self._secure = secure

    def read(self, cookies: Mapping[str, str]) -> Session | None:
        """The session in the cookie; None without one, and for one that is forged, altered or over twelve hours old."""
        try:
            value = self._seal.loads(cookies.get(ACCOUNT_NAME, ""), max_age=_SESSION_S)
        except BadSignature:
            return None
        if not isinstance(value, list) or len(value) != 2 or not all(isinstance(part, str) for part in value):
            return None
        return Session(name=value[0], stamp=value[1])

    def write(self, response: Response, account: Account) -> None:
        """Begin a session."""
        response.set_cookie(
            ACCOUNT_NAME,
            self._seal.dumps([account.name, account.stamp]),
            max_age=_SESSION_S,
            secure=self._secure,
            httponly=True,
            samesite="lax",
        )

    def clear(self, response: Response) -> None:
        """End the session in this browser."""
        response.delete_cookie(ACCOUNT_NAME, secure=self._secure, httponly=True, samesite="lax")
