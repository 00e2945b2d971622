"""Image bytes to pixels: upright, RGB, square in the middle."""

import io

import numpy as np
import pytest
from PIL import Image

from training.decoding import BrokenImageError, centre_square, decode_image


def encoded(image: Image.Image, kind: str = "PNG", **settings: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **settings)
    return buffer.getvalue()


def test_an_image_is_turned_upright_by_its_exif_orientation() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # rotate by 90 degrees clockwise to show

    image = decode_image(encoded(Image.new("RGB", (40, 20)), "JPEG", exif=exif), "turned.jpg")

    assert image.size == (20, 40)


def test_transparency_is_laid_on_white() -> None:
    clear = Image.new("RGBA", (2, 1), (255, 0, 0, 0))
    clear.putpixel((1, 0), (255, 0, 0, 255))

    image = decode_image(encoded(clear), "clear.png")

    assert [image.getpixel((x, 0)) for x in (0, 1)] == [(255, 255, 255), (255, 0, 0)]


def test_sixteen_bits_are_scaled_and_not_clipped() -> None:
    grey = Image.fromarray(np.array([[0, 257 * 128, 65535]], np.uint16))

    image = decode_image(encoded(grey), "grey.png")

    assert [image.getpixel((x, 0)) for x in range(3)] == [(0, 0, 0), (128, 128, 128), (255, 255, 255)]


@pytest.mark.parametrize("size", [(60, 20), (20, 60), (20, 20), (61, 20)])
def test_the_square_is_the_middle_of_the_image(size: tuple[int, int]) -> None:
    columns = np.abs(np.arange(size[0]) - (size[0] - 1) / 2)
    rows = np.abs(np.arange(size[1]) - (size[1] - 1) / 2)
    inside = (columns[None, :] < 10) & (rows[:, None] < 10)
    image = Image.fromarray(np.where(inside, 255, 0).astype(np.uint8)).convert("RGB")

    square = np.asarray(centre_square(image, 20, enlarge=True))

    assert square.shape == (20, 20, 3)
    assert square[:, 1:-1].min() == 255


def test_a_small_square_grows_only_where_asked() -> None:
    image = Image.new("RGB", (30, 20))

    assert centre_square(image, 64, enlarge=False).size == (20, 20)
    assert centre_square(image, 64, enlarge=True).size == (64, 64)
    assert centre_square(image, 8, enlarge=False).size == (8, 8)


@pytest.mark.parametrize("content", [b"", b"no image", encoded(Image.new("RGB", (64, 64), "red"))[:60]])
def test_what_cannot_be_decoded_is_an_error_that_names_the_file(content: bytes) -> None:
    with pytest.raises(BrokenImageError, match=r"The image a/b\.png cannot be decoded .*--skip-broken"):
        decode_image(content, "a/b.png")
