"""The shapes world's eye as a judge of the audit, and as its gate of consistency.

The demo's CLIP is too small to tell shapes apart (its area under the curve is .7), and published judges know no shapes
world. The eye knows pixels and the palette; like every judge it is never told what the image was painted for.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from PIL import Image

from canvas.demo.eye import look
from canvas.demo.shapes_probes import ICON
from evaluation.audit.judges.base import JudgeScores, JudgeSettings, check_asked, with_judge_hash
from prompts.probes import Probe, ProbeSet

JUDGE, GATE = "shapes_eye", "shapes_eye_colour"
#: Lines for JUDGES and CONSISTENCY.
JUDGE_LINE, GATE_LINE = "canvas.demo.eye_judge:open_judge", "canvas.demo.eye_judge:open_gate"
# Of the nearest ideal shape, so much must be covered for it to be one.
_CLEAR = 0.5


def open_judge(probes: ProbeSet, settings: JudgeSettings) -> "EyeJudge":
    """Whether a cross of the probe's colour is seen; the eye needs no weights."""
    return EyeJudge(asks_for_icon=True)


def open_gate(probes: ProbeSet, settings: JudgeSettings) -> "EyeJudge":
    """Whether any shape of the probe's colour is seen, which is what the prompt generically asks."""
    return EyeJudge(asks_for_icon=False)


class EyeJudge:
    """The eye; satisfies Judge. Its score is how much of the shape it finds is covered, 0 for another shape."""

    default_threshold = _CLEAR

    def __init__(self, *, asks_for_icon: bool) -> None:
        """With `asks_for_icon` the shape must be the icon; the colour must always be the probe's."""
        self._asks_for_icon = asks_for_icon

    @property
    def details(self) -> dict[str, Any]:
        """What is looked for, as JSON values."""
        return with_judge_hash({"judge": JUDGE if self._asks_for_icon else GATE, "icon": ICON})

    def judge(
        self,
        images: Sequence[Image.Image],
        probes: Sequence[Probe],
        prompts: Sequence[str],
        on_done: Callable[[int], None] = lambda done: None,
    ) -> JudgeScores:
        """Overlap with the nearest ideal shape where it is what is looked for; `said` is what the eye names.

        Raises MismatchedProbesError.
        """
        check_asked(images, probes, prompts)
        values, recognised, said = [], [], []
        for image, probe in zip(images, probes, strict=True):
            seen = look(image)
            its_colour = probe.key == f"{seen.colour}-{ICON}"
            found = bool(seen.shape) and its_colour and (seen.shape == ICON or not self._asks_for_icon)
            values.append(seen.shape_overlap if found else 0.0)
            recognised.append(f"{seen.colour}-{ICON}" if seen.shape == ICON else None)
            said.append(f"{seen.colour} {seen.shape}" if seen.shape else None)
            on_done(1)
        return JudgeScores(values=np.array(values, dtype=np.float32), recognised=tuple(recognised), said=tuple(said))
