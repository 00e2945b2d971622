"""PartiPrompts: 1,632 prompts in 12 categories and 11 challenges, from upstream at a pinned commit.

The file is never shipped with us: it is fetched once and cached, or read from one's own copy. Either way only the
very file whose SHA-256 stands below is accepted, so that every arena asks the same.
Source: Yu et al. (2022), "Scaling Autoregressive Models for Content-Rich Text-to-Image Generation", arXiv:2206.10789.
"""

import hashlib
from pathlib import Path
from typing import Any

from prompts.errors import CanvasError
from prompts.files import parse_prompts
from prompts.prompt import PromptSet
from prompts.sets.base import PromptSetFacts

ADDRESS = (
    "https://raw.githubusercontent.com/google-research/parti/2c99f6652cbc7f0d0441aa91f4c7e7055bcb0071/PartiPrompts.tsv"
)
SHA256 = "fab29e41bb512a169b56acab4cf2a41dcb675e285df2efcde6640c7dd3c440eb"
FACTS = PromptSetFacts(
    about="PartiPrompts: broad English prompts by category and challenge",
    count=1632,
    licence="Apache-2.0",
    source=ADDRESS,
)
PATIENCE_S = 30  # for a connection, and between two parts of the answer
_OWN_COPY = "--parti-file or ARENA_PARTI_PROMPTS"


class PartiError(CanvasError):
    """PartiPrompts cannot be had; the subclasses say why."""


class MissingPartiError(PartiError):
    """One's own copy was named and is not there."""


class AlteredPartiError(PartiError):
    """A file that is not the pinned one, byte for byte."""


class UnreachablePartiError(PartiError):
    """The file could not be fetched."""


class PartiCacheError(PartiError):
    """The fetched file could not be kept."""


def load(file: Path | None = None) -> PromptSet:
    """PartiPrompts from `file`, or without one from the cache, which is filled from upstream when need be.

    Raises a subclass of PartiError: a missing or altered file, an address out of reach, a cache that cannot be written.
    """
    if file is None:
        from platformdirs import user_cache_path

        file = fetch(ADDRESS, SHA256, user_cache_path("canvas-arena") / "prompts")
    try:
        content = file.read_bytes()
    except OSError as error:
        raise MissingPartiError(
            f"PartiPrompts cannot be read from {file} ({error.strerror}). "
            f"Name an existing copy with {_OWN_COPY}, or none at all to have it fetched."
        ) from error
    found = hashlib.sha256(content).hexdigest()
    if found != SHA256:
        raise AlteredPartiError(
            f"{file} is not PartiPrompts as pinned: expected SHA-256 {SHA256}, found {found}. "
            f"Fetch the file again from {ADDRESS}; "
            "to ask prompts of your own, give their file in place of the name 'parti'."
        )
    return PromptSet(
        name="parti", prompts=parse_prompts(content, Path("parti.tsv")), licence=FACTS.licence, source=ADDRESS
    )


def fetch(address: str, sha256: str, folder: Path) -> Path:
    """The file at `address`, kept as PartiPrompts.tsv in `folder`; a whole copy there is used without the network.

    What is fetched is written beside and moved into place when its SHA-256 is right; a kept copy that is torn or
    altered is fetched again. Raises UnreachablePartiError, AlteredPartiError or PartiCacheError.
    """
    import pooch
    import requests

    def download(url: str, output_file: str, pooch_: Any) -> None:
        pooch.HTTPDownloader(timeout=PATIENCE_S)(url, output_file, pooch_)
        # Pooch checks too, but tells what it found only in prose.
        found = hashlib.sha256(Path(output_file).read_bytes()).hexdigest()
        if found != sha256:
            raise AlteredPartiError(
                f"What {address} sends is not PartiPrompts as pinned: expected SHA-256 {sha256}, found {found}. "
                f"Something between here and there changes it; give a true copy with {_OWN_COPY}."
            )

    pooch.get_logger().setLevel("WARNING")  # it would tell of every download, in its own words
    try:
        return Path(
            pooch.retrieve(address, known_hash=sha256, fname="PartiPrompts.tsv", path=folder, downloader=download)
        )
    except requests.RequestException as error:
        raise UnreachablePartiError(
            f"PartiPrompts could not be fetched from {address} ({_reason(error)}): "
            f"give your own copy of the file with {_OWN_COPY}."
        ) from error
    except OSError as error:
        raise PartiCacheError(
            f"PartiPrompts could not be kept in {folder} ({error.strerror or error}). "
            f"Make the folder writable, or give your own copy of the file with {_OWN_COPY}."
        ) from error


def _reason(error: Any) -> str:
    """In a few words why there is no file: `error` is a requests.RequestException."""
    import requests

    if isinstance(error, requests.HTTPError) and error.response is not None:
        return f"the server answers {error.response.status_code}"
    if isinstance(error, requests.Timeout):
        return "no answer in time"
    if isinstance(error, requests.exceptions.ChunkedEncodingError):
        return "the connection broke off"
    if isinstance(error, requests.ConnectionError):
        return "no connection"
    return type(error).__name__
