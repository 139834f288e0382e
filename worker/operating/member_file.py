"""What may be seen of a member: all, or, while a person is to decide, what tells that person nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from urllib.parse import urlsplit

from pipeline.verdict import PhotoFinding, Reason, Status
from worker.results.reviewer_reasons import new_photo_text
from worker.results.texts import Both, Language, member_text
from worker.store import MemberRecord, Objection, RequestRecord, Store
from worker.store.members.records import ConsentRecord, DecisionRecord

_NOT_YET: Final[Both] = ("아직 확인 전입니다.", "Not verified yet.")


@dataclass(frozen=True, slots=True)
class MemberFile:
    """A member with the latest requests, and the one that the standing verdict is from."""

    member: MemberRecord
    requests: Sequence[RequestRecord]
    """The newest first; the one of the standing verdict last, where it is older than those."""
    objections: Sequence[Objection]
    """None of an open case: whoever has the case must not be told why."""
    consents: Sequence[ConsentRecord]
    open_case: bool
    """Whether a person must still decide. Then nothing may be shown that could influence this person, or tell
    an audited approval from a review."""

    @property
    def standing(self) -> RequestRecord | None:
        """The request that the member's verdict is from: a later one may have ended without any."""
        member = self.member
        if member.verified_request_id is not None:
            return next((one for one in self.requests if one.request_id == member.verified_request_id), None)
        verdict = (member.status, member.reason)  # of a time when nobody wrote the request down
        return next((one for one in self.requests if (one.status, one.reason) == verdict), None)

    @property
    def newest(self) -> RequestRecord | None:
        """The newest request, which need not be the one of the verdict."""
        return next((one for one in self.requests if one.request_id == self.member.request_id), None)

    @property
    def decision(self) -> DecisionRecord | None:
        """By which a person has decided about the standing request."""
        decisions = self.standing.decisions if self.standing else ()
        return next((one for one in reversed(decisions) if not one.undone), None)

    def text(self, language: Language) -> str:
        """What the member reads of the standing verdict."""
        member, standing = self.member, self.standing
        if member.status is None or member.reason is None:
            return _NOT_YET[language is Language.EN]
        if member.reason is Reason.RETRY_PHOTO_BY_PERSON and standing and standing.photo is not None:
            return new_photo_text(standing.code, standing.photo, language)
        return member_text(member.status, member.reason, language, _named(standing))


def member_file(store: Store, member_id: str) -> MemberFile | None:
    """None if there is no such member."""
    member = store.members.find(member_id)
    if member is None:
        return None
    open_case = _is_open(store, member)
    return MemberFile(
        member=member,
        requests=_with_standing(store, member, store.requests.of_member(member_id)),
        objections=() if open_case else store.reviews.objections.of_member(member_id),
        consents=store.consents.of_member(member_id),
        open_case=open_case,
    )


def without_query(url: str | None) -> str:
    """A photo's address as it may be shown: the query of a signed one is a key."""
    if not url:
        return "-"
    parts = urlsplit(url)
    return parts._replace(query="…" if parts.query else "", fragment="").geturl()


def has_claim_on(store: Store, person: str, member_id: str, now: datetime) -> bool:
    """Whether this person is to decide about the member, and must not be influenced by what was decided."""
    claim = store.reviews.queue.claim_of(person)
    return claim is not None and claim.member_id == member_id and claim.until > now


def _is_open(store: Store, member: MemberRecord) -> bool:
    """Whether a person must still decide. In the photos of the sandbox there is nobody to be told apart."""
    waits = member.status is Status.REVIEW or store.reviews.queue.is_open(member.member_id)
    return waits and not member.sandbox


def _with_standing(store: Store, member: MemberRecord, requests: list[RequestRecord]) -> list[RequestRecord]:
    """The latest requests, and the one that the standing verdict is from if it is older than those."""
    wanted = member.verified_request_id
    if wanted is None or wanted in [one.request_id for one in requests]:
        return requests
    older = store.requests.find(wanted)
    return requests if older is None else [*requests, older]


def _named(request: RequestRecord | None) -> PhotoFinding | None:
    """The photo that the reason speaks of."""
    if request is None:
        return None
    return next((finding for finding in request.findings if finding.position == request.photo), None)
