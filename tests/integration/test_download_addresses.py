"""A photo is fetched from allowed addresses only, by a request that gives nothing away."""

from __future__ import annotations

import logging
import socket
from collections.abc import Sequence
from dataclasses import replace
from ipaddress import ip_network
from pathlib import Path

import pytest

from pipeline.verdict import Fault, FetchProblem
from support.downloading import (
    HERE,
    JPEG,
    LIMITS,
    PATIENT,
    Fetcher,
    at_home,
    failure,
    for_ever,
    problem,
    say,
)
from support.photo_server import Answer, PhotoServer
from support.raw_server import RawServer, response
from worker.downloads.addresses import AddressRules
from worker.downloads.fetcher import FetchLimits
from worker.errors import BadSettings
from worker.settings import Settings, load_settings


def test_a_private_address_is_refused_unless_the_operator_allows_it(
    photo_server: PhotoServer, fetcher: Fetcher
) -> None:
    url = photo_server.add_photo("1.jpg", JPEG)
    found = failure(fetcher(FetchLimits(rules=AddressRules(allow_http=True, ports=None))), url)
    assert (found.problem, found.fault) == (FetchProblem.REFUSED_ADDRESS, Fault.OURS)
    assert photo_server.hits.total() == 0
    assert problem(fetcher(), url) is None


@pytest.mark.parametrize(
    "address",
    ["2130706433", "0x7f.1", "127.1", "[::ffff:127.0.0.1]", "[::127.0.0.1]", "169.254.169.254", "localhost"],
)
def test_no_spelling_of_an_inner_address_is_asked(
    photo_server: PhotoServer, fetcher: Fetcher, address: str
) -> None:
    port = photo_server.url.rpartition(":")[2]
    strict = fetcher(FetchLimits(rules=AddressRules(allow_http=True, ports=None)))
    assert problem(strict, f"http://{address}:{port}/1.jpg") is FetchProblem.REFUSED_ADDRESS
    assert photo_server.hits.total() == 0


def test_a_name_is_refused_for_one_bad_address_among_good_ones(
    photo_server: PhotoServer, fetcher: Fetcher
) -> None:
    def resolver(host: str, port: int) -> Sequence[str]:
        return ["127.0.0.1", "169.254.169.254"]

    port = photo_server.url.rpartition(":")[2]
    url = f"http://photos.test:{port}/1.jpg"
    assert problem(fetcher(PATIENT, resolver), url) is FetchProblem.REFUSED_ADDRESS
    assert photo_server.hits.total() == 0


def test_the_address_that_was_checked_is_the_one_that_is_asked(
    photo_server: PhotoServer, fetcher: Fetcher
) -> None:
    """A name server that gives another answer to every question gains nothing."""
    answers = [["127.0.0.1"], ["169.254.169.254"]]
    asked = []

    def rebinding(host: str, port: int) -> Sequence[str]:
        asked.append(host)
        return answers[min(len(asked), len(answers)) - 1]

    once = Answer(JPEG, headers={"Connection": "close"})
    url = photo_server.add("1.jpg", once).replace("127.0.0.1", "photos.test")
    rebound = fetcher(LIMITS, rebinding)
    assert rebound.fetch_all([url]) == [JPEG]
    assert asked == ["photos.test"]
    assert problem(rebound, url) is FetchProblem.REFUSED_ADDRESS


def test_the_next_address_of_a_name_is_tried_when_the_first_does_not_respond(
    photo_server: PhotoServer, fetcher: Fetcher
) -> None:
    def resolver(host: str, port: int) -> Sequence[str]:
        return ["::1", "127.0.0.2", "127.0.0.1"]

    url = photo_server.add_photo("1.jpg", JPEG).replace("127.0.0.1", "photos.test")
    assert fetcher(PATIENT, resolver).fetch_all([url]) == [JPEG]


def test_a_host_outside_of_the_list_is_not_even_resolved(fetcher: Fetcher) -> None:
    def resolver(host: str, port: int) -> Sequence[str]:
        raise AssertionError(host)

    listed = replace(LIMITS, rules=replace(HERE, hosts=("photos.test",)))
    found = failure(fetcher(listed, resolver), "http://elsewhere.test/1.jpg")
    assert found.problem is FetchProblem.REFUSED_ADDRESS


