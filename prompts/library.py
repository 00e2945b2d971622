"""Finding prompts: by the name of a known set, or by the path of one's own file; whole, or as a sample."""

from collections.abc import Callable
from pathlib import Path

from prompts.errors import CanvasError, quoted
from prompts.files import FORMATS, read_prompt_file
from prompts.plugins import load_plugin
from prompts.prompt import PromptSet
from prompts.sets import PROMPT_SETS
from prompts.sets.base import PromptSetFacts


class UnknownPromptSetError(CanvasError):
    """Neither the name of a known set nor the path of a file."""


def find_prompts(
    name_or_path: str | Path, *, parti_file: Path | None = None, sample: int | None = None, seed: int = 0
) -> PromptSet:
    """The set that `name_or_path` means; with `sample`, that many of its prompts, drawn by `seed`.

    A known set's name comes before a file of that name. `parti_file` is one's own copy of
    PartiPrompts and is looked at only when that set is asked for.

    Raises UnknownPromptSetError, SampleError, and what the set's loader or read_prompt_file raises.
    """
    prompts = _whole_set(name_or_path, parti_file)
    return prompts if sample is None else prompts.sample(sample, seed)


def known_sets() -> dict[str, PromptSetFacts]:
    """What is known, without a download, of every set that can be asked by name."""
    facts = {name: line.partition(":")[0] + ":FACTS" for name, line in PROMPT_SETS.items()}
    return {name: load_plugin(facts, name, "prompt set") for name in facts}


def _whole_set(name_or_path: str | Path, parti_file: Path | None) -> PromptSet:
    if isinstance(name_or_path, str) and name_or_path in PROMPT_SETS:
        load: Callable[..., PromptSet] = load_plugin(PROMPT_SETS, name_or_path, "prompt set")
        return load(parti_file) if name_or_path == "parti" else load()
    path = Path(name_or_path)
    if isinstance(name_or_path, Path) or path.suffix.lower() in FORMATS or len(path.parts) > 1 or path.exists():
        return read_prompt_file(path)
    raise UnknownPromptSetError(
        f"There is no prompt set and no file named {quoted(str(name_or_path))}. Known sets: {', '.join(PROMPT_SETS)}; "
        f"a file of your own ends in {', '.join(FORMATS)}."
    )
