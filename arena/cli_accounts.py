"""`canvas arena account` and `canvas arena invite`: who may log in, and links that let raters into a study."""

import re
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from arena.cli_home import Home, open_ledger
from prompts.console import AsJson, print_json, print_table, say
from prompts.errors import CanvasError, quoted

if TYPE_CHECKING:
    from arena.accounts import Account
    from arena.settings import Settings

app = typer.Typer(help="Say who may log in: researchers read results, admins do everything.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(metavar="NAME", help="What they log in as, or what the proxy calls them.")]

_SPANS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_LONGEST_LINK = timedelta(days=366)


class PasswordInputError(CanvasError):
    """A password that was not given, or not twice the same."""


class InviteOptionsError(CanvasError):
    """Links that cannot be made as asked."""


@app.command()
def add(
    name: Name,
    *,
    role: Annotated[
        Literal["researcher", "admin"],
        typer.Option(help="A researcher reads results; an admin does everything."),
    ],
    password_file: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Read the password from the file's first line, and not from the terminal."),
    ] = None,
    no_password: Annotated[
        bool, typer.Option("--no-password", help="They come through the trusted proxy only.")
    ] = False,
    replace: Annotated[bool, typer.Option("--replace", help="Give an account that exists this role and password.")] = (
        False
    ),
    arena: Home = None,
    as_json: AsJson = False,
) -> None:
    """Add an account; its password is asked for here, or read from stdin where that is no terminal."""
    from arena.accounts import Account, AccountError, AccountsFile, Role, account_name, hash_password

    accounts = AccountsFile(_settings(arena).accounts)
    wanted = account_name(name)
    if accounts.find(wanted) is not None and not replace:
        raise AccountError(f"{quoted(wanted)} has an account already: change it with --replace.")
    if no_password and password_file is not None:
        raise PasswordInputError("--no-password and --password-file contradict each other. Give one of them.")
    password = "" if no_password else hash_password(_password(password_file))
    account = Account(name=wanted, role=Role(role), password=password)
    accounts.add(account, replace=replace)
    if as_json:
        print_json(_account_json(account))
    else:
        say(f"'{wanted}' may log in as {role}. The accounts are in {accounts.path}.")


@app.command("list")
def list_accounts(*, arena: Home = None, as_json: AsJson = False) -> None:
    """List who may log in."""
    from arena.accounts import AccountsFile

    found = AccountsFile(_settings(arena).accounts).all()
    if as_json:
        print_json([_account_json(account) for account in found])
        return
    if not found:
        say("Nobody has an account yet: canvas arena account add NAME --role admin")
        return
    print_table(
        ["name", "role", "logs in"],
        ((one.name, one.role, "with a password" if one.password else "through the proxy") for one in found),
    )


@app.command()
def remove(name: Name, *, arena: Home = None, as_json: AsJson = False) -> None:
    """Take an account away; whoever is logged in with it is out at once."""
    from arena.accounts import AccountsFile

    gone = AccountsFile(_settings(arena).accounts).remove(name)
    if as_json:
        print_json({"name": gone.name, "removed": True})
    else:
        say(f"'{gone.name}' has no account any more.")


def invite(
    study: Annotated[str, typer.Argument(metavar="STUDY", help="An open study.")],
    *,
    count: Annotated[int, typer.Option(min=1, max=100_000, help="How many links: one for each person.")] = 1,
    expires: Annotated[str, typer.Option(metavar="SPAN", help="How long they last: 90m, 12h, 7d or 2w.")] = "7d",
    site: Annotated[
        str | None,
        typer.Option(metavar="ADDRESS", help="Where people find the arena; ARENA_ADDRESS, or this machine, without."),
    ] = None,
    arena: Home = None,
    as_json: AsJson = False,
) -> None:
    """Print sign-up links to a study, one per line; each lets one person in."""
    from arena.app import site_address
    from arena.invitations import Invitations
    from arena.settings import read_settings

    settings = read_settings(home=arena, address=site)
    lasts = _span(expires)
    with open_ledger(arena) as ledger:
        record = ledger.study(study)
    if not record.is_open:
        raise InviteOptionsError(f"The study '{record.name}' is closed: open it before you invite to it.")
    makes = Invitations(settings.signing_secret, clock=lambda: datetime.now(UTC))
    links = [makes.make_link(record.name, lasts=lasts) for _ in range(count)]
    address = settings.address or site_address(settings.host, settings.port)
    if as_json:
        print_json(
            [{"study": one.study, "url": one.url(address), "expires_at": one.expires_at.isoformat()} for one in links]
        )
        return
    if record.study.access != "link":
        say(f"Anyone may rate '{record.name}' without a link: it does not say access = \"link\".")
    for link in links:
        typer.echo(link.url(address))


def _settings(home: Path | None) -> "Settings":
    from arena.settings import read_settings

    return read_settings(home=home)


def _password(file: Path | None) -> str:
    """From the file, a terminal without echo, or else stdin: never from the command line, which all can see."""
    if file is not None:
        try:
            text = file.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise PasswordInputError(f"The password file {file} cannot be read: {error}.") from error
    elif sys.stdin.isatty():
        return str(typer.prompt("Password", hide_input=True, confirmation_prompt="The same again", err=True))
    else:
        text = sys.stdin.readline()
    lines = text.splitlines()
    if not lines or not lines[0]:
        raise PasswordInputError("No password was given: type one, or name a file with --password-file.")
    return lines[0]


def _span(text: str) -> timedelta:
    found = re.fullmatch(r"([0-9]{1,6})([mhdw])", text.strip().lower())
    lasts = timedelta(**{_SPANS[found[2]]: int(found[1])}) if found else timedelta(0)
    if not timedelta(0) < lasts <= _LONGEST_LINK:
        raise InviteOptionsError(f"--expires is {quoted(text)}: write 90m, 12h, 7d or 2w, a year at most.")
    return lasts


def _account_json(account: "Account") -> dict[str, str | bool]:
    return {"name": account.name, "role": account.role.value, "has_password": bool(account.password)}
