"""Words of the case in hand."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from worker.results.texts import Both

WORDS: Final[Mapping[str, Both]] = {
    "case.title": ("사진 심사", "Review"),
    "case.progress": ("오늘 결정 {done}건", "{done} decided today"),
    "case.none": ("지금 맡은 건이 없습니다.", "You have no case in hand."),
    "case.none.waiting": (
        "{n}건이 대기 중입니다. 순서대로 배정되며, 맡은 건은 5분 동안 다른 사람에게 가지 않습니다.",
        "{n} cases wait. They come in their order; the one you take is yours for five minutes.",
    ),
    "case.none.nothing": (
        "대기 중인 건이 없습니다. 수고하셨습니다.",
        "Nobody waits for a review.",
    ),
    "case.nothing_for_you": (
        "지금 맡을 수 있는 건이 없습니다. 남은 건은 다른 사람이 심사 중이거나 본인이 결정할 수 없습니다.",
        "There is nothing for you now: what is left is in other hands, or for others to decide.",
    ),
    "case.next": ("다음 건 심사", "Review the next case"),
    "case.released": (
        "건을 반납했습니다. 다른 심사자가 맡을 수 있습니다.",
        "The case is given back: anybody can take it.",
    ),
    "case.release": ("반납", "Give back"),
    "case.member": ("회원", "Member"),
    "case.selfie": ("셀카", "Selfie"),
    "case.photo": ("{n}번 사진", "Photo {n}"),
    "case.photos": ("사진 비교", "Compare the photos"),
    "case.photos.none": ("프로필 사진이 없습니다.", "There is no gallery photo."),
    "case.not_fetched": (
        "프로그램이 이 사진을 받지 못해 비교할 수 없습니다. 답하지 않아도 됩니다.",
        "The worker could not fetch this photo, so it cannot be compared. It needs no answer.",
    ),
    "case.selfie_not_fetched": (
        "프로그램이 셀카를 받지 못했습니다.",
        "The worker could not fetch the selfie.",
    ),
    "case.failed": ("사진을 불러오지 못했습니다.", "The photo could not be loaded."),
    "case.retry": ("다시 불러오기", "Try again"),
    "case.question": ("{photo}: 셀카와 같은 사람입니까?", "{photo}: is it the person of the selfie?"),
    "case.step.blind": ("1단계 · 사진만 보고 답하기", "Step 1 · Answer by the photos alone"),
    "case.step.evidence": ("2단계 · 근거를 보고 결정하기", "Step 2 · See the evidence and decide"),
    "case.blind.help": (
        "모든 사진에 답하면 프로그램이 찾은 내용을 볼 수 있습니다.",
        "Once every photo is answered, what the machine found is shown.",
    ),
    "case.submit": ("답변 제출", "Submit the answers"),
    "case.answered": ("{all}장 중 {n}장 답함", "{n} of {all} answered"),
    "case.answer.none": ("아직", "not yet"),
    "case.answer.yours": ("내 답변", "Your answer"),
    "case.answer.save": ("고친 답변 저장", "Save the corrections"),
    "case.tools": ("사진 보기", "View"),
    "case.whole": ("전체 사진", "Whole photo"),
    "case.marks": ("표시", "Marks"),
    "case.zoom_in": ("확대", "Zoom in"),
    "case.zoom_out": ("축소", "Zoom out"),
    "case.zoom_reset": ("원래 크기", "Original size"),
    "case.help": ("도움말", "Help"),
    "case.lease": ("{time} 뒤에 이 건의 배정이 해제됩니다.", "This case goes back in {time}."),
    "case.lease.stay": ("계속 심사", "Keep it"),
    "case.lease.lost": (
        "시간이 지나 배정이 해제되었습니다. 화면의 답은 저장되지 않았습니다.",
        "Time has run out and the case went back. What is on the screen was not saved.",
    ),
    "case.offline": (
        "서버에 연결할 수 없습니다. 잠시 후 다시 해 주세요.",
        "The server cannot be reached. Please try again in a moment.",
    ),
    "case.missing": ("아직 답하지 않은 사진이 있습니다.", "A photo has no answer yet."),
    "case.unseen": (
        "사진을 불러오지 못했습니다. 다시 불러오거나 ‘판단 불가’로 답해 주세요.",
        "The photo could not be loaded. Load it again, or answer “Cannot tell”.",
    ),
    # What the machine found
    "evidence.title": ("프로그램이 찾은 내용", "What the machine found"),
    "evidence.why": ("접수 사유", "Opened because"),
    "evidence.objected": ("이의 제기 {day}", "objected on {day}"),
    "evidence.verdict": ("프로그램의 판정", "The machine's verdict"),
    "evidence.reason": ("판정 사유", "Reason"),
    "evidence.standing": ("현재 판정의 사유", "Reason of the standing verdict"),
    "evidence.similarity": ("유사도", "Similarity"),
    "evidence.limit": ("기준 0.50", "threshold 0.50"),
    "evidence.tries": ("승인 없는 이전 시도", "Earlier tries without an approval"),
    "evidence.gender": ("신고된 성별", "Declared gender"),
    "evidence.about": ("문제가 된 사진", "About"),
    "evidence.manual": (
        "프로그램이 비교하지 않은 건입니다. 사진만 보고 결정해 주세요.",
        "The machine has compared nothing here: decide by the photos.",
    ),
    "evidence.nothing_usable": (
        "비교할 수 있는 프로필 사진이 없습니다. 새 사진을 요청하거나 상위 심사로 넘겨 주세요.",
        "No gallery photo can be compared. Ask for a new photo, or escalate.",
    ),
    "evidence.faces": ("사람 수", "People"),
    "evidence.replay": ("셀카와 같은 사진입니다.", "The same picture as the selfie."),
    "evidence.swapped": (
        "이전 판정 때는 같은 주소에 다른 사진이 있었습니다.",
        "At the verdict before another picture lay at this address.",
    ),
    "evidence.reused": ("다른 회원이 사용한 사진", "Used by another member before"),
    "evidence.reused.same": ("같은 파일", "the same file"),
    "evidence.reused.near": ("거의 같은 사진", "a near copy"),
    "evidence.quality": ("얼굴의 품질", "Quality of the face"),
    "evidence.measure": ("항목", "Measure"),
    "evidence.value": ("값", "Value"),
    "evidence.bound": ("기준", "Limit"),
    "evidence.at_most": ("{n} 이하", "at most {n}"),
    "evidence.at_least": ("{n} 이상", "at least {n}"),
    "evidence.fine": ("적합", "fine"),
    "evidence.not_fine": ("벗어남", "beyond"),
    "evidence.not_compared": ("비교한 얼굴이 없습니다.", "No face was compared."),
    "evidence.file": ("파일 정보", "The file"),
    "evidence.earlier": ("이전 요청", "Earlier requests"),
    "evidence.said": ("이전 결정과 의견", "Earlier decisions and opinions"),
    # Deciding
    "decide.title": ("결정", "Decision"),
    "decide.code": ("이유", "Reason"),
    "decide.photo": ("바꿀 사진", "Photo to replace"),
    "decide.note": ("메모(동료용, 1,000자까지)", "Note (for colleagues, up to 1,000 characters)"),
    "decide.text": ("회원에게 보내는 안내", "What the member reads"),
    "decide.text.none": (
        "회원에게는 아무것도 보내지 않습니다. 다른 심사자에게 넘어갑니다.",
        "The member is told nothing. The case goes to others.",
    ),
    "decide.four_eyes": (
        "거절은 {n}명이 같은 결정을 해야 확정됩니다. 그때까지 회원에게 알리지 않습니다.",
        "A rejection takes {n} people who come to the same. Until then the member is told nothing.",
    ),
    "decide.undo_help": ("{n}초 안에는 되돌릴 수 있습니다.", "It can be undone for {n} seconds."),
    "decide.confirm.approve": ("승인 확정", "Approve"),
    "decide.confirm.new_photo": ("새 사진 요청 확정", "Ask for a new photo"),
    "decide.confirm.reject": ("거절 확정", "Reject"),
    "decide.confirm.escalate": ("상위 심사로 넘기기", "Escalate"),
    "undo.title": ("방금 한 결정", "Your last decision"),
    "undo.decided.approve": ("{member}: 승인했습니다.", "{member}: approved."),
    "undo.decided.new_photo": ("{member}: 새 사진을 요청했습니다.", "{member}: a new photo is asked for."),
    "undo.decided.reject": ("{member}: 거절했습니다.", "{member}: rejected."),
    "undo.waits": (
        "{member}: 다른 심사자가 같은 결정을 하면 확정됩니다.",
        "{member}: it counts once another reviewer comes to the same.",
    ),
    "undo.escalated": ("{member}: 상위 심사로 넘어갔습니다.", "{member}: escalated."),
    "undo.disagreed": (
        "{member}: 다른 심사자와 결정이 달라 상위 심사로 넘어갔습니다.",
        "{member}: another reviewer said otherwise, so the case is escalated.",
    ),
    "undo.button": ("되돌리기", "Undo"),
    "undo.left": ("{n}초", "{n} s"),
    "undo.done": ("{member}: 결정을 되돌렸습니다.", "{member}: the decision is taken back."),
    "undo.gender": (
        "프로그램의 성별 추정: {gender} ({percent}%)",
        "The machine's guess: {gender} ({percent} %)",
    ),
    # What the store would not do
    "lost.gone": (
        "이 건은 이미 끝났습니다. 다른 사람이 결정했거나, 새 사진이 올라왔거나, 회원 정보가 삭제되었습니다.",
        "This case is closed: somebody else decided, better photos came, or the member was erased.",
    ),
    "lost.taken": (
        "{name} 님이 이 건을 심사하고 있습니다. 다음 건으로 넘어가 주세요.",
        "{name} has this case now. Please go on with the next one.",
    ),
    "lost.expired": (
        "시간이 지나 이 건의 배정이 해제되었습니다. 아직 아무도 맡지 않았다면 ‘다음 건 심사’에서 이어집니다.",
        "Your time with this case ran out. If nobody else has taken it, the next case is this one again.",
    ),
    "lost.changed": (
        "회원이 그사이에 새 사진을 보냈습니다. 이 건은 새 사진으로 다시 심사됩니다.",
        "The member has sent something new meanwhile; the case comes again with that.",
    ),
    "lost.suspended": (
        "회원이 인증 동의를 철회했습니다. 다시 동의할 때까지 아무도 결정하지 않습니다.",
        "The member has withdrawn consent: nobody decides until it is given again.",
    ),
    "problem.other": ("처리할 수 없습니다.", "This cannot be done."),
    "problem.own_account": (
        "본인의 계정입니다. 다른 사람이 결정해야 합니다. 건을 반납해 주세요.",
        "This is your own account: somebody else must decide. Please give the case back.",
    ),
    "problem.objects_to_yours": (
        "내가 내린 결정에 대한 이의 제기입니다. 다른 사람이 결정해야 합니다. 건을 반납해 주세요.",
        "The member objects to what you decided: somebody else must decide. Please give the case back.",
    ),
    "problem.not_looked": ("사진을 먼저 봐 주세요.", "Look at the photos first."),
    "problem.answers_missing": (
        "모든 사진에 먼저 답해 주세요. 그다음에 결정할 수 있습니다.",
        "Answer every photo first; then you can decide.",
    ),
    "problem.no_answer": ("알 수 없는 답변입니다.", "That is no answer."),
    "problem.escalated_to_you": (
        "이미 상위 심사로 넘어온 건입니다. 여기서 결정해 주세요.",
        "The case was escalated to you already: please decide it.",
    ),
    "problem.no_such_photo": ("그런 번호의 사진이 없습니다.", "There is no photo with this number."),
    "problem.not_judged": (
        "판정이 나지 않은 요청이라 승인할 수 없습니다. 새 사진을 요청하거나 상위 심사로 넘겨 주세요.",
        "The request has no verdict, so it cannot be approved. Ask for a new photo, or escalate.",
    ),
    "problem.not_fetched": (
        "셀카나 모든 프로필 사진을 받지 못해 승인할 수 없습니다. 다른 결정을 해 주세요.",
        "The selfie, or every photo, could not be fetched: it cannot be approved. Decide otherwise.",
    ),
    "problem.opposite": (
        "모든 사진에 이 결정과 반대로 답하셨습니다. 답변을 고치거나 다른 이유를 골라 주세요.",
        "You have answered the opposite for every photo. Correct your answers, or choose another reason.",
    ),
    "problem.no_choice": ("결정을 골라 주세요.", "Please choose a decision."),
    "problem.no_reason": ("이유를 골라 주세요.", "Please choose a reason."),
    "problem.photo_needed": ("바꿀 사진을 골라 주세요.", "Please choose the photo to replace."),
    "problem.note_needed": (
        "‘그 밖의 이유’는 메모를 적어야 합니다.",
        "“Something else” needs a note that says what.",
    ),
    "problem.note_long": ("메모는 1,000자까지 쓸 수 있습니다.", "A note may have up to 1,000 characters."),
    "problem.note_signs": (
        "메모에 보이지 않는 문자가 있습니다.",
        "The note has characters that cannot be seen.",
    ),
    "problem.nothing_to_undo": ("되돌릴 결정이 없습니다.", "You have decided nothing that could be undone."),
    "problem.undo_late": (
        "1분이 지나 되돌릴 수 없습니다. 운영자에게 재심사를 요청해 주세요.",
        "After a minute nothing is undone. Ask an operator to open the case again.",
    ),
    "problem.gone_on": (
        "그사이에 이 건이 더 진행되어 되돌릴 수 없습니다.",
        "The case has gone on since, so it cannot be undone.",
    ),
    # Help
    "help.title": ("단축키", "Keys"),
    "help.answer": ("같은 사람 · 다른 사람 · 판단 불가", "Same · different · cannot tell"),
    "help.move": ("다음 사진 · 이전 사진", "Next photo · previous photo"),
    "help.enter": ("제출하거나 확정하기", "Submit, or confirm"),
    "help.decide": ("승인 · 새 사진 · 거절 · 상위 심사", "Approve · new photo · reject · escalate"),
    "help.undo": ("마지막 결정 되돌리기(60초 안)", "Undo the last decision (within 60 s)"),
    "help.whole": ("전체 사진과 얼굴 바꿔 보기", "Whole photo or face"),
    "help.marks": ("얼굴 표시(2단계)", "Marks of the face (step 2)"),
    "help.zoom": (
        "확대 · 축소 · 원래 크기(휠, 끌기, 두 손가락도 됩니다)",
        "Zoom in · out · reset (also wheel, drag, pinch)",
    ),
    "help.escape": ("선택 취소", "Cancel the choice"),
    "help.fields": (
        "글을 쓰는 동안에는 단축키가 작동하지 않습니다.",
        "Keys do nothing while you type in a field.",
    ),
}
