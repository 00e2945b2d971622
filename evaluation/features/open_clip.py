"""CLIP features of the models that open_clip knows: images and texts in one space, float32, not normalised.

A model is named as open_clip names it, architecture and tag ("ViT-B-32/openai"), or is a folder or a hub id with an
open_clip_config.json. Pictures are resized and cropped by the model's own settings on their 8-bit pixels; texts that
are too long are cut so that the end token stays.
Sources: Radford et al. (2021), arXiv:2103.00020; Ilharco et al., open_clip, doi:10.5281/zenodo.5143773.
"""

import importlib
import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32
from PIL import Image

from evaluation.features.base import ExtractorSettings, TextFeatures, with_hash
from evaluation.features.batches import Bench, bench
from evaluation.weights import (
    DamagedWeightsError,
    MissingWeightsError,
    NotWeightsError,
    WeightsError,
    hash_of_files,
    locate,
    locate_file,
    read_json,
    reason,
    weight_files,
)

_CONFIG = "open_clip_config.json"
_WHAT = "an open_clip model"
# What a repository on the hub may call its weights, the one that is loaded first, and the files of its tokenizer.
_HUB_WEIGHTS = ("open_clip_model.safetensors", "open_clip_pytorch_model.safetensors", "open_clip_pytorch_model.bin")
_TOKENIZER_FILES = ("tokenizer*", "vocab*", "merges*", "special_tokens_map.json", "*.model", "added_tokens.json")


class BrokenLibraryError(WeightsError):
    """The open_clip library is there and cannot be used."""


def open_extractor(source: str, revision: str | None, settings: ExtractorSettings) -> "OpenClipFeatures":
    """The model `source`: an architecture and a tag, a folder, or a hub id with `revision`.

    Raises MissingWeightsError, NotWeightsError, DamagedWeightsError, and BrokenLibraryError where open_clip lacks its
    vocabulary.
    """
    library = _library()
    chosen = choose(library, source.removeprefix("hf-hub:"), revision)
    at = bench(settings)
    try:
        with _quietly():
            model = library.create_model(chosen.name, pretrained_text=False, load_weights=False, **chosen.options)
            library.load_checkpoint(model, str(chosen.weights))
            tokenizer = library.get_tokenizer(chosen.name)
    except Exception as error:  # what loading raises comes from the files, whichever library met them first
        raise DamagedWeightsError(
            f"The open_clip model {source} cannot be loaded ({reason(error)}): download or save it again, whole with "
            "its tokenizer."
        ) from error
    return OpenClipFeatures(model=model.to(at.device).eval(), tokenizer=tokenizer, chosen=chosen, at=at)


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """A model as open_clip is to make it: its name there, more options, and the file with its weights."""

    name: str
    weights: Path
    source: str
    revision: str | None
    options: dict[str, Any]


class OpenClipFeatures:
    """An opened open_clip model; satisfies Extractor."""

    def __init__(self, *, model: Any, tokenizer: Any, chosen: Chosen, at: Bench) -> None:
        """Take the opened parts; `open_extractor` opens them."""
        from open_clip.transform import PreprocessCfg, image_transform_v2

        self._model = model
        self._tokenizer = tokenizer
        self._chosen = chosen
        self._bench = at
        self._preprocessing = model.visual.preprocess_cfg
        self._prepare = image_transform_v2(PreprocessCfg(**self._preprocessing), is_train=False)
        self._longest = int(tokenizer.context_length)
        with at.computing():
            self._width = int(model.encode_text(tokenizer([""]).to(at.device)).shape[1])

    @property
    def details(self) -> dict[str, Any]:
        """Model, revision, weights' hash and preprocessing, as JSON values."""
        way = self._preprocessing
        details = {
            "extractor": "open_clip",
            "model": self._chosen.source,
            "revision": self._chosen.revision,
            "weights_sha256": hash_of_files([self._chosen.weights]),
            "features": "projected, not normalised, float32",
            "precision": self._bench.dtype,
            "preprocessing": {
                "pixels": "uint8 RGB",
                "resize": {"size": way["size"], "fit": way["resize_mode"]},
                "filter": way["interpolation"],
                "antialias": True,
                "crop": None if way["resize_mode"] == "squash" else way["size"],
                "mean": way["mean"],
                "std": way["std"],
            },
            "text_tokens": self._longest,
        }
        return with_hash(details, "open_clip_torch", "torchvision")

    def images(
        self, images: Sequence[Image.Image], on_done: Callable[[int], None] = lambda done: None
    ) -> Float32[np.ndarray, "images features"]:
        """The features of `images`, not normalised. Raises PixelsError for anything but decoded 8-bit pictures."""
        return self._bench.embed(
            images,
            prepare=lambda image: self._prepare(image).numpy(),
            embed=self._model.encode_image,
            width=self._width,
            on_done=on_done,
        )

    def texts(self, texts: Sequence[str]) -> TextFeatures:
        """The features of `texts`, not normalised, and how many of them were cut."""
        found = [np.empty((0, self._width), dtype=np.float32)]
        for start in range(0, len(texts), self._bench.batch_size):
            tokens = self._tokenizer(list(texts[start : start + self._bench.batch_size])).to(self._bench.device)
            with self._bench.computing():
                found.append(self._model.encode_text(tokens).float().cpu().numpy())
        truncated = sum(self._tokens(text) > self._longest for text in texts)
        return TextFeatures(features=np.concatenate(found), truncated=truncated)

    def _tokens(self, text: str) -> int:
        """How many tokens `text` has with its start and end, before anything is cut."""
        inner = getattr(self._tokenizer, "tokenizer", None)
        if inner is not None:
            return len(inner(self._tokenizer.clean_fn(text), truncation=False, verbose=False)["input_ids"])
        return len(self._tokenizer.encode(text)) + 2


