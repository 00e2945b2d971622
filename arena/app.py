"""The site: our routes, Gradio's shells and the guard, put together and served.

Importing this module loads no web library: `serve` can say that its port is taken before it spends seconds on that.
"""

import asyncio
import errno
import gc
import logging
import os
import socket
import threading
import warnings
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from functools import cache
from typing import TYPE_CHECKING

from arena.settings import Settings
from prompts.console import say
from prompts.errors import CanvasError

if TYPE_CHECKING:
    from fastapi import FastAPI
    from starlette.requests import Request
    from starlette.responses import Response

    from arena.cookies import RaterCookie
    from arena.doors import Doorkeeper

#: Bodies of Gradio's own requests; our routes take far less.
_GRADIO_FILE_LIMIT = "1kb"
_START_S = 120
_SHUTDOWN_S = 1
_KEEP_ALIVE_S = 75


class PortInUseError(CanvasError):
    """A port that another program holds, or that this user may not open."""


def create_app(settings: Settings) -> "FastAPI":
    """The whole site over the arena that `settings` names; its ledger is closed when the server stops.

    Raises what `Ledger.open` raises for a database that cannot be used, and AccountsFileError for such accounts.
    """
    _calm_gradio(settings)
    return _inside_a_loop(lambda: _build(settings))


def _build(settings: Settings) -> "FastAPI":
    import gradio as gr
    import numpy as np
    from fastapi import FastAPI
    from starlette.staticfiles import StaticFiles

    from arena.accounts import Role
    from arena.api import answer_errors, rating_routes, research_routes
    from arena.cookies import RaterCookie
    from arena.images import ImageStore
    from arena.invitations import Invitations
    from arena.labelling.api import PREFIX, label_routes
    from arena.labelling.room import LabelRoom
    from arena.ledger.ledger import Ledger
    from arena.pages.admin import admin_routes
    from arena.pages.dashboard import dashboard_page
    from arena.pages.gallery import gallery_routes
    from arena.pages.home import home_routes
    from arena.pages.html import ASSETS
    from arena.pages.metrics import metrics_routes
    from arena.pages.rate import rating_page
    from arena.pages.reports import reports_routes
    from arena.pages.shell import HEAD, house_theme
    from arena.quality import Gates
    from arena.rating import RatingRoom
    from arena.reception import Reception

    secret = settings.signing_secret
    rater_cookie = RaterCookie(secret, secure=settings.cookie_secure)
    ledger = Ledger.open(settings.database_url)
    images = ImageStore(settings.images_url)
    room = RatingRoom(ledger, images, identity_secret=secret)

    @asynccontextmanager
    async def life(_: FastAPI) -> AsyncIterator[None]:
        yield
        ledger.close()

    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None, lifespan=life)
    doorkeeper = _post_guards(app, settings, secret, rater_cookie)
    answer_errors(app)
    _answer_missing(app)
    app.include_router(
        rating_routes(
            room,
            Reception(ledger, room, check_link=Invitations(secret, clock=lambda: datetime.now(UTC)).check_link),
            rater_cookie,
            clock=lambda: datetime.now(UTC),
            dice=cache(np.random.default_rng),
            may_read=lambda scope: doorkeeper.visitor(scope).may_enter(Role.RESEARCHER),
        )
    )
    app.include_router(
        label_routes(
            LabelRoom(ledger, images, identity_secret=secret),
            RaterCookie(secret, secure=settings.cookie_secure, path=PREFIX),
            clock=lambda: datetime.now(UTC),
            dice=cache(np.random.default_rng),
        )
    )
    app.include_router(research_routes(ledger, images))
    app.include_router(home_routes(ledger, doorkeeper))
    app.include_router(gallery_routes(ledger))
    app.include_router(metrics_routes(ledger))
    app.include_router(
        admin_routes(
            ledger,
            quality=lambda record, raters: (
                record.study.gates or Gates(),
                ledger.quality_votes(f"{record.name}@{record.version}", raters=raters),
            ),
            clock=lambda: datetime.now(UTC),
        )
    )
    app.include_router(reports_routes(ledger))
    app.mount("/assets", StaticFiles(directory=ASSETS), name="assets")
    _serve_icons(app)

    @app.get("/healthz")
    def healthz() -> dict[str, str]:
        """For whoever watches the site: it answers, and so does its ledger."""
        ledger.studies()
        return {"status": "ok"}

    for path, page in (("/rate", rating_page()), ("/dashboard", dashboard_page(ledger))):
        app = gr.mount_gradio_app(
            app,
            page,
            path=path,
            theme=house_theme(),
            head=HEAD,
            footer_links=[],
            ssr_mode=False,
            show_error=False,
            max_file_size=_GRADIO_FILE_LIMIT,
            enable_monitoring=False,
        )
    return app


