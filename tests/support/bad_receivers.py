"""Receivers of events that are set up wrongly, or answer what they should not, and what is said of them."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any, Final

from pydantic import SecretStr

from support.downloading import for_ever, say
from support.raw_server import RawServer
from support.webhook_receiver import SECRET, Reply, WebhookReceiver
from worker.downloads.signed_post import PostLimits, Receiver, SignedPost
from worker.errors import BadSettings
from worker.events.webhooks import WebhookEndpoint
from worker.settings import load_settings

_URL: Final = "https://app.example.com/hooks"
_SETTINGS: Final[dict[str, dict[str, Any]]] = {
    "a secret of 18 bytes": {"secrets": ["whsec_" + "c2VjcmV0" * 3]},
    "a secret that is no base64": {"secrets": ["whsec_correct horse battery staple"]},
    "a secret in the URL's kind of base64": {"secrets": ["whsec_" + "-_-_" * 8]},
    "no secret": {"secrets": []},
    "no address": {"url": "app.example.com"},
    "plain http to a host that is not named": {"url": "http://app.example.com/hooks"},
}
_REPLIES: Final[dict[str, Reply]] = {
    "a redirect": Reply(307, headers={"Location": _URL}),
    "status 400": Reply(400),
    "status 401, which a wrong secret gets": Reply(401),
    "status 410": Reply(410),
    "status 429 with a Retry-After of an hour": Reply(429, headers={"Retry-After": "3600"}),
    "status 500": Reply(500),
    "status 200 with a body of a megabyte": Reply(200, bytes(1 << 20)),
}
_ADDRESSES: Final = (
    *("https://10.0.0.7/hooks", "https://169.254.169.254/latest/meta-data", "https://2130706433/hooks"),
    *("https://user:word@app.example.com/hooks", "http://localhost:8080/hooks"),
)


def wrong_settings() -> Iterator[tuple[str, str]]:
    """Settings of a webhook with one thing wrong; the worker does not start."""
    for name, changes in _SETTINGS.items():
        webhook = {"url": _URL, "secrets": [SECRET], **changes}
        try:
            load_settings({"webhooks": json.dumps({"app": webhook})}, ours=False)
        except BadSettings as bad:
            yield name, f"`{bad}`"


def bad_receivers() -> Iterator[tuple[str, str]]:
    """What a receiver answers, and addresses that it must not have."""
    for name, reply in _REPLIES.items():
        with WebhookReceiver() as receiver:
            receiver.reply = lambda _, reply=reply: reply  # type: ignore[misc]
            yield name, _outcome(receiver.url)
    for name, talk in _talks().items():
        with RawServer(talk) as server:
            yield name, _outcome(server.url)
    for url in _ADDRESSES:
        yield f"`{url}`", _outcome(url)


def _talks() -> dict[str, Callable[..., None]]:
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 10000000000\r\n\r\n"
    return {
        "a body of 10 GB": for_ever(head, bytes(1 << 16)),
        "a body without end, byte by byte": for_ever(b"HTTP/1.1 200 OK\r\n\r\n", b"x", 0.05),
        "headers without end, byte by byte": for_ever(b"HTTP/1.1 200 OK\r\n", b"A: b\r\n", 0.05),
        "no answer at all": _nothing,
        "no HTTP": say(b"NONSENSE\r\n\r\n"),
    }


def _nothing(connection: socket.socket, number: int) -> None:
    threading.Event().wait(1.5)


def _outcome(url: str) -> str:
    post = SignedPost(["127.0.0.1"], PostLimits(total_seconds=1.0))
    endpoint = WebhookEndpoint(post, Receiver(url, (SecretStr(SECRET),)))
    problem, wait = endpoint.send("evt_1", b"{}")
    post.close()
    if problem is None:
        return "delivered"
    after = f"after {wait.total_seconds():.0f} s, then " if wait else ""
    return f"`{problem.partition(': ')[0]}`: {after}again for three days, then parked"
