"""Images and their texts go through a judge batch by batch, on the bench that extractors use."""

from collections.abc import Callable, Sequence

import numpy as np
from jaxtyping import Float, Float32
from PIL import Image
from torch import Tensor

from evaluation.features.batches import Bench
from evaluation.scorers.base import check_pairs

Prepare = Callable[[Image.Image], Float32[np.ndarray, "3 height width"]]
Judge = Callable[[Float32[Tensor, "batch 3 height width"], list[str]], Float[Tensor, " batch"]]


def judge_all(
    bench: Bench,
    images: Sequence[Image.Image],
    texts: Sequence[str],
    *,
    prepare: Prepare,
    judge: Judge,
    on_done: Callable[[int], None],
) -> Float32[np.ndarray, " images"]:
    """What `judge` says of every image, made its input by `prepare`, and of the text beside it.

    Raises MismatchedTextsError, and PixelsError before any work is done.
    """
    check_pairs(images, texts)
    done = 0

    def judge_next(pixels: Float32[Tensor, "batch 3 height width"]) -> Float[Tensor, "batch 1"]:
        nonlocal done
        beside = list(texts[done : done + len(pixels)])
        done += len(pixels)
        values: Float[Tensor, "batch 1"] = judge(pixels, beside)[:, None]
        return values

    return bench.embed(images, prepare=prepare, embed=judge_next, width=1, on_done=on_done)[:, 0]
