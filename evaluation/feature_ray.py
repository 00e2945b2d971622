"""Features of many pictures on many machines: the same chunks as in `feature_stage`, spread by Ray Data.

In: paths that every machine can read, and what opens an extractor. Out: blocks of features in the paths' order, the
same as on one machine. Ray comes with the extra canvas-arena[scale]; `ray.init` beforehand says which cluster.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32

from evaluation.feature_stage import CHUNK, open_line, stream_features
from evaluation.features.base import ExtractorSettings
from evaluation.pictures import read_picture
from prompts.errors import CanvasError


class MissingRayError(CanvasError):
    """Ray is asked for and not installed."""


class _Extracting:
    """One opened extractor, kept by Ray on one device for as long as there are chunks."""

    def __init__(self, line: str, source: str, revision: str | None, settings: ExtractorSettings, workers: int) -> None:
        """Open the extractor where this runs."""
        self._extractor = open_line(line)(source, revision, settings)
        self._workers = workers

    def __call__(self, row: dict[str, Any]) -> dict[str, Any]:
        """The features of one chunk of paths."""
        paths = [Path(path) for path in row["paths"]]
        (block,) = stream_features(
            [self._extractor],
            len(paths),
            lambda index: read_picture(paths[index]),
            workers=self._workers,
            chunk=len(paths),
        )
        return {"chunk": row["chunk"], "features": block}


def stream_features_on_ray(
    paths: Sequence[Path],
    *,
    line: str,
    source: str,
    revision: str | None,
    settings: ExtractorSettings,
    replicas: int,
    gpus_each: float,
    start: int = 0,
    workers: int = 4,
    chunk: int = CHUNK,
) -> Iterator[Float32[np.ndarray, "rows features"]]:
    """The features of the pictures at `paths` from `start` on, in blocks of `chunk` rows and in order.

    `line` of FEATURES is opened `replicas` times, each with `gpus_each` GPUs. Raises MissingRayError; what goes wrong
    on a machine comes as Ray's own error, with ours inside.
    """
    try:
        import ray
    except ModuleNotFoundError as error:
        raise MissingRayError("--ray needs Ray, which is not installed: install canvas-arena[scale].") from error
    assert start % chunk == 0, "blocks begin where they would have begun without an interruption"
    ray.data.DataContext.get_current().execution_options.preserve_order = True
    chunks = [
        {"chunk": number, "paths": [str(path.resolve()) for path in paths[at : at + chunk]]}
        for number, at in enumerate(range(start, len(paths), chunk))
    ]
    if not chunks:
        return
    blocks = ray.data.from_items(chunks, override_num_blocks=len(chunks)).map(
        _Extracting,
        fn_constructor_args=(line, source, revision, settings, workers),
        concurrency=replicas,
        num_gpus=gpus_each or None,
    )
    for expected, row in enumerate(blocks.iter_rows()):
        assert row["chunk"] == expected
        yield np.asarray(row["features"], dtype=np.float32)
