"""The script that checks the statistics is checked here: above all, that it can fail."""

import importlib.util
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from scipy import special

from arena.statistics.equivalence import tost
from arena.statistics.simulator import ArenaDesign

SCRIPT = Path(__file__).resolve().parents[2] / "benchmarks" / "calibration.py"
QUICKLY = ["--repeats", "2", "--workers", "1"]


@pytest.fixture(scope="module")
def calibration() -> ModuleType:
    spec = importlib.util.spec_from_file_location("calibration", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["calibration"] = module
    spec.loader.exec_module(module)
    vars(module)["EXACT_VOTES"] = 30
    return module


@pytest.fixture
def design_file(tmp_path: Path) -> Path:
    file = tmp_path / "design.json"
    file.write_text('{"raters": 15, "prompts": 40, "votes": 300, "rates": [0.6, 0.45], "tie_share": 0.1}', "utf-8")
    return file


def run(*words: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, str(SCRIPT), *words], check=False, capture_output=True, text=True, cwd=cwd)


def figures_of(calibration: ModuleType, series: Any, repeats: int) -> list[Any]:
    found: list[Any] = calibration.measure_all([series], [repeats], seed=1, workers=1)
    return found


def test_our_interval_lies_in_the_band_and_one_for_independent_votes_does_not(calibration: ModuleType) -> None:
    ours = figures_of(calibration, calibration.coverage(calibration.SMALL), 400)
    independent = figures_of(calibration, calibration.coverage(calibration.SMALL, interval="independent"), 400)

    assert [figure.ok for figure in ours] == [True, True, True]
    assert [figure.ok for figure in independent] == [False, False, True]
    assert independent[1].value == ours[2].value < 0.85
    assert ours[2].low is None


