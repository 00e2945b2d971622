"""A label study's TOML file becomes a `LabelStudy`; what is wrong in it is named with its line.

In: a file, who gives the kept prompt set of a name, and who gives the probes. Out: the declaration, its images drawn.
Nothing is guessed: an unknown key, a missing one and one of another type are refused.
"""

import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from arena.labelling.drawing import draw_items
from arena.labelling.label_study import GoldImage, LabelStudy, LabelStudyError, groups_of
from arena.labelling.matching import Target
from arena.labelling.texts import load_label_messages
from arena.quality import Gates, GatesError
from arena.study_file import lines_named
from arena.study_parts import Crowd
from prompts.errors import quoted
from prompts.probes import ProbeError, ProbeSet, PromptKind, find_probes
from prompts.prompt import PromptSet
from prompts.toml_places import Place

_LONGEST_VALUE = 80

_TYPES: dict[str, str] = {
    "name": "text",
    "title": "text",
    "mode": "single or pair",
    "entrants": "a list of texts",
    "prompts": "text",
    "probes": "text",
    "kinds": "a list of texts",
    "seeds": "a list of whole numbers",
    "sample": "a whole number",
    "sample_seed": "a whole number",
    "labels_per_image": "a whole number",
    "labels_per_rater": "a whole number",
    "repeats": "a number",
    "gold": "tables",
    "gold_share": "a number",
    "gates": "a table",
    "consent": "text",
    "instructions": "text",
    "language": "text",
    "suggest": "true or false",
    "crowd": "a table",
}
_NEEDED = (
    "name",
    "mode",
    "entrants",
    "prompts",
    "probes",
    "sample",
    "labels_per_image",
    "labels_per_rater",
)
_GOLD = {"entrant": "text", "prompt": "text", "seed": "a whole number", "answer": "text", "other": "text"}
_CROWD = {
    "site": "prolific or mturk",
    "slots": "a whole number",
    "minutes": "a whole number",
    "completion_code": "text",
    "screen_out_code": "text",
    "return_url": "text",
}


def read_label_file(
    path: Path, prompt_set: Callable[[str], PromptSet], probes: Callable[[str], ProbeSet] = find_probes
) -> LabelStudy:
    """The label study that the TOML file at `path` declares.

    `prompt_set` gives the ledger's prompt set of a name, `probes` the probes that words mean: their names are what a
    typed answer is held against. The images are drawn here, by `sample_seed`.

    Raises LabelStudyError with file and line, also where the prompts and the probes do not belong together, and what
    `prompt_set` raises for a name it does not know.
    """
    if not path.is_file():
        raise LabelStudyError(f"There is no file {path}. Write one; arena/labelling/README.md shows an example.")
    try:
        written = tomllib.loads(path.read_text(encoding="utf-8"))
    except UnicodeDecodeError as error:
        raise LabelStudyError(f"{path} is not in UTF-8 (byte {error.start}). Save it as UTF-8.") from error
    except tomllib.TOMLDecodeError as error:
        raise LabelStudyError(f"{path} is no TOML: {error}. Mend that place.") from error
    missing = [key for key in _NEEDED if key not in written]
    with lines_named(path):
        _check_keys(written, _TYPES)
        if missing:
            raise LabelStudyError(f"{path} does not say {', '.join(missing)}. Add what is missing; nothing is guessed.")
        return _study(written, prompt_set, probes)


def _study(
    written: Mapping[str, Any], prompt_set: Callable[[str], PromptSet], probes: Callable[[str], ProbeSet]
) -> LabelStudy:
    _check_language(written.get("language", ""))
    asked = _prompts(written, prompt_set)
    targets = _targets(written, asked, probes)
    mode, entrants, seeds = written["mode"], tuple(written["entrants"]), tuple(written.get("seeds", (0,)))
    groups = groups_of(mode, entrants)
    there = len(groups) * len(asked) * len(seeds)
    rng = np.random.default_rng(max(0, written.get("sample_seed", 0)))
    items = draw_items(asked.prompts, groups, seeds, count=written["sample"], rng=rng)
    plain = {key: written[key] for key in written if key not in ("probes", "sample", "gold", "gates", "crowd")}
    lists = {key: tuple(value) for key, value in plain.items() if isinstance(value, list)}
    shares = {key: float(plain[key]) for key in ("repeats", "gold_share") if key in plain}
    parts: dict[str, Any] = {
        "prompts": asked,
        "targets": targets,
        "items": items,
        "gold": tuple(_gold(table, number) for number, table in enumerate(written.get("gold", []))),
        "gates": _gates(written.get("gates")),
        "crowd": _crowd(written.get("crowd")),
    }
    study = LabelStudy(**(plain | lists | shares | parts))
    # Last, for how many there are follows from what the study has checked.
    if not 1 <= written["sample"] <= there:
        what = "images" if mode == "single" else "pairs"
        raise LabelStudyError(
            f"'sample' is {written['sample']:,}, and there are {there:,} {what} ({len(groups)} x {len(asked):,} "
            f"prompts x {len(seeds)} seeds): draw 1 to {there}."
        ).at("sample")
    return study


