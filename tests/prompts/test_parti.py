"""PartiPrompts: only the pinned file is accepted, from one's own copy, from the cache or from a real web server."""

import hashlib
import re
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from prompts.prompt import Prompt
from prompts.sets import parti
from prompts.sets.parti import (
    AlteredPartiError,
    MissingPartiError,
    PartiCacheError,
    PartiError,
    UnreachablePartiError,
    fetch,
)

CONTENT = b"Prompt\tCategory\tChallenge\tNote\na cat\tAnimals\tBasic\t\n"
SHA256 = hashlib.sha256(CONTENT).hexdigest()


@dataclass(kw_only=True)
class Upstream:
    """A web server that promises `content` with `status`, sends the first `sent` bytes of it and counts its visits."""

    address: str = ""
    content: bytes = CONTENT
    status: int = 200
    sent: int | None = None
    visits: list[str] = field(default_factory=list)


@pytest.fixture
def upstream(monkeypatch: pytest.MonkeyPatch) -> Iterator[Upstream]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    state = Upstream()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            state.visits.append(self.path)
            self.send_response(state.status)
            self.send_header("Content-Length", str(len(state.content)))
            self.end_headers()
            self.wfile.write(state.content[: state.sent])

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        state.address = f"http://127.0.0.1:{server.server_port}/PartiPrompts.tsv"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield state
        server.shutdown()
        thread.join()


def test_partiprompts_are_1632_prompts_in_12_categories_and_11_challenges(parti_file: Path) -> None:
    prompts = parti.load(parti_file)

    assert (prompts.name, prompts.licence, prompts.source) == ("parti", "Apache-2.0", parti.ADDRESS)
    assert len(prompts) == parti.FACTS.count == 1632
    assert len(prompts.categories()) == 12
    assert len(prompts.challenges()) == 11
    assert "" not in prompts.categories()
    assert prompts.categories()["Animals"] == 314
    assert prompts.challenges()["Fine-grained Detail"] == 312
    assert prompts.id == "b93ba880fadbdc9e"


def test_partiprompts_begin_with_their_first_line(parti_file: Path) -> None:
    first = parti.load(parti_file).prompts[0]

    assert first == Prompt(
        text="bond",
        category="Abstract",
        challenge="Basic",
        note="Biology-inspired concepts with multiple meanings",
    )


def test_a_prompt_that_opens_with_a_quotation_mark_keeps_it(parti_file: Path) -> None:
    texts = [prompt.text for prompt in parti.load(parti_file)]

    [quoted] = [text for text in texts if text.startswith('"')]
    assert quoted.startswith('"G I G G L E" painted in thick colorful lettering as graffiti')
    assert all(text == text.strip() for text in texts)


def test_ones_own_copy_is_read_without_a_cache(parti_file: Path, cache: Path) -> None:
    parti.load(parti_file)

    assert not cache.exists()


def test_a_missing_copy_is_an_error_that_names_the_ways_out(tmp_path: Path) -> None:
    missing = tmp_path / "PartiPrompts.tsv"

    with pytest.raises(MissingPartiError, match=re.escape(str(missing))) as raised:
        parti.load(missing)

    assert "--parti-file or ARENA_PARTI_PROMPTS" in str(raised.value)
    assert "or none at all to have it fetched" in str(raised.value)


def test_a_folder_in_place_of_a_copy_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(MissingPartiError, match="Is a directory"):
        parti.load(tmp_path)


def test_an_altered_copy_is_refused_with_both_hashes_and_the_address(tmp_path: Path) -> None:
    altered = tmp_path / "PartiPrompts.tsv"
    altered.write_bytes(CONTENT)

    with pytest.raises(AlteredPartiError) as raised:
        parti.load(altered)

    assert str(raised.value) == (
        f"{altered} is not PartiPrompts as pinned: expected SHA-256 {parti.SHA256}, found {SHA256}. "
        f"Fetch the file again from {parti.ADDRESS}; "
        "to ask prompts of your own, give their file in place of the name 'parti'."
    )


def test_a_copy_with_one_line_end_changed_is_refused(parti_file: Path, tmp_path: Path) -> None:
    altered = tmp_path / "PartiPrompts.tsv"
    altered.write_bytes(parti_file.read_bytes().replace(b"\n", b"\r\n", 1))

    with pytest.raises(AlteredPartiError, match=parti.SHA256):
        parti.load(altered)


