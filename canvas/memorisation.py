"""Copies, and whose: the training images nearest to what an entrant painted, with licence, author and origin.

In: a whole gallery from the arena, training images with their catalogue, and an extractor. Out: for each generated
image its nearest training images by cosine; those above the threshold are copies, listed with whom they are owed to.
With a folder to write into: copies.json, the pictures, and index.html with the pairs side by side. Features are kept in
a store, so that another entrant or threshold costs a search only.
Source: Somepalli et al. (2023), arXiv:2212.03860 (SSCD, threshold 0.5); Pizzi et al. (2022), arXiv:2202.10261.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32
from PIL import Image

from arena.images import ImageStore
from canvas.pages import is_small, write_page
from canvas.source_pictures import attribution_line, owed_to
from canvas.training_images import TrainingImages
from evaluation.feature_stage import CHUNK, open_line, open_on_devices, stream_features
from evaluation.feature_store import FeatureKey, FeatureStore
from evaluation.features.base import Extractor
from evaluation.folder_stage import Made, Stage, StageResult, json_bytes, run_stage, write_atomically
from evaluation.galleries import Gallery
from evaluation.image_sets import Extraction
from evaluation.metrics.base import Weights
from evaluation.metrics.blocks import check_pair
from evaluation.metrics.memorisation import COPY_COSINE
from evaluation.metrics.nearest import Nearest, nearest
from evaluation.pictures import read_picture
from prompts.console import progress
from prompts.name_scan import wilson_interval
from prompts.prompt import PromptSet

RESULTS, GENERATED, SOURCES = "copies.json", "generated", "sources"
#: How many copies a page shows, and how many of the nearest images that are none.
SHOWN_COPIES, SHOWN_OTHERS = 200, 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Searching:
    """How images are compared: a line of FEATURES with its weights (None: the published ones), and where it runs."""

    features: str = "sscd"
    weights: Weights | None = None
    threshold: float = COPY_COSINE
    top: int = 3
    device: str = "auto"
    batch_size: int = 32
    store: FeatureStore | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Neighbour:
    """A training image, the one at `row`, near to a generated one; what no catalogue tells of it is None."""

    rank: int
    row: int
    cosine: float
    is_copy: bool
    id: str
    file: str
    licence: str | None
    author: str | None
    origin: str | None
    title: str | None
    attribution: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """One generated image with its nearest training images, the nearest first."""

    prompt: str
    prompt_id: str
    seed: int
    image: str
    nearest: tuple[Neighbour, ...]

    @property
    def cosine(self) -> float:
        """How near the nearest is."""
        return self.nearest[0].cosine

    @property
    def is_copy(self) -> bool:
        """Whether it is a copy."""
        return self.nearest[0].is_copy


@dataclass(frozen=True, slots=True, kw_only=True)
class Copies:
    """What a search found: `found` has every image of the gallery, those nearest to a training image first.

    `low` and `high` are Wilson's 95% interval of the share of copies, with each prompt counted as one observation: the
    seeds of a prompt may all copy the same picture.
    """

    entrant: str
    prompts: str
    seeds: tuple[int, ...]
    training: TrainingImages
    searching: Searching
    found: tuple[Found, ...]
    low: float
    high: float
    extractor: dict[str, Any]

    @property
    def copies(self) -> tuple[Found, ...]:
        """Those images that are copies."""
        return tuple(one for one in self.found if one.is_copy)

    def to_dict(self) -> dict[str, Any]:
        """As one JSON value; of the images that are no copies, none is listed."""
        owed = {
            row["attribution"] or row["file"]: None for one in self._rows() for row in one["nearest"] if row["is_copy"]
        }
        cosines = np.array([one.cosine for one in self.found])
        return {
            "entrant": self.entrant,
            "prompts": self.prompts,
            "seeds": list(self.seeds),
            "images": len(self.found),
            "training_images": len(self.training.images),
            "features": self.searching.features,
            "threshold": self.searching.threshold,
            "copies": len(self.copies),
            "share": len(self.copies) / len(self.found),
            "interval": [self.low, self.high],
            "nearest_cosine": {f"q{round(100 * q)}": float(np.quantile(cosines, q)) for q in (0.5, 0.95, 1.0)},
            "copied_works": list(owed),
            "found": self._rows(),
            "extractor": self.extractor,
        }

    def _rows(self) -> list[dict[str, Any]]:
        return [_as_dict(one) for one in self.copies]


def find_copies(
    gallery: Gallery,
    images: ImageStore,
    prompts: PromptSet,
    seeds: Sequence[int],
    training: TrainingImages,
    searching: Searching,
) -> Copies:
    """Search for each image of `gallery` among `training`.

    Raises UnknownPluginError, MissingWeightsError, PictureError, FeatureStoreError, and TooFewFeaturesError where there
    are fewer training images than `searching.top`.
    """
    opener = open_line(searching.features)
    weights = Extraction(line=searching.features, weights=searching.weights).source
    extractors = open_on_devices(
        opener, weights.source, weights.revision, device=searching.device, batch_size=searching.batch_size
    )
    theirs = _features(
        _Pictures(
            name="the training images",
            hashes=tuple(_sha256(training.path(index)) for index in range(len(training.images))),
            read=lambda index: read_picture(training.path(index)),
        ),
        extractors,
        searching.store,
    )
    ours = _features(
        _Pictures(
            name=f"the images of {gallery.entrant}",
            hashes=tuple(one.image_hash for one in gallery.images),
            read=lambda index: images.open(gallery.images[index].image_hash),
        ),
        extractors,
        searching.store,
    )
    check_pair(theirs, ours, names=("the training images", "the generated images"), at_least=1)
    near = nearest(ours, theirs, k=searching.top, by="cosine")
    found = sorted(_found(gallery, prompts, training, near, searching.threshold), key=lambda one: -one.cosine)
    copies = sum(one.is_copy for one in found)
    interval = wilson_interval(copies / len(found) * len(prompts), len(prompts))
    return Copies(
        entrant=gallery.entrant,
        prompts=prompts.name,
        seeds=tuple(seeds),
        training=training,
        searching=searching,
        found=tuple(found),
        low=interval.low,
        high=interval.high,
        extractor=extractors[0].details,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Pictures:
    """Pictures in their order: each one's hash, and how it is read."""

    name: str
    hashes: tuple[str, ...]
    read: Any


