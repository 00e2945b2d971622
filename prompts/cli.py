"""`canvas prompts`: which prompt sets there are, and what they ask."""

from typing import Annotated, Any

import typer

from prompts.console import AsJson, print_json, print_table, say
from prompts.errors import CanvasError, quoted
from prompts.options import PartiFile, Sample

app = typer.Typer(help="See which prompts can be asked.", no_args_is_help=True)


#: So many categories are counted one by one.
_TOLD = 20


class UnknownCategoryError(CanvasError):
    """A category that the prompt set does not have."""


@app.command("list")
def list_sets(as_json: AsJson = False) -> None:
    """List the prompt sets that can be asked by name."""
    from prompts.library import known_sets

    sets = known_sets()
    if as_json:
        print_json(
            [
                {"name": name, "prompts": facts.count, "licence": facts.licence, "source": facts.source}
                | {"about": facts.about}
                for name, facts in sets.items()
            ]
        )
        return
    rows = [
        (name, "unknown" if facts.count is None else f"{facts.count:,}", facts.licence, facts.about)
        for name, facts in sets.items()
    ]
    print_table(["name", "prompts", "licence", "what it asks"], rows)
    say("See one and its source with `canvas prompts show NAME`, or your own file with `canvas prompts show FILE`.")


@app.command()
def show(
    name_or_file: Annotated[
        str, typer.Argument(help="A set from `list`, a .tsv, .csv, .txt or .jsonl file, or a .toml of probes.")
    ],
    *,
    category: Annotated[str | None, typer.Option(help="Show only the prompts of this category.")] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Show at most this many prompts.")] = None,
    sample: Sample = None,
    seed: Annotated[int, typer.Option(min=0, help="Which sample: the same seed draws the same prompts.")] = 0,
    parti_file: PartiFile = None,
    as_json: AsJson = False,
) -> None:
    """Show a set's prompts with their categories and challenges."""
    from prompts.library import find_prompts

    prompts = find_prompts(name_or_file, parti_file=parti_file, sample=sample, seed=seed)
    categories = prompts.categories()
    if category is not None and category not in categories:
        known = ", ".join(name for name in categories if name) or "none"
        raise UnknownCategoryError(f"'{prompts.name}' has no category {quoted(category)}. Its categories: {known}.")
    shown = [prompt for prompt in prompts if category in (None, prompt.category)][:limit]
    if as_json:
        whole: dict[str, Any] = prompts.to_dict()
        ids = {prompt.id for prompt in shown}
        print_json(
            whole | {"count": len(prompts), "prompts": [prompt for prompt in whole["prompts"] if prompt["id"] in ids]}
        )
        return
    columns = [name for name in ("category", "challenge") if any(getattr(prompt, name) for prompt in shown)] + ["text"]
    headings = ["prompt" if name == "text" else name for name in columns]
    print_table(headings, ([getattr(prompt, name) for name in columns] for prompt in shown))
    say(f"{prompts.name}: {_shown(len(shown), len(prompts))}; licence {prompts.licence}; from {prompts.source}")
    if set(categories) != {""}:
        told = [f"{name or '(none)'} {count:,}" for name, count in categories.items()]
        more = f" and {len(told) - _TOLD} more, which --json counts" if len(told) > _TOLD else ""
        say(f"By category: {', '.join(told[:_TOLD])}{more}")


def _shown(shown: int, whole: int) -> str:
    prompts = "prompt" if whole == 1 else "prompts"
    return f"{whole:,} {prompts}" if shown == whole else f"{shown:,} of {whole:,} {prompts} shown"
