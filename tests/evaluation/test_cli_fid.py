"""`canvas evaluate fid`, on folders of real picture files and a true CLIP model with random weights."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer
from PIL import Image
from scipy import linalg
from typer.testing import CliRunner, Result

from evaluation import cli_reference
from evaluation.cli_fid import NothingToDoError, fid
from evaluation.feature_files import FeatureFileError
from evaluation.features.base import ExtractorSettings
from evaluation.features.clip import open_extractor
from evaluation.features.linter import LossyPicturesError, UnequalSizesError
from evaluation.folder_checks import BeingWrittenError, TooFewPicturesError, refuse_changed, state_of
from evaluation.folder_fid import NoIntervalError
from evaluation.image_sets import NoWeightsNamedError, OtherExtractorError
from evaluation.metrics.base import ConstantFeaturesError, FeaturesError, MismatchedFeaturesError
from evaluation.pictures import PictureError, read_picture
from evaluation.reference import ReferenceImages
from evaluation.weights import MissingWeightsError
from prompts.plugins import UnknownPluginError


def canvas_fid(*arguments: str | Path) -> Result:
    app = typer.Typer()
    app.command()(fid)
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def paint(folder: Path, count: int, *, seed: int, size: int = 40, ending: str = ".png") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    for number in range(count):
        coarse = Image.fromarray(rng.integers(0, 256, (4, 4, 3), dtype=np.uint8))
        coarse.resize((size, size), Image.Resampling.BICUBIC).save(folder / f"{number:04d}{ending}")
    return folder


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test writes into the user's cache."""
    monkeypatch.setenv("CANVAS_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def real(tmp_path: Path) -> Path:
    return paint(tmp_path / "real", 40, seed=0)


@pytest.fixture
def generated(tmp_path: Path) -> Path:
    return paint(tmp_path / "generated", 36, seed=1)


@pytest.fixture
def tiny(clip_folder: Path) -> list[str]:
    return ["--extractor", "clip", "--weights", str(clip_folder), "--device", "cpu"]


def features_of(folder: Path, clip_folder: Path) -> Any:
    extractor = open_extractor(str(clip_folder), None, ExtractorSettings(device="cpu"))
    return extractor.images([read_picture(path) for path in sorted(folder.glob("*"))])


def as_json(*arguments: str | Path) -> Any:
    result = canvas_fid(*arguments, "--json")
    assert result.exit_code == 0, repr(result.exception)
    return json.loads(result.stdout)


def by_the_book(x: Any, y: Any) -> float:
    """The formula of Heusel et al. (2017), with SciPy's general matrix root."""
    x, y = x.astype(np.float64), y.astype(np.float64)
    shift = x.mean(axis=0) - y.mean(axis=0)
    a, b = np.cov(x, rowvar=False), np.cov(y, rowvar=False)
    return float(shift @ shift + np.trace(a + b) - 2 * np.trace(linalg.sqrtm(a @ b)).real)


def test_two_folders_give_the_distance_by_the_book(
    real: Path, generated: Path, tiny: list[str], clip_folder: Path
) -> None:
    expected = by_the_book(features_of(real, clip_folder), features_of(generated, clip_folder))

    found = as_json(real, generated, *tiny)

    assert found["frechet"] == pytest.approx(expected, rel=1e-6)
    assert (found["a"]["n"], found["b"]["n"]) == (40, 36)
    assert found["extractor"]["preprocessing"]["filter"] == "bicubic"
    assert {"canvas-arena", "pillow", "torch"} <= set(found["versions"])


def test_people_read_a_table_with_both_counts(real: Path, generated: Path, tiny: list[str]) -> None:
    result = canvas_fid(real, generated, *tiny)

    assert result.exit_code == 0
    assert "Frechet distance" in result.stdout
    assert f"{real}, 40 images" in result.stdout
    assert "compare it only with others of 40 and 36 images" in result.stderr


def test_neither_batches_nor_threads_nor_the_cache_change_the_distance(
    real: Path, generated: Path, tiny: list[str]
) -> None:
    first = as_json(real, generated, *tiny)["frechet"]

    assert as_json(real, generated, *tiny)["frechet"] == first
    assert as_json(real, generated, *tiny, "--no-cache", "--num-workers", "1")["frechet"] == first
    assert as_json(real, generated, *tiny, "--no-cache", "--batch", "5")["frechet"] == pytest.approx(first, rel=1e-5)


def test_streamed_statistics_give_the_distance_of_kept_features(
    real: Path, generated: Path, tiny: list[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    kept = as_json(real, generated, *tiny, "--no-cache")["frechet"]
    monkeypatch.setattr("evaluation.image_sets.KEEP_FEATURES", 10)

    streamed = as_json(real, generated, *tiny, "--no-cache")["frechet"]
    through_the_cache = as_json(real, generated, *tiny)["frechet"]

    assert streamed == pytest.approx(kept, rel=1e-9)
    assert through_the_cache == streamed
    assert not list((tmp_path / "cache").rglob("features.npy"))
    assert len(list((tmp_path / "cache").rglob("statistics-exact.npz"))) == 2


def test_saved_statistics_stand_in_for_their_folder(
    real: Path, generated: Path, tiny: list[str], tmp_path: Path
) -> None:
    folders = as_json(real, generated, *tiny)["frechet"]

    saved = as_json(real, "--save-stats", tmp_path / "real.npz", *tiny)
    as_json(real, generated, "--save-stats", tmp_path / "again.npz", *tiny)
    from_file = as_json(tmp_path / "real.npz", generated, *tiny)

    assert saved["n"] == 40
    assert from_file["frechet"] == pytest.approx(folders, rel=1e-9)
    assert from_file["a"]["n"] == 40
    assert from_file["a"]["of"]["folder"] == str(real)
    assert as_json(tmp_path / "again.npz", generated, *tiny)["frechet"] == from_file["frechet"]
    with np.load(tmp_path / "real.npz") as arrays:
        assert (arrays["mu"].shape, arrays["sigma"].shape) == ((16,), (16, 16))


def test_others_statistics_are_taken_and_what_they_leave_out_is_said(
    real: Path, generated: Path, tiny: list[str], clip_folder: Path, tmp_path: Path
) -> None:
    """As pytorch-fid writes them: mu and sigma, and nothing else."""
    features = features_of(real, clip_folder).astype(np.float64)
    np.savez(tmp_path / "theirs.npz", mu=features.mean(axis=0), sigma=np.cov(features, rowvar=False))

    found = as_json(tmp_path / "theirs.npz", generated, *tiny)

    assert found["frechet"] == pytest.approx(as_json(real, generated, *tiny)["frechet"], rel=1e-6)
    assert any("does not say which extractor and which resizing made it" in note for note in found["notes"])


def test_features_are_taken_as_given(real: Path, generated: Path, clip_folder: Path, tmp_path: Path) -> None:
    x, y = (features_of(folder, clip_folder) for folder in (real, generated))
    np.savez(tmp_path / "x.npz", x)
    np.save(tmp_path / "y.npy", y.astype(np.float64))

    found = as_json(tmp_path / "x.npz", tmp_path / "y.npy")

    assert found["frechet"] == pytest.approx(by_the_book(x, y), rel=1e-6)
    assert found["extractor"] is None


def test_an_interval_lies_around_the_distance_and_is_that_of_a_bootstrap(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(4000, 6)), rng.normal(size=(1000, 6)) * 1.3 + 0.2
    np.savez(tmp_path / "x.npz", x)
    np.savez(tmp_path / "y.npz", y)
    drawn = [by_the_book(x, y[rng.integers(1000, size=1000)]) for _ in range(300)]

    found = as_json(tmp_path / "x.npz", tmp_path / "y.npz", "--interval")

    interval = found["interval"]
    assert interval["method"] == "linear"
    assert interval["high"] - interval["low"] == pytest.approx(2 * 1.96 * float(np.std(drawn)), rel=0.2)
    assert interval["low"] < found["frechet"] < interval["high"]


def test_a_small_set_has_an_interval_by_redrawing_and_statistics_have_none(
    real: Path, generated: Path, tiny: list[str], tmp_path: Path
) -> None:
    canvas_fid(generated, "--save-stats", tmp_path / "saved.npz", *tiny)
    few = paint(tmp_path / "few", 12, seed=3)

    small = as_json(real, few, "--interval", *tiny)
    of_statistics = canvas_fid(real, tmp_path / "saved.npz", "--interval", *tiny)
    of_enough = canvas_fid(real, generated, "--interval", *tiny)

    assert small["interval"]["method"] == "bootstrap"
    assert small["interval"]["low"] < small["frechet"] < small["interval"]["high"]
    assert isinstance(of_statistics.exception, NoIntervalError)
    assert "95% interval" in of_enough.stdout


def test_statistics_of_another_extractor_are_refused(
    real: Path, generated: Path, tiny: list[str], clip_folder: Path, tmp_path: Path
) -> None:
    import shutil

    other = Path(shutil.copytree(clip_folder, tmp_path / "other"))
    said = json.loads((other / "preprocessor_config.json").read_text())
    (other / "preprocessor_config.json").write_text(json.dumps({**said, "image_mean": [0.1, 0.1, 0.1]}))
    canvas_fid(real, "--save-stats", tmp_path / "real.npz", *tiny)

    result = canvas_fid(tmp_path / "real.npz", generated, "--extractor", "clip", "--weights", other, "--device", "cpu")

    assert isinstance(result.exception, OtherExtractorError)
    assert "(preprocessing differ)" in str(result.exception)


def test_a_built_reference_set_says_what_it_is(real: Path, generated: Path, tiny: list[str], tmp_path: Path) -> None:
    built = tmp_path / "built"
    CliRunner().invoke(cli_reference.app, ["build", str(real), "--out", str(built), "--size", "32"])

    found = as_json(built, generated, *tiny)["a"]

    assert (found["n"], found["dataset"]) == (40, "real")
    assert found["preprocessing"]["crop"] == "largest centre square"
    assert len(found["list_sha256"]) == 64
    assert found["sha256"] == ReferenceImages(built).details["sha256"]


def test_the_network_of_fid_is_the_default(tmp_path: Path) -> None:
    """With random weights in pytorch-fid's layout: the real code on the real architecture."""
    import torch

    from evaluation.features.inception import FidInception

    torch.manual_seed(0)
    torch.save(FidInception().state_dict(), tmp_path / "inception.pth")
    real, generated = paint(tmp_path / "real", 5, seed=0), paint(tmp_path / "generated", 5, seed=1)

    found = as_json(real, generated, "--weights", tmp_path / "inception.pth", "--device", "cpu")

    assert found["frechet"] > 0
    assert found["extractor"]["extractor"] == "inception"
    assert found["extractor"]["preprocessing"]["resize"] == {"height": 299, "width": 299}


def test_generated_pictures_of_two_sizes_or_in_jpeg_are_refused(real: Path, tmp_path: Path, tiny: list[str]) -> None:
    mixed = paint(paint(tmp_path / "mixed", 20, seed=1), 3, seed=2, size=48)
    lossy = paint(tmp_path / "lossy", 20, seed=1, ending=".jpg")

    sizes, jpeg = canvas_fid(real, mixed, *tiny), canvas_fid(real, lossy, *tiny)

    assert isinstance(sizes.exception, UnequalSizesError)
    assert isinstance(jpeg.exception, LossyPicturesError)
    assert "add --both-real" in str(jpeg.exception)
    assert as_json(real, lossy, *tiny, "--both-real")["b"]["n"] == 20


@pytest.mark.parametrize("left", ["plan.json", "0009.png.partial", ".0009.png.writing"])
def test_a_folder_that_is_still_being_written_is_refused(
    real: Path, generated: Path, tiny: list[str], left: str
) -> None:
    (generated / left).write_text("{}")

    result = canvas_fid(real, generated, *tiny)

    assert isinstance(result.exception, BeingWrittenError)
    assert str(generated) in str(result.exception)


def test_a_gallery_whose_list_names_missing_files_is_refused(real: Path, generated: Path, tiny: list[str]) -> None:
    (generated / "gallery.csv").write_text("file,prompt\n0000.png,a\n9999.png,b\n")

    result = canvas_fid(real, generated, *tiny)

    assert "gallery.csv names 9999.png, one of 1 that are not there" in str(result.exception)


def test_the_partial_folder_of_a_set_is_not_taken_for_the_set(real: Path, tmp_path: Path, tiny: list[str]) -> None:
    paint(tmp_path / "set.partial", 3, seed=0)

    for name in ("set", "set.partial"):
        assert isinstance(canvas_fid(real, tmp_path / name, *tiny).exception, BeingWrittenError)


def test_pictures_that_come_while_a_folder_is_read_are_noticed(generated: Path) -> None:
    before = state_of(sorted(generated.glob("*")))
    refuse_changed(generated, before)
    paint(generated, 37, seed=5)

    with pytest.raises(BeingWrittenError, match="changed while it was read"):
        refuse_changed(generated, before)


def test_what_cannot_be_measured_is_one_sentence(
    real: Path, generated: Path, tiny: list[str], tmp_path: Path, empty_hub_cache: Path
) -> None:
    del empty_hub_cache
    cut = paint(tmp_path / "cut", 5, seed=4)
    (cut / "0003.png").write_bytes((cut / "0003.png").read_bytes()[:60])
    same = paint(tmp_path / "same", 4, seed=4)
    for path in same.iterdir():
        path.write_bytes((same / "0000.png").read_bytes())
    np.savez(tmp_path / "three.npz", np.zeros((4, 3, 2)))
    np.savez(tmp_path / "narrow.npz", np.random.default_rng(0).normal(size=(40, 5)))
    np.savez(tmp_path / "odd.npz", mu=np.zeros(3), sigma=np.eye(4))
    (tmp_path / "torn.npz").write_bytes(b"PK\x03\x04 torn")
    cases: list[tuple[list[str | Path], type[Exception], str]] = [
        ([real, tmp_path / "nowhere"], PictureError, "There is no folder"),
        ([real, paint(tmp_path / "one", 1, seed=0)], TooFewPicturesError, "holds one picture"),
        ([real, cut], PictureError, "0003.png"),
        ([real, same], ConstantFeaturesError, f"All 4 images of {same} have the same features"),
        ([same, generated], ConstantFeaturesError, f"All 4 images of {same} have the same features"),
        ([real, tmp_path / "narrow.npz"], MismatchedFeaturesError, "has 16 features per image and"),
        ([real, tmp_path / "three.npz"], FeaturesError, "a table is needed, one row per image"),
        ([tmp_path / "odd.npz", generated], FeaturesError, "do not belong together"),
        ([tmp_path / "torn.npz", generated], FeatureFileError, "is damaged"),
        ([real], NothingToDoError, "name a second one"),
    ]

    for arguments, error, words in cases:
        result = canvas_fid(*arguments, *tiny)
        assert isinstance(result.exception, error), (arguments, result.exception)
        assert words in str(result.exception)
        assert "\n" not in str(result.exception)


@pytest.mark.usefixtures("empty_hub_cache")
def test_an_extractor_without_weights_says_how_to_come_by_them(real: Path, generated: Path) -> None:
    missing = canvas_fid(real, generated, "--extractor", "clip")
    unknown = canvas_fid(real, generated, "--extractor", "vgg", "--weights", "x")
    unmeant = canvas_fid(real, generated, "--extractor", "vgg")
    unnamed = canvas_fid(real, generated, "--extractor", "open_clip")

    assert isinstance(missing.exception, MissingWeightsError)
    assert "download it where there is a network, and name its folder with --weights." in str(missing.exception)
    for one in (unknown, unmeant):
        assert isinstance(one.exception, UnknownPluginError)
        assert "no extractor named 'vgg'. Known: clip, dinov2, inception, open_clip, sscd." in str(one.exception)
    assert isinstance(unnamed.exception, NoWeightsNamedError)


def test_the_command_loads_nothing_heavy_before_it_runs() -> None:
    script = (
        "import sys; import evaluation.cli_fid; import evaluation.cli_reference; "
        "sys.exit(bool({'torch', 'scipy', 'numpy', 'PIL'} & set(sys.modules)))"
    )

    subprocess.run([sys.executable, "-c", script], check=True)
