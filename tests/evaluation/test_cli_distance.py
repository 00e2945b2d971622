"""`distance` on files: every number as its own function gives it, in full, and one sentence for what cannot be read."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from evaluation.cli_distance import distance
from evaluation.metrics.base import (
    ConstantFeaturesError,
    FeaturesError,
    MismatchedFeaturesError,
    NotFiniteFeaturesError,
    TooFewFeaturesError,
    TooLargeFeaturesError,
)
from evaluation.metrics.cmmd import cmmd
from evaluation.metrics.fd_infinity import fd_infinity
from evaluation.metrics.frechet import frechet_distance
from evaluation.metrics.kid import kid, kid_u, kid_v
from evaluation.metrics.prdc import prdc
from prompts.errors import CanvasError

app = typer.Typer()
app.command()(distance)
# As users run it: `canvas evaluate distance`, with its exit codes.
PROGRAM = """
import sys
import canvas.cli, evaluation.cli
from evaluation.cli_distance import distance
if not any(one.callback is distance for one in evaluation.cli.app.registered_commands):
    evaluation.cli.app.command()(distance)
try:
    canvas.cli.main()
finally:
    print("torch is loaded" if "torch" in sys.modules else "torch is not loaded", file=sys.stderr)
"""


def drawn(seed: int, n: int, d: int = 6, *, shift: float = 0.0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(n, d)) + shift


X, Y = drawn(0, 90), drawn(1, 70, shift=0.5)


@pytest.fixture
def files(tmp_path: Path) -> Callable[..., list[str]]:
    """Writes arrays as .npz files and names them."""

    def write(*arrays: np.ndarray) -> list[str]:
        for number, array in enumerate(arrays):
            np.savez(tmp_path / f"{'xy'[number]}.npz", array)
        return [str(tmp_path / f"{'xy'[number]}.npz") for number in range(len(arrays))]

    return write


def run(*words: str) -> Any:
    return CliRunner().invoke(app, [*words])


def printed(*words: str) -> dict[str, Any]:
    found = run(*words, "--json")
    assert found.exit_code == 0, found.output
    return json.loads(found.stdout)


def test_every_distance_is_printed_in_full(files: Callable[..., list[str]]) -> None:
    pair = files(X, Y)
    shares = prdc(X, Y)

    assert printed("--metric", "frechet", *pair) == {"frechet": frechet_distance(X, Y)}
    assert printed("--metric", "kid_full", *pair) == {"kid_u": kid_u(X, Y), "kid_v": kid_v(X, Y)}
    assert printed("--metric", "cmmd", *pair) == {"cmmd": cmmd(X, Y)}
    assert printed("--metric", "prdc", *pair) == {
        "precision": shares.precision,
        "recall": shares.recall,
        "density": shares.density,
        "coverage": shares.coverage,
    }
    assert printed("--metric", "fd_infinity", *pair)["fd_infinity"] == fd_infinity(Y, X).value


def test_kid_says_what_was_drawn_and_when_it_was_fewer(files: Callable[..., list[str]]) -> None:
    expected, fewer = kid(X, Y, subsets=7, size=30, seed=3), kid(X, Y)
    asked = ("--metric", "kid", *files(X, Y))

    found = run(*asked, "--subsets", "7", "--size", "30", "--seed", "3", "--json")
    whole = run(*asked, "--json")

    assert json.loads(found.stdout) == {"kid": expected.kid, "sd": expected.sd, "subsets": 7, "size": 30, "seed": 3}
    assert found.stderr == ""
    assert json.loads(whole.stdout) == {"kid": fewer.kid, "sd": fewer.sd, "subsets": 100, "size": 70, "seed": 0}
    assert "Subsets are of 70 images instead of 1,000" in whole.stderr


@pytest.mark.parametrize("metric", ["kid_full", "cmmd", "prdc"])
def test_what_takes_long_shows_on_a_terminal_how_far_it_is_and_gets_to_the_end(
    files: Callable[..., list[str]], metric: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """2,100 and 1,100 rows are 3 and 2 blocks: 6 + 3 + 6 pairs of blocks."""
    monkeypatch.setenv("FORCE_COLOR", "1")

    found = run("--metric", metric, *files(drawn(20, 2100), drawn(21, 1100)))

    assert found.exit_code == 0
    assert "15/15" in found.stderr


def test_the_first_file_is_real_and_the_second_generated(files: Callable[..., list[str]]) -> None:
    real, generated = 3 * drawn(2, 100), 0.3 * drawn(3, 80)

    found = printed("--metric", "prdc", *files(real, generated), "--k", "3")

    assert found["precision"] > 0.95
    assert found["recall"] < 0.5
    assert found["density"] == prdc(real, generated, k=3).density


def test_features_are_used_as_given(files: Callable[..., list[str]]) -> None:
    once = printed("--metric", "cmmd", *files(X, Y))
    longer = printed("--metric", "cmmd", *files(5 * X, 5 * Y))

    assert longer["cmmd"] > 5 * once["cmmd"]


def test_exact_takes_float32_features_in_float64(files: Callable[..., list[str]]) -> None:
    x, y = X.astype(np.float32), Y.astype(np.float32)

    found = printed("--metric", "frechet", "--exact", *files(x, y))

    assert found["frechet"] == pytest.approx(frechet_distance(x.astype(np.float64), y.astype(np.float64)), rel=1e-12)


def test_a_frechet_distance_takes_statistics_on_either_side(tmp_path: Path, files: Callable[..., list[str]]) -> None:
    x, y = files(X, Y)
    np.savez(tmp_path / "s.npz", mu=X.mean(axis=0), sigma=np.cov(X, rowvar=False))
    statistics = str(tmp_path / "s.npz")

    first, second = (printed("--metric", "frechet", *pair) for pair in ((statistics, y), (y, statistics)))

    assert first["frechet"] == pytest.approx(frechet_distance(X, Y), rel=1e-9)
    assert second["frechet"] == pytest.approx(first["frechet"], rel=1e-9)
    assert printed("--metric", "frechet", statistics, x)["frechet"] == pytest.approx(0, abs=1e-9)


def test_without_json_it_is_a_table(files: Callable[..., list[str]]) -> None:
    found = run("--metric", "cmmd", *files(X, Y))

    assert f"{cmmd(X, Y):.6g}" in found.stdout


def with_nan() -> np.ndarray:
    broken = Y.copy()
    broken[5, 2] = np.nan
    return broken


@pytest.mark.parametrize("metric", ["frechet", "kid", "kid_full", "cmmd", "prdc", "fd_infinity"])
@pytest.mark.parametrize(
    ("wrong", "error", "words"),
    [
        (np.ones(5), FeaturesError, "a table is needed"),
        (np.ones((5, 6), dtype=np.int32), FeaturesError, "features are float32 or float64"),
        (drawn(0, 1), TooFewFeaturesError, "y.npz have 1 rows, and 2 are needed"),
        (drawn(0, 20, 5), MismatchedFeaturesError, "x.npz have 6 columns and those of .*y.npz have 5"),
        (with_nan(), NotFiniteFeaturesError, "y.npz hold NaN or infinity in 1 of 70 rows, the first is row 5"),
        (Y * 1e200, TooLargeFeaturesError, r"y.npz hold numbers beyond 1e\+24 in 70 of 70 rows, the first is row 0"),
        (np.ones((20, 6)), ConstantFeaturesError, "All 20 images of .*y.npz have the same features"),
    ],
)
def test_bad_features_are_refused_whatever_is_asked(
    files: Callable[..., list[str]], metric: str, wrong: np.ndarray, error: type[CanvasError], words: str
) -> None:
    found = run("--metric", metric, *files(X, wrong))

    assert isinstance(found.exception, error)
    with pytest.raises(error, match=words):
        raise found.exception


def test_fd_infinity_takes_no_reference_with_fewer_images_than_features(files: Callable[..., list[str]]) -> None:
    found = run("--metric", "fd_infinity", *files(drawn(5, 6), Y))

    assert isinstance(found.exception, TooFewFeaturesError)
    assert "a reference of 6 images with 6 features is out of reach" in str(found.exception)
    assert str(found.exception).endswith("name 7 reference images or more.")


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        (("--metric", "fid"), "no distance 'fid': choose one of frechet, kid"),
        (("--metric", "prdc", "--k", "0"), "k is 0"),
        (("--metric", "prdc", "--k", "70"), "70 generated images, and k = 70 needs more than 70"),
        (("--metric", "kid", "--subsets", "0"), "asked for 0 subsets"),
        (("--metric", "kid", "--size", "1"), "subsets of 1 images"),
    ],
)
def test_options_that_make_no_sense_are_refused(
    files: Callable[..., list[str]], asked: tuple[str, ...], words: str
) -> None:
    found = run(*asked, *files(X, Y))

    assert isinstance(found.exception, CanvasError)
    assert words in str(found.exception)


def test_statistics_of_another_width_are_refused(tmp_path: Path, files: Callable[..., list[str]]) -> None:
    np.savez(tmp_path / "s.npz", mu=np.zeros(3), sigma=np.eye(3))

    found = run("--metric", "frechet", str(tmp_path / "s.npz"), files(X)[0])

    assert isinstance(found.exception, MismatchedFeaturesError)


def test_the_program_answers_without_torch_and_ends_with_1_for_bad_files(files: Callable[..., list[str]]) -> None:
    pair = files(X, Y)

    def started(*words: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-c", PROGRAM, "evaluate", "distance", *words]
        return subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)

    good, bad = started("--metric", "kid", *pair, "--json"), started("--metric", "kid", pair[0], "nothing.npz")

    assert good.returncode == 0
    assert json.loads(good.stdout)["kid"] == pytest.approx(kid(X, Y).kid, rel=1e-9)
    assert "torch is not loaded" in good.stderr
    assert bad.returncode == 1
    assert "canvas: There is no file nothing.npz: name an .npz or .npy file of features." in bad.stderr
    assert "Traceback" not in bad.stderr
