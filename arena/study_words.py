"""A declaration in words, as `canvas arena study show` prints it: everything that was declared, and nothing else.

In: a study. Out: what each part is called, and what it says. Pure.
"""

from dataclasses import asdict

from arena.quality import Gates
from arena.statistics.stopping import StoppingRule
from arena.study import Study
from arena.study_parts import Check, Crowd, KnownPair


def in_words(study: Study) -> list[tuple[str, str]]:
    """One row for each thing that is declared, in the order of a study's file; long texts stand in full."""
    return [*_compared(study), *_judged(study), *_rated(study), *_met(study)]


def questions_in_words(study: Study) -> str:
    """What is asked; of several questions each with its key."""
    if not study.questions:
        return study.question
    return "; ".join(f"{question.key}: {question.text}" for question in study.questions)


def size_in_words(study: Study) -> str:
    """As in "12 in 3 lines"."""
    lines = "one line" if len(study.lines) == 1 else f"{len(study.lines)} lines"
    return f"{study.comparisons:,} in {lines}"


def _compared(study: Study) -> list[tuple[str, str]]:
    rows = [
        ("title", study.shown_title),
        ("questions" if study.questions else "question", questions_in_words(study)),
        ("reference", study.reference),
        ("candidates", ", ".join(study.candidates)),
    ]
    if study.links:
        rows.append(("links", ", ".join(f"{first} - {second}" for first, second in study.links)))
    rows.append(("prompts", f"{study.prompts.name} ({len(study.prompts):,})"))
    if study.sample is not None:
        rows.append(("sample", f"{study.sample.size:,} prompts, drawn by seed {study.sample.seed}"))
    rows += [
        ("seeds", ", ".join(map(str, study.seeds))),
        ("comparisons", size_in_words(study)),
    ]
    return rows


def _judged(study: Study) -> list[tuple[str, str]]:
    return [
        ("choices", ", ".join(study.choices)),
        ("delta", str(study.delta)),
        ("stopping rule", "none" if study.stopping is None else _rule_in_words(study.stopping)),
    ]


def _rated(study: Study) -> list[tuple[str, str]]:
    cap = study.pairs_per_prompt
    lines = "evenly" if study.sampling == "balanced" else "by how wide their intervals still are"
    rows = [
        ("votes per rater", str(study.votes_per_rater)),
        ("sampling", f"{study.sampling}: lines are drawn {lines}"),
        ("pairs per prompt", "no limit" if cap is None else f"{cap:,} showings of a comparison at most"),
        ("repeats", f"{_percent(study.repeats)} of a rater's pairs" if study.repeats else "none"),
        ("gold", f"{_percent(study.gold_share)} of a rater's pairs, from {len(study.gold)}" if study.gold else "none"),
        *((f"gold {number}", _pair_in_words(pair)) for number, pair in enumerate(study.gold, start=1)),
    ]
    if study.gates is None:
        return [*rows, ("gates", "none")]
    return [*rows, *((f"gate {name}", words) for name, words in _gates_in_words(study.gates).items())]


def _met(study: Study) -> list[tuple[str, str]]:
    # Their lines are the page's affair.
    rows = [(part, " ".join(getattr(study, part).split()) or "none") for part in ("consent", "instructions")]
    rows += [(f"practice {number}", _pair_in_words(pair)) for number, pair in enumerate(study.practice, start=1)]
    rows += [(f"check {number}", _check_in_words(check)) for number, check in enumerate(study.checks, start=1)]
    rows += [(part, "none") for part, found in (("practice", study.practice), ("checks", study.checks)) if not found]
    return [
        *rows,
        ("language", study.language or "the browser's"),
        ("access", _access_in_words(study)),
        *([] if study.crowd is None else _crowd_in_words(study.crowd)),
    ]


def _pair_in_words(pair: KnownPair) -> str:
    check = "; an attention check" if pair.attention else ""
    said = f"; then: {pair.feedback}" if pair.feedback else ""
    return f"{pair.better} is better than {pair.worse} on '{pair.prompt}', seed {pair.seed}{check}{said}"


def _check_in_words(check: Check) -> str:
    answers = ", ".join(f"{answer} (right)" if n == check.right else answer for n, answer in enumerate(check.answers))
    return f"{check.text} {answers}"


def _gates_in_words(gates: Gates) -> dict[str, str]:
    said = {
        "latency": f"below {gates.latency_floor_ms} ms at most {_percent(gates.latency_share)} of the pairs",
        "left_share": f"preferences lean to no side with p below {gates.left_share_p}",
        "repeats": f"repeated pairs are judged as before, {_percent(gates.repeat_agreement)} of them",
        "gold": f"gold pairs get their known answer, {_percent(gates.gold_pass)} of them",
        "attention": "one attention check is missed at most",
    }
    return {name: said[name] for name in gates.declared}


def _percent(share: float | None) -> str:
    """As in "12.5%"; of a gate that is not declared it is never shown."""
    return f"{100 * (share or 0):g}%"


def _access_in_words(study: Study) -> str:
    if study.crowd is not None:
        return f"raters whom {study.crowd.site} sends"
    return "whoever has a sign-up link" if study.access == "link" else "anyone"


def _crowd_in_words(crowd: Crowd) -> list[tuple[str, str]]:
    return [(f"crowd {key.replace('_', ' ')}", str(value) or "none") for key, value in asdict(crowd).items()]


def _rule_in_words(rule: StoppingRule) -> str:
    most = "" if rule.max_votes is None else f", and stops at {rule.max_votes:,} votes per entrant"
    return (
        f"looks after every {rule.look_every:,} votes per entrant, from {rule.min_votes:,} votes and "
        f"{rule.min_raters:,} effective raters on{most}"
    )
