"""Each row of the table is one rule: selfie and gallery findings in, status, reason and photo out."""

from __future__ import annotations

import pytest

from pipeline.decide import Decision, Policy, decide
from pipeline.verdict import Comparison, Fault, Gender, GenderReading, Outcome, PhotoFinding, Reason, Status

UNKNOWN = GenderReading(Gender.UNKNOWN, None)
SOLO = {Outcome.SAME, Outcome.DIFFERENT, Outcome.UNSURE, Outcome.USABLE, Outcome.NOT_COMPARED}
UNCLEAR = {
    Outcome.FACE_TOO_SMALL,
    Outcome.TOO_BLURRED,
    Outcome.TOO_DARK,
    Outcome.EXTREME_POSE,
    Outcome.OCCLUDED,
}


def finding(position: int, text: str) -> PhotoFinding:
    """`same`, `same+replay`, `not_fetched/host`, `occluded/member<`: an outcome with what matters of it.

    The last one is surely less alike than a genuine pair of its kind.
    """
    name, _, fault = text.rstrip("<").partition("/")
    score = Comparison(-0.1, 0.0, 0.6, 0.1, {}, {}) if text.endswith("<") else None
    name, _, replay = name.partition("+")
    outcome = Outcome(name)
    group = outcome in (Outcome.GROUP_SAME, Outcome.MEMBER_NOT_SEEN)
    faces = 1 if outcome in SOLO | UNCLEAR and fault != "ours" else 3 if group else 0
    return PhotoFinding(
        position,
        outcome,
        Fault(fault) if fault else None,
        faces=faces,
        comparison=score,
        replay=bool(replay),
    )


def answer(
    selfie: str, *gallery: str, policy: Policy | None = None, calibrated: bool = False
) -> tuple[str, str, int | None]:
    photos = [finding(i, text) for i, text in enumerate(gallery, 1)]
    decision = decide(finding(0, selfie), photos, UNKNOWN, None, policy or Policy(), calibrated=calibrated)
    return decision.status, decision.reason, decision.photo


@pytest.mark.parametrize(
    ("gallery", "expected"),
    [
        # The primary photo decides.
        (["same"], ("approved", "same_person", 1)),
        (["same", "unsure"], ("approved", "same_person", 1)),
        (["same", "no_face/member"], ("approved", "same_person", 1)),
        (["same", "not_fetched/host"], ("approved", "same_person", 1)),
        (["unsure"], ("review", "primary_unsure", 1)),
        (["unsure", "same"], ("review", "primary_unsure", 1)),
        (["group_same", "same"], ("approved", "same_person", 2)),
        (["group_same", "unsure"], ("review", "primary_unsure", 2)),
        # A primary photo that cannot be judged is not approved by what stands behind it.
        (["no_face/member", "same"], ("retry_photo", "primary_not_judged", 1)),
        (["no_face/member", "unsure"], ("retry_photo", "primary_not_judged", 1)),
        (["occluded/member", "too_dark/member", "same"], ("retry_photo", "primary_not_judged", 1)),
        (["not_fetched/member", "same"], ("retry_photo", "primary_not_judged", 1)),
        (["not_fetched/host", "same"], ("error", "photos_not_fetched", 1)),
        (["member_not_seen", "same"], ("review", "primary_not_member", 1)),
        (["member_not_seen", "unsure"], ("review", "primary_not_member", 1)),
        # A masked, blurred or small stranger is a stranger.
        (["occluded/member<", "same"], ("review", "different_person", 1)),
        (["same", "face_too_small/member<"], ("review", "different_person", 2)),
        (["too_blurred/member<"], ("review", "different_person", 1)),
        # One photo of somebody else outweighs all that match.
        (["different"], ("review", "different_person", 1)),
        (["same", "same", "different"], ("review", "different_person", 3)),
        (["unsure", "different"], ("review", "different_person", 2)),
        # Groups prove nothing and speak against nobody.
        (["same", "member_not_seen"], ("approved", "same_person", 1)),
        (["same", "member_not_seen<"], ("approved", "same_person", 1)),
        (["group_same"], ("retry_photo", "no_solo_photo", 1)),
        (["group_same", "no_face/member"], ("retry_photo", "no_solo_photo", 1)),
        (["no_face/member", "member_not_seen"], ("retry_photo", "no_solo_photo", 2)),
        (["member_not_seen<"], ("retry_photo", "no_solo_photo", 1)),
        (["group_same", "different"], ("review", "different_person", 2)),
        # The same picture twice is looked at before anything that it seems to prove.
        (["same+replay"], ("review", "same_picture", 1)),
        (["same", "same+replay"], ("review", "same_picture", 2)),
        (["different", "same+replay"], ("review", "same_picture", 2)),
        # A photo that the job's time was not enough for is not the member's fault.
        (["same", "not_compared/ours"], ("approved", "same_person", 1)),
        (["group_same", "no_face/member", "not_compared/ours"], ("error", "photos_not_fetched", 3)),
        # Nothing usable: whose fault is it?
        ([], ("retry_photo", "no_photos", None)),
        (["no_face/member"], ("retry_photo", "no_usable_photo", 1)),
        (["face_too_small/member", "invalid_image/member"], ("retry_photo", "no_usable_photo", 1)),
        (["not_fetched/member"], ("retry_photo", "no_usable_photo", 1)),
        (["not_fetched/host"], ("error", "photos_not_fetched", 1)),
        (["no_face/member", "not_fetched/ours"], ("error", "photos_not_fetched", 2)),
        (["group_same", "not_fetched/host"], ("error", "photos_not_fetched", 2)),
    ],
)
def test_the_gallery_decides(gallery: list[str], expected: tuple[str, str, int | None]) -> None:
    assert answer("usable", *gallery) == expected


