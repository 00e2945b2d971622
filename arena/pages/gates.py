"""What a study's gates leave out of its results, in sentences; and what the gates are called on the pages. Pure."""

from arena.board import Board, Gated
from arena.pages.html import render

#: Every gate's name for people, by its name in the study file.
GATE_LABELS = {
    "latency": "Latency",
    "left_share": "Left share",
    "repeats": "Repeats",
    "gold": "Gold pairs",
    "attention": "Attention",
}


def gates_html(board: Board, gated: Gated, *, applied: bool) -> str:
    """Whether the results shown are those with the gates, whom these leave out, and what that changes.

    `board` holds everybody's votes, `gated` is its own.
    """
    return render(
        "gates.html",
        applied=applied,
        sentences=[_left_out(board, gated), *_broken(gated), *_changes(board, gated)],
    )


def _left_out(board: Board, gated: Gated) -> str:
    whose = "simulated raters" if board.is_simulated else "raters"
    if not gated.excluded:
        names = ", ".join(GATE_LABELS[name] for name in gated.failed_by)
        return f"The gates ({names}) leave out nobody: none of {gated.judged:,} {whose} failed one."
    fails = [f"{GATE_LABELS[name]} {count:,}" for name, count in gated.failed_by.items() if count]
    twice = " Who failed several counts in each." if sum(gated.failed_by.values()) > gated.excluded else ""
    votes = f"{board.votes - gated.votes:,} of {board.votes:,} votes"
    return (
        f"The gates leave out {gated.excluded:,} of {gated.judged:,} {whose}, and with them {votes}. "
        f"So many failed each gate: {', '.join(fails)}.{twice}"
    )


def _broken(gated: Gated) -> list[str]:
    return [f"{GATE_LABELS[name]}: {reason}" for name, reason in gated.broken.items()]


def _changes(board: Board, gated: Gated) -> list[str]:
    if not gated.excluded:
        return []
    pairs = [
        (one.entrant, one.judgement.verdict.value, other.judgement.verdict.value)
        for one, other in zip(board.rows, gated.rows, strict=True)
    ]
    changed = [
        f"{name} is {after} with the gates and {before} without." for name, before, after in pairs if before != after
    ]
    return changed or ["No verdict changes."]
