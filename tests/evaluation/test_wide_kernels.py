"""The widest instructions are asked for where they are, before numpy is loaded, and nowhere else."""

import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = """
import os, sys
from pathlib import Path
{before}
from evaluation.wide_kernels import prefer_wide_kernels
print(prefer_wide_kernels(Path(sys.argv[1])), os.environ.get("OPENBLAS_CORETYPE"))
"""
WIDE = "avx2 avx512f avx512cd avx512bw avx512dq avx512vl"


@pytest.mark.parametrize(
    ("vendor", "flags", "before", "expected"),
    [
        ("AuthenticAMD", WIDE, "", "True SkylakeX"),
        ("AuthenticAMD", "avx2 avx512f", "", "False None"),
        ("GenuineIntel", WIDE, "", "False None"),
        ("AuthenticAMD", WIDE, "import numpy", "False None"),
        ("AuthenticAMD", WIDE, "os.environ['OPENBLAS_CORETYPE'] = 'Zen'", "False Zen"),
    ],
)
def test_wide_instructions_are_asked_for_on_the_processors_that_hide_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, vendor: str, flags: str, before: str, expected: str
) -> None:
    monkeypatch.delenv("OPENBLAS_CORETYPE", raising=False)
    cpuinfo = tmp_path / "cpuinfo"
    cpuinfo.write_text(f"processor\t: 0\nvendor_id\t: {vendor}\nflags\t\t: {flags}\n\n")

    found = subprocess.run(
        [sys.executable, "-c", PROGRAM.format(before=before), cpuinfo],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )

    assert found.stdout.strip() == expected
