"""The rater's cookie: a number that the ledger gave out, signed so that no one can write another's.

It says nothing but the number; who the person is, the arena does not know.
"""

from collections.abc import Mapping

from itsdangerous import BadSignature, URLSafeTimedSerializer
from starlette.responses import Response

NAME = "arena_rater"
_PATH = "/rate"
_YEAR_S = 365 * 24 * 3600


class RaterCookie:
    """Reads and writes `arena_rater`."""

    def __init__(self, secret: str, *, secure: bool) -> None:
        """`secret` signs; `secure` is for an arena behind TLS: the cookie then never travels in the clear."""
        self._seal = URLSafeTimedSerializer(secret, salt="arena-rater")
        self._secure = secure

    def read(self, cookies: Mapping[str, str]) -> int | None:
        """The rater's number; None without a cookie, and for one that is forged, altered or over a year old."""
        try:
            number = self._seal.loads(cookies.get(NAME, ""), max_age=_YEAR_S)
        except BadSignature:
            return None
        return number if isinstance(number, int) else None

    def write(self, response: Response, rater: int) -> None:
        """Give `rater` to the browser: out of scripts' reach, and not sent along from other sites."""
        response.set_cookie(
            NAME,
            self._seal.dumps(rater),
            max_age=_YEAR_S,
            path=_PATH,
            secure=self._secure,
            httponly=True,
            samesite="lax",
        )
