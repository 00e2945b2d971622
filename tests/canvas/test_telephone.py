"""Images go through words and back: what comes back is measured, shown, and kept when the road is interrupted."""

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from typer.testing import CliRunner

from canvas.cli import app
from canvas.telephone import TelephoneError
from evaluation.folder_stage import OtherSettingsError, read_manifest
from evaluation.pictures import PictureError
from evaluation.weights import MissingWeightsError
from prompts.errors import CanvasError
from prompts.plugins import UnknownPluginError
from training.captions import NoCaptionError
from training.catalogue import SourceImage, read_catalogue, write_catalogue
from training.models import ModelNotFoundError

Send = Callable[..., dict[str, Any]]


@pytest.fixture
def send(shapes: Path, sscd_file: Path, dinov2_folder: Path, clip_folder: Path, tmp_path: Path) -> Send:
    """Runs the command on the shapes with tiny extractors and returns its JSON; options come as in the shell."""

    def run(*options: str | Path, images: Path = shapes, features: str = "sscd") -> dict[str, Any]:
        where = {"sscd": sscd_file, "dinov2": dinov2_folder, "clip": clip_folder}
        weights = [word for line in features.split(",") for word in ("--weights", f"{line}={where.get(line, line)}")]
        common = ["--device", "cpu", "--cache", tmp_path / "cache", "--arena", tmp_path / "arena", "--json"]
        words = ["evaluate", "telephone", images, "--features", features, *weights, *common, *options]
        done = CliRunner().invoke(app, [str(word) for word in words], catch_exceptions=False)
        return dict(json.loads(done.stdout))

    return run


@pytest.fixture
def echo(shapes: Path, tmp_path: Path) -> Path:
    """An entrant that paints the very source of each caption."""
    folder = tmp_path / "echo"
    folder.mkdir()
    with (folder / "gallery.csv").open("w", newline="") as lines:
        writer = csv.writer(lines)
        writer.writerow(("file", "prompt", "seed"))
        for place, image in enumerate(read_catalogue(shapes)):
            Image.open(shapes / image.file).save(folder / f"{place}.png")
            writer.writerow((f"{place}.png", image.caption, place))
    return folder


def test_an_echo_comes_back_by_every_measure(send: Send, echo: Path, tmp_path: Path) -> None:
    told = send("--captioner", "alt_text", "--entrant", echo, "--out", tmp_path / "out", features="clip,dinov2,sscd")

    assert told["images"] == 12
    assert list(told["measures"]) == ["clip", "dinov2", "sscd"]
    for one in told["measures"].values():
        assert one["own"] == pytest.approx(1, abs=1e-5)
        assert one["low"] > 0
        assert one["p_value"] == 1 / 10_000
        assert one["nearest"] == 1
        assert len(one["extractor"]["weights_sha256"]) == 64
    results = json.loads((tmp_path / "out" / "results.json").read_text())
    assert results["rows"][0]["similarity"]["sscd"]["own"] == pytest.approx(1, abs=1e-5)
    assert results["captions"] == {**results["captions"], "different": 12, "naming_someone": 0}


def test_swatches_know_nothing_of_their_captions(send: Send, tmp_path: Path) -> None:
    told = send("--captioner", "alt_text", "--entrant", "swatch:blind", "--repeats", "2", "--out", tmp_path / "out")

    found = told["measures"]["sscd"]
    assert found["low"] <= 0 <= found["high"]
    assert found["p_value"] > 0.05
    assert len(list((tmp_path / "out" / "outputs").glob("*.png"))) == 24
    assert not (tmp_path / "arena").exists()


def test_images_of_one_caption_are_painted_by_their_own_seeds(send: Send, shapes: Path, tmp_path: Path) -> None:
    same = tmp_path / "same"
    rows = [SourceImage(**{**_plain(image), "caption": "a shape"}) for image in read_catalogue(shapes)]
    write_catalogue(same, rows)
    (same / "images").symlink_to(shapes / "images")

    told = send("--captioner", "alt_text", "--entrant", "swatch:one", "--out", tmp_path / "out", images=same)

    painted = {Image.open(path).getpixel((0, 0)) for path in (tmp_path / "out" / "outputs").iterdir()}
    assert len(painted) == 12
    assert told["captions"]["different"] == 0


def test_blip2_and_a_diffusers_pipeline_walk_the_whole_road(
    send: Send, tiny_blip2: Path, pipeline_folder: Path, shapes: Path, tmp_path: Path
) -> None:
    plain = tmp_path / "pictures"
    plain.mkdir()
    for path in sorted((shapes / "images").rglob("*.png")):
        Image.open(path).resize((48, 40)).save(plain / path.name)

    told = send(
        *("--captioner", "blip2", "--captioner-model", tiny_blip2, "--max-new-tokens", "5", "--skip-uncaptioned"),
        *("--entrant", pipeline_folder, "--steps", "1", "--batch", "2", "--out", tmp_path / "out"),
        images=plain,
    )

    assert told["captioner"].startswith("blip2")
    assert told["painter"]["pipeline"] == "StableDiffusionPipeline"
    assert 4 <= told["images"] <= 12
    assert Image.open(tmp_path / "out" / "sources" / "000000.png").size == (40, 40)
    assert Image.open(tmp_path / "out" / "outputs" / "000000-000.png").size == (32, 32)


