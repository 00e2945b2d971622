"""The accounts file: hashes that hold, errors that name the place, and changes that count at once."""

import json
import stat
import time
from pathlib import Path
from typing import Any

import pytest

from arena.accounts import (
    Account,
    AccountError,
    AccountsFile,
    AccountsFileError,
    Role,
    account_name,
    hash_password,
    password_fits,
)

PASSWORD = "four words in a row"


@pytest.fixture
def accounts(tmp_path: Path) -> AccountsFile:
    return AccountsFile(tmp_path / "arena" / "accounts.json")


def written(path: Path, value: Any) -> AccountsFile:
    path.write_text(value if isinstance(value, str) else json.dumps(value))
    return AccountsFile(path)


def anna(role: Role = Role.ADMIN, password: str = "") -> Account:
    return Account(name="anna", role=role, password=password)


def test_a_role_may_do_what_the_ones_before_it_may() -> None:
    assert Role.ADMIN.reaches(Role.RESEARCHER)
    assert Role.RESEARCHER.reaches(Role.RATER)
    assert not Role.RESEARCHER.reaches(Role.ADMIN)
    assert not Role.RATER.reaches(Role.RESEARCHER)


def test_only_the_password_itself_fits() -> None:
    account = anna(password=hash_password(PASSWORD))

    assert password_fits(account, PASSWORD)
    assert not password_fits(account, PASSWORD + " ")
    assert not password_fits(account, "")


def test_a_letter_typed_in_another_way_is_the_same_letter() -> None:
    composed, decomposed = "gr\u00fcne W\u00e4lder im Mai", "gru\u0308ne Wa\u0308lder im Mai"

    assert password_fits(anna(password=hash_password(composed)), decomposed)


def test_nobody_and_someone_without_a_password_never_fit() -> None:
    assert not password_fits(None, PASSWORD)
    assert not password_fits(None, "")
    assert not password_fits(anna(), "")


def test_nobody_and_someone_without_a_password_cost_as_much_as_anyone() -> None:
    asked = {"known": anna(password=hash_password(PASSWORD)), "unknown": None, "without": anna()}

    def cpu_s(account: Account | None) -> float:
        began = time.thread_time()
        password_fits(account, "not the password")
        return time.thread_time() - began

    # The least of several, in turn: what else the machine does only adds.
    least = {name: min(cpu_s(account) for _ in range(5)) for name, account in asked.items()}

    assert 0.6 < least["unknown"] / least["known"] < 1.6
    assert 0.6 < least["without"] / least["known"] < 1.6


def test_two_hashes_of_one_password_differ_and_do_not_hold_it() -> None:
    first, second = hash_password(PASSWORD), hash_password(PASSWORD)

    assert first != second
    assert PASSWORD not in first
    assert first.startswith("scrypt$16384$8$5$")


@pytest.mark.parametrize("password", ["", "short words", "x" * 1025])
def test_a_password_that_is_too_short_or_too_long_is_refused(password: str) -> None:
    with pytest.raises(AccountError, match="12 to 1,024 characters"):
        hash_password(password)


def test_an_account_is_kept_found_in_any_case_and_removed(accounts: AccountsFile) -> None:
    accounts.add(anna())
    accounts.add(Account(name="bert", role=Role.RESEARCHER))

    found = accounts.find("Anna")
    accounts.remove("ANNA")

    assert found == anna()
    assert [account.name for account in accounts.all()] == ["bert"]


def test_a_file_that_does_not_exist_has_no_accounts_and_one_that_was_emptied_exists(accounts: AccountsFile) -> None:
    before = accounts.exists
    accounts.add(anna())
    accounts.remove("anna")

    assert not before
    assert accounts.exists
    assert accounts.all() == []


def test_the_file_is_readable_by_us_alone(accounts: AccountsFile) -> None:
    accounts.add(anna())

    assert stat.S_IMODE(accounts.path.stat().st_mode) == 0o600
    assert [file.name for file in accounts.path.parent.iterdir()] == ["accounts.json"]


def test_an_account_that_exists_is_replaced_only_on_request(accounts: AccountsFile) -> None:
    accounts.add(anna())

    with pytest.raises(AccountError, match=r"'anna' has an account already.*--replace"):
        accounts.add(anna(Role.RESEARCHER))
    accounts.add(anna(Role.RESEARCHER), replace=True)

    assert accounts.all() == [anna(Role.RESEARCHER)]


def test_removing_nobody_names_who_there_is(accounts: AccountsFile) -> None:
    accounts.add(anna())

    with pytest.raises(AccountError, match=r"no account 'carl'.*anna"):
        accounts.remove("carl")


def test_a_change_by_another_process_counts_at_once(accounts: AccountsFile) -> None:
    accounts.add(anna())
    other = AccountsFile(accounts.path)

    seen = other.find("anna")
    accounts.remove("anna")

    assert seen == anna()
    assert other.find("anna") is None


def test_a_new_password_changes_the_stamp() -> None:
    first, second = (anna(password=hash_password(PASSWORD)) for _ in range(2))

    assert first.stamp != second.stamp


@pytest.mark.parametrize("name", ["", "-anna", "an na", "anna\n", "änna", "a" * 65, "../anna", "anna$"])
def test_what_cannot_be_a_name_is_refused(name: str) -> None:
    if name == "anna\n":
        assert account_name(name) == "anna"
        return

    with pytest.raises(AccountError, match="cannot be an account's name"):
        account_name(name)


def test_names_are_kept_in_lower_case() -> None:
    assert account_name(" Anna@Example.org ") == "anna@example.org"


GOOD = {"name": "anna", "role": "admin", "password": ""}


@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        ("{", "is no JSON"),
        ([], "must be"),
        ({"accounts": [GOOD], "more": 1}, "must be"),
        ({"accounts": [GOOD, GOOD]}, "'anna' twice"),
        ({"accounts": [GOOD | {"more": ""}]}, "account 1: it must have name, role and password"),
        ({"accounts": [GOOD, GOOD | {"name": "Bert"}]}, "account 2: 'Bert' cannot be a name"),
        ({"accounts": [GOOD | {"role": "rater"}]}, "the role is 'rater'. Make it researcher or admin"),
        ({"accounts": [GOOD | {"role": "root"}]}, "the role is 'root'"),
        ({"accounts": [GOOD | {"password": PASSWORD}]}, "its password is no hash"),
        ({"accounts": [GOOD | {"password": "scrypt$16384$8$5$AAAA$AAAA"}]}, "its password is no hash"),
        ({"accounts": [GOOD | {"password": hash_password(PASSWORD).replace("16384", "16383")}]}, "no hash"),
        ({"accounts": [GOOD | {"password": hash_password(PASSWORD).replace("16384", str(2**40))}]}, "no hash"),
    ],
)
def test_a_file_with_a_fault_is_refused_and_the_place_named(tmp_path: Path, value: Any, sentence: str) -> None:
    accounts = written(tmp_path / "accounts.json", value)

    with pytest.raises(AccountsFileError) as refused:
        accounts.all()

    assert sentence in str(refused.value)
    assert str(accounts.path) in str(refused.value)
    assert PASSWORD not in str(refused.value)


def test_a_folder_in_the_files_place_is_an_error_and_not_a_crash(tmp_path: Path) -> None:
    (tmp_path / "accounts.json").mkdir()
    accounts = AccountsFile(tmp_path / "accounts.json")

    with pytest.raises(AccountsFileError, match="cannot be read"):
        accounts.all()
    with pytest.raises(AccountsFileError, match="cannot be read"):
        accounts.add(anna())
