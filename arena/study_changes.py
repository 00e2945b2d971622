"""What an edited study file says that the opened study does not, with its lines.

In: the study as it was opened, and the declaration that its file makes now. Out: the changes in words, and the refusal
that names them.
"""

import shlex
from collections.abc import Iterator
from itertools import zip_longest
from pathlib import Path
from typing import Any

from arena.canonical import canonical_json
from arena.ledger.errors import StudyChangedError, StudyClosedError
from arena.ledger.records import StudyRecord
from arena.study import Study
from arena.study_workable import usual_votes
from prompts.toml_places import Place, places

#: Longer values are left to the file, and to `canvas arena study show`.
_LONGEST_VALUE = 40


def refusal(opened: StudyRecord, study: Study, file: Path | None = None) -> StudyChangedError | StudyClosedError:
    """Why `study` cannot open as it is, where its name stands for `opened`: another declaration, or the same, closed.

    With the `file` that makes `study`, each change has its line, and the remedy is a whole command.
    """
    flag = "--new-version" if file is None else f"canvas arena study open {shlex.quote(str(file))} --new-version"
    anew = f"as version {opened.version + 1}"
    if opened.hash == study.hash:
        return StudyClosedError(
            f"The study '{study.name}' was closed on {opened.closed_at:%Y-%m-%d}. Open it anew, {anew} with its own "
            f"votes: {flag}"
        )
    if file is None:
        frozen, now = opened.study.to_dict(), study.to_dict()
        # A stopping rule stands in a declaration only where there is one.
        said = "its file now says something else about " + ", ".join(
            key for key in {**frozen, **now} if frozen.get(key) != now.get(key)
        )
    else:
        changes = changes_in_words(file.read_text(encoding="utf-8"), before=opened.study, after=study)
        said = f"{file} now says something else: {changes}"
    closing = f" and closes version {opened.version}" if opened.is_open else ""
    return StudyChangedError(
        f"The study '{study.name}' is frozen since it was opened on {opened.opened_at:%Y-%m-%d}, and {said}. "
        f"Put it back, or open it {anew}, which starts without votes{closing}: {flag}"
    )


def changes_in_words(text: str, *, before: Study, after: Study) -> str:
    """As in "line 8 (delta, was 0.05); line 12 (gates.latency_share)", in the order of the file; "" for none.

    A key that the file does not have any more comes last, without a line.
    """
    frozen, now = before.to_dict(), after.to_dict()
    sets = _prompt_set(before), _prompt_set(after)
    if sets[0] != sets[1] or before.sample != after.sample:
        # The file names the set. Other prompts of the same one are what [sample] changed.
        frozen["prompts"], now["prompts"] = sets
    lines = places(text)
    if ("votes_per_rater",) not in lines and before.votes_per_rater == usual_votes(before):
        # The file says it neither then nor now: it follows from what did change.
        del frozen["votes_per_rater"], now["votes_per_rater"]
    changed = [(lines.get(path), path, value) for path, value in _changed(frozen, now)]
    changed.sort(key=lambda change: (change[0] is None, change[0] or 0))
    return "; ".join(
        f"line {line} ({_name(path)}{_was(value)})" if line else f"{_name(path)} is gone{_was(value)}"
        for line, path, value in changed
    )


def _prompt_set(study: Study) -> str:
    """The name as in the file: a sample has one of its own, made of that of its set."""
    name, sample = study.prompts.name, study.sample
    return name if sample is None else name.removesuffix(f"-{sample.size}-seed{sample.seed}")


def _changed(before: Any, after: Any, path: Place = ()) -> Iterator[tuple[Place, Any]]:
    """Where the two differ, as far inside as both have the same parts, with the value before."""
    if before == after:
        return
    if path != ("prompts",) and isinstance(before, dict) and isinstance(after, dict):
        for key in {**before, **after}:
            yield from _changed(before.get(key), after.get(key), (*path, key))
    elif _are_tables(before) and _are_tables(after):
        for number, (one, other) in enumerate(zip_longest(before, after)):
            yield from _changed(one, other, (*path, number))
    else:
        yield path, before


def _are_tables(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(one, dict) for one in value)


def _name(path: Place) -> str:
    """As in "gates.left_share_p"; tables of one name are counted from 1, as people do: "gold 2.better"."""
    words = [f" {step + 1}" if isinstance(step, int) else f".{step}" for step in path]
    return "".join(words).removeprefix(".")


def _was(value: Any) -> str:
    if isinstance(value, (dict, type(None))):
        return ""
    written = canonical_json(value)
    return f", was {written}" if len(written) <= _LONGEST_VALUE else ""
