"""Whatever arrives becomes a message that kombu takes and a task that Celery has."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import uuid
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import worker.tasks  # noqa: F401 - registers them
from support.bundle import ROOT
from support.invalid_messages import (
    EVERYTHING,
    JOB_TASK,
    NO_MESSAGES,
    NO_TASKS,
    body_of,
    envelope,
    headers,
    job_message,
)
from worker.app import app
from worker.broker.envelope import (
    EXCERPT_BYTES,
    MAX_ETA,
    MAX_RETRIES,
    REASONS,
    RawMessage,
    TaskMessage,
    dead_letter,
    decode_item,
    foreign_task,
    matching,
    printable,
    validate,
)
from worker.client.message import MAX_BODY_BYTES
from worker.errors import BadMessage
from worker.jobs.queues import IN_ORDER
from worker.verification.dead_letters import parse_dead_letter

TASKS = app.tasks
NOW = datetime(2026, 11, 24, 7, 0, tzinfo=UTC)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
FIELDS = st.fixed_dictionaries(
    {},
    optional={
        "body": JSON,
        "content-type": JSON | st.just("application/json"),
        "content-encoding": JSON | st.just("utf-8"),
        "headers": JSON
        | st.fixed_dictionaries(
            {},
            optional={
                "task": JSON | st.sampled_from(sorted(TASKS)),
                "id": JSON,
                "eta": JSON,
                "expires": JSON,
                "retries": JSON,
                "timelimit": JSON,
                "compression": JSON,
                "worker_garbage": JSON,
            },
        ),
        "properties": JSON
        | st.fixed_dictionaries(
            {}, optional={"body_encoding": JSON | st.sampled_from(["base64", "utf-8"]), "delivery_tag": JSON}
        ),
    },
)


def raw_message(raw: bytes, queue: str = "verify") -> RawMessage:
    """What kombu makes of an item that has been through the first door."""
    payload = decode_item(raw, queue)
    body = payload.get("body") or ""
    encoded = payload["properties"].get("body_encoding") == "base64"
    return RawMessage(
        payload.get("headers") or {},
        base64.b64decode(body) if encoded else body.encode(),
        payload.get("content-type"),
        payload.get("content-encoding"),
        payload["properties"]["delivery_info"]["routing_key"],
    )


def task_message(raw: bytes) -> TaskMessage:
    """What Celery gets to see of an item."""
    received = raw_message(raw)
    try:
        return validate(received, TASKS, NOW)
    except BadMessage as bad:
        return dead_letter(received, bad, NOW)


def dead_of(raw: bytes) -> Any:
    """What is recorded of an invalid message in the database."""
    message = task_message(raw)
    assert message.headers["task"] == "worker.bury"
    return parse_dead_letter(json.loads(message.body)[1]["dead"])


@pytest.mark.parametrize("name", [*NO_MESSAGES, *NO_TASKS])
def test_an_invalid_message_gets_a_clear_reason(name: str) -> None:
    raw, reason = EVERYTHING[name]
    assert dead_of(raw).reason == reason


def test_a_job_passes_as_it_is() -> None:
    message = task_message(job_message({"member_id": "회원-1", "photo_urls": ["https://a/1?x=%2F"]}))
    assert message.headers["task"] == "worker.verify_member"
    assert json.loads(message.body)[1] == {
        "job": {"member_id": "회원-1", "photo_urls": ["https://a/1?x=%2F"]}
    }


def test_of_an_invalid_message_the_hash_the_length_and_the_first_four_kilobytes_are_kept() -> None:
    raw = json.dumps({"x": "y" * 10_000_000}).encode()
    dead = dead_of(raw)
    assert dead.sha256 == hashlib.sha256(raw).hexdigest()
    assert dead.length == len(raw)
    assert dead.body == raw[:EXCERPT_BYTES]


def test_two_copies_of_one_message_do_not_share_their_acknowledgement() -> None:
    raw = job_message({})
    tags = {decode_item(raw, "verify")["properties"]["delivery_tag"] for _ in range(2)}
    assert len(tags) == 2


def test_a_message_goes_back_to_the_queue_that_it_came_from_whatever_it_says() -> None:
    raw = job_message({})
    assert b'"routing_key": "verify"' in raw
    assert decode_item(raw, "bulk")["properties"]["delivery_info"] == {"exchange": "", "routing_key": "bulk"}


def test_nobody_can_attach_other_tasks_to_a_job_nor_change_its_limits() -> None:
    hooks = {"callbacks": [{"task": "worker.sweep"}], "chain": [{"task": "worker.sweep"}]}
    raw = envelope(
        json.dumps([[], {"job": {}}, hooks]).encode(),
        headers(timelimit=[1e9, 1e9], expires="2020-01-01T00:00:00Z", kwargsrepr="https://secret"),
    )
    message = task_message(raw)
    assert set(json.loads(message.body)[2].values()) == {None}
    assert message.headers["timelimit"] == [None, None]
    assert message.headers["expires"] is None
    assert message.headers["kwargsrepr"] == ""


TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ({"traceparent": TRACE}, {"traceparent": TRACE}),
        ({"traceparent": TRACE, "tracestate": "a=1,b=2"}, {"traceparent": TRACE, "tracestate": "a=1,b=2"}),
        ({"traceparent": TRACE, "tracestate": "x" * 513}, {"traceparent": TRACE}),
        ({"traceparent": TRACE, "tracestate": "a=1\n"}, {"traceparent": TRACE}),
        ({"traceparent": TRACE, "baggage": "member=1"}, {"traceparent": TRACE}),
        ({"tracestate": "a=1"}, {}),
        ({"traceparent": f"{TRACE}\n"}, {}),
        ({"traceparent": TRACE.upper()}, {}),
        ({"traceparent": f"ff{TRACE[2:]}"}, {}),
        ({"traceparent": f"00-{'0' * 32}-00f067aa0ba902b7-01"}, {}),
        ({"traceparent": f"00-4bf92f3577b34da6a3ce929d0e0e4736-{'0' * 16}-01"}, {}),
        ({"traceparent": ["x"]}, {}),
    ],
)
def test_of_a_trace_what_is_well_formed_is_kept_and_all_else_dropped(
    sent: dict[str, Any], kept: dict[str, str]
) -> None:
    names = ("traceparent", "tracestate", "baggage")
    message = task_message(envelope(body_of({}), headers(**sent)))
    assert {name: message.headers[name] for name in names if name in message.headers} == kept


def test_no_message_waits_for_a_time_that_it_names() -> None:
    soon, later = ((NOW + MAX_ETA + timedelta(seconds=s)).isoformat() for s in (0, 1))
    retry = task_message(envelope(body_of({}), headers(eta=soon, retries=7)))
    assert (retry.headers["task"], retry.headers["eta"], retry.headers["retries"]) == (JOB_TASK, None, 7)
    assert dead_of(envelope(body_of({}), headers(eta=later))).reason == "bad_eta"


QUEUES_OF_TASKS = {
    "worker.verify_member": {"verify", "bulk"},
    "worker.record_objection": {"verify"},
    "worker.bulk_embed": {"bulk"},
    "worker.sweep": {"maintenance"},
    "worker.purge": {"maintenance"},
    "worker.plan_retraining": {"maintenance"},
    "worker.deliver_events": {"maintenance"},
    "worker.retrain": {"retrain"},
}


WITH_A_JOB = ("worker.verify_member", "worker.record_objection", "worker.bulk_embed")


@pytest.mark.parametrize("queue", IN_ORDER)
def test_a_queue_takes_its_own_tasks_and_no_others(queue: str) -> None:
    taken = {task for task in QUEUES_OF_TASKS if reason_of(task, queue) is None}
    refused = {reason_of(task, queue) for task in QUEUES_OF_TASKS} - {None}
    assert refused == {"wrong_queue"}
    assert taken == {task for task, queues in QUEUES_OF_TASKS.items() if queue in queues}


def reason_of(task: str, queue: str) -> str | None:
    """Why a task is refused on a queue."""
    try:
        body = b'[[], {"job": {}}, {}]' if task in WITH_A_JOB else b"[[], {}, {}]"
        validate(raw_message(envelope(body, headers(task=task)), queue), TASKS, NOW)
    except BadMessage as bad:
        return bad.code
    return None


def test_every_task_of_the_worker_has_a_queue() -> None:
    ours = {name for name in TASKS if name.startswith("worker.")}
    assert ours == {*QUEUES_OF_TASKS, "worker.bury"}


@pytest.mark.parametrize(
    ("headers", "task"),
    [
        ({"task": "app.tidy"}, "app.tidy"),
        ({"task": "celery.backend_cleanup"}, "celery.backend_cleanup"),
        ({"task": "worker.sweep"}, None),
        ({"task": "worker.make_coffee"}, None),
        ({"task": {"a": 1}}, None),
        ({"worker_garbage": {"code": "bad_json"}}, None),
        ({}, None),
    ],
)
def test_another_programs_task_is_told_by_its_name(headers: dict[str, Any], task: str | None) -> None:
    assert foreign_task(headers) == task


def test_a_forged_mark_says_no_word_of_its_own_in_the_log() -> None:
    raw = envelope(b"x", {"worker_garbage": {"code": "fine", "text": "first\nERROR second"}})
    with pytest.raises(BadMessage) as refused:
        validate(raw_message(raw), TASKS, NOW)
    assert str(refused.value) == f"bad_burial: {REASONS['bad_burial']}"


def test_every_reason_for_which_a_message_is_refused_is_one_that_is_known() -> None:
    sources = [
        (ROOT / "worker/broker" / name).read_text() for name in ("envelope.py", "consumer.py", "amqp.py")
    ]
    pattern = r'(?:BadMessage|_bad|invalid_headers)\(\s*"(\w+)"'
    raised = {code for text in sources for code in re.findall(pattern, text)}
    assert len(raised) > 15
    assert raised <= REASONS.keys()


@pytest.mark.parametrize(
    ("value", "kept"), [("12", "12"), ("1x", None), ("", None), (12, None), (None, None)]
)
def test_of_a_foreign_field_only_a_text_of_its_form_is_kept(value: object, kept: str | None) -> None:
    assert matching(r"\d+", value) == kept


@pytest.mark.parametrize(("value", "line"), [("a\n\x1bb", "ab"), ("x" * 501, "x" * 500), (7, ""), ([], "")])
def test_of_a_foreign_text_one_line_of_500_characters_is_kept(value: object, line: str) -> None:
    assert printable(value) == line


def valid_message() -> RawMessage:
    """A valid message, to be changed in one place."""
    return raw_message(envelope(body_of({}), headers()))


def code_of(received: RawMessage) -> str | None:
    """The code of the reason; None where it is taken."""
    try:
        validate(received, TASKS, NOW)
    except BadMessage as bad:
        return bad.code
    return None


@pytest.mark.parametrize(
    ("task_id", "code"),
    [
        *(("x", None), ("x" * 255, None), ("", "bad_task_id"), ("x" * 256, "bad_task_id")),
        *(("a\nb", "bad_task_id"), (7, "bad_task_id")),
    ],
)
def test_an_id_has_1_to_255_printable_characters(task_id: object, code: str | None) -> None:
    received = valid_message()
    assert code_of(replace(received, headers={**received.headers, "id": task_id})) == code


def test_an_id_that_is_no_uuid_is_replaced_for_it_may_name_a_member() -> None:
    received = valid_message()
    own = str(uuid.uuid4())
    ids = [
        validate(replace(received, headers={**received.headers, "id": sent}), TASKS, NOW).headers["id"]
        for sent in (own, "member-7", "member-7")
    ]
    assert ids[0] == own
    assert len({*ids, "member-7"}) == 4
    assert uuid.UUID(ids[1]).version == 4


@pytest.mark.parametrize(
    ("sent", "counted"), [(None, 0), (0, 0), (MAX_RETRIES, 1000), (MAX_RETRIES + 1, 1000)]
)
def test_a_first_delivery_counts_no_retries_and_no_other_more_than_a_thousand(
    sent: int | None, counted: int
) -> None:
    received = valid_message()
    message = validate(replace(received, headers={**received.headers, "retries": sent}), TASKS, NOW)
    assert message.headers["retries"] == counted


@pytest.mark.parametrize("seconds", [0, 1])
def test_a_due_time_without_a_zone_is_in_utc_and_may_be_a_time_of_amqp(seconds: int) -> None:
    received, due = valid_message(), NOW + MAX_ETA + timedelta(seconds=seconds)
    for eta in (due.replace(tzinfo=None).isoformat(), due.replace(tzinfo=None), due):
        expected = "bad_eta" if seconds else None
        assert code_of(replace(received, headers={**received.headers, "eta": eta})) == expected


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        *(({"content_encoding": name}, None) for name in (None, "UTF-8", "binary")),
        ({"content_encoding": "utf-16"}, "wrong_encoding"),
        ({"content_type": "application/x-python-serialize"}, "wrong_content_type"),
    ],
)
def test_a_body_is_json_in_utf_8(changes: dict[str, Any], code: str | None) -> None:
    assert code_of(replace(valid_message(), **changes)) == code


def test_a_body_of_the_largest_size_is_taken_and_no_larger_one() -> None:
    received = valid_message()
    largest = received.body + b" " * (MAX_BODY_BYTES - len(received.body))
    assert code_of(replace(received, body=largest)) is None
    assert code_of(replace(received, body=largest + b" ")) == "too_large"


@given(st.binary(max_size=200) | FIELDS.map(lambda fields: json.dumps(fields).encode()))
def test_anything_becomes_a_known_task_with_arguments_that_fit(raw: bytes) -> None:
    message = task_message(raw)
    args, kwargs, _ = json.loads(message.body)
    TASKS[message.headers["task"]].__header__(*args, **kwargs)


@given(JSON | st.dictionaries(st.sampled_from(["code", "text", "sha256", "size", "excerpt", "queue"]), JSON))
def test_whatever_is_in_a_dead_letter_can_be_stored(fields: object) -> None:
    dead = parse_dead_letter(fields)
    assert dead.reason.isascii()
    assert len(dead.reason) <= 32
    assert dead.error.isprintable()
