"""Photos are fetched from real servers: what a job gets, and what a server's response means."""

from __future__ import annotations

import socket
import threading
from dataclasses import replace
from datetime import timedelta
from email.utils import format_datetime

import pytest

from pipeline.verdict import Fault, FetchProblem, NotFetched
from support.downloading import (
    JPEG,
    LIMITS,
    PATIENT,
    Fetcher,
    failure,
    problem,
    say,
)
from support.photo_server import Answer, PhotoServer
from support.raw_server import RawServer, read_head, response
from worker.clock import utc_now
from worker.downloads.addresses import PRIVATE_NETWORKS, AddressRules
from worker.downloads.fetcher import FetchLimits
from worker.settings import Settings


def test_photos_come_back_in_the_order_of_their_urls(photo_server: PhotoServer, fetcher: Fetcher) -> None:
    slow = photo_server.add_photo("1.jpg", JPEG + b"1", delay=0.2)
    fast = photo_server.add_photo("2.jpg", JPEG + b"2")
    dead = photo_server.at("3.jpg")
    first, second, third = fetcher().fetch_all([slow, fast, dead])
    assert (first, second) == (JPEG + b"1", JPEG + b"2")
    assert isinstance(third, NotFetched)


def test_an_address_that_appears_twice_is_fetched_once(photo_server: PhotoServer, fetcher: Fetcher) -> None:
    url = photo_server.add_photo("1.jpg", JPEG)
    assert fetcher().fetch_all([url, url]) == [JPEG, JPEG]
    assert photo_server.hits["/1.jpg"] == 1


def test_all_photos_of_a_job_are_fetched_at_once(fetcher: Fetcher) -> None:
    together = threading.Barrier(20)

    def talk(connection: socket.socket, number: int) -> None:
        together.wait(timeout=60)  # nobody is answered before all have asked
        connection.sendall(response(JPEG))

    with RawServer(talk) as server:
        results = fetcher().fetch_all([f"{server.url}/{n}.jpg" for n in range(20)])
    assert results == [JPEG] * 20


def test_one_hanging_server_does_not_cost_the_other_photos(
    photo_server: PhotoServer, fetcher: Fetcher
) -> None:
    hanging = photo_server.add_photo("1.jpg", JPEG, delay=30)
    good = photo_server.add_photo("2.jpg", JPEG)
    first, second = fetcher(PATIENT).fetch_all([hanging, good])
    assert isinstance(first, NotFetched)
    assert first.problem is FetchProblem.TIMEOUT
    assert second == JPEG


def test_no_photos_need_no_network(fetcher: Fetcher) -> None:
    assert fetcher().fetch_all([]) == []


def test_a_korean_file_name_is_fetched(photo_server: PhotoServer, fetcher: Fetcher) -> None:
    photo_server.add_photo("/%ED%9A%8C%EC%9B%90.jpg", JPEG)
    assert fetcher().fetch_all([photo_server.at("회원.jpg")]) == [JPEG]


# What a server says


@pytest.mark.parametrize(
    ("status", "expected", "fault"),
    [
        (404, FetchProblem.GONE, Fault.MEMBER),
        (410, FetchProblem.GONE, Fault.MEMBER),
        (401, FetchProblem.FORBIDDEN, Fault.HOST),
        (403, FetchProblem.FORBIDDEN, Fault.HOST),
        (400, FetchProblem.BAD_RESPONSE, Fault.HOST),
        (418, FetchProblem.BAD_RESPONSE, Fault.HOST),
        (202, FetchProblem.BAD_RESPONSE, Fault.HOST),
        (204, FetchProblem.BAD_RESPONSE, Fault.HOST),
        (206, FetchProblem.BAD_RESPONSE, Fault.HOST),
        (304, FetchProblem.BAD_RESPONSE, Fault.HOST),
        (429, FetchProblem.SERVER_ERROR, Fault.HOST),
        (500, FetchProblem.SERVER_ERROR, Fault.HOST),
        (503, FetchProblem.SERVER_ERROR, Fault.HOST),
    ],
)
def test_each_status_has_its_problem(
    photo_server: PhotoServer, fetcher: Fetcher, status: int, expected: FetchProblem, fault: Fault
) -> None:
    found = failure(fetcher(), photo_server.add("1.jpg", Answer(b"", status)))
    assert (found.problem, found.fault) == (expected, fault)


