"""Two processes on gloo, with the weights sharded (FSDP2) or copied (DDP), train as one does."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.slow

_SCRIPT = Path(__file__).with_name("two_processes.py")


def run(folder: Path, processes: int) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    common = {
        **os.environ,
        "WORLD_SIZE": str(processes),
        "LOCAL_WORLD_SIZE": str(processes),
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
        "OMP_NUM_THREADS": "1",
    }
    started = [
        subprocess.Popen([sys.executable, _SCRIPT, folder], env={**common, "RANK": str(rank), "LOCAL_RANK": str(rank)})
        for rank in range(processes)
    ]
    assert [process.wait(timeout=300) for process in started] == [0] * processes


@pytest.fixture(scope="module")
def outcome(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("two")
    run(folder, processes=2)
    outcome: dict[str, Any] = json.loads((folder / "outcome.json").read_text())
    return outcome


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The same training in this process."""
    import importlib.util

    spec = importlib.util.spec_from_file_location("two_processes", _SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    result: dict[str, Any] = script.train(tmp_path_factory.mktemp("alone"), sharding="none")
    return result


def test_sharded_weights_learn_as_whole_ones_do(outcome: dict[str, Any], alone: dict[str, Any]) -> None:
    sharded = outcome["sharded"]

    assert sharded["kinds"] == ["DTensor"]
    assert sharded["losses"] == pytest.approx(alone["losses"], rel=1e-4)
    assert sharded["weights"] == pytest.approx(alone["weights"], abs=1e-5)


def test_a_sharded_training_goes_on_after_crashes_across_the_start_of_its_average(outcome: dict[str, Any]) -> None:
    assert outcome["crashed"] == outcome["sharded"]


def test_copied_weights_learn_as_those_of_one_process_do(outcome: dict[str, Any], alone: dict[str, Any]) -> None:
    copied = outcome["copied"]

    assert copied["losses"] == pytest.approx(alone["losses"], rel=1e-4)
    assert copied["weights"] == pytest.approx(alone["weights"], abs=1e-5)