def _prompts(written: Mapping[str, Any], prompt_set: Callable[[str], PromptSet]) -> PromptSet:
    """The set's prompts of the declared kinds."""
    from dataclasses import replace

    from arena.ledger.errors import UnknownPromptSetError

    try:
        whole = prompt_set(written["prompts"])
    except UnknownPromptSetError as error:
        raise error.at("prompts") from None
    kinds = written.get("kinds", [])
    for number, kind in enumerate(kinds):
        if kind not in set(PromptKind):
            raise LabelStudyError(f"There is no prompt kind {quoted(kind)}. Known kinds: {', '.join(PromptKind)}.").at(
                "kinds", number
            )
    kept = tuple(prompt for prompt in whole if not kinds or prompt.challenge in kinds)
    if not kept:
        found = ", ".join(whole.challenges())
        raise LabelStudyError(f"'{whole.name}' has no prompt of these kinds; it has {found}.").at("kinds")
    return replace(whole, prompts=kept)


def _targets(written: Mapping[str, Any], asked: PromptSet, probes: Callable[[str], ProbeSet]) -> tuple[Target, ...]:
    try:
        known = probes(written["probes"])
    except ProbeError as error:
        raise LabelStudyError(str(error)).at("probes") from error
    keys = {probe.key for probe in known}
    strange = next((prompt for prompt in asked if prompt.category not in keys), None)
    if strange is not None:
        raise LabelStudyError(
            f"The prompt {quoted(strange.text)} of '{asked.name}' has the category {quoted(strange.category)}, which "
            f"is no probe of {quoted(written['probes'])}: whom its image should show is unknown. Name the probes "
            "that the prompts were made from."
        ).at("probes")
    return tuple(Target(key=probe.key, names=probe.names) for probe in known)


def _gold(table: Mapping[str, Any], number: int) -> GoldImage:
    _check_keys(table, _GOLD, ("gold", number))
    missing = [key for key in ("entrant", "prompt") if key not in table]
    if missing:
        raise LabelStudyError(f"[[gold]] does not say {', '.join(missing)}. Add what is missing.").at("gold", number)
    return GoldImage(**table)


def _gates(table: Mapping[str, Any] | None) -> Gates | None:
    if table is None:
        return None
    numbers = {
        key: float(value) if _is_whole(value) and key != "latency_floor_ms" else value for key, value in table.items()
    }
    try:
        return Gates.from_dict(numbers)
    except GatesError as error:
        at_fault = next((key for key in table if key in str(error)), None)
        raise LabelStudyError(str(error)).at(*(("gates",) if at_fault is None else ("gates", at_fault))) from error


def _crowd(table: Mapping[str, Any] | None) -> Crowd | None:
    if table is None:
        return None
    _check_keys(table, _CROWD, ("crowd",))
    missing = [key for key in ("site", "slots", "completion_code") if key not in table]
    if missing:
        raise LabelStudyError(f"[crowd] does not say {', '.join(missing)}. Add what is missing.").at("crowd")
    from arena.study_parts import StudyError

    try:
        return Crowd(**table)
    except StudyError as error:
        raise error.at("crowd") from None


def _check_language(language: str) -> None:
    known = list(load_label_messages())
    if language and language not in known:
        raise LabelStudyError(
            f"The page does not speak {quoted(language)}. Write {' or '.join(known)}, or leave it out to take the "
            "browser's language."
        ).at("language")


def _check_keys(written: Mapping[str, Any], types: Mapping[str, str], table: Place = ()) -> None:
    for key, value in written.items():
        if key not in types:
            known = f"Known keys of [{table[0]}]" if table else "Known keys"
            raise LabelStudyError(f"unknown key {quoted(key)}. {known}: {', '.join(types)}.").at(*table, key)
        if not _fits(types[key], value):
            shown = repr(value) if not isinstance(value, bool) else str(value).lower()
            cut = shown if len(shown) <= _LONGEST_VALUE else f"{shown[: _LONGEST_VALUE - 1]}…"
            raise LabelStudyError(f"'{key}' is {cut}, but must be {types[key]}.").at(*table, key)


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _fits(kind: str, value: object) -> bool:
    checks: dict[str, Callable[[object], bool]] = {
        "text": lambda one: isinstance(one, str),
        "true or false": lambda one: isinstance(one, bool),
        "a number": lambda one: _is_whole(one) or isinstance(one, float),
        "a whole number": _is_whole,
        "a table": lambda one: isinstance(one, dict),
        "tables": lambda one: isinstance(one, list) and all(isinstance(item, dict) for item in one),
        "a list of texts": lambda one: isinstance(one, list) and all(isinstance(item, str) for item in one),
        "a list of whole numbers": lambda one: isinstance(one, list) and all(map(_is_whole, one)),
    }
    return checks[kind](value) if kind in checks else value in kind.split(" or ")