@pytest.mark.parametrize(
    ("said", "understood"),
    [
        ("30", timedelta(seconds=30)),
        ("86400", timedelta(minutes=15)),
        ("9" * 30, timedelta(minutes=15)),
        (format_datetime(utc_now() - timedelta(hours=1), usegmt=True), timedelta(0)),
        (format_datetime(utc_now() + timedelta(days=1), usegmt=True), timedelta(minutes=15)),
        ("soon", None),
        ("-5", None),
    ],
    ids=["seconds", "too long", "absurd", "a time gone by", "a time to come", "no time", "negative"],
)
def test_a_server_may_ask_for_patience_up_to_a_limit(
    photo_server: PhotoServer, fetcher: Fetcher, said: str, understood: timedelta | None
) -> None:
    url = photo_server.add("1.jpg", Answer(b"", 503, headers={"Retry-After": said}))
    assert failure(fetcher(), url).retry_after == understood


def test_a_signed_url_past_its_date_is_expired_and_not_forbidden(
    photo_server: PhotoServer, fetcher: Fetcher
) -> None:
    url = photo_server.add("1.jpg", Answer(b"", 403))
    assert problem(fetcher(), f"{url}?X-Amz-Date=20200101T000000Z&X-Amz-Expires=60") is FetchProblem.EXPIRED
    assert problem(fetcher(), f"{url}?X-Amz-Date=20990101T000000Z&X-Amz-Expires=60") is FetchProblem.FORBIDDEN


def test_a_photo_that_a_proxy_passes_on_as_203_is_taken(photo_server: PhotoServer, fetcher: Fetcher) -> None:
    assert fetcher().fetch_all([photo_server.add("1.jpg", Answer(JPEG, 203))]) == [JPEG]


def s3_error(code: str, status: int = 403) -> Answer:
    """What S3, and whatever is compatible with it, answers."""
    body = f"<?xml version='1.0' encoding='UTF-8'?>\n<Error><Code>{code}</Code><Message>no</Message></Error>"
    return Answer(body.encode(), status, content_type="application/xml")


def test_the_error_code_of_s3_is_in_the_detail(photo_server: PhotoServer, fetcher: Fetcher) -> None:
    found = failure(fetcher(), photo_server.add("1.jpg", s3_error("SignatureDoesNotMatch")))
    assert (found.problem, found.detail) == (FetchProblem.FORBIDDEN, "status 403 SignatureDoesNotMatch")
    expired = photo_server.add("2.jpg", s3_error("ExpiredToken", 400))
    assert problem(fetcher(), expired) is FetchProblem.EXPIRED


def test_a_photo_that_s3_denies_is_gone_where_it_gives_out_others_of_the_folder(
    photo_server: PhotoServer, fetcher: Fetcher
) -> None:
    """S3 answers 403 for a missing key where whoever signed the link may not list the bucket."""
    there = photo_server.add_photo("m-1/selfie.jpg", JPEG)
    missing = photo_server.add("m-1/1.jpg", s3_error("AccessDenied"))
    elsewhere = photo_server.add("m-2/1.jpg", s3_error("AccessDenied"))
    _, gone, denied = fetcher().fetch_all([there, missing, elsewhere])
    assert isinstance(gone, NotFetched)
    assert isinstance(denied, NotFetched)
    assert (gone.problem, gone.fault) == (FetchProblem.GONE, Fault.MEMBER)
    assert (denied.problem, denied.fault) == (FetchProblem.FORBIDDEN, Fault.HOST)
    assert problem(fetcher(), missing) is FetchProblem.FORBIDDEN