def test_without_a_copy_the_file_is_fetched_once_and_then_read_from_the_cache(
    parti_file: Path, cache: Path, upstream: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    upstream.content = parti_file.read_bytes()
    monkeypatch.setattr(parti, "ADDRESS", upstream.address)

    first, second = parti.load(), parti.load()

    assert len(first) == 1632
    assert second == first
    assert upstream.visits == ["/PartiPrompts.tsv"]
    assert [file.name for file in cache.iterdir()] == ["PartiPrompts.tsv"]


def test_a_fetched_file_is_kept_whole_and_nothing_beside_it(upstream: Upstream, tmp_path: Path) -> None:
    kept = fetch(upstream.address, SHA256, tmp_path / "prompts")

    assert kept.read_bytes() == CONTENT
    assert list((tmp_path / "prompts").iterdir()) == [kept]


def test_fetching_says_nothing(upstream: Upstream, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    fetch(upstream.address, SHA256, tmp_path)

    assert capfd.readouterr() == ("", "")


def test_a_kept_copy_needs_no_network(upstream: Upstream, tmp_path: Path) -> None:
    (tmp_path / "PartiPrompts.tsv").write_bytes(CONTENT)

    assert fetch(upstream.address, SHA256, tmp_path).read_bytes() == CONTENT
    assert upstream.visits == []


@pytest.mark.parametrize("kept", [b"", CONTENT[:20], CONTENT + b"x", CONTENT.replace(b"cat", b"dog")])
def test_a_kept_copy_that_is_torn_or_altered_is_fetched_again(upstream: Upstream, tmp_path: Path, kept: bytes) -> None:
    (tmp_path / "PartiPrompts.tsv").write_bytes(kept)

    assert fetch(upstream.address, SHA256, tmp_path).read_bytes() == CONTENT
    assert len(upstream.visits) == 1


def test_altered_content_from_upstream_is_refused_and_not_kept(upstream: Upstream, tmp_path: Path) -> None:
    upstream.content = b"<html>Please sign in to this network</html>"
    found = hashlib.sha256(upstream.content).hexdigest()

    with pytest.raises(AlteredPartiError, match=f"expected SHA-256 {SHA256}, found {found}"):
        fetch(upstream.address, SHA256, tmp_path)

    assert list(tmp_path.iterdir()) == []


def test_a_kept_copy_is_not_lost_to_altered_content_from_upstream(upstream: Upstream, tmp_path: Path) -> None:
    (tmp_path / "PartiPrompts.tsv").write_bytes(CONTENT[:20])
    upstream.content = b"something else"

    with pytest.raises(AlteredPartiError):
        fetch(upstream.address, SHA256, tmp_path)

    assert (tmp_path / "PartiPrompts.tsv").read_bytes() == CONTENT[:20]


def test_a_download_that_breaks_off_leaves_nothing_and_the_next_one_is_whole(
    upstream: Upstream, tmp_path: Path
) -> None:
    upstream.sent = 20
    with pytest.raises(UnreachablePartiError, match="the connection broke off"):
        fetch(upstream.address, SHA256, tmp_path)
    assert list(tmp_path.iterdir()) == []

    upstream.sent = None
    assert fetch(upstream.address, SHA256, tmp_path).read_bytes() == CONTENT


def test_no_network_is_one_sentence_with_the_address_and_the_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    address = f"http://127.0.0.1:{port}/PartiPrompts.tsv"  # nobody listens there any more

    with pytest.raises(UnreachablePartiError) as raised:
        fetch(address, SHA256, tmp_path)

    assert str(raised.value) == (
        f"PartiPrompts could not be fetched from {address} (no connection): "
        "give your own copy of the file with --parti-file or ARENA_PARTI_PROMPTS."
    )


@pytest.mark.parametrize("status", [403, 404, 500])
def test_a_refusing_server_is_named_with_its_answer(upstream: Upstream, tmp_path: Path, status: int) -> None:
    upstream.status = status

    with pytest.raises(UnreachablePartiError, match=f"the server answers {status}"):
        fetch(upstream.address, SHA256, tmp_path)


def test_a_server_that_does_not_answer_in_time_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setattr(parti, "PATIENCE_S", 0.2)

    with (
        socket.create_server(("127.0.0.1", 0)) as silent,
        pytest.raises(UnreachablePartiError, match="no answer in time"),
    ):
        fetch(f"http://127.0.0.1:{silent.getsockname()[1]}/PartiPrompts.tsv", SHA256, tmp_path)


def test_a_cache_that_cannot_be_written_is_an_error_with_the_remedy(upstream: Upstream, tmp_path: Path) -> None:
    in_the_way = tmp_path / "cache"
    in_the_way.write_text("a file where the folder should be")

    with pytest.raises(PartiCacheError, match="Make the folder writable, or give your own copy"):
        fetch(upstream.address, SHA256, in_the_way / "prompts")


def test_every_way_to_fail_is_one_error_to_catch() -> None:
    ways = {MissingPartiError, AlteredPartiError, UnreachablePartiError, PartiCacheError}

    assert set(PartiError.__subclasses__()) == ways


def test_the_address_is_pinned_to_a_commit() -> None:
    assert re.fullmatch(
        r"https://raw\.githubusercontent\.com/google-research/parti/[0-9a-f]{40}/PartiPrompts\.tsv", parti.ADDRESS
    )
