"""`canvas evaluate audit pairs`: what people say of pairs, analysed by character."""

from pathlib import Path
from typing import Annotated

import typer

from prompts.console import AsJson, print_json, print_table, say


def pairs(
    export: Annotated[
        Path, typer.Argument(metavar="EXPORT.csv", help="What `canvas arena labels export` wrote of a study of pairs.")
    ],
    reference: Annotated[str, typer.Option("--reference", metavar="NAME", help="The model others are held against.")],
    *,
    seed: Annotated[int, typer.Option("--seed", min=0, help="The seed of the sign-flip draws.")] = 0,
    as_json: AsJson = False,
) -> None:
    """Analyse people's answers about pairs: how often a model resembles the target more than the reference does."""
    from evaluation.audit.pairwise import compare_pairs, read_pairs

    found = compare_pairs(read_pairs(export), reference, seed=seed)
    if as_json:
        print_json(found.to_dict())
        return
    print_table(
        ["model", "more", reference, "difference, points", "p", "p (Holm)", "characters", "pairs", "answers"],
        [
            (
                one.model,
                f"{one.more:.1%}",
                f"{one.reference_more:.1%}",
                f"{100 * one.difference:+.1f} ({100 * one.interval[0]:+.1f} to {100 * one.interval[1]:+.1f})",
                f"{one.test.p:.3g}" + ("" if one.test.exact else " (Monte Carlo)"),
                f"{one.p_holm:.3g}",
                str(len(one.characters)),
                f"{one.pairs:,}",
                f"{one.answers:,}",
            )
            for one in found.models
        ],
    )
    say(
        f"The shares are of pairs in which that model's image resembles the target more, and {reference}'s; in the "
        "others people said equally or neither. Each character counts once."
    )
    if found.controls:
        say(f"Left out: {_answers(found.controls)} about controls.")
    if found.others:
        say(f"Left out: {_answers(found.others)} about pairs without {reference}.")


def _answers(count: int) -> str:
    return f"{count:,} {'answer' if count == 1 else 'answers'}"
