"""What the console does not do for whoever may not: it says no, changes nothing, and fetches no photo."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
import sqlalchemy as sa

from support.console import Console, Visitor
from support.photo_server import Answer
from support.workers import rows
from worker.clock import utc_now
from worker.store.tables.states import Role

TAKEN = re.compile(r'name="case" value="([^"]+)"')
PHOTO = re.compile(r'"(/[a-z]+/photo/\d+/\w+\?case=[\d-]+)"')


def taken(visitor: Visitor) -> tuple[str, list[str]]:
    """The case in hand, and the addresses of its photos."""
    page = visitor.post("/review/next").text
    found = TAKEN.search(page)
    assert found, page[:500]
    return found[1], PHOTO.findall(page)


def nothing_said(console: Console) -> bool:
    """Whether nobody has answered or decided anything."""
    t = console.store.database.t
    return not any(rows(console.store, table) for table in (t.label, t.review_vote, t.decision))


@pytest.mark.parametrize(
    ("role", "path"),
    [
        (Role.ADMIN, "/queue"),
        (Role.ADMIN, "/review"),
        (Role.OPERATOR, "/review"),
        (Role.AUDITOR, "/review"),
        (Role.AUDITOR, "/queue"),
    ],
)
def test_a_role_opens_no_page_of_another(console: Console, role: Role, path: str) -> None:
    assert console.visitor("lee", role).get(path).status_code == 403


def test_a_case_is_not_taken_with_the_token_of_another_session(console: Console) -> None:
    console.case(1)
    first, second = console.visitor("kim"), console.visitor("kim")
    assert second.post("/review/next", csrf=first.csrf).status_code == 403
    assert second.post("/review/next", csrf="").status_code == 403
    case_id, _ = taken(second)
    answered = second.post("/review/answers", case=case_id, csrf=first.csrf, **{"answer-1": "genuine"})
    assert answered.status_code == 403
    assert nothing_said(console)


def test_a_session_that_has_lain_idle_is_over(console: Console) -> None:
    console.case(1)
    visitor = console.visitor("kim")
    assert visitor.get("/review").status_code == 200
    session = console.store.database.t.staff.session
    with console.store.database.engine.begin() as c:
        c.execute(sa.update(session).values(seen_at=utc_now() - timedelta(minutes=16)))
    page = visitor.get("/review")
    assert (page.status_code, page.headers["location"]) == (303, "/sign-in?next=/review")
    assert visitor.post("/review/next").headers["hx-redirect"].startswith("/sign-in")


@pytest.mark.parametrize(
    ("part", "forged"),
    [
        (r"\?.*", ""),
        (r"case=.*", "case=999999"),
        (r"case=.*", "case=1 OR 1=1"),
        (r"/photo/\d+", "/photo/9"),
        (r"/photo/\d+", "/photo/-1"),
        (r"/photo/\d+", "/photo/https:%2f%2felsewhere.example.com"),
        (r"/(face|whole)", "/..%2f..%2fetc%2fpasswd"),
    ],
)
def test_a_forged_address_of_a_photo_shows_none(console: Console, part: str, forged: str) -> None:
    console.case(1)
    visitor = console.visitor("kim")
    _, photos = taken(visitor)
    assert visitor.get(photos[0]).headers["content-type"] == "image/jpeg"
    shown = visitor.get(re.sub(part, forged, photos[0]))
    assert shown.status_code in {403, 404}
    assert not shown.headers["content-type"].startswith("image/")


def test_what_else_an_address_says_does_not_count(console: Console) -> None:
    console.case(1)
    visitor = console.visitor("kim")
    _, photos = taken(visitor)
    own = console.photos.add_photo("elsewhere.jpg", b"a photo of somebody else")
    assert visitor.get(f"{photos[0]}&url={own}").status_code == 200
    assert "/elsewhere.jpg" not in console.photos.hits


def test_the_photo_of_another_persons_case_is_not_fetched(console: Console) -> None:
    first = console.case(1)
    paths = [f"/{first}/{position}.jpg" for position in range(3)]
    for path in paths:
        console.photos.add(path, Answer(status=404))  # so that the console holds none of them
    console.case(2)
    kim, lee = console.visitor("kim"), console.visitor("lee")
    _, photos = taken(kim)
    taken(lee)
    assert len(photos) >= 3
    assert {kim.get(photo).status_code for photo in photos} == {502}  # and that none is on its way
    before = [console.photos.hits[path] for path in paths]
    assert {lee.get(f"{photo}&again=1").status_code for photo in photos} == {404}
    assert [console.photos.hits[path] for path in paths] == before
    assert kim.get(f"{photos[0]}&again=1").status_code == 502
    assert [console.photos.hits[path] for path in paths] != before  # of whoever has the case it is fetched


def test_a_photo_is_shown_to_nobody_once_the_case_is_given_back(console: Console) -> None:
    console.case(1)
    kim = console.visitor("kim")
    case_id, photos = taken(kim)
    assert {kim.get(photo).status_code for photo in photos} == {200}
    kim.post("/review/release", case=case_id)
    assert {kim.get(photo).status_code for photo in photos} == {404}


def test_ten_megabytes_are_not_read(console: Console) -> None:
    console.case(1)
    visitor = console.visitor("kim")
    case_id, _ = taken(visitor)
    assert visitor.post("/review/answers", case=case_id, note="x" * 10_000_000).status_code == 413
    assert nothing_said(console)
