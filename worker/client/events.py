"""Checks and reads webhooks. Needs the extra `webhook`: the package `standardwebhooks`."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, Final

from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from .errors import BadEvent, BadSettings, BadSignature
from .records import Event, EventPhoto, PhotoRequest, Standing

SCHEMA: Final = 1
PHOTO_RESOLVE: Final = "photo.resolve"


def verify_event(body: bytes | str, headers: Mapping[str, str], secrets: str | Iterable[str]) -> Event:
    """The event in a webhook's body, exactly as it arrived, if one of the secrets (`whsec_…`) has signed it.

    Two secrets are valid while one replaces the other. Raises BadSignature and BadEvent: answer 400. (A
    payload of another schema than 1 is a BadEvent: the worker keeps it and delivers it again, so that
    nothing is lost until this package is newer.) Raises BadSettings where there is no secret, or one that
    is none.
    """
    body, headers = _verified(body, headers, secrets)
    try:
        return _event(headers["webhook-id"], json.loads(body))
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise BadEvent(f"not an event of schema {SCHEMA}: {type(error).__name__}") from None


def verify_photo_request(
    body: bytes | str, headers: Mapping[str, str], secrets: str | Iterable[str]
) -> PhotoRequest:
    """What the worker asks a photo resolver, checked as an event is. Answer with `{"url": …}`, or 404.

    Raises BadSignature and BadEvent.
    """
    body, _ = _verified(body, headers, secrets)
    try:
        message = json.loads(body)
        data = message["data"]
        if message["type"] == PHOTO_RESOLVE and data["schema"] == SCHEMA:
            return PhotoRequest(data["member_id"], data["position"], data["address"])
    except (ValueError, TypeError, KeyError):
        pass
    raise BadEvent(f"not a {PHOTO_RESOLVE} of schema {SCHEMA}")


def _verified(
    body: bytes | str, headers: Mapping[str, str], secrets: str | Iterable[str]
) -> tuple[str, dict[str, str]]:
    """Body and headers, their names in lower case. Raises BadSignature, BadSettings."""
    named = {name.lower(): value for name, value in headers.items()}
    webhooks = [_webhook(secret) for secret in ([secrets] if isinstance(secrets, str) else secrets)]
    if not webhooks:
        raise BadSettings("no webhook secret is given")
    problems = [_problem(webhook, body, named) for webhook in webhooks]
    if all(problems):
        raise BadSignature(problems[0])
    return body if isinstance(body, str) else body.decode(), named


def _webhook(secret: str) -> Webhook:
    try:
        if secret:
            return Webhook(secret)
    except ValueError:
        pass
    raise BadSettings("a webhook secret is not whsec_ with base64 behind it")


def _problem(webhook: Webhook, body: bytes | str, headers: dict[str, str]) -> str:
    """Why the body is not signed with this secret; empty if it is."""
    try:
        webhook.verify(body, headers, json_parse=False)
    except (WebhookVerificationError, ValueError) as error:  # ValueError: of a broken header or body
        return str(error) or type(error).__name__
    return ""


def _event(event_id: str, message: Mapping[str, Any]) -> Event:
    """Raises ValueError, TypeError, KeyError, AttributeError."""
    data = message["data"]
    if data["schema"] != SCHEMA:
        raise ValueError
    text, member = data.get("text") or {}, data.get("member")
    names = ("member_id", "request_id", "state", "status", "reason", "problem", "decided_by", "photo")
    return Event(
        id=event_id,
        type=str(message["type"]),
        timestamp=datetime.fromisoformat(message["timestamp"].replace("Z", "+00:00")),
        **{name: data.get(name) for name in names},
        text_ko=text.get("ko"),
        text_en=text.get("en"),
        photos=tuple(_photo(photo) for photo in data.get("photos") or ()),
        member=None if member is None else _standing(member),
        sandbox=bool(data.get("sandbox")),
        data=data,
    )


def _photo(values: Mapping[str, Any]) -> EventPhoto:
    return EventPhoto(
        values["position"], bool(values.get("verified")), values.get("problem"), values.get("fault")
    )


def _standing(values: Mapping[str, Any]) -> Standing:
    names = ("status", "verified_request_id", "request_id", "requested_state")
    return Standing(*(values.get(name) for name in names))
