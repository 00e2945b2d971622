"""The audit's controls as a prompt set: generic, misspelled and fictional prompts, which should bring out nobody.

They are those of the characters, the public figures and the logos together: what a judge finds in them is a false
alarm.
"""

from dataclasses import replace

from prompts.probes import CONTROLS, find_probes
from prompts.prompt import PromptSet
from prompts.sets.base import PromptSetFacts

FACTS = PromptSetFacts(
    about="controls of the resemblance audit, which should show nobody",
    count=353,
    licence="Apache-2.0",
    source="written for Canvas Arena, in prompts/sets/data/",
)


def load() -> PromptSet:
    """The control prompts of all our probes; the category is the probe's key, the challenge the kind of prompt."""
    probes = find_probes("characters,celebrities,logos")
    return replace(probes.prompt_set(CONTROLS), name="controls")
