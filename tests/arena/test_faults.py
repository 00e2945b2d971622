"""The fault drills in small: no acknowledged vote is lost or doubled when a server, a database or a disk fails.

The same with 50 kills and every drill: `python benchmarks/faults.py`.
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "benchmarks" / "faults.py"
#: How often something fails in each of them with --quick.
FAULTS = {"kill": 3, "disk": 1, "replicas": 2}


@pytest.fixture(scope="module")
def drills() -> dict[str, Any]:
    """What the drills found, by name."""
    run = subprocess.run(
        [sys.executable, SCRIPT, "--quick", "--json", "--drill", *FAULTS],
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


def test_a_full_disk_refuses_votes_with_503_and_nothing_else(drills: dict[str, Any]) -> None:
    assert set(drills["disk"]["refused_for_a_while"]) == {"503"}
