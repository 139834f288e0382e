"""What in a link names the photo, and what is only a signature."""

from __future__ import annotations

import pytest

from worker.jobs.links import (
    current_links,
    is_same_photo,
    may_be_link_of,
    message_without_queries,
    without_query,
)

PHOTO = "https://photos.example.com/m-1/1.jpg"


@pytest.mark.parametrize(
    "query",
    [
        "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Date=20261129T000000Z&X-Amz-Expires=60&X-Amz-Signature=a",
        "X-Goog-Date=20261129T000000Z&X-Goog-Signature=a",
        "Expires=1&Signature=a&Key-Pair-Id=k",
        "AWSAccessKeyId=k&Expires=1&Signature=a",
        "sv=2024&se=2026-11-29&sr=b&sp=r&sig=a",
        "q-sign-algorithm=sha1&q-ak=k&q-signature=a",
    ],
)
def test_a_signature_names_no_photo(query: str) -> None:
    assert is_same_photo(PHOTO, f"{PHOTO}?{query}")
    assert is_same_photo(f"{PHOTO}?id=7", f"{PHOTO}?{query}&id=7")
    assert not is_same_photo(f"{PHOTO}?id=7", f"{PHOTO}?{query}&id=8")


@pytest.mark.parametrize(
    "other",
    [
        "https://photos.example.com/m-1/2.jpg",
        "https://other.example.com/m-1/1.jpg",
        "https://photos.example.com:8443/m-1/1.jpg",
        "https://photos.example.com/M-1/1.jpg",
        f"{PHOTO}?v=2",
        f"{PHOTO}?token=of-an-upload",
        f"{PHOTO}?se=2&st=1",
        "https://photos.example.com:x/m-1/1.jpg",
        None,
    ],
)
def test_all_else_does(other: str | None) -> None:
    assert not is_same_photo(PHOTO, other)


def test_scheme_and_spelling_of_the_host_name_no_photo() -> None:
    assert is_same_photo(PHOTO, "http://PHOTOS.example.com:80/m-1/1.jpg#top")


def test_a_link_without_its_query_may_be_that_of_any_version() -> None:
    assert may_be_link_of(PHOTO, f"{PHOTO}?id=7&sig=a")
    assert may_be_link_of(f"{PHOTO}?id=7", f"{PHOTO}?id=7&sig=a")
    assert not may_be_link_of(f"{PHOTO}?id=7", f"{PHOTO}?id=8&sig=a")
    assert without_query(f"{PHOTO}?sig=a#b?c") == PHOTO


def test_a_photo_is_found_among_the_links_that_the_member_has_now() -> None:
    asked = [f"{PHOTO}?sig=1", "https://h/a.jpg?sig=1", "https://h/b.jpg?sig=1", "https://h/c.jpg?sig=1"]
    now = [f"{PHOTO}?sig=2", "https://h/b.jpg?sig=2", "https://h/new.jpg"]
    selfie, gone, moved, last = current_links(asked, now, "m1", {2: "e" * 64})
    assert (selfie.url, selfie.position, selfie.moved_to) == (now[0], 0, None)
    assert (gone.url, gone.moved_to) == (asked[1], None)
    assert (moved.url, moved.sha256) == (now[1], "e" * 64)
    assert (last.url, last.member_id) == (asked[3], "m1")
    assert current_links(["https://h/old.jpg"], ["https://h/new.jpg"], "m1", {0: "e" * 64})[0].moved_to


def test_a_message_keeps_the_addresses_without_their_keys() -> None:
    message = {"schema": 1, "selfie_url": f"{PHOTO}?sig=a", "photo_urls": [f"{PHOTO}?sig=b#c"]}
    assert message_without_queries(message) == {"schema": 1, "selfie_url": PHOTO, "photo_urls": [PHOTO]}
