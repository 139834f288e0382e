"""People of the console: frozen values, no rows and no connections."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from worker.store.tables.states import Role, StaffAction, Stage


@dataclass(frozen=True, slots=True)
class Person:
    """Who is signed in, and what they may do."""

    account_id: int
    name: str
    """Also in all records of what this person does, a reviewer's for instance."""
    roles: frozenset[Role]
    language: str | None
    """`ko` or `en`; None where the person has chosen none."""
    session_id: int
    csrf_token: str
    """What a form must carry; of this session alone."""


@dataclass(frozen=True, slots=True)
class Newcomer:
    """Who has come half way: signs in, or answers an invitation."""

    account_id: int
    name: str
    stage: Stage
    session_id: int
    csrf_token: str


@dataclass(frozen=True, slots=True)
class Browser:
    """Where somebody comes from."""

    address: str | None
    agent: str | None = None
    """What the browser says of itself."""


@dataclass(frozen=True, slots=True)
class SessionRecord:
    """A session that has not ended."""

    session_id: int
    started_at: datetime
    seen_at: datetime
    address: str | None
    agent: str | None


@dataclass(frozen=True, slots=True)
class StaffRecord:
    """An account, as an admin sees it."""

    account_id: int
    name: str
    roles: frozenset[Role]
    created_at: datetime
    signed_in_at: datetime | None
    invited_until: datetime | None
    """The person has not chosen a password yet, and can until then."""
    closed_at: datetime | None
    sessions: int
    """Open ones."""


@dataclass(frozen=True, slots=True)
class GrantRecord:
    """A row of the history."""

    name: str
    action: StaffAction
    role: Role | None
    changed_at: datetime
    changed_by: str
    note: str | None
