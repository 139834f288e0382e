"""Words of signing in, of invitations, and of one's own account."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from worker.results.texts import Both

WORDS: Final[Mapping[str, Both]] = {
    "sign_in.title": ("로그인", "Sign in"),
    "sign_in.name": ("이름", "Name"),
    "sign_in.password": ("비밀번호", "Password"),
    "sign_in.next": ("다음", "Next"),
    "sign_in.enrol": ("초대 코드를 받으셨습니까?", "Have you been given an invitation?"),
    "sign_in.code.title": ("인증번호 입력", "Enter the code"),
    "sign_in.code.lead": (
        "{name} 님, 휴대전화의 인증 앱에 보이는 6자리 번호를 입력해 주세요.",
        "{name}, please type the 6 digits that the authenticator app of your phone shows.",
    ),
    "sign_in.code": ("인증번호", "Code"),
    "sign_in.code.help": (
        "휴대전화가 없으면 보관해 둔 복구 코드 하나를 입력해 주세요.",
        "Without your phone, type one of the recovery codes that you have kept.",
    ),
    "sign_in.submit": ("로그인", "Sign in"),
    "sign_in.restart": ("처음부터 다시", "Start again"),
    "sign_in.refused": (
        "이름, 비밀번호 또는 인증번호가 맞지 않습니다.",
        "The name, the password or the code is not right.",
    ),
    "sign_in.ended": (
        "오래 사용하지 않아 로그아웃되었습니다. 제출하지 않은 답은 저장되지 않았습니다.",
        "You were signed out because nothing was done for a while. Answers that were not sent are not kept.",
    ),
    "sign_in.late": (
        "시간이 지났습니다. 처음부터 다시 로그인해 주세요.",
        "That took too long. Please sign in again from the start.",
    ),
    "sign_in.wait_seconds": (
        "여러 번 맞지 않았습니다. {seconds}초 뒤에 다시 시도해 주세요.",
        "That was wrong several times. Please try again in {seconds} seconds.",
    ),
    "sign_in.wait_minutes": (
        "여러 번 맞지 않았습니다. {minutes}분 뒤에 다시 시도해 주세요.",
        "That was wrong several times. Please try again in {minutes} minutes.",
    ),
    "sign_on.title": ("회사 로그인이 필요합니다", "Please use your company's sign-on"),
    "sign_on.missing": (
        "이 콘솔은 회사의 통합 로그인으로만 들어올 수 있습니다.",
        "This console can be reached through your company's own sign-on alone.",
    ),
    "sign_on.unknown": (
        "이 콘솔에 계정이 없습니다. 관리자에게 요청해 주세요.",
        "You have no account in this console. Please ask an administrator.",
    ),
    "enrol.title": ("초대 코드로 시작하기", "Begin with your invitation"),
    "enrol.lead": (
        "관리자에게 받은 초대 코드를 입력해 주세요. 코드는 24시간 동안 한 번만 쓸 수 있습니다.",
        "Please enter the invitation that an administrator has given you. It works once, for 24 hours.",
    ),
    "enrol.invitation": ("초대 코드", "Invitation"),
    "enrol.unknown": (
        "쓸 수 없는 코드입니다. 이미 썼거나 24시간이 지났으면 관리자에게 새 코드를 요청해 주세요.",
        "This invitation cannot be used. If it was used, or is older than 24 hours, ask for another.",
    ),
    "enrol.choose.title": ("비밀번호와 인증 앱", "Password and authenticator app"),
    "enrol.choose.lead": (
        "{name} 님의 계정입니다. 아래 두 가지는 관리자도 알 수 없습니다.",
        "This is the account of {name}. No administrator ever sees the two things below.",
    ),
    "enrol.finish": ("저장하고 시작하기", "Save and begin"),
    "password.new": ("새 비밀번호", "New password"),
    "password.again": ("새 비밀번호 확인", "New password again"),
    "password.current": ("현재 비밀번호", "Current password"),
    "password.help": (
        "10자 이상. 기억하기 쉬운 긴 문장이 가장 좋습니다. 이름이나 흔한 비밀번호는 쓸 수 없습니다.",
        "10 characters or more; a long sentence is best. Neither your name nor a common password.",
    ),
    "password.short": ("10자 이상이어야 합니다.", "It must have 10 characters or more."),
    "password.long": ("200자를 넘을 수 없습니다.", "It can have 200 characters at most."),
    "password.name": (
        "이름이 들어 있습니다. 다른 비밀번호를 써 주세요.",
        "It contains your name: choose another.",
    ),
    "password.common": (
        "누구나 먼저 시도하는 비밀번호입니다. 다른 것을 써 주세요.",
        "This is one of the passwords that are tried first: choose another.",
    ),
    "password.differs": ("두 비밀번호가 서로 다릅니다.", "The two passwords are not the same."),
    "password.change": ("비밀번호 바꾸기", "Change the password"),
    "password.wrong": ("현재 비밀번호가 맞지 않습니다.", "The current password is not right."),
    "factor.title": ("인증 앱", "Authenticator app"),
    "factor.scan": (
        "휴대전화의 인증 앱(Google OTP, Microsoft Authenticator 등)으로 이 QR 코드를 찍어 주세요.",
        "Scan this picture with an authenticator app on your phone (Google Authenticator, Microsoft …).",
    ),
    "factor.qr": ("인증 앱이 읽을 QR 코드", "QR code for the authenticator app"),
    "factor.letters": ("찍을 수 없으면 이 글자를 입력하세요", "If you cannot scan it, type these letters"),
    "factor.code": ("인증 앱에 보이는 6자리 번호", "The 6 digits that the app shows"),
    "factor.wrong": (
        "번호가 맞지 않습니다. 휴대전화의 시각이 맞는지 확인하고, 새 번호로 다시 해 주세요.",
        "The code is not right. See that your phone's clock is, and try with the next code.",
    ),
    "factor.help": (
        "휴대전화를 바꾸었을 때 다시 등록합니다. 새 인증 앱이 확인될 때까지 지금 것이 계속 쓰입니다.",
        "For another phone. The present app counts until the new one is proved.",
    ),
    "factor.begin": ("인증 앱 다시 등록", "Set up the app again"),
    "factor.prove": ("확인", "Confirm"),
    "recovery.title": ("복구 코드", "Recovery codes"),
    "recovery.lead": (
        "휴대전화를 쓸 수 없을 때 하나씩 사용합니다. 지금만 표시되니 인쇄하거나 안전한 곳에 적어 두세요.",
        "Use one when your phone is not there. They are shown only now: print them, or write them down.",
    ),
    "recovery.done": ("보관했습니다", "I have kept them"),
    "recovery.print": ("인쇄", "Print"),
    "recovery.left": ("쓰지 않은 코드가 {left}개 남아 있습니다.", "{left} codes are left."),
    "recovery.new": ("새 복구 코드 만들기", "Make new codes"),
    "recovery.help": ("이전 코드는 모두 쓸 수 없게 됩니다.", "All earlier codes stop working."),
    "account.title": ("내 계정", "My account"),
    "account.roles": ("역할", "Roles"),
    "account.no_roles": ("아직 없음", "none yet"),
    "account.changed": (
        "바꾸었습니다. 다른 기기에서는 모두 로그아웃되었습니다.",
        "Changed. All other sessions were signed out.",
    ),
    "account.language": ("언어", "Language"),
    "account.korean": ("한국어", "한국어"),
    "account.english": ("English", "English"),
    "account.sessions": ("로그인된 기기", "Where you are signed in"),
    "account.this": ("이 브라우저", "this browser"),
    "account.browser": ("브라우저", "Browser"),
    "account.address": ("주소", "Address"),
    "account.since": ("로그인", "Signed in"),
    "account.seen": ("마지막 화면", "Last page"),
    "account.end": ("로그아웃", "Sign out"),
    "account.end_all": ("모든 기기에서 로그아웃", "Sign out everywhere"),
    "account.sign_on": (
        "회사의 통합 로그인으로 들어오셨습니다. 비밀번호와 인증 앱은 회사의 것입니다.",
        "You came through your company's sign-on: password and second factor are your company's.",
    ),
}
