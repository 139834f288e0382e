"""The decision rules: from findings about the photos to one verdict on the member.

The rules use no arrays and no models, only enums, so that every rule can be tested as a row of a table
(`tests/unit/test_decide.py`). They apply in this order; the first that matches decides:

1. The selfie could not be fetched, or shows no single usable face.
2. The same picture was sent as selfie and as gallery photo.
3. A photo of one person certainly shows somebody else, even if it is masked, blurred or small.
4. No photo of one person can be judged: the member is asked for one, or it is an error of the system.
5. The primary (first) photo shows several people, none of them the member: review.
6. The primary photo shows no face that can be judged: the member is asked for another one, or it is an
   error of the system, unless the operator allows such a photo to stay unverified.
7. The first photo of one person that can be judged: `same` approves, `unsure` goes to review.

A contradiction of the declared gender turns an approval into a review and has no other effect.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import dataclass, replace

from pipeline.verdict import (
    JUDGED,
    Fault,
    Gender,
    GenderReading,
    NotFetched,
    Outcome,
    Photo,
    PhotoFinding,
    PhotoVerdict,
    Reason,
    Status,
    Verdict,
)

POLICY_VERSION = "2"
"""Raised whenever a rule changes its answer; stored with every verdict."""

_SELFIE_REASONS = {
    Outcome.NO_FACE: Reason.SELFIE_NO_FACE,
    Outcome.SEVERAL_FACES: Reason.SELFIE_SEVERAL_FACES,
    Outcome.FACE_TOO_SMALL: Reason.SELFIE_FACE_TOO_SMALL,
    Outcome.TOO_BLURRED: Reason.SELFIE_TOO_BLURRED,
    Outcome.TOO_DARK: Reason.SELFIE_TOO_DARK,
    Outcome.TOO_BRIGHT: Reason.SELFIE_TOO_BRIGHT,
    Outcome.EXTREME_POSE: Reason.SELFIE_EXTREME_POSE,
    Outcome.OCCLUDED: Reason.SELFIE_OCCLUDED,
    Outcome.INVALID_IMAGE: Reason.SELFIE_INVALID,
    Outcome.NOT_FETCHED: Reason.SELFIE_NOT_FETCHED,
}
_GROUP = frozenset({Outcome.GROUP_SAME, Outcome.MEMBER_NOT_SEEN})


@dataclass(frozen=True, slots=True)
class Policy:
    """The operator's settings. The defaults never reject a member by machine."""

    auto_reject: bool = False
    """Reject on a confident `different` in the primary photo. Needs a calibrated bundle."""
    unverified_primary: bool = False
    """Approve by a later photo where the first shows no face that can be judged."""
    gender_conflict_probability: float = 0.95
    """The probability from which a gender contradicts the declared one."""


@dataclass(frozen=True, slots=True)
class Decision:
    """The verdict without its numbers."""

    status: Status
    reason: Reason
    photo: int | None = None
    """Position of the photo that decided."""
    same_person: bool | None = None


def decide(
    selfie: PhotoFinding,
    photos: Sequence[PhotoFinding],
    gender: GenderReading,
    declared: Gender | None,
    policy: Policy,
    *,
    calibrated: bool = False,
) -> Decision:
    """Apply the rules of the module docstring in their order."""
    if selfie.outcome is not Outcome.USABLE:
        return _unusable_selfie(selfie)
    if not photos:
        return Decision(Status.RETRY_PHOTO, Reason.NO_PHOTOS)
    decision = (
        _replay(photos)
        or _different(photos, policy, calibrated)
        or _nothing_judged(photos)
        or _primary_not_seen(photos[0], policy)
        or _first_judged(photos)
    )
    if decision.status is Status.APPROVED and gender.contradicts(
        declared, policy.gender_conflict_probability
    ):
        return Decision(Status.REVIEW, Reason.GENDER_CONFLICT, 0, decision.same_person)
    return decision


def leave_to_people(selfie: Photo, photos: Sequence[Photo]) -> Verdict:
    """The verdict where a person looks in place of the machine: nothing is decoded, no face is looked for.

    Of each photo there is the hash of its file, or why it could not be fetched. In an empty gallery there is
    nothing to look at: the member is asked for a photo.
    """
    return unjudged([_file(position, photo) for position, photo in enumerate([selfie, *photos])])


def unjudged(findings: Sequence[PhotoFinding]) -> Verdict:
    """The same of photos that were analysed, the selfie's finding first: what was found is dropped."""
    selfie, *gallery = map(_without_face, findings)
    status, reason = Status.REVIEW, Reason.MANUAL
    if not gallery:
        status, reason = Status.RETRY_PHOTO, Reason.NO_PHOTOS
    return Verdict(
        status=status,
        reason=reason,
        photo=None,
        same_person=None,
        similarity=None,
        gender=Gender.UNKNOWN,
        gender_probability=None,
        selfie=selfie,
        photos=tuple(gallery),
        model_version="",
        policy_version=POLICY_VERSION,
    )


