"""The table of samplers, the two that need no torch, and the settings they all share."""

import csv
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from evaluation.samplers import SAMPLERS
from evaluation.samplers.base import Sampler, SamplerSettings, SamplerSettingsError, noise_seed, settings_from
from evaluation.samplers.image_folder import ImageFolderError
from evaluation.samplers.image_folder import open_sampler as open_image_folder
from evaluation.samplers.swatch import open_sampler as open_swatch
from prompts.files import read_prompt_file
from prompts.plugins import load_plugin
from prompts.prompt import Prompt

PROMPTS = ["a red circle", "a blue square"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two images and their list."""
    Image.new("RGB", (20, 10), "red").save(tmp_path / "circle.png")
    Image.new("L", (8, 8), 90).save(tmp_path / "square.png")
    listed(tmp_path, ["file", "prompt", "seed"], ["circle.png", PROMPTS[0], 0], ["square.png", PROMPTS[1], 3])
    return tmp_path


def listed(folder: Path, *rows: list[object]) -> None:
    with (folder / "gallery.csv").open("w", encoding="utf-8", newline="") as lines:
        csv.writer(lines).writerows(rows)


@pytest.mark.parametrize("line", sorted(SAMPLERS))
def test_every_line_of_the_table_opens_a_sampler(line: str, folder: Path, request: pytest.FixtureRequest) -> None:
    sources = {"diffusers": request.getfixturevalue("pipeline_folder"), "image_folder": folder, "swatch": "teal"}
    open_sampler = load_plugin(SAMPLERS, line, "sampler")

    sampler = open_sampler(str(sources[line]), SamplerSettings())

    assert isinstance(sampler, Sampler)
    assert sampler.details["sampler"] == line


@given(
    text=st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1).filter(str.strip),
    seed=st.integers(0, 2**40),
)
def test_an_images_own_seed_is_the_gallerys_seed_plus_the_prompts_id(text: str, seed: int) -> None:
    prompt = Prompt(text=text)

    assert noise_seed(text, seed) == (seed + int(prompt.id, 16)) % 2**63


def test_a_swatch_is_one_colour_that_name_prompt_and_seed_decide() -> None:
    teal, rose = open_swatch("teal", SamplerSettings()), open_swatch("rose", SamplerSettings(size_px=16))

    images = teal.paint([*PROMPTS, PROMPTS[0]], [0, 0, 1]) + rose.paint(PROMPTS[:1], [0])

    colours = [image.getpixel((0, 0)) for image in images]
    assert len(set(colours)) == 4
    assert all(len(image.getcolors() or []) == 1 for image in images)
    assert [image.size for image in images] == [(32, 32)] * 3 + [(16, 16)]
    assert teal.paint(PROMPTS[:1], [0])[0].getpixel((0, 0)) == colours[0]


def test_a_folder_gives_the_image_of_each_prompt_and_seed(folder: Path) -> None:
    sampler = open_image_folder(str(folder), SamplerSettings())

    square, circle = sampler.paint(PROMPTS[::-1], [3, 0])

    assert (circle.size, circle.getpixel((0, 0))) == ((20, 10), (255, 0, 0))
    assert (square.mode, square.getpixel((0, 0))) == ("RGB", (90, 90, 90))


def test_a_list_without_seeds_answers_seed_0(folder: Path) -> None:
    listed(folder, ["prompt", "file"], [PROMPTS[0], "circle.png"])

    images = open_image_folder(str(folder), SamplerSettings()).paint(PROMPTS[:1], [0])

    assert len(images) == 1


@pytest.mark.parametrize(
    "listed_prompt", ["a red circle. ", "  a red circle.", "\ta red circle.\n", "a red circle.\N{NO-BREAK SPACE}"]
)
def test_a_list_answers_a_prompt_whatever_blanks_stand_around_it_as_in_prompt_files(
    folder: Path, listed_prompt: str
) -> None:
    listed(folder, ["file", "prompt", "seed"], ["circle.png", listed_prompt, " 0 "])
    (folder / "prompts.csv").write_text(f'Prompt\n"{listed_prompt}"\n', encoding="utf-8")
    [prompt] = read_prompt_file(folder / "prompts.csv")

    [image] = open_image_folder(str(folder), SamplerSettings()).paint([prompt.text], [0])

    assert image.size == (20, 10)


@pytest.mark.parametrize("prompt", ["", "   "])
def test_a_row_whose_prompt_is_blank_is_refused(folder: Path, prompt: str) -> None:
    listed(folder, ["file", "prompt"], ["circle.png", prompt])

    with pytest.raises(ImageFolderError, match=r"row 2: needs a file, a prompt and a whole seed from 0"):
        open_image_folder(str(folder), SamplerSettings())


def test_two_prompts_that_differ_by_blanks_around_them_are_one(folder: Path) -> None:
    listed(folder, ["file", "prompt"], ["circle.png", "a red circle"], ["square.png", "a red circle "])

    with pytest.raises(ImageFolderError, match=r"row 3: a second image for 'a red circle' with seed 0"):
        open_image_folder(str(folder), SamplerSettings())


def test_a_row_that_ends_before_its_prompt_is_refused(folder: Path) -> None:
    listed(folder, ["file", "prompt", "seed"], ["circle.png"])

    with pytest.raises(ImageFolderError, match="row 2: needs a file, a prompt"):
        open_image_folder(str(folder), SamplerSettings())


def test_a_row_that_ends_before_its_seed_answers_seed_0(folder: Path) -> None:
    listed(folder, ["file", "prompt", "seed"], ["circle.png", PROMPTS[0]])

    images = open_image_folder(str(folder), SamplerSettings()).paint(PROMPTS[:1], [0])

    assert len(images) == 1


def test_a_prompt_that_the_folder_does_not_answer_is_named(folder: Path) -> None:
    sampler = open_image_folder(str(folder), SamplerSettings())

    with pytest.raises(ImageFolderError, match="lists 2 images and none for the prompt 'a green cross' with seed 0"):
        sampler.paint(["a green cross"], [0])


def test_a_folder_without_a_list_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ImageFolderError, match=r"needs a gallery\.csv with the columns file, prompt"):
        open_image_folder(str(tmp_path), SamplerSettings())


@pytest.mark.parametrize(
    ("rows", "sentence"),
    [
        ([["image", "prompt"], ["circle.png", "x"]], "has the columns image, prompt: it needs file and prompt"),
        ([["file", "prompt"], ["../circle.png", "x"]], "row 2: .* lies outside the folder"),
        ([["file", "prompt"], ["circle.png", "x"], ["square.png", "x"]], "row 3: a second image for 'x' with seed 0"),
        ([["file", "prompt", "seed"], ["circle.png", "x", "one"]], "row 2: needs a file, a prompt and a whole seed"),
        ([["file", "prompt"]], "lists no image"),
    ],
)
def test_a_list_that_cannot_be_followed_is_refused(folder: Path, rows: list[list[object]], sentence: str) -> None:
    listed(folder, *rows)

    with pytest.raises(ImageFolderError, match=sentence):
        open_image_folder(str(folder), SamplerSettings())


def test_a_list_in_another_encoding_is_refused(folder: Path) -> None:
    (folder / "gallery.csv").write_bytes("file,prompt\ncircle.png,ein grüner Kreis\n".encode("latin-1"))

    with pytest.raises(ImageFolderError, match="cannot be read as CSV in UTF-8"):
        open_image_folder(str(folder), SamplerSettings())


def test_settings_come_from_the_entrant_unless_they_are_given() -> None:
    settings = settings_from({"steps": 20, "guidance": 2}, steps=None, guidance=3.5, batch_size=8)

    assert settings == SamplerSettings(steps=20, guidance=3.5, batch_size=8)


@pytest.mark.parametrize(
    ("block", "sentence"),
    [
        ([20], r"The sampler block is \[20\]: it must be an object"),
        ({"step": 20}, "an entry 'step', which is no setting. Known: steps, guidance"),
        ({"steps": "20"}, "steps is '20', which is of the wrong kind"),
        ({"steps": True}, "steps is True, which is of the wrong kind"),
        ({"steps": 0}, "steps is a whole number from 1, and not 0"),
        ({"guidance": -1}, r"guidance is a number from 0, and not -1\.0"),
        ({"guidance": float("nan")}, "guidance is a number from 0, and not nan"),
        ({"size_px": 250}, "size_px is a multiple of 8, and not 250"),
    ],
)
def test_settings_that_nothing_paints_with_are_refused(block: object, sentence: str) -> None:
    with pytest.raises(SamplerSettingsError, match=sentence):
        settings_from(block)
