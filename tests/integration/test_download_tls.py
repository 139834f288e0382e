"""Photos over https: certificates are checked though the address is pinned."""

from __future__ import annotations

import ssl
from dataclasses import replace
from pathlib import Path

import pytest

from pipeline.verdict import FetchProblem
from support.certificates import Authority
from support.downloading import (
    HURRIED,
    JPEG,
    LIMITS,
    Fetcher,
    at_home,
    failure,
    for_ever,
    gave_up,
    problem,
    say,
)
from support.photo_server import PhotoServer
from support.raw_server import RawServer, response
from worker.downloads.fetcher import PhotoFetcher


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """One that signs certificates for photos.test."""
    return Authority(tmp_path_factory.mktemp("tls"))


@pytest.fixture(scope="module")
def certificate(authority: Authority) -> Path:
    """A certificate for photos.test, with its key, in one file."""
    return authority.issue("photos.test")


def tls_server(certificate: Path, *parts: bytes, host: str = "photos.test") -> RawServer:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return RawServer(say(*parts), host=host, tls=context)


@pytest.fixture
def trusting(fetcher: Fetcher, authority: Authority) -> PhotoFetcher:
    """One that is told of the authority."""
    return fetcher(replace(LIMITS, ca_file=str(authority.file)), at_home)


def test_https_works_by_name_though_the_address_is_pinned(trusting: PhotoFetcher, certificate: Path) -> None:
    with tls_server(certificate, response(JPEG)) as server:
        assert trusting.fetch_all([f"{server.url}/1.jpg"]) == [JPEG]


def refused_certificate(fetcher: PhotoFetcher, certificate: Path, host: str = "photos.test") -> str:
    """What is said of a host with this certificate, which gets no request."""
    with tls_server(certificate, response(JPEG), host=host) as server:
        found = failure(fetcher, f"{server.url}/1.jpg")
    assert found.problem is FetchProblem.UNREACHABLE
    assert server.requests == []
    return found.detail


def test_a_certificate_of_an_unknown_authority_is_refused(fetcher: Fetcher, certificate: Path) -> None:
    assert "VERIFY_PHOTO_CA" in refused_certificate(fetcher(LIMITS, at_home), certificate)


def test_a_certificate_of_another_name_is_refused(trusting: PhotoFetcher, certificate: Path) -> None:
    assert "another host name" in refused_certificate(trusting, certificate, "other.test")


def test_a_certificate_past_its_date_is_refused(trusting: PhotoFetcher, authority: Authority) -> None:
    assert "expired" in refused_certificate(trusting, authority.issue("photos.test", days=-1))


def test_a_certificate_whose_chain_is_not_sent_whole_is_refused(
    trusting: PhotoFetcher, authority: Authority
) -> None:
    between = authority.intermediate()
    assert "incomplete" in refused_certificate(trusting, between.issue("photos.test"))
    with tls_server(between.issue("photos.test", chain=True), response(JPEG)) as server:
        assert trusting.fetch_all([f"{server.url}/1.jpg"]) == [JPEG]


def test_a_redirect_from_https_to_http_is_refused(
    trusting: PhotoFetcher, certificate: Path, photo_server: PhotoServer
) -> None:
    plain = photo_server.add_photo("1.jpg", JPEG)
    with tls_server(certificate, response(b"", f"Location: {plain}", status="302 Found")) as server:
        assert problem(trusting, f"{server.url}/1.jpg") is FetchProblem.REFUSED_ADDRESS
    assert photo_server.hits.total() == 0


def test_a_tls_server_that_drips_is_given_up(
    fetcher: Fetcher, authority: Authority, certificate: Path
) -> None:
    trusting = fetcher(replace(HURRIED, ca_file=str(authority.file)), at_home)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    drip = for_ever(b"HTTP/1.1 200 OK\r\n\r\n", b"x", pause=0.05)
    with RawServer(drip, host="photos.test", tls=context) as server:
        assert gave_up(trusting, f"{server.url}/1.jpg")


# Settings