def test_a_tost_that_claims_too_much_is_found(calibration: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    series = calibration.tost_at_margin(replace(calibration.SMALL, votes=1500))
    honest = figures_of(calibration, series, 200)

    def lax(rate: float, se: float, df: float, *, delta: float) -> Any:
        return tost(rate, se / 3, df, delta=delta)

    monkeypatch.setattr(calibration, "tost", lax)

    assert [figure.ok for figure in honest] == [True, True]
    assert [figure.ok for figure in figures_of(calibration, series, 200)] == [False, False]


def test_peeking_without_a_bound_is_found(calibration: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    series = calibration.peeking(calibration.MIDDLE)
    honest = figures_of(calibration, series, 150)

    def as_if_looked_at_once(rate: float, se: float, n_eff: float) -> float:
        return float(2 * special.ndtr(-abs(rate - 0.5) / se))

    monkeypatch.setattr("arena.statistics.sequential.always_valid_p", as_if_looked_at_once)

    careless = figures_of(calibration, series, 150)

    assert [figure.ok for figure in honest] == [True, True, True]
    assert [figure.ok for figure in careless] == [False, False, True]
    assert honest[2].value > 0.12


def test_the_bound_itself_is_held_to_its_band_from_nine_effective_raters_on(calibration: ModuleType) -> None:
    even = ArenaDesign(raters=12, prompts=50, votes=600, activity=(1.0,) * 12)
    uneven = ArenaDesign(raters=12, prompts=50, votes=600, activity=1.2)

    bands = [[asked.band for asked in calibration.peeking(design).figures] for design in (even, uneven)]

    assert bands == [[(0.0, 0.075), (0.0, 0.075), None], [(0.0, 0.075), None, None]]


def test_a_family_whose_claims_are_not_adjusted_is_found(
    calibration: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    series = calibration.holm_family(replace(calibration.MIDDLE, rates=(0.5,) * 6, votes=2400))
    honest = figures_of(calibration, series, 150)
    monkeypatch.setattr("arena.statistics.against_reference.holm", list)

    careless = figures_of(calibration, series, 150)

    assert [figure.ok for figure in honest] == [True, True]
    assert [figure.ok for figure in careless] == [False, False]


def test_the_e_value_is_held_against_whole_numbers(calibration: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    honest = calibration.exact_figures(60)
    right = calibration.beta_binomial_e_value
    monkeypatch.setattr(calibration, "beta_binomial_e_value", lambda wins, votes: right(wins, votes) * (1 + 1e-8))

    wrong = calibration.exact_figures(60)

    assert [figure.ok for figure in honest] == [True] * 5
    assert [figure.ok for figure in wrong] == [False, False, False, True, True]
    assert honest[3].value == pytest.approx(chance_of_a_claim(60), abs=1e-12)


def chance_of_a_claim(votes: int) -> float:
    """By simulation's exact twin: all chances of all counts, in floats, claims taken out at every vote."""
    inside, claimed = {0: 1.0}, 0.0
    for seen in range(1, votes + 1):
        stepped: dict[int, float] = {}
        for wins, chance in inside.items():
            for now in (wins, wins + 1):
                stepped[now] = stepped.get(now, 0.0) + chance / 2
        # The uniform prior's e-value is 2^t over (t + 1) C(t, s).
        out = {s for s in stepped if 2.0**seen / ((seen + 1) * np.exp(log_choose(seen, s))) >= 20}
        claimed += sum(stepped[wins] for wins in out)
        inside = {wins: chance for wins, chance in stepped.items() if wins not in out}
    return claimed


def log_choose(n: int, k: int) -> float:
    return float(np.sum(np.log(np.arange(n - k + 1, n + 1))) - np.sum(np.log(np.arange(1, k + 1))))


@pytest.mark.parametrize(
    ("value", "band", "ok"),
    [
        (0.95, (0.935, 0.97), True),
        (0.916, (0.935, 0.97), True),  # within two standard errors of .01
        (0.914, (0.935, 0.97), False),
        (0.991, (0.935, 0.97), False),
        (0.2, (None, None), True),
        (None, (0.0, 0.1), None),
    ],
)
def test_a_figure_may_lie_two_standard_errors_outside_its_band(
    calibration: ModuleType, value: float | None, band: tuple[float | None, float | None], ok: bool | None
) -> None:
    se = None if value is None else 0.01

    figure = calibration.Figure(name="x", value=value, mc_se=se, low=band[0], high=band[1], repeats=9)

    assert figure.ok is ok


def test_the_monte_carlo_error_is_that_of_a_share(calibration: ModuleType) -> None:
    asked = calibration.Asked(name="x")

    some = calibration._figure(asked, [1.0] * 900 + [0.0] * 100 + [None] * 7)
    all_alike = calibration._figure(asked, [1.0] * 100)

    assert (some.value, some.repeats) == (0.9, 1000)
    assert some.mc_se == pytest.approx(np.sqrt(0.9 * 0.1 / 1000), rel=0.01)
    assert 0.005 < all_alike.mc_se < 0.02


def test_quick_takes_a_minute_and_all_takes_five_on_two_cores(calibration: ModuleType) -> None:
    series = calibration.default_series()

    quick, full = (calibration.affordable(series, quick=quick) for quick in (True, False))

    for repeats, core_s in ((quick, 120), (full, 600)):
        spent_s = sum(one.cost_ms * times / 1000 for one, times in zip(series, repeats, strict=True))
        assert spent_s < 0.8 * core_s
    assert min(quick) >= calibration.FEWEST_REPEATS
    assert min(full[:12]) >= 2000


def test_a_broken_interval_makes_the_script_fail(calibration: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--repeats", "40", "--workers", "1", "--design", "unused"]
    design = ArenaDesign(raters=12, prompts=60, votes=900, rates=(0.5,))

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(calibration, "read_design", lambda file: design)
        ours = calibration.main(words)
        broken = calibration.main([*words, "--interval", "independent"])

    assert (ours, broken) == (0, 1)
    assert "NO" in capsys.readouterr().out


def test_the_script_says_the_same_wherever_it_runs_and_with_any_number_of_processes(tmp_path: Path) -> None:
    words = ("--json", "--seed", "7", "--repeats", "60")
    design = tmp_path / "one.json"
    design.write_text('{"raters": 12, "prompts": 30, "votes": 200, "rates": 0.55}', "utf-8")

    one = run(*words, "--design", "one.json", "--workers", "1", cwd=tmp_path)
    two = run(*words, "--design", str(design), "--workers", "2", cwd=SCRIPT.parents[1])

    assert one.returncode in (0, 1), one.stderr
    assert one.stdout == two.stdout
    said = json.loads(one.stdout)
    assert set(said) == {"seed", "quick", "design", "figures", "ok"}
    assert (said["seed"], said["quick"], said["design"]["raters"], said["design"]["rates"]) == (7, False, 12, [0.55])
    assert set(said["figures"][0]) == {"name", "value", "mc_se", "low", "high", "ok", "repeats"}
    assert said["figures"][0]["repeats"] == 60
    assert said["ok"] is all(figure["ok"] is not False for figure in said["figures"])
    assert one.returncode == (0 if said["ok"] else 1)


def test_the_default_asks_for_12_48_and_200_raters(calibration: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    code = calibration.main([*QUICKLY, "--json"])

    said = json.loads(capsys.readouterr().out)
    names = [figure["name"] for figure in said["figures"]]
    assert code in (0, 1)
    assert said["design"] is None
    for raters in (12, 48, 200):
        for asked in (
            "coverage, half-tie",
            "coverage, ties dropped",
            "TOST at .5 - delta",
            "peeking, where a look counts",
        ):
            assert f"{asked}, {raters} raters" in names
        assert f"Holm, any of 6 null entrants, {raters} raters, half-tie" in names


def test_other_seeds_give_other_figures(calibration: ModuleType) -> None:
    series = [calibration.coverage(calibration.SMALL)]

    one, same, other = (calibration.measure_all(series, [60], seed=seed, workers=1) for seed in (3, 3, 4))

    assert one == same
    assert one != other


def test_a_table_shows_every_figure_of_a_design(
    calibration: ModuleType, design_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    calibration.main([*QUICKLY, "--design", str(design_file)])

    shown = capsys.readouterr().out
    for name in (
        "coverage, half-tie, 15 raters, rate 0.45",
        "coverage, ties dropped, 15 raters, rate 0.6",
        "TOST at .5 + delta, 15 raters",
        "Holm, any of 2 null entrants, 15 raters, half-tie",
        "peeking, headline interval, 15 raters",
        "coverage, Bradley-Terry, all pairs at once, 15 raters",
        "e-value, false claims within 30 votes",
    ):
        assert name in shown


def test_a_margin_that_no_preference_reaches_is_said_and_is_no_failure(
    calibration: ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    design = ArenaDesign(raters=20, prompts=50, votes=200, tie_share=0.95)

    figures = figures_of(calibration, calibration.tost_at_margin(design), 3)

    assert [(figure.value, figure.ok) for figure in figures] == [(None, None), (None, None)]
    assert "TOST is left out: No entrant of this design can have the true rate 0.45" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("written", "says"),
    [
        (None, "Cannot read the design '{file}': No such file or directory."),
        ("{'raters': 3}", "The design '{file}' is no JSON (Expecting property name"),
        ("[" * 100_000, "The design '{file}' is no JSON"),
        ("[]", "A design is one JSON object"),
        ('{"raters": 12, "prompts": 30, "votes": 200, "rate": 0.5}', "A design has no key 'rate'."),
        ('{"raters": 12, "prompts": 30, "votes": NaN}', "The design's votes is not a finite number."),
        ('{"raters": 1, "prompts": 30, "votes": 200}', "One rater, or one prompt, says nothing about others."),
        ('{"raters": 12, "prompts": 30, "votes": 2000000}', "The design has 2,000,000 votes. Give 1 to 1,000,000"),
        ('{"raters": 12, "prompts": 30, "votes": 0}', "The design has 0 votes."),
    ],
)
def test_a_file_that_holds_no_design_is_refused_in_one_sentence(
    calibration: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str], written: str | None, says: str
) -> None:
    file = tmp_path / "d.json"
    if written is not None:
        file.write_text(written, "utf-8")

    code = calibration.main(["--design", str(file)])

    said = capsys.readouterr()
    assert code == 2
    assert said.out == ""
    assert said.err.count("\n") == 1
    assert all(part in said.err for part in says.split("{file}"))


@pytest.mark.parametrize(
    "words",
    [
        ["--seed", "-1"],
        ["--seed", "x"],
        ["--repeats", "1.5"],
        ["--repeats", "0"],
        ["--workers", "0"],
        ["--interval", "x"],
    ],
)
def test_an_option_that_makes_no_sense_is_refused(calibration: ModuleType, words: list[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        calibration.main(words)

    assert stopped.value.code == 2


def test_a_folder_in_place_of_a_design_leaves_no_traceback(tmp_path: Path) -> None:
    done = run("--design", str(tmp_path), cwd=tmp_path)

    assert done.returncode == 2
    assert done.stderr.startswith("Cannot read the design")
    assert "Traceback" not in done.stderr
