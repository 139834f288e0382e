"""Members, and what people do about them: frozen values, no rows and no connections."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

from pipeline.verdict import Gender, Reason, Status
from worker.jobs.links import is_same_photo
from worker.results.reviewer_reasons import ReviewReason
from worker.store.tables.states import ConsentSource, Purpose

BY_PERSON: Final = {
    Status.APPROVED: Reason.APPROVED_BY_PERSON,
    Status.REJECTED: Reason.REJECTED_BY_PERSON,
    Status.RETRY_PHOTO: Reason.RETRY_PHOTO_BY_PERSON,
}
"""What a person may decide, and the reason that the verdict has then."""
_STANDING: Final = (Status.APPROVED, Status.REVIEW, Status.REJECTED)


@dataclass(frozen=True, slots=True)
class DecisionRecord:
    """What a person decided about a request, and the member's verdict before."""

    status: Status
    previous_status: Status
    previous_reason: Reason | None
    decided_by: str
    decided_at: datetime
    code: ReviewReason | None = None
    """What the person saw; None in decisions of before there were cases."""
    photo: int | None = None
    """The photo that the member is asked to replace; 0 is the selfie."""
    note: str | None = None
    undone: bool = False
    """Whether it was taken back, or takes another one back."""


@dataclass(frozen=True, slots=True)
class Forgotten:
    """Returned by forget: how many rows went from each table."""

    removed: dict[str, int]
    records: int
    """Records of access that stay, with the keyed hash of the ID in place of the ID."""
    not_emptied: tuple[str, ...]
    """Columns of the app's table where a result stays: it takes neither NULL nor a default nor an empty
    text there."""


@dataclass(frozen=True, slots=True)
class Lifted:
    """Returned by lift: when the ID was barred, and what was refused meanwhile."""

    forgotten_at: datetime
    refused: tuple[int, ...]
    """Numbers of open dead jobs."""


@dataclass(frozen=True, slots=True)
class Access:
    """Who does what with members' data, and from where."""

    by: str
    """The name that the person gives; the login's where none is given."""
    action: str
    """The command."""
    way: str
    """How: as text or JSON, on or off."""
    host: str
    client: str | None
    """The address that the person came from over SSH."""
    login: str
    """The account of the operating system."""


@dataclass(frozen=True, slots=True)
class AccessRecord:
    """One entry of the access log. Entries of before revision 0013 have no host and no login."""

    looked_at: datetime
    looked_by: str
    action: str
    way: str
    host: str | None
    client: str | None
    login: str | None


@dataclass(frozen=True, slots=True)
class Agreement:
    """What a yes or no is about, and how we learned of it."""

    purpose: Purpose
    source: ConsentSource
    version: str = ""
    """Of the text that the member was shown, where somebody named it."""


@dataclass(frozen=True, slots=True)
class ConsentRecord:
    """What a member agreed to, or refused."""

    purpose: Purpose
    version: str
    """Of the text that the member was shown."""
    given_at: datetime | None
    source: ConsentSource | None
    withdrawn_at: datetime | None
    withdrawn_source: ConsentSource | None


@dataclass(frozen=True, slots=True)
class NewMember:
    """A member of an import. IDs and URLs must have been validated before."""

    member_id: str
    declared_gender: Gender | None
    selfie_url: str
    photo_urls: tuple[str, ...]
    training_consent: bool | None = None
    """None: nothing is said about it, what is known stays."""

    def is_known(
        self, gender: str | None, selfie_url: str | None, photo_urls: Sequence[str], status: str | None
    ) -> bool:
        """Whether this is what a member has already, whose verdict has the ``status``.

        A fresh link is no change for whom there is a verdict about the photos; else it may bring one.
        """
        asked, there = (self.selfie_url, *self.photo_urls), (selfie_url, *photo_urls)
        if gender != self.declared_gender or len(asked) != len(there):
            return False
        return asked == there or (status in _STANDING and all(map(is_same_photo, asked, there)))


class Change(StrEnum):
    """What an import did with a member."""

    CREATED = "created"
    CHANGED = "changed"
    UNCHANGED = "unchanged"
    FORGOTTEN = "forgotten"
    """Erased at an earlier time: nothing was written."""


@dataclass(frozen=True, slots=True)
class MemberRecord:
    """A member with the latest result; the result is None before there was one."""

    member_id: str
    declared_gender: Gender | None
    selfie_url: str | None
    photo_urls: tuple[str, ...]
    status: Status | None
    same_person: bool | None
    """The machine's, and so are the numbers; whatever a person decided."""
    similarity: float | None
    gender: Gender | None
    gender_probability: float | None
    reason: Reason | None
    model_version: str | None
    verified_at: datetime | None
    verified_request_id: str | None
    """The request that the result is from."""
    request_id: str | None
    """The newest request, which may be another one."""
    training_consent: bool = False
    """Whether the member agreed that labelled photos are trained on."""
    verification_consent: bool = True
    """Whether requests for the member are judged."""
    manual: bool = False
    """Whether people look at the photos in place of the machine."""
    sandbox: bool = False
    """Whether the verdicts are made up, for the app's tests."""
