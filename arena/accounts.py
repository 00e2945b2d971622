"""Who may read results and run the arena: the accounts file, its roles and its password hashes.

In: a name and a password. Out: an `Account`, or nothing. Anyone is a rater without an account; researchers read
results, admins do everything. The file is JSON, written whole, and read again when it changed, so that an account that
is removed is out at once.
Source: OWASP Password Storage Cheat Sheet, scrypt with 16 MiB and p = 5; RFC 7914.
"""

import hashlib
import hmac
import json
import re
import secrets
import unicodedata
from base64 import b64decode, b64encode
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from prompts.errors import CanvasError, quoted

SHORTEST_PASSWORD = 12
LONGEST_PASSWORD = 1024

_NAME = re.compile(r"[a-z0-9][a-z0-9._@+-]{0,63}")
_KEYS = {"name", "role", "password"}
_COST, _BLOCK, _LANES, _KEY_BYTES = 2**14, 8, 5, 32
# Room for costlier hashes than ours, which an accounts file may bring along.
_MOST_MEMORY = 256 * 1024 * 1024


class AccountsFileError(CanvasError):
    """An accounts file that cannot be read or written; the sentence names it."""


class AccountError(CanvasError):
    """An account that cannot be added or removed, or a password that cannot be taken."""


class Role(StrEnum):
    """What someone may do; each role may do what the ones before it may."""

    RATER = "rater"
    RESEARCHER = "researcher"
    ADMIN = "admin"

    def reaches(self, needed: "Role") -> bool:
        """Whether this role may enter where `needed` is asked for."""
        order = list(Role)
        return order.index(self) >= order.index(needed)


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """`password` is a hash made by `hash_password`; "" for someone who signs in through a proxy only."""

    name: str
    role: Role
    password: str = ""

    @property
    def stamp(self) -> str:
        """Changes with the password: a session that carries an older one has ended."""
        return hashlib.sha256(f"{self.name}\n{self.password}".encode()).hexdigest()[:16]


class AccountsFile:
    """The accounts of one arena. A file that does not exist has none."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._seen: tuple[int, int, int] | None = None
        self._accounts: dict[str, Account] = {}

    @property
    def exists(self) -> bool:
        """Whether accounts were ever set up here; a file whose last account was removed still says so."""
        return self.path.exists()

    def find(self, name: str) -> Account | None:
        """The account of that name, in whatever case it is written. Raises AccountsFileError."""
        return self._read().get(name.strip().lower())

    def all(self) -> list[Account]:
        """Every account, by name. Raises AccountsFileError."""
        return sorted(self._read().values(), key=lambda account: account.name)

    def add(self, account: Account, *, replace: bool = False) -> None:
        """Keep a new account, or a changed one where `replace` says so. Raises AccountError for one that is there."""
        found = dict(self._read())
        if account.name in found and not replace:
            raise AccountError(f"{quoted(account.name)} has an account already: change it with --replace.")
        self._write([*(one for one in found.values() if one.name != account.name), account])

    def remove(self, name: str) -> Account:
        """Take an account away; its sessions end with it. Raises AccountError where there is none."""
        found = dict(self._read())
        gone = found.pop(name.strip().lower(), None)
        if gone is None:
            known = ", ".join(sorted(found)) or "none"
            raise AccountError(f"There is no account {quoted(name)} in {self.path}; the accounts are: {known}.")
        self._write(found.values())
        return gone

    def _read(self) -> dict[str, Account]:
        try:
            state = self.path.stat()
        except FileNotFoundError:
            self._seen, self._accounts = None, {}
            return self._accounts
        except OSError as error:
            raise AccountsFileError(f"The accounts file {self.path} cannot be read: {error.strerror}.") from error
        seen = (state.st_mtime_ns, state.st_size, state.st_ino)
        if seen != self._seen:
            accounts = _parse(self.path)
            self._accounts, self._seen = accounts, seen
        return self._accounts

    def _write(self, accounts: Iterable[Account]) -> None:
        rows = [
            {"name": one.name, "role": one.role.value, "password": one.password}
            for one in sorted(accounts, key=lambda account: account.name)
        ]
        beside = self.path.with_name(f".{self.path.name}-{secrets.token_hex(8)}")
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            try:
                beside.touch(mode=0o600)
                beside.write_text(json.dumps({"accounts": rows}, indent=2) + "\n", encoding="utf-8")
                beside.replace(self.path)
            finally:
                beside.unlink(missing_ok=True)
        except OSError as error:
            raise AccountsFileError(f"The accounts file {self.path} cannot be written: {error.strerror}.") from error
        self._seen = None


def account_name(text: str) -> str:
    """`text` as the name of an account, in lower case. Raises AccountError for what cannot be one."""
    name = text.strip().lower()
    if not _NAME.fullmatch(name):
        raise AccountError(
            f"{quoted(text)} cannot be an account's name: up to 64 letters a to z, digits and . _ @ + -, "
            "a letter or digit first."
        )
    return name


def hash_password(password: str) -> str:
    """The hash to keep, with its parameters and its salt. Raises AccountError for a password that is too short."""
    if not SHORTEST_PASSWORD <= len(password) <= LONGEST_PASSWORD:
        raise AccountError(
            f"A password has {SHORTEST_PASSWORD} to {LONGEST_PASSWORD:,} characters; this one has {len(password):,}. "
            "Several words in a row are long and easy to remember."
        )
    salt = secrets.token_bytes(16)
    key = _derive(password, salt, _COST, _BLOCK, _LANES, _KEY_BYTES)
    return "$".join(("scrypt", str(_COST), str(_BLOCK), str(_LANES), _text(salt), _text(key)))


def password_fits(account: Account | None, password: str) -> bool:
    """Whether the password is the account's. It takes as long where there is no such account, so time tells nothing."""
    kept = account.password if account is not None else ""
    _, cost, block, lanes, salt, key = (kept or _NOBODYS).split("$")
    wanted = b64decode(key)
    found = _derive(password[:LONGEST_PASSWORD], b64decode(salt), int(cost), int(block), int(lanes), len(wanted))
    return hmac.compare_digest(found, wanted) and bool(kept)


