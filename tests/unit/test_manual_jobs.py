"""The field `manual` of a job: on the wire only where it is true, so that older messages stay the same."""

from __future__ import annotations

from typing import Any

import pytest

from support.jobs import NOW, a_job, a_message
from support.schemas import problems
from worker.client.errors import WrongType
from worker.client.message import verify_member_job
from worker.errors import BadMessage
from worker.jobs.verify_job import new_job, parse_job, parse_stored_job

BEFORE = "23bc710d265d55ca34485e4bca45575a4857e8b4f2249681158fbd7a16b9b238"
"""The content hash of `a_message()` by a worker that does not know the field."""


@pytest.mark.parametrize("said", [{}, {"manual": False}])
def test_a_job_without_it_has_the_hash_of_before(said: dict[str, Any]) -> None:
    job = parse_job(a_message(**said), NOW)
    assert (job.manual, job.content_hash(), "manual" in job.to_message()) == (False, BEFORE, False)


def test_a_job_with_it_is_another_one_and_comes_back_from_the_database_as_it_was() -> None:
    job = parse_job(a_message(manual=True), NOW)
    assert job.manual
    assert job.content_hash() != BEFORE
    assert parse_stored_job(job.to_message()) == job
    assert problems("verify_member", job.to_message()) == []


@pytest.mark.parametrize("value", [1, "true", None, []])
def test_it_is_true_or_false(value: object) -> None:
    with pytest.raises(BadMessage, match="wrong_type"):
        parse_job(a_message(manual=value), NOW)
    with pytest.raises(WrongType, match="manual"):
        verify_member_job(**_arguments(), manual=value)  # type: ignore[arg-type]
    assert problems("verify_member", a_message(manual=value))


def test_the_client_and_our_own_jobs_have_it() -> None:
    assert verify_member_job(**_arguments(), manual=True)["manual"] is True
    assert new_job(**_arguments(), manual=True).manual


def _arguments() -> dict[str, Any]:
    job = a_job()
    names = ("request_id", "member_id", "selfie_url", "requested_at")
    return {name: getattr(job, name) for name in names} | {"photo_urls": list(job.photo_urls)}
