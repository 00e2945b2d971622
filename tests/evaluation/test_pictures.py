"""Picture files that people bring."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from evaluation.pictures import PictureError, find_pictures, picture_kind, read_picture


def test_a_photograph_comes_upright(tmp_path: Path) -> None:
    turned = Image.Exif()
    turned[0x0112] = 6
    Image.new("RGB", (20, 10), "red").save(tmp_path / "turned.jpg", exif=turned)

    assert read_picture(tmp_path / "turned.jpg").size == (10, 20)


def test_transparency_comes_on_white(tmp_path: Path) -> None:
    Image.new("RGBA", (8, 8), (0, 0, 0, 0)).save(tmp_path / "clear.png")

    assert read_picture(tmp_path / "clear.png").getpixel((0, 0)) == (255, 255, 255)


def test_a_picture_that_is_cut_short_is_named(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / "whole.png")
    whole = (tmp_path / "whole.png").read_bytes()
    (tmp_path / "cut.png").write_bytes(whole[: len(whole) // 2])

    with pytest.raises(PictureError, match=r"cut\.png cannot be read as a picture"):
        read_picture(tmp_path / "cut.png")


def test_sixteen_bits_are_refused_rather_than_clipped(tmp_path: Path) -> None:
    Image.fromarray(np.full((8, 8), 40_000, dtype=np.uint16)).save(tmp_path / "deep.png")

    with pytest.raises(PictureError, match="more than 8 bits per colour"):
        read_picture(tmp_path / "deep.png")


def test_pictures_are_found_by_name_in_all_folders_below(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    for name in ("b/2.PNG", "a.jpg", "notes.txt"):
        (tmp_path / name).touch()

    assert [path.name for path in find_pictures(tmp_path)] == ["a.jpg", "2.PNG"]


def test_kind_and_size_come_from_the_first_bytes_and_not_from_the_name(tmp_path: Path) -> None:
    turned = Image.Exif()
    turned[0x0112] = 6
    Image.new("RGB", (20, 10), "red").save(tmp_path / "turned.png", format="JPEG", exif=turned)
    noise = np.random.default_rng(0).integers(0, 256, (64, 48, 3), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / "whole.png")
    (tmp_path / "head.png").write_bytes((tmp_path / "whole.png").read_bytes()[:100])

    jpeg, head = picture_kind(tmp_path / "turned.png"), picture_kind(tmp_path / "head.png")

    assert (jpeg.format, jpeg.lossy, jpeg.width_px, jpeg.height_px) == ("JPEG", True, 10, 20)
    assert (head.format, head.lossy, head.width_px, head.height_px, head.mode) == ("PNG", False, 48, 64, "RGB")


def test_a_file_that_is_no_picture_has_no_kind(tmp_path: Path) -> None:
    (tmp_path / "notes.png").write_text("no picture")

    with pytest.raises(PictureError, match=r"notes\.png cannot be read as a picture"):
        picture_kind(tmp_path / "notes.png")
