"""Photos are fetched from real servers, and no server can harm the worker."""

from __future__ import annotations

import contextlib
import gzip
import logging
import socket
import ssl
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import timedelta
from email.utils import format_datetime
from ipaddress import ip_network
from pathlib import Path

import pytest

from pipeline.verdict import Fault, FetchProblem, NotFetched
from support.certificates import Authority
from support.photo_server import Answer, PhotoServer
from support.raw_server import RawServer, read_head, response
from support.workers import wait_until
from worker.clock import utc_now
from worker.downloads.addresses import PRIVATE_NETWORKS, AddressRules, system_resolver
from worker.downloads.fetcher import ABANDONED, FetchLimits, PhotoFetcher
from worker.errors import BadSettings
from worker.settings import Settings, load_settings

JPEG = b"\xff\xd8\xff\xe0" + b"photo" * 1000
HERE = AddressRules(allow_http=True, ports=None, networks=PRIVATE_NETWORKS)
LIMITS = FetchLimits(rules=HERE, connect_seconds=30, read_seconds=60, total_seconds=60, circuit_failures=100)
HURRIED = replace(LIMITS, total_seconds=1.0)
"""For what never comes."""
PATIENT = replace(LIMITS, total_seconds=8.0)
"""For what never comes beside what does, and the machine may be slow."""

Fetcher = Callable[..., PhotoFetcher]


@pytest.fixture
def fetcher() -> Iterator[Fetcher]:
    with contextlib.ExitStack() as stack:

        def make(limits: FetchLimits = LIMITS, resolver: object = system_resolver) -> PhotoFetcher:
            made = PhotoFetcher(limits, resolver)  # type: ignore[arg-type]
            stack.callback(made.close)
            return made

        yield make


def problem(fetcher: PhotoFetcher, url: str) -> FetchProblem | None:
    """What is wrong with the one photo; None where it arrived."""
    (result,) = fetcher.fetch_all([url])
    return result.problem if isinstance(result, NotFetched) else None


def failure(fetcher: PhotoFetcher, url: str) -> NotFetched:
    (result,) = fetcher.fetch_all([url])
    assert isinstance(result, NotFetched)
    return result


def gave_up(fetcher: PhotoFetcher, url: str) -> bool:
    """Whether the time was up, and the fetch itself notices, so that its thread is free again."""
    found = problem(fetcher, url)
    wait_until(lambda: not any(thread.name.startswith("photo") for thread in threading.enumerate()))
    return found is FetchProblem.TIMEOUT


def say(*parts: bytes) -> Callable[[socket.socket, int], None]:
    """A server's part that says these bytes and hangs up."""

    def talk(connection: socket.socket, number: int) -> None:
        for part in parts:
            connection.sendall(part)

    return talk


def for_ever(start: bytes, again: bytes, pause: float = 0.0) -> Callable[[socket.socket, int], None]:
    """A server's part that never ends by itself."""

    def talk(connection: socket.socket, number: int) -> None:
        connection.sendall(start)
        while True:
            connection.sendall(again)
            threading.Event().wait(pause)

    return talk


# What a job gets


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


def test_ten_gigabytes_are_refused_by_their_length_alone(fetcher: Fetcher) -> None:
    with RawServer(say(response(b"", length=10_000_000_000))) as server:
        assert problem(fetcher(), f"{server.url}/1.jpg") is FetchProblem.TOO_LARGE


@pytest.mark.parametrize(
    "start",
    [
        b"HTTP/1.1 200 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: none\r\n\r\n",
        b"HTTP/1.0 200 OK\r\nContent-Length: -1\r\n\r\n",
    ],
)
def test_a_body_without_an_end_is_cut_off(fetcher: Fetcher, start: bytes) -> None:
    with RawServer(for_ever(start, JPEG)) as server:
        assert problem(fetcher(), f"{server.url}/1.jpg") is FetchProblem.TOO_LARGE


