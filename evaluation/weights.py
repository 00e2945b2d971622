"""Weights lie in a folder or on the Hugging Face hub: one way to find them, and errors that say what is missing.

A hub id is settled to the commit it means before anything is loaded, so that what was used can be written down.
"""

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from prompts.errors import CanvasError

HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?")


class WeightsError(CanvasError):
    """Weights that cannot be used."""


class MissingWeightsError(WeightsError):
    """Weights that are neither in a folder nor to be had from the hub."""


class DamagedWeightsError(WeightsError):
    """Weights that are there and cannot be loaded."""


class NotWeightsError(WeightsError):
    """A folder or a hub repository that holds something else."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Located:
    """Where weights are: a folder (`revision` is None) or a hub id with the commit that is meant; `marker` is their
    description, on this disk."""

    source: str
    revision: str | None
    marker: Path
    offline: bool
    """Whether all of it must be on this disk: in a folder, or in the cache while the hub is out of reach."""

    def __str__(self) -> str:
        """As it is called in a sentence."""
        return self.source if self.revision is None else f"{self.source} at {self.revision[:12]}"


def locate(source: str, *, marker: str, what: str, revision: str | None = None) -> Located:
    """Where the weights `source` (a folder or a hub id) are; `marker` is the file that makes them `what`, in an error.

    Raises MissingWeightsError (no such folder, no such repository, or no network and not in the cache) and
    NotWeightsError (without the marker).
    """
    folder = Path(source).expanduser()
    if folder.is_dir():
        if not (folder / marker).is_file():
            raise NotWeightsError(f"{folder} is not {what}: it holds no {marker}{_found(folder)}.")
        return Located(source=str(folder.resolve()), revision=None, marker=folder / marker, offline=True)
    if folder.exists():
        raise NotWeightsError(f"{folder} is a file: give the folder of {what}, or its id on the Hugging Face hub.")
    if not HUB_ID.fullmatch(source):
        raise MissingWeightsError(f"There is no folder {source}, and it is no id on the Hugging Face hub either.")
    return _locate_on_hub(source, marker=marker, what=what, revision=revision)


def read_json(path: Path, what: str) -> dict[str, Any]:
    """The JSON object in `path`; `what` says what it describes. Raises DamagedWeightsError."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DamagedWeightsError(
            f"{path}, which describes {what}, cannot be read ({reason(error)}): download or save it again."
        ) from error
    if not isinstance(value, dict):
        raise DamagedWeightsError(f"{path}, which describes {what}, holds no JSON object: download or save it again.")
    return value


def reason(error: Exception) -> str:
    """What a library says went wrong, cut to one line that fits in a sentence."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    text = lines[0] if lines else type(error).__name__
    return (text if len(text) <= 200 else f"{text[:197]}...").rstrip(".")


def _locate_on_hub(source: str, *, marker: str, what: str, revision: str | None) -> Located:
    from huggingface_hub import errors as hub
    from huggingface_hub import hf_hub_download

    at = f" at revision {revision}" if revision else ""
    offline = not _hub_answers()
    try:
        path = Path(hf_hub_download(source, marker, revision=revision, local_files_only=offline))
    except hub.LocalEntryNotFoundError as error:
        raise MissingWeightsError(
            f"{source}{at} is no folder here, is not in the Hugging Face cache, and the hub cannot be reached: "
            "download it where there is a network, and give the folder."
        ) from error
    except hub.GatedRepoError as error:
        raise MissingWeightsError(
            f"{source} on the Hugging Face hub asks for its licence to be accepted: accept it on its page and log in "
            "with `hf auth login`."
        ) from error
    except hub.RepositoryNotFoundError as error:
        raise MissingWeightsError(
            f"There is no folder {source} and no such public repository on the Hugging Face hub: check the name, "
            "or log in with `hf auth login` if it is private."
        ) from error
    except hub.RevisionNotFoundError as error:
        raise MissingWeightsError(f"{source} on the Hugging Face hub has no revision {revision}.") from error
    except hub.EntryNotFoundError as error:
        raise NotWeightsError(f"{source}{at} on the Hugging Face hub is not {what}: it holds no {marker}.") from error
    except (OSError, hub.HfHubHTTPError) as error:
        raise MissingWeightsError(
            f"{source}{at} cannot be fetched from the Hugging Face hub: {reason(error)}."
        ) from error
    # The cache keeps each commit's files in a folder named after it.
    return Located(source=source, revision=path.parent.name, marker=path, offline=offline)


def _hub_answers() -> bool:
    """Whether the hub can be reached at all: asked once and briefly, where the hub's own client would try for long."""
    from huggingface_hub import constants, utils

    session: Any = utils.get_session()  # type: ignore[attr-defined]  # it is in the package's own documentation
    try:
        session.head(constants.ENDPOINT, timeout=10)
    except OSError:
        return False
    return True


def _found(folder: Path) -> str:
    names = sorted(path.name for path in folder.iterdir())
    if not names:
        return ", it is empty"
    return f" but {', '.join(names[:5])}" + (f" and {len(names) - 5} more" if len(names) > 5 else "")
