"""Who is at the door, and which rooms are theirs.

In: an ASGI scope. Out: a `Visitor`, or a refusal before anything of the page is touched. Anyone may rate; results need
a researcher, administration an admin. Whatever is not named open here needs a researcher, so that a page which someone
adds is closed until they decide otherwise. Pure ASGI: Gradio's own routes and event streams are behind it as well.
"""

import logging
from dataclasses import dataclass
from urllib.parse import quote, urlencode

from starlette.requests import HTTPConnection
from starlette.responses import RedirectResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from arena.accounts import Account, AccountsFile, AccountsFileError, Role
from arena.addresses import Addresses
from arena.cookies import AccountCookie
from arena.guard import refuse
from arena.settings import Settings

LOGIN = "/login"
LOGOUT = "/logout"
ADMIN = "/admin"

#: What anyone may ask for, each with all that lies below it. The first page, "/", is open as well.
OPEN = ("/rate", "/resemblance", "/assets", LOGIN, LOGOUT, "/healthz", "/favicon.svg", "/favicon.ico", "/manifest.json")
# Every vote passes here, so what is asked of its path is worked out beforehand.
_OPEN_PLACES = frozenset(("/", *OPEN))
_OPEN_BELOW = tuple(f"{place}/" for place in OPEN)

_LOCAL_NAMES = ("localhost", "127.0.0.1", "[::1]")
_FORWARDED = (b"forwarded", b"x-forwarded-for", b"x-forwarded-host", b"x-real-ip")
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Visitor:
    """Whoever sent a request. `reads_results` also holds for anyone where results are open."""

    account: Account | None
    reads_results: bool

    @property
    def role(self) -> Role:
        """Everyone is a rater at least."""
        return Role.RATER if self.account is None else self.account.role

    def may_enter(self, needed: Role) -> bool:
        """Whether a room that needs this role is theirs."""
        return self.role.reaches(needed) or (needed is Role.RESEARCHER and self.reads_results)


class Doorkeeper:
    """Knows the accounts, the sessions and the proxies; the one place where a request becomes a person."""

    def __init__(
        self,
        accounts: AccountsFile,
        cookie: AccountCookie,
        addresses: Addresses,
        *,
        proxy_user_header: str = "",
        open_results: bool | None = None,
        serves_this_machine_only: bool = False,
    ) -> None:
        """`open_results` None opens them where no account exists and the site serves this machine only."""
        self.accounts = accounts
        self._cookie = cookie
        self._addresses = addresses
        self._header = proxy_user_header.lower().encode("latin-1")
        self._open_results = open_results
        self._here_only = serves_this_machine_only

    def visitor(self, scope: Scope) -> Visitor:
        """Who asks. An accounts file that cannot be read lets nobody in, and the log says why."""
        try:
            account = self._account(scope)
        except AccountsFileError as error:
            _log.error("%s", error)
            account = None
        return Visitor(account=account, reads_results=self.opens_results_to(scope))

    def opens_results_to(self, scope: Scope) -> bool:
        """Whether results are open to this request, whoever sends it."""
        if self._open_results is not None:
            return self._open_results
        return self._here_only and not self.accounts.exists and _is_local(scope)

    def came_through_proxy(self, scope: Scope) -> bool:
        """Whether a trusted proxy says who this is."""
        return self._named_by_proxy(scope) is not None

    def _account(self, scope: Scope) -> Account | None:
        named = self._named_by_proxy(scope)
        if named is not None:
            return self.accounts.find(named)
        session = self._cookie.read(HTTPConnection(scope).cookies)
        if session is None:
            return None
        account = self.accounts.find(session.name)
        return account if account is not None and session.belongs_to(account) else None

    def _named_by_proxy(self, scope: Scope) -> str | None:
        if not self._header or not self._addresses.comes_through_proxy(scope):
            return None
        names = [value.decode("latin-1") for name, value in scope["headers"] if name == self._header]
        # Two of them: one could be the visitor's own, which the proxy failed to take away.
        return names[0] if len(names) == 1 and names[0].strip() else None


