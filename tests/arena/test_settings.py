import os
import stat
import threading
from pathlib import Path

import pytest
from pydantic import ValidationError

from arena.settings import Settings, SettingsError, read_settings


@pytest.fixture(autouse=True)
def no_arena_around(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("ARENA_")]:
        monkeypatch.delenv(name)


def test_without_a_word_everything_lies_in_arena_data() -> None:
    settings = read_settings()

    assert settings.home == Path("arena-data")
    assert settings.database_url == "arena-data/ledger.db"
    assert settings.images_url == "arena-data/images"
    assert settings.accounts == Path("arena-data/accounts.json")
    assert (settings.host, settings.port, settings.cookie_secure) == ("127.0.0.1", 7860, False)


def test_the_environment_is_read_and_given_values_win(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ARENA_HOME", str(tmp_path))
    monkeypatch.setenv("ARENA_PORT", "8000")
    monkeypatch.setenv("ARENA_DATABASE_URL", "postgresql://db/arena")
    monkeypatch.setenv("ARENA_COOKIE_SECURE", "true")
    monkeypatch.setenv("ARENA_PARTI_PROMPTS", "for another room")

    settings = read_settings(port=9000, host=None)

    assert settings.home == tmp_path
    assert settings.port == 9000
    assert settings.host == "127.0.0.1"
    assert settings.database_url == "postgresql://db/arena"
    assert settings.images_url == str(tmp_path / "images")
    assert settings.cookie_secure


def test_a_setting_that_cannot_be_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ARENA_PORT", "eighty")

    with pytest.raises(SettingsError, match="ARENA_PORT is 'eighty'"):
        read_settings()


def test_a_port_no_socket_has_is_refused() -> None:
    with pytest.raises(SettingsError, match="ARENA_PORT is 70000"):
        read_settings(port=70000)


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("RATE_PER_RATER", "often", "a rate reads 10/second"),
        ("RATE_PER_ADDRESS", "10/second;-3/minute", "a rate reads"),
        ("RATE_JOINS", "", "a rate reads"),
        ("RATE_LOGINS", "5", "a rate reads"),
        ("RATE_LIMITS", "perhaps", "valid boolean"),
        ("TRUSTED_PROXIES", "10.0.0.1, proxy.example.org", "'proxy.example.org' does not appear to be"),
        ("ADDRESS", "arena.example.org", "begin with http"),
        ("OPEN_RESULTS", "sometimes", "valid boolean"),
    ],
)
def test_each_setting_of_the_doors_that_cannot_be_is_named(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, sentence: str
) -> None:
    monkeypatch.setenv(f"ARENA_{name}", value)

    with pytest.raises(SettingsError, match=f"ARENA_{name} is ") as refused:
        read_settings()

    assert sentence in str(refused.value)
    assert "Value error" not in str(refused.value)


def test_a_proxys_header_needs_a_trusted_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ARENA_PROXY_USER_HEADER", "X-Remote-User")

    with pytest.raises(SettingsError, match=r"ARENA_PROXY_USER_HEADER .* ARENA_TRUSTED_PROXIES has to name the proxy"):
        read_settings()
    monkeypatch.setenv("ARENA_TRUSTED_PROXIES", "10.0.0.0/8")

    assert read_settings().proxy_user_header == "X-Remote-User"


@pytest.mark.parametrize(
    ("given", "here_only"),
    [
        ({}, True),
        ({"host": "localhost"}, True),
        ({"host": "127.1.2.3"}, True),
        ({"host": "::1"}, True),
        ({"host": "0.0.0.0"}, False),
        ({"host": "::"}, False),
        ({"host": "192.0.2.1"}, False),
        ({"host": ""}, False),
        ({"host": "arena.example.org"}, False),
        ({"trusted_proxies": "127.0.0.1"}, False),
    ],
)
def test_a_site_serves_this_machine_only_on_its_own_addresses(given: dict[str, str], here_only: bool) -> None:
    assert read_settings(**given).serves_this_machine_only is here_only


def test_the_limits_can_be_raised_and_turned_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ARENA_RATE_PER_RATER", "1000/second")
    monkeypatch.setenv("ARENA_RATE_LIMITS", "off")

    settings = read_settings()

    assert settings.rate_per_rater == "1000/second"
    assert settings.rate_limits is False


def test_settings_do_not_change(tmp_path: Path) -> None:
    settings = read_settings(home=tmp_path)

    with pytest.raises(ValidationError, match="frozen"):
        settings.port = 1  # type: ignore[misc]


def test_a_secret_is_made_once_and_kept_for_us_alone(tmp_path: Path) -> None:
    first = read_settings(home=tmp_path / "arena").signing_secret
    second = read_settings(home=tmp_path / "arena").signing_secret
    other = read_settings(home=tmp_path / "other").signing_secret

    assert first == second
    assert first != other
    assert len(first) >= 43
    assert stat.S_IMODE((tmp_path / "arena" / "secret").stat().st_mode) == 0o600
    assert [file.name for file in (tmp_path / "arena").iterdir()] == ["secret"]


def test_a_given_secret_is_used_and_not_kept(tmp_path: Path) -> None:
    settings = read_settings(home=tmp_path, secret="from a vault")

    assert settings.signing_secret == "from a vault"
    assert list(tmp_path.iterdir()) == []
    assert "from a vault" not in repr(settings)


def test_processes_that_begin_together_agree_on_the_secret(tmp_path: Path) -> None:
    found: list[str] = []
    threads = [
        threading.Thread(target=lambda: found.append(Settings(home=tmp_path / "arena").signing_secret))
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(found) == 8
    assert len(set(found)) == 1


def test_a_secret_that_cannot_be_kept_or_is_empty_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "secret").write_text("\n")

    with pytest.raises(SettingsError, match="Set ARENA_SECRET"):
        _ = read_settings(home=tmp_path / "file").signing_secret
    with pytest.raises(SettingsError, match="is empty"):
        _ = read_settings(home=tmp_path).signing_secret
