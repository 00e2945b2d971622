"""The stage that computes latents and text embeddings once, so that training need not.

In: a shard folder and a base. Out: a shard folder of the same partitions with columns id, caption, latents, text and
the provenance of every image; beside it empty_text.npy, the embedding of "", for caption dropout while training.
Latents are scaled exactly once, here, and the manifest says so. No caption is dropped here: a caption dropped at
this point would stay dropped in every epoch. Source: supplement D of CommonCanvas (arXiv:2310.16825), "precomputing
latents"; "short side to the target, centre square" is its crop.
"""

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float32
from torch import Tensor

from prompts.console import progress
from prompts.errors import CanvasError
from training.batching import batches
from training.decoding import decode_image
from training.devices import choose_device, choose_dtype
from training.frozen import FrozenBase, find_base, image_to_pixels, posterior_noise
from training.licences import Collection
from training.mds import index_hash, merge_partitions, partition_names, read_samples, write_partition
from training.models import ModelFolder
from training.shards import require_trainable
from training.stage import Made, Stage, StageResult, read_manifest, require_stage, run_stage

EMPTY_TEXT = "empty_text.npy"
_PROVENANCE = ("licence", "author", "origin", "title")


class LatentsSettingsError(CanvasError):
    """A setting of the latents stage that is not one of the possible ones."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LatentsSettings:
    """What decides the latents. `storage` is the dtype on disk, `precision` the one computed in.

    `posterior` is "mean", or "sample" drawn with `seed` per image. float16 halves the disk; only float32 gives the loss
    that online encoding gives.
    """

    size_px: int
    storage: str = "float32"
    precision: str = "fp32"
    posterior: str = "mean"
    seed: int = 0


def precompute_latents(
    shards: Path,
    out: Path,
    *,
    base: str,
    settings: LatentsSettings,
    now: datetime,
    revision: str = "",
    device: str = "auto",
    batch_size: int = 32,
) -> StageResult:
    """Encode every image and caption of a shard folder by the frozen parts of `base`, a folder or a hub id.

    Device and batch size do not belong to the settings (the precision does), so an interrupted run may go on with
    others.
    Raises LatentsSettingsError, ModelNotFoundError, BaseError, DeviceError, ForbiddenLicenceError and the errors of
    `run_stage`.
    """
    _require_settings(settings)
    collection = Collection(require_stage(shards, "shards").settings["licence_split"])
    folder_of_base = find_base(base, revision=revision)
    chosen = choose_device(device)
    dtype = choose_dtype(settings.precision, chosen)
    precision = str(dtype).removeprefix("torch.")
    stage = Stage(
        name="latents",
        out=out,
        inputs={"shards": shards, "base": folder_of_base.sha256},
        settings={**asdict(settings), "precision": precision, "licence_split": str(collection)},
    )

    def work(folder: Path) -> Made:
        frozen = FrozenBase(folder_of_base.path, device=chosen, dtype=dtype)
        frozen.require_size(settings.size_px)
        encoding = _Encoding(frozen, settings, collection)
        made = _encode_into(folder, shards, encoding, batch_size)
        return Made(counts=made.counts, details={**made.details, **_details(folder_of_base, encoding, chosen)})

    return run_stage(stage, work, now=now)


class _Encoding:
    """How samples of images become samples of latents."""

    def __init__(self, frozen: FrozenBase, settings: LatentsSettings, collection: Collection) -> None:
        self.frozen, self.settings = frozen, settings
        self._collection = collection
        self._pool = ThreadPoolExecutor(max_workers=os.cpu_count())
        self.empty_text: Float32[Tensor, "tokens width"] = frozen.encode_captions([""])[0]
        blank = torch.zeros(1, 3, settings.size_px, settings.size_px)
        c, h, w = frozen.encode_images(blank)[0].shape
        self.latent_shape, self.text_shape = (c, h, w), tuple(self.empty_text.shape)

    @property
    def columns(self) -> dict[str, str]:
        """The columns of the latents' shards, with the arrays' shapes."""
        latents, text = (",".join(map(str, shape)) for shape in (self.latent_shape, self.text_shape))
        return {
            "id": "str",
            "caption": "str",
            "latents": f"ndarray:{self.settings.storage}:{latents}",
            "text": f"ndarray:{self.settings.storage}:{text}",
            **dict.fromkeys(_PROVENANCE, "str"),
        }

    def encoded(self, samples: Sequence[dict[str, Any]], counts: Counter[str]) -> Iterator[dict[str, Any]]:
        """The samples with latents and text in place of the image; enlarged images and cut captions are counted."""
        for sample in samples:
            require_trainable(sample["licence"], self._collection, f"'{sample['id']}'")
            counts["enlarged"] += min(sample["width"], sample["height"]) < self.settings.size_px
            counts["captions_cut"] += self.frozen.is_cut(sample["caption"])
        pixels = torch.stack(list(self._pool.map(self._pixels, samples)))
        latents = self.frozen.encode_images(pixels, noise=self._noise(samples))
        text = self.frozen.encode_captions([sample["caption"] for sample in samples])
        for sample, latent, embedding in zip(samples, latents, text, strict=True):
            yield {
                "id": sample["id"],
                "caption": sample["caption"],
                "latents": latent.numpy().astype(self.settings.storage),
                "text": embedding.numpy().astype(self.settings.storage),
                **{key: sample[key] for key in _PROVENANCE},
            }

    def _pixels(self, sample: dict[str, Any]) -> Tensor:
        return image_to_pixels(decode_image(sample["image"], f"of id '{sample['id']}'"), self.settings.size_px)

    def _noise(self, samples: Sequence[dict[str, Any]]) -> Tensor | None:
        if self.settings.posterior == "mean":
            return None
        return torch.stack([posterior_noise(sample["id"], self.settings.seed, self.latent_shape) for sample in samples])


def _encode_into(folder: Path, shards: Path, encoding: _Encoding, batch_size: int) -> Made:
    beside = folder / f".{EMPTY_TEXT}.writing"
    with beside.open("wb") as file:
        np.save(file, encoding.empty_text.numpy())
    beside.replace(folder / EMPTY_TEXT)
    names = partition_names(shards)
    total = read_manifest(shards).counts["images"]
    with progress("Computing latents", total) as tick:
        for name in names:
            counts: Counter[str] = Counter(enlarged=0, captions_cut=0)

            def samples(name: str = name, counts: Counter[str] = counts) -> Iterator[dict[str, Any]]:
                for group in batches(read_samples(shards / name), batch_size):
                    yield from encoding.encoded(group, counts)
                    tick(len(group))

            write_partition(folder, name, encoding.columns, samples(), counts)
    merged = merge_partitions(folder, names, encoding.columns)
    assert merged["samples"] == total, f"{total} images were to be encoded, and {merged['samples']} were"
    return Made(
        counts={"images": merged.pop("samples"), **merged, "partitions": len(names)},
        details={"columns": encoding.columns, "index_sha256": index_hash(folder)},
    )


def _details(base: ModelFolder, encoding: _Encoding, device: torch.device) -> dict[str, Any]:
    frozen, settings = encoding.frozen, encoding.settings
    return {
        "latents_scaled": True,
        "scaling_factor": frozen.scaling_factor,
        "shift_factor": frozen.shift_factor,
        "dtype": settings.storage,
        "resolution_px": settings.size_px,
        "latents_shape": list(encoding.latent_shape),
        "text_shape": list(encoding.text_shape),
        "base": base.name,
        "base_sha256": base.sha256,
        "autoencoder": type(frozen.vae).__name__,
        "device": device.type,
    }


def _require_settings(settings: LatentsSettings) -> None:
    for name, possible in (("storage", ("float32", "float16")), ("posterior", ("mean", "sample"))):
        if (value := getattr(settings, name)) not in possible:
            raise LatentsSettingsError(f"There is no {name} '{value}' for latents: name {' or '.join(possible)}.")
