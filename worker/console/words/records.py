"""Words of the month's check of the records of access."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from worker.results.texts import Both

WORDS: Final[Mapping[str, Both]] = {
    "records.title": ("접속기록 점검", "Review of access records"),
    "records.intro": (
        (
            "누가 언제 어디서 회원의 정보를 보거나 바꾸었는지 달마다 점검하고 서명합니다. 회원의 "
            "이름이나 번호는 나오지 않습니다."
        ),
        (
            "Who looked at members or changed something of them, and from where: checked and signed "
            "each month. No member is named."
        ),
    ),
    "records.month": ("점검할 달", "Month"),
    "records.show": ("보기", "Show"),
    "records.running": ("진행 중", "not over"),
    "records.state.open": ("서명 전", "Not signed"),
    "records.state.needs_another": ("다른 사람의 서명 필요", "Another person must sign"),
    "records.state.done": ("점검 완료", "Checked"),
    "records.holds": (
        "기록이 적힌 그대로입니다. 고치거나 지우거나 끼워 넣은 곳이 없습니다.",
        "The records are as they were written: none was changed, removed or put in.",
    ),
    "records.broken": (
        (
            "기록이 이어지지 않는 곳이 {n}곳 있습니다. 누군가 기록을 고치거나 지웠을 수 있습니다. "
            "관리자에게 알리고 원인을 확인해 주세요."
        ),
        (
            "The records do not hold together at {n} places: somebody may have changed or removed "
            "some. Tell whoever runs the system, and find out why."
        ),
    ),
    "records.broken.signed": (
        "이 가운데 서명한 사람이 모르는 곳: {n}곳",
        "Of these, unknown to whoever signed last: {n}",
    ),
    "records.unchecked": (
        "기록이 이어지는지 아직 확인하지 않았습니다. 매일 한 번 확인합니다.",
        "Whether the records hold together has not been checked yet; it is each day.",
    ),
    "records.checked_at": ("마지막 확인", "Last checked"),
    "records.far_more": (
        (
            "{account} 계정이 지난 하루 동안 회원 {n}명의 정보를 열었습니다. 다른 심사자는 보통 하루 "
            "{usual}명입니다."
        ),
        "{account} opened {n} members in the last day; the other reviewers open {usual} on a usual day.",
    ),
    "records.far_more.alone": (
        "{account} 계정이 지난 하루 동안 회원 {n}명의 정보를 열었습니다.",
        "{account} opened {n} members in the last day.",
    ),
    "records.accounts": ("{month} 계정별 기록", "{month}, by account"),
    "records.total": ("기록 {n}건", "{n} records"),
    "records.none": ("이 달에는 기록이 없습니다.", "There are no records of this month."),
    "records.account": ("계정과 장치", "Account and machine"),
    "records.members": ("회원", "Members"),
    "records.what": ("한 일", "What was done"),
    "records.outside": ("근무 시간 밖", "Outside hours"),
    "records.outside.help": (
        "평일 {opens}시부터 {closes}시까지가 아닌 때의 기록. 공휴일은 가리지 않습니다.",
        "Records not between {opens} and {closes} o'clock from Monday to Friday; holidays are not known.",
    ),
    "records.json": ("JSON 내보내기", "JSON exports"),
    "records.json.help": (
        "파일로 나갔을 수 있는 건수입니다. 사유를 확인해 주세요.",
        "What may have left as a file. Ask why.",
    ),
    "records.unusual": ("눈에 띄는 날", "Unusual days"),
    "records.unusual.help": (
        (
            "본인의 보통 날보다 3배 이상(20명부터), 또는 다른 심사자의 보통 날보다 3배 이상(100명부터) "
            "본 날입니다."
        ),
        (
            "Three times the account's usual day (from 20 members), or three times that of the other "
            "reviewers (from 100)."
        ),
    ),
    "records.day": ("{day}: {n}명", "{day}: {n}"),
    "records.more_than_others": ("다른 심사자보다 많음", "more than others"),
    "records.from": ("접속지", "from"),
    "records.signatures": ("서명", "Signatures"),
    "records.signed.records": ("기록 {n}건", "{n} records"),
    "records.signed.own": ("그중 본인 업무 {n}건", "{n} of them their own"),
    "records.signed.none": ("아직 서명한 사람이 없습니다.", "Nobody has signed yet."),
    "records.signed.needs_another": (
        "서명한 사람의 업무가 이 달의 기록에 있습니다. 다른 사람이 한 번 더 서명해야 점검이 끝납니다.",
        "Whoever signed has own work in this month. Another person must sign as well.",
    ),
    "records.sign.own": (
        (
            "이 달의 기록 가운데 {n}건은 본인의 업무입니다. 서명하면 그 사실이 함께 남고, 다른 사람도 "
            "서명해야 점검이 끝납니다."
        ),
        (
            "{n} of this month's records are your own work. Your signature says so, and another person "
            "must sign as well."
        ),
    ),
    "records.sign.note": ("점검한 내용과 결과", "What you checked and found"),
    "records.sign.help": (
        (
            "예: 14일에 lee 계정의 조회가 많아 사유를 물었고, 이의 제기 처리였음을 확인함. 서명한 "
            "뒤에는 고칠 수 없습니다."
        ),
        (
            "For instance: many members on the 14th by lee; asked, it was a flood of objections. It "
            "cannot be changed afterwards."
        ),
    ),
    "records.sign.no_note": (
        "점검한 내용과 결과를 적어 주세요(1,000자까지).",
        "Write what you checked and found (up to 1,000 characters).",
    ),
    "records.sign.button": ("점검했음을 서명", "Sign as checked"),
    "records.sign.early": (
        "이 달이 끝난 뒤에 서명할 수 있습니다.",
        "It can be signed once the month is over.",
    ),
    "records.months": ("지난 달의 점검", "Earlier months"),
    "records.months.month": ("달", "Month"),
    "records.months.state": ("상태", "State"),
    "records.months.who": ("서명한 사람", "Signed by"),
    "records.action.show": ("조회", "show"),
    "records.action.review": ("심사", "review"),
    "records.action.explain": ("설명문", "explain"),
    "records.action.import": ("가져오기", "import"),
    "records.action.enqueue": ("인증 요청", "enqueue"),
    "records.action.requeue": ("재처리", "requeue"),
    "records.action.consent": ("동의", "consent"),
    "records.action.forget": ("삭제", "forget"),
    "records.action.unbar": ("차단 해제", "unbar"),
    "records.action.events": ("이벤트", "events"),
    "records.action.sign_in": ("로그인", "sign-in"),
    "records.action.sign_out": ("로그아웃", "sign-out"),
    "records.action.account": ("내 계정", "own account"),
    "records.action.people": ("사용자 관리", "people"),
    "records.action.dashboard": ("현황", "dashboard"),
    "records.action.retrain": ("재학습", "retraining"),
    "records.action.models": ("모델", "models"),
    "records.action.dismiss": ("종결", "dismiss"),
    "records.action.access": ("접속기록 점검", "records"),
}
