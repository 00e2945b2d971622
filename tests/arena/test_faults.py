"""The fault drills in small: no acknowledged vote is lost or doubled when a server, a database or a disk fails.

The same with 50 kills and every drill: `python benchmarks/faults.py`.
"""

import json
import os
import subprocess
import sys
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "benchmarks" / "faults.py"
#: How often something fails in each of them with --quick.
FAULTS = {"kill": 3, "disk": 1, "replicas": 2}
#: The script as it is, after the process from which servers are forked has begun to load: on the other core, while the
#: script loads its own libraries and prepares its arena.
BEGIN = """
import runpy, sys
from pathlib import Path

script, *sys.argv[1:] = sys.argv[1:]
sys.argv[0] = script
sys.path.insert(0, str(Path(script).parent))
from load_parts.places import load_ahead

load_ahead()
runpy.run_path(script, run_name="__main__")
"""


@pytest.fixture(scope="module")
def drills() -> dict[str, Any]:
    """What the drills found, by name."""
    run = subprocess.run(
        [sys.executable, "-c", BEGIN, SCRIPT, "--quick", "--json", "--drill", *FAULTS],
        capture_output=True,
        text=True,
        timeout=400,
        check=False,
    )
    assert run.stdout, run.stderr
    return {found["drill"]: found for found in json.loads(run.stdout)["drills"]}


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="this system has no kill -9")
@pytest.mark.parametrize("drill", list(FAULTS))
def test_what_was_acknowledged_is_kept_once_and_the_chain_is_whole(drills: dict[str, Any], drill: str) -> None:
    found = drills[drill]

    assert found["faults"] == FAULTS[drill]
    assert found["acknowledged"] >= 20 * FAULTS[drill]
    assert found["resent"] > 0, "nothing failed while people voted"
    assert (found["lost"], found["doubled"], found["altered"], found["unasked"]) == (0, 0, 0, 0)
    assert found["answers_that_differ"] == 0
    assert found["chain"] == "whole"
    assert found["holds"]


def test_whatever_is_to_be_loaded_before_a_kill_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    """The process that servers are forked from passes over a name that it cannot import."""
    monkeypatch.syspath_prepend(str(SCRIPT.parent))

    names = import_module("load_parts.places").LOADED_BEFORE

    assert [name for name in names if find_spec(name) is None] == []


def test_a_full_disk_refuses_votes_with_503_and_nothing_else(drills: dict[str, Any]) -> None:
    assert set(drills["disk"]["refused_for_a_while"]) == {"503"}
