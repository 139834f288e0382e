"""Which addresses photos may be fetched from: checks of the URL, and of every IP address of its host.

A photo URL comes from outside, and an attacker may choose one of the internal network: the cloud's metadata
service, the database's port, an admin page. Two checks:

* `check_url`: scheme, port, spelling of the host, and the operator's list of hosts;
* `AddressRules.resolve`: every address that the name stands for must be a public unicast address,
  asked for by the connection itself, when it is opened (`worker.downloads.connections`).
"""

from __future__ import annotations

import ipaddress
import re
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import SplitResult, quote, urljoin, urlsplit

import idna
from requests_hardened.ip_filter import EXTRA_BLOCKED_NET_RANGES

IpAddress = ipaddress.IPv4Address | ipaddress.IPv6Address
IpNetwork = ipaddress.IPv4Network | ipaddress.IPv6Network
Resolver = Callable[[str, int], Sequence[str]]
"""Host and port in, IP addresses as text out. Raises OSError where there is no such name."""

MAX_URL: Final = 2048
_GLOBAL_UNICAST: Final = ipaddress.ip_network("2000::/3")
"""The only IPv6 space that is allocated. Everything with an IPv4 address inside (mapped,
compatible, translated, NAT64), link-local, site-local and unique-local lies outside of it."""
_BLOCKED: Final[tuple[IpNetwork, ...]] = (
    *EXTRA_BLOCKED_NET_RANGES,
    ipaddress.ip_network("2001::/23"),  # IETF's own: Teredo, ORCHID, benchmarking
    ipaddress.ip_network("2001:db8::/32"),  # documentation
)
_ISATAP: Final = (0x00005EFE, 0x02005EFE)
_NUMBER: Final = re.compile(r"(0x[0-9a-f]*|[0-9]+)", re.IGNORECASE)
_HOST: Final = re.compile(r"[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?)*")


PRIVATE_NETWORKS: Final[tuple[IpNetwork, ...]] = tuple(
    ipaddress.ip_network(text)
    for text in ("127.0.0.0/8", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "::1/128", "fc00::/7")
)
"""Loopback and private networks; link-local, where clouds keep their metadata, is none of them."""


class AddressRefused(Exception):
    """Photos may not be fetched from there. The text is for operators and holds no URL."""


def system_resolver(host: str, port: int) -> list[str]:
    """Every address that the operating system knows for the name."""
    return [str(info[4][0]) for info in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]


@dataclass(frozen=True, slots=True)
class Target:
    """A URL that passed the rules."""

    origin: str
    """Scheme, host and port, rebuilt from their checked parts: `https://photos.example.com`."""
    path: str
    """Path and query unchanged, for signatures cover them; only what is not ASCII is percent-encoded."""
    scheme: str
    host: str
    """Lower case, in ASCII, an IPv6 address without its brackets."""
    port: int

    @property
    def url(self) -> str:
        """The whole address, without a fragment."""
        return self.origin + self.path


@dataclass(frozen=True, slots=True)
class AddressRules:
    """Where photos may come from. The defaults: any public host, https, port 443."""

    hosts: tuple[str, ...] = ()
    """``photos.example.com`` or ``*.example.com`` (any depth below it); empty: every public host."""
    allow_http: bool = False
    ports: frozenset[int] | None = frozenset({80, 443})
    """None: any port."""
    networks: tuple[IpNetwork, ...] = ()
    """Private networks that are allowed all the same: the operator's own photo store, a test's."""

    def allows_host(self, host: str) -> bool:
        """Whether the operator's list holds the host."""
        return not self.hosts or any(matches(host, pattern.lower()) for pattern in self.hosts)

    def allows(self, address: IpAddress) -> bool:
        """Whether the address is public unicast, or in a network that the operator allows."""
        return any(address in network for network in self.networks) or is_public(address)

    def resolve(self, host: str, port: int, resolver: Resolver) -> list[IpAddress]:
        """Every address of the host. Raises AddressRefused if one of them is not allowed, OSError."""
        addresses = [_literal(text) for text in dict.fromkeys(_addresses(host, port, resolver))]
        for address in addresses:
            if not self.allows(address):
                raise AddressRefused(f"{host} is at {address}, which is not a public address")
        if not addresses:
            raise OSError(f"no address for {host}")
        return addresses


def is_public(address: IpAddress) -> bool:
    """Whether the address is one of the open internet, and of one host."""
    if any(address in network for network in _BLOCKED):
        return False
    if isinstance(address, ipaddress.IPv6Address):
        return address in _GLOBAL_UNICAST and (int(address) >> 32) & 0xFFFFFFFF not in _ISATAP
    return address.is_global and not address.is_multicast


