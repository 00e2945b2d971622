"""Reference sets, built from tiny copies in COCO's and Conceptual Captions' own formats."""

import hashlib
import json
import shutil
import threading
import zipfile
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from typer.testing import CliRunner, Result

from evaluation import cli_reference
from evaluation.folder_stage import (
    Made,
    OtherSettingsError,
    Stage,
    StageBusyError,
    StageError,
    StageResult,
    UnfinishedFolderError,
    run_stage,
)
from evaluation.ordered import ordered_map
from evaluation.pictures import PictureError
from evaluation.reference import ReferenceImages
from evaluation.references import REFERENCES
from evaluation.references.base import AnnotationsError, ListError, Reference, SourceImagesError
from evaluation.references.build import BuildSettings, build_reference, centre_square
from evaluation.references.coco import COCO_10K, COCO_30K, draw_list
from evaluation.references.conceptual import ALL, read_rows, slice_of
from evaluation.references.folder import FolderSet
from prompts.files import read_prompt_file
from prompts.plugins import UnknownPluginError, load_plugin

NOW = datetime(2026, 1, 2, tzinfo=UTC)
FOUR = replace(COCO_30K, name="coco4", count=4)
CC_ROWS = [
    ("portrait of a smiling woman", "http://127.0.0.1:9/a"),
    ("oil painting of a portrait", "http://127.0.0.1:9/b"),
    ("a photo of a bridge at dusk", "http://127.0.0.1:9/c"),
    ("cars in the city", "http://127.0.0.1:9/d"),
    ("photograph of the bay", "http://127.0.0.1:9/e"),
]


@pytest.fixture
def coco(tmp_path: Path) -> Path:
    """A folder with captions.json (7 images, 2 captions each, two images sharing one) and val2014/."""
    rng = np.random.default_rng(0)
    (tmp_path / "coco" / "val2014").mkdir(parents=True)
    images, annotations = [], []
    for number in range(1, 8):
        name = f"COCO_val2014_{number:012d}.jpg"
        size = (48 + number, 40, 3)
        Image.fromarray(rng.integers(0, 256, size, dtype=np.uint8)).save(tmp_path / "coco" / "val2014" / name)
        images.append({"id": number, "file_name": name})
        for which in (1, 0):
            text = "A man  riding a wave.\n" if number in (3, 4) and which == 0 else f"Caption {which} of {number}"
            annotations.append({"id": 10 * number + which, "image_id": number, "caption": text})
    (tmp_path / "coco" / "captions.json").write_text(json.dumps({"images": images, "annotations": annotations}))
    return tmp_path / "coco"


@pytest.fixture
def conceptual(tmp_path: Path) -> Path:
    """A folder with list.tsv and, as img2dataset lays them out, all images but that of row 2."""
    inside = tmp_path / "cc" / "00000"
    inside.mkdir(parents=True)
    for number in (0, 1, 3, 4):
        Image.radial_gradient("L").rotate(30 * number).resize((60, 50)).save(inside / f"{number:09d}.jpg")
    lines = [f"{caption}\t{address}" for caption, address in CC_ROWS]
    (tmp_path / "cc" / "list.tsv").write_text("\n".join(lines) + "\n")
    return tmp_path / "cc"


def build(
    reference: Reference, out: Path, source: Path, annotations: str, settings: BuildSettings | None = None
) -> Any:
    return build_reference(
        reference,
        out,
        annotations=source / annotations,
        images=source,
        cache=out.parent / "cache",
        settings=settings or BuildSettings(unpinned=True, size_px=32),
        now=NOW,
    )


def canvas_reference(*arguments: str) -> Result:
    return CliRunner().invoke(cli_reference.app, arguments)


def list_of(folder: Path) -> list[dict[str, str]]:
    return [json.loads(line) for line in (folder / "images.jsonl").read_text().splitlines()]


@pytest.mark.parametrize("line", sorted(REFERENCES))
def test_every_line_of_the_table_is_a_reference_under_its_own_name(line: str) -> None:
    reference = load_plugin(REFERENCES, line, "reference set")

    assert isinstance(reference, Reference)
    assert reference.name == line
    assert "An id of the list is" in reference.rule


