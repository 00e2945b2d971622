"""Whose request it is: the peer's, and what a proxy says only where it is one that we trust."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from arena.addresses import Addresses, read_networks

PROXIED = Addresses(read_networks("10.0.0.0/8, 192.0.2.7"))


def scope(peer: str | None, *forwarded: str) -> dict[str, Any]:
    return {
        "type": "http",
        "client": None if peer is None else (peer, 50_000),
        "headers": [(b"x-forwarded-for", line.encode()) for line in forwarded],
    }


def test_without_a_proxy_the_peer_asks_whatever_the_header_says() -> None:
    assert Addresses().client(scope("203.0.113.5", "198.51.100.1")) == "203.0.113.5"


def test_a_header_from_a_stranger_changes_nothing() -> None:
    assert PROXIED.client(scope("203.0.113.5", "198.51.100.1")) == "203.0.113.5"
    assert not PROXIED.comes_through_proxy(scope("203.0.113.5"))


@pytest.mark.parametrize(
    ("forwarded", "client"),
    [
        (("198.51.100.1",), "198.51.100.1"),
        (("1.1.1.1, 198.51.100.1",), "198.51.100.1"),
        (("1.1.1.1", "198.51.100.1"), "198.51.100.1"),
        (("1.1.1.1, 198.51.100.1, 10.2.3.4",), "198.51.100.1"),
        (("10.9.9.9, 10.2.3.4",), "10.9.9.9"),
        (("198.51.100.1:4711",), "198.51.100.1"),
        (("[2001:db8::1]:4711",), "2001:db8::/64"),
        (("1.1.1.1, nonsense",), "10.0.0.1"),
        (("1.1.1.1, nonsense, 10.2.3.4",), "10.2.3.4"),
        (("",), "10.0.0.1"),
        ((), "10.0.0.1"),
    ],
)
def test_behind_a_trusted_proxy_the_right_most_other_hop_asks(forwarded: tuple[str, ...], client: str) -> None:
    assert PROXIED.client(scope("10.0.0.1", *forwarded)) == client


def test_a_whole_ipv6_network_is_one_and_a_mapped_address_is_the_ipv4_one() -> None:
    first, second, other = (
        Addresses().client(scope(peer)) for peer in ("2001:db8::1", "2001:db8::ffff:2", "2001:db8:0:1::1")
    )

    assert first == second
    assert first != other
    assert Addresses().client(scope("::ffff:203.0.113.5")) == "203.0.113.5"
    assert PROXIED.client(scope("::ffff:10.0.0.1", "198.51.100.1")) == "198.51.100.1"


def test_a_connection_without_an_address_is_counted_as_unknown() -> None:
    assert Addresses().client(scope(None)) == "unknown"
    assert PROXIED.client(scope("a socket's name", "1.1.1.1")) == "unknown"


@given(invented=st.text(alphabet="0123456789abcdef.:,[] x", max_size=60))
def test_nothing_that_a_client_writes_left_of_its_own_hop_matters(invented: str) -> None:
    assert PROXIED.client(scope("10.0.0.1", f"{invented}, 198.51.100.1")) == "198.51.100.1"


@pytest.mark.parametrize("text", ["nowhere", "10.0.0.1/8", "10.0.0.0/40"])
def test_what_is_no_network_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        read_networks(text)
