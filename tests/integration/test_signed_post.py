"""A signed post reaches the app's own servers and no others, and is bounded whatever they do."""

from __future__ import annotations

import logging
import socket
import threading
from collections.abc import Callable, Sequence
from datetime import timedelta
from email.utils import format_datetime

import pytest
from pydantic import SecretStr

from support.downloading import at_home, for_ever, say
from support.raw_server import RawServer, response
from support.webhook_receiver import SECRET, Reply, WebhookReceiver, made_up_secret
from worker.clock import utc_now
from worker.downloads.addresses import system_resolver
from worker.downloads.signed_post import PostLimits, PostResponse, Receiver, SignedPost
from worker.errors import BadSettings
from worker.settings import load_settings

BODY = '{"type": "t", "text": {"ko": "1번 사진"}}'.encode()
HURRIED = PostLimits(total_seconds=1.0)
HERE = ("127.0.0.1", "app.test")


def post(
    url: str,
    secrets: Sequence[str] = (SECRET,),
    *,
    hosts: Sequence[str] = HERE,
    limits: PostLimits | None = None,
    resolver: Callable[[str, int], Sequence[str]] = system_resolver,
) -> PostResponse:
    """One post by a client of its own."""
    client = SignedPost(hosts, limits or PostLimits(30, 60, 60), resolver=resolver)
    try:
        return client.post(Receiver(url, tuple(SecretStr(one) for one in secrets)), "evt_1", BODY)
    finally:
        client.close()


def test_a_receiver_can_verify_what_it_gets_with_either_of_two_secrets() -> None:
    new, old = made_up_secret("new"), made_up_secret("old")
    with WebhookReceiver([old]) as receiver:
        receiver.reply = lambda _: Reply(200, b'{"ok": true}', {"Set-Cookie": "a=b"})
        client = SignedPost(HERE)
        to = Receiver(receiver.url + "?key=%2f..%2F", (SecretStr(new), SecretStr(old)))
        assert client.post(to, "evt_1", BODY) == PostResponse(200, b'{"ok": true}')
        receiver.secrets = [new]
        assert client.post(to, "evt_2", BODY).problem is None
        receiver.secrets = [made_up_secret("other")]
        assert client.post(to, "evt_3", BODY).status == 401
        client.close()
    first, second = receiver.received
    assert (first.raw, first.path, first.message_id) == (BODY, "/hooks?key=%2f..%2F", "evt_1")
    assert first.headers["content-type"] == "application/json"
    signatures = first.headers["webhook-signature"].split(" ")
    assert [one.partition(",")[0] for one in signatures] == ["v1", "v1"]
    assert "cookie" not in second.headers
    assert receiver.forged == 1


@pytest.mark.parametrize(
    "url",
    [
        *("http://127.0.0.2:{port}/", "https://127.0.0.2:{port}/", "http://localhost:{port}/"),
        *("http://169.254.169.254/", "http://user:word@127.0.0.1:{port}/", "ftp://127.0.0.1/"),
        *("http://2130706433:{port}/", "https://[::1]:{port}/", "http://93.184.216.34/"),
    ],
)
def test_only_the_hosts_that_are_named_may_be_private_or_without_tls(url: str) -> None:
    with WebhookReceiver() as receiver:
        port = receiver.url.rpartition(":")[2].partition("/")[0]
        found = post(url.format(port=port))
        assert found.status is None
        assert str(found.problem).startswith("refused_address: ")
        assert not receiver.received


def test_a_named_host_is_pinned_too_and_does_not_open_the_metadata_service() -> None:
    with WebhookReceiver() as receiver:
        url = receiver.url.replace("127.0.0.1", "app.test")
        assert post(url, resolver=at_home).problem is None
        bad = post(url, resolver=lambda *_: ["127.0.0.1", "169.254.169.254"])
        assert "not a public address" in str(bad.problem)
        other = post(url.replace("app.test", "other.test"), resolver=at_home)
        assert other.problem == "refused_address: only https is allowed"
        assert len(receiver.received) == 1


def test_a_public_receiver_may_listen_on_any_port_with_tls() -> None:
    """It is asked where the name says; here that is a private address, which it may not be."""
    found = post("https://hooks.test:8443/", resolver=lambda *_: ["10.0.0.7"])
    assert found.problem == "refused_address: hooks.test is at 10.0.0.7, which is not a public address"


