"""An endpoint that is a webhook of the app's."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from worker.downloads.signed_post import Receiver, SignedPost

_GONE: Final = 410
_SAYS_GONE: Final = "status 410: it says that it is gone for good; it is asked on, like after any failure"


class WebhookEndpoint:
    """Posts events to one receiver."""

    def __init__(self, post: SignedPost, receiver: Receiver) -> None:
        self._post, self._receiver = post, receiver

    def send(self, event_id: str, body: bytes) -> tuple[str | None, timedelta | None]:
        """Why the event was not taken, None where it was; and how long to leave the receiver alone."""
        response = self._post.post(self._receiver, event_id, body)
        return _SAYS_GONE if response.status == _GONE else response.problem, response.retry_after
