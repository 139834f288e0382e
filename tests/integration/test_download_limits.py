"""No server can make a fetch cost more memory or time than it may."""

from __future__ import annotations

import gzip
import socket
import threading
from collections.abc import Sequence
from dataclasses import replace

import pytest

from pipeline.verdict import FetchProblem, NotFetched
from support.downloading import (
    HURRIED,
    JPEG,
    LIMITS,
    PATIENT,
    Fetcher,
    for_ever,
    gave_up,
    problem,
    say,
)
from support.photo_server import Answer, PhotoServer
from support.raw_server import RawServer, response
from worker.downloads.fetcher import ABANDONED, FetchLimits


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