def _features(
    pictures: _Pictures, extractors: list[Extractor], store: FeatureStore | None
) -> Float32[np.ndarray, "rows features"]:
    count = len(pictures.hashes)
    with progress(f"Features of {pictures.name}", total=count) as tick:

        def make(start: int) -> Any:
            tick(start)
            return stream_features(extractors, count, pictures.read, start=start, on_done=tick)

        if store is None:
            return np.concatenate(list(make(0)))
        whole = hashlib.sha256("".join(pictures.hashes).encode()).hexdigest()
        key = FeatureKey(
            pictures_sha256=whole, count=count, extractor=extractors[0].details, dataset={"name": pictures.name}
        )
        return store.features(key, make, block_rows=CHUNK)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _found(
    gallery: Gallery, prompts: PromptSet, training: TrainingImages, near: Nearest, threshold: float
) -> list[Found]:
    texts = {prompt.id: prompt.text for prompt in prompts}
    return [
        Found(
            prompt=texts[image.prompt_id],
            prompt_id=image.prompt_id,
            seed=image.seed,
            image=image.image_hash,
            nearest=tuple(
                _neighbour(rank, training, int(row), float(cosine), threshold)
                for rank, (row, cosine) in enumerate(zip(near.rows[at], near.values[at], strict=True), start=1)
            ),
        )
        for at, image in enumerate(gallery.images)
    ]


def _neighbour(rank: int, training: TrainingImages, row: int, cosine: float, threshold: float) -> Neighbour:
    image = training.images[row]
    return Neighbour(
        rank=rank,
        row=row,
        cosine=cosine,
        is_copy=cosine > threshold,
        id=image.id,
        file=image.file,
        licence=image.licence if training.known else None,
        author=image.author if training.known else None,
        origin=image.origin if training.known else None,
        title=image.title if training.known else None,
        attribution=attribution_line(image) if training.known else None,
    )


def _as_dict(one: Found) -> dict[str, Any]:
    return {
        "prompt": one.prompt,
        "prompt_id": one.prompt_id,
        "seed": one.seed,
        "image": one.image,
        "cosine": one.cosine,
        "is_copy": one.is_copy,
        "nearest": [
            {name: getattr(near, name) for name in Neighbour.__dataclass_fields__ if name != "row"}
            for near in one.nearest
        ],
    }


def write_copies(out: Path, copies: Copies, images: ImageStore, *, now: datetime) -> StageResult:
    """Write what was found into `out`: copies.json, the pictures that are shown, and index.html.

    Raises OtherSettingsError for a folder of another search, and StageError.
    """
    told = copies.to_dict()
    others = [one for one in copies.found if not one.is_copy][:SHOWN_OTHERS]
    shown = [*copies.copies[:SHOWN_COPIES], *others]
    stage = Stage(
        name="copies",
        out=out,
        inputs={"found": hashlib.sha256(json_bytes(told)).hexdigest()},
        settings={
            "entrant": copies.entrant,
            "prompts": copies.prompts,
            "seeds": list(copies.seeds),
            "features": copies.searching.features,
            "threshold": copies.searching.threshold,
            "top": copies.searching.top,
        },
    )

    def work(folder: Path) -> Made:
        (folder / GENERATED).mkdir(exist_ok=True)
        (folder / SOURCES).mkdir(exist_ok=True)
        rows = [_page_row(folder, one, copies.training, images) for one in shown]
        write_atomically(folder / RESULTS, json_bytes(told))
        write_page(
            folder,
            "copies.html",
            entrant=copies.entrant,
            prompts=copies.prompts,
            told=told,
            known=copies.training.known,
            copies=[row for row in rows if row["is_copy"]],
            others=[row for row in rows if not row["is_copy"]],
        )
        return Made(counts={"images": len(copies.found), "copies": len(copies.copies)}, details={})

    return run_stage(stage, work, now=now)


def _page_row(folder: Path, one: Found, training: TrainingImages, images: ImageStore) -> Mapping[str, Any]:
    generated = f"{GENERATED}/{one.image[:32]}.png"
    _keep(folder / generated, images.open(one.image))
    near = []
    for neighbour in one.nearest:
        name = f"{SOURCES}/{hashlib.sha256(neighbour.file.encode()).hexdigest()[:32]}.png"
        _keep(folder / name, read_picture(training.folder / neighbour.file))
        near.append(
            {
                "picture": name,
                "small": is_small(folder / name),
                "cosine": neighbour.cosine,
                "is_copy": neighbour.is_copy,
                "id": neighbour.id,
                "owed": owed_to(training.images[neighbour.row]) if training.known else None,
            }
        )
    return {
        "prompt": one.prompt,
        "seed": one.seed,
        "picture": generated,
        "small": is_small(folder / generated),
        "is_copy": one.is_copy,
        "nearest": near,
    }


def _keep(path: Path, picture: Image.Image) -> None:
    """Keep a picture for the page, made no larger than a page shows it."""
    if not path.is_file():
        shown = picture.copy()
        shown.thumbnail((512, 512), Image.Resampling.LANCZOS)
        beside = path.with_name(f".{path.name}.writing")
        shown.save(beside, "PNG")
        beside.replace(path)
