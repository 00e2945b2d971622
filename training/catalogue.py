"""The catalogue: which source images there are, whose they are, and under which licence.

A source is a folder with the image files and catalogue.jsonl, one JSON object per image. Every row is checked when it
is read, and an error names the file and the line. Attribution lines follow Creative Commons' TASL: title, author,
source, licence (wiki.creativecommons.org/wiki/Best_practices_for_attribution).
"""

import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, fields
from pathlib import Path, PurePosixPath
from typing import Any

from prompts.errors import CanvasError
from training.licences import read_licence
from training.stage import CATALOGUE, write_atomically


class CatalogueError(CanvasError):
    """A catalogue that cannot be read, or a row that is not a source image."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceImage:
    """One image of a source: `file` is relative to the source's folder, `origin` is the address it came from.

    `caption` is the text that came with it (alt text; may be empty), `licence` is as its author wrote it.
    """

    id: str
    file: str
    caption: str
    licence: str
    author: str
    origin: str
    title: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Attribution:
    """Whom to thank for one image. `licence` is the licence's one name, `licence_url` its address."""

    id: str
    title: str
    author: str
    origin: str
    licence: str
    licence_url: str

    @property
    def line(self) -> str:
        """Title, author, source and licence in one line of text."""
        work = f'"{_one_line(self.title)}"' if self.title.strip() else f"Image {_one_line(self.id)}"
        author = f" by {_one_line(self.author)}" if self.author.strip() else ""
        origin = f", {_one_line(self.origin)}" if self.origin.strip() else ""
        url = f" ({self.licence_url})" if self.licence_url else ""
        return f"{work}{author}{origin}, {self.licence}{url}"

    def to_dict(self) -> dict[str, str]:
        """The parts and the line, for JSON."""
        return {**asdict(self), "line": self.line}


def attribution_of(image_id: str, title: str, author: str, origin: str, licence: str) -> Attribution:
    """The attribution of one image; `licence` in any spelling. Raises UnknownLicenceError."""
    known = read_licence(licence)
    return Attribution(
        id=image_id, title=title, author=author, origin=origin, licence=known.name, licence_url=known.url
    )


def read_catalogue(source: Path) -> Iterator[SourceImage]:
    """The source images of a folder, in the catalogue's order. Raises CatalogueError naming the file and the line."""
    path = source / CATALOGUE
    first_line: dict[str, int] = {}
    for number, row in read_rows(path):
        image = source_image(row, path, number)
        if image.id in first_line:
            raise CatalogueError(
                f"{path}, line {number}: the id '{image.id}' stands in line {first_line[image.id]} already; "
                "every image needs its own id."
            )
        first_line[image.id] = number
        yield image


def write_catalogue(source: Path, images: Iterable[SourceImage]) -> Path:
    """Write `source`/catalogue.jsonl, whole or not at all; the image files are the caller's to put beside it."""
    source.mkdir(parents=True, exist_ok=True)
    path = source / CATALOGUE
    write_atomically(path, b"".join(json_line(asdict(image)) for image in images))
    return path


def source_image(row: dict[str, Any], path: Path, number: int) -> SourceImage:
    """The source image of one row; fields that are not a source image's are an error. Raises CatalogueError."""
    names = {field.name for field in fields(SourceImage)}
    at = f"{path}, line {number}:"
    remedy = f"a row has {', '.join(sorted(names))}"
    if missing := sorted(names - {"title"} - row.keys()):
        raise CatalogueError(f"{at} {_listed(missing)} missing; {remedy}.")
    if unknown := sorted(row.keys() - names):
        raise CatalogueError(f"{at} {_listed(unknown)} unknown; {remedy}.")
    if wrong := sorted(name for name, value in row.items() if not isinstance(value, str)):
        raise CatalogueError(f"{at} {_listed(wrong)} not text; write every value in quotes.")
    if empty := [name for name in ("id", "file", "licence") if not row[name].strip()]:
        raise CatalogueError(f"{at} {_listed(empty)} empty; every image needs its own.")
    file = PurePosixPath(row["file"])
    if file.is_absolute() or ".." in file.parts:
        raise CatalogueError(
            f"{at} the file '{row['file']}' lies outside the source; name it relative to {path.parent}."
        )
    return SourceImage(**row)


def read_rows(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """The JSON objects of a .jsonl file with their line numbers from 1. Raises CatalogueError naming file and line."""
    try:
        with path.open("rb") as file:
            for number, line in enumerate(file, start=1):
                if line.strip():
                    yield number, _row(line, path, number)
    except FileNotFoundError as error:
        raise CatalogueError(
            f"{path} is missing: a source is a folder with {CATALOGUE} and the images it names."
        ) from error


def json_line(row: dict[str, Any]) -> bytes:
    """One row of a .jsonl file, in UTF-8 and with its newline."""
    return (json.dumps(row, ensure_ascii=False) + "\n").encode("utf-8")


def _row(line: bytes, path: Path, number: int) -> dict[str, Any]:
    try:
        row = json.loads(line.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise CatalogueError(f"{path}, line {number}: not UTF-8 ({error.reason}); save the file as UTF-8.") from error
    except json.JSONDecodeError as error:
        raise CatalogueError(
            f"{path}, line {number}: not JSON ({error.msg}, column {error.colno}); write one object per line."
        ) from error
    if not isinstance(row, dict):
        raise CatalogueError(f"{path}, line {number}: not a JSON object; write one object per line.")
    return row


def _listed(names: list[str]) -> str:
    return f"{' and '.join(names)} {'is' if len(names) == 1 else 'are'}"


def _one_line(text: str) -> str:
    return " ".join(text.split())
