"""The login page: a plain form without script, and the way out again.

It says nothing about which names exist: an unknown name costs the same time and gets the same sentence. Tries are
limited by address and by name, and one password is checked at a time, so that nobody can fill the machine with them.
"""

from urllib.parse import parse_qs

from anyio import CapacityLimiter, to_thread
from fastapi import APIRouter, HTTPException, Request
from fastapi.responses import RedirectResponse, Response

from arena.accounts import AccountsFileError, Role, password_fits
from arena.addresses import Addresses
from arena.cookies import AccountCookie
from arena.doors import LOGIN, LOGOUT, Doorkeeper, own_path
from arena.pages.html import page
from arena.rate_limits import RateLimiter, in_words

_FORM = "application/x-www-form-urlencoded"
_WRONG = "Name and password do not fit together. Check both and try again."
_LONGEST_NAME = 200


def login_routes(
    doorkeeper: Doorkeeper, cookie: AccountCookie, limiter: RateLimiter, addresses: Addresses
) -> APIRouter:
    """GET and POST /login, POST /logout."""
    router = APIRouter()
    one_at_a_time = CapacityLimiter(1)

    @router.get(LOGIN)
    def show(request: Request) -> Response:
        visitor = doorkeeper.visitor(request.scope)
        after = own_path(request.query_params.get("next", ""))
        if visitor.account is not None:
            return page(
                "account.html",
                account=visitor.account,
                by_proxy=doorkeeper.came_through_proxy(request.scope),
                may_administer=visitor.may_enter(Role.ADMIN),
            )
        return _form(after=after)

    @router.post(LOGIN)
    async def log_in(request: Request) -> Response:
        sent = await _fields(request)
        name, after = sent.get("name", "").strip()[:_LONGEST_NAME], own_path(sent.get("next", ""))
        wait_s = limiter.wait_s("login", addresses.client(request.scope)) or limiter.wait_s("name", name.lower())
        if wait_s:
            answer = _form(after=after, name=name, problem=f"Too many tries. Wait {in_words(wait_s)}.", status=429)
            answer.headers["Retry-After"] = str(wait_s)
            return answer
        try:
            account = doorkeeper.accounts.find(name)
        except AccountsFileError:
            return _form(after=after, name=name, problem="Nobody can log in now. Tell who runs this site.", status=503)
        fits = await to_thread.run_sync(password_fits, account, sent.get("password", ""), limiter=one_at_a_time)
        if account is None or not fits:
            return _form(after=after, name=name, problem=_WRONG, status=401)
        welcome = RedirectResponse(after, 303, {"Cache-Control": "no-store"})
        cookie.write(welcome, account)
        return welcome

    @router.post(LOGOUT)
    def log_out() -> Response:
        goodbye = RedirectResponse("/", 303, {"Cache-Control": "no-store"})
        cookie.clear(goodbye)
        return goodbye

    def _form(*, after: str, name: str = "", problem: str = "", status: int = 200) -> Response:
        return page(
            "login.html",
            status=status,
            after=after,
            name=name,
            problem=problem,
            has_accounts=doorkeeper.accounts.exists,
        )

    return router


async def _fields(request: Request) -> dict[str, str]:
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != _FORM:
        raise HTTPException(415, f"Send the form as {_FORM}.")
    try:
        sent = parse_qs((await request.body()).decode("utf-8"), keep_blank_values=True, max_num_fields=10)
    except ValueError as error:
        raise HTTPException(422, "This form cannot be read.") from error
    return {name: values[-1] for name, values in sent.items()}
