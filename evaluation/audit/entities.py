"""Names that stand in no list: a tagger reads captions and marks the words that name a person or an organisation.

In: texts, and a network for token classification in transformers' layout, from a folder or the hub. Out: for each text
the names it holds, with the network's certainty. Published taggers were trained on news: in captions they mark less,
and a cased one marks next to nothing where all letters are small. What they say is a second look beside the word lists
of `prompts.name_scan`, and no count in its own right.
Source: Devlin et al. (2019), arXiv:1810.04805; Tjong Kim Sang & De Meulder (2003), "CoNLL-2003 shared task".
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import torch
from transformers import AutoModelForTokenClassification, AutoTokenizer, TokenClassificationPipeline
from transformers.utils import logging as transformers_logging

from evaluation.devices import choose_device
from evaluation.metrics.base import Weights
from evaluation.weights import (
    DamagedWeightsError,
    Located,
    NotWeightsError,
    hash_of_files,
    locate,
    read_json,
    reason,
    weight_files,
)

#: Published taggers by a name for the command line; their labels are those of CoNLL-2003.
TAGGERS = {"bert_ner": Weights(source="dslim/bert-base-NER", revision="d1a3e8f13f8c3566299d95fcfc9a8d2382a9affc")}
#: A convention, written into every result: what the network is less sure of is left out.
LEAST_SCORE = 0.9
_WHAT = "a tagger of names"


class EntityKind(StrEnum):
    """What a name names."""

    PERSON = "person"
    ORGANISATION = "organisation"


_LABELS = {
    "PER": EntityKind.PERSON,
    "PERSON": EntityKind.PERSON,
    "ORG": EntityKind.ORGANISATION,
    "ORGANIZATION": EntityKind.ORGANISATION,
    "ORGANISATION": EntityKind.ORGANISATION,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Entity:
    """A name in a text, as it stands there; `score` is the tagger's certainty in [0, 1]."""

    kind: EntityKind
    words: str
    score: float


def open_tagger(
    weights: Weights, *, device: str = "auto", batch_size: int = 32, least_score: float = LEAST_SCORE
) -> "EntityTagger":
    """The tagger in a folder or on the hub.

    Raises MissingWeightsError, NotWeightsError (no token classification, or no label for people or organisations),
    DamagedWeightsError and DeviceError.
    """
    located = locate(weights.source, marker="config.json", what=_WHAT, revision=weights.revision)
    config = read_json(located.marker, _WHAT)
    labels = {str(label) for label in config.get("id2label", {}).values()}
    if not any(str(one).endswith("ForTokenClassification") for one in config.get("architectures") or []):
        raise NotWeightsError(f"{located} is not {_WHAT}: its config.json names no network for token classification.")
    if not any(_kind(label) for label in labels):
        raise NotWeightsError(
            f"{located} has no label for people or organisations (PER, ORG): it has {', '.join(sorted(labels))}."
        )
    at = choose_device(device)
    where: Any = {"revision": located.revision or "main", "local_files_only": located.offline}
    quiet = transformers_logging.get_verbosity()
    transformers_logging.set_verbosity(logging.ERROR)
    try:
        model = AutoModelForTokenClassification.from_pretrained(located.source, dtype=torch.float32, **where)
        tokenizer = AutoTokenizer.from_pretrained(located.source, use_fast=True, **where)
    except Exception as error:  # what loading raises comes from the files, whichever library met them first
        raise DamagedWeightsError(
            f"The tagger {located} cannot be loaded ({reason(error)}): download or save it again."
        ) from error
    finally:
        transformers_logging.set_verbosity(quiet)
    pipeline = TokenClassificationPipeline(
        model=model.eval(), tokenizer=tokenizer, device=at, aggregation_strategy="first", batch_size=batch_size
    )
    return EntityTagger(pipeline=pipeline, located=located, least_score=least_score, batch_size=batch_size)


class EntityTagger:
    """An opened tagger."""

    def __init__(self, *, pipeline: Any, located: Located, least_score: float, batch_size: int) -> None:
        """Take the opened parts; `open_tagger` opens them."""
        self._pipeline = pipeline
        self._located = located
        self._least_score = least_score
        self._batch_size = batch_size

    @property
    def details(self) -> dict[str, Any]:
        """Model, revision, weights' hash and the least score that counts, as JSON values."""
        return {
            "tagger": type(self._pipeline.model).__name__,
            "model": self._located.source,
            "revision": self._located.revision,
            "weights_sha256": hash_of_files(weight_files(self._located.marker.parent)),
            "least_score": self._least_score,
            "cased": self.cased,
        }

    @property
    def cased(self) -> bool:
        """Whether it tells capitals from small letters."""
        tokenizer = self._pipeline.tokenizer
        return bool(tokenizer.tokenize("Snoopy") != tokenizer.tokenize("snoopy"))

    def find(
        self, texts: Sequence[str], on_done: Callable[[int], None] = lambda done: None
    ) -> list[tuple[Entity, ...]]:
        """The names of people and organisations in each text, in the order in which they stand there."""
        found: list[tuple[Entity, ...]] = []
        for start in range(0, len(texts), self._batch_size):
            batch = texts[start : start + self._batch_size]
            asked = [text for text in batch if text.strip()]
            with torch.inference_mode():
                told = iter(self._pipeline(asked) if asked else [])
            found += [self._entities(text, next(told)) if text.strip() else () for text in batch]
            on_done(len(batch))
        return found

    def _entities(self, text: str, spans: Sequence[dict[str, Any]]) -> tuple[Entity, ...]:
        return tuple(
            Entity(kind=kind, words=text[span["start"] : span["end"]], score=float(span["score"]))
            for span in spans
            if (kind := _kind(span["entity_group"])) is not None and span["score"] >= self._least_score
        )


def _kind(label: str) -> EntityKind | None:
    """The kind behind a label with or without its place in a name ("B-PER", "PER")."""
    return _LABELS.get(label.upper().removeprefix("B-").removeprefix("I-"))
