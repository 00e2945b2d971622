"""Sentences as vectors, to tell which of several choices an answer in free words means.

In: sentences. Out: L2-normalised vectors, the mean over a sentence's tokens; or the choice nearest to an answer.
Source: Reimers & Gurevych (2019), arXiv:1908.10084; "all-mpnet-base-v2", which TIFA's authors use.
"""

from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from transformers import AutoModel, AutoTokenizer

from evaluation.features.batches import Bench
from evaluation.metrics.base import Weights
from evaluation.scorers.pretrained import find_model, load_model, load_part
from evaluation.weights import Located

WHAT = "a sentence encoder"
MPNET = Weights(source="sentence-transformers/all-mpnet-base-v2", revision="e8c3b32edf5434bc2275fc9bab85f82640a19130")


def open_sentences(source: str, revision: str | None, bench: Bench) -> "SentenceEncoder":
    """The encoder `source`, a folder or a hub id of an MPNet or a BERT.

    Raises MissingWeightsError, NotWeightsError and DamagedWeightsError.
    """
    located, _ = find_model(source, revision, kinds=("mpnet", "bert"), what=WHAT)
    model = load_model(AutoModel, located, what=WHAT, device=bench.device, unused="pooler.")
    tokenizer = load_part(AutoTokenizer, located, what=WHAT)
    return SentenceEncoder(model=model, tokenizer=tokenizer, located=located, bench=bench)


class SentenceEncoder:
    """An opened sentence encoder."""

    def __init__(self, *, model: Any, tokenizer: Any, located: Located, bench: Bench) -> None:
        """Take the opened parts; `open_sentences` opens them."""
        self._model = model
        self._tokenizer = tokenizer
        self._bench = bench
        self.located = located
        # MPNet counts its places from 2, so that two of them hold no token.
        self._longest = min(tokenizer.model_max_length, model.config.max_position_embeddings - 2)
        self._known: dict[tuple[str, tuple[str, ...]], str] = {}

    def encode(self, sentences: Sequence[str]) -> Float[Tensor, "sentences features"]:
        """A unit vector for each of `sentences`, the mean over its tokens."""
        words = self._tokenizer(
            list(sentences), padding=True, truncation=True, max_length=self._longest, return_tensors="pt"
        ).to(self._bench.device)
        with self._bench.computing():
            tokens = self._model(**words).last_hidden_state.float()
            mask = words["attention_mask"][:, :, None].float()
            means = (tokens * mask).sum(dim=1) / mask.sum(dim=1).clamp(min=1e-9)
            unit: Float[Tensor, "sentences features"] = torch.nn.functional.normalize(means).cpu()
        return unit

    def nearest(self, answer: str, choices: tuple[str, ...]) -> str:
        """The one of `choices` that is most like `answer`, the first of those that are equally like it."""
        asked = (answer, choices)
        if asked not in self._known:
            vectors = self.encode([answer, *choices])
            self._known[asked] = choices[int(torch.argmax(vectors[1:] @ vectors[0]))]
        return self._known[asked]
