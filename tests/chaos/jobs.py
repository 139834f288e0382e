"""Jobs with what must come of them, and the audit that holds the database against it."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import sqlalchemy as sa

from pipeline.verdict import Status
from worker.jobs.verify_job import VerifyJob, new_job
from worker.store import NewMember, Store
from worker.store.tables.states import State

_STATUSES: Final = (Status.APPROVED, Status.REVIEW, Status.RETRY_PHOTO)
_ENDS: Final = sa.table("chaos_end", sa.column("request_id"))


@dataclass(frozen=True, slots=True)
class Member:
    """One member with the requests that are made for them, in the order in which they are sent.

    The newest request's selfie says ``status``. Without requests the sweep has to make the one.
    """

    member_id: str
    status: Status
    selfie_url: str
    requests: tuple[VerifyJob, ...] = ()
    dead: bool = False
    """Whether the newest request must end as a dead job."""

    @property
    def newest(self) -> VerifyJob:
        """The request that counts."""
        return max(self.requests, key=lambda job: (job.requested_at, job.request_id))

    @property
    def size(self) -> int:
        """How many requests must end."""
        return max(1, len(self.requests))

    def as_row(self) -> NewMember:
        """As an import writes it."""
        return NewMember(self.member_id, None, self.selfie_url, ())


class Crowd:
    """Makes members whose photos lie on one host; every fifth has an older request with another verdict."""

    def __init__(self, host: str, milliseconds: int = 20) -> None:
        self._host, self._milliseconds = host, milliseconds
        self._numbers: Counter[str] = Counter()

    def members(self, name: str, requests: int, *, pending: bool = False, what: str = "") -> list[Member]:
        """As many members as it takes; ``what`` the stub finds in every selfie, if not this and that."""
        made: list[Member] = []
        while sum(member.size for member in made) < requests:
            made.append(self._member(name, pending=pending, what=what))
        return made

    def _member(self, name: str, *, pending: bool, what: str) -> Member:
        self._numbers[name] += 1
        number = self._numbers[name]
        member_id = f"{name}-{number}"
        status = _STATUSES[number % 3]
        selfie = self._url(what or status, member_id)
        if pending:
            return Member(member_id, status, selfie)
        now = datetime.now(UTC)
        jobs = [self._job(f"{member_id}-b", member_id, selfie, now)]
        if number % 5 == 0 and not what:
            older = self._url(_STATUSES[(number + 1) % 3], f"{member_id}-old")
            jobs.insert(number % 2, self._job(f"{member_id}-a", member_id, older, now - timedelta(hours=1)))
        return Member(member_id, status, selfie, tuple(jobs), dead=bool(what))

    def _job(self, request_id: str, member_id: str, selfie: str, at: datetime) -> VerifyJob:
        photos = [self._url(Status.APPROVED, f"{member_id}-1")]
        return new_job(
            request_id=request_id,
            member_id=member_id,
            selfie_url=selfie,
            photo_urls=photos,
            requested_at=at,
        )

    def _url(self, what: str, name: str) -> str:
        return f"{self._host}/{what}/{self._milliseconds}/{name}.jpg"


def count_ends(store: Store) -> None:
    """Let the database itself write down each end of a request; the product knows nothing of it."""
    v = store.database.t.verification.name
    mysql = store.database.engine.dialect.name == "mysql"
    ended = "NEW.finished_at IS NOT NULL"
    same = "NEW.finished_at <=> OLD.finished_at" if mysql else "NEW.finished_at IS OLD.finished_at"
    insert = "INSERT INTO chaos_end VALUES (NEW.request_id)"
    with store.database.engine.begin() as c:
        c.exec_driver_sql("CREATE TABLE chaos_end (request_id VARCHAR(64) NOT NULL)")
        for event, when in (("INSERT", ended), ("UPDATE", f"{ended} AND NOT ({same})")):
            body = f"IF {when} THEN {insert}; END IF" if mysql else f"WHEN {when} BEGIN {insert}; END"
            c.exec_driver_sql(f"CREATE TRIGGER chaos_{event} AFTER {event} ON {v} FOR EACH ROW {body}")


@dataclass(slots=True)
class Findings:
    """What is not as it must be, one line for each request or member."""

    lost: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)

    def __iadd__(self, other: Findings) -> Findings:
        self.lost += other.lost
        self.doubled += other.doubled
        self.wrong += other.wrong
        return self

    @property
    def lines(self) -> list[str]:
        """All of them."""
        return [f"{k}: {x}" for k in ("lost", "doubled", "wrong") for x in getattr(self, k)]


@dataclass(frozen=True, slots=True)
class Told:
    """What an app was told of some requests by events."""

    events: int
    """Final ones in the database."""
    seen: int
    """Of these, how many the app has seen."""
    again: int
    """How often it has seen one again."""
    disordered: int
    """Of how many it saw a later one of the same member first."""
    phantoms: int
    """How many it has seen that the database does not hold, or holds otherwise."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The tables, as far as the audit looks at them."""

    requests: dict[str, list[Any]]
    """Rows of `verification` by member."""
    members: dict[str, Any]
    ends: Counter[str]
    photos: Counter[str]
    """Rows of `verification_photo` by request."""
    dead: Counter[str | None]
    """Rows of `dead_job` by request."""

    @classmethod
    def of(cls, store: Store) -> Snapshot:
        """Now."""
        t = store.database.t
        requests: dict[str, list[Any]] = defaultdict(list)
        with store.database.engine.connect() as c:
            for row in c.execute(sa.select(t.verification)):
                requests[row.member_id].append(row)
            return cls(
                requests,
                {row.member_id: row for row in c.execute(sa.select(t.member))},
                Counter(c.scalars(sa.select(_ENDS.c.request_id))),
                Counter(c.scalars(sa.select(t.verification_photo.c.request_id))),
                Counter(c.scalars(sa.select(t.dead_job.c.request_id))),
            )


