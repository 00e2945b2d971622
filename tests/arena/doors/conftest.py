"""Sites of their own for the tests of the doors: real servers, with settings, accounts and visitors' addresses."""

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from arena.accounts import Account, AccountsFile, Role, hash_password
from arena.app import create_app
from arena.settings import Settings

PASSWORD = "four words in a row"
SECRET = "kept in a drawer"


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnSite:
    """A running site; `visit` makes a client whose connections come from an address of this machine's many."""

    address: str
    settings: Settings
    accounts: AccountsFile
    clients: contextlib.ExitStack

    def visit(self, address: str = "127.0.0.1", **given: Any) -> httpx.Client:
        transport = httpx.HTTPTransport(local_address=address)
        return self.clients.enter_context(httpx.Client(base_url=self.address, transport=transport, timeout=30, **given))

    def log_in(self, name: str, password: str = PASSWORD, **given: Any) -> httpx.Client:
        client = self.visit(**given)
        answer = client.post("/login", data={"name": name, "password": password})
        assert answer.status_code == 303, answer.text
        return client

    def add(self, name: str, role: Role, password: str = PASSWORD) -> None:
        kept = hash_password(password) if password else ""
        self.accounts.add(Account(name=name, role=role, password=kept), replace=True)


@contextlib.contextmanager
def serving(settings: Settings) -> Iterator[OwnSite]:
    import uvicorn

    listener = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(
        create_app(settings),
        log_level="warning",
        ws="none",
        proxy_headers=False,
        timeout_graceful_shutdown=1,
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    deadline = time.monotonic() + 60
    while not server.started and time.monotonic() < deadline:
        time.sleep(0.02)
    assert server.started, "the site did not start within 60 s"
    with contextlib.ExitStack() as clients:
        yield OwnSite(
            address=f"http://127.0.0.1:{listener.getsockname()[1]}",
            settings=settings,
            accounts=AccountsFile(settings.accounts),
            clients=clients,
        )
    server.should_exit = True
    thread.join(timeout=20)
    listener.close()


@pytest.fixture(scope="module")
def open_site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., OwnSite]]:
    """Opens sites with settings; those that are asked for twice alike are the same one."""
    with contextlib.ExitStack() as opened:
        known: dict[str, OwnSite] = {}

        def open_one(home: Path | None = None, **settings: Any) -> OwnSite:
            key = repr((home, sorted(settings.items())))
            if key not in known:
                place = tmp_path_factory.mktemp("doors") if home is None else home
                known[key] = opened.enter_context(serving(Settings(home=place, secret=SECRET, **settings)))
            return known[key]

        yield open_one


@pytest.fixture(scope="module")
def closed_site(open_site: Callable[..., OwnSite]) -> OwnSite:
    """A site with a researcher and an admin; logging in there is not limited."""
    site = open_site(rate_logins="10000/minute")
    site.add("rosa", Role.RESEARCHER)
    site.add("adam", Role.ADMIN)
    site.add("petra", Role.RESEARCHER, password="")
    return site
