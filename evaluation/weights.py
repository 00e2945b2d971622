"""Weights lie in a folder, on the Hugging Face hub or at an address: one way to find them, and to say what is missing.

A hub id is settled to the commit it means before anything is loaded, and a file from an address is held to its hash, so
that what was used can be written down.
"""

import hashlib
import json
import re
from collections.abc import Iterable
from contextlib import ExitStack, closing
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from evaluation.cache import cache_folder
from prompts.console import Ticker, progress
from prompts.errors import CanvasError

HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?")
ADDRESS = re.compile(r"https?://\S+")
PINNED = re.compile(r"sha256:[0-9a-f]{8,64}")
PATIENCE_S = 30
_CHUNK = 1 << 18
# The layouts of transformers and open_clip, the one that is loaded first.
WEIGHT_FILES = (
    "open_clip_model.safetensors",
    "open_clip_pytorch_model.safetensors",
    "open_clip_pytorch_model.bin",
    "model.safetensors",
    "model-*-of-*.safetensors",
    "pytorch_model.bin",
    "pytorch_model-*-of-*.bin",
    "*.safetensors",
    "*.bin",
)


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


@dataclass(frozen=True, slots=True, kw_only=True)
class LocatedFile:
    """One file of weights on this disk, and where it came from: `revision` is the hub's commit, or "sha256:" and the
    hash that the file from an address was held to, or None."""

    path: Path
    source: str
    revision: str | None

    def __str__(self) -> str:
        """As it is called in a sentence."""
        return self.source if self.revision is None else f"{self.source} at {self.revision[:19]}"