def unended(store: Store, members: Iterable[Member]) -> int:
    """How many of the requests have no end yet."""
    v = store.database.t.verification
    with store.database.engine.connect() as c:
        query = sa.select(v.c.member_id, sa.func.count()).where(v.c.finished_at.is_not(None))
        ended = {row[0]: row[1] for row in c.execute(query.group_by(v.c.member_id))}
    return sum(max(0, member.size - ended.get(member.member_id, 0)) for member in members)


def waiting_requests(store: Store) -> int:
    """How many requests of anybody have no end yet."""
    return _count(store, store.database.t.verification, store.database.t.verification.c.finished_at.is_(None))


def pending_members(store: Store) -> int:
    """How many members wait for a request."""
    return _count(store, store.database.t.member, store.database.t.member.c.pending)


def _count(store: Store, table: sa.Table, which: sa.ColumnElement[bool]) -> int:
    with store.database.engine.connect() as c:
        return int(c.scalar(sa.select(sa.func.count()).select_from(table).where(which)) or 0)


def audit(store: Store, members: Sequence[Member], before: Sequence[Member] = ()) -> Findings:
    """Everything that is not as it must be; ``before`` are members of earlier faults."""
    now, found = Snapshot.of(store), Findings()
    for member in members:
        found += _audit_member(member, now)
    dead = [member for member in (*members, *before) if member.dead]
    known = {row.request_id for m in dead for row in now.requests.get(m.member_id, [])}
    found.wrong += [f"dead job of {request_id}" for request_id in now.dead if request_id not in known]
    return found


def _audit_member(member: Member, now: Snapshot) -> Findings:
    rows = now.requests.get(member.member_id, [])
    expected = {job.request_id for job in member.requests} or {row.request_id for row in rows[:1]}
    found = Findings()
    ended = {row.request_id for row in rows if State(row.state).ended}
    found.lost += [f"{name}" for name in expected - ended] or ([] if rows else [member.member_id])
    found.doubled += [f"{row.request_id} nobody asked for" for row in rows if row.request_id not in expected]
    for row in rows:
        if now.ends[row.request_id] > 1 or now.dead[row.request_id] > 1:
            found.doubled.append(f"{row.request_id} ended {now.ends[row.request_id]} times")
        if problem := _problem(member, row, now):
            found.wrong.append(f"{row.request_id} {problem}")
    if rows and (problem := _problem_of_result(member, rows, now)):
        found.wrong.append(f"{member.member_id} {problem}")
    return found


def _problem(member: Member, row: Any, now: Snapshot) -> str | None:
    """What is wrong with one request's row."""
    state, newest = State(row.state), row.request_id == _newest(member, [row])
    if not state.ended:
        return None  # lost, and counted there
    if row.lease_until is not None or row.due_at is not None or row.open_attempts:
        return "has ended and is still held"
    if newest and state is not (State.DEAD if member.dead else State.DONE):
        return f"ended {state}"
    status = member.status if newest else _said(row.message["selfie_url"])
    if state is State.DONE and row.status != status:
        return f"is {row.status}, not {status}"
    photos = 1 + len(row.message["photo_urls"])
    if state is State.DONE and now.photos[row.request_id] != photos:
        return f"has {now.photos[row.request_id]} photos of {photos}"
    return None


def _said(selfie_url: str) -> str:
    """The status in the address of a stub's photo."""
    return selfie_url.split("/")[-3]


def _problem_of_result(member: Member, rows: Sequence[Any], now: Snapshot) -> str | None:
    """What is wrong with the member's standing result, held against the request that it must be from."""
    result = now.members[member.member_id]
    newest = _newest(member, rows)
    wanted = Status.ERROR if member.dead else member.status
    if result.request_id != newest:
        return f"is about {result.request_id}, the newest is {newest}"
    audit_row = next((row for row in rows if row.request_id == newest), None)
    if audit_row is None or audit_row.status != wanted:
        return f"was judged {audit_row and audit_row.status}, not {wanted}"
    stands = next((row for row in rows if _open_review(row, newest)), audit_row)
    if (result.verified_request_id, result.verification_status) != (stands.request_id, stands.status):
        return f"carries {result.verification_status} of {result.verified_request_id}, not {stands.status}"
    return None


def _open_review(row: Any, newest: str) -> bool:
    """An older request that was reviewed before the newest came, or it would have ended superseded: the
    review stays open until a person decides."""
    return bool(row.request_id != newest and row.state == State.DONE and row.status == Status.REVIEW)


def _newest(member: Member, rows: Sequence[Any]) -> str:
    return member.newest.request_id if member.requests else rows[0].request_id