def _derive(password: str, salt: bytes, cost: int, block: int, lanes: int, key_bytes: int) -> bytes:
    # Keyboards write one and the same letter in different code points.
    typed = unicodedata.normalize("NFKC", password).encode("utf-8", "surrogatepass")
    return hashlib.scrypt(typed, salt=salt, n=cost, r=block, p=lanes, dklen=key_bytes, maxmem=_MOST_MEMORY)


def _text(value: bytes) -> str:
    return b64encode(value).decode("ascii")


# The form of a hash that no password has, with our own parameters: checking it costs what checking another does.
_NOBODYS = "$".join(("scrypt", str(_COST), str(_BLOCK), str(_LANES), _text(bytes(16)), _text(bytes(_KEY_BYTES))))


def _parse(path: Path) -> dict[str, Account]:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise AccountsFileError(f"The accounts file {path} cannot be read: {error.strerror}.") from error
    except ValueError as error:
        raise AccountsFileError(f"The accounts file {path} is no JSON: {error}. Write it anew.") from error
    rows = value.get("accounts") if isinstance(value, dict) and set(value) == {"accounts"} else None
    if not isinstance(rows, list):
        raise AccountsFileError(f'The accounts file {path} must be {{"accounts": [...]}}. Write it anew.')
    found: dict[str, Account] = {}
    for number, row in enumerate(rows, start=1):
        account = _account(row, f"The accounts file {path}, account {number}")
        if account.name in found:
            raise AccountsFileError(f"The accounts file {path} has {quoted(account.name)} twice. Remove one of them.")
        found[account.name] = account
    return found


def _account(row: Any, place: str) -> Account:
    if not isinstance(row, dict) or set(row) != _KEYS or not all(isinstance(part, str) for part in row.values()):
        raise AccountsFileError(f"{place}: it must have name, role and password, each a text, and nothing else.")
    if not _NAME.fullmatch(row["name"]):
        raise AccountsFileError(f"{place}: {quoted(row['name'])} cannot be a name. Use lower-case letters and digits.")
    if row["role"] not in (Role.RESEARCHER, Role.ADMIN):
        raise AccountsFileError(f"{place}: the role is {quoted(row['role'])}. Make it researcher or admin.")
    if row["password"] and not _is_hash(row["password"]):
        raise AccountsFileError(f"{place}: its password is no hash of ours. Set it with: canvas arena account add.")
    return Account(name=row["name"], role=Role(row["role"]), password=row["password"])


def _is_hash(text: str) -> bool:
    try:
        kind, cost, block, lanes, salt, key = text.split("$")
        n, r, p = int(cost), int(block), int(lanes)
        sizes = len(b64decode(salt, validate=True)), len(b64decode(key, validate=True))
    except ValueError:
        return False
    affordable = n > 1 and n & (n - 1) == 0 and r > 0 and 0 < p <= 64 and 128 * r * (n + p + 2) <= _MOST_MEMORY
    return kind == "scrypt" and affordable and sizes[0] >= 8 and sizes[1] >= 16
