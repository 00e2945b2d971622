import csv
import json
import subprocess
import sys
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from arena import vote_streams
from arena.cli_home import ArenaNotFoundError
from arena.cli_planning import PlanOptionsError, WatchOptionsError, app
from arena.ledger.errors import UnknownStudyError
from arena.simulation import simulate
from arena.statistics.analysis import WhichReferenceError
from arena.statistics.equivalence import MarginError
from arena.statistics.planning import PlanningError
from arena.statistics.simulator import REFERENCE, ArenaDesign, simulate_votes
from arena.statistics.stopping import StoppingRule, StoppingRuleError
from arena.votes_formats import MissingVotesFileError


@pytest.fixture(autouse=True)
def nobody_watches(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rich takes these for a terminal of some width; nothing of a developer's own arena is met either."""
    for variable in ("FORCE_COLOR", "TTY_COMPATIBLE", "ARENA_HOME", "ARENA_DATABASE_URL"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("COLUMNS", "200")


def run(*words: str, stdin: str | None = None) -> Any:
    result = CliRunner().invoke(app, list(words), input=stdin, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result


def as_json(*words: str, stdin: str | None = None) -> Any:
    return json.loads(run(*words, "--json", stdin=stdin).stdout)


@pytest.fixture(scope="module")
def votes_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """3,000 votes on "entrant-0", truly preferred in 75 %, and on "entrant-1", as good as the reference."""
    votes = simulate_votes(ArenaDesign(raters=40, prompts=200, votes=3000, rates=(0.75, 0.5)), np.random.default_rng(3))
    file = tmp_path_factory.mktemp("votes") / "votes.csv"
    columns = (votes.rater, votes.prompt, votes.model_a, votes.choice)
    with file.open("w", newline="") as opened:
        table = csv.writer(opened, lineterminator="\n")
        table.writerow(["vote_id", "rater", "prompt", "model_a", "model_b", "choice"])
        for number, (rater, prompt, model, choice) in enumerate(zip(*(one.tolist() for one in columns), strict=True)):
            table.writerow([number, rater, prompt, votes.models[model], REFERENCE, "AB"[choice]])
    return file


def test_a_plan_says_how_many_votes_and_raters_it_takes() -> None:
    plan = as_json("plan", "--rate", "0.47", "--design-effect", "2.2", "--raters", "40", "--votes", "900")

    assert plan["difference"] == {"votes": 2178, "votes_with_design_effect": 4792, "raters": 90}
    assert plan["equivalence_at_half"] == {"votes": 857, "votes_with_design_effect": 1886, "raters": 36}
    assert plan["equivalence_at_rate"]["votes"] > 3000
    assert plan["raters_suffice"] == {"difference": False, "equivalence_at_half": True, "equivalence_at_rate": False}
    assert (plan["rate"], plan["power"], plan["delta"], plan["votes"], plan["raters"]) == (0.47, 0.8, 0.05, 900, 40)
    assert 0 < plan["of_votes"]["power_difference"] < 0.5
    assert plan["of_raters"]["smallest_difference"] == pytest.approx(0.0454, abs=1e-3)
    assert (plan["forecast"], plan["not_estimable"]) == (None, [])


def test_a_plan_is_shown_to_people() -> None:
    shown = run("plan", "--rate", "0.47", "--raters", "40", "--votes", "900").stdout

    assert "2,178" in shown
    assert "47% differs from 50%" in shown
    assert "equivalent within ±5 points, if truly 47%" in shown
    assert "900 votes: the smallest difference they show so surely is 4.7 points" in shown
    assert "40 equally busy raters, were their votes without end: the smallest difference" in shown


@pytest.mark.parametrize(
    ("rate", "nothing", "reason"),
    [
        ("0.5", "difference", "A true rate of one half is no difference"),
        ("0.38", "equivalence_at_rate", "A true rate of 0.38 is not within one half ± 0.05"),
    ],
)
def test_what_cannot_be_shown_is_null_with_its_reason(rate: str, nothing: str, reason: str) -> None:
    plan = as_json("plan", "--rate", rate)

    assert set(plan[nothing].values()) == {None}
    assert [gap["reason"][: len(reason)] for gap in plan["not_estimable"]] == [reason]
    assert reason in run("plan", "--rate", rate).stdout


def test_a_study_is_tried_out_before_it_starts() -> None:
    words = ["plan", "--rate", "0.7", "--raters", "24", "--votes", "600", "--simulate", "40", "--prompts", "100"]

    found = as_json(*words)["forecast"]

    (entrant,) = found["entrants"]
    assert (found["repeats"], found["votes"], found["raters"], found["prompts"]) == (40, 600, 24, 100)
    assert entrant["verdicts"]["preferred"]["share"] > 0.8
    assert entrant["coverage"]["share"] > 0.8
    assert as_json(*words)["forecast"] == found
    assert as_json(*words, "--seed", "1")["forecast"] != found
    shown = run(*words).stdout
    assert "40 simulated studies of 600 votes by 24 raters" in shown
    assert "not preferred" in shown
    assert "covers the truth in" in shown


def test_a_trial_without_any_interval_says_so() -> None:
    shown = run("plan", "--rate", "0.7", "--raters", "2", "--votes", "1", "--simulate", "2").stdout

    assert "None of them had an interval." in shown


@pytest.mark.parametrize(
    ("words", "error"),
    [
        (["--rate", "1.2"], PlanningError),
        (["--rate", "0.4", "--power", "0"], PlanningError),
        (["--rate", "0.4", "--power", "1"], PlanningError),
        (["--rate", "0.4", "--delta", "0.5"], MarginError),
        (["--rate", "0.4", "--design-effect", "0.5"], PlanningError),
        (["--rate", "0.4", "--raters", "1"], PlanningError),
        (["--rate", "0.4", "--votes", "0"], PlanningError),
        (["--rate", "0.4", "--simulate", "10"], PlanOptionsError),
        (["--rate", "0.4", "--simulate", "0", "--raters", "20", "--votes", "100"], PlanOptionsError),
    ],
)
def test_a_plan_for_something_that_cannot_be_is_refused(words: list[str], error: type[Exception]) -> None:
    with pytest.raises(error):
        run("plan", *words)


def test_a_bad_plan_is_one_sentence_and_exit_code_one() -> None:
    program = "import canvas.cli; canvas.cli.main()"

    result = subprocess.run(
        [sys.executable, "-c", program, "arena", "plan", "--rate", "1.5"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert result.returncode == 1
    assert result.stderr == ("canvas: A rate of 1.5 is no preference rate. Give a share of votes between 0 and 1.\n")


def test_a_file_is_watched_look_by_look(votes_file: Path) -> None:
    watch = as_json("watch", str(votes_file), "--every", "200")

    assert (watch["reference"], watch["delta"], watch["ties"], watch["votes"]) == (REFERENCE, 0.05, "half", 3000)
    assert watch["rule"] == StoppingRule(look_every=200).to_dict()
    assert [look["n"] for look in watch["looks"] if look["entrant"] == "entrant-0"] == list(range(200, 1500, 200))
    assert watch["decision"]["entrants"]["entrant-0"]["standing"] == "preferred"
    assert watch["decision"]["entrants"]["entrant-1"]["standing"] == "undecided"
    assert watch["decision"]["stop"] is False


def test_people_see_a_line_for_each_look_and_the_decision(votes_file: Path) -> None:
    shown = run("watch", str(votes_file), "--every", "50")

    lines = shown.stdout.splitlines()
    assert any(line.startswith("entrant-0: 50 votes, ") and "not yet: 50 of the 100 votes" in line for line in lines)
    assert any(line.startswith("entrant-0: 400 votes count as ") and line.endswith("; preferred") for line in lines)
    assert lines[-1].startswith("After ")
    assert lines[-1].endswith("votes: Go on: 'entrant-1' is still undecided.")
    assert "There is no column 'left'" in shown.stderr


def test_stdin_is_watched_as_a_file_is(votes_file: Path) -> None:
    from_stdin = as_json("watch", "-", "--every", "200", stdin=votes_file.read_text())

    assert from_stdin == as_json("watch", str(votes_file), "--every", "200")


def test_following_ends_when_the_rule_says_stop(votes_file: Path) -> None:
    text = "".join(line for line in votes_file.read_text().splitlines(keepends=True) if "entrant-1" not in line)
    words = ["watch", "-", "--follow", "--reference", REFERENCE]

    watch = as_json(*words, stdin=text)
    shown = run(*words, stdin=text).stdout.splitlines()

    assert watch["decision"]["stop"] is True
    assert watch["decision"]["reason"] == "Stop: 'entrant-0' is preferred."
    assert watch["looks"][-1]["standing"] == "preferred"
    assert watch["looks"][-1]["votes_seen"] == watch["decision"]["votes_seen"] < 1400
    assert shown[-1] == f"After {watch['decision']['votes_seen']} votes: Stop: 'entrant-0' is preferred."
    assert len(shown) == len(watch["looks"]) + 1


@pytest.mark.parametrize(
    ("words", "error"),
    [
        (["votes.csv", "--follow"], WatchOptionsError),
        (["-", "--follow"], WatchOptionsError),
        (["-", "--follow", "--reference", "x"], WatchOptionsError),
        (["nowhere/votes.csv"], MissingVotesFileError),
        (["-", "--delta", "0.7"], MarginError),
        (["-", "--every", "0"], StoppingRuleError),
    ],
)
def test_what_cannot_be_watched_is_refused(words: list[str], error: type[Exception]) -> None:
    with pytest.raises(error):
        run("watch", *words, stdin="")


def test_a_reference_that_nobody_voted_on_is_refused(votes_file: Path) -> None:
    with pytest.raises(WhichReferenceError, match=r"'nobody'.*'entrant-0', 'entrant-1', 'reference'"):
        run("watch", str(votes_file), "--reference", "nobody")


def test_another_reference_is_watched_against_those_it_met(votes_file: Path) -> None:
    watch = as_json("watch", str(votes_file), "--reference", "entrant-0")

    assert {look["entrant"] for look in watch["looks"]} == {REFERENCE}
    assert watch["decision"]["reason"] == "Stop: 'reference' is not preferred."


class TestAStudy:
    """Watching a study in an arena's ledger."""

    @pytest.fixture
    def home(self, arena: Any, now: datetime) -> list[str]:
        arena.open(delta=0.1, stopping=StoppingRule(look_every=20, min_raters=5, min_votes=20, max_votes=40))
        judges = [lambda *_, side=side: side for side in ("left", "right", "tie") * 10]
        simulate(arena.room, "shapes", raters=30, votes_each=8, judge=judges, rng=arena.rng, now=now)
        return ["--arena", str(arena.home)]

    def test_declares_its_reference_its_delta_and_its_rule(self, home: list[str]) -> None:
        watch = as_json("watch", "shapes", "--raters", "simulated", *home)

        assert (watch["reference"], watch["delta"]) == ("old", 0.1)
        assert watch["rule"] == {"look_every": 20, "min_raters": 5, "min_votes": 20, "max_votes": 40}
        assert {look["entrant"] for look in watch["looks"]} == {"ant", "bee"}
        assert watch["decision"]["stop"] is True
        assert watch == as_json("watch", "shapes@1", "--raters", "simulated", *home)

    @pytest.mark.parametrize("option", [["--delta", "0.2"], ["--reference", "ant"], ["--every", "10"]])
    def test_lets_nobody_declare_it_anew(self, home: list[str], option: list[str]) -> None:
        with pytest.raises(WatchOptionsError, match=f"declared this before its first vote: leave {option[0]} out"):
            run("watch", "shapes", *option, *home)

    def test_without_votes_of_people_waits_for_the_first_look(self, home: list[str]) -> None:
        shown = run("watch", "shapes", *home).stdout

        assert shown == "0 votes, and no look is due before an entrant has 20.\n"

    def test_is_followed_until_the_rule_says_stop(self, home: list[str]) -> None:
        watch = as_json("watch", "shapes", "--raters", "simulated", "--follow", *home)

        assert watch["decision"]["stop"] is True
        assert watch["looks"][-1]["votes_seen"] == watch["decision"]["votes_seen"]

    def test_is_followed_until_somebody_presses_ctrl_c(self, home: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
        def pressed(_: float) -> None:
            raise KeyboardInterrupt

        monkeypatch.setattr(vote_streams.time, "sleep", pressed)

        result = run("watch", "shapes", "--follow", *home)

        assert "Stopped watching" in result.stderr
        assert result.stdout == "0 votes, and no look is due before an entrant has 20.\n"

    def test_that_declared_no_rule_is_looked_at_as_often_as_asked(self, arena: Any, now: datetime) -> None:
        arena.open()
        simulate(arena.room, "shapes", raters=5, votes_each=8, judge=lambda *_: "tie", rng=arena.rng, now=now)
        home = ["--raters", "simulated", "--arena", str(arena.home)]

        assert as_json("watch", "shapes", "--every", "10", *home)["rule"]["look_every"] == 10
        assert as_json("watch", "shapes", *home)["rule"] == StoppingRule().to_dict()

    def test_that_is_not_there_is_refused(self, home: list[str], tmp_path: Path) -> None:
        with pytest.raises(UnknownStudyError):
            run("watch", "circles", *home)
        with pytest.raises(ArenaNotFoundError):
            run("watch", "shapes", "--arena", str(tmp_path / "nowhere"))


@pytest.mark.parametrize("command", ["plan", "watch"])
def test_both_have_their_help(command: str) -> None:
    result = CliRunner().invoke(app, [command, "--help"])

    assert result.exit_code == 0
    assert "With --json" in result.output


def test_help_imports_nothing_heavy() -> None:
    program = (
        "import sys, arena.cli_planning; "
        "print(sorted({'sqlalchemy', 'numpy', 'scipy', 'pyarrow', 'rich'} & set(sys.modules)))"
    )

    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert result.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("rate", "votes"), [("0.47", 2178), ("0.45", 783), ("0.55", 783), ("0.38", 134), ("0.4", 194), ("0.46", 1225)]
)
def test_the_known_numbers_of_votes_come_out_whatever_the_rounding(rate: str, votes: int) -> None:
    for delta in ("0.05", "0.1", "0.04", "0.2"):
        result = CliRunner().invoke(app, ["plan", "--rate", rate, "--delta", delta, "--json"], catch_exceptions=False)

        assert json.loads(result.stdout)["difference"]["votes"] == votes
    assert json.loads(result.stdout)["power"] == 0.8


@pytest.mark.parametrize("delta", ["1e-9", "0.000001"])
def test_a_margin_finer_than_any_study_is_one_sentence(delta: str) -> None:
    with pytest.raises(PlanningError, match="finer than any study"):
        CliRunner().invoke(app, ["plan", "--rate", "0.47", "--delta", delta], catch_exceptions=False)


def test_a_rate_within_a_hair_of_one_half_has_no_difference_to_show() -> None:
    result = CliRunner().invoke(app, ["plan", "--rate", "0.4999999999", "--json"], catch_exceptions=False)

    assert json.loads(result.stdout)["difference"]["votes"] is None
