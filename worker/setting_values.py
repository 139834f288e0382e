"""The types of the settings, and the error messages for wrong values.

The messages are for somebody who writes a `.env` for the first time: they say what is expected, without
patterns and words of programming, and never show the value, which may hold a password.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Mapping
from ipaddress import ip_address
from typing import Annotated, Final
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, TypeAdapter
from pydantic_core import ErrorDetails
from pydantic_settings import NoDecode

from worker.client.broker import check_broker_url, check_queue_prefix
from worker.client.errors import BadRequest
from worker.client.message import check_url
from worker.urls import normalise_database_url

_HOST: Final = r"(?ai:(\*\.)?[\w-]+(\.[\w-]+)*|[0-9a-f.]*:[0-9a-f.]*:[0-9a-f:.]*)"
_OWN_HEADERS: Final = frozenset(
    {"host", "connection", "content-length", "transfer-encoding", "accept-encoding", "range"}
)
_WEBHOOK_PREFIX: Final = "whsec_"
_WEBHOOK_BYTES: Final = 24
_VECTOR_KEY_BYTES: Final = 32
STREAM_ENDPOINT: Final = "stream"
"""The endpoint of the Redis stream; the others are webhooks."""
_WEEK: Final = 7 * 86_400
_JSON_OBJECT: Final = "must be a JSON object, names with values in braces, as .env.example shows"
_EXAMPLE_ADDRESS: Final = "127.0.0.1:9808"
SUNDAY_NIGHT: Final = "17 19 * * sun"
"""The default schedule of the retraining: 04:17 on Monday in Seoul."""

_SENTENCES: Final[Mapping[str, str]] = {
    "bool_parsing": "must be true or false",
    "int_parsing": "must be a whole number",
    "int_parsing_size": "is too large a number",
    "float_parsing": "must be a number",
    "float_type": "must be a number",
    "finite_number": "must be a number",
    "string_type": 'must be text in "quotes"',
    "dict_type": _JSON_OBJECT,
    "model_type": _JSON_OBJECT,
    "tuple_type": "must be a JSON list",
    "missing": "is missing",
    "extra_forbidden": "is not known here",
    "greater_than": "must be more than {gt:g}",
    "greater_than_equal": "must be at least {ge:g}",
    "less_than_equal": "must be at most {le:g}",
    "literal_error": "must be {expected}",
    "too_short": "must name at least one",
}
"""Messages by pydantic's types of errors."""


def in_words(problem: ErrorDetails) -> str:
    """The message for an error of pydantic, without the variable's name."""
    sentence = _SENTENCES.get(problem["type"])
    text = (
        sentence.format(**problem.get("ctx", {}))
        if sentence
        else problem["msg"].removeprefix("Value error, ")
    )
    within = [at for at in problem["loc"][1:] if at != "[key]"]
    return "".join(f"item {at + 1} " if isinstance(at, int) else f'"{at}" ' for at in within) + text


def split_list(value: object) -> object:
    """`a, b` to `("a", "b")`; other values stay as they are."""
    return (
        tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value
    )


def _mapping(value: object) -> object:
    """A JSON object to a dict. pydantic-settings would not name the variable in its error."""
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except ValueError:
        raise ValueError(_JSON_OBJECT) from None


def _database_url(value: object) -> object:
    return SecretStr(normalise_database_url(value)) if isinstance(value, str) else value


def _broker_url(value: SecretStr) -> SecretStr:
    check_broker_url(value.get_secret_value())
    return value


def _form(pattern: str, expected: str) -> AfterValidator:
    """A text that matches the pattern as a whole."""

    def check(value: str) -> str:
        if not re.fullmatch(pattern, value):
            raise ValueError(expected)
        return value

    return AfterValidator(check)


def _header_name(name: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9-]+", name):
        raise ValueError("is no header: the name of one is of letters, digits and dashes")
    if name.lower() in _OWN_HEADERS:
        raise ValueError("is a header that the worker sets itself")
    return name


