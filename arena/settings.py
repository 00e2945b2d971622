"""Where the arena keeps its things and where it serves: the one reader of the environment (ARENA_*).

Everything else receives these values as arguments. Options of the command line win over the environment.
"""

import os
import secrets
from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from prompts.errors import CanvasError


class SettingsError(CanvasError):
    """A setting that cannot be used; the sentence names the ARENA_ variable."""


class Settings(BaseSettings):
    """ARENA_HOME, ARENA_DATABASE_URL, ARENA_IMAGES_URL, ARENA_HOST, ARENA_PORT, ARENA_SECRET, ARENA_COOKIE_SECURE.

    `database_url` (a file or an address) and `images_url` (a folder or an address) are in `home` where nothing is said;
    port 0 lets the system choose one. `secret` signs cookies and keys the hashes
    of people's ids; where it is not given, `signing_secret` keeps a random one in `home`. `cookie_secure` is for sites
    behind TLS. Make it with `read_settings`, whose errors are sentences.
    """

    model_config = SettingsConfigDict(env_prefix="ARENA_", frozen=True, extra="forbid")

    home: Path = Path("arena-data")
    database_url: str = Field(default="", repr=False)
    images_url: str = ""
    host: str = "127.0.0.1"
    port: int = Field(default=7860, ge=0, le=65535)
    secret: str = Field(default="", repr=False)
    cookie_secure: bool = False

    def model_post_init(self, _context: Any) -> None:
        """Fill in what follows from `home`."""
        # Frozen for everyone else; here the value is not finished yet.
        if not self.database_url:
            object.__setattr__(self, "database_url", str(self.home / "ledger.db"))
        if not self.images_url:
            object.__setattr__(self, "images_url", str(self.home / "images"))

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
        raise SettingsError(f"ARENA_{name.upper()} is {first['input']!r}: {first['msg']}. Set it right.") from error
