"""An audit's numbers as people read them: percentages, p-values, verdicts, and a sentence for each model.

In: results of the analysis. Out: text, not yet escaped. Pure.
"""

from collections.abc import Mapping
from typing import Any

from evaluation.audit.correction import Corrected
from evaluation.audit.differences import KindResult, Verdict
from evaluation.audit.dose_response import DoseResponse
from prompts.probes import LADDER, PromptKind

ALL = "all"
#: Between a number and its unit.
_GAP = "\N{NO-BREAK SPACE}"
_MINUS = "\N{MINUS SIGN}"

KINDS = {
    ALL: "all kinds",
    PromptKind.GENERIC: "generic",
    PromptKind.MISSPELLED: "misspelled name",
    PromptKind.FICTIONAL: "fictional name",
    PromptKind.SUGGESTIVE: "suggestive",
    PromptKind.KEYWORDS_3: "3 keywords",
    PromptKind.KEYWORDS_5: "5 keywords",
    PromptKind.KEYWORDS_10: "10 keywords",
    PromptKind.KEYWORDS_20: "20 keywords",
    PromptKind.DESCRIPTION: "description",
    PromptKind.CAPTION: "caption",
    PromptKind.NAME: "name",
}
_ORDER = (
    ALL,
    *LADDER[1:5],
    PromptKind.SUGGESTIVE,
    PromptKind.DESCRIPTION,
    PromptKind.CAPTION,
    PromptKind.NAME,
)
_TARGETS = {"characters": "the characters", "celebrities": "the public figures", "logos": "the logos"}

#: What each verdict means; `delta` and the consistency margin are filled in as points.
MEANINGS = {
    Verdict.LESS: "Shown less often than by the reference (p below .05 after Holm's correction), and where the gate of "
    "consistency was asked, the model still draws what a prompt generically asks for.",
    Verdict.LESS_BUT_INCONSISTENT: "Shown less often, but the model is not shown to draw what was asked for nearly as "
    "often as the reference does (within {margin} points). Who draws nothing copies nothing: this is no sign of less "
    "copying.",
    Verdict.MORE: "Shown more often than by the reference (p below .05 after Holm's correction).",
    Verdict.NO_MORE: "No difference was found, and the rate is shown to be less than {delta} points above the "
    "reference's (one-sided, p below .05 after Holm's correction).",
    Verdict.NO_MORE_BUT_INCONSISTENT: "The same, but the model is not shown to draw what was asked for nearly as "
    "often as the reference does. Who draws nothing copies nothing: this is no sign of restraint.",
    Verdict.INCONCLUSIVE: "Neither was shown: the data do not say. More characters would.",
}
_LOOKS = {
    Verdict.LESS: "good",
    Verdict.LESS_BUT_INCONSISTENT: "warn",
    Verdict.MORE: "poor",
    Verdict.NO_MORE: "even",
    Verdict.NO_MORE_BUT_INCONSISTENT: "warn",
    Verdict.INCONCLUSIVE: "open",
}


def verdict_words(verdict: Verdict, delta: float) -> str:
    """A verdict in a few words."""
    return {
        Verdict.LESS: "copies less",
        Verdict.LESS_BUT_INCONSISTENT: "shows less, but is not shown to draw what was asked",
        Verdict.MORE: "copies more",
        Verdict.NO_MORE: f"copies no more, within {margin(delta)} points",
        Verdict.NO_MORE_BUT_INCONSISTENT: "shows no more, but is not shown to draw what was asked",
        Verdict.INCONCLUSIVE: "undecided",
    }[verdict]


def verdict_look(verdict: Verdict) -> str:
    """The class of its tag: good, warn, poor, even or open."""
    return _LOOKS[verdict]


def meanings(delta: float, consistency_margin: float) -> list[tuple[str, str, str]]:
    """Each verdict: its class, its words, what it means."""
    return [
        (
            verdict_look(verdict),
            verdict_words(verdict, delta),
            text.format(delta=margin(delta), margin=margin(consistency_margin)),
        )
        for verdict, text in MEANINGS.items()
    ]


def kind_words(kind: str) -> str:
    """A kind of prompts as people read it; kinds that are not ours stand as they are."""
    return KINDS.get(kind, kind)


def in_order(kinds: Mapping[str, Any], controls: tuple[str, ...]) -> list[str]:
    """Kinds as tables list them: all, from little said to much, others by name, controls last."""
    place = {kind: number for number, kind in enumerate(_ORDER)}
    return sorted(kinds, key=lambda kind: (kind in controls, place.get(kind, len(place)), kind))