def test_an_error_status_whose_body_never_comes_is_an_error(fetcher: Fetcher) -> None:
    with RawServer(say(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 100\r\n\r\n<Err")) as server:
        assert problem(fetcher(), f"{server.url}/1.jpg") is FetchProblem.FORBIDDEN


@pytest.mark.parametrize(
    "encoding",
    ["base64", "aws-chunked", "utf-8", "UTF8", "binary", "none", "identity", "image/jpeg", "gzip", ""],
)
def test_a_photo_is_a_photo_whatever_its_encoding_is_called(
    photo_server: PhotoServer, fetcher: Fetcher, encoding: str
) -> None:
    url = photo_server.add("1.jpg", Answer(JPEG, headers={"Content-Encoding": encoding}))
    assert fetcher().fetch_all([url]) == [JPEG]


@pytest.mark.parametrize("content_type", ["image/jpeg", "application/octet-stream", "text/html", ""])
def test_a_photo_is_a_photo_whatever_its_type_is_called(
    photo_server: PhotoServer, fetcher: Fetcher, content_type: str
) -> None:
    url = photo_server.add("1", Answer(JPEG, content_type=content_type))
    assert fetcher().fetch_all([url]) == [JPEG]


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (b"", "image/jpeg"),
        (b"<!DOCTYPE html><p>Please log in", "image/jpeg"),
        (b"\xef\xbb\xbf\n <html><body>", "application/octet-stream"),
        (b"<p>Please log in", "text/html; charset=utf-8"),
        (b'{"error": "not found"}', "application/json"),
    ],
)
def test_a_page_in_a_photos_place_is_the_hosts_fault(
    photo_server: PhotoServer, fetcher: Fetcher, body: bytes, content_type: str
) -> None:
    found = failure(fetcher(), photo_server.add("1.jpg", Answer(body, content_type=content_type)))
    assert (found.problem, found.fault) == (FetchProblem.WRONG_TYPE, Fault.HOST)


def test_what_is_no_photo_and_no_page_is_left_to_the_pipeline(
    photo_server: PhotoServer, fetcher: Fetcher
) -> None:
    url = photo_server.add("1.svg", Answer(b"<svg/>", content_type="image/svg+xml"))
    assert fetcher().fetch_all([url]) == [b"<svg/>"]


# Size


def test_a_connection_that_went_stale_is_replaced(fetcher: Fetcher) -> None:
    def talk(connection: socket.socket, number: int) -> None:
        connection.sendall(response(JPEG))
        if number == 1:
            read_head(connection)  # the second request on it gets no answer
        else:
            connection.recv(1)

    with RawServer(talk) as server:
        same = fetcher()
        assert same.fetch_all([f"{server.url}/1.jpg"]) == [JPEG]
        assert same.fetch_all([f"{server.url}/2.jpg"]) == [JPEG]


@pytest.mark.parametrize("said", [b"", b"SSH-2.0-OpenSSH_9.2\r\n", b"\0" * 64, b"HTTP/1.1 OK\r\n\r\n"])
def test_a_server_without_http_is_unreachable(fetcher: Fetcher, said: bytes) -> None:
    with RawServer(say(said)) as server:
        assert problem(fetcher(), f"{server.url}/1.jpg") is FetchProblem.UNREACHABLE


def test_a_host_that_fails_again_and_again_is_left_alone(photo_server: PhotoServer, fetcher: Fetcher) -> None:
    url = photo_server.add("1.jpg", Answer(b"", 503))
    careful = fetcher(replace(LIMITS, circuit_failures=3))
    for _ in range(3):
        assert problem(careful, url) is FetchProblem.SERVER_ERROR
    resting = failure(careful, url)
    assert resting.problem is FetchProblem.UNREACHABLE
    assert resting.retry_after is not None
    assert photo_server.hits["/1.jpg"] == 3


# TLS


def test_the_limits_come_out_of_the_settings() -> None:
    settings = Settings(
        photo_hosts=("cdn.example.com",), photo_ports=(443, 8443), fetch_max_bytes=5, fetch_redirects=1
    )
    limits = FetchLimits.of(settings)
    assert limits.rules == AddressRules(hosts=("cdn.example.com",), ports=frozenset({443, 8443}))
    assert (limits.max_bytes, limits.redirects) == (5, 1)


def test_private_addresses_are_allowed_by_one_setting() -> None:
    rules = FetchLimits.of(Settings(allow_private_addresses=True)).rules
    assert rules.ports is None
    assert rules.networks == PRIVATE_NETWORKS