@pytest.mark.parametrize("url", ["http://nowhere.invalid/1.jpg", "http://127.0.0.1:1/1.jpg"])
def test_a_name_or_a_port_without_a_server_is_unreachable(fetcher: Fetcher, url: str) -> None:
    assert problem(fetcher(), url) is FetchProblem.UNREACHABLE


# Redirects


def chain(server: PhotoServer, hops: int) -> str:
    """The URL of a redirect that leads to a photo after so many hops."""
    server.add_photo("0.jpg", JPEG)
    for hop in range(1, hops + 1):
        server.add(f"{hop}.jpg", Answer(b"", 302, headers={"Location": f"{hop - 1}.jpg"}))
    return server.at(f"{hops}.jpg")


def test_three_redirects_are_followed_and_no_fourth(photo_server: PhotoServer, fetcher: Fetcher) -> None:
    assert fetcher().fetch_all([chain(photo_server, 3)]) == [JPEG]
    assert problem(fetcher(), chain(photo_server, 4)) is FetchProblem.BAD_RESPONSE


@pytest.mark.parametrize(
    "location",
    [
        "http://127.0.0.2/1.jpg",
        "http://169.254.169.254/latest/meta-data/",
        "http://[::1]/1.jpg",
        "http://2130706434/1.jpg",
        "//user@127.0.0.1/1.jpg",
        "file:///etc/passwd",
        "http://[",
    ],
)
def test_a_redirect_to_where_photos_may_not_come_from_is_refused(
    photo_server: PhotoServer, fetcher: Fetcher, location: str
) -> None:
    only = AddressRules(allow_http=True, ports=None, networks=(ip_network("127.0.0.1/32"),))
    url = photo_server.add("1.jpg", Answer(b"", 302, headers={"Location": location}))
    assert problem(fetcher(replace(LIMITS, rules=only)), url) is FetchProblem.REFUSED_ADDRESS


def test_a_redirect_to_a_host_outside_of_the_list_is_refused_and_not_resolved(
    photo_server: PhotoServer, fetcher: Fetcher
) -> None:
    asked = []

    def resolver(host: str, port: int) -> Sequence[str]:
        asked.append(host)
        return ["127.0.0.1"]

    elsewhere = photo_server.add_photo("2.jpg", JPEG).replace("127.0.0.1", "elsewhere.test")
    listed = replace(LIMITS, rules=replace(HERE, hosts=("photos.test",)))
    url = photo_server.add("1.jpg", Answer(b"", 302, headers={"Location": elsewhere}))
    found = failure(fetcher(listed, resolver), url.replace("127.0.0.1", "photos.test"))
    assert found.problem is FetchProblem.REFUSED_ADDRESS
    assert asked == ["photos.test"]
    assert photo_server.hits["/2.jpg"] == 0


def test_the_body_of_a_redirect_is_not_read(photo_server: PhotoServer, fetcher: Fetcher) -> None:
    good = photo_server.add_photo("1.jpg", JPEG)
    start = f"HTTP/1.1 302 Found\r\nLocation: {good}\r\n\r\n".encode()
    with RawServer(for_ever(start, JPEG)) as server:
        assert fetcher().fetch_all([f"{server.url}/1.jpg"]) == [JPEG]


# What the worker says of itself


