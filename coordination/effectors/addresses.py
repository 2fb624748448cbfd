"""Which network addresses an effect may reach: public ones, and private ones only where the settings allow them.

Invariant: a name is resolved once and every address it has is checked; whoever connects uses the returned address, so a name that
resolves differently a moment later (DNS rebinding) reaches nothing else. Opens no connection.
"""

import ipaddress
import socket
from collections.abc import Callable, Sequence

from coordination.errors import GiveUp, RetryLater

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Resolve = Callable[[str, int], Sequence[str]]
#: Addresses of one name that are looked at.
ADDRESSES_MAX = 16


def resolve(host: str, port: int) -> list[str]:
    """The addresses of a name, as the operating system knows them."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(item[4][0]) for item in found))


def checked(host: str, port: int, allowed: Sequence[str], resolving: Resolve = resolve) -> str:
    """One address of the host to connect to; GiveUp where any of its addresses may not be reached, RetryLater where it has none.

    `allowed` holds networks (``10.0.0.0/8``), hosts (``hooks.internal``) and hosts with port (``127.0.0.1:8443``).
    """
    try:
        addresses = list(resolving(host, port))[:ADDRESSES_MAX]
    except OSError as error:
        raise RetryLater(
            f"the name {host} has no address now ({error.strerror or error}); check the name and DNS"
        ) from error
    if not addresses:
        raise RetryLater(f"the name {host} has no address now; check the name and DNS")
    named = {host, f"{host}:{port}"} & set(allowed)
    networks = [network for network in map(_network, allowed) if network is not None]
    for text in addresses:
        address = _plain(ipaddress.ip_address(text.partition("%")[0]))
        if not named and not public(address) and not any(address in network for network in networks):
            raise GiveUp(
                f"{host} is at {address}, which is not a public address; allow it in the webhook settings if that is meant"
            )
    return addresses[0]


def public(address: Address) -> bool:
    """Whether an address belongs to the public internet."""
    return address.is_global and not address.is_multicast and not address.is_reserved


def _plain(address: Address) -> Address:
    """An IPv4 address that hides in an IPv6 one (mapped, 6to4, NAT64) as itself."""
    if isinstance(address, ipaddress.IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour
        if inner is not None:
            return inner
        if address in ipaddress.ip_network("64:ff9b::/96"):
            return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address


def _network(text: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network | None:
    try:
        return ipaddress.ip_network(text, strict=False)
    except ValueError:
        return None
