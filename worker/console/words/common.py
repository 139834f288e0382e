"""Words that every page has."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from worker.results.texts import Both

WORDS: Final[Mapping[str, Both]] = {
    "app.name": ("사진 심사", "Photo review"),
    "app.skip": ("본문으로 건너뛰기", "Skip to content"),
    "app.language": ("English", "한국어"),
    "app.language.label": ("Show this page in English", "한국어로 보기"),
    "app.menu": ("메뉴", "Menu"),
    "app.sign_out": ("로그아웃", "Sign out"),
    "app.account": ("내 계정", "My account"),
    "app.required": ("필수", "required"),
    "app.cancel": ("취소", "Cancel"),
    "app.close": ("닫기", "Close"),
    "app.next_page": ("다음 쪽", "Next page"),
    "app.first_page": ("처음으로", "First page"),
    "app.counted": ("집계 시각", "Counted"),
    "app.yes": ("예", "yes"),
    "app.no": ("아니요", "no"),
    "nav.review": ("심사", "Review"),
    "nav.queue": ("대기열", "Queue"),
    "nav.dashboard": ("현황", "Dashboard"),
    "nav.members": ("회원", "Members"),
    "nav.jobs": ("실패한 작업", "Dead jobs"),
    "nav.training": ("재학습", "Training"),
    "nav.records": ("접속기록", "Access records"),
    "nav.people": ("사용자", "People"),
    "role.reviewer": ("심사자", "Reviewer"),
    "role.checker": ("확인자", "Checker"),
    "role.operator": ("운영자", "Operator"),
    "role.auditor": ("감사자", "Auditor"),
    "role.admin": ("관리자", "Administrator"),
}