def test_the_list_follows_from_the_annotations_alone(coco: Path, tmp_path: Path) -> None:
    """The rule worked out by hand: ids by their hash, the lowest caption that no one took before."""
    ids = sorted(range(1, 8), key=lambda number: hashlib.sha256(str(number).encode()).hexdigest())[:4]
    taken, expected = set(), []
    for number in ids:
        texts = {10 * number: "A man riding a wave." if number in (3, 4) else f"Caption 0 of {number}"}
        texts[10 * number + 1] = f"Caption 1 of {number}"
        caption = next(one for one, text in sorted(texts.items()) if text not in taken)
        taken.add(texts[caption])
        expected.append((f"{number} {caption}", texts[caption]))

    result = build(FOUR, tmp_path / "built", coco, "captions.json")

    assert [(one["id"], one["caption"]) for one in list_of(tmp_path / "built")] == expected
    whole = "".join(f"{one}\n" for one, _ in expected)
    assert result.manifest.details["list"]["sha256"] == hashlib.sha256(whole.encode()).hexdigest()


def test_two_images_never_ask_the_same() -> None:
    images = {number: f"{number}.jpg" for number in range(20)}
    captions = [(number, number, "the same words") for number in range(20)] + [(100, 7, "other words")]

    items = draw_list(images, captions, 20)

    assert sorted(item.caption or "" for item in items) in (["other words", "the same words"], ["the same words"])


def test_the_smaller_set_is_the_beginning_of_the_larger_one() -> None:
    images = {number: f"{number}.jpg" for number in range(50)}
    captions = [(number, number, f"words {number}") for number in range(50)]

    assert draw_list(images, captions, 10) == draw_list(images, captions, 30)[:10]
    assert (COCO_10K.count, COCO_30K.count) == (10_000, 30_000)


@given(st.permutations([(number, number % 5, f"words {number % 7}") for number in range(15)]))
def test_the_list_does_not_depend_on_the_order_of_the_file(captions: list[tuple[int, int, str]]) -> None:
    images = {number: f"{number}.jpg" for number in range(5)}

    assert draw_list(images, captions, 5) == draw_list(images, sorted(captions), 5)


def test_images_become_centre_squares_and_captions_can_be_painted(coco: Path, tmp_path: Path) -> None:
    result = build(FOUR, tmp_path / "built", coco, "captions.json")

    pictures = ReferenceImages(tmp_path / "built")
    assert {pictures.read(index).size for index in range(4)} == {(32, 32)}
    assert {path.suffix for path in pictures.files} == {".png"}
    assert result.manifest.details["images"]["sha256"] == pictures.details["sha256"]
    assert result.manifest.counts == {"images": 4, "left_out": 0}
    asked = read_prompt_file(tmp_path / "built" / "coco4.jsonl")
    assert [prompt.text for prompt in asked] == [one["caption"] for one in list_of(tmp_path / "built")]


def test_the_square_is_the_largest_in_the_middle() -> None:
    picture = Image.new("RGB", (9, 5), "red")
    picture.paste("blue", (2, 0, 7, 5))

    square = centre_square(picture, 5)

    assert (square.size, square.getcolors()) == ((5, 5), [(25, (0, 0, 255))])


def test_originals_are_kept_byte_for_byte(coco: Path, tmp_path: Path) -> None:
    build(FOUR, tmp_path / "built", coco, "captions.json", BuildSettings(unpinned=True, size_px=None))

    for one in list_of(tmp_path / "built"):
        original = coco / "val2014" / f"COCO_val2014_{int(one['id'].split()[0]):012d}.jpg"
        assert (tmp_path / "built" / one["file"]).read_bytes() == original.read_bytes()


def test_a_zip_and_a_folder_give_the_same_set(coco: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "val2014.zip", "w") as archive:
        for path in sorted((coco / "val2014").iterdir()):
            archive.write(path, f"val2014/{path.name}")

    from_folder = build(FOUR, tmp_path / "a", coco, "captions.json")
    from_zip = build_reference(
        FOUR,
        tmp_path / "b",
        annotations=coco / "captions.json",
        images=tmp_path / "val2014.zip",
        cache=tmp_path,
        settings=BuildSettings(unpinned=True, size_px=32, workers=1),
        now=NOW,
    )

    assert from_zip.manifest.details["images"]["sha256"] == from_folder.manifest.details["images"]["sha256"]