def check_url(url: str, rules: AddressRules) -> Target:
    """The URL in its canonical spelling. Raises AddressRefused."""
    if len(url) > MAX_URL or any(c.isspace() or not c.isprintable() or c == "\\" for c in url):
        raise AddressRefused("the address is too long, or holds spaces or control characters")
    parts, port = _split(url)
    if parts.scheme != "https" and not (parts.scheme == "http" and rules.allow_http):
        raise AddressRefused("only https is allowed" if not rules.allow_http else "only http and https")
    if "@" in parts.netloc:
        raise AddressRefused("user names in addresses are not allowed")
    host = canonical_host(parts.hostname or "")
    if not rules.allows_host(host):
        raise AddressRefused(f"host {host} is not in the list of allowed hosts")
    return _target(parts.scheme, host, port, _path(url), rules)


def next_hop(target: Target, location: str, rules: AddressRules) -> Target:
    """Where a redirect leads to, checked like a first address. Raises AddressRefused."""
    try:
        url = urljoin(target.url, location)
    except ValueError:
        raise AddressRefused("a redirect to something that is no address") from None
    following = check_url(url, rules)
    if target.scheme == "https" and following.scheme != "https":
        raise AddressRefused("a redirect from https to http")
    return following


def canonical_host(host: str) -> str:
    """The host in lower case and ASCII. Raises AddressRefused for every odd spelling.

    Libraries disagree on what ``2130706433``, ``0x7f.1`` or ``127.1`` mean; browsers and the C
    library read an IPv4 address. Here a host whose last part is a number is one in four decimal
    parts, or nothing.
    """
    if ":" in host:
        return str(_ipv6(host))
    name = _ascii(host).removesuffix(".")
    if len(name) > 253 or not _HOST.fullmatch(name):
        raise AddressRefused("the host is not spelled as a host")
    if _NUMBER.fullmatch(name.rpartition(".")[2]):
        return str(_ipv4(name))
    return name


def _split(url: str) -> tuple[SplitResult, int | None]:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise AddressRefused("not an address") from None
    return parts, port


def _path(url: str) -> str:
    """What follows the host: not parsed and not normalised, for hosts sign it as it is written."""
    remainder = url.partition("//")[2].partition("#")[0]
    start = re.search(r"[/?]", remainder)
    path = remainder[start.start() :] if start else ""
    encoded = "".join(c if c.isascii() else quote(c) for c in path)
    return encoded if encoded.startswith("/") else f"/{encoded}"


def _target(scheme: str, host: str, port: int | None, path: str, rules: AddressRules) -> Target:
    standard = 443 if scheme == "https" else 80
    port = standard if port is None else port
    if port == 0 or (port != standard and rules.ports is not None and port not in rules.ports):
        raise AddressRefused(f"port {port} is not allowed")
    shown = f"[{host}]" if ":" in host else host
    netloc = shown if port == standard else f"{shown}:{port}"
    return Target(f"{scheme}://{netloc}", path, scheme, host, port)


def matches(host: str, pattern: str) -> bool:
    """Whether the host is the pattern's, in lower case both: `*.` stands for every subdomain."""
    if pattern.startswith("*."):
        return host.endswith(pattern[1:])
    return host == pattern


def _addresses(host: str, port: int, resolver: Resolver) -> Sequence[str]:
    """A literal address is not resolved."""
    try:
        return [str(ipaddress.ip_address(host))]
    except ValueError:
        return resolver(host, port)


def _literal(text: str) -> IpAddress:
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        raise AddressRefused("the resolver's result is no IP address") from None


def _ascii(host: str) -> str:
    try:
        return host.lower() if host.isascii() else idna.encode(host, uts46=True).decode().lower()
    except UnicodeError:
        raise AddressRefused("the host is not spelled as a host") from None


def _ipv4(text: str) -> ipaddress.IPv4Address:
    try:
        return ipaddress.IPv4Address(text)
    except ValueError:
        raise AddressRefused("an IPv4 address in an unusual spelling") from None


def _ipv6(text: str) -> ipaddress.IPv6Address:
    try:
        address = ipaddress.IPv6Address(text)
    except ValueError:
        raise AddressRefused("not an IPv6 address") from None
    if address.scope_id is not None:
        raise AddressRefused("an IPv6 address with a zone")
    return address
