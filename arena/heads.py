"""HEAD is answered like GET, without the body: for whoever watches the site, and for previews of links.

FastAPI answers HEAD only where a route names it. Pure ASGI, in front of all routes.
"""

from starlette.types import ASGIApp, Message, Receive, Scope, Send


class Heads:
    """Middleware: the routes see a GET, and the browser gets its status and headers alone."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on; of a HEAD's answer keep the body back."""
        if scope["type"] != "http" or scope["method"] != "HEAD":
            await self._app(scope, receive, send)
            return

        async def bodiless(message: Message) -> None:
            await send({**message, "body": b""} if message["type"] == "http.response.body" else message)

        await self._app({**scope, "method": "GET"}, receive, bodiless)