def test_images_come_from_their_addresses_where_no_copy_is_given(coco: Path, tmp_path: Path) -> None:
    handler = partial(SimpleHTTPRequestHandler, directory=str(coco))
    handler.log_message = lambda *_: None  # type: ignore[attr-defined]
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    lines = [f"caption {number}\thttp://127.0.0.1:{server.server_port}/val2014/COCO_val2014_{number:012d}.jpg"
             for number in (1, 2, 99)]  # fmt: skip
    (tmp_path / "list.tsv").write_text("\n".join(lines))
    settings = BuildSettings(size_px=32, skip_missing=True)

    try:
        result = build_reference(
            ALL, tmp_path / "built", annotations=tmp_path / "list.tsv", images=None, cache=tmp_path, settings=settings,
            now=NOW,
        )  # fmt: skip
    finally:
        server.shutdown()
        server.server_close()

    assert result.manifest.counts == {"images": 2, "left_out": 1}
    assert "the server answers 404" in (tmp_path / "built" / "left_out.jsonl").read_text()


def test_built_again_nothing_changes_and_other_settings_are_refused(coco: Path, tmp_path: Path) -> None:
    first = build(FOUR, tmp_path / "built", coco, "captions.json")

    again = build(FOUR, tmp_path / "built", coco, "captions.json")

    assert (first.already_made, again.already_made) == (False, True)
    assert again.manifest == first.manifest
    with pytest.raises(OtherSettingsError, match=r"was made with preprocessing\.size_px \d+ instead of 64\. Name"):
        build(FOUR, tmp_path / "built", coco, "captions.json", BuildSettings(unpinned=True, size_px=64))


@pytest.mark.parametrize("end", ["", "s that are old"])
def test_a_refusal_shows_long_values_around_the_place_where_they_differ(tmp_path: Path, end: str) -> None:
    def made(question: str) -> StageResult:
        stage = Stage(name="asked", out=tmp_path / "out", settings={"ask": {"question": question, "seed": 1}})
        return run_stage(stage, lambda folder: Made(counts={}, details={}), now=datetime(2025, 3, 1, tzinfo=UTC))

    long = "which of the two pictures shows more of what the prompt asks for, all "
    made(f"{long}castle")

    with pytest.raises(OtherSettingsError) as found:
        made(f"{long}castle{end}" if end else f"{long}dragons")

    assert "seed" not in str(found.value)
    assert "was made with ask.question ..." in str(found.value)
    assert 'castle" instead of ...' in str(found.value)
    assert ('castles that are old"' if end else 'dragons"') in str(found.value)


def test_an_interrupted_build_goes_on_and_gives_the_same_set(coco: Path, tmp_path: Path) -> None:
    whole = build(FOUR, tmp_path / "whole", coco, "captions.json")
    last = list_of(tmp_path / "whole")[-1]["id"].split()[0]
    hidden = coco / "val2014" / f"COCO_val2014_{int(last):012d}.jpg"
    hidden.rename(tmp_path / "hidden.jpg")
    with pytest.raises(SourceImagesError, match=f"lacks the image {last} "):
        build(FOUR, tmp_path / "built", coco, "captions.json")
    begun = {path: path.stat().st_mtime_ns for path in (tmp_path / "built.partial" / "images").iterdir()}
    (tmp_path / "hidden.jpg").rename(hidden)

    result = build(FOUR, tmp_path / "built", coco, "captions.json")

    assert result.manifest.details == whole.manifest.details
    assert not (tmp_path / "built.partial").exists()
    assert begun
    assert {path.name: (tmp_path / "built" / "images" / path.name).stat().st_mtime_ns for path in begun} == {
        path.name: time for path, time in begun.items()
    }


