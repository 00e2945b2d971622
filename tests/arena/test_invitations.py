"""Sign-up links: one person, one study, until they end; and nothing that anyone else can write."""

from datetime import datetime, timedelta
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from arena.invitations import InvitationError, Invitations

SECRET = "kept in a drawer"
WEEK = timedelta(days=7)


@pytest.fixture
def invitations(now: datetime) -> Invitations:
    return Invitations(SECRET, clock=lambda: now)


def test_a_link_lets_in_and_is_the_same_person_each_time(invitations: Invitations) -> None:
    link = invitations.make_link("first", lasts=WEEK)

    once, again = (invitations.check_link(link.token, "first") for _ in range(2))

    assert once == again
    assert len(once) == 16


def test_two_links_are_two_people(invitations: Invitations) -> None:
    people = {invitations.check_link(invitations.make_link("first", lasts=WEEK).token, "first") for _ in range(50)}

    assert len(people) == 50


def test_the_address_leads_to_the_study_with_the_token(invitations: Invitations) -> None:
    link = invitations.make_link("first", lasts=WEEK)

    address = urlsplit(link.url("https://arena.example.org/"))

    assert (address.scheme, address.netloc, address.path) == ("https", "arena.example.org", "/rate/")
    assert parse_qs(address.query) == {"study": ["first"], "link": [link.token]}


def test_a_link_to_another_study_does_not_let_in(invitations: Invitations) -> None:
    link = invitations.make_link("first", lasts=WEEK)

    with pytest.raises(InvitationError, match="another study"):
        invitations.check_link(link.token, "second")


def test_a_link_ends_when_it_says(invitations: Invitations, now: datetime) -> None:
    link = invitations.make_link("first", lasts=WEEK)
    before, after = (
        Invitations(SECRET, clock=lambda moment=moment: moment)  # type: ignore[misc]
        for moment in (link.expires_at - timedelta(seconds=1), link.expires_at)
    )

    before.check_link(link.token, "first")

    assert link.expires_at == now + WEEK
    with pytest.raises(InvitationError, match=r"ended on 2024-05-08 at 12:00 UTC"):
        after.check_link(link.token, "first")


def test_another_secret_makes_other_links(invitations: Invitations, now: datetime) -> None:
    link = Invitations("another secret", clock=lambda: now).make_link("first", lasts=WEEK)

    with pytest.raises(InvitationError, match="not whole"):
        invitations.check_link(link.token, "first")


def test_no_link_at_all_is_told_apart(invitations: Invitations) -> None:
    with pytest.raises(InvitationError, match="invited people only"):
        invitations.check_link("", "first")


@given(st.text(max_size=600))
def test_no_text_is_a_link_unless_we_signed_it(text: str) -> None:
    with pytest.raises(InvitationError):
        Invitations(SECRET, clock=datetime.now).check_link(text, "first")


@given(place=st.integers(0, 10_000), letter=st.sampled_from("abcXYZ019-_."))
def test_a_link_with_one_letter_changed_does_not_let_in(place: int, letter: str) -> None:
    makes = Invitations(SECRET, clock=lambda: datetime(2024, 5, 1))
    token = makes.make_link("first", lasts=WEEK).token
    # The last letter of a signature has bits to spare: two letters there can mean the same.
    at = place % (len(token) - 1)
    changed = token[:at] + letter + token[at + 1 :]

    if changed == token:
        assert makes.check_link(changed, "first")
        return
    with pytest.raises(InvitationError):
        makes.check_link(changed, "first")
