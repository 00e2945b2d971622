"""The stage that packs images, captions and provenance into MDS shards, for one collection of licence splits.

In: a source, its split, its captions. Out: a shard folder with columns id, image (the source file's own bytes),
caption, licence, author, origin, title, width, height. Images without leave to train are refused twice: only the
collection's splits are read, and every row's licence is looked at again when it is written.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from prompts.console import progress
from prompts.errors import CanvasError
from training.batching import batches
from training.captions import read_captions, read_skipped
from training.catalogue import Attribution, SourceImage, attribution_of
from training.decoding import BrokenImageError, decode_image, read_image_bytes
from training.licences import Collection, read_licence
from training.mds import index_hash, merge_partitions, read_samples, write_partition
from training.split import read_split, require_split_of
from training.stage import (
    Made,
    MissingInputError,
    Stage,
    StageResult,
    input_hash,
    read_manifest,
    refuse_skipped,
    require_stage,
    run_stage,
)

COLUMNS = {
    "id": "str",
    "image": "bytes",
    "caption": "str",
    "licence": "str",
    "author": "str",
    "origin": "str",
    "title": "str",
    "width": "int",
    "height": "int",
}


class ForbiddenLicenceError(CanvasError):
    """An image on its way into training whose licence does not allow it there."""


class MissingCaptionError(CanvasError):
    """An image that is to be trained on and has no caption."""


class EmptyCollectionError(CanvasError):
    """A collection without a single image."""


def write_shards(
    source: Path,
    split: Path,
    captions: Path,
    out: Path,
    *,
    collection: Collection,
    now: datetime,
    skip_broken: bool = False,
    images_per_shard: int = 1000,
) -> StageResult:
    """Pack the images of `collection` into a shard folder, one partition per `images_per_shard` rows of a split.

    `skip_broken` leaves out images that cannot be decoded and counts them in the manifest; without it they raise
    BrokenImageError. Images that the captions stage left out are left out and counted as well. Raises
    ForbiddenLicenceError, MissingCaptionError, EmptyCollectionError, and the errors of `run_stage`.
    """
    require_split_of(split, source)
    if require_stage(captions, "captions").inputs["split"] != input_hash(split):
        raise MissingInputError(f"{captions} captions another split than {split}: caption this split first.")
    stage = Stage(
        name="shards",
        out=out,
        inputs={"source": source, "split": split, "captions": captions},
        settings={"licence_split": str(collection), "images_per_shard": images_per_shard},
    )

    def work(folder: Path) -> Made:
        packing = _Packing(
            source=source,
            captions=read_captions(captions),
            uncaptioned=read_skipped(captions),
            collection=collection,
            skip_broken=skip_broken,
        )
        return _pack_into(folder, split, packing, images_per_shard)

    return refuse_skipped(run_stage(stage, work, now=now), {"skipped_broken": skip_broken})


def require_trainable(licence: str, collection: Collection, image: str) -> None:
    """Raise ForbiddenLicenceError unless `licence` allows `image` (its name, for the error) into `collection`."""
    known = read_licence(licence)
    if known.split not in collection.splits:
        raise ForbiddenLicenceError(
            f"The image {image} may not be trained on in the {collection} collection: {known.name} is {known.split}, "
            f"for {known.reason}. Split its source anew."
        )


def read_attributions(folder: Path) -> Iterator[Attribution]:
    """Whom to thank for the images of a shard or latents folder, image by image."""
    require_stage(folder, "shards", "latents")
    for sample in read_samples(folder):
        yield attribution_of(sample["id"], sample["title"], sample["author"], sample["origin"], sample["licence"])


@dataclass(frozen=True, slots=True, kw_only=True)
class _Packing:
    """How source images become samples."""

    source: Path
    captions: Mapping[str, str]
    uncaptioned: set[str]
    collection: Collection
    skip_broken: bool

    def samples(self, images: Sequence[SourceImage], counts: Counter[str]) -> Iterator[dict[str, Any]]:
        """A sample per image; those left out are counted."""
        for image in images:
            require_trainable(image.licence, self.collection, f"'{image.id}' ({image.file})")
            if image.id in self.uncaptioned:
                counts["skipped_without_caption"] += 1
                continue
            try:
                content = read_image_bytes(self.source / image.file)
                width, height = decode_image(content, image.file).size
            except BrokenImageError:
                if not self.skip_broken:
                    raise
                counts["skipped_broken"] += 1
                continue
            yield {
                "id": image.id,
                "image": content,
                "caption": self._caption(image),
                "licence": image.licence,
                "author": image.author,
                "origin": image.origin,
                "title": image.title,
                "width": width,
                "height": height,
            }

    def _caption(self, image: SourceImage) -> str:
        if image.id not in self.captions:
            raise MissingCaptionError(
                f"The image '{image.id}' ({image.file}) has no caption: caption the split again into a new folder."
            )
        return self.captions[image.id]


def _pack_into(folder: Path, split: Path, packing: _Packing, images_per_shard: int) -> Made:
    totals = read_manifest(split).counts
    collection = packing.collection
    expected = sum(totals[name] for name in collection.splits)
    if not expected:
        raise EmptyCollectionError(
            f"{split} holds no image for the {collection} collection: nothing can be trained on it."
        )
    names: list[str] = []
    with progress(f"Packing shards ({collection})", expected) as tick:
        for name in collection.splits:
            for number, images in enumerate(batches(read_split(split, name), images_per_shard)):
                names.append(f"{name}-{number:06}")
                counts: Counter[str] = Counter(skipped_broken=0, skipped_without_caption=0)
                write_partition(folder, names[-1], COLUMNS, packing.samples(images, counts), counts)
                tick(len(images))
    merged = merge_partitions(folder, names, COLUMNS)
    assert merged.total() == expected, f"{expected} images were to be packed, and {dict(merged)} are accounted for"
    return Made(
        counts={"images": merged.pop("samples"), **merged, "partitions": len(names)},
        details={"columns": COLUMNS, "index_sha256": index_hash(folder)},
    )
