"""What the client raises.

* ClientError
  + BadRequest              what the app asks for cannot be done; raised before anything is sent or read
    - BadIdentifier         a member's or a request's ID (`bad_id`)
    - BadUrl                an address of a photo (`bad_url`)
    - BadTime               a time without a zone, too early or too late (`bad_time`)
    - BadValue              a value that is none of those allowed (`bad_value`)
    - WrongType             a value of another type (`wrong_type`)
    - TooManyPhotos         more than 20 gallery photos (`too_many_photos`)
    - TooLarge              a message of more than 64 KiB (`too_large`)
  + BadSettings             the broker is not named, or its address is none
  + NotSent                 the broker has not confirmed the message: send it again, with the same request ID
  + TimedOut                a request has not ended in time
  + UnknownDriver           a database driver whose placeholders are not known
  + BadEvent                a webhook that is not what it should be
    - BadSignature          not signed with one of the secrets, or too old
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from .records import Result


class ClientError(Exception):
    """Base of everything that the client raises on purpose."""


class BadRequest(ClientError):
    """What the app asks for cannot be done; raised before anything is sent or read.

    ``code`` is stable and meant for programs: the one that `dead_job` and the table `result` would show as
    the problem of such a message. ``text`` is for people and holds no value.
    """

    code: ClassVar[str] = "bad_value"

    def __init__(self, text: str) -> None:
        super().__init__(f"{self.code}: {text}")
        self.text = text

    def of(self, field: str) -> BadRequest:
        """The same error, naming the field."""
        return type(self)(f"{field}: {self.text}")


class BadIdentifier(BadRequest):
    """An ID that is not 1 to 64 printable ASCII characters without spaces."""

    code = "bad_id"


class BadUrl(BadRequest):
    """No http(s) address, or longer than 2,048 characters."""

    code = "bad_url"


class BadTime(BadRequest):
    """A time without a zone, too early or too late."""

    code = "bad_time"


class BadValue(BadRequest):
    """A value that is none of those allowed."""

    code = "bad_value"


class WrongType(BadRequest):
    """A value of another type."""

    code = "wrong_type"


class TooManyPhotos(BadRequest):
    """More than 20 gallery photos."""

    code = "too_many_photos"


class TooLarge(BadRequest):
    """A message of more than 64 KiB."""

    code = "too_large"


class BadSettings(ClientError):
    """The broker is not named, or its address is none; the text names the variable and shows no value."""


class NotSent(ClientError):
    """The broker has not confirmed the job. Sending it again, with the same request ID, is safe."""


class TimedOut(ClientError):
    """A request has not ended in time; ``result`` is how it stands, None if no worker has seen it yet."""

    def __init__(self, request_id: str, seconds: float, result: Result | None) -> None:
        state = "has not arrived" if result is None else f"is {result.state}"
        super().__init__(f"request {request_id} {state} after {seconds:g} s")
        self.request_id, self.result = request_id, result


class UnknownDriver(ClientError):
    """A database driver whose placeholders are not known: name its `paramstyle`."""


class BadEvent(ClientError):
    """A webhook that is not what it should be. Answer it with 400."""


class BadSignature(BadEvent):
    """Not signed with one of the secrets, or more than five minutes old."""
