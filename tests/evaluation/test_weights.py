"""Files of weights: from this disk, from the hub's cache, and from an address, where a real server stands."""

import hashlib
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from evaluation.cache import CACHE_VARIABLE, cache_folder
from evaluation.metrics import published
from evaluation.metrics.base import Weights
from evaluation.weights import (
    DamagedWeightsError,
    MissingWeightsError,
    NotWeightsError,
    WeightsError,
    hash_of_files,
    locate_file,
    weight_files,
)

CONTENT = bytes(range(256)) * 4000
SHA256 = hashlib.sha256(CONTENT).hexdigest()


class Server:
    """Sends CONTENT for /good..., half of it for /cut, 404 for the rest; counts what it was asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.asked.append(self.path)
                known = self.path.startswith(("/good", "/cut"))
                self.send_response(200 if known else 404)
                self.send_header("Content-Length", str(len(CONTENT)))
                self.end_headers()
                if known:
                    self.wfile.write(CONTENT[: len(CONTENT) // (2 if self.path == "/cut" else 1)])

            def log_message(self, format: str, *args: object) -> None: ...

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self.http.server_port}"


@pytest.fixture
def server() -> Iterator[Server]:
    """A real server on this machine."""
    made = Server()
    thread = threading.Thread(target=made.http.serve_forever, daemon=True)
    thread.start()
    yield made
    made.http.shutdown()
    thread.join()
    made.http.server_close()


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of this test's own."""
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_a_file_from_an_address_is_held_to_its_hash_and_fetched_once(server: Server, cache: Path) -> None:
    address, revision = f"{server.address}/good/a%2Bb.pth", f"sha256:{SHA256[:12]}"

    first = locate_file(address, revision=revision, what="a network")
    again = locate_file(address, revision=revision, what="a network")

    assert first == again
    assert first.path.read_bytes() == CONTENT
    assert first.path.is_relative_to(cache)
    assert (first.path.name, first.source, first.revision) == ("a+b.pth", address, f"sha256:{SHA256}")
    assert server.asked == ["/good/a%2Bb.pth"]


def test_two_addresses_with_one_name_do_not_meet(server: Server) -> None:
    revision = f"sha256:{SHA256}"

    found = [
        locate_file(f"{server.address}/{at}/a.pth", revision=revision, what="a network") for at in ("good", "good2")
    ]

    assert found[0].path != found[1].path


def test_another_file_than_was_meant_is_refused_and_not_kept(server: Server, cache: Path) -> None:
    with pytest.raises(
        DamagedWeightsError, match=r"is not a network that is meant: its hash is sha256:.* was not kept"
    ):
        locate_file(f"{server.address}/good", revision="sha256:00000000", what="a network")

    assert [path for path in cache.rglob("*") if path.is_file()] == []


def test_a_kept_file_that_changed_is_noticed(server: Server) -> None:
    address, revision = f"{server.address}/good", f"sha256:{SHA256}"
    locate_file(address, revision=revision, what="a network").path.write_bytes(b"changed")

    with pytest.raises(DamagedWeightsError, match="try again, or give a file that you trust"):
        locate_file(address, revision=revision, what="a network")

    assert locate_file(address, revision=revision, what="a network").path.read_bytes() == CONTENT


def test_a_server_out_of_reach_is_said_in_plain_words_with_the_option_that_helps(server: Server) -> None:
    """Nobody listens there any more: what the library says of it is a chain of its own objects."""
    server.http.shutdown()
    server.http.server_close()

    with pytest.raises(MissingWeightsError) as found:
        locate_file(f"{server.address}/good", revision=f"sha256:{SHA256}", what="a network", option="--weights")

    assert str(found.value) == (
        f"{server.address}/good cannot be fetched (the server cannot be reached from here): "
        "download a network where there is a network, and name the file with --weights."
    )


