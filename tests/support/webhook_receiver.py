"""A server of the app's that takes webhooks, checks their signatures, and can fail as a test wants."""

from __future__ import annotations

import base64
import json
import threading
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from standardwebhooks import Webhook, WebhookVerificationError

from support.local_server import Handler, LocalServer


def made_up_secret(seed: str = "a") -> str:
    """A secret in the form of the settings, the same for the same seed."""
    return "whsec_" + base64.b64encode(seed.encode().ljust(32, b".")).decode()


SECRET: Final = made_up_secret()


@dataclass(frozen=True, slots=True)
class Received:
    """One post whose signature fits."""

    path: str
    message_id: str
    headers: Mapping[str, str]
    payload: Any
    raw: bytes

    @property
    def member_id(self) -> str | None:
        member: str | None = self.payload["data"]["member_id"]
        return member


@dataclass(frozen=True, slots=True)
class Reply:
    """What the receiver answers."""

    status: int = 204
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)


class WebhookReceiver(LocalServer):
    """Takes every post; `reply` may be set to a function of the post, which may also wait."""

    def __init__(self, secrets: Sequence[str] = (SECRET,)) -> None:
        self.secrets = secrets
        """A post is good when it is signed with one of them."""
        self.reply: Callable[[Received], Reply] = lambda _: Reply()
        self.received: list[Received] = []
        """Good posts in the order of their arrival, whatever was answered."""
        self.accepted: list[Received] = []
        """Those that were answered with 2xx."""
        self.forged = 0
        """Posts that no secret has signed."""
        self._lock = threading.Lock()
        super().__init__(_Handler)

    @property
    def url(self) -> str:
        return f"{super().url}/hooks"

    def ids(self) -> list[str]:
        """The `webhook-id` of each accepted post."""
        return [one.message_id for one in self.accepted]

    def by_member(self) -> dict[str | None, list[str]]:
        """The accepted posts of each member in order, each `webhook-id` once."""
        found: defaultdict[str | None, dict[str, None]] = defaultdict(dict)
        for one in self.accepted:
            found[one.member_id].setdefault(one.message_id)
        return {member: list(ids) for member, ids in found.items()}

    def take(self, path: str, headers: Mapping[str, str], body: bytes) -> Reply:
        """Check a post and answer it."""
        payload = self._verified(headers, body)
        if payload is None:
            with self._lock:
                self.forged += 1
            return Reply(401)
        one = Received(path, headers["webhook-id"], headers, payload, body)
        with self._lock:
            self.received.append(one)
        reply = self.reply(one)
        if 200 <= reply.status < 300:
            with self._lock:
                self.accepted.append(one)
        return reply

    def _verified(self, headers: Mapping[str, str], body: bytes) -> Any:
        for secret in self.secrets:
            try:
                return Webhook(secret).verify(body, dict(headers))
            except (WebhookVerificationError, json.JSONDecodeError):
                continue
        return None


class _Handler(Handler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1  # status line, headers and body in one packet

    def do_POST(self) -> None:
        """Answer as told."""
        body = self.rfile.read(int(self.headers["Content-Length"]))
        headers = {name.lower(): value for name, value in self.headers.items()}
        reply = self.owner.take(self.path, headers, body)
        self.send_response(reply.status)
        for name, value in reply.headers.items():
            self.send_header(name, value)
        if reply.status != 204:
            self.send_header("Content-Length", str(len(reply.body)))
        self.end_headers()
        self.wfile.write(reply.body)
