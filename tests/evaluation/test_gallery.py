"""Galleries on a sheet and in a folder."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from arena.images import ImageStore
from arena.ledger.ledger import Ledger
from evaluation.galleries import whole_gallery
from evaluation.gallery import (
    GalleryFolderError,
    SheetTooLongError,
    contact_sheet,
    enlarged,
    write_galleries,
    write_sheet,
)
from evaluation.generate import find_entrant, generate
from evaluation.samplers.base import SamplerSettings
from evaluation.samplers.image_folder import open_sampler
from prompts.prompt import PromptSet


@pytest.fixture
def painted(ledger: Ledger, images: ImageStore, asked: PromptSet) -> None:
    from datetime import UTC, datetime

    for source in ("swatch:teal", "swatch:rose"):
        generate(
            ledger,
            images,
            entrant=find_entrant(ledger, source, name=None),
            prompts=asked,
            seeds=[0, 1],
            clock=lambda: datetime(2025, 3, 1, tzinfo=UTC),
        )


def test_every_image_stands_in_its_row_and_column() -> None:
    colours = {"first": ["red", "lime"], "second": ["blue", "yellow"]}
    columns = {name: [Image.new("RGB", (32, 32), colour) for colour in row] for name, row in colours.items()}

    sheet = np.asarray(contact_sheet(["a prompt", "another prompt"], columns, cell_px=64))

    found = {tuple(int(part) for part in colour) for colour in sheet.reshape(-1, 3)}
    centres = {
        colour: np.argwhere((sheet == colour).all(axis=2)).mean(axis=0)
        for colour in [(255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 0)]
    }
    assert set(centres) <= found
    red, lime, blue, yellow = centres.values()
    assert red[0] == blue[0] < lime[0] == yellow[0]
    assert red[1] == lime[1] < blue[1] == yellow[1]


def test_small_images_are_enlarged_so_that_every_pixel_stays_crisp() -> None:
    small = Image.fromarray(np.random.default_rng(0).integers(0, 256, (32, 24, 3), dtype=np.uint8))

    large = enlarged(small, 160)

    assert large.size == (120, 160)
    assert (np.asarray(large)[2::5, 2::5] == np.asarray(small)).all()
    assert len(np.unique(np.asarray(large).reshape(-1, 3), axis=0)) == len(
        np.unique(np.asarray(small).reshape(-1, 3), axis=0)
    )


def test_large_images_are_made_to_fit() -> None:
    assert enlarged(Image.new("RGB", (512, 256)), 160).size == (160, 80)


def test_long_prompts_and_names_stay_in_their_place() -> None:
    image = Image.new("RGB", (64, 64), "red")

    sheet = np.asarray(
        contact_sheet(["word " * 200, "x" * 500], {"a name that is far too long": [image, image]}, cell_px=64)
    )

    assert (sheet[-8:] == 255).all(), "the last line of text runs out of its row"
    assert (sheet[:, -8:] == 255).all()


def test_a_sheet_is_written_with_a_row_per_prompt_and_seed(
    painted: None, ledger: Ledger, images: ImageStore, asked: PromptSet, tmp_path: Path
) -> None:
    galleries = [whole_gallery(ledger, name, asked, [0, 1]) for name in ("teal", "rose")]

    write_sheet(tmp_path / "new" / "grid.png", galleries, images, asked, [0, 1], cell_px=64)

    with Image.open(tmp_path / "new" / "grid.png") as sheet:
        colours = {colour for _, colour in sheet.convert("RGB").getcolors(1 << 20)}
    painted_colours = {images.open(one.image_hash).getpixel((0, 0)) for gallery in galleries for one in gallery.images}
    assert len(painted_colours) == 24
    assert painted_colours <= colours


def test_a_sheet_that_no_file_can_hold_is_refused_with_how_many_fit(
    painted: None, ledger: Ledger, images: ImageStore, asked: PromptSet, tmp_path: Path
) -> None:
    galleries = [whole_gallery(ledger, "teal", asked, [0, 1])]

    with pytest.raises(SheetTooLongError, match=r"show 1 of them with --sample 1, or name a folder"):
        write_sheet(tmp_path / "grid.png", galleries, images, asked, [0, 1], cell_px=5000)


def test_a_written_folder_can_be_entered_and_gives_the_same_images(
    painted: None, ledger: Ledger, images: ImageStore, asked: PromptSet, tmp_path: Path
) -> None:
    gallery = whole_gallery(ledger, "teal", asked, [0, 1])

    write_galleries(tmp_path / "out", [gallery], images, asked)

    sampler = open_sampler(str(tmp_path / "out" / "00-teal"), SamplerSettings())
    text_of = {prompt.id: prompt.text for prompt in asked}
    read = sampler.paint([text_of[one.prompt_id] for one in gallery.images], [one.seed for one in gallery.images])
    assert [images.put(image).hash for image in read] == [one.image_hash for one in gallery.images]


def test_a_folder_that_holds_something_is_not_written_into(
    painted: None, ledger: Ledger, images: ImageStore, asked: PromptSet, tmp_path: Path
) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").touch()

    with pytest.raises(GalleryFolderError, match="is not an empty folder"):
        write_galleries(tmp_path / "out", [whole_gallery(ledger, "teal", asked, [0])], images, asked)