def test_a_folder_that_holds_something_else_is_left_alone(coco: Path, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("mine")

    with pytest.raises(StageError, match="was not made by this command"):
        build(FOUR, tmp_path / "mine", coco, "captions.json")

    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["notes.txt"]


def test_two_builds_at_once_are_one_too_many(coco: Path, tmp_path: Path) -> None:
    import fcntl
    import os

    (tmp_path / "built.partial").mkdir()
    handle = os.open(tmp_path / "built.partial", os.O_RDONLY)
    fcntl.flock(handle, fcntl.LOCK_EX)

    with pytest.raises(StageBusyError, match="Another process is making"):
        build(FOUR, tmp_path / "built", coco, "captions.json")

    os.close(handle)


def test_annotations_other_than_cocos_are_refused_unless_said_so(coco: Path, tmp_path: Path) -> None:
    with pytest.raises(AnnotationsError, match=r"holds 7 images and 14 captions, and captions_val2014\.json of COCO"):
        build(FOUR, tmp_path / "built", coco, "captions.json", BuildSettings())

    assert not (tmp_path / "built.partial").exists()


def test_a_list_is_held_to_its_pin_and_to_what_is_asked_for(coco: Path, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr("evaluation.references.coco.IMAGES", 7)
    monkeypatch.setattr("evaluation.references.coco.CAPTIONS", 14)
    found = build(FOUR, tmp_path / "free", coco, "captions.json", BuildSettings(size_px=32)).manifest.details["list"]

    held = build(
        replace(FOUR, list_sha256=found["sha256"]), tmp_path / "held", coco, "captions.json", BuildSettings(size_px=32)
    )

    assert not found["held_to_a_pin"]
    assert held.manifest.details["list"] == {"sha256": found["sha256"], "held_to_a_pin": True}
    with pytest.raises(ListError, match="is pinned here"):
        build(replace(FOUR, list_sha256="0" * 64), tmp_path / "x", coco, "captions.json", BuildSettings(size_px=32))
    with pytest.raises(ListError, match="is asked for"):
        build(FOUR, tmp_path / "x", coco, "captions.json", BuildSettings(size_px=32, expected_sha256="0" * 64))


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("{", "is no caption file in COCO's format"),
        ('{"images": []}', "is no caption file in COCO's format"),
        ('{"images": [], "annotations": []}', "has captions for 0 images"),
    ],
)
def test_a_file_that_is_no_annotations_is_refused(tmp_path: Path, content: str, sentence: str) -> None:
    (tmp_path / "captions.json").write_text(content)

    with pytest.raises(AnnotationsError, match=sentence):
        build(FOUR, tmp_path / "built", tmp_path, "captions.json")


def test_an_archive_that_is_not_cocos_is_refused(coco: Path, tmp_path: Path) -> None:
    shutil.make_archive(str(tmp_path / "annotations"), "zip", coco)

    with pytest.raises(AnnotationsError, match=r"is an archive, and not COCO's annotations_trainval2014\.zip"):
        build(FOUR, tmp_path / "built", tmp_path, "annotations.zip")


def test_a_broken_image_of_a_fixed_list_is_named(coco: Path, tmp_path: Path) -> None:
    for path in (coco / "val2014").iterdir():
        path.write_bytes(path.read_bytes()[:200])

    with pytest.raises(SourceImagesError, match=r"The image \d+ \d+ of .* cannot be read as a picture"):
        build(FOUR, tmp_path / "built", coco, "captions.json")


def test_a_fixed_list_cannot_leave_images_out(coco: Path, tmp_path: Path) -> None:
    with pytest.raises(ListError, match="is a fixed list"):
        build(FOUR, tmp_path / "built", coco, "captions.json", BuildSettings(unpinned=True, skip_missing=True))


@pytest.mark.parametrize(
    ("caption", "expected"),
    [
        ("portrait of a smiling woman", "faces"),
        ("oil painting of a portrait", "paintings"),
        ("a photo of a face", "faces"),
        ("Photography: the bay.", "photography"),
        ("a photogenic surface", None),
    ],
)
def test_no_caption_is_in_two_slices(caption: str, expected: str | None) -> None:
    assert slice_of(caption) == expected


def test_a_slice_takes_its_own_captions(conceptual: Path, tmp_path: Path) -> None:
    settings = BuildSettings(size_px=32, skip_missing=True)

    build(load_plugin(REFERENCES, "cc-faces", "set"), tmp_path / "faces", conceptual, "list.tsv", settings)
    build(load_plugin(REFERENCES, "cc-paintings", "set"), tmp_path / "paintings", conceptual, "list.tsv", settings)

    assert [one["caption"] for one in list_of(tmp_path / "faces")] == ["portrait of a smiling woman"]
    assert [one["caption"] for one in list_of(tmp_path / "paintings")] == ["oil painting of a portrait"]


def test_the_next_image_steps_in_for_one_that_is_gone(conceptual: Path, tmp_path: Path) -> None:
    """Row 2 has no image: its address, in the order of hashes, is passed over, whatever the number of threads."""
    in_order = sorted(CC_ROWS, key=lambda row: hashlib.sha256(row[1].encode()).hexdigest())
    expected = [address for _, address in in_order if not address.endswith("/c")][:3]

    for workers in (1, 4):
        out = tmp_path / f"built{workers}"
        result = build(
            ALL, out, conceptual, "list.tsv",
            BuildSettings(size_px=32, count=3, skip_missing=True, workers=workers),
        )  # fmt: skip

        assert [one["id"] for one in list_of(out)] == expected
        assert len(ReferenceImages(out).files) == 3
        assert result.manifest.counts["images"] == 3


