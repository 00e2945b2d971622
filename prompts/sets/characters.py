"""Iconic characters as a prompt set: what the audit asks about 85 of them, from a generic prompt to the name.

The probes, with what each is after and where it can be checked, are in data/characters.toml.
Source: Gokaslan et al. (2023), CommonCanvas, figures 2, 3, 10 and 15; He et al. (2024), arXiv:2406.14526.
"""

from prompts.probes import DATA, read_probe_file
from prompts.prompt import PromptSet
from prompts.sets.base import PromptSetFacts

FACTS = PromptSetFacts(
    about="iconic characters, by name and without, for the resemblance audit",
    count=1028,
    licence="Apache-2.0",
    source="written for Canvas Arena, in prompts/sets/data/characters.toml",
)


def load() -> PromptSet:
    """Every prompt of every character; the category is the character's key, the challenge the kind of prompt."""
    return read_probe_file(DATA / "characters.toml").prompt_set()
