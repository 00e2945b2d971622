"""TIFA: how much of a prompt can be found in its image, by asking a model questions that the prompt answers.

In: images, their prompts, and questions about each prompt. Out: the share of an image's questions that are answered
as the prompt would. An answer that is none of the choices counts as the one most like it in meaning. The benchmark's
number is the mean over images; the accuracy by type of element counts every question once.
Source: Hu et al. (2023), arXiv:2303.11897; their numbers are mostly of mPLUG, which transformers does not have, so
compare only within one model.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from evaluation.features.base import eight_bit, with_hash
from evaluation.features.batches import Bench, bench
from evaluation.scorers.answering import Answerer, Asked, open_answerer
from evaluation.scorers.base import ScorerSettings, Scores, check_pairs
from evaluation.scorers.sentences import MPNET, SentenceEncoder, open_sentences
from evaluation.scorers.tifa_questions import (
    FILENAME,
    TIFA_V1,
    Questions,
    QuestionsError,
    check_asked,
    counted,
    read_questions,
)
from evaluation.weights import ADDRESS, Located, LocatedFile, hash_of_files, locate_file, weight_files


def open_scorer(source: str, revision: str | None, settings: ScorerSettings) -> "TifaScorer":
    """TIFA by the model `source` (BLIP or BLIP-2), with `settings.questions` and the encoder `settings.companion`.

    Raises MissingWeightsError, NotWeightsError, DamagedWeightsError and QuestionsError.
    """
    at = bench(settings)
    asked = _find_questions(settings)
    questions = read_questions(asked.path)
    sentences = (
        open_sentences(settings.companion, None, at)
        if settings.companion
        else open_sentences(MPNET.source, MPNET.revision, at)
    )
    answerer = open_answerer(source, revision, at)
    return TifaScorer(answerer=answerer, sentences=sentences, questions=questions, asked=asked, at=at)


class TifaScorer:
    """Opened models and questions; satisfies Scorer."""

    def __init__(
        self,
        *,
        answerer: Answerer,
        sentences: SentenceEncoder,
        questions: Questions,
        asked: LocatedFile,
        at: Bench,
    ) -> None:
        """Take the opened parts; `open_scorer` opens them."""
        self._answerer = answerer
        self._sentences = sentences
        self._questions = questions
        self._asked = asked
        self._bench = at

    @property
    def details(self) -> dict[str, Any]:
        """Models, questions and preprocessing, as JSON values."""
        details = {
            "scorer": "tifa",
            **_described(self._answerer.located),
            "value": "share of an image's questions answered as its prompt would",
            "asked": self._answerer.manner,
            "precision": self._bench.dtype,
            "sentences": _described(self._sentences.located),
            "questions": {"source": self._asked.source, "sha256": hash_of_files([self._asked.path])},
            "preprocessing": self._answerer.preprocessing,
        }
        return with_hash(details, "transformers")

    def score(
        self, images: Sequence[Image.Image], texts: Sequence[str], on_done: Callable[[int], None] = lambda done: None
    ) -> Scores:
        """The share of right answers about each image; `accuracy_by_type` reads `findings`, over all questions.

        Raises MismatchedTextsError, PixelsError, and NoQuestionsError for a prompt that nothing is asked about. No
        question is cut, so `truncated` is 0.
        """
        check_pairs(images, texts)
        check_asked(self._questions, texts)
        values = np.empty(len(images), dtype=np.float32)
        found: Counter[str] = Counter()
        rgb = [eight_bit(image) for image in images]
        for start in range(0, len(rgb), self._bench.batch_size):
            batch = rgb[start : start + self._bench.batch_size]
            asked = [
                Asked(image=number, question=question)
                for number, text in enumerate(texts[start : start + len(batch)])
                for question in self._questions[text]
            ]
            right: dict[int, list[bool]] = defaultdict(list)
            for each, answer in zip(asked, self._answerer.answers(batch, asked), strict=True):
                among = answer in each.question.choices
                chosen = answer if among else self._sentences.nearest(answer, each.question.choices)
                right[each.image].append(chosen == each.question.answer)
                found.update(counted(each.question, chosen, by_meaning=not among))
            values[start : start + len(batch)] = [np.mean(right[number]) for number in range(len(batch))]
            on_done(len(batch))
        return Scores(values=values, truncated=0, findings=dict(found))


def _find_questions(settings: ScorerSettings) -> LocatedFile:
    what = "TIFA's questions"
    if settings.questions is None:
        return locate_file(TIFA_V1.source, revision=TIFA_V1.revision, what=what, option="--questions")
    given = Path(settings.questions).expanduser()
    if not ADDRESS.fullmatch(settings.questions) and not given.is_file():
        raise QuestionsError(f"There is no file {given} with questions: give one like {FILENAME}, or its address.")
    return locate_file(settings.questions, revision=None, what=what, option="--questions")


def _described(located: Located) -> dict[str, Any]:
    return {
        "model": located.source,
        "revision": located.revision,
        "weights_sha256": hash_of_files(weight_files(located.marker.parent)),
    }
