"""For the app: ask for verifications, read results, check webhooks.

    from face_verification_client import request_verification

    request_id = request_verification(
        member_id="m-1024",
        selfie_url="https://photos.example.com/m-1024/selfie.jpg?sig=…",
        photo_urls=["https://photos.example.com/m-1024/1.jpg?sig=…"],
        declared_gender="female",
    )

A package of its own (`pip install ./worker/client`) without models, Celery app or database; within this
project it is `worker.client`, and knows nothing of the rest. The broker is `VERIFY_BROKER_URL`, or that of a
`Client` that the caller made. `Results` reads the table `result` over the app's own connection,
`events.verify_event` checks a webhook. Errors are in `errors`, a tree below `ClientError`. Other languages
send the same message as JSON: see MESSAGE.md and EVENT.md beside this folder.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .errors import (
    BadEvent,
    BadIdentifier,
    BadRequest,
    BadSettings,
    BadSignature,
    BadTime,
    BadUrl,
    BadValue,
    ClientError,
    NotSent,
    TimedOut,
    TooLarge,
    TooManyPhotos,
    UnknownDriver,
    WrongType,
)
from .records import Event, EventPhoto, Photo, PhotoRequest, Result, Standing
from .results import Results

if TYPE_CHECKING:
    from .client import Client, request_verification

__all__ = [
    "BadEvent",
    "BadIdentifier",
    "BadRequest",
    "BadSettings",
    "BadSignature",
    "BadTime",
    "BadUrl",
    "BadValue",
    "Client",
    "ClientError",
    "Event",
    "EventPhoto",
    "NotSent",
    "Photo",
    "PhotoRequest",
    "Result",
    "Results",
    "Standing",
    "TimedOut",
    "TooLarge",
    "TooManyPhotos",
    "UnknownDriver",
    "WrongType",
    "request_verification",
]


def __getattr__(name: str) -> Any:
    """What sends is loaded when it is asked for: who reads results alone needs no kombu."""
    if name not in ("Client", "request_verification"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from . import client

    return getattr(client, name)
