"""Consistency by questions: is the entity that a probe asks for in the image, yes or no?

In: images. Out: 1 where a question answering model says yes, else 0. The published measure is of this kind.
Source: He et al. (2024), arXiv:2406.14526 (CONS), with the models of `evaluation.scorers.answering`.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from PIL import Image

from evaluation.audit.judges.base import JudgeScores, JudgeSettings, check_asked, with_judge_hash
from evaluation.features.base import eight_bit
from evaluation.features.batches import Bench, bench
from evaluation.metrics.published import TIFA_VQA
from evaluation.scorers.answering import Answerer, Asked, open_answerer
from evaluation.scorers.tifa_questions import Question
from evaluation.weights import hash_of_files, weight_files
from prompts.probes import Probe, ProbeSet

QUESTION = "is there {} in the picture?"


def open_judge(probes: ProbeSet, settings: JudgeSettings) -> "VqaEntity":
    """The judge over BLIP or BLIP-2. Raises MissingWeightsError, NotWeightsError and DamagedWeightsError."""
    weights = settings.weights or TIFA_VQA
    at = bench(settings)
    return VqaEntity(open_answerer(weights.source, weights.revision, at), at)


class VqaEntity:
    """An opened model; satisfies Judge."""

    default_threshold = 0.5

    def __init__(self, answerer: Answerer, at: Bench) -> None:
        """Take the model; `open_judge` opens it."""
        self._answerer = answerer
        self._bench = at

    @property
    def details(self) -> dict[str, Any]:
        """The question and the model, as JSON values."""
        located = self._answerer.located
        return with_judge_hash(
            {
                "judge": "vqa_entity",
                "value": "1 for an answer that begins with yes",
                "question": QUESTION,
                "asked": self._answerer.manner,
                "precision": self._bench.dtype,
                "default_threshold": self.default_threshold,
                "model": located.source,
                "revision": located.revision,
                "weights_sha256": hash_of_files(weight_files(located.marker.parent)),
                "preprocessing": self._answerer.preprocessing,
            },
            "torch",
            "transformers",
        )

    def judge(
        self,
        images: Sequence[Image.Image],
        probes: Sequence[Probe],
        prompts: Sequence[str],
        on_done: Callable[[int], None] = lambda done: None,
    ) -> JudgeScores:
        """1 or 0 for each image, and what the model answered. Raises MismatchedProbesError and PixelsError."""
        check_asked(images, probes, prompts)
        rgb = [eight_bit(image) for image in images]
        answers: list[str] = []
        for start in range(0, len(rgb), self._bench.batch_size):
            batch = rgb[start : start + self._bench.batch_size]
            asked = [
                Asked(image=number, question=_about(probe))
                for number, probe in enumerate(probes[start : start + len(batch)])
            ]
            answers += self._answerer.answers(batch, asked)
            on_done(len(batch))
        return JudgeScores(
            values=np.array([answer.strip().lower().startswith("yes") for answer in answers], dtype=np.float32),
            recognised=(None,) * len(images),
            said=tuple(answers),
        )


def _about(probe: Probe) -> Question:
    return Question(
        question=QUESTION.format(probe.entity), choices=("yes", "no"), answer="yes", element_type="consistency"
    )
