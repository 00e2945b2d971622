import io
import threading
from pathlib import Path
from uuid import uuid4

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from PIL import Image, PngImagePlugin

from arena.images import DamagedImageError, ImageStore, UnknownImageError


@pytest.fixture
def store(tmp_path: Path) -> ImageStore:
    return ImageStore(str(tmp_path / "images"))


def picture(seed: int = 0, size: int = 16) -> Image.Image:
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (size, size, 3), dtype=np.uint8))


def test_the_same_pixels_are_one_image_whatever_they_came_in(store: ImageStore) -> None:
    notes = PngImagePlugin.PngInfo()
    notes.add_text("parameters", "painted by sd2, seed 4")
    as_png, as_tiff = io.BytesIO(), io.BytesIO()
    picture().save(as_png, format="PNG", pnginfo=notes)
    picture().save(as_tiff, format="TIFF")

    with Image.open(as_png) as one, Image.open(as_tiff) as other:
        stored = store.put(one)
        again = store.put(other)

    assert stored == again
    assert (stored.width, stored.height, stored.bytes) == (16, 16, len(store.get(stored.hash)))


def test_what_is_stored_tells_nothing_but_pixels(store: ImageStore) -> None:
    exif = Image.Exif()
    exif[0x0131] = "the painter's software"
    written = io.BytesIO()
    picture().save(written, format="PNG", exif=exif, icc_profile=b"a colour profile")

    with Image.open(written) as image:
        encoded = store.get(store.put(image).hash)

    with Image.open(io.BytesIO(encoded)) as kept:
        assert kept.format == "WEBP"
        assert kept.mode == "RGB"
        assert not kept.getexif()
        assert set(kept.info) <= {"loop", "background", "timestamp", "duration"}
    assert b"painter" not in encoded


@given(arrays.arrays(np.uint8, st.tuples(st.integers(1, 9), st.integers(1, 9), st.just(3))))
def test_no_pixel_changes(pixels: np.ndarray) -> None:
    store = ImageStore(f"memory://{uuid4()}")

    kept = store.open(store.put(Image.fromarray(pixels)).hash)

    assert np.array_equal(np.asarray(kept), pixels)


@pytest.mark.parametrize("mode", ["L", "P", "LA", "RGBA", "CMYK", "1", "I;16"])
def test_every_mode_becomes_rgb(store: ImageStore, mode: str) -> None:
    image = Image.new("L", (4, 4), 200).convert(mode) if mode != "I;16" else Image.new("I;16", (4, 4), 200)

    assert store.open(store.put(image).hash).mode == "RGB"


def test_what_is_transparent_is_white(store: ImageStore) -> None:
    clear = Image.new("RGBA", (2, 2), (255, 0, 0, 0))

    kept = store.open(store.put(clear).hash)

    assert kept.getpixel((0, 0)) == (255, 255, 255)


def test_a_hash_that_is_not_there_is_named(store: ImageStore) -> None:
    with pytest.raises(UnknownImageError, match="has no image 0000"):
        store.get("0" * 64)

    assert not store.has("0" * 64)


@pytest.mark.parametrize("name", ["../secret", "", "A" * 64, "0" * 63])
def test_what_is_no_hash_never_becomes_a_path(store: ImageStore, name: str) -> None:
    with pytest.raises(UnknownImageError, match="is no image hash"):
        store.get(name)


def test_an_altered_file_is_not_shown(store: ImageStore, tmp_path: Path) -> None:
    hash = store.put(picture()).hash
    [file] = (tmp_path / "images").rglob("*.webp")
    file.write_bytes(file.read_bytes()[:-1] + b"x")

    with pytest.raises(DamagedImageError, match=hash):
        store.open(hash)


def test_a_file_cut_short_is_written_again(store: ImageStore, tmp_path: Path) -> None:
    hash = store.put(picture()).hash
    [file] = (tmp_path / "images").rglob("*.webp")
    file.write_bytes(b"")

    store.put(picture())

    assert store.open(hash).tobytes() == picture().tobytes()


def test_an_interrupted_write_leaves_no_half_image(store: ImageStore, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    hash = ImageStore(f"memory://{uuid4()}").put(picture()).hash
    with monkeypatch.context() as interrupted:
        interrupted.setattr(type(store._files), "mv", fail)
        with pytest.raises(KeyboardInterrupt):
            store.put(picture())

    assert not store.has(hash)
    assert store.put(picture()).hash == hash
    assert store.has(hash)


def test_many_threads_may_put_the_same_image(store: ImageStore) -> None:
    found: list[str] = []
    threads = [threading.Thread(target=lambda: found.append(store.put(picture()).hash)) for _ in range(8)]

    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(found) == 8
    assert len(set(found)) == 1
    assert store.open(found[0]).tobytes() == picture().tobytes()


def test_a_scaled_image_is_kept_under_its_own_hash(store: ImageStore) -> None:
    hash = store.put(picture(size=32)).hash

    smaller = store.scaled(hash, 16, 16)

    assert store.open(smaller).size == (16, 16)
    assert smaller == store.scaled(hash, 16, 16)
    assert smaller != hash