def test_an_interrupted_round_trip_goes_on_and_ends_the_same(send: Send, echo: Path, tmp_path: Path) -> None:
    words = ("--captioner", "alt_text", "--entrant", echo)
    send(*words, "--out", tmp_path / "whole")
    hidden = echo / "7.png"
    kept = hidden.read_bytes()
    hidden.unlink()
    with pytest.raises(PictureError, match=r"7\.png"):
        send(*words, "--batch", "2", "--out", tmp_path / "halves")
    partial = tmp_path / "halves.partial"
    before = {path.name: path.stat().st_mtime_ns for path in (partial / "outputs").glob("*.png")}
    assert len(before) == 6
    with (partial / "captions.jsonl").open("a") as lines:
        lines.write('{"id": "cut sho')
    hidden.write_bytes(kept)

    send(*words, "--batch", "5", "--out", tmp_path / "halves")

    again = send(*words, "--out", tmp_path / "halves")
    assert again["already_made"]
    outputs = tmp_path / "halves" / "outputs"
    assert {name: (outputs / name).stat().st_mtime_ns for name in before} == before
    for name in ("captions.jsonl", "results.json", "index.html"):
        assert (tmp_path / "halves" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
    manifest = read_manifest(tmp_path / "halves")
    assert (manifest.stage, manifest.counts["images"]) == ("telephone", 12)


def test_another_road_into_the_same_folder_is_refused(send: Send, tmp_path: Path) -> None:
    words = ("--captioner", "alt_text", "--out", tmp_path / "out")
    send(*words, "--entrant", "swatch:one")

    with pytest.raises(OtherSettingsError, match="entrant"):
        send(*words, "--entrant", "swatch:two")


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        (("--captioner", "gpt"), UnknownPluginError, "no captioner named 'gpt'"),
        (("--captioner", "blip2", "--captioner-model", "/no/such"), ModelNotFoundError, "There is no folder /no/such"),
        (("--captioner", "alt_text", "--sample", "3"), TelephoneError, "gives 3 images, and .* 4 or more"),
        (("--captioner", "alt_text", "--weights", "sscd=/no/file.pt"), CanvasError, "sscd twice"),
    ],
)
def test_what_cannot_be_sent_is_told_before_anything_is_made(
    send: Send, tmp_path: Path, options: tuple[str, ...], error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        send(*options, "--entrant", "swatch:one", "--out", tmp_path / "out")

    assert not (tmp_path / "out").exists()
    assert not (tmp_path / "out.partial").exists()


def test_unknown_features_are_told_before_anything_is_painted(send: Send, tmp_path: Path) -> None:
    with pytest.raises(UnknownPluginError, match="no extractor named 'eye'"):
        send("--captioner", "alt_text", "--entrant", "swatch:one", "--out", tmp_path / "out", features="eye")


def test_an_extractor_without_weights_is_named(send: Send, shapes: Path, tmp_path: Path) -> None:
    words = ["--captioner", "alt_text", "--entrant", "swatch:one", "--out", str(tmp_path / "out"), "--features", "clip"]
    weights = ["--weights", "clip=/no/such/clip", "--cache", str(tmp_path / "cache"), "--device", "cpu"]

    with pytest.raises(MissingWeightsError, match="/no/such/clip"):
        CliRunner().invoke(app, ["evaluate", "telephone", str(shapes), *words, *weights], catch_exceptions=False)


def test_an_image_without_words_is_an_error_or_is_left_out(send: Send, shapes: Path, tmp_path: Path) -> None:
    bare = tmp_path / "bare"
    rows = list(read_catalogue(shapes))
    write_catalogue(bare, [SourceImage(**{**_plain(rows[0]), "caption": " "}), *rows[1:]])
    (bare / "images").symlink_to(shapes / "images")
    words = ("--captioner", "alt_text", "--entrant", "swatch:one", "--out", tmp_path / "out")

    with pytest.raises(NoCaptionError, match="no caption for 1 of 12 images, the first is 'shapes-00000'"):
        send(*words, images=bare)
    told = send(*words, "--skip-uncaptioned", images=bare)

    assert told["images"] == 11
    assert read_manifest(tmp_path / "out").counts["skipped_uncaptioned"] == 1


def test_the_page_escapes_captions_thanks_authors_and_fits_phones(
    send: Send, shapes: Path, tmp_path: Path, visit: Callable[..., Any]
) -> None:
    odd = tmp_path / "odd"
    rows = list(read_catalogue(shapes))
    words = '<img src=x onerror="document.title=1"> & a long' + "word" * 30
    write_catalogue(odd, [SourceImage(**{**_plain(rows[0]), "caption": words}), *rows[1:]])
    (odd / "images").symlink_to(shapes / "images")
    send("--captioner", "alt_text", "--entrant", "swatch:one", "--out", tmp_path / "out", images=odd)

    for width in (360, 1280):
        page = visit((tmp_path / "out" / "index.html").as_uri(), width=width, height=900).page

        assert page.title() == "Telephoning with one"
        assert words in page.locator(".words").all_inner_texts()
        assert page.locator("figcaption", has_text=rows[1].author).count() >= 1
        assert page.locator(".trip").count() == 12
        for row in page.locator(".trip").all():  # images load as they come into sight
            row.scroll_into_view_if_needed()
        assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
        for cell in page.locator("tbody tr").first.locator("th, td").all():  # nothing waits beyond the edge
            box = cell.bounding_box()
            assert box is not None
            assert box["x"] + box["width"] <= width
        page.wait_for_function("[...document.images].every(image => image.complete && image.naturalWidth > 0)")


def _plain(image: SourceImage) -> dict[str, str]:
    from dataclasses import asdict

    return asdict(image)