@pytest.mark.parametrize(
    ("selfie", "status", "reason"),
    [
        ("no_face/member", "retry_photo", "selfie_no_face"),
        ("several_faces/member", "retry_photo", "selfie_several_faces"),
        ("face_too_small/member", "retry_photo", "selfie_face_too_small"),
        ("too_blurred/member", "retry_photo", "selfie_too_blurred"),
        ("too_dark/member", "retry_photo", "selfie_too_dark"),
        ("too_bright/member", "retry_photo", "selfie_too_bright"),
        ("extreme_pose/member", "retry_photo", "selfie_extreme_pose"),
        ("occluded/member", "retry_photo", "selfie_occluded"),
        ("invalid_image/member", "retry_photo", "selfie_invalid"),
        ("not_fetched/member", "retry_photo", "selfie_not_fetched"),
        ("not_fetched/host", "error", "selfie_not_fetched"),
        ("not_fetched/ours", "error", "selfie_not_fetched"),
    ],
)
def test_an_unusable_selfie_comes_before_the_gallery(selfie: str, status: str, reason: str) -> None:
    assert answer(selfie, "same") == (status, reason, 0)
    assert answer(selfie, "not_compared+replay") == (status, reason, 0)


def test_the_operator_may_let_a_primary_photo_stay_that_cannot_be_judged() -> None:
    lenient = Policy(unverified_primary=True)
    assert answer("usable", "no_face/member", "same", policy=lenient) == ("approved", "same_person", 2)
    assert answer("usable", "occluded/member", "unsure", policy=lenient) == ("review", "primary_unsure", 2)
    assert answer("usable", "not_fetched/host", "same", policy=lenient) == ("approved", "same_person", 2)
    assert answer("usable", "occluded/member<", "same", policy=lenient)[1] == "different_person"
    assert answer("usable", "member_not_seen", "same", policy=lenient)[1] == "primary_not_member"


@pytest.mark.parametrize(
    ("photo", "verdict"),
    [
        ("same", "verified"),
        ("same+replay", "not_verified"),
        ("unsure", "not_verified"),
        ("different", "contradicts"),
        ("group_same", "not_verified"),
        ("member_not_seen", "not_verified"),
        ("member_not_seen<", "contradicts"),
        ("occluded/member", "not_verified"),
        ("occluded/member<", "contradicts"),
        ("no_face/member", "not_verified"),
        ("not_fetched/host", "not_verified"),
    ],
)
def test_every_gallery_photo_says_what_it_may_be_shown_as(photo: str, verdict: str) -> None:
    assert finding(1, photo).verdict == verdict
    assert finding(0, photo).verdict is None