def test_a_request_says_what_it_wants_and_nothing_of_its_surroundings(
    fetcher: Fetcher, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / ".netrc").write_text("default login me password secret\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)

    def talk(connection: socket.socket, number: int) -> None:
        connection.sendall(response(JPEG, "Set-Cookie: session=1; Path=/"))

    with RawServer(talk) as server:
        same = fetcher()
        assert same.fetch_all([f"{server.url}/1.jpg"]) == [JPEG]
        assert same.fetch_all([f"{server.url}/1.jpg"]) == [JPEG]
    for head in server.requests:
        lines = set(head.decode().split("\r\n"))
        assert {
            "GET /1.jpg HTTP/1.1",
            f"Host: 127.0.0.1:{server.port}",
            "Accept: image/*",
            "Accept-Encoding: identity",
            "User-Agent: face-verification-worker/1",
        } <= lines
        assert not any(line.startswith(("Cookie", "Authorization", "Referer")) for line in lines)


@pytest.mark.parametrize(
    "path",
    ["/a%2fb%7Ec%ec.jpg?X=a%2Bb", "/[1]|{2}.jpg?a[]={b}", "/b/../c/./d//e.jpg", "/%2e%2e/1.jpg?", "/%.jpg"],
)
def test_a_url_is_asked_for_unchanged(fetcher: Fetcher, path: str) -> None:
    """A signature covers it as it is written; browsers leave it as it is, too."""
    with RawServer(say(response(JPEG))) as server:
        assert fetcher().fetch_all([f"{server.url}{path}"]) == [JPEG]
    assert server.requests[0].startswith(f"GET {path} HTTP/1.1\r\n".encode())


def test_a_redirect_is_followed_unchanged(fetcher: Fetcher) -> None:
    def talk(connection: socket.socket, number: int) -> None:
        found = response(b"", "Location: /x%2fy?sig=a%2bb", "Connection: close", status="302 Found")
        connection.sendall(found if number == 1 else response(JPEG))

    with RawServer(talk) as server:
        assert fetcher().fetch_all([f"{server.url}/1.jpg"]) == [JPEG]
    assert server.requests[1].startswith(b"GET /x%2fy?sig=a%2bb HTTP/1.1\r\n")


def test_a_host_gets_its_fixed_headers_and_no_other_host_does(
    fetcher: Fetcher, caplog: pytest.LogCaptureFixture
) -> None:
    settings = Settings.model_validate(
        {"photo_headers": '{"*.test": {"Referer": "https://app/"}, "photos.test": {"X-Key": "sesame"}}'}
    )
    told = replace(LIMITS, headers=FetchLimits.of(settings).headers)
    with RawServer(say(response(JPEG)), host="other.test") as other:
        away = response(b"", f"Location: {other.url}/2.jpg", status="302 Found")
        with RawServer(say(away), host="photos.test") as server, caplog.at_level(logging.DEBUG):
            assert fetcher(told, at_home).fetch_all([f"{server.url}/1.jpg"]) == [JPEG]
    assert {b"X-Key: sesame", b"Referer: https://app/"} <= set(server.requests[0].split(b"\r\n"))
    assert b"Referer: https://app/" in other.requests[0]
    assert b"sesame" not in other.requests[0]
    assert "sesame" not in caplog.text + repr(settings)


@pytest.mark.parametrize(
    "headers",
    ['{"a.test": {"Host": "b"}}', '{"a.test": {"X": "a\\r\\nHost: b"}}', '{"a.test": {"X Y": "b"}}'],
)
def test_a_fixed_header_that_would_change_the_request_is_refused(headers: str) -> None:
    with pytest.raises(BadSettings, match="VERIFY_PHOTO_HEADERS"):
        load_settings({"photo_headers": headers})


def test_no_log_line_and_no_failure_holds_a_url(
    photo_server: PhotoServer, fetcher: Fetcher, caplog: pytest.LogCaptureFixture
) -> None:
    """Its query is the key to the photo."""
    photo_server.add("1.jpg", Answer(b"", 403))
    photo_server.add(
        "2.jpg", Answer(raw=b"HTTP/1.1 200 OK\r\nbroken header line\r\nContent-Length: 1\r\n\r\nx")
    )
    photo_server.add("3.jpg", Answer(b"", 302, headers={"Location": "http://nowhere.invalid/x?key=sesame"}))
    with caplog.at_level(logging.DEBUG):
        fetching = fetcher()
        results = fetching.fetch_all([f"{photo_server.at(f'{n}.jpg')}?key=sesame" for n in range(1, 5)])
    assert "photo" in caplog.text
    assert "sesame" not in caplog.text + repr(results)


# Connections that break
