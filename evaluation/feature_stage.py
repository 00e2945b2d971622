"""Features of many pictures, streamed: decoded ahead by a few threads, taken through one model per device, in order.

In: opened extractors (one per device), and how many pictures there are and how picture i is read. Out: blocks of
features in the pictures' order. Only a few chunks of pictures are in memory at once. Which pictures share a chunk
depends on `chunk` alone, so the numbers depend on neither the threads nor, up to a device's own rounding, the devices.
"""

from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from queue import SimpleQueue

import numpy as np
from jaxtyping import Float32
from PIL import Image

from evaluation.features.base import Extractor, ExtractorSettings
from evaluation.metrics.base import NotFiniteFeaturesError
from evaluation.ordered import ordered_map
from evaluation.pictures import PictureError
from prompts.plugins import load_plugin

Read = Callable[[int], Image.Image]
# How many pictures go to an extractor at once; it makes its own batches of them.
CHUNK = 64


def open_on_devices(
    open_extractor: Callable[[str, str | None, ExtractorSettings], Extractor],
    source: str,
    revision: str | None,
    *,
    device: str,
    batch_size: int,
) -> list[Extractor]:
    """An extractor on each of the devices in `device` ("auto", "cpu", "cuda:0,cuda:1"); "all" is every GPU there is."""
    return [
        open_extractor(source, revision, ExtractorSettings(device=one, batch_size=batch_size))
        for one in _devices(device)
    ]


def stream_features(
    extractors: Sequence[Extractor],
    count: int,
    read: Read,
    *,
    start: int = 0,
    workers: int = 4,
    chunk: int = CHUNK,
    on_done: Callable[[int], None] = lambda done: None,
) -> Generator[Float32[np.ndarray, "rows features"], None, None]:
    """The features of pictures `start` to `count` - 1, in blocks of `chunk` rows; the last may be shorter.

    `on_done` hears, block by block, how many more are done. Raises what `read` raises, and NotFiniteFeaturesError,
    which numbers the picture, in the place of the block that it belongs to.
    """
    assert start % chunk == 0, "blocks begin where they would have begun without an interruption"
    chunks = _chunks(ordered_map(read, range(start, count), threads=workers, ahead=workers + chunk), chunk)
    for block in _through(extractors, chunks):
        broken = np.flatnonzero(~np.isfinite(block).all(axis=1))
        if broken.size:
            raise NotFiniteFeaturesError(
                f"The features of picture {start + int(broken[0])} (counted from 0) hold NaN or infinity: "
                "extract in float32, and check the weights."
            )
        start += len(block)
        on_done(len(block))
        yield block


def all_features(
    extractors: Sequence[Extractor],
    count: int,
    read: Read,
    *,
    workers: int = 4,
    chunk: int = CHUNK,
    on_done: Callable[[int], None] = lambda done: None,
) -> Float32[np.ndarray, "rows features"]:
    """The features of all pictures, in memory. Raises PictureError for none, and as `stream_features` does."""
    if not count:
        raise PictureError("There are no pictures to make features of: name some.")
    return np.concatenate(list(stream_features(extractors, count, read, workers=workers, chunk=chunk, on_done=on_done)))


def _chunks(pictures: Iterator[Image.Image], size: int) -> Iterator[list[Image.Image]]:
    held: list[Image.Image] = []
    for picture in pictures:
        held.append(picture)
        if len(held) == size:
            yield held
            held = []
    if held:
        yield held


def _through(
    extractors: Sequence[Extractor], chunks: Iterator[list[Image.Image]]
) -> Iterator[Float32[np.ndarray, "rows features"]]:
    """Each chunk through whichever extractor is free; results in the chunks' order."""
    if len(extractors) == 1:
        yield from map(extractors[0].images, chunks)
        return
    free: SimpleQueue[Extractor] = SimpleQueue()
    for extractor in extractors:
        free.put(extractor)

    def extract(pictures: list[Image.Image]) -> Float32[np.ndarray, "rows features"]:
        extractor = free.get()
        try:
            return extractor.images(pictures)
        finally:
            free.put(extractor)

    with _true_float32():
        yield from ordered_map(extract, chunks, threads=len(extractors), ahead=2 * len(extractors))


@contextmanager
def _true_float32() -> Iterator[None]:
    """No TF32 in the whole process: each extractor sets and restores that flag, and would do so under the others."""
    import torch

    before = torch.backends.cudnn.allow_tf32
    torch.backends.cudnn.allow_tf32 = False
    try:
        yield
    finally:
        torch.backends.cudnn.allow_tf32 = before


def _devices(listed: str) -> list[str]:
    if listed != "all":
        return [one.strip() for one in listed.split(",") if one.strip()] or ["auto"]
    import torch

    return [f"cuda:{number}" for number in range(torch.cuda.device_count())] or ["cpu"]


def open_line(line: str) -> Callable[[str, str | None, ExtractorSettings], Extractor]:
    """The opener on a line of FEATURES. Raises UnknownPluginError and MissingExtraError."""
    from evaluation.features import FEATURES

    opener: Callable[[str, str | None, ExtractorSettings], Extractor] = load_plugin(FEATURES, line, "extractor")
    return opener
