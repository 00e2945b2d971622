"""Finding prompts: by the name of a known set, or by the path of one's own file; whole, or as a sample.

A file of one's own is a list of prompts (prompts/files.py) or, in TOML, of probes (prompts/probes.py), which stands for
all that they ask.
"""

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from shlex import quote

from prompts.errors import CanvasError, printable, quoted
from prompts.files import FORMATS, read_prompt_file
from prompts.plugins import load_plugin
from prompts.probes import read_probe_file
from prompts.prompt import PromptSet
from prompts.sets import PROMPT_SETS
from prompts.sets.base import PromptSetFacts

PROBES = ".toml"

# PromptSet.sample names what it draws so.
_SAMPLED = re.compile(r"(?P<whole>.+)-(?P<count>\d+)-seed(?P<seed>\d+)")


class UnknownPromptSetError(CanvasError):
    """Neither the name of a known set nor the path of a file."""


def find_prompts(
    name_or_path: str | Path, *, parti_file: Path | None = None, sample: int | None = None, seed: int = 0
) -> PromptSet:
    """The set that `name_or_path` means; with `sample`, that many of its prompts, drawn by `seed`.

    A known set's name comes before a file of that name. `parti_file` is one's own copy of
    PartiPrompts and is looked at only when that set is asked for.

    Raises UnknownPromptSetError, SampleError, and what the set's loader, read_prompt_file or read_probe_file raises.
    """
    prompts = _whole_set(name_or_path, parti_file)
    return prompts if sample is None else prompts.sample(sample, seed)


def as_options(prompts: PromptSet | str) -> str:
    """What a command line takes to mean these prompts: `--prompts NAME`, and for a sample how it was drawn.

    A set that was read from one's own file is named by the path it was read from; a name alone stands for itself.

    >>> as_options("parti-24-seed3")
    '--prompts parti --sample 24 --sample-seed 3'
    """
    name, source = (prompts, "") if isinstance(prompts, str) else (prompts.name, prompts.source)
    drawn = _SAMPLED.fullmatch(name)
    whole = name if drawn is None else drawn["whole"]
    if whole not in PROMPT_SETS and Path(source).name == whole:
        whole = source
    words = f"--prompts {quote(printable(whole))}"
    if drawn is None:
        return words
    seed = "" if int(drawn["seed"]) == 0 else f" --sample-seed {drawn['seed']}"
    return f"{words} --sample {drawn['count']}{seed}"


def known_sets() -> dict[str, PromptSetFacts]:
    """What is known, without a download, of every set that can be asked by name."""
    facts = {name: line.partition(":")[0] + ":FACTS" for name, line in PROMPT_SETS.items()}
    return {name: load_plugin(facts, name, "prompt set") for name in facts}


def _whole_set(name_or_path: str | Path, parti_file: Path | None) -> PromptSet:
    if isinstance(name_or_path, str) and name_or_path in PROMPT_SETS:
        load: Callable[..., PromptSet] = load_plugin(PROMPT_SETS, name_or_path, "prompt set")
        return load(parti_file) if name_or_path == "parti" else load()
    path = Path(name_or_path)
    if path.suffix.lower() == PROBES:
        # By its path, as every file of one's own: so that `as_options` can say how to name it again.
        return replace(read_probe_file(path).prompt_set(), name=path.name, source=str(path))
    if isinstance(name_or_path, Path) or path.suffix.lower() in FORMATS or len(path.parts) > 1 or path.exists():
        return read_prompt_file(path)
    raise UnknownPromptSetError(
        f"There is no prompt set and no file named {quoted(str(name_or_path))}. Known sets: {', '.join(PROMPT_SETS)}; "
        f"a file of your own ends in {', '.join(FORMATS)}, and one of probes in {PROBES}."
    )
