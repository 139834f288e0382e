"""Words of the pages about dead jobs, and of the strip about the system."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from worker.results.texts import Both

WORDS: Final[Mapping[str, Both]] = {
    "system.title": ("시스템 상태", "What the system is doing"),
    "system.waiting": ("처리 대기", "Unfinished"),
    "system.oldest": ("가장 오래된 대기", "Oldest"),
    "system.minutes": ("{n}분", "{n} min"),
    "system.failed": ("판정 후 실패", "Failed since verdict"),
    "system.dead": ("실패한 작업", "Dead jobs"),
    "system.cases": ("지연된 심사", "Cases overdue"),
    "system.objections": ("임박한 이의 제기", "Objections due"),
    "system.of": ("{n} / {all}", "{n} of {all}"),
    "system.events": ("앱에 보낼 알림", "Events to send"),
    "system.head": ("판정 모델", "Head"),
    "system.broker": (
        "작업 큐(브로커)에 연결할 수 없습니다. 요청은 데이터베이스에 남아 있고, 연결되면 자동으로 보냅니다.",
        "The queue (the broker) cannot be reached. Requests wait in the database until it is back.",
    ),
    "jobs.open": ("처리 안 됨 {n}", "open: {n}"),
    "jobs.help": (
        "처리하지 못한 작업입니다. 원인을 고친 뒤 다시 넣고, 더 할 일이 없으면 종결해 주세요.",
        "What could not be processed. Mend the cause, then put it back; dismiss what cannot be mended.",
    ),
    "jobs.all_reasons": ("모든 사유", "All reasons"),
    "jobs.closed_too": ("끝난 것도 보기", "Also closed ones"),
    "jobs.filter": ("보기", "Show"),
    "jobs.number": ("번호", "Number"),
    "jobs.since": ("발생 시각", "Since"),
    "jobs.reason": ("사유", "Reason"),
    "jobs.of": ("회원과 요청", "Member, request"),
    "jobs.do": ("할 일", "Actions"),
    "jobs.barred": ("차단된 ID", "somebody who is barred"),
    "jobs.tries": ("시도 {n}회, {bytes}바이트", "attempts: {n}, {bytes} bytes"),
    "jobs.gone": ("(내용 없음)", "(gone)"),
    "jobs.nothing": ("해당하는 작업이 없습니다.", "There are none."),
    "jobs.requeue": ("다시 넣기", "Put back"),
    "jobs.requeue.all": ("이 사유 {n}건 다시 넣기", "Put {n} of this reason back"),
    "jobs.requeue.ask": ("{n}건을 다시 넣을까요?", "Put {n} back?"),
    "jobs.requeue.cause": (
        "원인을 고치지 않았다면 같은 이유로 다시 실패합니다.",
        "Unless the cause is mended they fail for the same reason again.",
    ),
    "jobs.requeue.then": (
        "다시 넣은 작업은 큐에서 차례대로 처리됩니다.",
        "They are processed in their turn.",
    ),
    "jobs.requeue.do": ("{n}건 다시 넣기", "Put {n} back"),
    "jobs.requeued": ("{n}건을 다시 넣었습니다.", "{n} put back."),
    "jobs.unsent": (
        "그중 {n}건은 큐에 연결되지 않아 데이터베이스에서 기다리며, 자동으로 보냅니다.",
        "{n} of them wait in the database, for the queue cannot be reached; they are sent by themselves.",
    ),
    "jobs.refused": ("{n}건은 처리하지 못했습니다.", "{n} were refused:"),
    "jobs.of_reason": (
        "사유 {reason}: 화면을 연 때까지의 {n}건(한 번에 {most}건까지)",
        "Reason {reason}: {n} that were there when the page was opened (at most {most} at once).",
    ),
    "jobs.numbers": ("번호: {numbers}", "Numbers: {numbers}"),
    "jobs.dismiss": ("종결", "Dismiss"),
    "jobs.dismiss.all": ("이 사유 {n}건 종결", "Dismiss {n} of this reason"),
    "jobs.dismiss.ask": ("{n}건을 종결할까요?", "Dismiss {n}?"),
    "jobs.dismiss.then": (
        "더 처리하지 않고, 상태에 세지 않습니다. 누가 언제 왜 종결했는지 기록에 남습니다.",
        "Nothing more is done about them, and they are counted no more. Who did it, when and why stays.",
    ),
    "jobs.dismiss.back": ("나중에 다시 넣을 수 있습니다.", "They can still be put back later."),
    "jobs.dismiss.note": ("메모(선택)", "Note (optional)"),
    "jobs.dismiss.do": ("{n}건 종결", "Dismiss {n}"),
    "jobs.dismissed": ("{n}건을 종결했습니다.", "{n} dismissed."),
    "jobs.was_requeued": ("다시 넣음", "put back"),
    "jobs.was_dismissed": ("종결됨", "dismissed"),
    "dead.poison": (
        "세 번 시작했지만 끝나지 않았습니다. 프로그램을 고치거나 메모리를 늘린 뒤 다시 넣어 주세요.",
        "Begun three times and never ended. After a mended version, or with more memory, put it back.",
    ),
    "dead.conflict": (
        "같은 접수 번호에 다른 내용이 왔습니다. 앱이 새 번호로 다시 보내야 합니다. 그다음 종결해 주세요.",
        "One request ID for two contents. The sender must use a new one; then dismiss.",
    ),
    "dead.forgotten": (
        "파기된 회원의 가입 요청입니다. 정상적인 차단이므로 종결해 주세요.",
        "A sign-up of somebody who was erased. Expected: dismiss.",
    ),
    "dead.no_consent": (
        "사진 인증 동의를 철회한 회원입니다. 정상이므로 종결해 주세요.",
        "The member has withdrawn consent to verification. Expected: dismiss.",
    ),
    "dead.not_stored": (
        "데이터베이스가 결과를 받지 않았습니다. 열(컬럼)을 확인한 뒤 다시 넣어 주세요.",
        "The database does not take the result. Compare the columns, then put it back.",
    ),
    "dead.bad_sandbox_id": (
        "시험용 회원 ID가 정해진 결과를 나타내지 않습니다.",
        "The ID of a member of the sandbox names no verdict.",
    ),
    "dead.not_sandbox": (
        "실제 회원의 ID가 시험용 접두사로 시작합니다. 접두사를 바꾼 뒤 다시 넣어 주세요.",
        "A real member whose ID begins like the sandbox's. Choose another prefix, then put it back.",
    ),
    "dead.sandbox_only": (
        "시험용 작업자가 실제 회원의 요청을 받았습니다. 그 작업자를 멈춘 뒤 다시 넣어 주세요.",
        "A worker of the sandbox alone got a real member's request. Stop that worker, then put it back.",
    ),
    "dead.unknown_member": (
        "없는 회원의 이의 제기입니다. 앱과 확인한 뒤 종결해 주세요.",
        "An objection of somebody who is not here. Look with the app who it was; then dismiss.",
    ),
    "dead.no_request": (
        "요청이 없는 회원의 이의 제기입니다. 앱과 확인한 뒤 종결해 주세요.",
        "An objection of a member who has no request. Look with the app; then dismiss.",
    ),
    "dead.objection_conflict": (
        "이의 제기 번호 하나가 두 회원에게 쓰였습니다. 앱이 다시 보내야 합니다.",
        "One objection ID for two members. The app must send it again; then dismiss.",
    ),
    "dead.unknown_schema": (
        "보낸 쪽이 작업자보다 새 버전입니다. 작업자를 업데이트한 뒤 다시 넣어 주세요.",
        "The sender is newer than the workers. Update the workers, then put it back.",
    ),
    "dead.internal_error": (
        "프로그램 내부 오류입니다. 그 시각의 로그를 확인한 뒤 다시 넣어 주세요.",
        "An error inside. Read the log of that time, mend it, then put it back.",
    ),
    "dead.other": (
        "메시지가 작업 형식이 아닙니다. 보낸 쪽을 고친 뒤 종결해 주세요.",
        "The message is no job. Mend the sender; then dismiss.",
    ),
}
