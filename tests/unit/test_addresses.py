"""Which addresses photos may come from."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from worker.downloads.addresses import (
    MAX_URL,
    PRIVATE_NETWORKS,
    AddressRefused,
    AddressRules,
    canonical_host,
    check_url,
    is_public,
    next_hop,
    system_resolver,
)

OPEN = AddressRules(allow_http=True)


@pytest.mark.parametrize(
    "text", ["93.184.216.34", "8.8.8.8", "2606:2800:220:1:248:1893:25c8:1946", "2a00:1450::1"]
)
def test_an_address_of_the_open_internet_is_public(text: str) -> None:
    assert is_public(ip_address(text))


@pytest.mark.parametrize(
    "text",
    [
        "0.0.0.0",
        "10.1.2.3",
        "100.64.0.1",  # carrier-grade NAT
        "127.0.0.1",
        "169.254.169.254",  # the clouds' metadata
        "172.16.0.1",
        "192.0.0.8",
        "192.0.2.1",
        "192.88.99.1",  # 6to4 relay
        "192.168.1.1",
        "198.18.0.1",
        "203.0.113.9",
        "224.0.0.1",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "::127.0.0.1",  # IPv4-compatible
        "::ffff:127.0.0.1",  # mapped
        "::ffff:8.8.8.8",
        "::ffff:0:7f00:1",  # translated
        "64:ff9b::7f00:1",  # NAT64
        "64:ff9b:1::1",
        "100::1",
        "2001::1",  # Teredo
        "2001:20::1",
        "2001:db8::1",
        "2002:7f00:1::",  # 6to4
        "3fff::1",
        "5f00::1",
        "2606:2800:220:1:0:5efe:7f00:1",  # ISATAP
        "2606:2800:220:1:200:5efe:a00:1",
        "fc00::1",
        "fd00:ec2::254",  # metadata over IPv6
        "fe80::1",
        "fec0::1",
        "ff02::1",
    ],
)
def test_every_other_address_is_not(text: str) -> None:
    assert not is_public(ip_address(text))


@given(st.ip_addresses(v=4))
@settings(deadline=None)
def test_no_ipv4_address_becomes_public_by_being_written_as_ipv6(address: IPv4Address) -> None:
    for prefix in ("::", "::ffff:0:0", "::ffff:0:0:0", "64:ff9b::", "2001:4860::5efe:0:0"):
        assert not is_public(IPv6Address(prefix) + int(address))


def test_the_operating_system_is_asked_for_the_addresses_of_the_name() -> None:
    found = system_resolver("localhost", 443)
    assert found
    assert set(found) <= {"127.0.0.1", "::1"}
    assert system_resolver("127.0.0.2", 443) == ["127.0.0.2"]


def test_every_address_of_a_name_must_be_allowed() -> None:
    def two_faced(host: str, port: int) -> list[str]:
        return ["93.184.216.34", "127.0.0.1"]

    with pytest.raises(AddressRefused, match=r"127\.0\.0\.1"):
        OPEN.resolve("photos.example.com", 443, two_faced)


def test_the_resolver_is_asked_for_names_only_and_must_find_one_address() -> None:
    asked: list[tuple[str, int]] = []

    def resolver(host: str, port: int) -> list[str]:
        asked.append((host, port))
        return ["93.184.216.34"] * 2 if host == "photos.example.com" else []

    assert OPEN.resolve("photos.example.com", 8443, resolver) == [ip_address("93.184.216.34")]
    assert OPEN.resolve("8.8.8.8", 443, resolver) == [ip_address("8.8.8.8")]
    assert asked == [("photos.example.com", 8443)]
    with pytest.raises(OSError, match="no address for elsewhere"):
        OPEN.resolve("elsewhere.example.com", 443, resolver)


def test_a_network_of_the_operators_own_is_allowed_and_nothing_beside_it() -> None:
    rules = AddressRules(networks=(ip_network("10.20.0.0/16"),))
    assert rules.allows(ip_address("10.20.3.4"))
    assert not rules.allows(ip_address("10.21.0.1"))


def test_the_metadata_address_stays_closed_where_private_networks_are_allowed() -> None:
    rules = AddressRules(networks=PRIVATE_NETWORKS)
    assert rules.allows(ip_address("127.0.0.1"))
    assert not rules.allows(ip_address("169.254.169.254"))
    assert not rules.allows(ip_address("::ffff:127.0.0.1"))


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("Photos.Example.COM", "photos.example.com"),
        ("photos.example.com.", "photos.example.com"),
        ("사진.example.com", "xn--vf4bi0o.example.com"),
        ("ＣＤＮ.example.com", "cdn.example.com"),
        (".".join(["a" * 62] * 4) + "aa", ".".join(["a" * 62] * 4) + "aa"),
        ("93.184.216.34", "93.184.216.34"),
        ("2606:2800:0220:0001::1946", "2606:2800:220:1::1946"),
        ("my_bucket.s3.amazonaws.com", "my_bucket.s3.amazonaws.com"),
    ],
)
def test_a_host_has_one_spelling(written: str, meant: str) -> None:
    assert canonical_host(written) == meant


@pytest.mark.parametrize(
    "host",
    [
        "2130706433",
        "0x7f.1",
        "0x7f000001",
        "0177.0.0.1",
        "127.1",
        "127.0.0.1.1",
        "①②⑦.⓪.⓪.①",
        "127。0。0。0x1",
        "%31%32%37.0.0.1",
        "a..b",
        "-a.com",
        "a b.com",
        "",
        "fe80::1%eth0",
        "1::2::3",
        "x" * 64 + "é.com",
    ],
)
def test_an_odd_spelling_of_a_host_is_refused(host: str) -> None:
    try:
        spelled = canonical_host(host)
    except AddressRefused:
        return
    # A full-width spelling may become an ordinary address, which is then checked as one.
    assert not is_public(ip_address(spelled))


@pytest.mark.parametrize(
    "url",
    [
        "ftp://photos.example.com/1.jpg",
        "file:///etc/passwd",
        "//photos.example.com/1.jpg",
        "photos.example.com/1.jpg",
        "https://",
        "https://user@photos.example.com/1.jpg",
        "https://user:word@photos.example.com/1.jpg",
        "https://photos.example.com@127.0.0.1/1.jpg",
        "https://photos.example.com\\@127.0.0.1/1.jpg",
        "https://photos.example.com/a\\b.jpg",
        "https://photos.example.com/".ljust(MAX_URL + 1, "a"),
        f"https://{'.'.join(['a' * 62] * 4)}aaa/1.jpg",
        "https://photos.example.com/1.jpg\n",
        "https://photos.example.com/a b.jpg",
        "https://photos.example.com/\0",
        "https://photos.example.com:22/1.jpg",
        "https://photos.example.com:0/1.jpg",
        "https://photos.example.com:99999/1.jpg",
        "https://photos.example.com:x/1.jpg",
        "https://[::1/1.jpg",
        "https://photos.example.com/" + "x" * 2048,
    ],
)
def test_a_url_outside_of_the_rules_is_refused(url: str) -> None:
    with pytest.raises(AddressRefused):
        check_url(url, OPEN)


def test_http_must_be_allowed_by_the_operator() -> None:
    with pytest.raises(AddressRefused, match="only https"):
        check_url("http://photos.example.com/1.jpg", AddressRules())
    assert check_url("http://photos.example.com/1.jpg", OPEN).port == 80


def test_a_url_is_put_together_anew() -> None:
    target = check_url("HTTPS://Photos.Example.com:443?sig=A%2Fb#top", OPEN)
    assert target.url == "https://photos.example.com/?sig=A%2Fb"
    assert (target.host, target.port) == ("photos.example.com", 443)


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("https://photos.example.com", "https://photos.example.com/"),
        ("https://[2606:2800:0220:1::1]/a", "https://[2606:2800:220:1::1]/a"),
        ("https://photos.example.com:80/a", "https://photos.example.com:80/a"),
        ("https://h.example.com/".ljust(MAX_URL, "a"), "https://h.example.com/".ljust(MAX_URL, "a")),
    ],
)
def test_the_address_that_is_asked_for_is_the_one_that_was_meant(written: str, meant: str) -> None:
    assert check_url(written, OPEN).url == meant


def test_the_port_of_the_scheme_is_always_allowed_and_others_where_the_operator_says_so() -> None:
    own = AddressRules(allow_http=True, ports=frozenset({8443}))
    assert [check_url(f"{start}/a", own).port for start in ("http://h.de", "https://h.de")] == [80, 443]
    assert check_url("https://h.de:8443/a", own).origin == "https://h.de:8443"
    with pytest.raises(AddressRefused, match="port 80 is"):
        check_url("https://h.de:80/a", own)
    every = AddressRules(ports=None)
    assert [check_url(f"https://h.de:{port}/a", every).port for port in (1, 65535)] == [1, 65535]
    with pytest.raises(AddressRefused, match="port 0 is"):
        check_url("https://h.de:0/a", every)


def test_korean_file_names_are_encoded_and_nothing_else_is() -> None:
    target = check_url("https://cdn.example.com/회원/사진%201.jpg?이름=a", OPEN)
    assert target.path == "/%ED%9A%8C%EC%9B%90/%EC%82%AC%EC%A7%84%201.jpg?%EC%9D%B4%EB%A6%84=a"


@pytest.mark.parametrize(
    "path",
    [
        "/a%2fb%7Ec%ec%9d.jpg?X-Amz-Signature=a%2Bb",
        "/[1]|{2}^`'.jpg?a[]={b}|c",
        "/a/../b/./c//d.jpg",
        "/%2e%2e/1.jpg",
        "/a;b=c,d@e:f!$&()*+.jpg",
        "/1.jpg?",
        "/1.jpg?a?b=c/../d",
        "/100%.jpg",
    ],
)
def test_path_and_query_are_kept_unchanged(path: str) -> None:
    """Whoever signed the link signed these very bytes."""
    assert check_url(f"https://CDN.example.com{path}#fragment", OPEN).path == path


@pytest.mark.parametrize(
    ("host", "allowed"),
    [
        ("photos.example.com", True),
        ("a.cdn.example.net", True),
        ("b.a.cdn.example.net", True),
        ("cdn.example.net", False),
        ("evilcdn.example.net", False),
        ("photos.example.com.evil.org", False),
        ("xphotos.example.com", False),
    ],
)
def test_the_list_of_hosts_is_anchored(host: str, allowed: bool) -> None:
    rules = AddressRules(hosts=("photos.example.com", "*.cdn.example.net"))
    assert rules.allows_host(host) is allowed


def test_a_redirect_is_checked_like_a_first_address() -> None:
    start = check_url("https://photos.example.com/album/1.jpg", OPEN)
    assert next_hop(start, "../2.jpg", OPEN).url == "https://photos.example.com/2.jpg"
    for elsewhere in (
        "ftp://photos.example.com/",
        "https://user@photos.example.com/",
        "https://[",
        "//a:22/",
    ):
        with pytest.raises(AddressRefused):
            next_hop(start, elsewhere, OPEN)


@pytest.mark.parametrize(
    "location",
    [
        "https://elsewhere.example.org/1.jpg",
        "//elsewhere.example.org/1.jpg",
        "https://photos.example.com.evil.org/1.jpg",
        "https://cdn.photos.example.com/1.jpg",
    ],
)
def test_a_redirect_never_leaves_the_hosts_of_the_list(location: str) -> None:
    rules = AddressRules(hosts=("photos.example.com",))
    start = check_url("https://photos.example.com/1.jpg", rules)
    assert next_hop(start, "/2.jpg", rules).host == "photos.example.com"
    with pytest.raises(AddressRefused, match="not in the list"):
        next_hop(start, location, rules)


def test_a_redirect_never_leaves_https() -> None:
    start = check_url("https://photos.example.com/1.jpg", OPEN)
    with pytest.raises(AddressRefused, match="https to http"):
        next_hop(start, "http://photos.example.com/1.jpg", OPEN)


@given(st.text(max_size=60))
@settings(deadline=None)
def test_any_text_is_either_an_address_or_refused(text: str) -> None:
    for url in (text, f"http://{text}/", f"https://a.example/{text}"):
        try:
            target = check_url(url, OPEN)
        except AddressRefused:
            continue
        assert target.scheme in ("http", "https")
        assert target.host == canonical_host(target.host)
