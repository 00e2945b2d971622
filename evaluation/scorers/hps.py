"""HPSv2 and HPSv2.1: how much people prefer an image for a prompt, by a CLIP ViT-H/14 trained on their choices.

In: images and their prompts. Out: the raw cosine, about 0.2 to 0.35; the other habit multiplies it by 100. The two
versions are two checkpoints of the same network, and their values do not compare.
Images are resized by their longest side and padded with black to a square, as the authors do, so that nothing is cut
off; a square image is not padded. Theirs runs in half precision, this in float32.
Source: Wu et al. (2023), arXiv:2306.09341; https://github.com/tgxs002/HPSv2.
"""

from collections.abc import Callable, Sequence
from typing import Any

import open_clip
import torch
from jaxtyping import Float
from open_clip.transform import PreprocessCfg, image_transform_v2
from PIL import Image
from torch import Tensor

from evaluation.features.base import with_hash
from evaluation.features.batches import bench
from evaluation.scorers.base import ScorerSettings, Scores
from evaluation.scorers.batches import judge_all
from evaluation.scorers.checkpoints import check_whole, described, load_whole, read_checkpoint
from evaluation.weights import DamagedWeightsError, LocatedFile, locate_file, read_json, reason

ARCHITECTURE = "ViT-H-14"
# In a checkpoint's folder, in open_clip's own layout, this describes a network of another size.
CONFIG = "open_clip_config.json"


def open_v2(source: str, revision: str | None, settings: ScorerSettings) -> "HpsScorer":
    """HPSv2 from `source`: a file, a folder or a hub id that holds HPS_v2_compressed.pt, or an address.

    Raises MissingWeightsError, NotWeightsError and DamagedWeightsError.
    """
    return _open(source, revision, settings, version="v2", filename="HPS_v2_compressed.pt")


def open_v2_1(source: str, revision: str | None, settings: ScorerSettings) -> "HpsScorer":
    """HPSv2.1, like `open_v2`, from HPS_v2.1_compressed.pt."""
    return _open(source, revision, settings, version="v2.1", filename="HPS_v2.1_compressed.pt")


class HpsScorer:
    """An opened HPS model; satisfies Scorer."""

    def __init__(self, *, model: open_clip.CLIP, located: LocatedFile, version: str, settings: ScorerSettings) -> None:
        """Take the opened parts; `open_v2` and `open_v2_1` open them."""
        self._bench = bench(settings)
        self._model = model.to(self._bench.device).eval()
        self._located = located
        self._version = version
        self._longest = int(model.context_length)
        self._tokenizer = open_clip.SimpleTokenizer(context_length=self._longest)
        size = model.visual.image_size
        self._image_px = int(size if isinstance(size, int) else size[0])
        self._preprocessing = PreprocessCfg(size=self._image_px, resize_mode="longest", fill_color=0)
        self._transform = image_transform_v2(self._preprocessing, is_train=False)

    @property
    def details(self) -> dict[str, Any]:
        """Checkpoint, version and preprocessing, as JSON values."""
        details = {
            "scorer": "hps",
            **described(self._located),
            "version": self._version,
            "value": "raw cosine, not multiplied by 100",
            "precision": self._bench.dtype,
            "preprocessing": {
                "pixels": "uint8 RGB",
                "resize": {"longest_edge": self._image_px},
                "filter": self._preprocessing.interpolation,
                "pad": "black, to a square",
                "mean": list(self._preprocessing.mean),
                "std": list(self._preprocessing.std),
            },
            "text_tokens": self._longest,
        }
        return with_hash(details, "open_clip_torch", "torchvision")

    def score(
        self, images: Sequence[Image.Image], texts: Sequence[str], on_done: Callable[[int], None] = lambda done: None
    ) -> Scores:
        """The cosine of each image with its prompt. Raises MismatchedTextsError and PixelsError."""
        values = judge_all(
            self._bench,
            images,
            texts,
            prepare=lambda image: self._transform(image).numpy(),
            judge=self._judge,
            on_done=on_done,
        )
        # The start and the end token take a place each; open_clip keeps both where it cuts.
        cut = sum(len(self._tokenizer.encode(text)) + 2 > self._longest for text in texts)
        return Scores(values=values, truncated=cut)

    def _judge(self, pixels: Float[Tensor, "batch 3 height width"], texts: list[str]) -> Float[Tensor, " batch"]:
        seen = self._model.encode_image(pixels, normalize=True)
        meant = self._model.encode_text(self._tokenizer(texts).to(pixels.device), normalize=True)
        values: Float[Tensor, " batch"] = (seen.float() * meant.float()).sum(dim=1)
        return values


def _open(source: str, revision: str | None, settings: ScorerSettings, *, version: str, filename: str) -> HpsScorer:
    what = f"the checkpoint of HPS{version}"
    located = locate_file(source, revision=revision, what=what, filename=filename, option="--weights")
    state = read_checkpoint(located, what)
    config = _config(located, what)
    with torch.device("meta"):  # a wrong file is told before gigabytes are taken for the right one
        check_whole(_network(config, located), state, located=located, what=what)
    model = _network(config, located)
    load_whole(model, state, located=located, what=what)
    return HpsScorer(model=model, located=located, version=version, settings=settings)


def _config(located: LocatedFile, what: str) -> Any:
    described_at = located.path.with_name(CONFIG)
    if described_at.is_file():
        return read_json(described_at, what).get("model_cfg")
    return open_clip.get_model_config(ARCHITECTURE)


def _network(config: Any, located: LocatedFile) -> open_clip.CLIP:
    try:
        return open_clip.CLIP(**config)
    except (TypeError, ValueError, AssertionError) as error:
        raise DamagedWeightsError(
            f"{located.path.with_name(CONFIG)} describes no network of open_clip ({reason(error)}): remove it for "
            f"{ARCHITECTURE}."
        ) from error
