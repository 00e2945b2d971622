"""Answering questions about images, by a visual question answering model of transformers.

In: images and questions about them. Out: an answer in the model's own words for each question.
BLIP answers the question as it stands, greedily; BLIP-2 is shown the choices and searches with five beams: as TIFA's
authors asked both. Source: Li et al. (2022), arXiv:2201.12086; Li et al. (2023), arXiv:2301.12597.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, Protocol, runtime_checkable

import torch
from jaxtyping import Float
from PIL import Image
from torch import Tensor
from transformers import (
    AutoTokenizer,
    BertTokenizerFast,
    Blip2ForConditionalGeneration,
    BlipForQuestionAnswering,
    BlipImageProcessor,
)

from evaluation.features.batches import Bench
from evaluation.scorers.pretrained import find_model, load_model, load_part
from evaluation.scorers.tifa_questions import Question
from evaluation.weights import Located, NotWeightsError

WHAT = "a model that answers questions about images"


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A question about the image of this number."""

    image: int
    question: Question


@runtime_checkable
class Answerer(Protocol):
    """Answers questions; what it says does not depend on which are asked together."""

    @property
    def located(self) -> Located:
        """Where its weights are."""

    @property
    def manner(self) -> str:
        """How it is asked and how it finds its words."""

    @property
    def preprocessing(self) -> dict[str, Any]:
        """What happens to an image's pixels, as JSON values."""

    def answers(self, images: Sequence[Image.Image], asked: Sequence[Asked]) -> list[str]:
        """One answer to each of `asked`, about 8-bit RGB `images`."""


def open_answerer(source: str, revision: str | None, bench: Bench) -> Answerer:
    """BLIP or BLIP-2, whichever the folder or hub id `source` holds.

    Raises MissingWeightsError, NotWeightsError (another model, or one that captions and cannot answer) and
    DamagedWeightsError.
    """
    located, kind = find_model(source, revision, kinds=("blip", "blip-2"), what=WHAT)
    processor = load_part(BlipImageProcessor, located, what=WHAT)
    if kind == "blip":
        model = load_model(BlipForQuestionAnswering, located, what=WHAT, device=bench.device)
        return BlipAnswerer(
            model=model,
            processor=processor,
            tokenizer=load_part(BertTokenizerFast, located, what=WHAT),
            located=located,
            bench=bench,
        )
    model = load_model(Blip2ForConditionalGeneration, located, what=WHAT, device=bench.device)
    if model.config.image_token_index is None:
        raise NotWeightsError(
            f"{located} does not say which token stands for the image (image_token_index in config.json), so the model "
            "would answer without looking: take a newer revision of it."
        )
    tokenizer = load_part(AutoTokenizer, located, what=WHAT)
    return Blip2Answerer(model=model, processor=processor, tokenizer=tokenizer, located=located, bench=bench)


class BlipAnswerer:
    """BLIP's question answering; satisfies Answerer. An image is looked at once, however much is asked about it."""

    manner = "the question alone, greedy decoding, at most 50 tokens"

    def __init__(self, *, model: Any, processor: Any, tokenizer: Any, located: Located, bench: Bench) -> None:
        """Take the opened parts; `open_answerer` opens them."""
        self._model = model
        self._processor = processor
        self._tokenizer = tokenizer
        self._bench = bench
        self.located = located

    @property
    def preprocessing(self) -> dict[str, Any]:
        """What happens to an image's pixels, as JSON values."""
        return _preprocessing(self._processor)

    def answers(self, images: Sequence[Image.Image], asked: Sequence[Asked]) -> list[str]:
        """One answer to each of `asked`."""
        pixels = _pixels(self._processor, images, self._bench)
        tokens = [self._tokenizer(each.question.question)["input_ids"] for each in asked]
        found = [""] * len(asked)
        with self._bench.computing():
            seen = self._model.vision_model(pixel_values=pixels).last_hidden_state
            for places in _of_one_length(tokens, self._bench.batch_size):
                answers = self._answers(seen[[asked[place].image for place in places]], [tokens[p] for p in places])
                for place, answer in zip(places, answers, strict=True):
                    found[place] = answer
        return found

    def _answers(self, seen: Float[Tensor, "questions patches features"], tokens: list[list[int]]) -> list[str]:
        words = torch.tensor(tokens, device=seen.device)
        read = self._model.text_encoder(
            input_ids=words, attention_mask=torch.ones_like(words), encoder_hidden_states=seen
        ).last_hidden_state
        text = self._model.config.text_config
        said = self._model.text_decoder.generate(
            input_ids=torch.full((len(words), 1), self._model.decoder_start_token_id, device=seen.device),
            eos_token_id=text.sep_token_id,
            pad_token_id=text.pad_token_id,
            encoder_hidden_states=read,
            max_length=50,
            num_beams=1,
            do_sample=False,
        )
        return [answer.strip() for answer in self._tokenizer.batch_decode(said, skip_special_tokens=True)]


