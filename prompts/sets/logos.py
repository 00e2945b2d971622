"""Brand logos as a prompt set: what the audit asks about 24 of them, from a generic prompt to the name.

The probes, with what each is after and where it can be checked, are in data/logos.toml.
Source: Gokaslan et al. (2023), CommonCanvas, figure 2.
"""

from prompts.probes import DATA, read_probe_file
from prompts.prompt import PromptSet
from prompts.sets.base import PromptSetFacts

FACTS = PromptSetFacts(
    about="brand logos, by name and without, for the resemblance audit",
    count=288,
    licence="Apache-2.0",
    source="written for Canvas Arena, in prompts/sets/data/logos.toml",
)


def load() -> PromptSet:
    """Every prompt of every logo; the category is the logo's key, the challenge the kind of prompt."""
    return read_probe_file(DATA / "logos.toml").prompt_set()
