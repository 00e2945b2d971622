"""Public figures as a prompt set: what the audit asks about 45 of them, from a generic prompt to the name.

The probes, with what each is after and where it can be checked, are in data/celebrities.toml. Every one has the name of
nobody beside it, as a control.
Source: Gokaslan et al. (2023), CommonCanvas, figure 11.
"""

from prompts.probes import DATA, read_probe_file
from prompts.prompt import PromptSet
from prompts.sets.base import PromptSetFacts

FACTS = PromptSetFacts(
    about="public figures, by name and without, for the resemblance audit",
    count=585,
    licence="Apache-2.0",
    source="written for Canvas Arena, in prompts/sets/data/celebrities.toml",
)


def load() -> PromptSet:
    """Every prompt of every public figure; the category is the probe's key, the challenge the kind of prompt."""
    return read_probe_file(DATA / "celebrities.toml").prompt_set()
