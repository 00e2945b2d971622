"""The aesthetic score: how much people like to look at an image, whatever it was painted from.

In: images; their texts play no part. Out: about 1 to 10, by a linear head over the L2-normalised image features of
OpenAI's CLIP ViT-L/14, trained on the ratings of SAC, Logos and AVA ("sac+logos+ava1-l14-linearMSE").
Source: https://github.com/christophschuhmann/improved-aesthetic-predictor; Schuhmann et al. (2022), arXiv:2210.08402.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from PIL import Image

from evaluation.features.base import with_hash
from evaluation.features.batches import bench
from evaluation.features.clip import ClipFeatures
from evaluation.features.clip import open_extractor as open_clip
from evaluation.metrics.published import CLIP_VIT_L_14
from evaluation.scorers.base import ScorerSettings, Scores, check_pairs
from evaluation.scorers.checkpoints import described, load_whole, read_checkpoint
from evaluation.scorers.linear_head import LinearHead
from evaluation.weights import LocatedFile, NotWeightsError, locate_file

FILENAME = "sac+logos+ava1-l14-linearMSE.pth"
WHAT = "the head of an aesthetic predictor"


def open_scorer(source: str, revision: str | None, settings: ScorerSettings) -> "AestheticScorer":
    """The head `source` (a file, a folder or a hub id that holds it, or an address) over `settings.companion`, a CLIP.

    Raises MissingWeightsError, DamagedWeightsError, and NotWeightsError for another file or a CLIP of another width.
    """
    located = locate_file(source, revision=revision, what=WHAT, filename=FILENAME, option="--weights")
    state = read_checkpoint(located, WHAT)
    first = state.get("layers.0.weight")
    if first is None or first.ndim != 2:
        raise NotWeightsError(f"{located.path} is not {WHAT}: it lacks layers.0.weight.")
    head = LinearHead(int(first.shape[1]))
    load_whole(head, state, located=located, what=WHAT)
    clip = (
        open_clip(settings.companion, None, settings)
        if settings.companion
        else open_clip(CLIP_VIT_L_14.source, CLIP_VIT_L_14.revision, settings)
    )
    width = clip.images([]).shape[1]
    if width != first.shape[1]:
        raise NotWeightsError(
            f"{located.path} reads {first.shape[1]} features and {clip.details['model']} makes {width}: "
            "give the CLIP that the head was trained on as its companion."
        )
    return AestheticScorer(head=head, clip=clip, located=located, settings=settings)


class AestheticScorer:
    """An opened aesthetic predictor; satisfies Scorer."""

    def __init__(self, *, head: LinearHead, clip: ClipFeatures, located: LocatedFile, settings: ScorerSettings) -> None:
        """Take the opened parts; `open_scorer` opens them."""
        self._bench = bench(settings)
        self._head = head.to(self._bench.device).eval()
        self._clip = clip
        self._located = located

    @property
    def details(self) -> dict[str, Any]:
        """Both models and the preprocessing, as JSON values."""
        clip = self._clip.details
        details = {
            "scorer": "aesthetic",
            **described(self._located),
            "value": "linear head over L2-normalised CLIP image features; the text plays no part",
            "precision": self._bench.dtype,
            "clip": {name: clip[name] for name in ("model", "revision", "weights_sha256")},
            "preprocessing": clip["preprocessing"],
        }
        return with_hash(details, "transformers")

    def score(
        self, images: Sequence[Image.Image], texts: Sequence[str], on_done: Callable[[int], None] = lambda done: None
    ) -> Scores:
        """The score of each image. Raises MismatchedTextsError and PixelsError."""
        check_pairs(images, texts)
        features = torch.from_numpy(self._clip.images(images, on_done)).to(self._bench.device)
        with torch.inference_mode():
            values = self._head(torch.nn.functional.normalize(features)).cpu().numpy()
        return Scores(values=values, truncated=0)
