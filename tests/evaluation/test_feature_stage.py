"""Streaming features: the same numbers with any number of threads, devices and machines."""

import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from evaluation.feature_stage import CHUNK, all_features, open_line, open_on_devices, stream_features
from evaluation.feature_store import FeatureStore
from evaluation.features.base import Extractor, ExtractorSettings, TextFeatures
from evaluation.kept_features import kept_features, kept_moments, key_of
from evaluation.metrics.base import NotFiniteFeaturesError
from evaluation.pictures import PictureError, read_picture
from evaluation.reference import ReferenceImages


@pytest.fixture(scope="module")
def pictures() -> list[Image.Image]:
    rng = np.random.default_rng(0)
    return [Image.fromarray(rng.integers(0, 256, (36, 44, 3), dtype=np.uint8)) for _ in range(70)]


@pytest.fixture(scope="module")
def clip(clip_folder: Path) -> Extractor:
    return open_line("clip")(str(clip_folder), None, ExtractorSettings(device="cpu", batch_size=8))


class Corners:
    """An extractor whose features are a picture's first pixel; it can be slow, and counts the pictures in flight."""

    details: dict[str, Any] = {"extractor_hash": "0"}  # noqa: RUF012

    def __init__(self, pause_s: float = 0.0) -> None:
        self._pause_s = pause_s
        self.chunks: list[int] = []

    def images(self, images: Sequence[Image.Image], on_done: Callable[[int], None] = lambda done: None) -> Any:
        time.sleep(self._pause_s)
        self.chunks.append(len(images))
        return np.array([image.getpixel((0, 0)) for image in images], dtype=np.float32)

    def texts(self, texts: Sequence[str]) -> TextFeatures:
        raise NotImplementedError


def test_streamed_features_are_those_of_all_pictures_at_once(clip: Extractor, pictures: list[Image.Image]) -> None:
    expected = clip.images(pictures)

    found = all_features([clip], len(pictures), pictures.__getitem__, chunk=16)

    assert found == pytest.approx(expected, abs=1e-6)


def test_the_number_of_threads_changes_no_bit(clip: Extractor, pictures: list[Image.Image]) -> None:
    one, many = (
        all_features([clip], len(pictures), pictures.__getitem__, chunk=16, workers=workers) for workers in (1, 7)
    )

    assert np.array_equal(one, many)


def test_several_devices_share_the_work_and_keep_the_order(clip_folder: Path, pictures: list[Image.Image]) -> None:
    """Two models on one CPU stand in for two GPUs."""
    pair = open_on_devices(open_line("clip"), str(clip_folder), None, device="cpu,cpu", batch_size=8)
    alone = all_features(pair[:1], len(pictures), pictures.__getitem__, chunk=16)

    together = all_features(pair, len(pictures), pictures.__getitem__, chunk=16)

    assert len(pair) == 2
    assert np.array_equal(together, alone)


def test_a_slow_device_holds_no_one_up_and_the_order_stays(pictures: list[Image.Image]) -> None:
    slow, quick = Corners(pause_s=0.2), Corners()

    found = all_features([slow, quick], len(pictures), pictures.__getitem__, chunk=5)

    assert np.array_equal(found, Corners().images(pictures))
    assert len(quick.chunks) > len(slow.chunks) > 0


def test_only_so_many_pictures_are_in_memory(pictures: list[Image.Image]) -> None:
    read: list[int] = []
    lock = threading.Lock()

    def counted(index: int) -> Image.Image:
        with lock:
            read.append(index)
        return pictures[index % len(pictures)]

    blocks = stream_features([Corners()], 10_000, counted, workers=3, chunk=10)
    for _ in range(5):
        next(blocks)
        time.sleep(0.01)

    assert len(read) <= 5 * 10 + (3 + 10)
    blocks.close()


def test_a_stream_goes_on_from_any_block(pictures: list[Image.Image]) -> None:
    whole = all_features([Corners()], len(pictures), pictures.__getitem__, chunk=16)
    heard: list[int] = []

    rest = np.concatenate(
        list(
            stream_features([Corners()], len(pictures), pictures.__getitem__, start=32, chunk=16, on_done=heard.append)
        )
    )

    assert np.array_equal(rest, whole[32:])
    assert heard == [16, 16, 6]


