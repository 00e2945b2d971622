"""Features or moments of a folder of pictures, from the store where they are, else made and kept.

In: pictures, opened extractors, and a store or None (then nothing is kept). Out: features, or their exact moments
without ever holding the features. One call serves a reference set for all guidance scales and entrants.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32

from evaluation.feature_stage import CHUNK, stream_features
from evaluation.feature_store import FeatureKey, FeatureStore, MakeBlocks, stream_moments
from evaluation.features.base import Extractor
from evaluation.folder_stage import UnfinishedFolderError, read_manifest
from evaluation.metrics.moments import Moments
from evaluation.reference import ReferenceImages
from evaluation.references.base import STAGE

Done = Callable[[int], None]


def _silent(done: int) -> None:
    """Nobody listens."""


def kept_features(
    pictures: ReferenceImages,
    extractors: list[Extractor],
    store: FeatureStore | None,
    *,
    workers: int = 4,
    on_done: Done = _silent,
    make: MakeBlocks | None = None,
) -> Float32[np.ndarray, "rows features"]:
    """The features of all `pictures`, memory-mapped where a store keeps them.

    `make` goes in place of the extractors at work here (Ray). Raises PictureError, FeatureStoreError and
    NotFiniteFeaturesError.
    """
    make = make or _maker(pictures, extractors, workers, on_done)
    if store is None:
        return np.concatenate(list(make(0)))
    return store.features(key_of(pictures, extractors[0]), make, block_rows=CHUNK)


def kept_moments(
    pictures: ReferenceImages,
    extractors: list[Extractor],
    store: FeatureStore | None,
    *,
    workers: int = 4,
    on_done: Done = _silent,
    make: MakeBlocks | None = None,
) -> Moments:
    """The exact moments of the features of all `pictures`. Raises as `kept_features` does."""
    make = make or _maker(pictures, extractors, workers, on_done)
    if store is None:
        return stream_moments(make(0), exact=True)
    return store.moments(key_of(pictures, extractors[0]), make, exact=True)


def key_of(pictures: ReferenceImages, extractor: Extractor) -> FeatureKey:
    """What decides these features, and what a reader wants to know of the pictures."""
    about = pictures.details
    return FeatureKey(
        pictures_sha256=str(about["sha256"]),
        count=len(pictures.files),
        extractor=extractor.details,
        dataset={"folder": str(pictures.folder), **about_set(pictures.folder)},
    )


def about_set(folder: Path) -> dict[str, Any]:
    """What a reference set that was built here says of itself; nothing for any other folder."""
    try:
        manifest = read_manifest(folder)
    except UnfinishedFolderError:  # whatever its manifest.json is, if it has one, it is not ours
        return {}
    if manifest.stage != STAGE:
        return {}
    return {
        "dataset": manifest.settings["dataset"],
        "preprocessing": manifest.settings["preprocessing"],
        "list_sha256": manifest.details["list"]["sha256"],
    }


def _maker(pictures: ReferenceImages, extractors: list[Extractor], workers: int, on_done: Done) -> MakeBlocks:
    def make(start: int) -> Any:
        on_done(start)
        return stream_features(
            extractors, len(pictures.files), pictures.read, start=start, workers=workers, on_done=on_done
        )

    return make
