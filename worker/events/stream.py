"""An endpoint that is a Redis stream, for apps that would rather read than be called."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from redis.exceptions import ResponseError

from worker.broker.publisher import Publisher
from worker.client.errors import NotSent
from worker.clock import utc_now

_NO_STREAM: Final = "the key {} of this Redis is no stream: another program uses it, or a queue has its name"


class StreamEndpoint:
    """Adds events to a stream, whose entries go when they are ``kept`` long enough.

    An entry has the fields `id`, the `webhook-id` of the event, and `body`, the JSON of the webhook.
    """

    def __init__(self, publisher: Publisher, stream: str, kept: timedelta) -> None:
        self._publisher, self._stream, self._kept = publisher, stream, kept

    def send(self, event_id: str, body: bytes) -> tuple[str | None, timedelta | None]:
        """Why the event was not added, None where it was."""
        try:
            since = utc_now() - self._kept
            self._publisher.add_to_stream(self._stream, {"id": event_id, "body": body}, since)
        except NotSent as error:
            return self._problem(error), None
        return None, None

    def _problem(self, error: NotSent) -> str:
        cause: BaseException | None = error
        while cause is not None:  # kombu wraps it
            if isinstance(cause, ResponseError) and str(cause).startswith("WRONGTYPE"):
                return _NO_STREAM.format(self._stream)
            cause = cause.__cause__
        return str(error)
