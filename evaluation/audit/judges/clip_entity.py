"""Consistency by CLIP: does an image show the entity that its probe asks for?

In: images. Out: the mean probability of the probe's entity against each other entity of the set and a few other things,
one at a time. One at a time, because sets ask for several kings and many bears: a softmax over all of them would share
the probability among those that are equally right. An image that shows nothing of it has about 0.5 or less.
Source: our own, over Radford et al. (2021), arXiv:2103.00020; CopyCat asks a question model instead (see vqa_entity).
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from PIL import Image
from scipy.special import expit

from evaluation.audit.judges.base import (
    JudgeScores,
    JudgeSettings,
    check_asked,
    open_features,
    unit,
    with_judge_hash,
)
from evaluation.audit.judges.clip_texts import SOMETHING_ELSE, TEMPLATES, directions
from evaluation.audit.judges.clip_zero_shot import LOGIT_SCALE
from evaluation.features.base import Extractor
from prompts.probes import Probe, ProbeError, ProbeSet


def open_judge(probes: ProbeSet, settings: JudgeSettings) -> "ClipEntity":
    """The judge over OpenCLIP, or another extractor that reads texts.

    Raises NoJudgeWeightsError, NoTextsError, and what the extractor raises.
    """
    return ClipEntity(open_features("clip_entity", settings, line="open_clip"), probes)


class ClipEntity:
    """An opened extractor and the entities; satisfies Judge."""

    #: Half-way between chance and certainty.
    default_threshold = 0.75

    def __init__(self, extractor: Extractor, probes: ProbeSet) -> None:
        """Take the extractor; `open_judge` opens it."""
        self._extractor = extractor
        self._entities = list(dict.fromkeys([*(probe.entity for probe in probes), *SOMETHING_ELSE]))
        self._candidates = directions(extractor, self._entities).vectors

    @property
    def details(self) -> dict[str, Any]:
        """The score, the entities and the extractor, as JSON values."""
        return with_judge_hash(
            {
                "judge": "clip_entity",
                "value": "mean probability of the entity against each other one",
                "logit_scale": LOGIT_SCALE,
                "entities": self._entities,
                "templates": list(TEMPLATES),
                "default_threshold": self.default_threshold,
                "extractor": self._extractor.details,
            },
            "scipy",
        )

    def judge(
        self,
        images: Sequence[Image.Image],
        probes: Sequence[Probe],
        prompts: Sequence[str],
        on_done: Callable[[int], None] = lambda done: None,
    ) -> JudgeScores:
        """How sure it is that each image shows its probe's entity; `said` is the entity that it looks most like.

        Raises MismatchedProbesError, PixelsError, and ProbeError for a probe that is not of the set.
        """
        check_asked(images, probes, prompts)
        own = np.array([self._of(probe) for probe in probes], dtype=np.int64)
        seen = unit(self._extractor.images(images, on_done))
        near = LOGIT_SCALE * (seen @ self._candidates.T).astype(np.float64)
        rows = np.arange(len(images))
        won = expit(near[rows, own][:, None] - near)
        won[rows, own] = 0.0
        values = won.sum(axis=1) / (len(self._entities) - 1)
        return JudgeScores(
            values=values.astype(np.float32),
            recognised=(None,) * len(images),
            said=tuple(self._entities[place] for place in near.argmax(axis=1)),
        )

    def _of(self, probe: Probe) -> int:
        if probe.entity not in self._entities:
            raise ProbeError(f"The probe '{probe.key}' is not of the set that this judge was opened for.")
        return self._entities.index(probe.entity)
