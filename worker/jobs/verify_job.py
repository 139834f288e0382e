"""The message `verify_member`: JSON in, a validated frozen job out.

Whatever is wrong with a message becomes one `BadMessage` with a stable code:

=================  ===========================================================================
bad_json           not JSON, or values in it that JSON cannot hold
not_an_object      JSON, but no object
too_large          more than 64 KiB
too_deep           nested more than 16 deep
unknown_schema     a schema version that this worker does not know
missing_field      a field that must be there is not
wrong_type         a field of another type
bad_value          a field whose value is none of those allowed
bad_id             an ID outside of `[!-~]{1,64}`
bad_url            no http(s) address, or longer than 2,048 characters
bad_time           no time with a time zone, before 2020, or more than a day ahead
too_many_photos    more than 20 gallery photos
=================  ===========================================================================

Unknown fields are dropped, so that an app that is newer than the worker goes on working.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, ClassVar, Final, TypeVar

from pydantic import AfterValidator, ConfigDict, Field, TypeAdapter, ValidationError
from pydantic_core import ErrorDetails, PydanticCustomError

from pipeline.verdict import Gender
from worker.client.errors import BadRequest
from worker.client.message import (
    AHEAD,
    MAX_BODY_BYTES,
    MAX_PHOTOS,
    SCHEMA,
    as_utc,
    check_identifier,
    check_requested_at,
    check_url,
    job_as_json,
    verify_member_job,
)
from worker.clock import utc_now
from worker.errors import BadMessage

MAX_DEPTH: Final = 16
_T = TypeVar("_T")


class Why(StrEnum):
    """Why a job exists."""

    SIGNUP = "signup"
    PHOTOS_CHANGED = "photos_changed"
    OPERATOR = "operator"


def _coded(check: Callable[[_T], _T]) -> AfterValidator:
    """A check of the client's, whose errors have codes."""

    def validate(value: _T) -> _T:
        try:
            return check(value)
        except BadRequest as bad:
            raise PydanticCustomError(bad.code, bad.text) from None

    return AfterValidator(validate)


def _declarable(value: Gender | None) -> Gender | None:
    if value is Gender.UNKNOWN:
        raise PydanticCustomError("bad_value", "must be female, male or null")
    return value


Identifier = Annotated[str, _coded(check_identifier)]
Moment = Annotated[datetime, _coded(as_utc)]
Url = Annotated[str, _coded(check_url)]


