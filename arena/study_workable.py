"""What can be declared and could never work: a language without texts, a gate that nothing feeds, too many votes.

In: a study, as its file declares it. Out: nothing, or the refusal with its place in the file. It is asked of a file
before it opens, and not of a study that is open already: what was frozen stays readable.
"""

from arena.pages.messages.messages import load_messages
from arena.study import VOTES_PER_RATER, Study
from arena.study_parts import StudyError

#: The gate on attention says nothing of a rater before the second check (arena/quality.py).
ATTENTION_CHECKS = 2
#: A repeat comes after at least so many other comparisons (arena/matchmaking.py).
_BEFORE_A_REPEAT = 5


def check_workable(study: Study) -> None:
    """Raises StudyError, with its place, for the first part that could never do what it declares."""
    _check_language(study)
    _check_gates(study)
    if study.access == "link" and study.crowd is not None:
        raise StudyError(
            f"The study '{study.name}' has access = \"link\" and a [crowd]: raters of a crowd site come by its links "
            "and have no sign-up link. Take one of the two out."
        ).at("access")
    most = most_pairs(study)
    if study.votes_per_rater > most:
        raise StudyError(
            f"The study '{study.name}' has votes_per_rater = {study.votes_per_rater}, and one rater can be asked "
            f"{most:,} pairs{_of_what(study)}. Write {most} or less, or ask more prompts."
        ).at("votes_per_rater")


def usual_votes(study: Study) -> int:
    """`votes_per_rater` of a file that does not say it: 30, or as many as one rater can be asked."""
    return min(VOTES_PER_RATER, most_pairs(study))


def most_pairs(study: Study) -> int:
    """How many pairs one rater can be asked: every comparison once, with their share of repeats and gold pairs.

    With c comparisons, and shares r of repeats and g of gold pairs, that are n = c + r n + g n. Both shares keep to
    their count over a session (`matchmaking.choose_repeat`); each gold pair comes once, and so does each repeat, of
    all comparisons but the last five.
    """
    comparisons, gold, repeats = study.comparisons, len(study.gold), max(0, study.comparisons - _BEFORE_A_REPEAT)
    # Where a share would want more than there are, its whole stock counts, and the other share is of what results.
    sizes = (
        comparisons / (1 - study.repeats - study.gold_share),
        (comparisons + gold) / (1 - study.repeats),
        (comparisons + repeats) / (1 - study.gold_share),
        float(comparisons + gold + repeats),
    )
    # In floats 7 / .7 may be a little below 10.
    return int(min(sizes) + 1e-9)


def _of_what(study: Study) -> str:
    extra = [word for word, share in (("repeats", study.repeats), ("gold pairs", study.gold_share)) if share]
    return f" ({study.comparisons:,} comparisons, and {' and '.join(extra)} among them)" if extra else ""


def _check_language(study: Study) -> None:
    known = list(load_messages()) if study.language else [""]
    if study.language not in known:
        raise StudyError(
            f"The study '{study.name}' has language = \"{study.language}\", which the rating page does not speak. "
            f"Write {' or '.join(known)}, leave it out to take the browser's, or add a file to arena/pages/messages/."
        ).at("language")


def _check_gates(study: Study) -> None:
    gates = study.gates
    if gates is None:
        return
    if not gates.declared:
        raise StudyError("[gates] declares no gate. Write one, or take the table out.").at("gates")
    checks = sum(pair.attention for pair in study.gold)
    if gates.gold_pass is not None and checks == len(study.gold):
        others = "but attention checks, which have a gate of their own" if checks else "at all"
        raise StudyError(
            f"[gates] has gold_pass, and there are no [[gold]] pairs {others}. Write some, or take it out."
        ).at("gates", "gold_pass")
    if gates.repeat_agreement is not None:
        _check_repeats(study)
    if gates.attention and checks < ATTENTION_CHECKS:
        raise StudyError(
            f"[gates] has attention = true, and {checks} of the [[gold]] pairs {'is an' if checks == 1 else 'are'} "
            f"attention check{'' if checks == 1 else 's'}: it takes {ATTENTION_CHECKS}. Write attention = true in "
            "more of them, or take it out."
        ).at("gates", "attention")


def _check_repeats(study: Study) -> None:
    if study.repeats == 0:
        raise StudyError(
            "[gates] has repeat_agreement, and no pair is repeated. Write repeats = 0.1 above the tables, or take "
            "it out."
        ).at("gates", "repeat_agreement")
    if min(study.comparisons, study.votes_per_rater) <= _BEFORE_A_REPEAT:
        raise StudyError(
            f"[gates] has repeat_agreement, and no rater is asked enough for a repeat: it comes after more than "
            f"{_BEFORE_A_REPEAT} other pairs. Raise votes_per_rater, ask more prompts, or take it out."
        ).at("gates", "repeat_agreement")
