"""A set of images as people name it: a folder of pictures, a file of features, or a file of statistics.

In: a path. Out: an `ImageSet`, whose features or Gaussian a distance can take. Statistics are .npz files with `mu` and
`sigma`, as pytorch-fid and clean-fid write them; ours say in `details` what made them, and are held to it.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from evaluation.feature_files import read_set
from evaluation.feature_stage import open_line, open_on_devices
from evaluation.feature_store import Block, FeatureStore, MakeBlocks
from evaluation.features.base import Extractor, ExtractorSettings
from evaluation.folder_checks import check_generated, refuse_changed, state_of, whole_folder
from evaluation.folder_stage import json_bytes
from evaluation.kept_features import about_set, kept_features, kept_moments, key_of
from evaluation.metrics.base import Weights
from evaluation.metrics.frechet import Gaussian, gaussian_of
from evaluation.metrics.moments import moments_of
from evaluation.metrics.published import CLIP_VIT_B_32, DINOV2_VIT_L, INCEPTION_FID, SSCD
from evaluation.reference import ReferenceImages
from prompts.console import Ticker, progress
from prompts.errors import CanvasError

# Up to so many pictures, features are kept rather than streamed: the distance can then be taken in its most exact way,
# which matters below some thousands, and 80 MB hold them.
KEEP_FEATURES = 10_000
_PUBLISHED = {"inception": INCEPTION_FID, "clip": CLIP_VIT_B_32, "dinov2": DINOV2_VIT_L, "sscd": SSCD}


class OtherExtractorError(CanvasError):
    """Sets whose features come from different extractors, so that no distance between them means anything."""


class NoWeightsNamedError(CanvasError):
    """An extractor for which no published weights are meant, and none were named."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageSet:
    """A set, under the `name` people gave it: its features where they are at hand, else their Gaussian.

    `count` is None where a file of statistics does not tell it. `extractor` are the details of what made the features,
    None where nobody knows. `details` are what else a reader needs, as JSON values.
    """

    name: str
    count: int | None
    features: Float[np.ndarray, "rows features"] | None
    given: Gaussian | None
    extractor: dict[str, Any] | None
    details: dict[str, Any]

    @property
    def subject(self) -> Gaussian | Float[np.ndarray, "rows features"]:
        """What a Frechet distance is taken of."""
        if self.features is not None:
            return self.features
        assert self.given is not None
        return self.given

    @property
    def width(self) -> int:
        """How many features an image has."""
        return len(self.subject.mean) if isinstance(self.subject, Gaussian) else int(self.subject.shape[1])

    @property
    def gaussian(self) -> Gaussian:
        """The Gaussian of the set, exact."""
        if self.given is not None:
            return self.given
        assert self.features is not None
        return gaussian_of(moments_of(self.features, exact=True), self.name)


@dataclass(frozen=True, slots=True, kw_only=True)
class Extraction:
    """How folders of pictures become features; all but `line` and `weights` leaves the numbers alone.

    `weights` None means the published ones. `store` None keeps nothing. `replicas` above 0 spreads the work by Ray.
    """

    line: str = "inception"
    weights: Weights | None = None
    device: str = "auto"
    batch_size: int = 32
    workers: int = 4
    store: FeatureStore | None = None
    keep_features: bool = False
    replicas: int = 0

    @property
    def source(self) -> Weights:
        """The weights that are meant. Raises NoWeightsNamedError."""
        if self.weights is not None:
            return self.weights
        if self.line not in _PUBLISHED:
            raise NoWeightsNamedError(f"No weights are meant by '{self.line}' alone: name them with --weights.")
        return _PUBLISHED[self.line]