def test_a_missing_image_is_an_error_that_names_the_way_out(conceptual: Path, tmp_path: Path) -> None:
    with pytest.raises(SourceImagesError, match=r"lacks the image http://127\.0\.0\.1:9/c .* with --skip-missing"):
        build(ALL, tmp_path / "built", conceptual, "list.tsv", BuildSettings(size_px=32))


def test_a_third_column_says_where_an_image_lies(conceptual: Path, tmp_path: Path) -> None:
    (conceptual / "list.tsv").write_text("http://127.0.0.1:9/a\ta bay\t00000/000000003.jpg\n")

    build(ALL, tmp_path / "built", conceptual, "list.tsv", BuildSettings(size_px=None))

    [one] = list_of(tmp_path / "built")
    assert (tmp_path / "built" / one["file"]).read_bytes() == (conceptual / "00000/000000003.jpg").read_bytes()


def test_a_line_that_is_no_row_is_named() -> None:
    with pytest.raises(AnnotationsError, match=r"Line 2 of list\.tsv is not a caption and an address"):
        list(read_rows(b"a bay\thttp://127.0.0.1/a\nno address here\n", Path("list.tsv")))


def test_conceptual_captions_without_a_copy_says_where_to_get_one(tmp_path: Path) -> None:
    with pytest.raises(AnnotationsError, match="is behind a form at https:"):
        ALL.draw(None, cache=tmp_path, count=None, unpinned=False)


def test_any_folder_is_built_by_the_command(coco: Path, tmp_path: Path) -> None:
    made = canvas_reference("build", str(coco / "val2014"), "--out", str(tmp_path / "built"), "--size", "32", "--json")
    again = canvas_reference("build", str(coco / "val2014"), "--out", str(tmp_path / "built"), "--size", "32")
    shown = canvas_reference("show", str(tmp_path / "built"), "--json")

    result = json.loads(made.stdout)
    assert result["manifest"]["counts"]["images"] == 7
    assert result["manifest"]["details"]["prompts"] is None
    assert "was built before: 7 images of val2014" in again.stderr
    assert json.loads(shown.stdout) == result["manifest"]
    assert "bicubic" in canvas_reference("show", str(tmp_path / "built")).stdout


def test_the_command_builds_from_ones_own_copy_and_says_how_to_compare(coco: Path, tmp_path: Path) -> None:
    result = canvas_reference(
        "build", "coco30k", "--out", str(tmp_path / "built"), "--annotations", str(coco / "captions.json"),
        "--images", str(coco / "val2014"), "--count", "4", "--size", "32", "--unpinned",
    )  # fmt: skip

    assert result.exit_code == 0, result.exception
    assert "is built: 4 images of coco30k" in result.stderr
    assert "No pinned hash holds for this list" in result.stderr
    assert f"--prompts {tmp_path / 'built' / 'coco30k.jsonl'}" in result.stderr


def test_the_list_of_sets_says_their_rules() -> None:
    listed = json.loads(canvas_reference("list", "--json").stdout)

    assert [one["name"] for one in listed] == list(REFERENCES)
    assert "30,000" in canvas_reference("list").stdout


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (("build", "unheard-of", "--out", "x"), UnknownPluginError),
        (("show", "nowhere"), UnfinishedFolderError),
        (("build", "cc-faces", "--out", "x"), AnnotationsError),
        (("build", "cc-faces", "--out", "x", "--annotations", "nowhere.tsv"), AnnotationsError),
    ],
)
def test_what_cannot_be_built_or_shown_is_one_sentence(arguments: tuple[str, ...], error: type[Exception]) -> None:
    result = canvas_reference(*arguments)

    assert isinstance(result.exception, error)
    assert "\n" not in str(result.exception)


def test_results_come_in_order_and_no_further_ahead_than_said() -> None:
    begun: list[int] = []

    def work(item: int) -> int:
        begun.append(item)
        return item * item

    results = ordered_map(work, range(100), threads=3, ahead=5)
    first = next(results)

    assert first == 0
    assert len(begun) <= 5
    assert list(results) == [item * item for item in range(1, 100)]


def test_an_error_comes_in_its_own_place() -> None:
    results = ordered_map(lambda item: 1 // item, [2, 1, 0, 3], threads=2, ahead=4)

    assert [next(results), next(results)] == [0, 1]
    with pytest.raises(ZeroDivisionError):
        next(results)


def test_pictures_cannot_be_built_from_no_folder(tmp_path: Path) -> None:
    with pytest.raises(PictureError, match="holds no pictures"):
        FolderSet(folder=tmp_path).draw(None, cache=tmp_path, count=None, unpinned=False)