def test_an_unreadable_picture_is_named(tmp_path: Path, pictures: list[Image.Image]) -> None:
    for number in range(30):
        pictures[number].save(tmp_path / f"{number:02d}.png")
    (tmp_path / "17.png").write_bytes(b"no picture")
    files = sorted(tmp_path.glob("*.png"))

    with pytest.raises(PictureError, match=r"17\.png cannot be read as a picture"):
        all_features([Corners()], 30, lambda index: read_picture(files[index]), chunk=4)


def test_a_picture_whose_features_are_not_finite_is_numbered(pictures: list[Image.Image]) -> None:
    class Broken(Corners):
        def images(self, images: Sequence[Image.Image], on_done: Callable[[int], None] = lambda done: None) -> Any:
            found = super().images(images)
            if len(self.chunks) == 3:
                found[1] = np.nan
            return found

    with pytest.raises(NotFiniteFeaturesError, match="picture 21 "):
        all_features([Broken()], len(pictures), pictures.__getitem__, chunk=10)


def test_no_pictures_have_no_features() -> None:
    with pytest.raises(PictureError, match="There are no pictures"):
        all_features([Corners()], 0, lambda index: Image.new("RGB", (1, 1)))


def test_the_default_chunk_holds_whole_batches() -> None:
    """A batch that straddles chunks would be cut, and half-empty batches waste the device."""
    assert CHUNK % ExtractorSettings().batch_size == 0


def test_features_of_a_folder_are_made_once_for_all_who_need_them(
    clip: Extractor, pictures: list[Image.Image], tmp_path: Path
) -> None:
    (tmp_path / "real").mkdir()
    for number, picture in enumerate(pictures):
        picture.save(tmp_path / "real" / f"{number:02d}.png")
    store, heard = FeatureStore(tmp_path / "store"), list[int]()

    first = kept_features(ReferenceImages(tmp_path / "real"), [clip], store, on_done=heard.append)
    again = kept_features(ReferenceImages(tmp_path / "real"), [clip], store, on_done=heard.append)
    moments = kept_moments(ReferenceImages(tmp_path / "real"), [clip], store, on_done=heard.append)

    assert sum(heard) == len(pictures)
    assert np.array_equal(first, again)
    assert moments.mean == pytest.approx(first.mean(axis=0, dtype=np.float64), rel=1e-9)
    assert np.array_equal(kept_features(ReferenceImages(tmp_path / "real"), [clip], None), first)


def test_a_changed_picture_is_another_set(clip: Extractor, pictures: list[Image.Image], tmp_path: Path) -> None:
    pictures[0].save(tmp_path / "0.png")
    before = key_of(ReferenceImages(tmp_path), clip)

    pictures[1].save(tmp_path / "0.png")

    assert key_of(ReferenceImages(tmp_path), clip).id != before.id


def test_ray_gives_the_same_features_in_the_same_order(
    clip_folder: Path, pictures: list[Image.Image], tmp_path: Path
) -> None:
    ray = pytest.importorskip("ray", reason="Ray (canvas-arena[scale]) is not installed")
    from evaluation.feature_ray import stream_features_on_ray

    for number, picture in enumerate(pictures):
        picture.save(tmp_path / f"{number:02d}.png")
    files = sorted(tmp_path.glob("*.png"))
    settings = ExtractorSettings(device="cpu", batch_size=8)
    here = all_features(
        [open_line("clip")(str(clip_folder), None, settings)], len(files), lambda index: read_picture(files[index]),
        chunk=16,
    )  # fmt: skip
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)

    try:
        blocks = list(
            stream_features_on_ray(
                files, line="clip", source=str(clip_folder), revision=None, settings=settings, replicas=2, gpus_each=0,
                start=16, chunk=16,
            )
        )  # fmt: skip
    finally:
        ray.shutdown()

    assert [len(block) for block in blocks] == [16, 16, 16, 6]
    assert np.concatenate(blocks) == pytest.approx(here[16:], abs=1e-6)


def test_ray_that_is_not_installed_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    from evaluation.feature_ray import MissingRayError, stream_features_on_ray

    monkeypatch.setitem(sys.modules, "ray", None)

    with pytest.raises(MissingRayError, match=r"install canvas-arena\[scale\]"):
        next(
            stream_features_on_ray(
                [tmp_path],
                line="clip",
                source="x",
                revision=None,
                settings=ExtractorSettings(),
                replicas=1,
                gpus_each=0,
            )
        )
