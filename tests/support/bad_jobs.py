"""Jobs with one thing wrong: name, the code of the refusal, what is changed in a job that is in order."""

from __future__ import annotations

from typing import Any, Final

from worker.client.message import MAX_BODY_BYTES

URL: Final = "https://photos.example.com/1.jpg"

BAD: Final[dict[str, tuple[str, dict[str, Any]]]] = {
    "another schema": ("unknown_schema", {"schema": 2}),
    "a schema that is True": ("wrong_type", {"schema": True}),
    "a schema that is text": ("wrong_type", {"schema": "1"}),
    "no schema": ("missing_field", {"schema": ...}),
    "no member": ("missing_field", {"member_id": ...}),
    "no selfie": ("missing_field", {"selfie_url": ...}),
    "no photos field": ("missing_field", {"photo_urls": ...}),
    "no time": ("missing_field", {"requested_at": ...}),
    "a member that is a number": ("wrong_type", {"member_id": 7}),
    "a member that is null": ("wrong_type", {"member_id": None}),
    "photos that are text": ("wrong_type", {"photo_urls": URL}),
    "a photo that is a number": ("wrong_type", {"photo_urls": [1]}),
    "a time that is a number": ("wrong_type", {"requested_at": 1764000000}),
    "an ID with a space behind": ("bad_id", {"member_id": "m1 "}),
    "an empty ID": ("bad_id", {"request_id": ""}),
    "an ID of 65 characters": ("bad_id", {"member_id": "m" * 65}),
    "a Korean ID": ("bad_id", {"member_id": "회원1"}),
    "an ID with a line break": ("bad_id", {"member_id": "m1\n"}),
    "a file address": ("bad_url", {"selfie_url": "file:///etc/passwd"}),
    "an empty address": ("bad_url", {"selfie_url": ""}),
    "an address without a host": ("bad_url", {"selfie_url": "https:///x"}),
    "an address with a space": ("bad_url", {"photo_urls": ["https://h/a b"]}),
    "an address with a NUL": ("bad_url", {"photo_urls": ["https://h/\x00"]}),
    "a broken IPv6 address": ("bad_url", {"photo_urls": ["http://[::1"]}),
    "an address of 2,049 characters": ("bad_url", {"selfie_url": "https://h/".ljust(2049, "x")}),
    "21 photos": ("too_many_photos", {"photo_urls": [URL] * 21}),
    "a reason of its own": ("bad_value", {"why": "because"}),
    "an unknown gender": ("bad_value", {"declared_gender": "unknown"}),
    "another gender": ("bad_value", {"declared_gender": "F"}),
    "no time at all": ("bad_time", {"requested_at": "yesterday"}),
    "a time without a zone": ("bad_time", {"requested_at": "2026-11-24T07:00:00"}),
    "a day without a time": ("bad_time", {"requested_at": "2026-11-24"}),
    "a time in 2019": ("bad_time", {"requested_at": "2019-12-31T23:59:59Z"}),
    "a time two days ahead": ("bad_time", {"requested_at": "2026-11-26T07:00:01Z"}),
    "a time before the calendar": ("bad_time", {"requested_at": "0001-01-01T00:00:00+14:00"}),
    "64 KiB": ("too_large", {"note": "x" * MAX_BODY_BYTES}),
    "64 KiB in UTF-8": ("too_large", {"note": "한" * (MAX_BODY_BYTES // 3)}),
    "not a number": ("bad_json", {"note": float("nan")}),
    "bytes": ("bad_json", {"note": b"x"}),
    "half a character": ("bad_json", {"note": "\ud800"}),
}

BAD_SANDBOX: Final[dict[str, tuple[str, dict[str, Any]]]] = {
    "an unknown status": ("sandbox-aproved", {}),
    "an unknown reason": ("sandbox-review-no_face.1", {}),
    "a reason that only a person gives": ("sandbox-approved-approved_by_person", {}),
    "an unknown reason of a dead job": ("sandbox-dead-old_age", {}),
    "an approval without a gallery photo": ("sandbox-approved.1", {"photo_urls": []}),
    "an empty gallery that is none": ("sandbox-retry_photo-no_photos", {}),
    "a member who was there before the prefix": ("sandbox-approved.2", {}),
}
"""Member IDs of the sandbox, and what is changed in a job that is in order."""
