"""The demo's audit: do the models draw the crosses that only the non-commercial split holds?

The model of the commercial split has never seen one, and the reference has: the audit must find that the first shows
them less often, and need not find it of the models of all licences.
"""

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from canvas.demo.arena_steps import open_arena
from canvas.demo.layout import CANDIDATES, REFERENCE, Layout, Model
from canvas.demo.road import Step
from canvas.demo.shapes_probes import shapes_probes
from prompts.probes import CONTROLS, PromptKind

if TYPE_CHECKING:
    from evaluation.audit.analysis import Audit

#: What is asked of the tiny models: prompts in the grammar that they learned.
KINDS = (PromptKind.GENERIC, PromptKind.MISSPELLED, PromptKind.SUGGESTIVE, PromptKind.CAPTION, PromptKind.NAME)
SEEDS = (0, 1, 2, 3)
AUDITED = CANDIDATES


def audit(layout: Layout, model: Model) -> "Audit":
    """The analysis of a finished run. Raises LabelsError where there is none."""
    from evaluation.audit.analysis import analyse
    from evaluation.audit.judged import LABELS
    from evaluation.audit.labels import read_labels

    labels = read_labels(layout.audit_of(model) / LABELS)
    return analyse(labels, REFERENCE.name, controls=[kind for kind in CONTROLS if kind in KINDS])


def _is_audited(layout: Layout) -> bool:
    return all((layout.audit_of(model) / "manifest.json").is_file() for model in AUDITED)


def _run(layout: Layout) -> str:
    from arena.entering import read_entrant
    from canvas.demo.eye_judge import GATE, GATE_LINE, JUDGE, JUDGE_LINE
    from evaluation.audit.judges import CONSISTENCY, JUDGES
    from evaluation.audit.judges.base import JudgeSettings
    from evaluation.audit.run import JudgeChoice, run_audit

    # The shapes world's own lines: nobody else has a use for them.
    JUDGES.setdefault(JUDGE, JUDGE_LINE)
    CONSISTENCY.setdefault(GATE, GATE_LINE)
    with open_arena(layout) as arena:
        for model in AUDITED:
            run_audit(
                arena.ledger,
                arena.images,
                entrant=read_entrant(str(layout.entrant(model))),
                reference=read_entrant(str(layout.entrant(REFERENCE))),
                probes=shapes_probes(),
                kinds=KINDS,
                seeds=SEEDS,
                judges=[JudgeChoice(name=JUDGE, settings=JudgeSettings())],
                consistency=JudgeChoice(name=GATE, settings=JudgeSettings()),
                out=layout.audit_of(model),
                clock=lambda: datetime.now(UTC),
                sampling={"batch_size": 32},
            )
    found = "; ".join(_in_words(audit(layout, model), model) for model in AUDITED)
    return f"Audited for crosses, which only non-commercial pictures show: {found}."


def _in_words(found: "Audit", model: Model) -> str:
    from evaluation.cli_audit import in_words

    whole = found.models[model.name].kinds["all"]
    return f"{model.name} {in_words(whole)} ({whole.rate:.0%} against {whole.reference_rate:.0%})"


AUDIT_STEPS = (Step(name="audit", title="Auditing for crosses", is_done=_is_audited, work=_run),)
