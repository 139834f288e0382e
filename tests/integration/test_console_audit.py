"""Nobody can tell that a case is an audit, by its photos or by the work that the pages are either."""

from __future__ import annotations

import re
from typing import Any

import pytest
import sqlalchemy as sa

from pipeline.verdict import Reason
from support import cases
from support.console_client import Desk, Office
from worker.store import Store
from worker.store.tables.states import Role

AUDIT = {"reason": Reason.BLIND_AUDIT, "same_person": True, "similarity": 0.999}
ORDINARY = {"reason": Reason.GENDER_CONFLICT, "same_person": None, "similarity": 0.31}
PATHS = ("/queue", "/queue?state=overdue", "/", "/review")
PHOTO = re.compile(r'"(/[a-z]+/photo/\d+/\w+\?case=[\d-]+)"')


def empty(store: Store) -> None:
    with store.database.engine.begin() as c:
        for table in reversed(store.database.t.metadata.sorted_tables):
            c.execute(sa.delete(table))


def seen(desk: Desk) -> list[str]:
    """All that a reviewer can see before the answers: pages with headers, and the photos' addresses."""
    pages = [desk.get(path) for path in PATHS]
    pages += [desk.post("/review/next"), desk.get("/review"), desk.get("/queue")]
    photos = PHOTO.findall(pages[-2].text)
    assert len(photos) >= 3
    pages += [desk.get(photo) for photo in photos]
    case_id = re.findall(r"case=(\d+)", photos[0])[0]
    texts = [f"{page.status_code}\n{sorted(page.headers.items())}\n{page.text}" for page in pages]
    alike = [text.replace(desk.csrf, "csrf") for text in [*texts, *photos]]
    return [re.sub(rf"case(=|\" value=\"){case_id}\b", r"case\1N", text) for text in alike]


def shown_of(store: Store, verdict: dict[str, Any], roles: tuple[Role, ...]) -> tuple[list[str], list[str]]:
    """What is seen of a case with this verdict, and the statements that ran for it."""
    empty(store)
    cases.judged(store, "r1", "m1", at=1, **verdict)
    cases.judged(store, "r2", "m2", at=2, reason=Reason.SAME_PICTURE)
    desk = Office(store).person("kim", *roles)
    statements: list[str] = []

    def note(_c: Any, _cursor: Any, statement: str, *_: Any) -> None:
        statements.append(statement)

    sa.event.listen(store.database.engine, "before_cursor_execute", note)
    try:
        return seen(desk), statements
    finally:
        sa.event.remove(store.database.engine, "before_cursor_execute", note)


@pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
@pytest.mark.parametrize("roles", [(Role.REVIEWER,), (Role.CHECKER,), (Role.REVIEWER, Role.OPERATOR)])
def test_an_audit_is_shown_and_worked_at_like_any_case(store: Store, roles: tuple[Role, ...]) -> None:
    (audit, asked), (ordinary, asked_too) = (shown_of(store, one, roles) for one in (AUDIT, ORDINARY))
    assert audit == ordinary
    assert asked == asked_too
    text = "".join(audit)
    assert "m1" in text
    for word in ("audit", "0.999", "0.31", "gender_conflict"):
        assert word not in text