def _file(position: int, photo: Photo) -> PhotoFinding:
    if isinstance(photo, NotFetched):
        return PhotoFinding.not_fetched(position, photo)
    return PhotoFinding(position, Outcome.NOT_COMPARED, sha256=hashlib.sha256(photo).hexdigest())


def _without_face(finding: PhotoFinding) -> PhotoFinding:
    if finding.outcome is Outcome.NOT_FETCHED:
        return finding
    return PhotoFinding(finding.position, Outcome.NOT_COMPARED, sha256=finding.sha256)


def blind_audit(verdict: Verdict, request_id: str, share: float, key: bytes) -> Verdict:
    """A share (0..1) of the approvals goes to a person, so that wrong ones become visible.

    The request ID decides which, so a second delivery comes to the same. The app chooses the IDs; without
    the key nobody can predict which approvals it will be.
    """
    if verdict.status is not Status.APPROVED or keyed_fraction(key, "audit", request_id) >= share:
        return verdict
    return replace(verdict, status=Status.REVIEW, reason=Reason.BLIND_AUDIT)


def keyed_fraction(key: bytes, purpose: str, name: str) -> float:
    """A fraction in 0..1 (exclusive) for this name and purpose; without the key nobody can predict it."""
    digest = hmac.new(key, f"{purpose} {name}".encode(), hashlib.sha256).digest()
    return int.from_bytes(digest[:4]) / 2**32


def _unusable_selfie(selfie: PhotoFinding) -> Decision:
    """Ask the member for another selfie, unless it is the host's fault or ours."""
    ours = selfie.outcome is Outcome.NOT_FETCHED and selfie.fault is not Fault.MEMBER
    return Decision(Status.ERROR if ours else Status.RETRY_PHOTO, _SELFIE_REASONS[selfie.outcome], 0)


def _replay(photos: Sequence[PhotoFinding]) -> Decision | None:
    """A stolen photo that is sent twice would match perfectly, so it is reviewed."""
    copies = [photo.position for photo in photos if photo.replay]
    return Decision(Status.REVIEW, Reason.SAME_PICTURE, copies[0]) if copies else None


def _different(photos: Sequence[PhotoFinding], policy: Policy, calibrated: bool) -> Decision | None:
    """One photo of somebody else needs a review, however many others match."""
    contradicting = [photo for photo in photos if photo.solo and photo.verdict is PhotoVerdict.CONTRADICTS]
    if not contradicting:
        return None
    primary = next((photo for photo in photos if _judged(photo)), None)
    certain = primary is not None and primary.outcome is Outcome.DIFFERENT
    reject = policy.auto_reject and calibrated and certain
    status = Status.REJECTED if reject else Status.REVIEW
    return Decision(status, Reason.DIFFERENT_PERSON, contradicting[0].position, same_person=False)


def _judged(photo: PhotoFinding) -> bool:
    return photo.solo and photo.outcome in JUDGED


def _nothing_judged(photos: Sequence[PhotoFinding]) -> Decision | None:
    """No photo of one person could be judged.

    A photo that is missing through our fault or its host's comes first, because it might be usable.
    """
    if any(_judged(photo) for photo in photos):
        return None
    if missing := [photo.position for photo in photos if _missing(photo)]:
        return Decision(Status.ERROR, Reason.PHOTOS_NOT_FETCHED, missing[0])
    groups = [photo.position for photo in photos if photo.outcome in _GROUP]
    if groups:
        return Decision(Status.RETRY_PHOTO, Reason.NO_SOLO_PHOTO, groups[0])
    return Decision(Status.RETRY_PHOTO, Reason.NO_USABLE_PHOTO, photos[0].position)


def _primary_not_seen(primary: PhotoFinding, policy: Policy) -> Decision | None:
    """A later photo does not approve a primary photo that shows no judged face."""
    if primary.outcome is Outcome.MEMBER_NOT_SEEN:
        return Decision(Status.REVIEW, Reason.PRIMARY_NOT_MEMBER, primary.position)
    if policy.unverified_primary or _judged(primary) or primary.outcome is Outcome.GROUP_SAME:
        return None
    if _missing(primary):
        return Decision(Status.ERROR, Reason.PHOTOS_NOT_FETCHED, primary.position)
    return Decision(Status.RETRY_PHOTO, Reason.PRIMARY_NOT_JUDGED, primary.position)


def _missing(photo: PhotoFinding) -> bool:
    """Whether it is missing, or was not analysed, through our fault or its host's."""
    return photo.fault not in (None, Fault.MEMBER)


def _first_judged(photos: Sequence[PhotoFinding]) -> Decision:
    """The first photo of one person that can be judged decides."""
    photo = next(photo for photo in photos if _judged(photo))
    if photo.outcome is Outcome.SAME:
        return Decision(Status.APPROVED, Reason.SAME_PERSON, photo.position, same_person=True)
    return Decision(Status.REVIEW, Reason.PRIMARY_UNSURE, photo.position)
