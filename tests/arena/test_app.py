"""Serving: a port in use is said at once, the address is told when it answers, and Ctrl-C ends it quietly."""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

from arena.app import PortInUseError, serve
from arena.settings import Settings

SERVE = """
import sys
from arena.app import serve
from arena.settings import Settings
serve(Settings(home=sys.argv[1], port=int(sys.argv[2])), on_ready=lambda address: print(address, flush=True))
"""


def test_a_port_in_use_is_an_error_with_a_remedy_before_anything_is_made(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]

        with pytest.raises(PortInUseError, match=rf"127\.0\.0\.1:{port}: .*in use.*--port"):
            serve(Settings(home=tmp_path / "arena", port=port))

    assert not (tmp_path / "arena").exists()


def test_a_host_that_is_not_ours_is_an_error_with_a_remedy(tmp_path: Path) -> None:
    with pytest.raises(PortInUseError, match="--host"):
        serve(Settings(home=tmp_path, host="no such host"))


def test_a_port_in_use_is_said_before_any_web_library_is_loaded(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        code = f"import atexit, sys; atexit.register(lambda: print(*sys.modules))\n{SERVE}"
        command = [sys.executable, "-c", code, str(tmp_path), port]

        ended = subprocess.run(command, check=False, capture_output=True, text=True)

    assert ended.returncode == 1
    assert "PortInUseError" in ended.stderr
    assert not {"gradio", "fastapi", "uvicorn", "sqlalchemy"} & set(ended.stdout.split())


def test_the_site_tells_its_address_when_it_answers_and_ends_on_an_interrupt(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = str(free.getsockname()[1])
    command = [sys.executable, "-c", SERVE, str(tmp_path), port]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None

        address = server.stdout.readline().strip()
        with urllib.request.urlopen(f"{address}/", timeout=10) as page:
            first_page = page.read().decode()
        with urllib.request.urlopen(f"{address}/dashboard/gradio_api/heartbeat/open-dashboard", timeout=10):
            server.send_signal(signal.SIGINT)
            started = time.monotonic()
            _, errors = server.communicate(timeout=20)

    assert address == f"http://127.0.0.1:{port}"
    assert "Canvas Arena" in first_page
    assert server.returncode == 0
    assert errors == ""
    assert time.monotonic() - started < 10


def test_the_start_says_that_results_are_closed_and_how_to_add_an_account(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = str(free.getsockname()[1])
    command = [sys.executable, "-c", SERVE, str(tmp_path), port]
    environment = {**os.environ, "ARENA_OPEN_RESULTS": "false", "ARENA_RATE_LIMITS": "off"}
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    ) as server:
        assert server.stdout is not None

        server.stdout.readline()
        server.send_signal(signal.SIGINT)
        _, said = server.communicate(timeout=20)

    assert len(said.splitlines()) == 2
    assert "canvas arena account add NAME --role admin" in said
    assert "Rate limits are off" in said
