"""What a member reads: always something to do or to wait for, never a suspicion."""

from __future__ import annotations

import re

import pytest

from pipeline.verdict import Fault, FetchProblem, Outcome, PhotoFinding, Reason, Status
from worker.results.reviewer_reasons import ReviewReason, new_photo_text, review_reason_text
from worker.results.texts import (
    CONTACT,
    Language,
    fetch_text,
    member_text,
    operator_text,
    photo_name,
    photo_text,
)

KO, EN = Language.KO, Language.EN
SELFIE_REASONS = {
    Reason.SELFIE_NO_FACE: Outcome.NO_FACE,
    Reason.SELFIE_SEVERAL_FACES: Outcome.SEVERAL_FACES,
    Reason.SELFIE_FACE_TOO_SMALL: Outcome.FACE_TOO_SMALL,
    Reason.SELFIE_TOO_BLURRED: Outcome.TOO_BLURRED,
    Reason.SELFIE_TOO_DARK: Outcome.TOO_DARK,
    Reason.SELFIE_TOO_BRIGHT: Outcome.TOO_BRIGHT,
    Reason.SELFIE_EXTREME_POSE: Outcome.EXTREME_POSE,
    Reason.SELFIE_OCCLUDED: Outcome.OCCLUDED,
    Reason.SELFIE_INVALID: Outcome.INVALID_IMAGE,
    Reason.SELFIE_NOT_FETCHED: Outcome.NOT_FETCHED,
}
GALLERY_REASONS = (Reason.NO_USABLE_PHOTO, Reason.NO_SOLO_PHOTO)
SECRET = (
    *(
        "남성",
        "여성",
        "성별",
        "도용",
        "사기",
        "의심",
        "가짜",
        "동일인",
        "다른 사람",
        "본인이 아",
        "불일치",
        "유사도",
    ),
    *("male", "gender", "fraud", "stolen", "scam", "suspic", "fake", "same person", "different", "match"),
    *("somebody else", "someone else", "similar", "reject"),
)
HANGUL = re.compile(r"[가-힣]")


def every_text(language: Language) -> list[str]:
    """All that a member can ever read."""
    findings = [None, *(PhotoFinding(2, outcome) for outcome in Outcome)]
    verdicts = [
        member_text(status, reason, language, finding)
        for status in Status
        for reason in Reason
        for finding in findings
    ]
    photos = [
        photo_text(PhotoFinding(position, outcome, fault, fetch_problem=problem), language)
        for position in (0, 1, 2)
        for outcome in Outcome
        for fault in (None, *Fault)
        for problem in (None, *FetchProblem)
    ]
    asked = [new_photo_text(code, n, language) for code in (None, *ReviewReason) for n in (0, 2)]
    return [*verdicts, *photos, *asked]


@pytest.mark.parametrize("language", Language)
@pytest.mark.parametrize("code", ReviewReason)
def test_a_person_asks_for_another_photo_by_its_name_and_says_what_is_wrong(
    code: ReviewReason, language: Language
) -> None:
    of_the_selfie, of_a_photo = (new_photo_text(code, position, language) for position in (0, 2))
    assert photo_name(0, language) in of_the_selfie.lower()
    assert photo_name(2, language) in of_a_photo.lower()
    assert all(text.endswith(CONTACT[language is EN]) for text in (of_the_selfie, of_a_photo))
    assert (HANGUL.search(of_a_photo) is not None) is (language is KO)
    assert review_reason_text(code, language) != code


@pytest.mark.parametrize("language", Language)
@pytest.mark.parametrize("reason", Reason)
@pytest.mark.parametrize("status", Status)
def test_every_verdict_has_a_text_that_names_the_way_to_a_person_once_unless_all_is_well(
    status: Status, reason: Reason, language: Language
) -> None:
    text = member_text(status, reason, language)
    assert text.count(("고객센터", "customer support")[language is EN]) == (status is not Status.APPROVED)
    assert text.count(("연락", "contact")[language is EN]) == (status is not Status.APPROVED)
    assert len(text.removesuffix(CONTACT[language is EN])) > 15
    assert "{" not in text


@pytest.mark.parametrize("language", Language)
def test_no_text_tells_a_member_of_a_suspicion_or_a_guess(language: Language) -> None:
    for text in every_text(language):
        assert not [word for word in SECRET if word in text.lower()], text


def test_each_language_stays_in_its_language() -> None:
    assert all(HANGUL.search(text) for text in every_text(KO))
    assert not any(HANGUL.search(text) for text in every_text(EN))


def test_korean_sentences_are_polite_to_their_end() -> None:
    polite = ("니다.", "세요.")
    for text in every_text(KO):
        for sentence in re.findall(r"[^.]+\.", text):
            assert sentence.endswith(polite), sentence


@pytest.mark.parametrize("language", Language)
def test_every_review_reads_the_same(language: Language) -> None:
    texts = {
        member_text(Status.REVIEW, reason, language, PhotoFinding(3, outcome))
        for reason in Reason
        for outcome in Outcome
    }
    assert len(texts) == 1


@pytest.mark.parametrize("language", Language)
@pytest.mark.parametrize("status", [Status.APPROVED, Status.REJECTED])
def test_a_member_cannot_tell_who_decided(status: Status, language: Language) -> None:
    assert len({member_text(status, reason, language) for reason in Reason}) == 1


