"""Files from their official addresses: fetched once, checked, kept; an address out of reach is one sentence."""

from pathlib import Path

from evaluation.references.base import AnnotationsError, SourceImagesError
from prompts.console import say

PATIENCE_S = 30  # for a connection, and between two parts of the answer
_TRIES = 3
_SERVERS_FAULT = 500  # from here on an answer may be another one a moment later


def fetch_file(address: str, *, known_hash: str, folder: Path, option: str) -> Path:
    """The file at `address`, kept in `folder`; a whole copy there is used without the network.

    `known_hash` is "md5:..." or "sha256:..."; `option` takes one's own copy. Raises AnnotationsError.
    """
    import pooch
    import requests

    if not (folder / address.rpartition("/")[2]).is_file():
        say(f"Fetching {address} into {folder}.")
    pooch.get_logger().setLevel("WARNING")  # it would tell of every download, in its own words
    try:
        return Path(
            pooch.retrieve(
                address,
                known_hash=known_hash,
                fname=address.rpartition("/")[2],
                path=folder,
                downloader=pooch.HTTPDownloader(timeout=PATIENCE_S),
            )
        )
    except (requests.RequestException, ValueError, OSError) as error:
        raise AnnotationsError(
            f"{address} could not be fetched ({type(error).__name__}): download it where there is a network, and name "
            f"your copy with {option}."
        ) from error


def fetch_bytes(address: str) -> bytes:
    """What `address` sends. Raises SourceImagesError after three tries."""
    import requests

    why = ""
    for _ in range(_TRIES):
        try:
            answer = requests.get(address, timeout=PATIENCE_S)
        except requests.RequestException as error:
            why = type(error).__name__
            continue
        if answer.ok:
            return bytes(answer.content)
        why = f"the server answers {answer.status_code}"
        if answer.status_code < _SERVERS_FAULT:
            break
    raise SourceImagesError(f"{address} could not be fetched ({why}): name your own copy of the images with --images.")
