"""Zero-shot: which of all targets of the set an image shows, or none of them.

In: images. Out: the probability of the image's own target under a softmax over the names of all probes and what is
none of these: every probe's entity and a few other things. It depends on the set: another set is another judge.
Source: Radford et al. (2021), arXiv:2103.00020, section 3.1.2.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from PIL import Image
from scipy.special import softmax

from evaluation.audit.judges.base import (
    JudgeScores,
    JudgeSettings,
    check_asked,
    open_features,
    unit,
    with_judge_hash,
)
from evaluation.audit.judges.clip_texts import SOMETHING_ELSE, TEMPLATES, directions, who
from evaluation.features.base import Extractor
from prompts.probes import Probe, ProbeSet

#: CLIP's own, at which its training clips it.
LOGIT_SCALE = 100.0


def open_judge(probes: ProbeSet, settings: JudgeSettings) -> "ClipZeroShot":
    """The judge over OpenCLIP, or another extractor that reads texts.

    Raises NoJudgeWeightsError, NoTextsError, and what the extractor raises.
    """
    return ClipZeroShot(open_features("clip_zero_shot", settings, line="open_clip"), probes)


class ClipZeroShot:
    """An opened extractor and the candidates; satisfies Judge."""

    default_threshold = 0.5

    def __init__(self, extractor: Extractor, probes: ProbeSet) -> None:
        """Take the extractor; `open_judge` opens it."""
        self._extractor = extractor
        self._probes = probes
        self._place = {probe.key: place for place, probe in enumerate(probes)}
        self._named = [who(probe) for probe in probes]
        self._none = list(dict.fromkeys([*(probe.entity for probe in probes), *SOMETHING_ELSE]))
        self._candidates = directions(extractor, [*self._named, *self._none]).vectors

    @property
    def details(self) -> dict[str, Any]:
        """The score, the candidates and the extractor, as JSON values."""
        return with_judge_hash(
            {
                "judge": "clip_zero_shot",
                "value": "softmax probability of the target",
                "logit_scale": LOGIT_SCALE,
                "targets": self._named,
                "none_of_these": self._none,
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
        """The probability of each image's target; `recognised` is the likeliest candidate, None for none of these.

        Raises MismatchedProbesError, PixelsError, and ProbeError for a probe that is not of the set.
        """
        check_asked(images, probes, prompts)
        targets = [self._place[self._probes.probe(probe.key).key] for probe in probes]
        seen = unit(self._extractor.images(images, on_done))
        likely = softmax(LOGIT_SCALE * (seen @ self._candidates.T).astype(np.float64), axis=1)
        best = likely.argmax(axis=1)
        keys = [probe.key for probe in self._probes]
        return JudgeScores(
            values=likely[np.arange(len(images)), targets].astype(np.float32),
            recognised=tuple(keys[place] if place < len(keys) else None for place in best),
            said=(None,) * len(images),
        )