class Blip2Answerer:
    """BLIP-2's language model behind its image encoder; satisfies Answerer."""

    manner = "the question and its choices, five beams, at most 30 tokens"

    def __init__(self, *, model: Any, processor: Any, tokenizer: Any, located: Located, bench: Bench) -> None:
        """Take the opened parts; `open_answerer` opens them."""
        self._model = model
        self._processor = processor
        self._tokenizer = tokenizer
        self._bench = bench
        self.located = located

    @property
    def preprocessing(self) -> dict[str, Any]:
        """What happens to an image's pixels, as JSON values."""
        return _preprocessing(self._processor)

    def answers(self, images: Sequence[Image.Image], asked: Sequence[Asked]) -> list[str]:
        """One answer to each of `asked`."""
        pixels = _pixels(self._processor, images, self._bench)
        tokens = [self._tokenizer(_multiple_choice(each.question))["input_ids"] for each in asked]
        found = [""] * len(asked)
        with self._bench.computing():
            for places in _of_one_length(tokens, self._bench.batch_size):
                answers = self._answers(pixels[[asked[place].image for place in places]], [tokens[p] for p in places])
                for place, answer in zip(places, answers, strict=True):
                    found[place] = answer
        return found

    def _answers(self, pixels: Float[Tensor, "questions 3 height width"], tokens: list[list[int]]) -> list[str]:
        config = self._model.config
        # The places where the image's features go come first, before the sentence's own first token.
        image = [config.image_token_index] * config.num_query_tokens
        words = torch.tensor([[*image, *question] for question in tokens], device=pixels.device)
        said = self._model.generate(
            pixel_values=pixels,
            input_ids=words,
            attention_mask=torch.ones_like(words),
            num_beams=5,
            do_sample=False,
            max_new_tokens=30,
        )
        if not self._model.language_model.config.is_encoder_decoder:
            said = said[:, words.shape[1] :]
        return [text.strip() for text in self._tokenizer.batch_decode(said, skip_special_tokens=True)]


def _of_one_length(tokens: Sequence[Sequence[int]], batch_size: int) -> Iterator[list[int]]:
    """Batches of the places in `tokens` that hold equally many, so that nothing is padded.

    transformers' BLIP reads a shorter question's padding (its cross-attention drops the mask), so that an answer would
    depend on the questions beside it.
    """
    ordered = sorted(range(len(tokens)), key=lambda place: len(tokens[place]))
    for _, group in groupby(ordered, key=lambda place: len(tokens[place])):
        places = list(group)
        for start in range(0, len(places), batch_size):
            yield places[start : start + batch_size]


def _multiple_choice(question: Question) -> str:
    choices = ", ".join(question.choices)
    return f"Answer the multiple-choice question. Question: {question.question} Choices: {choices} Answer:"


def _pixels(processor: Any, images: Sequence[Image.Image], bench: Bench) -> Float[Tensor, "images 3 height width"]:
    pixels: Float[Tensor, "images 3 height width"] = processor(images=list(images), return_tensors="pt")["pixel_values"]
    return pixels.to(bench.device)


def _preprocessing(processor: Any) -> dict[str, Any]:
    return {
        "pixels": "uint8 RGB",
        "resize": processor.size,
        "filter": Image.Resampling(processor.resample).name.lower(),
        "mean": processor.image_mean,
        "std": processor.image_std,
    }
