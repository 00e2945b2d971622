"""`canvas arena analyse` as programs and people meet it: the JSON's shape and numbers, files, ledgers, bad input."""

import csv
import json
import math
import subprocess
import sys
import warnings
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import statsmodels.api as sm
from scipy import stats
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.proportion import proportion_confint
from statsmodels.stats.sandwich_covariance import cov_cluster_2groups
from typer.testing import CliRunner

from arena.cli import app
from arena.cli_analysis import UnknownEntrantError
from arena.simulation import simulate
from arena.statistics.against_reference import METHOD_VERSION
from arena.statistics.analysis import WhichReferenceError
from arena.statistics.equivalence import MarginError
from arena.votes_file import VotesFileError

Rows = list[dict[str, Any]]

RATE = {"rate", "se", "interval", "df", "n", "n_eff", "design_effect", "p", "p_holm", "independent"}
FIT = {"estimable", "reason", "strengths", "se", "se_model"}


@pytest.fixture(autouse=True)
def nobody_watches(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("FORCE_COLOR", "TTY_COMPATIBLE", "ARENA_HOME", "ARENA_DATABASE_URL"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("COLUMNS", "200")


@pytest.fixture
def rows() -> Rows:
    """600 votes of 20 raters on 30 prompts: c1, c2 and c3 against sd2, ties and both-bad votes among them."""
    rng = np.random.default_rng(11)
    taste, suits = rng.normal(0, 0.5, 20), rng.normal(0, 0.6, 30)
    found: Rows = []
    for number in range(600):
        candidate, rater, prompt = (int(rng.integers(0, top)) for top in (3, 20, 30))
        preferred = rng.random() < 1 / (1 + math.exp(-(0.5 * (candidate - 1) + taste[rater] + suits[prompt])))
        a_is_candidate = rng.random() < 0.5
        choice = "A" if preferred == a_is_candidate else "B"
        choice = "tie" if rng.random() < 0.15 else "both_bad" if rng.random() < 0.05 else choice
        models = (f"c{candidate + 1}", "sd2")
        found.append(
            {
                "vote_id": number + 1,
                "ts": f"2024-05-01T12:{number // 60:02}:{number % 60:02}Z",
                "rater": f"r{rater}",
                "prompt": f"prompt {prompt}",
                "category": f"category {prompt % 3}",
                "model_a": models[0] if a_is_candidate else models[1],
                "model_b": models[1] if a_is_candidate else models[0],
                "left": "A" if rng.random() < 0.5 else "B",
                "choice": choice,
                "latency_ms": int(rng.integers(500, 9000)),
                "session": "s",
            }
        )
    return found


def _write(path: Path, rows: Rows) -> Path:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


def _analyse(*words: object) -> Any:
    result = CliRunner().invoke(app, ["analyse", *map(str, words), "--json"], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    # One JSON value, and neither NaN nor Infinity in it.
    return json.loads(result.stdout, parse_constant=pytest.fail)


def test_the_json_has_the_shape_that_other_programs_rely_on(rows: Rows, tmp_path: Path) -> None:
    found = _analyse(_write(tmp_path / "votes.csv", rows))

    assert (found["reference"], found["votes"], found["raters"], found["prompts"]) == ("sd2", 600, 20, 30)
    assert found["method_version"] == METHOD_VERSION
    assert set(found["entrants"]) == {"c1", "c2", "c3"}
    for entrant in found["entrants"].values():
        assert {"wins", "losses", "ties", "both_bad", "half_tie", "ties_dropped", "tost", "verdict"} <= set(entrant)
        assert entrant["also_different"] in (True, False)
        assert set(entrant["half_tie"]) >= RATE <= set(entrant["ties_dropped"])
        assert entrant["half_tie"]["independent"] is None
        assert set(entrant["ties_dropped"]["independent"]) == {"wilson", "clopper_pearson", "p"}
        assert set(entrant["tost"]) == {"delta", "p"}
    assert {(one["a"], one["b"]) for one in found["contrasts"]} == {("c1", "c2"), ("c1", "c3"), ("c2", "c3")}
    assert {"difference", "se", "p", "p_holm"} <= set(found["contrasts"][0])
    assert {"left_share", "se", "p"} <= set(found["position"])
    assert isinstance(found["raters_flagged"], list)
    for name in ("bradley_terry", "bradley_terry_side", "davidson", "davidson_side"):
        fit = found[name]
        assert set(fit) >= FIT
        assert fit["estimable"] is True
        for numbers in ("strengths", "se", "se_model"):
            assert set(fit[numbers]) == {"c1", "c2", "c3", "sd2"}
        assert fit["strengths"]["sd2"] == 0
        assert ("side" in fit and "side_se" in fit) == name.endswith("_side")
        assert ("log_nu" in fit) == name.startswith("davidson")
    assert set(found["bradley_terry"]["rank_sets"]) == {"c1", "c2", "c3", "sd2"}
    assert found["bradley_terry"]["simultaneous_q_t"] > found["bradley_terry"]["simultaneous_q"] > 1.96


@pytest.mark.parametrize("ties", ["half", "drop"])
def test_the_numbers_are_those_of_an_independent_calculation(rows: Rows, tmp_path: Path, ties: str) -> None:
    found = _analyse(_write(tmp_path / "votes.csv", rows), "--ties", ties)

    p_values = []
    for name, entrant in found["entrants"].items():
        value, rater, prompt, dropped = _against_sd2(rows, name, ties)
        rate = entrant["half_tie" if ties == "half" else "ties_dropped"]
        peer = sm.OLS(value, np.ones(len(value))).fit()
        se = math.sqrt(cov_cluster_2groups(peer, rater, prompt)[0][0, 0])
        sizes = np.bincount(rater)
        df = sizes.sum() ** 2 / (sizes**2).sum() - 1
        mean = float(value.mean())
        n_eff = min(len(value), mean * (1 - mean) / se**2)
        t = stats.t.ppf(0.975, df)
        centre = (mean + t**2 / (2 * n_eff)) / (1 + t**2 / n_eff)
        half = t / (1 + t**2 / n_eff) * math.sqrt(mean * (1 - mean) / n_eff + t**2 / (4 * n_eff**2))
        p = 2 * stats.t.sf(abs(mean - 0.5) / math.sqrt(0.25 / n_eff), df)
        p_values.append(p)
        assert rate["n"] == len(value)
        assert rate["rate"] == pytest.approx(mean, abs=1e-12)
        assert rate["se"] == pytest.approx(se, rel=1e-9)
        assert rate["df"] == pytest.approx(df, rel=1e-9)
        assert rate["n_eff"] == pytest.approx(n_eff, rel=1e-9)
        assert rate["interval"] == pytest.approx([centre - half, centre + half], abs=1e-9)
        assert rate["p"] == pytest.approx(p, rel=1e-8)
        worse, better = (stats.t.sf((mean - 0.45) / se, df), stats.t.sf((0.55 - mean) / se, df))
        assert entrant["tost"] == {"delta": 0.05, "p": pytest.approx(max(worse, better), rel=1e-8)}
        assert entrant["both_bad"] == dropped
        wins, n = entrant["wins"], entrant["wins"] + entrant["losses"]
        independent = entrant["ties_dropped"]["independent"]
        assert independent["wilson"] == pytest.approx(proportion_confint(wins, n, method="wilson"), abs=1e-12)
        assert independent["clopper_pearson"] == pytest.approx(proportion_confint(wins, n, method="beta"), abs=1e-12)
        assert independent["p"] == pytest.approx(stats.binomtest(wins, n).pvalue, rel=1e-9)
    estimand = "half_tie" if ties == "half" else "ties_dropped"
    adjusted = multipletests(p_values, method="holm")[1]
    assert [entrant[estimand]["p_holm"] for entrant in found["entrants"].values()] == pytest.approx(adjusted, rel=1e-8)


def test_a_csv_file_a_parquet_file_and_another_order_of_rows_give_the_same_numbers(rows: Rows, tmp_path: Path) -> None:
    import pyarrow as pa
    from pyarrow import parquet

    parquet.write_table(pa.Table.from_pylist(rows), tmp_path / "votes.parquet")
    shuffled = [rows[number] for number in np.random.default_rng(1).permutation(len(rows))]

    one = _analyse(_write(tmp_path / "votes.csv", rows))
    two = _analyse(tmp_path / "votes.parquet")
    three = _analyse(_write(tmp_path / "shuffled.csv", shuffled))

    assert one == two
    assert three == _about(one)


def test_swapping_a_and_b_in_every_row_changes_nothing(rows: Rows, tmp_path: Path) -> None:
    other = {"A": "B", "B": "A"}
    swapped = [
        {
            **row,
            "model_a": row["model_b"],
            "model_b": row["model_a"],
            "left": other[row["left"]],
            "choice": other.get(row["choice"], row["choice"]),
        }
        for row in rows
    ]

    one, two = (
        _analyse(_write(tmp_path / f"{len(name)}.csv", votes)) for name, votes in (("a", rows), ("bb", swapped))
    )

    assert two == _about(one)


def test_a_study_in_the_ledger_says_what_its_export_says(arena: Any, tmp_path: Path) -> None:
    arena.open(delta=0.1)
    rng = np.random.default_rng(3)
    simulate(
        arena.room,
        "shapes",
        raters=9,
        votes_each=8,
        judge=lambda *_: str(rng.choice(["left", "right", "tie"])),
        rng=arena.rng,
        now=datetime(2024, 5, 2, tzinfo=UTC),
    )
    home = ["--arena", str(arena.home)]
    exported = tmp_path / "votes.csv"
    CliRunner().invoke(app, ["export", "shapes", "--out", str(exported), "--raters", "simulated", *home])

    study = _analyse("shapes", *home, "--raters", "simulated")
    folder = _analyse(arena.home, "--raters", "simulated")
    file = _analyse(exported, "--reference", "old", "--delta", 0.1)

    assert study["votes"] == 72
    assert study["delta"] == 0.1
    assert study["simulated"] is file["simulated"] is True
    assert folder == study
    for key in ("entrants", "contrasts", "position", "bradley_terry", "davidson_side", "agreement"):
        assert file[key] == _about(study[key]), key


def test_a_study_without_votes_is_a_value_with_reasons(arena: Any) -> None:
    arena.open()

    found = _analyse("shapes", "--arena", arena.home)

    assert (found["votes"], found["raters"], found["prompts"]) == (0, None, None)
    assert {entrant["verdict"] for entrant in found["entrants"].values()} == {"inconclusive"}
    assert found["bradley_terry"]["estimable"] is False


def test_another_margin_than_the_declared_one_is_allowed_and_said(arena: Any) -> None:
    arena.open()

    found = _analyse("shapes", "--arena", arena.home, "--delta", 0.03)

    assert found["notes"] == [
        "The study 'shapes' declared delta = 0.05 before its first vote; verdicts with delta = 0.03 are exploratory."
    ]


def test_the_public_arena_format_is_read_and_what_it_lacks_is_switched_off(tmp_path: Path) -> None:
    winners = ["model_a", "model_b", "tie", "tie (bothbad)"]
    rows = [
        {"model_a": "x" if number % 3 else "y", "model_b": "ref", "winner": winners[number % 4]} for number in range(40)
    ]

    found = _analyse(_write(tmp_path / "battles.csv", rows))

    assert (found["reference"], found["votes"], found["raters"]) == ("ref", 40, None)
    assert sum(entrant["both_bad"] for entrant in found["entrants"].values()) == 10
    assert found["entrants"]["x"]["half_tie"]["rate"] is not None
    assert found["entrants"]["x"]["half_tie"]["interval"] is None
    assert found["entrants"]["x"]["ties_dropped"]["independent"]["wilson"]
    assert found["bradley_terry"]["strengths"] is not None
    assert found["bradley_terry"]["se"] is None
    assert found["position"]["left_share"] is None
    assert found["bradley_terry_side"]["estimable"] is False
    assert any("'rater'" in note for note in found["notes"])
    assert any("'left'" in note for note in found["notes"])


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"choice": "neither"}, ["choice", "neither"]),
        ({"model_a": "sd2", "model_b": "sd2"}, ["sd2"]),
        ({"vote_id": 1}, ["vote id '1'", "row 1"]),
        ({"latency_ms": "NaN"}, ["latency_ms"]),
        ({"latency_ms": -5}, ["latency_ms", "-5"]),
        ({"left": "middle"}, ["left", "middle"]),
        ({"prompt": "x" * 1_000_000}, ["prompt", "1,000,000"]),
        ({"model_a": ""}, ["model_a"]),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_a_row_that_is_no_vote_is_refused_and_named(
    rows: Rows, tmp_path: Path, change: dict[str, Any], words: list[str]
) -> None:
    rows[41] |= change
    file = _write(tmp_path / "votes.csv", rows)

    with pytest.raises(VotesFileError) as refused:
        CliRunner().invoke(app, ["analyse", str(file), "--json"], catch_exceptions=False)

    message = str(refused.value)
    assert all(word in message for word in [*words, "42"]), message
    assert len(message) < 500


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        (lambda row: {**row, "rater": "r1"}, "one rater"),
        (lambda row: {**row, "prompt": "the only one"}, "one prompt"),
    ],
)
def test_one_rater_or_one_prompt_gives_rates_without_intervals(
    rows: Rows, tmp_path: Path, changed: Any, reason: str
) -> None:
    found = _analyse(_write(tmp_path / "votes.csv", [changed(row) for row in rows]))

    for entrant in found["entrants"].values():
        assert entrant["half_tie"]["rate"] is not None
        assert entrant["half_tie"]["interval"] is None
        assert entrant["half_tie"]["p"] is None
        assert entrant["verdict"] == "inconclusive"
        assert reason in " ".join(entrant["reasons"])
    assert found["bradley_terry"]["se"] is None