@dataclass(frozen=True, slots=True)
class VerifyJob:
    """A request to verify one member; made by `parse_job` or `new_job` only.

    ``requested_at`` is in UTC. ``photo_urls`` are in the member's order, the primary photo first; there may
    be none.
    """

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(strict=True, extra="ignore")

    schema: int
    request_id: Identifier
    requested_at: Moment
    member_id: Identifier
    why: Why
    selfie_url: Url
    photo_urls: Annotated[tuple[Url, ...], Field(max_length=MAX_PHOTOS)]
    declared_gender: Annotated[Gender | None, AfterValidator(_declarable)] = None
    manual: bool = False
    """Whether a person looks in place of the machine."""

    def to_message(self) -> dict[str, Any]:
        """The job as JSON primitives."""
        return job_as_json(**asdict(self))

    def content_hash(self) -> str:
        """SHA-256 of the content, hexadecimal; equal for two messages that ask for the same."""
        canonical = json.dumps(self.to_message(), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(canonical.encode()).hexdigest()


_JOB: Final = TypeAdapter(VerifyJob)


def parse_job(body: object, now: datetime | None = None) -> VerifyJob:
    """The job in a message's body (an object of JSON primitives).

    Raises BadMessage, and nothing else, for whatever else may be in it.
    """
    job = parse_stored_job(body)
    check_time(job.requested_at, now or utc_now())
    return job


def check_time(requested_at: datetime, now: datetime) -> None:
    """Raise BadMessage for a time that cannot be right."""
    try:
        check_requested_at(requested_at, now + AHEAD)
    except BadRequest as bad:
        raise BadMessage(bad.code, bad.text) from None


def parse_stored_job(body: object) -> VerifyJob:
    """`parse_job` without the limits of time, for messages that were accepted before. Raises BadMessage."""
    return from_message(_JOB, body)


def from_message(kind: TypeAdapter[_T], body: object) -> _T:
    """A message's body as a value of this kind. Raises BadMessage, and nothing else."""
    if not isinstance(body, Mapping):
        raise BadMessage("not_an_object", "the message must be an object")
    _check_depth(body)
    raw = _encode(body)
    _check_size(raw)
    return _validated(kind, body, raw)


def decode_job(raw: bytes) -> VerifyJob:
    """The job in a JSON text of at most 64 KiB. Raises BadMessage."""
    _check_size(raw)
    body = decode_json(raw)
    if not isinstance(body, dict):
        raise BadMessage("not_an_object", "the message must be an object")
    return _validated(_JOB, body, raw)


def _validated(kind: TypeAdapter[_T], body: Mapping[str, Any], raw: bytes) -> _T:
    """From the text: only there pydantic's strict mode takes lists for tuples and texts for times."""
    _check_schema(body)
    try:
        return kind.validate_json(raw)
    except ValidationError as error:
        raise _bad_message(error.errors(include_url=False, include_input=False)) from None


def _encode(body: Mapping[str, Any]) -> bytes:
    try:
        return json.dumps(dict(body), ensure_ascii=False, allow_nan=False).encode()
    except (TypeError, ValueError, RecursionError):
        raise BadMessage("bad_json", "holds values that JSON cannot hold") from None


def _check_size(raw: bytes) -> None:
    if len(raw) > MAX_BODY_BYTES:
        raise BadMessage("too_large", f"{len(raw)} bytes, at most {MAX_BODY_BYTES} are taken")


def decode_json(raw: bytes, object_hook: Callable[[dict[str, Any]], Any] | None = None) -> Any:
    """The value in a JSON text, nested at most `MAX_DEPTH` deep. Raises BadMessage."""
    try:
        value = json.loads(raw, object_hook=object_hook)
    except RecursionError:
        raise BadMessage("too_deep", f"nested more than {MAX_DEPTH} deep") from None
    except ValueError:
        raise BadMessage("bad_json", "not JSON") from None
    _check_depth(value)
    return value


def _check_depth(body: object) -> None:
    """Raise BadMessage for a value nested too deep. Goes level by level, so that no nesting exhausts the
    stack."""
    level: list[object] = [body]
    for _ in range(MAX_DEPTH):
        level = [child for parent in level for child in _children(parent)]
        if not level:
            return
    raise BadMessage("too_deep", f"nested more than {MAX_DEPTH} deep")


def _children(value: object) -> list[object]:
    if isinstance(value, Mapping):
        return list(value.values())
    return list(value) if isinstance(value, list | tuple) else []


def _check_schema(body: Mapping[str, Any]) -> None:
    """Checked first: in another version the fields may mean something else."""
    if "schema" not in body:
        raise BadMessage("missing_field", "schema: Field required")
    version = body["schema"]
    if not isinstance(version, int) or isinstance(version, bool):
        raise BadMessage("wrong_type", "schema: must be a whole number")
    if version != SCHEMA:
        raise BadMessage("unknown_schema", f"schema: only version {SCHEMA} is known here")


_CODES = {
    "missing": "missing_field",
    "enum": "bad_value",
    "too_long": "too_many_photos",
    "json_invalid": "bad_json",
    "datetime_parsing": "bad_time",
    "datetime_from_date_parsing": "bad_time",
    "datetime_object_invalid": "bad_time",
    "timezone_naive": "bad_time",
}
_OWN_CODES = frozenset({"bad_id", "bad_url", "bad_time", "bad_value"})


def _bad_message(problems: list[ErrorDetails]) -> BadMessage:
    first = problems[0]["type"]
    code = first if first in _OWN_CODES else _CODES.get(first, "wrong_type")
    return BadMessage(code, "; ".join(_describe(problem) for problem in problems[:3]))


def _describe(problem: ErrorDetails) -> str:
    where = ".".join(str(part) for part in problem["loc"]) or "message"
    return f"{where}: {problem['msg']}"


def new_job(
    *,
    request_id: str,
    member_id: str,
    selfie_url: str,
    photo_urls: list[str] | tuple[str, ...],
    why: Why | str = Why.SIGNUP,
    declared_gender: Gender | str | None = None,
    requested_at: datetime,
    manual: bool = False,
) -> VerifyJob:
    """A job from Python values, checked like one from the app. Raises BadMessage."""
    try:
        message = verify_member_job(
            request_id=request_id,
            member_id=member_id,
            selfie_url=selfie_url,
            photo_urls=photo_urls,
            why=why,
            declared_gender=declared_gender,
            requested_at=requested_at,
            manual=manual,
        )
    except BadRequest as bad:
        raise BadMessage(bad.code, bad.text) from None
    return parse_stored_job(message)
