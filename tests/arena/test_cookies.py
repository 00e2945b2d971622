"""The signed cookies: what was given is read back, and nothing that anyone else wrote."""

import pytest
from starlette.responses import Response

from arena.accounts import Account, Role
from arena.cookies import ACCOUNT_NAME, NAME, AccountCookie, RaterCookie

SECRET = "kept in a drawer"
ANNA = Account(name="anna", role=Role.ADMIN, password="a hash")


def given_to_browser(answer: Response) -> tuple[str, str]:
    """The cookie's value and its attributes."""
    value, _, attributes = answer.headers["set-cookie"].partition(";")
    return value.partition("=")[2], attributes


def test_a_rater_is_read_back_again_and_again() -> None:
    cookie, answer = RaterCookie(SECRET, secure=False), Response()
    cookie.write(answer, 12345)
    value, attributes = given_to_browser(answer)

    found = [cookie.read({NAME: value}) for _ in range(3)]

    assert found == [12345] * 3
    assert "HttpOnly" in attributes
    assert "SameSite=lax" in attributes
    assert "Path=/rate" in attributes
    assert "Secure" not in attributes


@pytest.mark.parametrize("value", ["", "x", "MTIzNDU.aaaa.bbbb", "12345"])
def test_a_forged_rater_is_nobody_also_the_second_time(value: str) -> None:
    cookie = RaterCookie(SECRET, secure=False)

    assert [cookie.read({NAME: value}), cookie.read({NAME: value}), cookie.read({})] == [None, None, None]


def test_a_rater_of_another_secret_is_nobody() -> None:
    answer = Response()
    RaterCookie("another", secure=False).write(answer, 1)

    assert RaterCookie(SECRET, secure=False).read({NAME: given_to_browser(answer)[0]}) is None


def test_a_session_is_its_accounts_until_the_password_changes() -> None:
    cookie, answer = AccountCookie(SECRET, secure=True), Response()
    cookie.write(answer, ANNA)
    value, attributes = given_to_browser(answer)

    session = cookie.read({ACCOUNT_NAME: value})

    assert session is not None
    assert session.belongs_to(ANNA)
    assert not session.belongs_to(Account(name="anna", role=Role.ADMIN, password="a new hash"))
    assert not session.belongs_to(Account(name="bert", role=Role.ADMIN, password="a hash"))
    assert all(part in attributes for part in ("HttpOnly", "SameSite=lax", "Secure", "Max-Age=43200", "Path=/"))


def test_a_raters_cookie_is_no_session() -> None:
    answer = Response()
    RaterCookie(SECRET, secure=False).write(answer, 1)

    assert AccountCookie(SECRET, secure=False).read({ACCOUNT_NAME: given_to_browser(answer)[0]}) is None


def test_a_session_is_over_after_twelve_hours(monkeypatch: pytest.MonkeyPatch) -> None:
    from itsdangerous import TimestampSigner

    cookie, answer = AccountCookie(SECRET, secure=False), Response()
    now = TimestampSigner("any").get_timestamp()
    monkeypatch.setattr(TimestampSigner, "get_timestamp", lambda _: now - 12 * 3600 - 2)
    cookie.write(answer, ANNA)
    monkeypatch.undo()

    assert cookie.read({ACCOUNT_NAME: given_to_browser(answer)[0]}) is None
