"""The JSON Schemas of the client, the documents that point to them, and what the code builds."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from pipeline.verdict import FetchProblem, Outcome, PhotoFinding, Reason, Status
from support.bundle import ROOT
from support.jobs import PHOTOS, SELFIE, a_job, a_message
from support.schemas import FOLDER, problems, schema, undescribed
from worker.results.document import EventType, Told, erased, refused

NOW = datetime(2026, 11, 29, 7, tzinfo=UTC)
NAMES = ("MESSAGE.md", "EVENT.md")
DOCUMENTS = {name: (ROOT / "worker" / name).read_text(encoding="utf-8") for name in NAMES}
MEMBER = {"status": "approved", "verified_request_id": "r1", "request_id": "r2", "requested_state": "queued"}


def examples(text: str) -> Iterator[tuple[str, Any]]:
    """Each JSON block of a document, with the schema that it must fit."""
    for block in re.findall(r"```json\n(.*?)```", text, re.DOTALL):
        value = json.loads(block)
        if "body" in value:
            yield "verify_member", json.loads(value["body"])[1]["job"]
        elif "objection_id" in value:
            yield "record_objection", value
        elif "url" in value:
            yield "photo_resolve_answer", value
        else:
            yield "photo_resolve_request" if value["type"] == "photo.resolve" else "event", value


@pytest.mark.parametrize("path", sorted(FOLDER.iterdir()), ids=lambda path: path.name)
def test_a_schema_is_one(path: Any) -> None:
    read = json.loads(path.read_text(encoding="utf-8"))
    Draft202012Validator.check_schema(read)
    assert read["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert f"{read['title']}.schema.json" == path.name


def test_every_example_of_the_documents_fits_its_schema() -> None:
    found = [example for text in DOCUMENTS.values() for example in examples(text)]
    assert {name for name, _ in found} == {path.name.partition(".")[0] for path in FOLDER.iterdir()}
    for name, value in found:
        assert problems(name, value) == []
        assert undescribed(name, value) == set()


def test_a_message_has_the_fields_of_its_schema() -> None:
    job = a_job(manual=True).to_message()
    assert problems("verify_member", job) == []
    assert job.keys() == schema("verify_member")["properties"].keys()
    for wrong in (
        {"member_id": "a b"},
        {"request_id": ""},
        {"selfie_url": "ftp://h/s.jpg"},
        {"photo_urls": [job["selfie_url"]] * 21},
        {"requested_at": "2026-11-24T07:00:00"},
        {"why": "because"},
        {"declared_gender": "unknown"},
        {"schema": 2},
    ):
        assert problems("verify_member", a_message(**wrong))


def every_payload() -> Iterator[dict[str, Any]]:
    """One of each kind that the worker builds."""
    its: dict[str, Any] = {"request_id": "r1", "member_id": "m1"}
    done: dict[str, Any] = {**its, "state": "done", "decided_by": "machine", "photo": 1, "similarity": 0.7}
    for status, reason in ((Status.APPROVED, Reason.SAME_PERSON), (Status.REVIEW, Reason.PHOTO_REUSED)):
        told = Told(**done, status=status, reason=reason, findings=(SELFIE, *PHOTOS))
        yield told.payload(EventType.COMPLETED, NOW, MEMBER)
    decided = {"decided_by": "person", "status": Status.REJECTED, "reason": Reason.REJECTED_BY_PERSON}
    yield Told(**{**done, **decided}).payload(EventType.DECIDED, NOW, MEMBER)
    yield Told(**its, state="superseded").payload(EventType.SUPERSEDED, NOW, MEMBER)
    yield Told(**its, state="dead", problem="poison").payload(EventType.FAILED, NOW, MEMBER)
    yield refused(None, None, "bad_json", NOW)
    yield erased("m1", NOW)


def test_every_event_fits_its_schema_which_names_all_that_is_in_it() -> None:
    payloads = json.loads(json.dumps([*every_payload()]))
    assert {payload["type"] for payload in payloads} == {*EventType}
    for payload in payloads:
        assert problems("event", payload) == []
        assert undescribed("event", payload) == set()
    assert {*EventType} == {*schema("event")["properties"]["type"]["examples"]}


def test_an_event_says_nothing_that_was_suspected() -> None:
    review = [payload["data"] for payload in every_payload() if payload["data"].get("status") == "review"]
    assert [data["reason"] for data in review] == [None]
    assert "photo_reused" not in json.dumps(review)


def quoted(heading: str) -> set[str]:
    """What is quoted in the first column of the tables under a heading of EVENT.md, and in its last lines."""
    text = DOCUMENTS["EVENT.md"].split(f"\n## {heading}\n")[1].split("\n## ")[0]
    return set(re.findall(r"`(\w+)`", text))


def test_every_reason_and_every_problem_of_a_photo_is_explained() -> None:
    words = quoted("Reasons")
    told = {
        Told(request_id="r", member_id="m", state="done", findings=(PhotoFinding(1, outcome),)).payload(
            EventType.COMPLETED, NOW, MEMBER
        )["data"]["photos"][0]["problem"]
        for outcome in Outcome
    }
    assert {*Reason, *told} - {None} <= words
    assert words <= {*Reason, *told, *Status, *("result", "reason", "problem")}
    assert not {*FetchProblem} & words


def test_every_type_of_event_is_explained() -> None:
    assert {*re.findall(r"(?m)^\| `([a-z]+\.[a-z]+)` \|", DOCUMENTS["EVENT.md"])} == {*EventType}


def test_a_link_between_the_documents_leads_somewhere() -> None:
    for text in DOCUMENTS.values():
        for path, heading in re.findall(r"\]\(([\w./]*)#?([\w-]*)\)", text):
            target = (ROOT / "worker" / path).read_text(encoding="utf-8") if path else text
            titles = re.findall(r"(?m)^#+ (.+)$", target)
            slugs = {re.sub(r"[^\w -]", "", title).lower().replace(" ", "-") for title in titles}
            assert not heading or heading in slugs, (path, heading)