def _library() -> Any:
    """The open_clip library, which reads its vocabulary as it is imported."""
    try:
        return importlib.import_module("open_clip")
    except OSError as error:
        raise BrokenLibraryError(
            f"open_clip is installed without one of its files ({reason(error)}): install open_clip_torch again "
            "(pip install --force-reinstall open_clip_torch)."
        ) from error


def choose(library: Any, source: str, revision: str | None) -> Chosen:
    """What `source` names, with its weights on this disk. Raises MissingWeightsError and NotWeightsError."""
    architecture, _, tag = source.rpartition("/")
    if Path(source).expanduser().exists() or architecture not in library.list_models():
        return _from_config(source, revision)
    settings = library.get_pretrained_cfg(architecture, tag)
    if not settings:
        tags = ", ".join(library.list_pretrained_tags_by_model(architecture)) or "none"
        raise MissingWeightsError(f"open_clip knows no weights '{tag}' of {architecture}. Known: {tags}.")
    repository, _, filename = settings.get("hf_hub", "").rpartition("/")
    if repository:
        held = _on_hub(repository, revision, names=(filename,) if filename else _HUB_WEIGHTS)
    else:
        held = locate_file(settings["url"], revision=revision, what=_WHAT, option="--weights")
    return Chosen(
        name=architecture,
        weights=held.path,
        source=source,
        revision=held.revision,
        # The tag, and not the architecture, knows which activation the weights were trained with: open_clip only
        # warns when the two differ, and then makes other features.
        options={
            "force_quick_gelu": bool(settings.get("quick_gelu", False)),
            "force_preprocess_cfg": {
                key: settings[key] for key in ("mean", "std", "interpolation", "resize_mode") if settings.get(key)
            },
        },
    )


def _from_config(source: str, revision: str | None) -> Chosen:
    located = locate(source, marker=_CONFIG, what=_WHAT, revision=revision, option="--weights")
    if "model_cfg" not in read_json(located.marker, _WHAT):
        raise NotWeightsError(f"{located} is not {_WHAT}: its {_CONFIG} holds no 'model_cfg'.")
    folder = located.marker.parent
    if located.revision is None:
        found = weight_files(folder)
        if len(found) != 1:
            raise NotWeightsError(f"{located} is not {_WHAT}: beside {_CONFIG} it holds no one file of weights.")
        weights = found[0]
    else:
        weights = _on_hub(source, located.revision, names=_HUB_WEIGHTS).path
        if not located.offline:
            _fetch_tokenizer(source, located.revision)
    return Chosen(
        # open_clip reads configuration and tokenizer from the folder, the hub's cache among them: nothing moves on.
        name=f"local-dir:{folder}",
        weights=weights,
        source=located.source,
        revision=located.revision,
        options={},
    )


def _on_hub(repository: str, revision: str | None, *, names: tuple[str, ...]) -> Any:
    for name in names[:-1]:
        try:
            return locate_file(repository, revision=revision, what=_WHAT, filename=name, option="--weights")
        except NotWeightsError:
            continue
    return locate_file(repository, revision=revision, what=_WHAT, filename=names[-1], option="--weights")


def _fetch_tokenizer(repository: str, commit: str) -> None:
    from huggingface_hub import errors, snapshot_download

    try:
        snapshot_download(repository, revision=commit, allow_patterns=list(_TOKENIZER_FILES))
    except (OSError, errors.HfHubHTTPError) as error:
        raise MissingWeightsError(
            f"The tokenizer of {repository} cannot be fetched from the hub: {reason(error)}."
        ) from error


@contextmanager
def _quietly() -> Iterator[None]:
    """Without open_clip's notes, which it writes to the root logger: all that matters is raised or in the details."""
    root = logging.getLogger()
    shown = root.level
    root.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        root.setLevel(shown)
