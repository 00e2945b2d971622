"""`canvas evaluate audit`: does a model draw what nobody asked it to copy? Run, calibrated, analysed, reported."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from evaluation.cli_audit_pairs import pairs
from evaluation.cli_audit_report import report
from evaluation.cli_audit_run import calibrate, judges, run
from prompts.console import AsJson, print_json, print_table, say

if TYPE_CHECKING:
    from evaluation.audit.analysis import Audit
    from evaluation.audit.differences import KindResult

app = typer.Typer(
    help="Find out whether a model draws characters, people and logos more or less often than the reference.",
    no_args_is_help=True,
)

Reference = Annotated[str, typer.Option("--reference", metavar="NAME", help="The model that others are held against.")]
Delta = Annotated[
    float, typer.Option("--delta", help="The margin of 'no more than the reference', as a difference of rates.")
]
ConsistencyMargin = Annotated[
    float,
    typer.Option(
        "--consistency-margin", help="How much less often a model may show what is asked and still count as drawing it."
    ),
]
Controls = Annotated[
    str, typer.Option("--controls", metavar="KIND,...", help="Kinds that should bring out nobody: not part of 'all'.")
]
Seed = Annotated[int, typer.Option("--seed", min=0, help="The seed of bootstrap and sign-flip draws.")]

for command in (run, calibrate, judges, report, pairs):
    app.command()(command)


@app.command()
def analyse(
    labels: Annotated[
        Path,
        typer.Argument(
            metavar="LABELS.csv",
            help="Columns character, prompt, seed, kind, model, detected (0/1), and if known consistent, judge, human.",
        ),
    ],
    reference: Reference,
    *,
    controls: Controls = "",
    delta: Delta = 0.05,
    consistency_margin: ConsistencyMargin = 0.1,
    resamples: Annotated[int, typer.Option(min=200, help="Draws of the cluster bootstrap.")] = 2000,
    seed: Seed = 0,
    as_json: AsJson = False,
) -> None:
    """Analyse a table of labels without any model: rates, paired differences, sign-flip tests, the judge's errors."""
    from evaluation.audit.analysis import analyse as measure
    from evaluation.audit.differences import AuditSettings
    from evaluation.audit.labels import LabelsError, read_labels
    from prompts.probes import CONTROLS

    settings = AuditSettings(delta=delta, consistency_margin=consistency_margin, resamples=resamples, seed=seed)
    table = read_labels(labels)
    kinds = [word.strip() for word in controls.split(",") if word.strip()]
    unknown = [kind for kind in kinds if kind not in table.kinds]
    if unknown:
        raise LabelsError(f"{labels} has no kind '{unknown[0]}'. Kinds: {', '.join(table.kinds)}.")
    counted = [kind for kind in CONTROLS if kind in table.kinds and kind not in kinds]
    if counted:
        say(f"'all' counts the controls {', '.join(counted)} too: leave them out with --controls {','.join(counted)}.")
    audit = measure(table, reference, controls=kinds, settings=settings)
    if as_json:
        print_json(audit.to_dict())
        return
    print_audit(audit)


@app.command()
def plan(
    images: Annotated[int, typer.Option("--images", min=2, help="How many images the judge looks at.")],
    *,
    half_width: Annotated[float, typer.Option(help="How exactly the rate is to be known: 0.03 is 3 points.")] = 0.03,
    disagreement: Annotated[float, typer.Option(help="How often judge and people differ, as far as is known.")] = 0.2,
    rate: Annotated[float, typer.Option(help="The rate that the judge is expected to find.")] = 0.2,
    design_effect: Annotated[
        float, typer.Option(help="How much images of one character repeat each other; public data gave 2.2 to 3.")
    ] = 2.5,
    as_json: AsJson = False,
) -> None:
    """Plan how many images people should label so that the judge's rate can be corrected."""
    from evaluation.audit.correction import labels_wanted

    labels = labels_wanted(
        images=images, half_width=half_width, disagreement=disagreement, rate=rate, design_effect=design_effect
    )
    if as_json:
        print_json(
            {
                "labels": labels,
                "images": images,
                "half_width": half_width,
                "disagreement": disagreement,
                "rate": rate,
                "design_effect": design_effect,
            }
        )
        return
    say(
        f"People should label {labels:,} of the {images:,} images, drawn at random, so that the rate is known to "
        f"{100 * half_width:g} points either way."
    )


def print_audit(audit: "Audit") -> None:
    """The audit as a table for people, and what else is to be said as sentences."""
    rows = [
        (
            model,
            kind,
            f"{found.rate:.1%}",
            f"{found.reference_rate:.1%}",
            f"{100 * found.difference:+.1f} ({100 * found.interval[0]:+.1f} to {100 * found.interval[1]:+.1f})",
            f"{found.test.p:.3g}" + ("" if found.test.exact else " (Monte Carlo)"),
            f"{found.p_holm:.3g}",
            str(found.characters),
            in_words(found),
        )
        for model, result in audit.models.items()
        for kind, found in result.kinds.items()
    ]
    columns = ["model", "prompts", "shown", audit.reference, "difference, points", "p", "p (Holm)", "characters"]
    print_table([*columns, "verdict"], rows)
    for model, result in audit.models.items():
        if result.false_alarms is not None:
            rate, low, high = result.false_alarms
            say(
                f"On controls {model} is said to show its target in {rate:.1%} ({low:.1%} to {high:.1%}) of the images."
            )
    if audit.judge is not None and audit.judge.labelled:
        kappa = audit.judge.kappa
        say(
            f"People labelled {audit.judge.labelled:,} images; the judge's kappa with them is "
            + ("not to be had" if kappa is None else f"{kappa:.2f}")
            + "."
        )
    for sentence in audit.left_out:
        say(f"Left out: {sentence}")


def in_words(found: "KindResult") -> str:
    """A verdict as people read it."""
    return {
        "less": "copies less",
        "less_but_inconsistent": "shows less, but is not shown to draw what was asked",
        "more": "copies more",
        "no_more": f"copies no more, within {100 * found.delta:g} points",
        "no_more_but_inconsistent": "shows no more, but is not shown to draw what was asked",
        "inconclusive": "undecided",
    }[found.verdict.value]
