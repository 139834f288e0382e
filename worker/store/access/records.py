"""What is known of the records of access: frozen values, no rows and no connections."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class BreakKind(StrEnum):
    """What does not hold in the chain of records."""

    CHANGED = "changed"
    """A record is not as it was written, or was put in."""
    REMOVED = "removed"
    """Records are missing before this one."""
    ADDED = "added"
    """A record stands where another one was written."""
    NEWEST_REMOVED = "newest_removed"
    """The head says that there were more."""
    HEAD = "head"
    """The head was changed, or is gone."""
    ANCHOR = "anchor"
    """What says up to where was purged was changed."""
    SIGNED = "signed"
    """A review that was signed was changed, or the chain of then is not the one of now."""


@dataclass(frozen=True, slots=True)
class Break:
    """A place where the chain does not hold."""

    kind: BreakKind
    number: int
    """Of the record in the chain, from 1."""
    row: int | None = None
    """The ID in `access_log` of the row at which it was seen."""
    at: datetime | None = None
    """When that row says that somebody looked."""


@dataclass(frozen=True, slots=True)
class ChainReport:
    """Returned by verify: whether the records of access are as they were written."""

    checked_at: datetime
    keyed: bool
    """False: there is no secret, and whoever can write the table can make the chain anew."""
    records: int
    """Records that have a link."""
    purged: int
    """Records before those, which were removed for their age."""
    number: int
    """Of the newest record in the chain."""
    link: str
    """Of that record."""
    unlinked: int
    """Records of before there was a chain, or by a program of the version before: nothing proves these."""
    late: int
    """Those of them that stand behind a record of the chain."""
    breaks: int
    """All there ever were, also among what was purged since."""
    signed_breaks: int
    """So many of them were known when a month was last signed."""
    told: tuple[Break, ...]
    """The first ones that are still there."""

    @property
    def holds(self) -> bool:
        """Whether nothing was changed, removed or put in."""
        return not self.breaks

    @property
    def alarming(self) -> bool:
        """Whether something is broken that nobody has signed yet."""
        return self.breaks > self.signed_breaks


@dataclass(frozen=True, slots=True)
class SignedReview:
    """That somebody has checked a month's records."""

    month: str
    """Such as 2026-11."""
    checked_by: str
    checked_at: datetime
    note: str
    records: int
    """Records of the month at that time."""
    own_records: int
    """Those of whoever signed, about members."""
    breaks: int
    """Places where the chain was known not to hold."""
    chain_number: int
    """The newest record then, which is the one of this signature."""
    chain_link: str


class ReviewState(StrEnum):
    """How far the review of a month is."""

    OPEN = "open"
    NEEDS_ANOTHER = "needs_another"
    """Signed by one person, whose own work is among it."""
    DONE = "done"


@dataclass(frozen=True, slots=True)
class MonthState:
    """A month and its signatures."""

    month: str
    state: ReviewState
    signed: tuple[SignedReview, ...]


@dataclass(frozen=True, slots=True)
class UnusualAccount:
    """Who has opened far more members in a day than the other reviewers do."""

    account: str
    members: int
    """In the last 24 hours."""
    usual: float
    """The median of the days of the others."""


@dataclass(frozen=True, slots=True)
class AccessState:
    """What was last found about the records of access; by the sweep, and by the daily purge."""

    unusual: tuple[UnusualAccount, ...]
    unusual_at: datetime | None
    """None: nobody has looked yet."""
    checked_at: datetime | None
    """When the chain was followed last; None: never."""
    breaks: int
    """Places where it does not hold."""
    unsigned_breaks: int
    """Those of them that nobody has signed yet."""