def test_the_cache_is_the_given_folder_or_the_variables_or_the_users(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert cache_folder(tmp_path / "given") == tmp_path / "given"
    assert cache_folder() == tmp_path / "cache"
    monkeypatch.delenv(CACHE_VARIABLE)
    assert cache_folder().name == "canvas-arena"


@pytest.mark.parametrize("path", ["/gone", "/cut"])
def test_what_cannot_be_fetched_whole_is_one_sentence_and_leaves_nothing(
    server: Server, cache: Path, path: str
) -> None:
    with pytest.raises(MissingWeightsError, match=r"cannot be fetched .*: download a network where there is a network"):
        locate_file(f"{server.address}{path}", revision=f"sha256:{SHA256}", what="a network")

    assert [found for found in cache.rglob("*") if found.is_file()] == []


def test_a_server_that_is_not_there_is_one_sentence(server: Server) -> None:
    address = f"{server.address}/good"
    server.http.server_close()

    with pytest.raises(MissingWeightsError, match="cannot be fetched") as caught:
        locate_file(address, revision=f"sha256:{SHA256}", what="a network")

    assert "\n" not in str(caught.value)


def test_an_open_line_needs_a_hash_and_a_hash_is_a_hash(server: Server) -> None:
    with pytest.raises(WeightsError, match=r"is not encrypted.*give its hash as the revision"):
        locate_file(f"{server.address}/good", revision=None, what="a network")
    with pytest.raises(WeightsError, match="at least 8 digits of the file's hash, and not 'main'"):
        locate_file(f"{server.address}/good", revision="main", what="a network")

    assert server.asked == []


def test_a_path_and_a_folder_with_the_file_lead_to_it(tmp_path: Path) -> None:
    (tmp_path / "a.pth").write_bytes(b"weights")

    by_path = locate_file(str(tmp_path / "a.pth"), revision=None, what="a network")
    by_folder = locate_file(str(tmp_path), revision=None, what="a network", filename="a.pth")

    assert by_path.path == by_folder.path == tmp_path / "a.pth"
    assert (by_path.revision, by_folder.revision) == (None, None)


def test_a_folder_without_it_and_a_path_to_nothing_are_named(tmp_path: Path) -> None:
    with pytest.raises(NotWeightsError, match=r"is not a network: it holds no a\.pth, it is empty"):
        locate_file(str(tmp_path), revision=None, what="a network", filename="a.pth")
    with pytest.raises(MissingWeightsError, match="is a folder: give the file of a network"):
        locate_file(str(tmp_path), revision=None, what="a network")
    with pytest.raises(MissingWeightsError, match="gone is no file here"):
        locate_file(str(tmp_path / "gone"), revision=None, what="a network")


def test_a_hub_file_in_the_cache_brings_its_commit(empty_hub_cache: Path) -> None:
    commit = "a" * 40
    snapshot = empty_hub_cache / "models--someone--network" / "snapshots" / commit
    snapshot.mkdir(parents=True)
    (snapshot / "a.pth").write_bytes(b"weights")

    found = locate_file("someone/network", revision=commit, what="a network", filename="a.pth")

    assert (found.path, found.source, found.revision) == (snapshot / "a.pth", "someone/network", commit)


def test_of_several_layouts_the_one_that_is_loaded_counts(tmp_path: Path) -> None:
    for name in ["pytorch_model.bin", "model-00002-of-00002.safetensors", "model-00001-of-00002.safetensors"]:
        (tmp_path / name).write_bytes(name.encode())

    shards = [path.name for path in weight_files(tmp_path)]
    (tmp_path / "model.safetensors").write_bytes(b"whole")

    assert shards == ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"]
    assert [path.name for path in weight_files(tmp_path)] == ["model.safetensors"]


def test_the_hash_of_files_is_sha256_and_follows_a_change(tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    one.write_bytes(CONTENT)
    two.write_bytes(b"two")
    both = hash_of_files([one, two])

    two.write_bytes(b"other")

    assert hash_of_files([one]) == SHA256
    assert hash_of_files([two, one]) == hash_of_files([one, two]) != both


def test_no_files_have_no_hash(tmp_path: Path) -> None:
    with pytest.raises(MissingWeightsError, match="no files of weights to hash"):
        hash_of_files(weight_files(tmp_path))


@pytest.mark.parametrize("name", sorted(name for name in vars(published) if name.isupper()))
def test_published_weights_are_pinned(name: str) -> None:
    """By a commit of 40 digits, or by a whole hash."""
    found: Weights = getattr(published, name)

    digits = (found.revision or "").removeprefix("sha256:")
    assert set(digits) <= set("0123456789abcdef")
    assert len(digits) == (64 if found.source.startswith("https://") else 40)