def _post_guards(app: "FastAPI", settings: Settings, secret: str, rater_cookie: "RaterCookie") -> "Doorkeeper":
    """What stands before every route, and the login that opens some: paths, then how often, then who."""
    from arena.addresses import Addresses, read_networks
    from arena.cookies import AccountCookie
    from arena.doors import Doors, make_doorkeeper
    from arena.guard import LIVE_PAGE, STILL_PAGE, Guard
    from arena.heads import Heads
    from arena.pages.login import login_routes
    from arena.rate_limits import RateLimiter, RateLimits, Rates

    addresses = Addresses(read_networks(settings.trusted_proxies))
    doorkeeper = make_doorkeeper(settings, addresses, secret)
    rates = Rates(
        per_rater=settings.rate_per_rater,
        per_address=settings.rate_per_address,
        joins=settings.rate_joins,
        logins=settings.rate_logins,
    )
    limiter = RateLimiter(rates if settings.rate_limits else None)
    # The last one added is the first to see a request.
    app.add_middleware(Heads)
    app.add_middleware(Doors, doorkeeper=doorkeeper)
    app.add_middleware(RateLimits, limiter=limiter, addresses=addresses, cookie=rater_cookie)
    app.add_middleware(
        Guard,
        mounts={"/rate": STILL_PAGE, "/dashboard": LIVE_PAGE},
        ours={"/rate/api/": "POST", "/rate/image/": "GET"},
    )
    account_cookie = AccountCookie(secret, secure=settings.cookie_secure)
    app.include_router(login_routes(doorkeeper, account_cookie, limiter, addresses))
    return doorkeeper


def serve(settings: Settings, on_ready: Callable[[str], None] | None = None) -> None:
    """Serve the arena until it is interrupted; `on_ready` gets the address once the site answers there.

    Raises PortInUseError at once when the port cannot be had.
    """
    listener = _take_port(settings.host, settings.port)
    try:
        app = create_app(settings)
        import uvicorn

        from arena.doors import notices

        for sentence in notices(settings):
            say(sentence)
        # What was made so far stays: the collector would look through all of Gradio's objects again and again, which
        # took a third of a vote's CPU.
        gc.collect()
        gc.freeze()
        server = uvicorn.Server(
            uvicorn.Config(
                app,
                log_level="warning",
                access_log=False,
                ws="none",
                # Longer than a rater looks at a pair: a connection that ends while a vote is sent costs a second try.
                timeout_keep_alive=_KEEP_ALIVE_S,
                server_header=False,
                # Who asks is who connects; a header that says otherwise can be written by anyone.
                proxy_headers=False,
                timeout_graceful_shutdown=_SHUTDOWN_S,
            )
        )
        logging.getLogger("uvicorn.error").addFilter(_is_no_cut_stream)
        if on_ready is not None:
            address = site_address(settings.host, listener.getsockname()[1])
            threading.Thread(target=_announce, args=(address, on_ready), daemon=True).start()
        server.run(sockets=[listener])
    except KeyboardInterrupt:
        # Ctrl-C is how serving ends; uvicorn has closed everything by now and passes it on.
        return
    finally:
        listener.close()


def check_port(host: str, port: int) -> None:
    """Raise PortInUseError unless a site could be served there now: for those who do long work before they serve."""
    _take_port(host, port).close()


