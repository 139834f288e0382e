"""Words of the queue's page."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from worker.results.texts import Both

WORDS: Final[Mapping[str, Both]] = {
    "queue.title": ("심사 대기열", "Review queue"),
    "queue.about": (
        "이의 제기, 기한이 지난 건, 오래된 건의 순서로 배정됩니다. 건을 골라서 심사할 수는 없습니다.",
        "Handed out in this order: objections, overdue, oldest. Nobody picks a case.",
    ),
    "queue.next": ("다음 건 심사", "Review the next case"),
    "queue.goes_on": ("심사 계속하기", "Go on with your case"),
    "queue.open": ("미결", "Open"),
    "queue.objections": ("답변할 이의 제기", "Objections to answer"),
    "queue.objections_late": ("기한 지남 {late} · 곧 기한 {soon}", "{late} late · {soon} due soon"),
    "queue.state": ("상태", "Status"),
    "queue.state.all": ("전체", "All"),
    "queue.state.waiting": ("대기", "Waiting"),
    "queue.state.taken": ("심사 중", "Taken"),
    "queue.state.escalated": ("상위 심사", "Escalated"),
    "queue.state.overdue": ("기한 지남", "Overdue"),
    "queue.state.suspended": ("보류", "Suspended"),
    "queue.suspended_help": (
        "회원이 인증 동의를 철회한 건은 다시 동의할 때까지 심사하지 않습니다.",
        "A case of a member who has withdrawn consent waits until the consent is given again.",
    ),
    "queue.cause": ("접수 사유", "Opened because"),
    "queue.reason": ("판정 사유", "Reason of the verdict"),
    "queue.age": ("접수 시각", "Opened"),
    "queue.age.all": ("전체 기간", "At any time"),
    "queue.age.day": ("24시간 이내", "Within 24 hours"),
    "queue.age.over_day": ("24시간 넘음", "More than 24 hours ago"),
    "queue.age.over_3_days": ("3일 넘음", "More than 3 days ago"),
    "queue.age.over_week": ("7일 넘음", "More than 7 days ago"),
    "queue.show": ("조건 적용", "Apply"),
    "queue.clear": ("조건 지우기", "Clear"),
    "queue.matching": ("조건에 맞는 건 {n}건", "{n} cases match"),
    "queue.case": ("번호", "Case"),
    "queue.member": ("회원", "Member"),
    "queue.waits": ("대기 시간", "Waits since"),
    "queue.left": ("남은 시간", "Time left"),
    "queue.who": ("심사자", "Reviewer"),
    "queue.you": ("나", "you"),
    "queue.left.overdue": ("{time} 지남", "{time} late"),
    "queue.left.soon": ("곧 기한 · {time} 남음", "Soon due · {time} left"),
    "queue.left.fine": ("{time} 남음", "{time} left"),
    "queue.left.none": ("동의 대기", "waits for consent"),
    "queue.nothing": ("심사할 건이 없습니다.", "No case waits for a review."),
    "queue.nothing_matches": ("조건에 맞는 건이 없습니다.", "No case matches."),
    "queue.blind": (
        "심사자에게는 접수 사유와 회원 번호를 미리 보여 주지 않습니다. 사진을 먼저 보고 답하기 위해서입니다.",
        "Reviewers do not see here why a case is open, nor whose it is: the photos are answered first.",
    ),
    "time.minutes": ("{n}분", "{n} min"),
    "time.hours": ("{n}시간", "{n} h"),
    "time.days": ("{n}일", "{n} d"),
    "time.days_hours": ("{d}일 {h}시간", "{d} d {h} h"),
    "time.hours_minutes": ("{h}시간 {m}분", "{h} h {m} min"),
}
