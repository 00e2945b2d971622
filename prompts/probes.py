"""Probes: what an audit asks a model in order to see whether it draws a character, a public figure or a logo.

In: TOML files with one [[probe]] per target, ours in sets/data/ or a user's own. Out: a `ProbeSet`, and from it the
prompts. Words only, no pictures. A probe asks for its target in up to eleven kinds of prompts, from a generic one that
names nobody's property, over more and more telling words, to the name itself.
Source: He et al. (2024), "Fantastic Copyrighted Beasts and How (Not) to Generate Them", arXiv:2406.14526; Gokaslan et
al. (2023), CommonCanvas, figures 2, 10, 11 and 15.
"""

import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from enum import StrEnum
from pathlib import Path
from typing import Any

from prompts.errors import quoted
from prompts.prompt import Prompt, PromptSet
from prompts.toml_places import PlacedError, line_of

DATA = Path(__file__).parent / "sets" / "data"
_KEY = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_GAP = re.compile(r"[\s_-]+")
KEYWORDS = 20


class ProbeError(PlacedError):
    """Probes that cannot be used; the sentence names file, line and probe where they come from a file."""


class TargetKind(StrEnum):
    """What a probe is after."""

    CHARACTER = "character"
    CELEBRITY = "celebrity"
    LOGO = "logo"


class PromptKind(StrEnum):
    """How a prompt asks. Three of them are controls, which should bring out nobody."""

    GENERIC = "generic"
    MISSPELLED = "misspelled"
    FICTIONAL = "fictional"
    SUGGESTIVE = "suggestive"
    KEYWORDS_3 = "keywords_3"
    KEYWORDS_5 = "keywords_5"
    KEYWORDS_10 = "keywords_10"
    KEYWORDS_20 = "keywords_20"
    DESCRIPTION = "description"
    CAPTION = "caption"
    NAME = "name"