def _take_port(host: str, port: int) -> socket.socket:
    """The socket to serve on, bound before anything slow is loaded; no one else can take it meanwhile."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except socket.gaierror as error:
        raise PortInUseError(f"'{host}' is no address of this machine: {error}. Choose one with --host.") from error
    listener = socket.socket(family, kind, protocol)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(2048)
    except OSError as error:
        listener.close()
        remedy = (
            "Name an address of this machine with --host."
            if error.errno == errno.EADDRNOTAVAIL
            else "Stop the program that is there, or choose another port with --port."
        )
        raise PortInUseError(f"The arena cannot serve at {host}:{port}: {error.strerror}. {remedy}") from error
    return listener


def site_address(host: str, port: int) -> str:
    """Where a browser on this machine finds a server that listens at `host`."""
    reachable = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, f"[{host}]" if ":" in host else host)
    return f"http://{reachable}:{port}"


def _announce(address: str, on_ready: Callable[[str], None]) -> None:
    """Call `on_ready` when a first answer has really come; the connection waits in the socket's queue till then."""
    import urllib.request

    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with direct.open(f"{address}/favicon.svg", timeout=_START_S) as answer:
            answer.read()
    except OSError:
        # The server ended before it had begun, and has said why.
        return
    on_ready(address)


def _is_no_cut_stream(record: logging.LogRecord) -> bool:
    """Ending the site cuts the event streams of open dashboards, which is no error and asks for no traceback."""
    error = record.exc_info[1] if record.exc_info else None
    return not isinstance(error, asyncio.CancelledError) and "graceful shutdown exceeded" not in record.getMessage()


def _inside_a_loop(build: "Callable[[], FastAPI]") -> "FastAPI":
    """Call `build` while an event loop runs: outside of one Gradio opens a new loop per lock, and closes none."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        pass
    else:
        return build()

    async def inside() -> "FastAPI":
        return build()

    loop = asyncio.new_event_loop()
    try:
        return loop.run_until_complete(inside())
    finally:
        loop.close()


def _calm_gradio(settings: Settings) -> None:
    """Set, before Gradio is imported, what it reads then: no telemetry, no hub, its files in the arena's folder."""
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    # After every this many events Gradio's queue rebuilds a table of all of them, for a page that we do not show.
    os.environ["GRADIO_ANALYTICS_CACHE_FREQUENCY"] = str(10**12)
    os.environ["GRADIO_TEMP_DIR"] = str(settings.home / "gradio")
    os.environ["HF_HUB_OFFLINE"] = "1"
    # Gradio 6.17 uses a name that Starlette has renamed, and Python would tell the terminal so at the first event.
    warnings.filterwarnings("ignore", message="'HTTP_422_UNPROCESSABLE_ENTITY' is deprecated")


def _serve_icons(app: "FastAPI") -> None:
    from fastapi.responses import FileResponse

    from arena.pages.html import ASSETS

    def icon(name: str, media_type: str) -> Callable[[], FileResponse]:
        return lambda: FileResponse(ASSETS / name, media_type=media_type, headers={"Cache-Control": "max-age=86400"})

    for path, name, media_type in (
        ("/favicon.svg", "favicon.svg", "image/svg+xml"),
        # Browsers ask for this name unasked; they take the drawing by its media type.
        ("/favicon.ico", "favicon.svg", "image/svg+xml"),
        ("/manifest.json", "manifest.json", "application/manifest+json"),
    ):
        app.add_api_route(path, icon(name, media_type), methods=["GET", "HEAD"])


def _answer_missing(app: "FastAPI") -> None:
    """Addresses that do not exist: a page for people, `{"error": ...}` for programs."""
    from fastapi import HTTPException
    from fastapi.responses import JSONResponse
    from starlette.exceptions import HTTPException as PlainHTTPException

    from arena.pages.html import page

    @app.exception_handler(PlainHTTPException)
    def missing(request: "Request", error: Exception) -> "Response":
        assert isinstance(error, PlainHTTPException)
        ours = isinstance(error, HTTPException)
        sentence = error.detail if ours else "There is nothing at this address."
        if "text/html" in request.headers.get("accept", "") and not ours:
            return page("problem.html", status=error.status_code, heading="Nothing here", sentence=sentence)
        return JSONResponse({"error": sentence}, error.status_code, error.headers)
