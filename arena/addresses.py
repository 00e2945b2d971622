"""Whose request this is, as an address to count by: a forged header changes nothing about it.

In: an ASGI scope. Out: a short text. The peer of the connection is who asks; only where the peer is a proxy that we
were told to trust does `X-Forwarded-For` count, read from the right, because a proxy appends and only what stands left
of its own entry can be invented. An IPv6 host owns a whole /64 and is counted by it.
"""

from collections.abc import Sequence
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from starlette.types import Scope

Network = IPv4Network | IPv6Network

_FORWARDED_FOR = b"x-forwarded-for"


def read_networks(text: str) -> tuple[Network, ...]:
    """Addresses and networks, parted by commas. Raises ValueError for anything else."""
    return tuple(ip_network(part.strip()) for part in text.split(",") if part.strip())


class Addresses:
    """Reads the client's address, with the proxies that may name it for us."""

    def __init__(self, proxies: Sequence[Network] = ()) -> None:
        self._proxies = tuple(proxies)

    def comes_through_proxy(self, scope: Scope) -> bool:
        """Whether the connection's other end is a proxy that we trust."""
        return self._trusts(_peer(scope))

    def client(self, scope: Scope) -> str:
        """What to count this request under; "unknown" where the connection has no address."""
        known = _peer(scope)
        if not self._trusts(known):
            return _counted_as(known)
        lines = (value.decode("latin-1") for name, value in scope["headers"] if name == _FORWARDED_FOR)
        for hop in reversed(",".join(lines).split(",")):
            host = _without_port(hop.strip())
            if _read(host) is None:
                break
            known = host
            if not self._trusts(host):
                break
        return _counted_as(known)

    def _trusts(self, host: str) -> bool:
        if not self._proxies:
            return False
        address = _read(host)
        return address is not None and any(address in network for network in self._proxies)


def _peer(scope: Scope) -> str:
    client = scope.get("client")
    return str(client[0]) if client else ""


def _without_port(hop: str) -> str:
    """Some proxies write the port behind the address."""
    if hop.startswith("["):
        return hop[1:].partition("]")[0]
    return hop.partition(":")[0] if hop.count(":") == 1 else hop


@lru_cache(maxsize=8192)
def _read(host: str) -> IPv4Address | IPv6Address | None:
    try:
        address = ip_address(host)
    except ValueError:
        return None
    # A socket that listens for both kinds writes an IPv4 peer in IPv6's way.
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address


@lru_cache(maxsize=8192)
def _counted_as(host: str) -> str:
    address = _read(host)
    if address is None:
        return "unknown"
    if isinstance(address, IPv4Address):
        return str(address)
    return f"{IPv6Address(int(address) >> 64 << 64)}/64"