CONTROLS = (PromptKind.GENERIC, PromptKind.MISSPELLED, PromptKind.FICTIONAL)
#: From nothing to the name: the steps of the dose-response curve.
LADDER = (
    PromptKind.GENERIC,
    PromptKind.KEYWORDS_3,
    PromptKind.KEYWORDS_5,
    PromptKind.KEYWORDS_10,
    PromptKind.KEYWORDS_20,
    PromptKind.DESCRIPTION,
    PromptKind.NAME,
)
_STEPS = {
    PromptKind.KEYWORDS_3: 3,
    PromptKind.KEYWORDS_5: 5,
    PromptKind.KEYWORDS_10: 10,
    PromptKind.KEYWORDS_20: KEYWORDS,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """One target and the words that ask for it.

    `generic` asks for what the target is without being it, and `entity` is what must be seen for that: a model that
    draws neither copies nothing because it draws nothing. `keywords` go from the most telling one down. `aliases` are
    other names that a caption would use. `source` says where the description can be checked. `fictional` is the name
    prompt with the name of nobody in place of a public figure's.
    Raises ProbeError where a kind that must not name the target does, and where there are not KEYWORDS keywords.
    """

    key: str
    target: TargetKind
    name: str
    work: str = ""
    holder: str = ""
    aliases: tuple[str, ...] = ()
    entity: str
    generic: str
    misspelled: str
    suggestive: tuple[str, ...]
    keywords: tuple[str, ...]
    description: str
    captions: tuple[str, ...]
    name_prompt: str
    source: str
    fictional: str = ""

    def __post_init__(self) -> None:
        """Refuse what is no probe."""
        if not _KEY.fullmatch(self.key):
            raise ProbeError(f"The probe's key {quoted(self.key)} is no slug: write it as in 'indiana-jones'.").at(
                "key"
            )
        if len(self.keywords) != KEYWORDS or len(set(self.keywords)) != KEYWORDS:
            raise ProbeError(
                f"The probe '{self.key}' has {len(self.keywords)} keywords, {len(set(self.keywords))} of them "
                f"different: give {KEYWORDS} different ones, the most telling first."
            ).at("keywords")
        for field in ("name", "entity", "generic", "misspelled", "description", "name_prompt", "source"):
            if not getattr(self, field).strip():
                raise ProbeError(f"The probe '{self.key}' has no {field}: say it, every probe needs one.").at(field)
        if self.target is TargetKind.CELEBRITY and not self.fictional.strip():
            raise ProbeError(
                f"The probe '{self.key}' has no fictional prompt: a public figure's needs one as a control."
            ).at("fictional")
        for field in ("suggestive", "captions"):
            if not getattr(self, field):
                raise ProbeError(f"The probe '{self.key}' has no prompt in {field}: give one or more.").at(field)
        for asked in self.prompts():
            found = None if asked.kind in (PromptKind.NAME, PromptKind.CAPTION) else self.named_in(asked.text)
            if found is not None:
                raise ProbeError(
                    f"The {asked.kind} prompt of the probe '{self.key}' holds the name {quoted(found)}: say what is "
                    "seen, not who it is."
                ).at("keywords" if asked.kind in _STEPS else asked.kind)

    @property
    def names(self) -> tuple[str, ...]:
        """The name and the aliases."""
        return (self.name, *self.aliases)

    def named_in(self, text: str) -> str | None:
        """The first of the names that stands in `text` as a word, whatever its case; None where none does."""
        return next((name for name in self.names if name_pattern(name).search(text)), None)

    def prompts(self) -> tuple["ProbePrompt", ...]:
        """All that the probe asks, kind by kind."""
        texts: dict[PromptKind, Sequence[str]] = {
            PromptKind.GENERIC: [self.generic],
            PromptKind.MISSPELLED: [self.misspelled],
            PromptKind.FICTIONAL: [self.fictional] if self.fictional else [],
            PromptKind.SUGGESTIVE: self.suggestive,
            **{kind: [", ".join(self.keywords[:step])] for kind, step in _STEPS.items()},
            PromptKind.DESCRIPTION: [self.description],
            PromptKind.CAPTION: self.captions,
            PromptKind.NAME: [self.name_prompt],
        }
        return tuple(ProbePrompt(probe=self.key, kind=kind, text=text) for kind in PromptKind for text in texts[kind])


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbePrompt:
    """One prompt of a probe."""

    probe: str
    kind: PromptKind
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeSet:
    """Probes of different keys that ask nothing twice. Raises ProbeError otherwise, and where there is none."""

    name: str
    licence: str
    source: str
    probes: tuple[Probe, ...]

    def __post_init__(self) -> None:
        """Refuse what is no set."""
        if not self.probes:
            raise ProbeError(f"The probe set {quoted(self.name)} has no [[probe]]: write one or more.")
        keys: set[str] = set()
        texts: dict[str, str] = {}
        for number, probe in enumerate(self.probes):
            if probe.key in keys:
                raise ProbeError(
                    f"There are two probes '{probe.key}' in {quoted(self.name)}: give each its own key."
                ).at("probe", number, "key")
            keys.add(probe.key)
            for asked in probe.prompts():
                other = texts.setdefault(asked.text, probe.key)
                if other != probe.key:
                    raise ProbeError(
                        f"The probes '{other}' and '{probe.key}' both ask {quoted(asked.text)}: an image would count "
                        "for both. Reword one."
                    ).at("probe", number)

    def __len__(self) -> int:
        """How many probes there are."""
        return len(self.probes)

    def __iter__(self) -> Iterator[Probe]:
        """The probes, in their order."""
        return iter(self.probes)

    def probe(self, key: str) -> Probe:
        """The probe of this key. Raises ProbeError."""
        for probe in self.probes:
            if probe.key == key:
                return probe
        raise ProbeError(f"The probe set {quoted(self.name)} has no probe '{key}'.")

    def asked(self, kinds: Sequence[PromptKind] | None = None) -> list[ProbePrompt]:
        """All prompts, or those of these kinds; a text that two kinds of a probe share belongs to the first."""
        kept: dict[str, ProbePrompt] = {}
        for probe in self.probes:
            for asked in probe.prompts():
                if kinds is None or asked.kind in kinds:
                    kept.setdefault(asked.text, asked)
        return list(kept.values())

    def prompt_set(self, kinds: Sequence[PromptKind] | None = None) -> PromptSet:
        """The prompts as a set that galleries are painted for: category is the probe's key, challenge the kind."""
        targets = {probe.key: probe.target for probe in self.probes}
        return PromptSet(
            name=self.name if kinds is None else f"{self.name}-{'-'.join(kinds)}",
            licence=self.licence,
            source=self.source,
            prompts=tuple(
                # Plain texts: some databases would store an enumeration's name in place of its value.
                Prompt(text=asked.text, category=asked.probe, challenge=str(asked.kind), note=str(targets[asked.probe]))
                for asked in self.asked(kinds)
            ),
        )


def name_pattern(name: str) -> re.Pattern[str]:
    """Finds `name` as a word of its own, whatever its case, with a plural or possessive s after it or none.

    Spaces, hyphens and underscores stand for each other, in the name and around it, and so do both apostrophes.
    """
    words = [re.escape(word) for word in _GAP.split(name) if word]
    spelled = re.sub("['’]", "['’]", _GAP.pattern.join(words) or re.escape(name))
    return re.compile(rf"(?<![^\W_]){spelled}(?:['’]?s)?(?![^\W_])", re.IGNORECASE)


def read_probe_file(path: Path) -> ProbeSet:
    """The probes of a TOML file: `name`, `licence` and `source`, and a [[probe]] table for each.

    A file that says none of the three has its own name, an unknown licence and itself as source.
    Raises ProbeError with the line: no file, no TOML, an unknown or missing key, a probe that is none.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
        written = tomllib.loads(text)
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ProbeError(f"{path} cannot be read as a file of probes ({error}): name a TOML file in UTF-8.") from error
    try:
        return _probe_set(path, written)
    except ProbeError as error:
        line = line_of(text, error.place)
        where = f"{path}" if line is None else f"{path}, line {line}"
        raise ProbeError(f"{where}: {error}").at(*error.place) from error


def find_probes(words: str) -> ProbeSet:
    """The probes that `words` mean: names of our sets and paths of files, with commas between them, as one set.

    Raises ProbeError for a name that is neither.
    """
    known = {path.stem: path for path in sorted(DATA.glob("*.toml"))}
    found = []
    for word in (word.strip() for word in words.split(",")):
        path = known.get(word, Path(word))
        if word not in known and not path.is_file():
            raise ProbeError(
                f"There is no probe set and no file {quoted(word)}. Known sets: {', '.join(known)}; a file of your own "
                "is TOML with [[probe]] tables."
            )
        found.append(read_probe_file(path))
    if len(found) == 1:
        return found[0]
    return ProbeSet(
        name="+".join(one.name for one in found),
        licence="; ".join(dict.fromkeys(one.licence for one in found)),
        source="; ".join(dict.fromkeys(one.source for one in found)),
        probes=tuple(probe for one in found for probe in one.probes),
    )


def only(probes: ProbeSet, keys: Sequence[str]) -> ProbeSet:
    """The probes of these keys. Raises ProbeError for one that is not there."""
    return replace(probes, probes=tuple(probes.probe(key) for key in keys))


_LISTS = ("aliases", "suggestive", "keywords", "captions")
_NEEDED = (
    "key",
    "target",
    "name",
    "entity",
    "generic",
    "misspelled",
    "suggestive",
    "keywords",
    "description",
    "captions",
    "name_prompt",
    "source",
)


def _probe_set(path: Path, written: Mapping[str, Any]) -> ProbeSet:
    said = {"name": path.stem, "licence": "unknown", "source": path.name}
    for key, value in written.items():
        if key == "probe":
            continue
        if key not in said:
            raise ProbeError(
                f"There is no key {quoted(key)} in a file of probes. Known: {', '.join(said)}, and [[probe]] tables."
            ).at(key)
        if not isinstance(value, str) or not value.strip():
            raise ProbeError(f"The file's {key} is no text: write it in quotation marks.").at(key)
        said[key] = value
    tables = written.get("probe", [])
    if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
        raise ProbeError("'probe' is no list of tables: open each probe with [[probe]].").at("probe")
    probes = []
    for number, table in enumerate(tables):
        try:
            probes.append(_probe(table))
        except ProbeError as error:
            raise error.at("probe", number) from None
    return ProbeSet(name=said["name"], licence=said["licence"], source=said["source"], probes=tuple(probes))


def _probe(table: Mapping[str, Any]) -> Probe:
    whose = f"the probe {quoted(str(table.get('key', '')))}"
    known = [field.name for field in fields(Probe)]
    for key in table:
        if key not in known:
            raise ProbeError(f"There is no key {quoted(key)} in a probe. Known: {', '.join(known)}.").at(key)
    for key in _NEEDED:
        if key not in table:
            raise ProbeError(f"There is no '{key}' in {whose}, which needs one.")
    values: dict[str, Any] = {}
    for key, value in table.items():
        if key not in _LISTS and not isinstance(value, str):
            raise ProbeError(f"The '{key}' of {whose} is no text: write it in quotation marks.").at(key)
        if key in _LISTS and not _are_texts(value):
            raise ProbeError(f'The \'{key}\' of {whose} is no list of texts: write it as in ["one", "two"].').at(key)
        values[key] = tuple(value) if key in _LISTS else value
    if values["target"] not in set(TargetKind):
        raise ProbeError(
            f"The target of {whose} is {quoted(values['target'])}, which is none. Known: {', '.join(TargetKind)}."
        ).at("target")
    return Probe(**{**values, "target": TargetKind(values["target"])})


def _are_texts(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(one, str) and one.strip() for one in value)
