"""The statistics benchmark at a size where it takes seconds: our own side, and statsmodels, which is always here."""

import importlib.util
import json
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "statistics.py"
TINY = ("--votes", "3000", "--entrants", "6", "--raters", "40", "--prompts", "30", "--repeats", "1")
SHORT = ("--resamples", "20", "--statsmodels-rows", "1500")


@pytest.fixture(scope="module")
def benchmark() -> ModuleType:
    # Under a name of its own: `statistics` is Python's.
    spec = importlib.util.spec_from_file_location("statistics_benchmark", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def test_our_side_is_measured_without_the_peers_and_agrees_with_statsmodels(
    benchmark: ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    benchmark.main([*TINY, *SHORT, "--no-peers", "--json"])

    result = json.loads(capsys.readouterr().out)
    measured = {one["name"]: one for one in result["measured"]}
    assert list(measured) == ["independent", "clustered", "bootstrap", "refit", "first-rows", "statsmodels"]
    assert all(seconds >= 0 for one in measured.values() for seconds in one["seconds"].values())
    assert all(10 < one["peak_mb"] < 5000 for one in measured.values())
    assert measured["first-rows"]["found"]["rows"] == 1500
    assert measured["bootstrap"]["found"]["rounds"] == 20
    assert [one["peer"] for one in result["agreement"]] == ["(ours)", *["statsmodels"] * 3]
    assert all(one["agrees"] for one in result["agreement"])
    # The targets speak of a million votes, so nothing is said about them here.
    assert result["targets"] == []
    assert result["left_out"] == []
    table = "\n".join(benchmark.draw(result))
    for row in ("3,000 decisive votes", "ours, two-way clustered", "ours, 20 rater", "statsmodels, first 1,500 votes"):
        assert row in table


def test_peers_that_cannot_be_installed_are_left_out_and_the_reason_is_said(
    benchmark: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(folder: Path, say: Callable[[str], None]) -> Path:
        raise benchmark.FailedError("there is no uv")

    monkeypatch.setattr(benchmark, "install_peers", refuse)
    monkeypatch.setattr(benchmark, "child", answers())

    benchmark.main([*TINY, *SHORT])

    printed = capsys.readouterr().out
    for peer in ("arena-rank", "FastChat", "choix"):
        assert f"Left out: {peer}. there is no uv" in printed


def test_a_peer_that_breaks_is_left_out_and_the_others_are_measured(
    benchmark: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def break_down() -> str:
        raise benchmark.FailedError("with_choix.py: out of memory")

    monkeypatch.setattr(benchmark, "install_peers", lambda folder, say: Path("python"))
    monkeypatch.setattr(benchmark, "child", answers({"with_choix.py": break_down}))

    benchmark.main([*TINY, *SHORT, "--json"])

    result = json.loads(capsys.readouterr().out)
    assert result["left_out"] == [{"name": "choix", "why": "with_choix.py: out of memory"}]
    assert "arena-rank" in {one["name"] for one in result["measured"]}


def test_our_own_failure_stops_the_run(benchmark: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    def break_down() -> str:
        raise benchmark.FailedError("ours.py: no such file")

    monkeypatch.setattr(benchmark, "child", answers({"ours.py": break_down}))

    with pytest.raises(SystemExit, match=r"Our own side was not measured: ours\.py: no such file"):
        benchmark.main([*TINY, *SHORT, "--no-peers"])


def test_numbers_that_differ_end_the_run_with_an_error(
    benchmark: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    wrong = answers({"with_statsmodels.py": lambda: answer(strengths=[-0.5, 0.6])})
    monkeypatch.setattr(benchmark, "child", wrong)

    with pytest.raises(SystemExit, match="The numbers disagree"):
        benchmark.main([*TINY, *SHORT, "--no-peers"])

    assert "DIFFERS" in capsys.readouterr().out


def test_a_peers_time_is_the_median_of_its_runs_over_ours_imports_apart(benchmark: ModuleType) -> None:
    ours = benchmark.summary("independent", [run(read=1.0, fit=1.0)])
    clustered = benchmark.summary("clustered", [run(read=1.0, fit=3.0)])
    peer = benchmark.summary("arena-rank", [run(read=5.0, code=seconds, fit=2.0) for seconds in (9.0, 1.0, 1.0)])

    over = benchmark.over_ours(peer, {"independent": ours, "clustered": clustered})

    assert over == {"independent": 4.0, "clustered": 2.0}


def test_targets_are_shown_beside_what_was_measured_at_the_size_they_speak_of(
    benchmark: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(benchmark, "child", answers())

    benchmark.main(["--no-peers", "--repeats", "1", "--json"])

    targets = {one["what"]: one for one in json.loads(capsys.readouterr().out)["targets"]}
    assert targets["one more vote and a refit"]["measured"] == 2000
    assert targets["one more vote and a refit"]["reached"] is False
    assert targets["the same, peak memory"]["reached"] is True
    assert targets["quicker than arena-rank, independent votes, with the load"]["reached"] is None


def run(**seconds: float) -> dict[str, Any]:
    """What a contender reports."""
    return {
        "seconds": {"import": 7.0, **seconds},
        "peak_mb": 100.0,
        "entrants": ["a", "b"],
        "strengths": [-0.5, 0.5],
        "standard_errors": [0.1, 0.1],
        "differences_se": [0.0, 0.2],
        "plain_differences_se": [0.0, 0.1],
        "rows": 10,
        "rounds": 10,
    }


def answer(**found: Any) -> str:
    return json.dumps(run(read=1.0, fit=2.0) | found)


def answers(special: dict[str, Callable[[], str]] | None = None) -> Callable[..., str]:
    """In place of the fresh processes: each script answers at once, some of them in their own way."""

    def child(python: Path, script: str, *arguments: str) -> str:
        return (special or {}).get(script, answer)()

    return child
