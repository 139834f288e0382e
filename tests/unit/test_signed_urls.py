"""When a signed URL ends."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from worker.downloads.responses import expired, expiry

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    "query",
    [
        "X-Amz-Date=20261124T110000Z&X-Amz-Expires=3600",
        "x-amz-date=20261124T110000Z&x-amz-expires=3600&X-Amz-Signature=0",
        "X-Goog-Date=20261124T113000Z&X-Goog-Expires=1800",
        f"Expires={int(NOON.timestamp())}&Signature=x&Key-Pair-Id=y",
        "sv=2024-01-01&se=2026-11-24T12%3A00%3A00Z&sig=x",
        "se=2026-11-24T12:00&sig=x",
    ],
)
def test_a_signature_tells_its_end(query: str) -> None:
    assert expiry(f"https://photos.example.com/1.jpg?{query}") == NOON


@pytest.mark.parametrize(
    "query",
    [
        "",
        "w=200&se=north",
        "Expires=soon",
        "Expires=99999999999999999999",
        "X-Amz-Date=20261124T110000Z",
        "X-Amz-Date=yesterday&X-Amz-Expires=60",
        "X-Amz-Date=20261124T110000Z&X-Amz-Expires=99999999999999999999",
        "se=2026-99-99&sig=x",
    ],
)
def test_an_address_without_a_date_never_expires(query: str) -> None:
    assert expiry(f"https://photos.example.com/1.jpg?{query}") is None
    assert not expired(f"https://photos.example.com/1.jpg?{query}", NOON)


def test_it_is_over_from_its_last_second_on() -> None:
    url = "https://photos.example.com/1.jpg?X-Amz-Date=20261124T110000Z&X-Amz-Expires=3600"
    assert expired(url, NOON)
    assert not expired(url, NOON.replace(hour=11, minute=59))
