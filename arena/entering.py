"""Who is meant by a folder, a hub id or a swatch: the entrant that `canvas arena enter` and its sisters work with.

In: what someone typed. Out: an `Entrant`. It looks at names and small files only; no weights are read, nothing is
fetched, and a hub id is believed until something is to be painted.
"""

import json
import re
from pathlib import Path
from typing import Any

from arena.canonical import canonical_json
from arena.ledger.records import Entrant
from prompts.errors import CanvasError, quoted

ENTRANT_FILE = "entrant.json"
PIPELINE_FILE = "model_index.json"
LIST_FILE = "gallery.csv"
_SWATCH = "swatch:"
_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")


class NotAnEntrantError(CanvasError):
    """A folder or word that is no pipeline, no image folder, no hub id and no swatch."""


def read_entrant(source: str, *, name: str | None = None) -> Entrant:
    """The entrant behind `source`, named `name`, or as its entrant.json says, or after its folder or hub id.

    A folder with model_index.json is a diffusers pipeline, one with gallery.csv (columns file, prompt and, if wanted,
    seed) holds images painted elsewhere, "swatch:NAME" paints plain colours, and owner/name is a model on the hub.
    Raises NotAnEntrantError and EntrantNameError.
    """
    if source.startswith(_SWATCH):
        return Entrant(name=name or source.removeprefix(_SWATCH), source=source, sampler="swatch")
    folder = Path(source).expanduser()
    if folder.is_dir():
        return _of_folder(folder.resolve(), name)
    if folder.exists():
        raise NotAnEntrantError(f"{source} is a file. Name the folder that holds {PIPELINE_FILE} or {LIST_FILE}.")
    if _HUB_ID.fullmatch(source):
        return Entrant(name=name or source.partition("/")[2], source=source, sampler="diffusers")
    raise NotAnEntrantError(
        f"{quoted(source)} is no entrant: there is no such folder, and it is neither a hub id (owner/name) nor "
        "a swatch (swatch:NAME). Look at how it is written."
    )


def _of_folder(folder: Path, name: str | None) -> Entrant:
    if (folder / PIPELINE_FILE).is_file():
        sampler = "diffusers"
    elif (folder / LIST_FILE).is_file():
        _check_list(folder / LIST_FILE)
        sampler = "image_folder"
    else:
        found = ", ".join(sorted(path.name for path in folder.iterdir())[:6]) or "nothing"
        raise NotAnEntrantError(
            f"{folder} is no entrant: it holds neither {PIPELINE_FILE} (a diffusers pipeline) nor {LIST_FILE} (images "
            f"painted elsewhere), but {found}. Name the folder that does."
        )
    details = _details(folder / ENTRANT_FILE)
    said = details.pop("name", folder.name)
    if not isinstance(said, str):
        raise NotAnEntrantError(f"{folder / ENTRANT_FILE} has the name {said!r}, which is no text. Mend it.")
    return Entrant(name=name or said, source=str(folder), sampler=sampler, details=details)


def _details(file: Path) -> dict[str, Any]:
    if not file.is_file():
        return {}
    try:
        details = json.loads(file.read_text(encoding="utf-8"))
        canonical_json(details)
    except ValueError as error:
        raise NotAnEntrantError(f"{file} is no JSON that can be kept: {error}. Mend it, or take it away.") from error
    if not isinstance(details, dict):
        raise NotAnEntrantError(f"{file} holds no JSON object. Mend it, or take it away.")
    return details


def _check_list(file: Path) -> None:
    try:
        with file.open(encoding="utf-8-sig", newline="") as lines:
            columns = [column.strip() for column in lines.readline().split(",")]
    except UnicodeDecodeError as error:
        raise NotAnEntrantError(f"{file} is not in UTF-8. Save it as UTF-8.") from error
    missing = [column for column in ("file", "prompt") if column not in columns]
    if missing:
        raise NotAnEntrantError(
            f"{file} lacks the column {' and '.join(missing)}: it has {', '.join(columns) or 'none'}, and needs file, "
            "prompt and, if wanted, seed."
        )
