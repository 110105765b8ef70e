"""Which addresses a tool server may have (threat T12): public ones, and private ones if the operator's file says so;
link-local ones never, since that is where clouds keep their credentials. What is looked at is the address that is
dialled, after names, octal and mapped forms have been resolved, and it is resolved once per connection."""

from __future__ import annotations

import asyncio
import ipaddress
import socket

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

_METADATA = ipaddress.ip_address("fd00:ec2::254")
_NAT64 = ipaddress.ip_network("64:ff9b::/96")
_6TO4 = ipaddress.ip_network("2002::/16")


class AddressRefused(Exception):
    """The server's name leads to an address that must not be called."""


async def dialled(host: str, port: int, private: bool) -> Address:
    """The one address to connect to. All that the name leads to must be allowed: a name with a forbidden address among
    them is not trusted with the others. Raises AddressRefused and OSError."""
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    addresses = [ipaddress.ip_address(str(place[0]).partition("%")[0]) for *_, place in found]
    for address in addresses:
        if reason := refusal(address, private):
            raise AddressRefused(f"{host} is {address}, {reason}")
    if not addresses:
        raise AddressRefused(f"{host} has no address")
    return addresses[0]


def refusal(address: Address, private: bool) -> str:
    """Why it must not be called, '' when it may. `private`: the operator allows networks of one's own."""
    inner = embedded(address)
    if inner is not None:
        return refusal(inner, private)
    if address.is_link_local or address == _METADATA:
        return "a link-local address"
    if address.is_unspecified or address.is_multicast:
        return "no address of one server"
    if address.is_loopback or address.is_private or not address.is_global:
        return "" if private else "a private address, which its entry in the servers' file does not allow (private)"
    return ""


def embedded(address: Address) -> ipaddress.IPv4Address | None:
    """The IPv4 address that an IPv6 address stands for."""
    if isinstance(address, ipaddress.IPv4Address):
        return None
    if address.ipv4_mapped is not None:
        return address.ipv4_mapped
    if address in _6TO4:
        return address.sixtofour
    if address in _NAT64 or (int(address) >> 32 == 0 and int(address) > 1):
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return None
