"""Copies of training images are found among generated ones, and told with whose they are."""

import csv
import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from canvas.cli import app
from canvas.source_pictures import owed_to
from canvas.training_images import NotInCatalogueError, TrainingImagesError, find_training_images
from evaluation.galleries import IncompleteGalleryError
from evaluation.metrics.base import TooFewFeaturesError
from evaluation.pictures import PictureError
from prompts.library import find_prompts
from training.catalogue import SourceImage, read_catalogue, write_catalogue
from training.licences import Collection, UnknownLicenceError
from training.split import place

ASKED = find_prompts("demo", sample=6, seed=0)
COPIED = (4, 7)  # the training images that the first two prompts bring out
Search = Callable[..., dict[str, Any]]


@pytest.fixture
def home(shapes: Path, tmp_path: Path, rng: np.random.Generator) -> Path:
    """An arena with "parrot", who answers two of six prompts with training images and the others with noise."""
    folder = tmp_path / "parrot"
    folder.mkdir()
    rows = list(read_catalogue(shapes))
    with (folder / "gallery.csv").open("w", newline="") as lines:
        writer = csv.writer(lines)
        writer.writerow(("file", "prompt"))
        for number, prompt in enumerate(ASKED):
            noise = Image.fromarray(rng.integers(0, 256, (32, 32, 3), np.uint8))
            picture = Image.open(shapes / rows[COPIED[number]].file) if number < len(COPIED) else noise
            picture.save(folder / f"{number}.png")
            writer.writerow((f"{number}.png", prompt.text))
    words = ["evaluate", "generate", "--entrant", str(folder), "--prompts", "demo", "--sample", "6"]
    done = CliRunner().invoke(app, [*words, "--arena", str(tmp_path / "arena")], catch_exceptions=False)
    assert done.exit_code == 0
    return tmp_path / "arena"


@pytest.fixture
def search(home: Path, shapes: Path, sscd_file: Path, tmp_path: Path) -> Search:
    """Runs the command on parrot's gallery with a tiny extractor and returns its JSON; options come as in the shell."""

    def run(*options: str | Path, training: Path = shapes, threshold: float = 0.9999) -> dict[str, Any]:
        words = ["evaluate", "copies", "parrot", "--prompts", "demo", "--sample", "6", "--training-images", training]
        common = ["--weights", sscd_file, "--device", "cpu", "--cache", tmp_path / "cache", "--arena", home, "--json"]
        asked = [str(word) for word in [*words, *common, "--threshold", threshold, *options]]
        return dict(json.loads(CliRunner().invoke(app, asked, catch_exceptions=False).stdout))

    return run


def test_copies_are_listed_with_the_licence_author_and_origin_of_their_sources(search: Search, shapes: Path) -> None:
    rows = list(read_catalogue(shapes))

    told = search("--top", "2")

    assert (told["images"], told["training_images"], told["copies"]) == (6, 12, 2)
    found = {one["prompt"]: one for one in told["found"]}
    for number, which in enumerate(COPIED):
        one, source = found[ASKED.prompts[number].text], rows[which]
        assert one["cosine"] == pytest.approx(1)
        assert len(one["nearest"]) == 2
        nearest = one["nearest"][0]
        assert [nearest[name] for name in ("id", "file", "licence", "author", "origin", "title")] == [
            getattr(source, name) for name in ("id", "file", "licence", "author", "origin", "title")
        ]
        assert nearest["attribution"].startswith(f'"{source.title}" by {source.author}')
        assert nearest["attribution"] in told["copied_works"]
    low, high = told["interval"]
    assert told["share"] == pytest.approx(1 / 3)
    assert 0 < low < told["share"] < high < 1


def test_the_threshold_decides_what_is_a_copy(search: Search) -> None:
    assert search(threshold=-1.0)["copies"] == 6
    assert search(threshold=1.0)["copies"] == 0


def test_features_are_made_once_and_kept(search: Search, tmp_path: Path) -> None:
    first = search()
    kept = {path: path.stat().st_mtime_ns for path in (tmp_path / "cache").rglob("features.npy")}

    again = search("--top", "1")

    assert len(kept) == 2
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "cache").rglob("features.npy")} == kept
    assert again["copies"] == first["copies"]


def test_only_what_the_model_learned_from_is_searched(search: Search, shapes: Path) -> None:
    rows = list(read_catalogue(shapes))
    seen = [row for row in rows if place(row).split in Collection.C.splits]

    told = search("--split", "commercial", "--top", "1")

    assert told["training_images"] == len(seen) < len(rows)
    assert told["copies"] == sum(rows[which] in seen for which in COPIED)


def test_a_plain_folder_is_joined_with_a_catalogue_by_file(search: Search, shapes: Path, tmp_path: Path) -> None:
    plain = tmp_path / "plain"
    plain.mkdir()
    rows = list(read_catalogue(shapes))
    for row in rows[:8]:
        Image.open(shapes / row.file).save(plain / Path(row.file).name)

    told = search("--catalogue", shapes, training=plain)
    unknown = search(training=plain)

    assert {one["nearest"][0]["id"] for one in told["found"]} == {rows[which].id for which in COPIED}
    assert told["found"][0]["nearest"][0]["licence"]
    assert unknown["copies"] == 2
    assert unknown["found"][0]["nearest"][0]["licence"] is None
    assert unknown["copied_works"] == [one["nearest"][0]["file"] for one in unknown["found"]]


