"""The dashboard: who sees which figures, and that nobody who reviews can tell an audit by them."""

from __future__ import annotations

import html
import re
from collections.abc import Callable
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
import sqlalchemy as sa
from starlette.testclient import TestClient

from pipeline.bundles.reference import BINS, Measured, Reference
from pipeline.verdict import Reason, Status
from support import reviews
from support.cases import a_store, judged
from support.heads import a_bundle
from support.jobs import later
from worker.console.app import build
from worker.console.services import ConsoleRules, Services
from worker.serving.references import References
from worker.store import Store
from worker.store.staff.records import Browser
from worker.store.tables.states import Role, StaffAction, Stage

URL = "http://127.0.0.1:8300"
FLAT = Reference(Measured.CROSS_FIT, (1 / BINS,) * BINS, 5000, 23, (1 / BINS,) * BINS, 9000, 1600)
Seen = Callable[..., str]


@pytest.fixture
def store(engine: sa.Engine) -> Store:
    """Three members: one approved, one in review, one whose approval is audited."""
    store = a_store(engine)
    judged(store, "r1", "m1", 1, status=Status.APPROVED, reason=Reason.SAME_PERSON)
    judged(store, "r2", "m2", 2)
    judged(store, "r3", "m3", 3, status=Status.REVIEW, reason=Reason.BLIND_AUDIT)
    return store


@pytest.fixture
def seen(store: Store, tmp_path: Path) -> Seen:
    """The dashboard as a person with these roles sees it, at a time."""
    bundle = a_bundle(tmp_path / "bundle", reference=FLAT.facts())

    def page(*roles: Role, at: float = 60, name: str = "kim", language: str = "en", status: int = 200) -> str:
        services = Services(
            store=store,
            rules=ConsoleRules(url=URL, zone=ZoneInfo("Asia/Seoul")),
            references=References(store.models, bundle),
            clock=lambda: later(at),
        )
        client = TestClient(build(services), base_url=URL)
        client.cookies.set("session", store.database.write(lambda c: signed_in(c, store, name, roles, at)))
        client.cookies.set("language", language)
        answer = client.get("/dashboard")
        assert answer.status_code == status, answer.text
        return answer.text

    return page


def signed_in(c: sa.Connection, store: Store, name: str, roles: tuple[Role, ...], at: float) -> str:
    """A new account with these roles; the token of its session."""
    t, now = store.database.t.staff, later(at)
    c.execute(sa.delete(t.session))
    c.execute(sa.delete(t.grant))
    c.execute(sa.delete(t.account))
    account = {"name": name, "folded": name.lower(), "created_at": now}
    number = int(c.execute(sa.insert(t.account).values(**account)).lastrowid)
    for role in roles:
        grant = {"account_id": number, "name": name, "action": StaffAction.GIVEN, "role": role}
        c.execute(sa.insert(t.grant).values(**grant, changed_by="admin", changed_at=now))
    return store.staff.sessions.start(c, number, Stage.COMPLETE, Browser("127.0.0.1", "a test"), now)


def text_of(page: str) -> str:
    """Without tags."""
    return re.sub(r"\s+", " ", html.unescape(re.sub(r"<[^>]+>", " ", page)))


def test_an_operator_sees_what_waits_what_was_decided_and_whether_it_has_changed(
    store: Store, seen: Seen
) -> None:
    reviews.decide(store, "m2", Status.REJECTED, "Lee", later(30))
    store.days.renew(later(50))
    text = text_of(seen(Role.OPERATOR))
    assert "Cases waiting 1 0 in hand · 0 escalated" in text
    assert (
        "Of the 3 requests that ended in the last 7 days, the machine ended 33% alone. People decided 1."
        in text
    )
    assert "2026-11-24 1 0 0 2 0 3" in text  # approved, new photo, rejected, left to people, error
    assert "blind audit 33%" in text
    assert "Of 1 drawn, 1 wait." in text
    assert "photos.example.com 9 0.00% 0" in text
    assert "lee 1 0 1 0 0 0 s" in text
    assert "too few against the model's reference" in text
    assert "Reference: open data, 9,000 pairs of one person (1,600 people)" in text
    assert "as shipped uncalibrated" in text
    assert "There has been no retraining." in text


def test_nobody_who_reviews_sees_what_an_audit_changes(store: Store, seen: Seen) -> None:
    for roles in ((Role.REVIEWER,), (Role.CHECKER,), (Role.REVIEWER, Role.OPERATOR)):
        text = text_of(seen(*roles))
        for word in ("audit", "drawn", "Reasons", "Similarity"):
            assert word not in text, (roles, word)
        assert "Cases waiting 2" in text


def test_a_reviewer_sees_only_own_figures_and_a_checker_everybodys(store: Store, seen: Seen) -> None:
    reviews.decide(store, "m2", Status.REJECTED, "Lee", later(30))
    reviews.decide(store, "m3", Status.APPROVED, "kim", later(31))
    own = text_of(seen(Role.REVIEWER, name="Kim"))
    assert "My reviews" in own
    assert "kim 1 1 0" in own
    assert "lee" not in own
    assert "Dead jobs" not in own
    everybody = text_of(seen(Role.CHECKER, name="Kim"))
    assert "kim 1 1 0" in everybody
    assert "lee 1 0 1" in everybody


def test_an_administrator_sees_none_of_it(store: Store, seen: Seen) -> None:
    assert "Cases waiting" not in text_of(seen(Role.ADMIN, status=403))


def test_each_view_is_on_record(store: Store, seen: Seen) -> None:
    seen(Role.AUDITOR, name="park")
    log = store.database.t.access_log
    query = sa.select(log.c.looked_by, log.c.action).order_by(log.c.id.desc()).limit(1)
    assert store.database.read(lambda c: tuple(c.execute(query).one())) == ("park", "dashboard")


def test_before_anything_was_counted_the_page_says_so(store: Store, seen: Seen) -> None:
    page = seen(Role.OPERATOR, language="ko")
    assert "아직 집계된 날이 없습니다" in page
    assert "style=" not in page
    assert "<script>" not in page