def test_the_machine_rejects_only_where_the_operator_switched_it_on_and_calibrated() -> None:
    on = Policy(auto_reject=True)
    assert answer("usable", "different", policy=on, calibrated=True)[0] == Status.REJECTED
    assert answer("usable", "different", policy=on)[0] == Status.REVIEW
    assert answer("usable", "different", calibrated=True)[0] == Status.REVIEW
    assert answer("usable", "same", "different", policy=on, calibrated=True)[0] == Status.REVIEW
    assert answer("usable", "too_dark/member", "different", policy=on, calibrated=True)[0] == Status.REJECTED
    assert answer("usable", "occluded/member<", policy=on, calibrated=True)[0] == Status.REVIEW
    somebody = [finding(1, "different")]
    assert decide(finding(0, "usable"), somebody, UNKNOWN, None, on).status is Status.REVIEW


@pytest.mark.parametrize(
    ("outcome", "reading", "declared", "expected"),
    [
        ("same", GenderReading(Gender.MALE, 0.99), Gender.FEMALE, (Status.REVIEW, Reason.GENDER_CONFLICT)),
        ("same", GenderReading(Gender.MALE, 0.99), Gender.MALE, (Status.APPROVED, Reason.SAME_PERSON)),
        ("same", GenderReading(Gender.MALE, 0.95), Gender.FEMALE, (Status.REVIEW, Reason.GENDER_CONFLICT)),
        ("same", GenderReading(Gender.MALE, 0.94), Gender.FEMALE, (Status.APPROVED, Reason.SAME_PERSON)),
        ("same", GenderReading(Gender.MALE, None), Gender.FEMALE, (Status.APPROVED, Reason.SAME_PERSON)),
        ("same", GenderReading(Gender.UNKNOWN, 0.99), Gender.FEMALE, (Status.APPROVED, Reason.SAME_PERSON)),
        ("same", GenderReading(Gender.MALE, 0.99), None, (Status.APPROVED, Reason.SAME_PERSON)),
        ("same", GenderReading(Gender.UNKNOWN, 0.6), Gender.FEMALE, (Status.APPROVED, Reason.SAME_PERSON)),
        ("unsure", GenderReading(Gender.MALE, 0.99), Gender.FEMALE, (Status.REVIEW, Reason.PRIMARY_UNSURE)),
        (
            "different",
            GenderReading(Gender.MALE, 0.99),
            Gender.FEMALE,
            (Status.REVIEW, Reason.DIFFERENT_PERSON),
        ),
        (
            "no_face",
            GenderReading(Gender.MALE, 0.99),
            Gender.FEMALE,
            (Status.RETRY_PHOTO, Reason.NO_USABLE_PHOTO),
        ),
    ],
)
def test_a_contradicted_gender_turns_only_an_approval_into_a_review(
    outcome: str, reading: GenderReading, declared: Gender | None, expected: tuple[Status, Reason]
) -> None:
    photo = finding(1, outcome if outcome != "no_face" else "no_face/member")
    decision = decide(finding(0, "usable"), [photo], reading, declared, Policy())
    assert (decision.status, decision.reason) == expected


def test_the_selfie_is_what_contradicts_the_declared_gender_and_the_faces_are_one_persons_still() -> None:
    reading = GenderReading(Gender.MALE, 0.99)
    decision = decide(finding(0, "usable"), [finding(1, "same")], reading, Gender.FEMALE, Policy())
    assert decision == Decision(Status.REVIEW, Reason.GENDER_CONFLICT, 0, same_person=True)


def test_same_person_is_false_only_for_somebody_else_and_unknown_where_nothing_was_sure() -> None:
    def same(*gallery: str) -> bool | None:
        photos = [finding(i, text) for i, text in enumerate(gallery, 1)]
        return decide(finding(0, "usable"), photos, UNKNOWN, None, Policy()).same_person

    assert same("same") is True
    assert same("same", "different") is False
    assert same("unsure") is None
    assert same("same+replay") is None


def test_every_outcome_has_an_answer_as_selfie_and_as_only_gallery_photo() -> None:
    for outcome in Outcome:
        assert answer("usable", f"{outcome}/host")[0] in set(Status)
    for outcome in set(Outcome) - {Outcome.USABLE, *SOLO, Outcome.GROUP_SAME, Outcome.MEMBER_NOT_SEEN}:
        assert answer(f"{outcome}/member", "same")[0] == Status.RETRY_PHOTO
