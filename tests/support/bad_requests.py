"""What an app can do wrong with the client: each is a typed error before anything is sent or read."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from standardwebhooks.webhooks import Webhook

from worker.client import (
    BadEvent,
    BadIdentifier,
    BadRequest,
    BadSettings,
    BadSignature,
    BadTime,
    BadUrl,
    BadValue,
    Client,
    ClientError,
    Results,
    TooLarge,
    TooManyPhotos,
    UnknownDriver,
    WrongType,
)
from worker.client.events import verify_event

URL: Final = "https://photos.example.com/1.jpg"
SECRET: Final = "whsec_" + "c2VjcmV0" * 6
OTHER_SECRET: Final = "whsec_" + "b3RoZXIu" * 6
NAIVE: Final = datetime(2026, 11, 29, 7)  # noqa: DTZ001 - that is the mistake

REQUESTS: Final[Mapping[str, tuple[type[BadRequest], dict[str, Any]]]] = {
    "a member ID with a space": (BadIdentifier, {"member_id": "a b"}),
    "a member ID that is a number": (WrongType, {"member_id": 7}),
    "an empty request ID": (BadIdentifier, {"request_id": ""}),
    "a selfie that is no address": (BadUrl, {"selfie_url": "none"}),
    "a photo on an FTP server": (BadUrl, {"photo_urls": [URL, "ftp://h/1.jpg"]}),
    "one address in place of a list": (WrongType, {"photo_urls": URL}),
    "21 photos": (TooManyPhotos, {"photo_urls": [URL] * 21}),
    "20 photos whose addresses have 2,000 Korean letters": (
        TooLarge,
        {"photo_urls": [f"https://h/{'사' * 2000}"] * 20},
    ),
    "another gender": (BadValue, {"declared_gender": "x"}),
    "another reason why": (BadValue, {"why": "because"}),
    "a queue of the workers' own": (BadValue, {"queue": "retrain"}),
    "a time without a zone": (BadTime, {"requested_at": NAIVE}),
    "a time two days ahead": (BadTime, {"requested_at": datetime.now(UTC) + timedelta(days=2)}),
}
"""Name, error, what is changed in a request that is in order."""
SETTINGS: Final[Mapping[str, dict[str, str]]] = {
    "no broker": {},
    "a broker without its scheme": {"VERIFY_BROKER_URL": "localhost:6379"},
    "a broker whose password has a slash": {"VERIFY_BROKER_URL": "redis://:pass/word@host/0"},
    "a Redis that is not numbered": {"VERIFY_BROKER_URL": "redis://host/main"},
    "a prefix with a space": {"VERIFY_BROKER_URL": "redis://host/0", "VERIFY_QUEUE_PREFIX": "a b"},
    "Sentinel without a name": {"VERIFY_BROKER_URL": "sentinel://host:26379/0"},
}
"""Name, the app's variables."""


def ask(client: Client, **changes: Any) -> str:
    """A request that is in order, but for the changes."""
    right = {"member_id": "m1", "selfie_url": URL, "photo_urls": [URL]}
    return client.request_verification(**{**right, **changes})


class NoDatabase:
    """A connection of a driver that nobody knows; whoever reads through it has a fault."""

    def close(self) -> None: ...


def an_event(**changes: Any) -> str:
    data = {"schema": 1, "member_id": "m1", "sandbox": False, **changes}
    return json.dumps({"type": "member.erased", "timestamp": "2026-11-29T07:00:00Z", "data": data})


def signed(body: str, secret: str = SECRET, at: datetime | None = None) -> dict[str, str]:
    """The headers of a webhook, as a web framework may write them."""
    when = at or datetime.now(UTC)
    return {
        "Webhook-Id": "evt_1",
        "Webhook-Timestamp": str(int(when.timestamp())),
        "Webhook-Signature": "v1,AAAA " + Webhook(secret).sign("evt_1", when, body),
    }


def reading() -> Iterator[tuple[str, type[ClientError], Callable[[], object]]]:
    """Name, error, what is read."""
    results, body = Results(NoDatabase), an_event()
    theirs = signed(body, OTHER_SECRET)
    old = signed(body, at=datetime.now(UTC) - timedelta(minutes=6))
    ahead = datetime.now(UTC) + timedelta(hours=9)
    yield "changes since a time without a zone", BadTime, lambda: results.changes(NAIVE)
    yield "changes since Seoul's time, called UTC", BadTime, lambda: results.changes(ahead)
    yield "the result of a request ID with a space", BadIdentifier, lambda: results.result("r1 ")
    yield "where a member without a name stands", BadIdentifier, lambda: results.standing("")
    yield "a driver that is not known", UnknownDriver, lambda: results.result("r1")
    yield "a prefix of tables with SQL in it", BadValue, lambda: Results(NoDatabase, table_prefix="a; b")
    yield "a webhook signed by somebody else", BadSignature, lambda: verify_event(body, theirs, SECRET)
    yield "a webhook whose body was changed", BadSignature, lambda: verify_event("{}", signed(body), SECRET)
    yield "a webhook of six minutes ago", BadSignature, lambda: verify_event(body, old, SECRET)
    yield "a webhook without its headers", BadSignature, lambda: verify_event(body, {}, SECRET)
    yield "a webhook and no secret", BadSettings, lambda: verify_event(body, signed(body), [])
    yield "a webhook and a secret that is cut off", BadSettings, lambda: verify_event(body, {}, "whsec_x")
    newer = an_event(schema=2)
    yield "an event of a newer schema", BadEvent, lambda: verify_event(newer, signed(newer), SECRET)
    yield "a genuine webhook that is no event", BadEvent, lambda: verify_event("[]", signed("[]"), SECRET)


def errors() -> Iterator[tuple[str, ClientError]]:
    """Each name with the error that came of trying it."""
    with Client("redis://127.0.0.1:1/0") as client:  # where nobody is: nothing is sent
        for name, (kind, changes) in REQUESTS.items():
            yield name, raised(kind, lambda changes=changes: ask(client, **changes))  # type: ignore[misc]
    for name, variables in SETTINGS.items():
        yield name, raised(BadSettings, lambda given=variables: Client.from_environment(given))  # type: ignore[misc]
    for name, expected, read in reading():
        yield name, raised(expected, read)


def raised(kind: type[ClientError], attempt: Callable[[], object]) -> ClientError:
    """The error of exactly this type that an attempt ends with."""
    try:
        attempt()
    except ClientError as error:
        if type(error) is kind:
            return error
        raise
    raise AssertionError(f"no {kind.__name__}")
