"""`canvas arena account` and `invite`: passwords never on the command line, and links that the site takes."""

import json
import os
import pty
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import typer
from typer.testing import CliRunner

from arena.accounts import AccountError, AccountsFile, Role, password_fits
from arena.cli_accounts import InviteOptionsError, PasswordInputError, app, invite
from arena.invitations import Invitations
from arena.ledger.errors import UnknownStudyError
from arena.settings import Settings, SettingsError

PASSWORD = "four words in a row"

commands = typer.Typer()
commands.add_typer(app, name="account")
commands.command()(invite)


@pytest.fixture(autouse=True)
def nobody_watches(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in [name for name in os.environ if name.startswith("ARENA_")] + ["FORCE_COLOR", "TTY_COMPATIBLE"]:
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("COLUMNS", "200")


class Cli:
    """The commands over one arena's folder, with what comes in on stdin."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.accounts = AccountsFile(home / "accounts.json")

    def __call__(self, *words: str, typed: str = "") -> Any:
        result = CliRunner().invoke(commands, [*words, "--arena", str(self.home)], catch_exceptions=False, input=typed)
        assert result.exit_code == 0, result.output
        return result

    def json(self, *words: str, typed: str = "") -> Any:
        return json.loads(self(*words, "--json", typed=typed).stdout)


@pytest.fixture
def cli(tmp_path: Path) -> Cli:
    return Cli(tmp_path / "home")


def test_an_account_is_added_listed_and_removed(cli: Cli) -> None:
    added = cli.json("account", "add", "Anna", "--role", "admin", typed=f"{PASSWORD}\n")
    cli("account", "add", "bert", "--role", "researcher", "--no-password")
    listed = cli.json("account", "list")
    table = cli("account", "list").stdout
    removed = cli.json("account", "remove", "anna")

    assert added == {"name": "anna", "role": "admin", "has_password": True}
    assert listed == [added, {"name": "bert", "role": "researcher", "has_password": False}]
    assert "through the proxy" in table
    assert removed == {"name": "anna", "removed": True}
    assert [account.name for account in cli.accounts.all()] == ["bert"]


def test_the_password_comes_from_stdin_or_a_file_and_is_not_printed(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "word").write_text("another row of words\nand more\n")

    first = cli("account", "add", "anna", "--role", "admin", typed=f"{PASSWORD}\n")
    second = cli("account", "add", "bert", "--role", "admin", "--password-file", str(tmp_path / "word"))

    assert password_fits(cli.accounts.find("anna"), PASSWORD)
    assert password_fits(cli.accounts.find("bert"), "another row of words")
    assert PASSWORD not in first.output
    assert "another row" not in second.output


def test_at_a_terminal_the_password_is_asked_for_twice_without_echo(cli: Cli) -> None:
    code = "import sys; from arena.cli_accounts import app; app(sys.argv[1:])"
    command = [sys.executable, "-c", code, "add", "anna", "--role", "admin", "--arena", str(cli.home)]
    ours, theirs = pty.openpty()
    with subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True) as asking:
        os.close(theirs)
        seen = read_until(ours, b"Password: ")
        os.write(ours, f"{PASSWORD}\n".encode())
        seen += read_until(ours, b"The same again: ")
        os.write(ours, f"{PASSWORD}\n".encode())
        seen += read_until(ours, b"may log in as admin")
        asking.wait(timeout=30)
    os.close(ours)

    assert asking.returncode == 0
    assert PASSWORD.encode() not in seen
    assert password_fits(cli.accounts.find("anna"), PASSWORD)


def read_until(terminal: int, words: bytes) -> bytes:
    """What the terminal shows until these words. The blank behind a prompt comes when the echo is off."""
    seen = b""
    while words not in seen:
        seen += os.read(terminal, 4096)
    return seen


@pytest.mark.parametrize("typed", ["", "\n"])
def test_no_password_at_all_is_refused(cli: Cli, typed: str) -> None:
    with pytest.raises(PasswordInputError, match="--password-file"):
        cli("account", "add", "anna", "--role", "admin", typed=typed)

    assert not cli.accounts.exists


def test_what_contradicts_itself_or_cannot_be_read_is_refused(cli: Cli, tmp_path: Path) -> None:
    missing = str(tmp_path / "missing")

    with pytest.raises(PasswordInputError, match="cannot be read"):
        cli("account", "add", "anna", "--role", "admin", "--password-file", missing)
    with pytest.raises(PasswordInputError, match="contradict"):
        cli("account", "add", "anna", "--role", "admin", "--password-file", missing, "--no-password")


def test_an_account_changes_only_when_told_to(cli: Cli) -> None:
    cli("account", "add", "anna", "--role", "admin", typed=PASSWORD)

    with pytest.raises(AccountError, match=r"already.*--replace"):
        cli("account", "add", "anna", "--role", "researcher", typed=PASSWORD)
    cli("account", "add", "anna", "--role", "researcher", "--replace", typed="another row of words")

    found = cli.accounts.find("anna")
    assert found is not None
    assert found.role is Role.RESEARCHER
    assert not password_fits(found, PASSWORD)


def test_an_empty_list_says_how_to_begin(cli: Cli) -> None:
    assert "canvas arena account add" in cli("account", "list").stderr
    assert cli.json("account", "list") == []


def test_the_accounts_file_may_lie_elsewhere(cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ARENA_ACCOUNTS", str(tmp_path / "elsewhere" / "who.json"))

    cli("account", "add", "anna", "--role", "admin", typed=PASSWORD)

    assert AccountsFile(tmp_path / "elsewhere" / "who.json").find("anna") is not None
    assert not cli.accounts.exists


@pytest.fixture
def inviting(arena: Any) -> Cli:
    arena.open(access="link")
    return Cli(arena.home)


def test_links_are_printed_one_per_line_and_the_site_takes_each(inviting: Cli) -> None:
    printed = inviting("invite", "shapes", "--count", "3", "--site", "https://arena.example.org")

    secret = Settings(home=inviting.home).signing_secret
    takes = Invitations(secret, clock=lambda: datetime.now(UTC))
    addresses = [urlsplit(line) for line in printed.stdout.splitlines()]
    people = {takes.check_link(parse_qs(address.query)["link"][0], "shapes") for address in addresses}
    assert len(people) == 3
    assert {(address.netloc, address.path) for address in addresses} == {("arena.example.org", "/rate/")}
    assert printed.stderr == ""


def test_links_last_as_long_as_asked_and_lead_to_this_machine_without_an_address(inviting: Cli) -> None:
    (link,) = inviting.json("invite", "shapes", "--expires", "12h")

    left_s = (datetime.fromisoformat(link["expires_at"]) - datetime.now(UTC)).total_seconds()
    assert 12 * 3600 - 60 < left_s <= 12 * 3600
    assert link["url"].startswith("http://127.0.0.1:7860/rate/?study=shapes&link=")


def test_a_study_that_is_open_to_all_says_so(arena: Any) -> None:
    arena.open()

    printed = Cli(arena.home)("invite", "shapes")

    assert "Anyone may rate 'shapes' without a link" in printed.stderr
    assert len(printed.stdout.splitlines()) == 1


@pytest.mark.parametrize("span", ["", "7", "d", "0d", "-1d", "7 d", "400d", "9999999w", "1y"])
def test_a_span_that_is_none_is_refused(inviting: Cli, span: str) -> None:
    with pytest.raises(InviteOptionsError, match="90m, 12h, 7d or 2w"):
        inviting("invite", "shapes", "--expires", span)


def test_a_study_that_is_closed_or_missing_and_an_address_that_is_none_are_refused(inviting: Cli, arena: Any) -> None:
    with pytest.raises(UnknownStudyError):
        inviting("invite", "circles")
    with pytest.raises(SettingsError, match="ARENA_ADDRESS"):
        inviting("invite", "shapes", "--site", "arena.example.org")
    arena.ledger.close_study("shapes", now=datetime.now(UTC))
    with pytest.raises(InviteOptionsError, match="'shapes' is closed"):
        inviting("invite", "shapes")