def locate(source: str, *, marker: str, what: str, revision: str | None = None, option: str | None = None) -> Located:
    """Where the weights `source` (a folder or a hub id) are; `marker` is the file that makes them `what`, in an error.

    `option` is the one with which people name another place, for an error that sends them there.

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
    return _locate_on_hub(source, marker=marker, what=what, revision=revision, option=option)


def locate_file(
    source: str, *, revision: str | None, what: str, filename: str | None = None, option: str | None = None
) -> LocatedFile:
    """One file with weights: a path, a folder or a hub id that holds `filename`, or an address to fetch it from.

    `option` is as in `locate`.
    A file from an address is kept in the user's cache, or in the folder that the variable CANVAS_CACHE names; its
    `revision`, "sha256:" and at least 8 digits, is checked each time. A hub id's `revision` is a commit, branch or tag.
    Raises MissingWeightsError, NotWeightsError, DamagedWeightsError where the hash differs, and WeightsError for a
    revision that pins nothing.
    """
    if ADDRESS.fullmatch(source):
        return _from_address(source, revision=revision, what=what, option=option)
    path = Path(source).expanduser()
    if path.is_file():
        return LocatedFile(path=path.resolve(), source=str(path.resolve()), revision=None)
    if filename is None:
        held = "is a folder" if path.is_dir() else "is no file here"
        raise MissingWeightsError(f"{path} {held}: give the file of {what}, or the address to fetch it from.")
    located = locate(source, marker=filename, what=what, revision=revision, option=option)
    return LocatedFile(path=located.marker, source=located.source, revision=located.revision)


def weight_files(folder: Path) -> list[Path]:
    """The files in `folder` that hold a model's weights, of the one layout that is loaded; empty where there are none.

    Of several layouts (safetensors beside the older .bin) it is the one that transformers and open_clip take.
    """
    for pattern in WEIGHT_FILES:
        found = sorted(path for path in folder.glob(pattern) if path.is_file())
        if found:
            return found
    return []


def hash_of_files(files: Iterable[Path]) -> str:
    """The sha256 of one file, or of several: of the lines of their names and hashes, by name.

    Raises MissingWeightsError for no file at all. A file is read once, until it changes.
    """
    hashes = {path.name: _sha256_of(path) for path in files}
    if not hashes:
        raise MissingWeightsError("There are no files of weights to hash: save the model again (safetensors or .bin).")
    if len(hashes) == 1:
        return next(iter(hashes.values()))
    lines = "".join(f"{name} {found}\n" for name, found in sorted(hashes.items()))
    return hashlib.sha256(lines.encode()).hexdigest()


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


def _from_address(address: str, *, revision: str | None, what: str, option: str | None) -> LocatedFile:
    if revision is not None and not PINNED.fullmatch(revision):
        raise WeightsError(
            f"The revision of an address is 'sha256:' and at least 8 digits of the file's hash, and not '{revision}'."
        )
    if revision is None and address.startswith("http://"):
        raise WeightsError(
            f"{address} is not encrypted, so anyone on the way could change the file: give its hash as the revision "
            "(sha256:...), or an https:// address."
        )
    # Two addresses may end in the same name: each has its own folder.
    folder = cache_folder() / "weights" / hashlib.sha256(address.encode()).hexdigest()[:16]
    path = folder / (Path(unquote(urlsplit(address).path)).name or "weights")
    if not path.is_file():
        _download(address, path, what=what, option=option)
    found = f"sha256:{_sha256_of(path)}"
    if revision is not None and not found.startswith(revision):
        path.unlink()
        raise DamagedWeightsError(
            f"What {address} sent is not {what} that is meant: its hash is {found[:23]} and not {revision[:23]}. "
            "It was not kept; try again, or give a file that you trust."
        )
    return LocatedFile(path=path, source=address, revision=found)


def _download(address: str, path: Path, *, what: str, option: str | None) -> None:
    """Fetch `address` to `path`: whole or not at all, because pooch moves the file there once it has arrived."""
    import pooch
    import requests

    pooch.get_logger().setLevel("WARNING")  # it would tell of every download, in its own words

    def fetch(url: str, output_file: str, pooch_: Any) -> None:
        with closing(_Bar(f"Fetching {path.name}")) as bar:
            pooch.HTTPDownloader(timeout=PATIENCE_S, progressbar=bar, chunk_size=_CHUNK)(url, output_file, pooch_)

    try:
        pooch.retrieve(address, known_hash=None, fname=path.name, path=path.parent, downloader=fetch)
    except (requests.RequestException, OSError) as error:
        raise MissingWeightsError(
            f"{address} cannot be fetched ({_why_not_fetched(error)}): download {what} where there is a network, and "
            f"name the file{_with(option)}."
        ) from error


def _why_not_fetched(error: Exception) -> str:
    """In a few words; what the library says is a chain of its own objects."""
    import requests

    if isinstance(error, requests.HTTPError) and error.response is not None:
        return f"the server answers {error.response.status_code}"
    if isinstance(error, requests.Timeout):
        return f"the server does not answer within {PATIENCE_S} s"
    if isinstance(error, requests.exceptions.SSLError):
        return "its certificate is not trusted here"
    if isinstance(error, requests.exceptions.ChunkedEncodingError):
        return "the connection was cut"
    if isinstance(error, requests.ConnectionError):
        return "the server cannot be reached from here"
    return reason(error)


def _with(option: str | None) -> str:
    return "" if option is None else f" with {option}"


class _Bar:
    """A bar as pooch drives one, drawn by our own progress: pooch sets `total`, in bytes, before the first update."""

    def __init__(self, title: str) -> None:
        self._title = title
        self._shown = ExitStack()
        self._tick: Ticker | None = None
        self._full = False
        self.total = 0

    def update(self, count: int) -> None:
        if self._full:
            return
        if self._tick is None:
            self._tick = self._shown.enter_context(progress(self._title, total=self.total))
        self._tick(count)

    def reset(self) -> None:
        """All is here: pooch would wind its bar back and fill it in one step."""
        self._full = True

    def close(self) -> None:
        self._shown.close()


def _sha256_of(path: Path) -> str:
    whole = path.resolve()
    told = whole.stat()
    return _sha256(str(whole), told.st_size, told.st_mtime_ns)


@lru_cache(maxsize=256)
def _sha256(path: str, size: int, changed_ns: int) -> str:
    """Size and time are in the key, so that a file that changed is read again."""
    with open(path, "rb") as opened:  # noqa: PTH123  # file_digest reads it in blocks
        return hashlib.file_digest(opened, "sha256").hexdigest()


def _locate_on_hub(source: str, *, marker: str, what: str, revision: str | None, option: str | None) -> Located:
    from huggingface_hub import errors as hub
    from huggingface_hub import hf_hub_download

    at = f" at revision {revision}" if revision else ""
    offline = not _hub_answers()
    try:
        path = Path(hf_hub_download(source, marker, revision=revision, local_files_only=offline))
    except hub.LocalEntryNotFoundError as error:
        raise MissingWeightsError(
            f"{source}{at} is no folder here, is not in the Hugging Face cache, and the hub cannot be reached: "
            f"download it where there is a network, and name its folder{_with(option)}."
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
