"""Words of the pages about people."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from worker.results.texts import Both

WORDS: Final[Mapping[str, Both]] = {
    "people.title": ("사용자", "People"),
    "people.lead": (
        "누가 무엇을 할 수 있는지 정합니다. 역할을 주고 거둔 기록은 계정을 닫은 뒤에도 3년 동안 남습니다.",
        "Who may do what. Its history is kept for three years after an account is closed.",
    ),
    "people.name": ("이름", "Name"),
    "people.name_help": (
        "모든 기록에 이 이름이 남습니다. 나중에 바꾸거나 다른 사람에게 줄 수 없습니다.",
        "All records name the person so. It can neither be changed nor be given to somebody else later.",
    ),
    "people.name_taken": (
        "쓸 수 없는 이름입니다. 이미 있거나, 닫힌 계정의 이름이거나, 255자를 넘습니다.",
        "This name cannot be used: somebody has it or had it before, or it is longer than 255 characters.",
    ),
    "people.roles": ("역할", "Roles"),
    "people.note": ("사유 (선택)", "Reason (optional)"),
    "people.add": ("초대하기", "Invite"),
    "people.add_title": ("새 사용자 초대", "Invite somebody"),
    "people.signed_in": ("마지막 로그인", "Last sign-in"),
    "people.state": ("상태", "State"),
    "people.active": ("사용 중", "active"),
    "people.invited": ("초대됨", "invited"),
    "people.expired": ("초대 만료", "invitation expired"),
    "people.closed": ("닫힘", "closed"),
    "people.online": ("로그인 중 {count}", "signed in: {count}"),
    "people.back": ("사용자 목록", "All people"),
    "people.created": ("만든 날", "Created"),
    "people.save_roles": ("역할 저장", "Save roles"),
    "people.roles_help": (
        "바꾸면 이 사람은 모든 기기에서 로그아웃됩니다.",
        "A change signs this person out everywhere.",
    ),
    "people.reset": ("초기화", "Reset"),
    "people.reset_title": ("비밀번호와 인증 앱 초기화", "Reset password and authenticator app"),
    "people.reset_help": (
        "휴대전화와 복구 코드를 잃었을 때. 본인인지 먼저 확인해 주세요. 로그아웃되고 새 초대가 나옵니다.",
        "When phone and recovery codes are lost. First make sure who asks; then there is a new invitation.",
    ),
    "people.close": ("계정 닫기", "Close the account"),
    "people.close_help": (
        "퇴사하거나 더는 일하지 않을 때. 바로 로그아웃되고 역할을 모두 잃으며, 되돌릴 수 없습니다.",
        "When somebody leaves. They are signed out at once and lose all roles; it cannot be undone.",
    ),
    "people.close_sure": ("되돌릴 수 없다는 것을 압니다", "I know that this cannot be undone"),
    "people.last_admin": (
        "마지막 관리자입니다. 먼저 다른 사람을 관리자로 정하고, 그 사람이 로그인한 뒤에 해 주세요.",
        "This is the last administrator. First make somebody else one, and let them sign in.",
    ),
    "people.own": (
        "자기 계정은 초기화할 수 없습니다. '내 계정'에서 바꾸거나, 다른 관리자에게 요청해 주세요.",
        "Nobody resets their own account: change it under 'My account', or ask another administrator.",
    ),
    "people.history": ("기록", "History"),
    "people.when": ("시각", "When"),
    "people.what": ("한 일", "What"),
    "people.by": ("한 사람", "By"),
    "people.why": ("사유", "Reason"),
    "people.action.invited": ("계정을 만들고 초대함", "invited"),
    "people.action.given": ("역할을 줌", "role given"),
    "people.action.taken": ("역할을 거둠", "role taken"),
    "people.action.reset": ("비밀번호와 인증 앱을 초기화함", "password and app reset"),
    "people.action.closed": ("계정을 닫음", "account closed"),
    "people.about.reviewer": ("사진을 보고 결정합니다", "decides cases"),
    "people.about.checker": (
        "심사자의 일에 더해, 넘겨진 건을 결정합니다",
        "decides what reviewers escalate, too",
    ),
    "people.about.operator": (
        "현황, 회원, 실패한 작업, 재학습, 이의",
        "figures, members, jobs, training, objections",
    ),
    "people.about.auditor": (
        "접속기록을 보고 매달 점검에 서명합니다",
        "reads the records and signs the month's review",
    ),
    "people.about.admin": (
        "사용자와 역할; 회원의 정보는 보지 않습니다",
        "accounts and roles; nothing of members",
    ),
    "invitation.title": ("{name} 님의 초대 코드", "Invitation for {name}"),
    "invitation.lead": (
        "이 화면에서만 볼 수 있습니다. 본인에게 안전하게 전해 주세요. 한 번만 쓸 수 있습니다.",
        "This page shows it once. Hand it to the person in a safe way. It works one time.",
    ),
    "invitation.link": ("링크", "Link"),
    "invitation.code": ("또는 코드", "Or the code"),
    "invitation.until": ("유효 기한", "Good until"),
}
