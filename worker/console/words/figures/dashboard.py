"""Words of the dashboard."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from worker.results.texts import Both

WORDS: Final[Mapping[str, Both]] = {
    "dashboard.title": ("현황", "Dashboard"),
    "dashboard.zone": (
        "하루는 한국 시간 0시부터 24시까지입니다. 시험용 회원은 빠져 있습니다.",
        "A day is one of Korea, from midnight to midnight. Members of the sandbox are left out.",
    ),
    "dashboard.now": ("지금", "Now"),
    "dashboard.waiting": ("대기 중인 심사", "Cases waiting"),
    "dashboard.waiting.note": (
        "{claimed}건 심사 중 · {escalated}건 상위 심사",
        "{claimed} in hand · {escalated} escalated",
    ),
    "dashboard.oldest": ("가장 오래된 심사", "Oldest case"),
    "dashboard.oldest.note": ("접수된 뒤 지난 시간", "since it was opened"),
    "dashboard.overdue": ("기한이 지난 심사", "Overdue cases"),
    "dashboard.overdue.note": ("기한 안에 처리하지 못한 건", "not decided by their deadline"),
    "dashboard.objections": ("답할 이의 제기", "Objections to answer"),
    "dashboard.objections.note": (
        "{soon}건 기한 임박 · {late}건 기한 지남",
        "{soon} due soon · {late} overdue",
    ),
    "dashboard.dead": ("실패한 작업", "Dead jobs"),
    "dashboard.dead.note": ("확인이 필요한 작업", "somebody must look at them"),
    "dashboard.pace": ("결정 한 건에 걸리는 시간", "Time for a decision"),
    "dashboard.pace.note": ("최근 1시간 {votes}건의 중앙값", "median of {votes} in the last hour"),
    "dashboard.machine_queue": ("자동 판정 대기", "Waiting for the machine"),
    "dashboard.machine_queue.note": ("가장 오래된 요청 {age}", "oldest request {age}"),
    "dashboard.machine_queue.none": ("밀린 요청 없음", "nothing is behind"),
    "dashboard.days": ("하루에 끝난 요청", "Requests that ended, by day"),
    "dashboard.days.alt": (
        "최근 4주 동안 하루에 끝난 요청을 결과별로 쌓은 막대 그래프. 같은 숫자가 아래 표에 있습니다.",
        (
            "Stacked columns of the requests that ended on each day of four weeks, by result. The table "
            "below has the same numbers."
        ),
    ),
    "dashboard.table": ("표로 보기", "Show as a table"),
    "dashboard.day": ("날짜", "Day"),
    "dashboard.total": ("합계", "Total"),
    "dashboard.no_days": (
        "아직 집계된 날이 없습니다. 집계는 10분마다 갱신됩니다.",
        "No day has been counted yet. Days are counted every ten minutes.",
    ),
    "dashboard.status.approved": ("승인", "approved"),
    "dashboard.status.retry_photo": ("새 사진 요청", "new photo asked"),
    "dashboard.status.review": ("사람에게 넘김", "left to people"),
    "dashboard.status.rejected": ("거절", "rejected"),
    "dashboard.status.error": ("오류", "error"),
    "dashboard.deciders": ("누가 결정했나", "Who decided"),
    "dashboard.deciders.words": (
        (
            "최근 7일 동안 끝난 요청 {all}건 가운데 {share}를 프로그램이 혼자 끝냈습니다. 사람은 "
            "{people}건을 결정했습니다."
        ),
        (
            "Of the {all} requests that ended in the last 7 days, the machine ended {share} alone. People "
            "decided {people}."
        ),
    ),
    "dashboard.deciders.none": (
        "최근 7일 동안 끝난 요청이 없습니다.",
        "No request has ended in the last 7 days.",
    ),
    "dashboard.deciders.alt": (
        "최근 4주 동안 하루에 프로그램이 끝낸 요청과 사람이 내린 결정. 같은 숫자가 아래 표에 있습니다.",
        (
            "Requests that the machine ended and decisions of people on each day of four weeks. The table "
            "below has the same numbers."
        ),
    ),
    "dashboard.machine": ("프로그램", "machine"),
    "dashboard.people": ("사람", "people"),
    "dashboard.reasons": ("판정 사유", "Reasons"),
    "dashboard.reason": ("사유", "Reason"),
    "dashboard.week": ("최근 7일", "Last 7 days"),
    "dashboard.before": ("그 전 28일", "28 days before"),
    "dashboard.other": ("그 밖의 사유", "other reasons"),
    "dashboard.similarity": ("유사도", "Similarity"),
    "dashboard.similarity.words": (
        "선: 최근 7일 회원 사진의 유사도. 막대: 모델 기준에서 같은 사람 쌍(위)과 다른 사람 쌍(아래).",
        (
            "Outline: similarities of members in the last 7 days. Bars: pairs of one person (up) and of "
            "two people (down) in the reference of the model."
        ),
    ),
    "dashboard.similarity.open": (
        (
            "이 모델은 아직 보정되지 않았습니다. 기준은 공개 데이터이므로 회원과 어느 정도 다른 것이 "
            "보통입니다. 아래의 지난 28일과의 비교를 보아 주세요."
        ),
        (
            "This model is not calibrated: its reference is of open data, from which members differ to "
            "some degree. Look at the comparison with the 28 days before."
        ),
    ),
    "dashboard.drift.reference": ("모델 기준과 비교", "against the model's reference"),
    "dashboard.drift.days": ("그 전 28일과 비교", "against the 28 days before"),
    "dashboard.drift.too_few": ("자료 부족", "too few"),
    "dashboard.drift.stable": ("안정", "stable"),
    "dashboard.drift.moderate": ("변화 있음", "has changed"),
    "dashboard.drift.large": ("크게 변함", "has changed much"),
    "dashboard.drift.advice.too_few": (
        "양쪽에 값이 200개 이상 있어야 비교할 수 있습니다 (지금 {now}개).",
        "At least 200 values on either side are needed ({now} now).",
    ),
    "dashboard.drift.advice.stable": ("할 일이 없습니다.", "Nothing to do."),
    "dashboard.drift.advice.moderate": (
        "며칠 더 지켜보고, 새 앱 버전이나 새 사진 서버가 있었는지 확인해 주세요.",
        "Watch it for some days; ask whether there is a new version of the app or a new photo host.",
    ),
    "dashboard.drift.advice.large": (
        "원인을 찾아 주세요. 사진이나 회원이 달라졌다면 보정을 다시 해야 할 수 있습니다.",
        "Find the cause. Where photos or members have changed, the model may have to be calibrated again.",
    ),
    "dashboard.drift.psi": ("집단 안정성 지수(PSI) {value}", "population stability index {value}"),
    "dashboard.drift.chance": (
        "우연만으로도 {value}까지 나올 수 있습니다.",
        "Chance alone makes up to {value}.",
    ),
    "dashboard.drift.limits": (
        "PSI가 0.1 이상이면 변화 있음, 0.25 이상이면 크게 변한 것으로 봅니다.",
        "From 0.1 on it has changed, from 0.25 on much.",
    ),
    "dashboard.audit": ("무작위 점검", "Blind audit"),
    "dashboard.audit.words": (
        (
            "프로그램이 승인한 회원 가운데 무작위로 뽑아 사람이 확인한 {judged}건 중 {wrong}건이 잘못된 "
            "승인이었습니다."
        ),
        (
            "Of {judged} approvals of the machine that were drawn at random and judged by people, {wrong} "
            "were wrong."
        ),
    ),
    "dashboard.audit.interval": ("95% 신뢰구간 {low}–{high}", "95 % interval {low} to {high}"),
    "dashboard.audit.none": ("아직 확인된 점검이 없습니다.", "None has been judged yet."),
    "dashboard.audit.open": (
        "뽑힌 {sampled}건 가운데 {open}건이 심사를 기다립니다.",
        "Of {sampled} drawn, {open} wait.",
    ),
    "dashboard.hosts": ("사진 서버별 얼굴 없는 사진", "Photos without a face, by host"),
    "dashboard.host": ("사진 서버", "Photo host"),
    "dashboard.host.others": ("그 밖의 서버", "other hosts"),
    "dashboard.photos": ("사진", "Photos"),
    "dashboard.no_face": ("얼굴 없음", "No face"),
    "dashboard.reviewers": ("심사자", "Reviewers"),
    "dashboard.own": ("내 심사", "My reviews"),
    "dashboard.weeks": ("최근 4주", "last four weeks"),
    "dashboard.counted": ("{when} 집계", "counted {when}"),
    "dashboard.reviewer": ("심사자", "Reviewer"),
    "dashboard.cases": ("심사", "Cases"),
    "dashboard.decided.approve": ("승인", "Approved"),
    "dashboard.decided.reject": ("거절", "Rejected"),
    "dashboard.decided.new_photo": ("새 사진 요청", "New photo"),
    "dashboard.decided.escalate": ("상위 심사", "Escalated"),
    "dashboard.seconds": ("건당 시간", "Time a case"),
    "dashboard.agreement": ("일치율", "Agreement"),
    "dashboard.agreement.note": ("{compared}장 중, κ {kappa}", "of {compared}, κ {kappa}"),
    "dashboard.changed": ("바꾼 답", "Answers changed"),
    "dashboard.overturned": ("뒤집힌 결정", "Overturned"),
    "dashboard.reviewers.none": (
        "최근 4주 동안 심사한 사람이 없습니다.",
        "Nobody has reviewed in the last four weeks.",
    ),
    "dashboard.reviewers.help": (
        (
            "일치율은 같은 사진에 두 사람이 각자 답했을 때 같은 답을 한 비율입니다. κ는 우연한 일치를 뺀 "
            "값으로, 1이면 완전한 일치, 0이면 우연 수준입니다. 뒤집힌 결정은 그 뒤에 다른 결정으로 바뀐 "
            "것입니다."
        ),
        (
            "Agreement is the share of photos that two people answered on their own and alike. κ leaves "
            "out what chance makes: 1 is perfect, 0 is chance. An overturned decision was followed by "
            "another one."
        ),
    ),
    "dashboard.models": ("모델", "Models"),
    "dashboard.model": ("버전", "Version"),
    "dashboard.state": ("상태", "State"),
    "dashboard.model.champion": ("사용 중", "in use"),
    "dashboard.model.shadow": ("그림자 판정", "in shadow"),
    "dashboard.model.challenger": ("후보", "challenger"),
    "dashboard.model.rejected": ("탈락", "rejected"),
    "dashboard.model.retired": ("사용 종료", "retired"),
    "dashboard.model.shipped": ("기본 제공 모델", "as shipped"),
    "dashboard.calibrated": ("보정", "Calibration"),
    "dashboard.calibrated.yes": ("회원 사진으로 보정됨", "calibrated"),
    "dashboard.calibrated.no": ("보정 전", "uncalibrated"),
    "dashboard.published": ("등록", "Published"),
    "dashboard.shadowed": ("그림자 판정", "Judged in shadow"),
    "dashboard.figures": ("측정값", "Figures"),
    "dashboard.training": ("재학습", "Retraining"),
    "dashboard.training.none": ("재학습을 한 적이 없습니다.", "There has been no retraining."),
    "dashboard.run.queued": ("대기 중", "queued"),
    "dashboard.run.collecting": ("사진 수집 중", "collecting photos"),
    "dashboard.run.training": ("학습 중", "training"),
    "dashboard.run.done": ("끝남, 후보 등록", "done, challenger kept"),
    "dashboard.run.failed": ("실패", "failed"),
    "dashboard.run.rejected": ("기준 미달", "refused by the gate"),
    "dashboard.run.promoted": ("새 모델로 교체", "promoted"),
    "dashboard.asked": ("{who} 님이 {when} 요청", "asked by {who}, {when}"),
    "age.days": ("{days}일 {hours}시간", "{days} d {hours} h"),
    "age.hours": ("{hours}시간 {minutes}분", "{hours} h {minutes} min"),
    "age.minutes": ("{minutes}분", "{minutes} min"),
    "age.seconds": ("{seconds}초", "{seconds} s"),
    "dashboard.reason.same_person": ("같은 사람", "same person"),
    "dashboard.reason.different_person": ("다른 사람", "different person"),
    "dashboard.reason.primary_unsure": ("대표 사진 불확실", "first photo unsure"),
    "dashboard.reason.primary_not_judged": ("대표 사진 판단 불가", "first photo cannot be judged"),
    "dashboard.reason.primary_not_member": ("대표 사진에 회원 없음", "member not in the first photo"),
    "dashboard.reason.no_solo_photo": ("단독 사진 없음", "no photo of one person"),
    "dashboard.reason.same_picture": ("셀카와 같은 사진", "same picture twice"),
    "dashboard.reason.gender_conflict": ("성별 불일치", "gender conflict"),
    "dashboard.reason.selfie_changed": ("셀카가 바뀜", "selfie changed"),
    "dashboard.reason.photo_reused": ("다른 회원이 쓴 사진", "photo of another member"),
    "dashboard.reason.too_many_tries": ("여러 번 시도 후 승인", "approved after many tries"),
    "dashboard.reason.many_retries": ("새 사진 요청 반복", "asked again and again"),
    "dashboard.reason.blind_audit": ("무작위 점검", "blind audit"),
    "dashboard.reason.manual": ("사람 심사 요청", "people instead of the machine"),
    "dashboard.reason.selfie_no_face": ("셀카: 얼굴 없음", "selfie: no face"),
    "dashboard.reason.selfie_several_faces": ("셀카: 여러 얼굴", "selfie: several faces"),
    "dashboard.reason.selfie_face_too_small": ("셀카: 얼굴 작음", "selfie: face too small"),
    "dashboard.reason.selfie_too_blurred": ("셀카: 흐림", "selfie: blurred"),
    "dashboard.reason.selfie_too_dark": ("셀카: 어두움", "selfie: dark"),
    "dashboard.reason.selfie_too_bright": ("셀카: 너무 밝음", "selfie: bright"),
    "dashboard.reason.selfie_extreme_pose": ("셀카: 얼굴 방향", "selfie: turned away"),
    "dashboard.reason.selfie_occluded": ("셀카: 가려짐", "selfie: covered"),
    "dashboard.reason.selfie_invalid": ("셀카: 파일 오류", "selfie: invalid file"),
    "dashboard.reason.selfie_not_fetched": ("셀카: 받지 못함", "selfie: not fetched"),
    "dashboard.reason.no_usable_photo": ("쓸 수 있는 사진 없음", "no usable photo"),
    "dashboard.reason.photos_not_fetched": ("사진을 받지 못함", "photos not fetched"),
    "dashboard.reason.no_photos": ("사진 없음", "no photos"),
    "dashboard.reason.internal_error": ("내부 오류", "internal error"),
}