def _header_value(value: SecretStr) -> SecretStr:
    text = value.get_secret_value()
    if not text.isascii() or not text.isprintable():
        raise ValueError("must have a value of printable ASCII characters")
    return value


def _webhook_secret(value: SecretStr) -> SecretStr:
    """The form of the Standard Webhooks scheme. Its library would take an empty or a mistyped secret."""
    text = value.get_secret_value().removeprefix(_WEBHOOK_PREFIX)
    try:
        key = base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except (ValueError, binascii.Error):
        key = b""
    if len(key) < _WEBHOOK_BYTES:
        raise ValueError(
            f"must be {_WEBHOOK_PREFIX} and {_WEBHOOK_BYTES} or more random bytes in base64, "
            "which openssl rand -base64 32 prints"
        )
    return value


def _at_least_one(secrets: tuple[SecretStr, ...]) -> tuple[SecretStr, ...]:
    """pydantic's own limit would be said beside each secret that is wrong."""
    if not secrets:
        raise ValueError("must name at least one")
    return secrets


def _vector_key(value: SecretStr) -> SecretStr:
    try:
        key = base64.b64decode(value.get_secret_value(), validate=True)
    except (ValueError, binascii.Error):
        key = b""
    if len(key) != _VECTOR_KEY_BYTES:
        raise ValueError(
            f"must be {_VECTOR_KEY_BYTES} random bytes in base64, which openssl rand -base64 "
            f"{_VECTOR_KEY_BYTES} prints"
        )
    return value


def split_address(value: str) -> tuple[str, int]:
    """The IP address and the port of `127.0.0.1:9808` or `[::1]:9808`. Raises ValueError."""
    host, _, port = value.rpartition(":")
    return str(ip_address(host.removeprefix("[").removesuffix("]"))), _PORT.validate_strings(port)


def _metrics_address(value: str) -> str:
    try:
        split_address(value or _EXAMPLE_ADDRESS)
    except ValueError:
        raise ValueError(f"must be an IP address and a port, such as {_EXAMPLE_ADDRESS}") from None
    return value


def _app_url(value: SecretStr) -> SecretStr:
    url = value.get_secret_value()
    try:
        check_url(url)
        _ = urlsplit(url).port
    except (BadRequest, ValueError):
        raise ValueError("must be an address such as https://app.example.com/hooks") from None
    return value


def _sentry_dsn(value: SecretStr) -> SecretStr:
    """The form that Sentry shows for a project."""
    if not re.fullmatch(r"(https?://\w+(:\w+)?@[\w.:-]+/([\w./-]*/)?\d+)?", value.get_secret_value()):
        raise ValueError("must be an address such as https://KEY@sentry.example.com/1")
    return value


def _schedule(value: str) -> str:
    """Five fields as cron has them, with one space between, or `never`."""
    value = " ".join(value.split())
    if value not in ("never", SUNDAY_NIGHT) and not _is_cron(value):
        raise ValueError(
            "must be five fields in UTC (minute, hour, day of the month, month, day of the week from 0 for "
            f"Sunday to 6), such as {SUNDAY_NIGHT}, or never"
        )
    return value


def _is_cron(value: str) -> bool:
    from celery.schedules import ParseException, crontab  # takes longer than all else in this module

    try:
        crontab.from_string(value)
    except (ValueError, ParseException):
        return False
    return True


def _metrics_token(value: SecretStr) -> SecretStr:
    if not re.fullmatch(r"([!-~]{16,})?", value.get_secret_value()):
        raise ValueError("must be 16 or more ASCII characters without spaces, as openssl rand -hex 16 prints")
    return value