def test_chunks_without_an_end_are_cut_off(fetcher: Fetcher) -> None:
    chunk = b"10000\r\n" + b"x" * 0x10000 + b"\r\n"
    with RawServer(for_ever(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", chunk)) as server:
        assert problem(fetcher(), f"{server.url}/1.jpg") is FetchProblem.TOO_LARGE


def test_chunks_are_put_together(fetcher: Fetcher) -> None:
    chunks = b"4\r\n" + JPEG[:4] + b"\r\n3;x=y\r\nabc\r\n0\r\n\r\n"
    with RawServer(say(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks)) as server:
        assert fetcher().fetch_all([f"{server.url}/1.jpg"]) == [JPEG[:4] + b"abc"]


def test_exactly_the_cap_is_taken_and_one_byte_more_is_not(
    photo_server: PhotoServer, fetcher: Fetcher
) -> None:
    tight = fetcher(replace(LIMITS, max_bytes=len(JPEG)))
    photo_server.add_photo("1.jpg", JPEG)
    photo_server.add_photo("2.jpg", JPEG + b"x")
    assert problem(tight, photo_server.at("1.jpg")) is None
    assert problem(tight, photo_server.at("2.jpg")) is FetchProblem.TOO_LARGE


def test_the_photos_of_a_job_share_what_may_be_in_memory(photo_server: PhotoServer, fetcher: Fetcher) -> None:
    sharing = fetcher(replace(LIMITS, max_bytes=len(JPEG) + 1, job_bytes=2 * len(JPEG)))
    photos = [photo_server.add_photo(f"{number}.jpg", JPEG + b"x" * (number == 1)) for number in (1, 2)]
    one, other = sharing.fetch_all(photos)
    assert isinstance(one, NotFetched)
    assert one.problem is FetchProblem.TOO_LARGE
    assert other == JPEG
    assert sharing.fetch_all(photos[:1]) == [JPEG + b"x"]


def test_each_of_the_most_photos_that_a_job_may_have_may_have_ten_mebibytes() -> None:
    assert FetchLimits().bytes_each(21) >= 10 * 1024 * 1024


def test_fewer_bytes_than_promised_are_no_photo(fetcher: Fetcher) -> None:
    with RawServer(say(response(JPEG, length=len(JPEG) + 1))) as server:
        assert problem(fetcher(), f"{server.url}/1.jpg") is FetchProblem.BAD_RESPONSE
        assert len(server.requests) == 2  # tried once more, for connections do break


def test_a_body_that_broke_off_once_is_fetched_again(fetcher: Fetcher) -> None:
    def talk(connection: socket.socket, number: int) -> None:
        connection.sendall(response(JPEG, length=len(JPEG) + (1 if number == 1 else 0)))

    with RawServer(talk) as server:
        assert fetcher().fetch_all([f"{server.url}/1.jpg"]) == [JPEG]


def test_two_lengths_that_disagree_are_no_response(fetcher: Fetcher) -> None:
    with RawServer(say(response(JPEG, "Content-Length: 3"))) as server:
        assert problem(fetcher(), f"{server.url}/1.jpg") is FetchProblem.BAD_RESPONSE


def test_nothing_is_unpacked(photo_server: PhotoServer, fetcher: Fetcher) -> None:
    bomb = gzip.compress(bytes(50_000_000))
    url = photo_server.add("1.jpg", Answer(bomb, headers={"Content-Encoding": "gzip"}))
    assert problem(fetcher(), url) is FetchProblem.BAD_RESPONSE


@pytest.mark.parametrize(
    "header",
    [
        "Content-Length: " + "9" * 5000,
        "Content-Length: -1, 3",
        "Content-Length: \u00b2",
        "Retry-After: " + "9" * 5000,
        "Content-Type: " + "a/" * 3000,
        "Content-Encoding: " + "x" * 6000,
        "Location: http://[" + "a" * 6000,
        "Date: " + "9" * 5000,
        "Content-Range: bytes 0-1/x",
    ],
    ids=lambda header: header[:20],
)
@pytest.mark.parametrize("status", ["200 OK", "302 Found", "403 Forbidden", "503 Busy"])
def test_no_header_costs_more_than_its_photo(
    photo_server: PhotoServer, fetcher: Fetcher, header: str, status: str
) -> None:
    good = photo_server.add_photo("1.jpg", JPEG)
    odd = f"HTTP/1.1 {status}\r\n{header}\r\n\r\n<p>".encode("latin-1")
    with RawServer(say(odd)) as server:
        bad, arrived = fetcher().fetch_all([f"{server.url}/1.jpg", good])
    assert isinstance(bad, NotFetched | bytes)
    assert arrived == JPEG


# Time


def test_a_body_that_drips_is_given_up(photo_server: PhotoServer, fetcher: Fetcher) -> None:
    url = photo_server.add("1.jpg", Answer(JPEG, drip=0.05))
    assert gave_up(fetcher(HURRIED), url)


@pytest.mark.parametrize(
    "start",
    [
        b"HTTP/1.1 200 OK\r\nX-Long: ",
        b"HTTP/1.1 ",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
    ],
)
def test_heads_and_chunk_sizes_that_drip_are_given_up(fetcher: Fetcher, start: bytes) -> None:
    with RawServer(for_ever(start, b"0", pause=0.05)) as server:
        assert gave_up(fetcher(HURRIED), f"{server.url}/1.jpg")


def test_interim_responses_without_an_end_are_given_up(fetcher: Fetcher) -> None:
    with RawServer(for_ever(b"", b"HTTP/1.1 100 Continue\r\n\r\n", pause=0.01)) as server:
        assert gave_up(fetcher(HURRIED), f"{server.url}/1.jpg")


def test_redirects_share_one_time(photo_server: PhotoServer, fetcher: Fetcher) -> None:
    photo_server.add("3.jpg", Answer(JPEG, delay=0.6))
    photo_server.add("2.jpg", Answer(b"", 302, headers={"Location": "/3.jpg"}, delay=0.6))
    assert gave_up(fetcher(HURRIED), photo_server.at("2.jpg"))


def test_silence_is_given_up_before_the_whole_time_is_over(
    photo_server: PhotoServer, fetcher: Fetcher
) -> None:
    url = photo_server.add_photo("1.jpg", JPEG, delay=9)
    assert gave_up(fetcher(replace(LIMITS, read_seconds=0.2, total_seconds=3600)), url)


def test_a_name_that_hangs_in_the_resolver_is_left_behind(
    photo_server: PhotoServer, fetcher: Fetcher
) -> None:
    never = threading.Event()

    def resolver(host: str, port: int) -> Sequence[str]:
        if host == "hanging.test":
            never.wait()
        return ["127.0.0.1"]

    good = photo_server.add_photo("1.jpg", JPEG)
    hanging, arrived = fetcher(PATIENT, resolver).fetch_all(["http://hanging.test/1.jpg", good])
    never.set()
    assert isinstance(hanging, NotFetched)
    assert (hanging.problem, hanging.detail) == (FetchProblem.TIMEOUT, ABANDONED)
    assert arrived == JPEG


# Addresses


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


def at_home(host: str, port: int) -> Sequence[str]:
    return ["127.0.0.1"]


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
