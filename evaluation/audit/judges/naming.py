"""Asked who is in the picture, and never told: an answer in free words is held against the probes' names.

In: answers. Out: 1 where the answer names the image's own target, by its name or an alias as a word, else 0; and which
probe it names. Who is asked for names says "Apple" and "Stitch" where a prompt needs "Apple logo" and "Stitch from Lilo
& Stitch": such a short form counts too, as it is written and with no other name behind it. A name that the list of
aliases lacks is missed, and so is a model's misspelling.
"""

import re
from collections.abc import Sequence

import numpy as np

from evaluation.audit.judges.base import JudgeScores
from prompts.probes import Probe, ProbeSet, name_pattern

QUESTION = (
    "Does this image show a character, person or logo that you recognise? If so, which? "
    "Answer with the names only, or with the word none."
)
#: What counts as naming; it decides the scores, so it stands in the judges' details.
MATCHING = "name or alias as a word, or the name without ' logo', ' the ...' and ' from ...' as it is written"
_SHORT = re.compile(r"(?P<short>\S.*?)(?: logo| from .+| the .+)")


class Names:
    """The names of all probes of a set, ready to be looked for."""

    def __init__(self, probes: ProbeSet) -> None:
        """Make a pattern of every name."""
        self._probes = probes
        self._patterns: dict[str, list[re.Pattern[str]]] = {
            probe.key: [*map(name_pattern, probe.names), *_short_form(probe.name)] for probe in probes
        }

    def scores(self, answers: Sequence[str], probes: Sequence[Probe], counts: dict[str, int]) -> JudgeScores:
        """1 or 0 for each answer. An answer that names several targets names its own one, if that is among them.

        Raises ProbeError for a probe that is not of the set.
        """
        recognised = [
            self._named(answer, self._probes.probe(probe.key)) for answer, probe in zip(answers, probes, strict=True)
        ]
        own = [key == probe.key for key, probe in zip(recognised, probes, strict=True)]
        return JudgeScores(
            values=np.array(own, dtype=np.float32), recognised=tuple(recognised), said=tuple(answers), counts=counts
        )

    def _named(self, answer: str, own: Probe) -> str | None:
        for key in (own.key, *self._patterns):
            if any(pattern.search(answer) for pattern in self._patterns[key]):
                return key
        return None


def _short_form(name: str) -> list[re.Pattern[str]]:
    found = _SHORT.fullmatch(name)
    if found is None:
        return []
    # "Thomas Edison" is not Thomas the Tank Engine.
    return [re.compile(rf"(?<!\w){re.escape(found['short'])}(?:['’]s)?(?!\w)(?!\s+[A-Z])")]
