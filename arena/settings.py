"""Where the arena keeps its things and where it serves: the one reader of the environment (ARENA_*).

Everything else receives these values as arguments. Options of the command line win over the environment.
"""

import os
import secrets
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from prompts.errors import CanvasError


class SettingsError(CanvasError):
    """A setting that cannot be used; the sentence names the ARENA_ variable."""


class Settings(BaseSettings):
    """Every field is the variable ARENA_ and its name. Make it with `read_settings`, whose errors are sentences.

    `database_url` (a file or an address) and `images_url` (a folder or an address) are in `home` where nothing is said;
    port 0 lets the system choose one. `address` is where people find the site, for the links that are sent to them.

    `secret` signs cookies and links and keys the hashes of people's ids; where it is not given, `signing_secret` keeps
    a random one in `home`. `cookie_secure` is for sites behind TLS. `accounts` is the file of who may log in, in `home`
    where nothing is said. `open_results` lets everyone read results (true), or only researchers and admins (false);
    where nothing is said they are open on a laptop: no account yet, and served to this machine alone.

    `trusted_proxies` (addresses and networks, parted by commas) are the peers whose `X-Forwarded-For` is believed, and
    the header that `proxy_user_header` names: the account that the proxy has logged in.

    The rates are limits such as "10/second;300/minute": requests of one rater, requests from one address, new raters
    from one address (a lecture hall behind one address gets in; who comes back is not new), logins from one address
    and under one name. `rate_limits` off is for benchmarks.
    """

    model_config = SettingsConfigDict(env_prefix="ARENA_", frozen=True, extra="forbid")

    home: Path = Path("arena-data")
    database_url: str = Field(default="", repr=False)
    images_url: str = ""
    host: str = "127.0.0.1"
    port: int = Field(default=7860, ge=0, le=65535)
    address: str = ""
    secret: str = Field(default="", repr=False)
    cookie_secure: bool = False
    accounts: Path = Path()
    open_results: bool | None = None
    trusted_proxies: str = ""
    proxy_user_header: str = ""
    rate_limits: bool = True
    rate_per_rater: str = "10/second;300/minute"
    rate_per_address: str = "40/second;3000/minute"
    rate_joins: str = "60/minute;600/hour"
    rate_logins: str = "5/minute"

    @field_validator("address")
    @classmethod
    def _is_a_site(cls, text: str) -> str:
        if text and not text.startswith(("http://", "https://")):
            raise ValueError("it has to begin with http:// or https://")
        return text.rstrip("/")

    @field_validator("trusted_proxies")
    @classmethod
    def _are_networks(cls, text: str) -> str:
        from arena.addresses import read_networks

        read_networks(text)
        return text

    @field_validator("proxy_user_header")
    @classmethod
    def _has_a_proxy(cls, text: str, others: ValidationInfo) -> str:
        if text and not others.data.get("trusted_proxies"):
            raise ValueError("ARENA_TRUSTED_PROXIES has to name the proxy that sends it, or anyone could")
        return text

    @field_validator("rate_per_rater", "rate_per_address", "rate_joins", "rate_logins")
    @classmethod
    def _is_a_rate(cls, text: str) -> str:
        from limits import parse_many

        try:
            parse_many(text)
        except ValueError as error:
            raise ValueError("a rate reads 10/second, or 10/second;300/minute") from error
        return text

    def model_post_init(self, _context: Any) -> None:
        """Fill in what follows from `home`."""
        # Frozen for everyone else; here the value is not finished yet.
        if not self.database_url:
            object.__setattr__(self, "database_url", str(self.home / "ledger.db"))
        if not self.images_url:
            object.__setattr__(self, "images_url", str(self.home / "images"))
        if self.accounts == Path():
            object.__setattr__(self, "accounts", self.home / "accounts.json")

    @property
    def serves_this_machine_only(self) -> bool:
        """Whether the site listens where no other machine can reach it, and no proxy passes others on."""
        if self.trusted_proxies:
            return False
        try:
            return ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"

    @property
    def signing_secret(self) -> str:
        """The secret that was given, or the one kept in `home`/secret, made at the first call (readable by us alone).

        Raises SettingsError when it cannot be kept or read.
        """
        if self.secret:
            return self.secret
        file = self.home / "secret"
        try:
            self.home.mkdir(parents=True, exist_ok=True)
            try:
                # Made whole under another name, then linked: two processes that begin at once agree on one secret.
                beside = self.home / f".secret-{secrets.token_hex(8)}"
                beside.touch(mode=0o600)
                beside.write_text(secrets.token_urlsafe(48), encoding="ascii")
                os.link(beside, file)
            except FileExistsError:
                pass
            finally:
                beside.unlink(missing_ok=True)
            kept = file.read_text(encoding="ascii").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise SettingsError(f"The secret in {file} cannot be kept or read: {error}. Set ARENA_SECRET.") from error
        if not kept:
            raise SettingsError(f"{file} is empty. Remove it, or set ARENA_SECRET; all raters then join anew.")
        return kept


def read_settings(**given: Any) -> Settings:
    """The settings of the environment, with what is `given` (and not None) in its place. Raises SettingsError."""
    try:
        return Settings(**{name: value for name, value in given.items() if value is not None})
    except ValidationError as error:
        first = error.errors()[0]
        name = "_".join(str(part) for part in first["loc"])
        reason = first["msg"].removeprefix("Value error, ")
        raise SettingsError(f"ARENA_{name.upper()} is {first['input']!r}: {reason}. Set it right.") from error
