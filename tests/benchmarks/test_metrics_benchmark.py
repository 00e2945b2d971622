"""The metrics benchmark at a size where it takes seconds: our own side, SciPy's root and NumPy's eigenvalues."""

import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType

import pytest

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "metrics.py"


@pytest.fixture(scope="module")
def benchmark() -> ModuleType:
    spec = importlib.util.spec_from_file_location("metrics_benchmark", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def test_our_side_is_measured_without_the_peers_and_agrees_with_scipy_and_numpy(
    benchmark: ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    benchmark.main(["--quick", "--no-peers", "--json"])

    result = json.loads(capsys.readouterr().out)
    measured = {one["job"]: one for one in result["measured"]}
    assert set(measured) >= {"distance", "float32", "float64", "streaming", "kid", "sqrtm", "eigvals"}
    assert all(one["seconds"] > 0 and one["threads"] == "1" for one in measured.values())
    assert measured["sqrtm"]["over_ours"] > 0
    assert measured["streaming"]["found"]["rows"] == 3000
    assert [one["agrees"] for one in result["agreement"]] == [True] * len(result["agreement"])
    assert len(result["agreement"]) == 4
    # The targets speak of 50,000 x 2,048 features, so nothing is said about them here.
    assert result["targets"] == []
    assert result["left_out"] == []
    table = "\n".join(benchmark.draw(result))
    assert result["smoke_run"]
    for row in (
        "its times and ratios mean nothing",
        "3,000 x 96 features",
        "ours, reference factored",
        "SciPy sqrtm: distance, relative to ours",
    ):
        assert row in table


@pytest.mark.parametrize(
    ("script", "job", "stage"),
    [
        ("peer.py", "sqrtm", "distance"),
        ("ours.py", "distance", "distance"),
        ("ours.py", "float32", "features to distance"),
        ("ours.py", "kid", "kid"),
    ],
)
def test_the_first_use_of_a_library_is_no_part_of_what_is_measured(
    benchmark: ModuleType, tmp_path: Path, script: str, job: str, stage: str
) -> None:
    python = Path(sys.executable)
    benchmark.child(python, "write_features.py", "1", tmp_path, 300, 40, 0)

    said = json.loads(benchmark.child(python, script, "1", tmp_path, job, 3, 50))

    assert list(said["seconds"]).index("warm-up") < list(said["seconds"]).index(stage)


def test_a_peer_that_breaks_is_left_out_and_the_others_are_measured(
    benchmark: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    answer_with(benchmark, monkeypatch, broken="kid-torch-fidelity")

    benchmark.main(["--repeats", "1", "--threads", "1", "--json"])

    result = json.loads(capsys.readouterr().out)
    assert result["left_out"] == [{"name": "torch-fidelity, KID", "why": "peer.py: out of memory"}]
    targets = {one["what"]: one for one in result["targets"]}
    assert targets["KID, quicker than torch-fidelity"]["reached"] is None
    # Everybody takes 2 s here, and the stream 0.1 MB.
    assert targets["distance of two Gaussians, quicker than SciPy sqrtm"]["measured"] == 1
    assert targets["distance of two Gaussians, quicker than SciPy sqrtm"]["reached"] is False
    assert targets["statistics of a stream, memory above the libraries"]["reached"] is True


def test_numbers_that_differ_end_the_run_with_an_error(
    benchmark: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    answer_with(benchmark, monkeypatch, wrong="clean-fid")

    with pytest.raises(SystemExit, match="The numbers disagree"):
        benchmark.main(["--repeats", "1", "--threads", "1"])

    assert "DIFFERS" in capsys.readouterr().out


def answer_with(
    benchmark: ModuleType, monkeypatch: pytest.MonkeyPatch, *, broken: str | None = None, wrong: str | None = None
) -> None:
    """In place of the fresh processes: each answers at once, one of them in its own way."""

    def child(python: Path, script: str, threads: str, *arguments: object) -> str:
        if script == "write_features.py":
            return ""
        job = arguments[1]
        if job == broken:
            raise benchmark.FailedError(f"{script}: out of memory")
        seconds = dict.fromkeys(("distance", "features to distance", "statistics", "kid"), 2.0)
        found = {"distance": 1.1 if job == wrong else 1.0, "kid": 0.1, "sd": 0.01, "added_mb": 0.1}
        return json.dumps({"seconds": seconds, "peak_mb": 9.0} | found)

    monkeypatch.setattr(benchmark, "install_peers", lambda folder, say: Path("python"))
    monkeypatch.setattr(benchmark, "child", child)