BrokerUrl = Annotated[SecretStr, AfterValidator(_broker_url)]
DatabaseUrl = Annotated[SecretStr, BeforeValidator(_database_url)]
Host = Annotated[
    str,
    _form(
        _HOST,
        "must be the name of a host, without https://, port and path: photos.example.com, or "
        "*.example.com for every name below it",
    ),
]
Hosts = Annotated[tuple[Host, ...], NoDecode, BeforeValidator(split_list)]
ExactHost = Annotated[
    str,
    _form(
        rf"(?!\*){_HOST}", "must be the name of one host, without *, https://, port and path: app.example.com"
    ),
]
ExactHosts = Annotated[tuple[ExactHost, ...], NoDecode, BeforeValidator(split_list)]
Port = Annotated[int, Field(ge=1, le=65_535)]
Ports = Annotated[tuple[Port, ...], NoDecode, BeforeValidator(split_list), Field(min_length=1)]
_PORT: Final = TypeAdapter(Port)
MetricsAddress = Annotated[str, AfterValidator(_metrics_address)]
MetricsToken = Annotated[SecretStr, AfterValidator(_metrics_token)]
Seconds = Annotated[float, Field(gt=0, le=_WEEK)]
Waits = Annotated[tuple[Seconds, ...], NoDecode, BeforeValidator(split_list)]
Days = Annotated[int, Field(ge=1, le=36_500)]
Share = Annotated[float, Field(ge=0, le=1)]
Name = Annotated[str, _form(r"\w*", "must be a name of letters, digits and underscores")]
PersonNames = Annotated[tuple[str, ...], NoDecode, BeforeValidator(split_list)]
Names = Annotated[dict[str, Name], NoDecode, BeforeValidator(_mapping)]
Numbers = Annotated[
    dict[str, Annotated[float, Field(allow_inf_nan=False)]], NoDecode, BeforeValidator(_mapping)
]
HeaderName = Annotated[str, AfterValidator(_header_name)]
OptionalHeaderName = Annotated[
    str,
    _form(r"(-*[A-Za-z0-9][A-Za-z0-9-]*)?", "must be the name of a header, such as X-Forwarded-User"),
    AfterValidator(str.lower),
]
HeaderValue = Annotated[SecretStr, AfterValidator(_header_value)]
Headers = Annotated[dict[Host, dict[HeaderName, HeaderValue]], NoDecode, BeforeValidator(_mapping)]
WebhookSecret = Annotated[SecretStr, AfterValidator(_webhook_secret)]
AppUrl = Annotated[SecretStr, AfterValidator(_app_url)]
"""Secret, for its query may be a key."""
WebhookSecrets = Annotated[tuple[WebhookSecret, ...], NoDecode, BeforeValidator(split_list)]
SentryDsn = Annotated[SecretStr, AfterValidator(_sentry_dsn)]
VectorKey = Annotated[SecretStr, AfterValidator(_vector_key)]
VectorKeys = Annotated[tuple[VectorKey, ...], NoDecode, BeforeValidator(split_list)]


class Webhook(BaseModel):
    """A receiver of events: its address, and the secrets that sign, the newest first."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    url: AppUrl
    secrets: Annotated[tuple[WebhookSecret, ...], AfterValidator(_at_least_one)]


EndpointName = Annotated[
    str,
    _form(
        rf"(?!{STREAM_ENDPOINT}$)[a-z0-9-]{{1,32}}",
        "must be a name of up to 32 small letters, digits and dashes, and another one than "
        f"{STREAM_ENDPOINT}, the name of the Redis stream's endpoint",
    ),
]
Webhooks = Annotated[dict[EndpointName, Webhook], NoDecode, BeforeValidator(_mapping)]
StreamName = Annotated[
    str, _form(r"(?a:[\w.:{}-]{0,128})", "must be up to 128 letters, digits and the signs _ . : - { }")
]
QueuePrefix = Annotated[str, AfterValidator(check_queue_prefix)]
SandboxPrefix = Annotated[
    str,
    _form(
        r"([a-z0-9_-]{3,16})?", "must be 3 to 16 small letters, digits and the signs _ -, such as sandbox-"
    ),
]
QualifiedName = Annotated[
    str,
    _form(
        r"(\w+(\.\w+)?)?",
        "must be the name of a table, or database.table; names are of letters, digits and underscores",
    ),
]
Schedule = Annotated[str, AfterValidator(_schedule)]