class ImageSets:
    """Opens sets; the extractors are opened once, and only when a folder needs them."""

    def __init__(self, extraction: Extraction) -> None:
        """Open nothing yet."""
        self._how = extraction
        self._opened: list[Extractor] = []

    def open(self, path: Path, *, generated: bool) -> ImageSet:
        """The set at `path`; a `generated` folder is also held to what generated pictures are like.

        Raises PictureError and its kin, FeatureFileError, FeaturesError, and what extractors raise.
        """
        if path.suffix.lower() in (".npz", ".npy") and path.is_file():
            return _of_file(path)
        pictures = whole_folder(path)
        if generated:
            check_generated(pictures)
        return self._extract(path, pictures)

    def _extractors(self) -> list[Extractor]:
        if not self._opened:
            opener, weights = open_line(self._how.line), self._how.source
            self._opened = open_on_devices(
                opener,
                weights.source,
                weights.revision,
                device=self._how.device,
                batch_size=self._how.batch_size,
            )
        return self._opened

    def _extract(self, folder: Path, files: Sequence[Path]) -> ImageSet:
        before = state_of(files)
        pictures = ReferenceImages(folder)
        extractors, how = self._extractors(), self._how
        features, given = None, None
        with progress(f"Features of {folder.name}", total=len(files)) as tick:
            make = self._on_ray(pictures, tick) if how.replicas else None
            if how.keep_features or len(files) <= KEEP_FEATURES:
                features = kept_features(pictures, extractors, how.store, workers=how.workers, on_done=tick, make=make)
            else:
                moments = kept_moments(pictures, extractors, how.store, workers=how.workers, on_done=tick, make=make)
                given = gaussian_of(moments, str(folder))
        refuse_changed(folder, before)
        noted = None if how.store is None else how.store.manifest(key_of(pictures, extractors[0]))
        made_with = extractors[0].details if noted is None else noted["extractor"]
        return ImageSet(
            name=str(folder),
            count=len(files),
            features=features,
            given=given,
            extractor=extractors[0].details,
            details={
                "kind": "pictures",
                **pictures.details,
                **about_set(folder),
                "made_with": made_with["versions"],
            },
        )

    def _on_ray(self, pictures: ReferenceImages, tick: Ticker) -> MakeBlocks:
        from evaluation.feature_ray import stream_features_on_ray

        how = self._how

        def make(start: int) -> Iterator[Block]:
            tick(start)
            blocks = stream_features_on_ray(
                pictures.files,
                line=how.line,
                source=how.source.source,
                revision=how.source.revision,
                settings=ExtractorSettings(device=how.device, batch_size=how.batch_size),
                replicas=how.replicas,
                gpus_each=_gpus(how.device),
                start=start,
                workers=how.workers,
            )
            for block in blocks:
                tick(len(block))
                yield block

        return make


def open_set(path: Path, extraction: Extraction) -> ImageSet:
    """One set, real or any. Raises what `ImageSets.open` raises."""
    return ImageSets(extraction).open(path, generated=False)


def write_statistics(path: Path, one: ImageSet) -> None:
    """Write the statistics of a set so that `ImageSets.open`, pytorch-fid and clean-fid can read them."""
    gaussian = one.gaussian
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.writing")
    with beside.open("wb") as file:
        np.savez(
            file,
            mu=gaussian.mean,
            sigma=gaussian.covariance,
            n=np.array(-1 if one.count is None else one.count),
            details=np.array(json_bytes({"extractor": one.extractor, "set": one.details}).decode()),
        )
    beside.replace(path)


def refuse_other_extractor(a: ImageSet, b: ImageSet) -> None:
    """Raises OtherExtractorError where both sets say what made them, and it is not the same."""
    if a.extractor is None or b.extractor is None:
        return
    if a.extractor["extractor_hash"] != b.extractor["extractor_hash"]:
        differing = sorted(
            name
            for name in {*a.extractor, *b.extractor} - {"extractor_hash", "versions", "model", "revision"}
            if a.extractor.get(name) != b.extractor.get(name)
        )
        raise OtherExtractorError(
            f"The features of {a.name} and {b.name} were made in different ways ({', '.join(differing)} differ): make "
            "both with one extractor and the same weights."
        )


def _of_file(path: Path) -> ImageSet:
    """The features or statistics in a file, used as given."""
    found = read_set(path)
    if isinstance(found, Gaussian):
        count, said = _what_it_says(path)
        return ImageSet(
            name=str(path),
            count=count,
            features=None,
            given=found,
            extractor=said.get("extractor"),
            details={"kind": "statistics", "file": str(path), "of": said.get("set")},
        )
    return ImageSet(
        name=str(path),
        count=len(found),
        features=found,
        given=None,
        extractor=None,
        details={"kind": "features", "file": str(path), "type": str(found.dtype)},
    )


def _what_it_says(path: Path) -> tuple[int | None, dict[str, Any]]:
    """How many images a file of statistics was made of, and how, as far as it says: other tools' files do not."""
    with np.load(path, allow_pickle=False) as arrays:
        count = int(arrays["n"]) if "n" in arrays.files else -1
        said = json.loads(str(arrays["details"])) if "details" in arrays.files else {}
    return (count if count >= 0 else None), said


def _gpus(device: str) -> float:
    if device == "cpu":
        return 0
    import torch

    return 1 if torch.cuda.is_available() else 0
