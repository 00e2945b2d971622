"""How often texts name a character, a brand or a person: captions that do teach a model whom they show.

In: texts, and the probes whose names and aliases are the word lists (a user's own file of probes adds others). Out: how
many texts name anybody, by target, with an interval and examples. A name counts where `prompts.probes.name_pattern`
finds it, so that "a frozen lake" names nobody; one that is also an everyday phrase (EVERYDAY) counts only where it is
written as a name: "a Red Bull on the shelf", and not "a red bull in a field". Pure.

What is missed on purpose: whoever stands in no list, and short names that are words or other people's names as well and
stand in no probe ("hulk", "mario", "nemo" alone; "Mickey" counts only as SHORT says). What is counted though it may be
somebody else: single names that a probe does list ("Darwin" in Australia, "Serena" at the beach). The share is meant as
a lower bound, to be read with its examples.

A text is looked up word by word in an index of the names' rarest words, and only where one is met are the names
themselves tried: a million captions take seconds.
Source of the interval: Wilson (1927), doi:10.1080/01621459.1927.10502953.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from math import sqrt
from statistics import NormalDist
from typing import Any, NamedTuple

from prompts.probes import DATA, Probe, TargetKind, name_pattern, read_probe_file

EXAMPLES = 10
#: Names that are everyday phrases too.
EVERYDAY = frozenset(
    {
        "golden arches",
        "happy meal",
        "king of the monsters",
        "kitty white",
        "man of steel",
        "marshmallow man",
        "master card",
        "mighty atom",
        "mystery machine",
        "night fury",
        "papa bear and mama bear",
        "prancing horse",
        "red bull",
        "the little tramp",
    }
)
#: Short names, by the target's name, that only texts are scanned for. No probe lists them: "E.T." because typed answers
#: are matched without its dots, "Mickey" because others have it too.
SHORT: dict[str, tuple[str, ...]] = {"Mickey Mouse": ("Mickey",), "E.T. the Extra-Terrestrial": ("E.T.",)}
#: First names: they count where they are written as a name and no surname follows, as in "Mickey's house".
FIRST = frozenset({"mickey"})
_SURNAME = re.compile(r"[\s_]+[^\W\d_]")
_SHORT = 3  # "of" and "the" stay small in a name
# Underscores hold the words of file names together and are no letters of a name.
_WORD = re.compile(r"[^\W_]+")
_CURLY = str.maketrans("’ʼ‘", "'''")


@dataclass(frozen=True, slots=True, kw_only=True)
class Named:
    """One target that a text names: the probe's key and kind, and the words as they stand in the text."""

    probe: str
    target: TargetKind
    words: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedText:
    """A text that names someone; `place` is which of the texts it was, counted from 0, and `id` what it is called."""

    place: int
    id: str
    text: str
    named: tuple[Named, ...]

    def to_dict(self) -> dict[str, Any]:
        """As JSON values."""
        return {
            "place": self.place,
            "id": self.id,
            "text": self.text,
            "names": [{"probe": one.probe, "target": str(one.target), "words": one.words} for one in self.named],
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class NameScan:
    """What a scan found: of `texts` texts, `named` name one target or more.

    `targets` counts, by the probe's key, the texts that name it, the most named first; `kinds` does so by kind of
    target. `low` and `high` are Wilson's interval of `share` at `level`. `examples` are the first texts that name each
    of the most named targets.
    """

    texts: int
    named: int
    targets: dict[str, int]
    kinds: dict[TargetKind, int]
    low: float
    high: float
    level: float
    examples: tuple[NamedText, ...]

    @property
    def share(self) -> float:
        """The share of texts that name someone; 0 where there is no text."""
        return self.named / self.texts if self.texts else 0.0

    def to_dict(self) -> dict[str, Any]:
        """As JSON values."""
        return {
            "texts": self.texts,
            "named": self.named,
            "share": self.share,
            "interval": [self.low, self.high],
            "level": self.level,
            "kinds": {str(kind): count for kind, count in self.kinds.items()},
            "targets": self.targets,
            "examples": [one.to_dict() for one in self.examples],
        }


class _Entry(NamedTuple):
    """A name in the index; `order` is its probe's place."""

    order: int
    pattern: re.Pattern[str]
    probe: Probe
    everyday: bool
    first: bool

    def words_in(self, text: str) -> str:
        """The name as it stands in `text`; "" where it does not."""
        if self.first:
            hits = (hit for hit in self.pattern.finditer(text) if hit[0][0].isupper() and not hit[0].isupper())
            return next((hit[0] for hit in hits if not _has_surname(text, hit.end())), "")
        for hit in self.pattern.finditer(text) if self.everyday else ():
            if _is_written_as_name(hit[0]) and not _is_written_as_name(text):
                return hit[0]
        found = None if self.everyday else self.pattern.search(text)
        return found[0] if found else ""


class NameFinder:
    """Finds the names of many probes in a text at once."""

    def __init__(self, probes: Iterable[Probe]) -> None:
        """Index the names by a word of theirs that few texts hold: the longest."""
        self._at: dict[str, list[_Entry]] = {}
        for order, probe in enumerate(probes):
            for name in (*probe.names, *SHORT.get(probe.name, ())):
                words, folded = _words(_plain(name)), name.casefold()
                entry = _Entry(order, name_pattern(_plain(name)), probe, folded in EVERYDAY, folded in FIRST)
                key = max(words, key=len)
                # A plural or possessive s may stand at the end of the name's last word.
                for word in {key, f"{key}s"} if key == words[-1] else {key}:
                    self._at.setdefault(word, []).append(entry)
        self._keys = frozenset(self._at)

    def find(self, text: str) -> tuple[Named, ...]:
        """The targets that `text` names, in the probes' order, each once and by its longest name found there."""
        plain = text if text.isascii() else _plain(text)
        met = self._keys.intersection(_words(plain))
        if not met:
            return ()
        found: dict[int, Named] = {}
        for entry in (entry for word in met for entry in self._at[word]):
            words = entry.words_in(plain)
            if words and (entry.order not in found or len(words) > len(found[entry.order].words)):
                found[entry.order] = Named(probe=entry.probe.key, target=entry.probe.target, words=words)
        return tuple(found[order] for order in sorted(found))


class NameTally:
    """Counts the texts that name someone, as they come by; none but the examples is kept."""

    def __init__(self, finder: NameFinder) -> None:
        """Nothing is counted yet."""
        self._finder = finder
        self._texts = 0
        self._named = 0
        self._targets: Counter[str] = Counter()
        self._kinds: Counter[TargetKind] = Counter()
        self._first: dict[str, NamedText] = {}

    def add(self, text: str, id: str = "") -> None:
        """Count one more text; `id` is what it is called, if it is called anything."""
        if found := self._finder.find(text):
            self._named += 1
            self._kinds.update({one.target for one in found})
            self._targets.update(one.probe for one in found)
            for one in found:
                if one.probe not in self._first:
                    self._first[one.probe] = NamedText(place=self._texts, id=id, text=text, named=found)
        self._texts += 1

    def result(self, *, examples: int = EXAMPLES, level: float = 0.95) -> NameScan:
        """What was counted until now."""
        targets = dict(self._targets.most_common())
        interval = wilson_interval(self._named, self._texts, level=level)
        return NameScan(
            texts=self._texts,
            named=self._named,
            targets=targets,
            kinds={kind: self._kinds[kind] for kind in TargetKind},
            low=interval.low,
            high=interval.high,
            level=level,
            # One text may be the first for several targets.
            examples=tuple({self._first[key].place: self._first[key] for key in targets}.values())[:examples],
        )


def scan(
    texts: Iterable[str], probes: Iterable[Probe] | NameFinder, *, examples: int = EXAMPLES, level: float = 0.95
) -> NameScan:
    """Count the texts that name the probes' targets; they are read one by one and need not fit into memory."""
    tally = NameTally(probes if isinstance(probes, NameFinder) else NameFinder(probes))
    for text in texts:
        tally.add(text)
    return tally.result(examples=examples, level=level)


@cache
def known_names() -> NameFinder:
    """The names of every target in the house's own probe sets."""
    return NameFinder(probe for path in sorted(DATA.glob("*.toml")) for probe in read_probe_file(path))


@dataclass(frozen=True, slots=True, kw_only=True)
class ShareInterval:
    """An interval of a share, within [0, 1]."""

    low: float
    high: float


def wilson_interval(hits: float, of: int, *, level: float = 0.95) -> ShareInterval:
    """Wilson's score interval of the share `hits` / `of`; the whole of [0, 1] where there is nothing to count."""
    if not of:
        return ShareInterval(low=0.0, high=1.0)
    z = NormalDist().inv_cdf((1 + level) / 2)
    share = hits / of
    centre = (share + z * z / (2 * of)) / (1 + z * z / of)
    reach = z / (1 + z * z / of) * sqrt(share * (1 - share) / of + z * z / (4 * of * of))
    # At the ends the formula gives 0 and 1 but for rounding.
    low = 0.0 if share == 0 else max(0.0, centre - reach)
    high = 1.0 if share == 1 else min(1.0, centre + reach)
    return ShareInterval(low=low, high=high)


def _plain(text: str) -> str:
    """One spelling for letters with accents and for apostrophes."""
    return unicodedata.normalize("NFC", text).translate(_CURLY)


def _is_written_as_name(text: str) -> bool:
    """Whether all its words begin with a capital; a whole text that does so is a title and tells nothing."""
    return all(word[0].isupper() or len(word) <= _SHORT for word in _WORD.findall(text))


def _has_surname(text: str, end: int) -> bool:
    """Whether a word with a capital follows at `end`."""
    following = _SURNAME.match(text, end)
    return following is not None and following[0][-1].isupper()


def _words(text: str) -> list[str]:
    return _WORD.findall(text.casefold())