def test_all_ties_are_one_half_without_certainty(rows: Rows, tmp_path: Path) -> None:
    found = _analyse(_write(tmp_path / "votes.csv", [{**row, "choice": "tie"} for row in rows]))

    entrant = found["entrants"]["c1"]
    assert entrant["half_tie"]["rate"] == 0.5
    low, high = entrant["half_tie"]["interval"]
    assert low < 0.35
    assert high > 0.65
    assert entrant["tost"]["p"] is None
    assert entrant["verdict"] == "inconclusive"
    assert entrant["ties_dropped"]["rate"] is None
    assert "prefers one entrant" in found["bradley_terry"]["reason"]


def test_ten_votes_decide_nothing_and_raise_no_warning(rows: Rows, tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = _analyse(_write(tmp_path / "votes.csv", rows[:10]))

    assert found["votes"] == 10
    for entrant in found["entrants"].values():
        assert entrant["verdict"] == "inconclusive"
        interval = entrant["half_tie"]["interval"]
        assert interval is None or interval[1] - interval[0] > 0.4


def test_an_unbeaten_and_a_never_compared_entrant_are_named(rows: Rows, tmp_path: Path) -> None:
    unbeaten = [
        {**rows[0], "vote_id": 900 + n, "model_a": "champion", "model_b": "sd2", "choice": "A"} for n in range(9)
    ]
    stranger = {**rows[0], "vote_id": 999, "model_a": "stranger", "model_b": "c1", "choice": "A"}

    found = _analyse(_write(tmp_path / "votes.csv", [*rows, *unbeaten, stranger]), "--reference", "sd2")

    assert "stranger" in found["bradley_terry"]["reason"] or "champion" in found["bradley_terry"]["reason"]
    assert found["entrants"]["stranger"]["half_tie"]["rate"] is None
    assert "no votes" in found["entrants"]["stranger"]["reasons"][0]
    assert found["entrants"]["champion"]["half_tie"]["rate"] == 1.0
    assert found["entrants"]["champion"]["verdict"] == "inconclusive"


def test_only_some_entrants_can_be_ranked_apart(rows: Rows, tmp_path: Path) -> None:
    unbeaten = [
        {**rows[0], "vote_id": 900 + n, "model_a": "champion", "model_b": "sd2", "choice": "A"} for n in range(9)
    ]
    file = _write(tmp_path / "votes.csv", [*rows, *unbeaten])

    found = _analyse(file, "--only", "c1", "--only", "c2", "--reference", "sd2")

    assert set(found["bradley_terry"]["strengths"]) == {"c1", "c2", "sd2"}
    with pytest.raises(UnknownEntrantError, match="'c9'"):
        CliRunner().invoke(app, ["analyse", str(file), "--only", "c9"], catch_exceptions=False)


def test_votes_that_do_not_say_who_is_the_reference_ask_for_it(rows: Rows, tmp_path: Path) -> None:
    everybody = _write(tmp_path / "all.csv", [*rows, {**rows[0], "vote_id": 999, "model_a": "c1", "model_b": "c2"}])
    two = _write(tmp_path / "two.csv", [row for row in rows if "c1" in (row["model_a"], row["model_b"])])

    for file, words in ((everybody, "No model is in every vote"), (two, "Both 'c1' and 'sd2' are in every vote")):
        with pytest.raises(WhichReferenceError, match=words):
            CliRunner().invoke(app, ["analyse", str(file)], catch_exceptions=False)
    with pytest.raises(WhichReferenceError, match="No vote knows the reference 'sd3'"):
        CliRunner().invoke(app, ["analyse", str(two), "--reference", "sd3"], catch_exceptions=False)
    assert set(_analyse(two, "--reference", "c1")["entrants"]) == {"sd2"}


@pytest.mark.parametrize("delta", ["0", "0.5", "-0.1", "nan"])
def test_a_margin_outside_its_range_is_refused(rows: Rows, tmp_path: Path, delta: str) -> None:
    file = _write(tmp_path / "votes.csv", rows)

    with pytest.raises(MarginError, match="equivalence margin"):
        CliRunner().invoke(app, ["analyse", str(file), "--delta", delta], catch_exceptions=False)


def test_the_bootstrap_is_a_check_beside_the_sandwich(rows: Rows, tmp_path: Path) -> None:
    found = _analyse(_write(tmp_path / "votes.csv", rows), "--bootstrap", 100, "--seed", 4)

    assert found["bootstrap"]["resamples"] == 100
    for name in ("c1", "c2", "c3"):
        assert found["bootstrap"]["se"][name] == pytest.approx(found["bradley_terry"]["se"][name], rel=0.5)
    assert found["bootstrap"] == _analyse(tmp_path / "votes.csv", "--bootstrap", 100, "--seed", 4)["bootstrap"]


def test_people_read_verdicts_contrasts_ranks_sides_and_agreement(rows: Rows, tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["analyse", str(_write(tmp_path / "votes.csv", rows))], catch_exceptions=False)

    for words in ("600 votes of 20 raters on 30 prompts, against 'sd2'", "verdict", "difference", "rank", "Left image"):
        assert words in result.stdout
    assert "Krippendorff" in result.stdout


def test_a_program_meets_one_sentence_and_an_exit_code(tmp_path: Path) -> None:
    file = tmp_path / "votes.csv"
    file.write_text("model_a,model_b,choice\nx,y,perhaps\n")

    done = subprocess.run(
        [str(Path(sys.executable).with_name("canvas")), "arena", "analyse", str(file), "--json"],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )

    assert done.returncode == 1
    assert done.stdout == ""
    assert len(done.stderr.strip().splitlines()) == 1
    assert "'perhaps'" in done.stderr


def _against_sd2(rows: Rows, name: str, ties: str) -> tuple[np.ndarray, np.ndarray, np.ndarray, int]:
    """Values, raters, prompts of the votes that count, and how many both-bad votes there were, from the rows alone."""
    value, rater, prompt, dropped = [], [], [], 0
    for row in rows:
        if name not in (row["model_a"], row["model_b"]):
            continue
        if row["choice"] == "both_bad":
            dropped += 1
        elif row["choice"] != "tie" or ties == "half":
            preferred = {"A": row["model_a"], "B": row["model_b"]}.get(row["choice"])
            value.append(0.5 if preferred is None else float(preferred == name))
            rater.append(int(row["rater"][1:]))
            prompt.append(int(row["prompt"].split()[1]))
    return np.array(value), np.array(rater), np.array(prompt), dropped


def _about(value: Any) -> Any:
    """The same JSON value with every float approximate, however deep it lies."""
    if isinstance(value, dict):
        return {key: _about(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_about(inner) for inner in value]
    return pytest.approx(value, rel=1e-7, abs=1e-10) if isinstance(value, float) else value
