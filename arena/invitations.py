"""Sign-up links: a signed address that lets one person into a study which is not open to everyone.

In: a study's name. Out: a link whose token holds that name, a random number and an end. The number stands for the
person: who opens the link twice is the same rater. Nothing is stored, so a link cannot be called back before it ends;
a new ARENA_SECRET ends all of them.
"""

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from urllib.parse import urlencode

from itsdangerous import BadSignature, URLSafeSerializer

from prompts.errors import CanvasError

LONGEST_TOKEN = 512


class InvitationError(CanvasError):
    """A sign-up link that does not let anyone in."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Invitation:
    """One link for one person."""

    study: str
    token: str
    expires_at: datetime

    def url(self, site: str) -> str:
        """The address to send, at a site such as "https://arena.example.org"."""
        return f"{site.rstrip('/')}/rate/?{urlencode({'study': self.study, 'link': self.token})}"


class Invitations:
    """Makes links and checks them; whoever has the same `secret` agrees on both."""

    def __init__(self, secret: str, *, clock: Callable[[], datetime]) -> None:
        self._seal = URLSafeSerializer(secret, salt="arena-invitation")
        self._clock = clock

    def make_link(self, study: str, *, lasts: timedelta) -> Invitation:
        """A new link to the study, which ends after `lasts`."""
        expires_at = (self._clock() + lasts).replace(microsecond=0)
        token = self._seal.dumps([study, secrets.token_urlsafe(12), int(expires_at.timestamp())])
        assert isinstance(token, str)
        return Invitation(study=study, token=token, expires_at=expires_at)

    def check_link(self, token: str, study: str) -> str:
        """The link's own id, under which the study knows the person. Raises InvitationError."""
        if not token:
            raise InvitationError("This study is open to invited people only: open it with the link you were sent.")
        try:
            value = self._seal.loads(token) if len(token) <= LONGEST_TOKEN else None
        except BadSignature:
            value = None
        if value is None:
            raise InvitationError("This link is not whole. Open it again as it was sent, or ask for a new one.")
        for_study, number, ends = value
        if for_study != study:
            raise InvitationError("This link leads to another study. Ask for one to this study.")
        if self._clock().timestamp() >= ends:
            day = datetime.fromtimestamp(ends, UTC)
            raise InvitationError(f"This link ended on {day:%Y-%m-%d at %H:%M} UTC. Ask for a new one.")
        return str(number)