@pytest.mark.parametrize("language", Language)
def test_a_photo_that_could_be_judged_says_nothing_of_the_outcome(language: Language) -> None:
    judged = (Outcome.SAME, Outcome.DIFFERENT, Outcome.UNSURE, Outcome.NOT_COMPARED)
    assert len({photo_text(PhotoFinding(2, outcome), language) for outcome in judged}) == 1
    groups = (Outcome.GROUP_SAME, Outcome.MEMBER_NOT_SEEN)
    assert len({photo_text(PhotoFinding(2, outcome), language) for outcome in groups}) == 1


@pytest.mark.parametrize("reason", SELFIE_REASONS)
def test_a_selfie_that_cannot_be_judged_is_named_with_its_remedy(reason: Reason) -> None:
    finding = PhotoFinding(0, SELFIE_REASONS[reason])
    assert "인증 사진" in member_text(Status.RETRY_PHOTO, reason, KO, finding)
    assert "verification photo" in member_text(Status.RETRY_PHOTO, reason, EN, finding)
    assert "주세요" in member_text(Status.RETRY_PHOTO, reason, KO).removesuffix(CONTACT[0])
    assert member_text(Status.RETRY_PHOTO, reason, KO) == member_text(Status.RETRY_PHOTO, reason, KO, finding)


def test_each_problem_of_a_selfie_has_a_remedy_of_its_own() -> None:
    assert len({member_text(Status.RETRY_PHOTO, reason, KO) for reason in SELFIE_REASONS}) == len(
        SELFIE_REASONS
    )


BAD_FILES = {
    "ImageTooLarge: pixels (20000 x 15000; of JPEG at most 210 million pixels are taken)": (
        "해상도",
        "pixels",
    ),
    "UnsupportedFormat: GIF is not taken; JPEG, PNG are": ("(GIF)", "(GIF)"),
    "UnsupportedFormat: this ISO media file (a video?) is not taken; JPEG": (
        "형식의 파일",
        "cannot be used.",
    ),
    "UndecodableImage: cut off: 38% of the JPEG's rows are missing": ("끝까지", "a part of"),
    "UndecodableImage: damaged JPEG: OSError": ("열 수 없는 파일", "cannot be opened"),
}


@pytest.mark.parametrize("detail", BAD_FILES)
@pytest.mark.parametrize(("position", "reason"), [(0, Reason.SELFIE_INVALID), (2, Reason.NO_USABLE_PHOTO)])
def test_a_file_that_cannot_be_opened_says_why_and_what_helps(
    detail: str, position: int, reason: Reason
) -> None:
    finding = PhotoFinding(position, Outcome.INVALID_IMAGE, Fault.MEMBER, detail=detail)
    for language, said in zip((KO, EN), BAD_FILES[detail], strict=True):
        text = member_text(Status.RETRY_PHOTO, reason, language, finding)
        assert said in text
        assert said in photo_text(finding, language)
        assert photo_name(position, language) in text.lower()
        assert ("주세요" if language is KO else "Please") in text.removesuffix(CONTACT[language is EN])
        assert "{" not in text


@pytest.mark.parametrize("reason", GALLERY_REASONS)
def test_a_gallery_photo_is_named_by_its_number(reason: Reason) -> None:
    finding = PhotoFinding(2, Outcome.TOO_BLURRED)
    assert member_text(Status.RETRY_PHOTO, reason, KO, finding).startswith(
        "2번 사진이 흐리거나 화질이 좋지 않습니다."
    )
    assert member_text(Status.RETRY_PHOTO, reason, EN, finding).startswith("Photo 2 is blurred or grainy.")


def test_what_is_our_fault_or_the_hosts_asks_nothing_of_the_member() -> None:
    for reason in (Reason.SELFIE_NOT_FETCHED, Reason.PHOTOS_NOT_FETCHED, Reason.INTERNAL_ERROR):
        assert "하실 일은 없으며" in member_text(Status.ERROR, reason, KO)
    missing = PhotoFinding(2, Outcome.NOT_FETCHED, Fault.HOST, fetch_problem=FetchProblem.TIMEOUT)
    assert photo_text(missing, KO) == "2번 사진을 불러오지 못했습니다. 저희가 다시 시도하겠습니다."
    assert photo_text(missing, EN) == "Photo 2 could not be loaded. We will try again."


def test_a_photo_that_the_member_can_replace_says_what_is_wrong_with_it() -> None:
    gone = PhotoFinding(1, Outcome.NOT_FETCHED, Fault.MEMBER, fetch_problem=FetchProblem.GONE)
    large = PhotoFinding(0, Outcome.NOT_FETCHED, Fault.MEMBER, fetch_problem=FetchProblem.TOO_LARGE)
    assert photo_text(gone, KO) == "1번 사진을 찾을 수 없습니다."
    text = member_text(Status.RETRY_PHOTO, Reason.SELFIE_NOT_FETCHED, EN, large)
    assert text.startswith("The file of your verification photo is too large. Please upload")


def test_photos_are_called_as_the_member_counts_them() -> None:
    assert [photo_name(n, KO) for n in (0, 1, 12)] == ["인증 사진", "1번 사진", "12번 사진"]
    assert [photo_name(n, EN) for n in (0, 1, 12)] == ["your verification photo", "photo 1", "photo 12"]


def test_operators_read_what_each_code_means() -> None:
    assert len({operator_text(reason) for reason in Reason}) == len(Reason)
    assert len({fetch_text(problem) for problem in FetchProblem}) == len(FetchProblem)
