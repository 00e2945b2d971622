"""Images go through a model batch by batch: prepared on threads ahead of it, and computed in true float32.

On a GPU, convolutions would by default round float32 to TF32's 10 bits; here they do not, so that features of a GPU and
of a CPU agree. Half precision is for whoever asks for it.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Float32
from PIL import Image

from evaluation.devices import DTYPES, choose_device, choose_dtype
from evaluation.features.base import ExtractorSettings, eight_bit

# Reading pixels ahead of the model: more threads than this only wait for each other.
_THREADS = 16

Prepare = Callable[[Image.Image], Float32[np.ndarray, "3 height width"]]
Embed = Callable[[Float32[torch.Tensor, "batch 3 height width"]], Float[torch.Tensor, "batch features"]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """Where and how a model computes, worked out once from the settings."""

    device: torch.device
    dtype: str
    batch_size: int

    @contextmanager
    def computing(self) -> Iterator[None]:
        """No gradients, no TF32, and autocast where half precision was asked for."""
        lowered = torch.backends.cudnn.allow_tf32, torch.get_float32_matmul_precision()
        half = self.dtype != "float32"
        torch.backends.cudnn.allow_tf32 = False
        torch.set_float32_matmul_precision("highest")
        try:
            with torch.inference_mode(), torch.autocast(self.device.type, DTYPES[self.dtype], enabled=half):
                yield
        finally:
            torch.backends.cudnn.allow_tf32 = lowered[0]
            torch.set_float32_matmul_precision(lowered[1])

    def embed(
        self,
        images: Sequence[Image.Image],
        *,
        prepare: Prepare,
        embed: Embed,
        width: int,
        on_done: Callable[[int], None],
    ) -> Float32[np.ndarray, "images features"]:
        """The features of `images`, `width` of them each: `prepare` makes an image's input, `embed` a batch's features.

        While the model computes a batch, threads prepare the next. Raises PixelsError before any work is done.
        """
        found = np.empty((len(images), width), dtype=np.float32)
        rgb = [eight_bit(image) for image in images]
        starts = range(0, len(rgb), self.batch_size)
        with ThreadPoolExecutor(min(_THREADS, os.cpu_count() or 1)) as pool:
            ahead = pool.map(prepare, rgb[: self.batch_size])
            for start in starts:
                batch = torch.from_numpy(np.stack(list(ahead)))
                stop = start + len(batch)
                ahead = pool.map(prepare, rgb[stop : stop + self.batch_size])
                with self.computing():
                    found[start:stop] = embed(self._moved(batch)).float().cpu().numpy()
                on_done(len(batch))
        return found

    def _moved(self, batch: torch.Tensor) -> torch.Tensor:
        # From pinned memory the copy does not wait for the GPU's earlier work.
        if self.device.type == "cuda":
            return batch.pin_memory().to(self.device, non_blocking=True)
        return batch.to(self.device)


def bench(settings: ExtractorSettings) -> Bench:
    """The bench that `settings` ask for. Raises DeviceError."""
    device = choose_device(settings.device)
    dtype = "float32" if settings.dtype == "auto" else choose_dtype(settings.dtype, device)
    return Bench(device=device, dtype=dtype, batch_size=settings.batch_size)
