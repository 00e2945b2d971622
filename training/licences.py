"""Licences: what each one allows us to do with an image, and why.

In: a licence as people write it ("CC-BY-NC-SA-2.0", "cc by-nc 2.0", a creativecommons.org address). Out: a `Licence`
with its split. All Creative Commons licences from 1.0 to 4.0 with their ports, CC0 and the Public Domain Mark are
known, as are some that are refused. Whatever else stands there is an error: no licence is guessed. Pure.
Source: supplement B.1.1 and table 1 of CommonCanvas (arXiv:2310.16825): licences without derivatives are never trained
on, those that forbid commercial use make -NC, the others -C. Port codes: creativecommons.org/licenses/.
"""

import re
import unicodedata
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache

from prompts.errors import CanvasError


class UnknownLicenceError(CanvasError):
    """A licence that this module does not know, or that is not named exactly enough."""


class Split(StrEnum):
    """The four licence splits. Every source image falls into exactly one."""

    COMMERCIAL = "commercial"
    NON_COMMERCIAL = "non-commercial"
    EVALUATION_ONLY = "evaluation-only"
    REFUSED = "refused"


class Collection(StrEnum):
    """What one model is trained on: C is the commercial split; NC contains it and adds the non-commercial one."""

    C = "commercial"
    NC = "non-commercial"

    @property
    def splits(self) -> tuple[Split, ...]:
        """The licence splits that the collection is made of. None of them holds an ND image."""
        return (Split.COMMERCIAL,) if self is Collection.C else (Split.COMMERCIAL, Split.NON_COMMERCIAL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Licence:
    """A licence under its one name ("CC-BY-NC-SA-2.0-DE"), its address, its split, and the reason for that split."""

    name: str
    url: str
    split: Split
    reason: str
    asks_attribution: bool


@lru_cache(maxsize=4096)
def read_licence(text: str) -> Licence:
    """The licence that `text` names, in any of its spellings. Raises UnknownLicenceError, which repeats the text."""
    plain = unicodedata.normalize("NFKC", text).strip().casefold()
    if not plain:
        raise UnknownLicenceError(
            "No licence is given: write one such as CC-BY-SA-4.0, or leave the image out of the catalogue."
        )
    words = _words_of_address(plain) if "creativecommons.org" in plain else _words_of_name(plain)
    if words is not None and (licence := _public_domain(words) or _refused(words) or _creative_commons(words)):
        return licence
    raise UnknownLicenceError(
        f"Unknown licence '{text}': write it with its version, as CC-BY-SA-4.0 or CC0-1.0, "
        "or as its address at creativecommons.org, or leave the image out of the catalogue."
    )


_PORT = re.compile(
    "am|ar|at|au|az|be|bg|br|ca|ch|cl|cn|co|cr|cz|de|dk|ec|ee|eg|es|fi|fr|ge|gr|gt|hk|hr|hu|ie|igo|"
    "il|in|it|jp|kr|lu|mk|mt|mx|my|nl|no|nz|pe|ph|pl|pr|pt|ro|rs|scotland|se|sg|si|th|tw|ug|uk|us|ve|vn|za"
)
_VERSIONS = ("1.0", "2.0", "2.1", "2.5", "3.0", "4.0")
# What follows the licence itself in an address, or says nothing in a name.
_PAGES = ("deed", "legalcode", "rdf")
_SILENT_WORDS = re.compile("cc|licence|license|international|unported|generic|universal|works")
_LONG_WORDS = (
    (r"creative[\s-]*commons", "cc"),
    (r"attribution", "by"),
    (r"non[\s-]*commercial", "nc"),
    (r"no[\s-]*deriv(?:ative)?s?", "nd"),
    (r"share[\s-]*alike", "sa"),
    (r"\bcc[\s-]*(?:0|zero)\b", "zero"),
    (r"public[\s-]*domain[\s-]*mark|\bpdm\b", "mark"),
    (r"public[\s-]*domain[\s-]*dedication|\bpddc\b", "certification"),
    (r"sampling[\s-]*(?:\+|plus)", "sampling+"),
)
_WORD = re.compile(r"[a-z]+\+?|\d+\.\d+")
_BETWEEN_WORDS = re.compile(r"[\s,()_/-]*")


def _words_of_address(address: str) -> list[str] | None:
    """The telling parts of a creativecommons.org address, in the order family, version, port."""
    found = re.fullmatch(
        r"(?:(?:https?:)?//)?(?:www\.)?creativecommons\.org/(?:licenses|publicdomain)/([^?#]*)(?:[?#].*)?", address
    )
    if found is None:
        return None
    parts = [part for part in found[1].split("/") if part and not part.startswith(_PAGES)]
    if not parts:
        return None
    family = [parts[0]] if parts[0].endswith("+") else parts[0].split("-")
    return [*family, *parts[1:]]


def _words_of_name(name: str) -> list[str] | None:
    """The telling words of a licence's name; None where something stands between them that is no word of a name."""
    for long, short in _LONG_WORDS:
        name = re.sub(long, short, name)
    if not all(_BETWEEN_WORDS.fullmatch(gap) for gap in _WORD.split(name)):
        return None
    return [word for word in _WORD.findall(name) if not _SILENT_WORDS.fullmatch(word)]


def _public_domain(words: list[str]) -> Licence | None:
    """CC0, the Public Domain Mark, and the retired dedication; each exists in one version, which may be left out."""
    match words:
        case ["zero"] | ["zero", "1.0"] | ["zero", "1.0", "us"]:
            name, path, reason = "CC0-1.0", "zero/1.0", "its author waived all rights"
        case ["mark"] | ["mark", "1.0"]:
            name, path, reason = "CC-PDM-1.0", "mark/1.0", "it is free of known copyright"
        case ["certification", "1.0", "us"] | ["certification"]:
            name, path, reason = "CC-PDDC-1.0-US", "certification/1.0/us", "its author dedicated it to the public"
        case _:
            return None
    return Licence(
        name=name,
        url=f"https://creativecommons.org/publicdomain/{path}/",
        split=Split.COMMERCIAL,
        reason=reason,
        asks_attribution=False,
    )


def _refused(words: list[str]) -> Licence | None:
    """Licences and statements that we know and that give no leave to train or to show."""
    parts_only = "it allows only parts of the work to be used"
    match words:
        case ["sampling" | "sampling+" as family, "1.0", *_]:
            return _refused_licence(family, "1.0", parts_only)
        case ["nc-sampling+", "1.0", *_] | ["nc", "sampling+", "1.0", *_]:
            return _refused_licence("nc-sampling+", "1.0", parts_only)
        case ["devnations", "2.0"]:
            return _refused_licence("devnations", "2.0", "it holds in developing nations alone")
        case ["all", "rights", "reserved"]:
            return _statement("All rights reserved", "its author gives no leave to use it")
        case ["no", "known", "copyright", "restrictions"]:
            return _statement("No known copyright restrictions", "this is a finding, not a licence")
        case _:
            return None


def _refused_licence(family: str, version: str, reason: str) -> Licence:
    url = f"https://creativecommons.org/licenses/{family}/{version}/"
    return Licence(name=f"CC-{family}-{version}", url=url, split=Split.REFUSED, reason=reason, asks_attribution=True)


def _statement(name: str, reason: str) -> Licence:
    return Licence(name=name, url="", split=Split.REFUSED, reason=reason, asks_attribution=True)


def _creative_commons(words: list[str]) -> Licence | None:
    """One of the licences made of the elements BY, NC, ND and SA; None where no such licence was ever published."""
    numbers = [place for place, word in enumerate(words) if word in _VERSIONS]
    if len(numbers) != 1:
        return None
    family, version, port = words[: numbers[0]], words[numbers[0]], words[numbers[0] + 1 :]
    elements = set(family)
    no_such_port = bool(port) and (version == "4.0" or len(port) > 1 or not _PORT.fullmatch(port[0]))
    if len(elements) < len(family) or not elements <= {"by", "nc", "nd", "sa"} or no_such_port:
        return None
    # Attribution was optional in 1.0, and in Japan's 2.0; 2.1 was published in ports only.
    by_is_optional = version == "1.0" or (version == "2.0" and port == ["jp"])
    if not elements or {"nd", "sa"} <= elements or ("by" not in elements and not by_is_optional):
        return None
    if version == "2.1" and not port:
        return None
    split, reason = _split_of(elements)
    # Version 1.0 put ND before NC in its addresses.
    order = ("by", "nd", "nc", "sa") if version == "1.0" else ("by", "nc", "nd", "sa")
    path = "/".join(["-".join(element for element in order if element in elements), version, *port])
    name = "-".join(["cc", *(element for element in ("by", "nc", "nd", "sa") if element in elements), version, *port])
    return Licence(
        name=name.upper(),
        url=f"https://creativecommons.org/licenses/{path}/",
        split=split,
        reason=reason,
        asks_attribution="by" in elements,
    )


def _split_of(elements: set[str]) -> tuple[Split, str]:
    if "nd" in elements:
        return Split.EVALUATION_ONLY, "it allows no derivatives (ND), so it is never trained on"
    if "nc" in elements:
        return Split.NON_COMMERCIAL, "it allows derivatives, but no commercial use (NC)"
    return Split.COMMERCIAL, "it allows derivatives and commercial use"