def test_the_catalogue_itself_may_be_named(shapes: Path) -> None:
    assert find_training_images(shapes / "catalogue.jsonl") == find_training_images(shapes)


def test_a_picture_without_an_entry_is_named(shapes: Path, tmp_path: Path) -> None:
    plain = tmp_path / "plain"
    plain.mkdir()
    Image.new("RGB", (8, 8)).save(plain / "stray.png")

    with pytest.raises(NotInCatalogueError, match=r"does not tell whose .*stray\.png is \(it has no row for it\)"):
        find_training_images(plain, catalogue=shapes)


def test_training_images_that_cannot_be_searched_are_named(shapes: Path, tmp_path: Path) -> None:
    rows = list(read_catalogue(shapes))
    with pytest.raises(PictureError, match="There is no folder"):
        find_training_images(tmp_path / "absent")
    (tmp_path / "empty").mkdir()
    with pytest.raises(PictureError, match="holds no pictures"):
        find_training_images(tmp_path / "empty")
    write_catalogue(tmp_path / "gone", rows)
    with pytest.raises(TrainingImagesError, match=r"'shapes-00000' is not there: .* is missing"):
        find_training_images(tmp_path / "gone")
    with pytest.raises(TrainingImagesError, match="nobody knows which images are commercial"):
        find_training_images(shapes / "images", collection=Collection.C)
    write_catalogue(tmp_path / "odd", [SourceImage(**{**asdict(rows[0]), "licence": "my own"})])
    with pytest.raises(UnknownLicenceError, match="Unknown licence 'my own'"):
        find_training_images(tmp_path / "odd")
    nothing = [row for row in rows if place(row).split not in Collection.C.splits]
    write_catalogue(tmp_path / "nothing", nothing)
    with pytest.raises(TrainingImagesError, match="no training images of the commercial collection"):
        find_training_images(tmp_path / "nothing", collection=Collection.C)


def test_a_page_links_to_addresses_only(shapes: Path) -> None:
    row = next(read_catalogue(shapes))

    told = owed_to(SourceImage(**{**asdict(row), "origin": "javascript:alert(1)", "title": ""}))

    assert told is not None
    assert (told["address"], told["title"]) == ("", f"Image {row.id}")
    assert told["licence_url"].startswith("https://creativecommons.org/")


def test_a_search_for_more_neighbours_than_there_are_is_refused(search: Search) -> None:
    with pytest.raises(TooFewFeaturesError, match="13 nearest rows were asked for, among 12"):
        search("--top", "13")


def test_a_gallery_that_is_not_whole_is_not_searched(search: Search) -> None:
    with pytest.raises(IncompleteGalleryError, match="lacks 6 of the 12 images"):
        search("--seeds", "0,1")


def test_the_table_names_whom_a_copy_is_owed_to(home: Path, shapes: Path, sscd_file: Path, tmp_path: Path) -> None:
    words = ["copies", "parrot", "--prompts", "demo", "--sample", "6", "--training-images", str(shapes)]
    common = ["--weights", str(sscd_file), "--device", "cpu", "--cache", str(tmp_path / "cache"), "--arena", str(home)]

    done = CliRunner().invoke(app, ["evaluate", *words, *common, "--threshold", "0.9999"], catch_exceptions=False)

    row = list(read_catalogue(shapes))[COPIED[0]]
    assert all(word in done.stdout for word in (row.id, row.licence, row.author, row.origin))
    assert "2 of 6 images by parrot are copies (33.3%" in done.stderr


def test_the_page_shows_pairs_side_by_side_on_wide_screens_and_phones(
    search: Search, shapes: Path, tmp_path: Path, visit: Callable[..., Any]
) -> None:
    told = search("--out", tmp_path / "out")
    row = list(read_catalogue(shapes))[COPIED[0]]

    assert json.loads((tmp_path / "out" / "copies.json").read_text()) == told
    for width in (360, 1280):
        page = visit((tmp_path / "out" / "index.html").as_uri(), width=width, height=900).page

        assert page.title() == "Copies by parrot"
        assert page.locator(".pair").count() == 6
        assert page.locator(".pair").first.locator(".copy").first.inner_text().startswith("Copied, cosine 1.000")
        assert page.locator("figcaption", has_text=row.author).count() >= 1
        assert page.get_by_role("link", name=row.title, exact=True).first.get_attribute("href") == row.origin
        for pair in page.locator(".pair").all():  # images load as they come into sight
            pair.scroll_into_view_if_needed()
        for shot in page.locator("img").all():
            shot.scroll_into_view_if_needed()
        page.wait_for_function("[...document.images].every(image => image.complete && image.naturalWidth > 0)")
        assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