class Doors:
    """Middleware: lets through whoever may enter, and shows people who may not where to log in."""

    def __init__(self, app: ASGIApp, *, doorkeeper: Doorkeeper) -> None:
        self._app = app
        self._doorkeeper = doorkeeper

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on with `request.state.visitor`, or refuse."""
        needed = needed_role(scope["path"]) if scope["type"] in ("http", "websocket") else Role.RATER
        if needed is Role.RATER:
            await self._app(scope, receive, send)
            return
        visitor = self._doorkeeper.visitor(scope)
        if visitor.may_enter(needed):
            scope.setdefault("state", {})["visitor"] = visitor
            await self._app(scope, receive, send)
        elif visitor.account is not None:
            await self._answer_refused(visitor.account, needed, scope, receive, send)
        elif _is_a_person(scope):
            address = f"{LOGIN}?{urlencode({'next': _address(scope)})}"
            await RedirectResponse(address, 303, {"Cache-Control": "no-store"})(scope, receive, send)
        else:
            await refuse(send, 401, "Log in first: this address is not open to everyone.")

    async def _answer_refused(self, account: Account, needed: Role, scope: Scope, receive: Receive, send: Send) -> None:
        sentence = f"This needs the role {needed}; you are here as {account.name}, {account.role}."
        if not _is_a_person(scope):
            await refuse(send, 403, sentence)
            return
        from arena.pages.html import page

        await page("problem.html", status=403, heading="Not your door", sentence=sentence)(scope, receive, send)


def needed_role(path: str) -> Role:
    """The role that the address asks for."""
    if path in _OPEN_PLACES or path.startswith(_OPEN_BELOW):
        return Role.RATER
    return Role.ADMIN if path == ADMIN or path.startswith(f"{ADMIN}/") else Role.RESEARCHER


def administers(state: object) -> bool:
    """Whether the doors let an admin through; `state` is the request's, without a visitor where they had no look."""
    visitor = getattr(state, "visitor", None)
    return isinstance(visitor, Visitor) and visitor.may_enter(Role.ADMIN)


def own_path(text: str) -> str:
    """`text` where it is a path on this site, to send a browser on to; else "/".

    Browsers read "//host" and "/\\host" as other sites, and drop tabs and line ends before they look.
    """
    plain = text.isascii() and text.isprintable() and not any(mark in text for mark in (" ", "\\"))
    return text if plain and text.startswith("/") and not text.startswith("//") and len(text) <= 1000 else "/"


def make_doorkeeper(settings: Settings, addresses: Addresses, secret: str) -> Doorkeeper:
    """The doorkeeper that the settings ask for. Raises AccountsFileError for accounts that cannot be read."""
    accounts = AccountsFile(settings.accounts)
    accounts.all()
    return Doorkeeper(
        accounts,
        AccountCookie(secret, secure=settings.cookie_secure),
        addresses,
        proxy_user_header=settings.proxy_user_header,
        open_results=settings.open_results,
        serves_this_machine_only=settings.serves_this_machine_only,
    )


def notices(settings: Settings) -> list[str]:
    """What whoever starts the site should know about its doors, one sentence each."""
    said = []
    has_accounts = settings.accounts.exists()
    if settings.open_results:
        said.append("Results are open to everyone who reaches this site (ARENA_OPEN_RESULTS).")
    elif not has_accounts and (settings.open_results is False or not settings.serves_this_machine_only):
        said.append(
            "Results are closed, and nobody can log in yet: add an account with "
            "'canvas arena account add NAME --role admin'."
        )
    if has_accounts and not settings.serves_this_machine_only and not settings.cookie_secure:
        said.append(
            "Passwords cross the network in the clear unless TLS is in front of this site; "
            "with TLS, set ARENA_COOKIE_SECURE=true."
        )
    if not settings.rate_limits:
        said.append("Rate limits are off (ARENA_RATE_LIMITS): that is for benchmarks, not for people.")
    return said


def _is_a_person(scope: Scope) -> bool:
    """Whether a browser asks for a page, and not a script for data."""
    if scope["type"] != "http" or scope["method"] not in ("GET", "HEAD"):
        return False
    return any(name == b"accept" and b"text/html" in value for name, value in scope["headers"])


def _address(scope: Scope) -> str:
    query = scope.get("query_string", b"").decode("latin-1")
    path = quote(scope["path"], safe="/@:")
    return f"{path}?{query}" if query else path


def _is_local(scope: Scope) -> bool:
    """Whether the browser itself is on this machine, as far as its request tells.

    A proxy on this machine connects from here too, but says for whom; and a site elsewhere whose name is made to lead
    here still sends its own name.
    """
    headers = dict(scope["headers"])
    host = headers.get(b"host", b"").decode("latin-1").lower()
    name = host if host.endswith("]") else host.rpartition(":")[0] or host
    return name in _LOCAL_NAMES and not any(header in headers for header in _FORWARDED)