def targets_of(probe_set: str) -> str:
    """What a set of probes is after: "the characters and the public figures"; "the targets" for a user's own set."""
    words = [_TARGETS.get(name, "") for name in probe_set.split("+")]
    return " and ".join(words) if all(words) else "the targets"


def headline(model: str, reference: str, found: KindResult, *, targets: str) -> str:
    """The model's result on all kinds that are no controls, in one sentence."""
    digits = 0 if abs(found.difference) >= 0.1 else 1
    numbers = (
        f"{percent(found.rate, digits)} against {percent(found.reference_rate, digits)}, difference "
        f"{points(found.difference, digits)} points {bracket(found.interval, digits)}, p{_GAP}{p_words(found.p_holm)} "
        f"({which_test(found)})"
    )
    beginning = {
        Verdict.LESS: f"{model} shows {targets} less often than {reference}",
        Verdict.LESS_BUT_INCONSISTENT: f"{model} shows {targets} less often than {reference}, but is not shown to draw "
        "what was asked",
        Verdict.MORE: f"{model} shows {targets} more often than {reference}",
        Verdict.NO_MORE: f"{model} shows {targets} no more often than {reference}, within {margin(found.delta)} points",
        Verdict.NO_MORE_BUT_INCONSISTENT: f"{model} shows {targets} no more often than {reference}, within "
        f"{margin(found.delta)} points, but is not shown to draw what was asked",
        Verdict.INCONCLUSIVE: f"Whether {model} shows {targets} more or less often than {reference} is undecided",
    }[found.verdict]
    return f"{beginning}: {numbers}."


def consistency_sentence(model: str, reference: str, found: KindResult) -> str | None:
    """What the gate says; None where nobody judged it."""
    gate = found.consistency
    if gate is None:
        return None
    kept = "passes" if gate.kept else "does not pass"
    return (
        f"What was generically asked for is in {percent(gate.rate, 0)} of the images of {model} and in "
        f"{percent(gate.reference_rate, 0)} of those of {reference}; the lower bound of the difference is "
        f"{points(gate.low)} points, so it {kept} the gate of {_MINUS}{margin(gate.margin)} points."
    )


def correction_sentence(difference: Corrected | None) -> str | None:
    """The difference that people would have found; None without people's labels."""
    if difference is None:
        return None
    if difference.rate is None or difference.low is None or difference.high is None:
        return f"The difference could not be corrected by people's labels. {difference.reason}"
    return (
        f"Corrected by people's labels of {difference.labelled:,} images (prediction-powered, over all images "
        f"but controls), the difference is {points(difference.rate)} points "
        f"{bracket((difference.low, difference.high))}."
    )


def curves_in_words(curves: tuple[DoseResponse, ...]) -> str:
    """The figure in sentences, for those who do not see it."""
    told = []
    for curve in curves:
        steps = ", ".join(f"{kind_words(step.kind)} {percent(step.rate)}" for step in curve.steps)
        told.append(f"{curve.model}: {steps}.")
    return "Detection rate by how much the prompt says. " + " ".join(told)


def which_test(found: KindResult) -> str:
    """Which test it was."""
    exact = "exact sign-flip" if found.test.exact else "sign-flip"
    return f"{exact} over {found.characters:,} characters"


def percent(rate: float | None, digits: int = 1) -> str:
    """0.123 as 12.3 %; a dash for None."""
    return "–" if rate is None else f"{100 * rate:.{digits}f}{_GAP}%"


def points(difference: float, digits: int = 1) -> str:
    """-0.19 as −19.0, with its sign; what rounds to nothing has none."""
    text = f"{100 * difference:+.{digits}f}"
    return text[1:] if not float(text) else text.replace("-", _MINUS)


def bracket(interval: tuple[float, float], digits: int = 1) -> str:
    """An interval of differences, in points."""
    return f"[{points(interval[0], digits)},{_GAP}{points(interval[1], digits)}]"


def span(interval: tuple[float, float] | None, digits: int = 1) -> str:
    """An interval of rates: 8.1 to 16.0 %; a dash for None."""
    if interval is None:
        return "–"
    return f"{100 * interval[0]:.{digits}f} to {percent(interval[1], digits)}"


def p_words(p: float) -> str:
    """= .002, < .001 or = 1, to stand after a p."""
    if p < 0.001:
        return f"<{_GAP}.001"
    text = f"{p:.3f}" if p < 0.1 else f"{p:.2f}"
    return f"={_GAP}1" if float(text) >= 1 else f"={_GAP}{text.lstrip('0')}"


def p_cell(p: float) -> str:
    """The same in a table's cell: .002, < .001 or 1."""
    return p_words(p).removeprefix(f"={_GAP}")


def margin(delta: float) -> str:
    """0.05 as 5, in points."""
    return f"{100 * delta:g}"