def test_a_redirect_is_a_failure_that_says_so_and_is_not_followed() -> None:
    with WebhookReceiver() as target, WebhookReceiver() as receiver:
        receiver.reply = lambda _: Reply(307, headers={"Location": target.url})
        found = post(receiver.url)
        assert (found.status, not target.received) == (307, True)
        assert (
            found.problem
            == "status 307: a redirect, which is not followed; the address must be the final one"
        )


def test_a_failure_says_how_long_to_wait_at_most_a_day() -> None:
    replies = iter(["30", "99999999999", format_datetime(utc_now() - timedelta(1), usegmt=True), "soon"])
    with WebhookReceiver() as receiver:
        receiver.reply = lambda _: Reply(503, headers={"Retry-After": next(replies)})
        waits = [post(receiver.url).retry_after for _ in range(4)]
    assert waits == [timedelta(seconds=30), timedelta(days=1), timedelta(0), None]


def test_a_body_without_end_is_cut_off_and_the_status_counts() -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 10000000000\r\n\r\n"
    with RawServer(for_ever(head, b"x" * 65536)) as server:
        found = post(server.url)
        assert (found.status, len(found.body), found.problem) == (200, 64 * 1024, None)
        assert not any(part for part in found.body.split(b"x") if part)


def test_bytes_that_drip_for_ever_end_with_the_time() -> None:
    head = b"HTTP/1.1 202 Accepted\r\nContent-Length: 1000\r\n\r\n"
    with RawServer(for_ever(head, b"x", 0.05)) as server:
        assert post(server.url, limits=HURRIED).status == 202
    with RawServer(for_ever(b"HTTP/1.1 200 OK\r\n", b"A: b\r\n", 0.05)) as server:
        assert str(post(server.url, limits=HURRIED).problem).startswith("timeout: ")


def test_a_server_that_never_answers_and_one_that_is_not_there_are_failures() -> None:
    never = threading.Event()

    def hang(connection: socket.socket, number: int) -> None:
        never.wait(30)

    with RawServer(hang) as server:
        assert str(post(server.url, limits=HURRIED).problem).startswith("timeout: ")
        never.set()
    assert str(post("http://127.0.0.1:1/").problem).startswith("unreachable: ")
    with RawServer(say(b"NONSENSE\r\n\r\n")) as server:
        assert post(server.url).status is None


def test_a_connection_that_was_kept_and_is_gone_is_opened_again() -> None:
    def once(connection: socket.socket, number: int) -> None:
        if BODY not in server.requests[-1]:
            connection.recv(4096)
        connection.sendall(response(b""))

    with RawServer(once) as server:
        client = SignedPost(HERE)
        to = Receiver(f"{server.url}/", (SecretStr(SECRET),))
        assert [client.post(to, "evt_1", BODY).status for _ in range(3)] == [200] * 3
        client.close()


def test_no_log_line_and_no_problem_holds_the_address(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    found = post("http://127.0.0.1:1/hooks?key=hunter2")
    assert "127.0.0.1" in caplog.text
    assert "hunter2" not in caplog.text + str(found) + repr(Receiver("https://a/?hunter2", ()))


@pytest.mark.parametrize(
    ("value", "taken"),
    [("app, 10.0.0.5, fd00::1", True), ("*.internal", False), ("http://app", False), ("app:8080", False)],
)
def test_private_hosts_are_named_one_by_one(monkeypatch: pytest.MonkeyPatch, value: str, taken: bool) -> None:
    monkeypatch.setenv("VERIFY_APP_PRIVATE_HOSTS", value)
    if taken:
        SignedPost.of(load_settings()).close()
        return
    with pytest.raises(BadSettings, match="VERIFY_APP_PRIVATE_HOSTS: item 1 must be the name of one host"):
        load_settings()


def test_a_private_host_in_an_odd_spelling_is_a_wrong_setting() -> None:
    with pytest.raises(BadSettings, match="VERIFY_APP_PRIVATE_HOSTS: an IPv4 address in an unusual spelling"):
        SignedPost.of(load_settings({"app_private_hosts": "127.1"}))
