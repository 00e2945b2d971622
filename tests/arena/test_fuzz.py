"""Odd requests at every route, through ASGI, on both databases, and through sockets; `benchmarks/fuzz.py` asks more."""

import asyncio
import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from fastapi import FastAPI

SCRIPT = Path(__file__).resolve().parents[2] / "benchmarks" / "fuzz.py"
# Gradio 6.17 uses a name that Starlette has renamed; see gradio/routes.py, queue_join.
pytestmark = pytest.mark.filterwarnings("ignore:'HTTP_422_UNPROCESSABLE_ENTITY' is deprecated")


@pytest.fixture(scope="module")
def fuzzing() -> ModuleType:
    spec = importlib.util.spec_from_file_location("fuzz", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["fuzz"] = module
    spec.loader.exec_module(module)
    return module


def asked(fuzzing: ModuleType, app: Any, studies: list[str], requests: int, seed: int) -> Any:
    return asyncio.run(fuzzing.fuzz(app, fuzzing.Memory(studies), requests=requests, seed=seed))


def said(tally: Any) -> list[str]:
    return [f"{fault.reason}: {fault.asked[:400]}\n{fault.answered[-600:]}" for fault in tally.faults]


def test_every_route_of_the_site_is_asked(fuzzing: ModuleType, tmp_path: Path) -> None:
    app, _ = fuzzing.make_site(tmp_path)

    found = {(address.method, address.path) for address in fuzzing.addresses_of(app)}

    assert {
        ("POST", "/rate/api/vote"),
        ("GET", "/rate/image/{token}"),
        ("GET", "/api/board/{study}"),
        ("GET", "/assets/{file}"),
        ("POST", "/login"),
        ("GET", "/admin/"),
        ("POST", "/dashboard/gradio_api/queue/join"),
        ("POST", "/rate/gradio_api/upload"),
    } <= found
    assert len(found) > 120


def test_no_odd_request_gets_a_5xx_a_traceback_a_path_or_sql(fuzzing: ModuleType, tmp_path: Path) -> None:
    app, studies = fuzzing.make_site(tmp_path)

    tally = asked(fuzzing, app, studies, requests=1_200, seed=31)

    assert said(tally) == []
    # It got past the first refusals: into the ledger, and to everything that a route may say.
    assert {200, 303, 400, 401, 403, 404, 405, 409, 411, 413, 415, 422} <= set(tally.statuses)
    assert tally.statuses[200] > 100


def test_nor_does_one_where_postgresql_keeps_the_votes(fuzzing: ModuleType, tmp_path: Path, postgres: Any) -> None:
    app, studies = fuzzing.make_site(tmp_path, database=postgres.bare())

    tally = asked(fuzzing, app, studies, requests=500, seed=32)

    assert said(tally) == []
    assert tally.statuses[200] > 40


def test_what_is_no_http_does_not_trouble_the_server(fuzzing: ModuleType, tmp_path: Path) -> None:
    app, _ = fuzzing.make_site(tmp_path)

    with fuzzing.serving(app) as (address, complaints):
        tally = fuzzing.fuzz_sockets(address, requests=100, seed=33)
        well = fuzzing.is_well(address)

    assert said(tally) == []
    assert complaints.said == []
    assert well
    assert tally.statuses[400] > 20


def test_a_site_that_fails_or_talks_is_found_out(fuzzing: ModuleType) -> None:
    app = FastAPI()

    @app.get("/raises")
    def raises() -> None:
        raise KeyError("a token")

    @app.get("/talks")
    def talks() -> dict[str, str]:
        return {"detail": 'Traceback (most recent call last):\n  File "/srv/x.py", line 3, in vote'}

    @app.get("/queries")
    def queries() -> dict[str, str]:
        return {"detail": "(sqlite3.OperationalError) no such column"}

    tally = asked(fuzzing, app, ["none"], requests=300, seed=34)

    assert {fault.reason for fault in tally.faults} == {
        "an exception left the application",
        "it shows a traceback",
        "it shows SQL",
    }
