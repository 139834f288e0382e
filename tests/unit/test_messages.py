"""What comes over the wire is a job, or a BadMessage with a stable code: nothing else."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.verdict import Gender
from support.bad_jobs import BAD, URL
from support.jobs import NOW, a_job, a_message
from worker.client.identifiers import is_identifier, new_request_id
from worker.errors import BadMessage
from worker.jobs.verify_job import VerifyJob, Why, decode_job, new_job, parse_job, parse_stored_job


def test_a_message_in_order_becomes_a_job() -> None:
    job = parse_job(a_message(), NOW)
    assert job == VerifyJob(
        schema=1,
        request_id="r1",
        requested_at=datetime(2026, 11, 24, 7, tzinfo=UTC),
        member_id="m1",
        why=Why.SIGNUP,
        selfie_url="https://photos.example.com/m1/selfie.jpg?sig=abc",
        photo_urls=("https://photos.example.com/m1/1.jpg", "https://photos.example.com/m1/2.jpg"),
        declared_gender=Gender.FEMALE,
    )


@pytest.mark.parametrize(("code", "changes"), BAD.values(), ids=BAD.keys())
def test_a_bad_message_has_a_stable_code(code: str, changes: dict[str, Any]) -> None:
    with pytest.raises(BadMessage) as bad:
        parse_job(a_message(**changes), NOW)
    assert bad.value.code == code


@pytest.mark.parametrize("body", [None, 7, "text", ["list"], b"{}", [{"schema": 1}]])
def test_what_is_no_object_is_refused(body: object) -> None:
    with pytest.raises(BadMessage) as bad:
        parse_job(body, NOW)
    assert bad.value.code == "not_an_object"


@pytest.mark.parametrize("depth", [16, 100_000])
def test_deep_nesting_is_refused_and_exhausts_no_stack(depth: int) -> None:
    nested: list[Any] = []
    for _ in range(depth):
        nested = [nested]
    with pytest.raises(BadMessage) as bad:
        parse_job(a_message(note=nested), NOW)
    assert bad.value.code == "too_deep"


@pytest.mark.parametrize(
    ("raw", "code"),
    [
        (b"", "bad_json"),
        (b"\xff\xfe", "bad_json"),
        (b"{'schema': 1}", "bad_json"),
        (b"[1]", "not_an_object"),
        (b"[" * 60_000, "too_deep"),
        (b'{"schema": 1}' + b" " * 70_000, "too_large"),
    ],
)
def test_raw_bytes_that_are_no_job_are_refused(raw: bytes, code: str) -> None:
    with pytest.raises(BadMessage) as bad:
        decode_job(raw)
    assert bad.value.code == code


def test_the_text_of_an_error_holds_nothing_out_of_the_message() -> None:
    secret = "https://photos.example.com/x y?signature=SECRET"
    with pytest.raises(BadMessage) as bad:
        parse_job(a_message(selfie_url=secret, photo_urls=[secret], member_id="SECRET ID"), NOW)
    assert "SECRET" not in str(bad.value)
    assert "member_id" in str(bad.value)
    assert "photo_urls.0" in str(bad.value)


def test_fields_of_a_newer_app_are_let_pass() -> None:
    assert parse_job(a_message(liveness={"score": 1}), NOW) == parse_job(a_message(), NOW)


def test_a_gender_may_be_null_or_missing_and_a_gallery_empty() -> None:
    assert parse_job(a_message(declared_gender=None), NOW).declared_gender is None
    assert parse_job(a_message(declared_gender=...), NOW).declared_gender is None
    assert parse_job(a_message(photo_urls=[]), NOW).photo_urls == ()


def test_times_of_every_zone_become_utc_with_microseconds() -> None:
    seoul = parse_job(a_message(requested_at="2026-11-24T16:00:00.123456789+09:00"), NOW)
    assert seoul.requested_at == datetime(2026, 11, 24, 7, 0, 0, 123456, tzinfo=UTC)
    assert seoul.requested_at.tzinfo is UTC


def test_a_job_survives_the_wire() -> None:
    job = a_job(selfie_url="https://사진.example.com/셀카.jpg")
    assert parse_job(json.loads(json.dumps(job.to_message())), NOW) == job
    assert parse_stored_job(job.to_message()) == job


def test_the_same_content_has_the_same_hash_however_it_is_written() -> None:
    job = parse_job(a_message(), NOW)
    again = parse_job(a_message(requested_at="2026-11-24T16:00:00.000+09:00", extra=1), NOW)
    assert again.content_hash() == job.content_hash()


@pytest.mark.parametrize(
    "change",
    [
        {"member_id": "m2"},
        {"why": "operator"},
        {"declared_gender": None},
        {"selfie_url": URL},
        {"photo_urls": ["https://photos.example.com/m1/2.jpg", "https://photos.example.com/m1/1.jpg"]},
        {"requested_at": "2026-11-24T07:00:00.000001Z"},
    ],
    ids=str,
)
def test_other_content_has_another_hash(change: dict[str, Any]) -> None:
    assert parse_job(a_message(**change), NOW).content_hash() != parse_job(a_message(), NOW).content_hash()


def test_a_job_from_python_values_is_checked_as_one_from_the_wire() -> None:
    job = new_job(
        request_id="r9",
        member_id="m9",
        selfie_url=URL,
        photo_urls=[URL],
        declared_gender=Gender.MALE,
        requested_at=NOW.astimezone(timezone(timedelta(hours=9))),
    )
    assert (job.why, job.declared_gender, job.requested_at) == (Why.SIGNUP, Gender.MALE, NOW)
    with pytest.raises(BadMessage, match="bad_id"):
        new_job(request_id="r 9", member_id="m9", selfie_url=URL, photo_urls=[], requested_at=NOW)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=30) | st.binary(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=12,
)


@given(field=st.sampled_from(sorted(a_message())), value=JSON)
def test_no_value_in_any_field_raises_anything_but_bad_message(field: str, value: object) -> None:
    try:
        job = parse_job(a_message(**{field: value}), NOW)
    except BadMessage:
        return
    assert parse_job(job.to_message(), NOW) == job


@given(JSON)
def test_no_body_raises_anything_but_bad_message(body: object) -> None:
    with pytest.raises(BadMessage):
        parse_job(body, NOW)


def test_new_request_ids_are_ids_all_different_and_sort_by_their_time() -> None:
    times = [NOW + timedelta(milliseconds=i) for i in range(50)]
    ids = [new_request_id(time) for time in times]
    assert ids == sorted(ids)
    assert all(is_identifier(i) for i in ids)
    assert len({new_request_id(NOW) for _ in range(1000)}) == 1000
