"""The words of an explanation to a member; Korean, English. A paragraph is a tuple of sentences.

No sentence names a suspicion, a guess, another member, or a way by which people check the program: what is
said of the way to a decision is said to every member.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from pipeline.verdict import Status
from worker.results.explained import Decided, Progress
from worker.results.texts import Both

Sentences = tuple[Both, ...]

TITLE: Final[Both] = ("사진 인증에 대한 설명", "About the verification of your photos")
ABOUT: Final[Sentences] = (
    (
        "{member} 회원님의 사진 인증에 대해 무엇이 언제 결정되었는지 설명해 드립니다.",
        "This tells member {member} what was decided about the verification of the photos, and when.",
    ),
    (
        "어느 사진으로, 어떤 기준에 따라, 프로그램과 담당자 가운데 누가 결정했는지도 적었습니다.",
        "It says on which photos, by which limits, and whether a program or a person decided.",
    ),
)
WRITTEN: Final[Both] = (
    "{when}에 작성했습니다. 시각은 모두 한국 시간입니다.",
    "Written on {when}. All times are Korean time.",
)
SANDBOX: Final[Both] = (
    "시험용 회원입니다. 사진에 실제 사람이 없고, 결과는 시험을 위해 미리 정해 둔 것입니다.",
    "This is a member for tests: the photos show no real person, and the results were set in advance.",
)

# Requests

REQUESTS: Final[Both] = ("요청과 결과", "What was asked, and what came of it")
NO_REQUEST: Final[Both] = (
    "사진 인증을 요청하신 기록이 없습니다. 그래서 결정된 것도 없습니다.",
    "No request for a verification is on record, so nothing was decided.",
)
STANDING: Final[Both] = ("지금의 결과: {when}의 요청", "The result that holds: the request of {when}")
OTHER: Final[Both] = ("{when}의 요청", "The request of {when}")
ASKED: Final[Mapping[str | None, Both]] = {
    "signup": (
        "{when}에 가입하시면서 사진 인증을 요청하셨습니다(접수 번호 {number}).",
        "You signed up and asked for a verification of your photos on {when} (number {number}).",
    ),
    "photos_changed": (
        "사진이 바뀌어 {when}에 사진 인증이 요청되었습니다(접수 번호 {number}).",
        "Your photos had changed, so a verification was asked for on {when} (number {number}).",
    ),
    "operator": (
        "저희가 {when}에 사진 인증을 다시 요청했습니다(접수 번호 {number}).",
        "We asked for a verification of your photos on {when} (number {number}).",
    ),
    None: (
        "{when}에 사진 인증 요청이 도착했습니다(접수 번호 {number}).",
        "A request for a verification arrived on {when} (number {number}).",
    ),
}
PROGRESS: Final[Mapping[Progress, Both]] = {
    Progress.WAITING: (
        "아직 확인하고 있어 결과가 없습니다. 지금 하실 일은 없습니다.",
        "It is still being checked: there is no result yet, and nothing to do for now.",
    ),
    Progress.FAILED: (
        "저희 쪽 문제로 확인을 마치지 못해 죄송합니다. 회원님께서 잘못하신 것은 없습니다.",
        "For reasons on our side it could not be finished, and we are sorry. You did nothing wrong.",
    ),
    Progress.SUPERSEDED: (
        "그 뒤에 새로운 요청이 있어, 이 요청으로는 결과를 정하지 않았습니다.",
        "A newer request came after it, so nothing was decided by this one.",
    ),
    Progress.NO_CONSENT: (
        "사진 인증에 동의하지 않으신 상태여서 결과를 정하지 않았습니다.",
        "You did not agree to the verification at that time, so nothing was decided.",
    ),
    Progress.NOT_ACCEPTED: (
        "앱이 보낸 내용에 오류가 있어 접수하지 못했습니다. 회원님께서 잘못하신 것은 없습니다.",
        "There was an error in what the app had sent, so it was not accepted. You did nothing wrong.",
    ),
}
OUTCOME: Final[Both] = ("결과와 결정한 주체:", "What came of it, and who decided:")
STEP: Final[Both] = ("{when}: {said}", "{when}: {said}")
_NO_PERSON: Final[Both] = ("사람은 관여하지 않았습니다.", "No person took part.")
STEPS: Final[Mapping[tuple[Decided, Status], Sentences]] = {
    (Decided.PROGRAM, Status.APPROVED): (
        (
            "프로그램이 사진을 비교해 인증을 완료했습니다.",
            "The program compared the photos and completed the verification.",
        ),
        _NO_PERSON,
    ),
    (Decided.PROGRAM, Status.REVIEW): (
        (
            "프로그램이 결과를 정하지 않고 담당자에게 확인을 맡겼습니다.",
            "The program decided nothing and left it to a person.",
        ),
    ),
    (Decided.PROGRAM, Status.RETRY_PHOTO): (
        ("프로그램이 다른 사진을 요청했습니다.", "The program asked for another photo."),
        _NO_PERSON,
    ),
    (Decided.PROGRAM, Status.REJECTED): (
        (
            "유사도가 아래의 기준에 미치지 못해 프로그램이 인증을 완료하지 않기로 했습니다.",
            "The similarity is below the limit that is named below: the program completed no verification.",
        ),
        _NO_PERSON,
    ),
    (Decided.PROGRAM, Status.ERROR): (
        (
            "저희 쪽 문제로 프로그램이 사진을 확인하지 못했습니다.",
            "For reasons on our side the program could not check the photos.",
        ),
        ("회원님께서 잘못하신 것은 없습니다.", "You did nothing wrong."),
    ),
    (Decided.PERSON, Status.APPROVED): (
        ("담당자가 인증을 완료했습니다.", "A person completed the verification."),
    ),
    (Decided.PERSON, Status.RETRY_PHOTO): (
        ("담당자가 다른 사진을 요청했습니다.", "A person asked for another photo."),
    ),
    (Decided.PERSON, Status.REJECTED): (
        (
            "담당자가 인증을 완료하지 않기로 결정했습니다.",
            "A person decided not to complete the verification.",
        ),
    ),
}
MANUAL: Final[Sentences] = (
    (
        "요청에 따라 프로그램은 얼굴을 찾거나 비교하지 않고 담당자에게 확인을 맡겼습니다.",
        "As was asked, no program looked for a face or compared any: a person looks at the photos.",
    ),
)
MESSAGE: Final[Both] = ("안내 문구는 다음과 같습니다. “{text}”", "The message about it: “{text}”")
SIMILARITY: Final[Both] = (
    "결정에 쓴 것은 {photo}이며, 인증 사진과의 유사도는 {similarity}입니다(기준은 0.50).",
    "What decided was {photo}: its similarity to your verification photo is {similarity} (limit: 0.50).",
)
PERSON_LOOKS: Final[Both] = (
    "담당자의 확인이 아직 끝나지 않았습니다. 지금 하실 일은 없습니다.",
    "The person has not decided yet. There is nothing to do for now.",
)
PERSON_WAITS: Final[Both] = (
    "사진 인증에 다시 동의하실 때까지 담당자는 확인하지 않습니다.",
    "Nobody looks before you agree to the verification again.",
)
NOTHING_MORE: Final[Both] = (
    "이 요청에 대해서는 더 결정된 것이 없습니다.",
    "Nothing more was decided about this request.",
)
PHOTOS: Final[Both] = (
    "{when}에 확인한 사진과 그 내용:",
    "The photos that were checked on {when}, and what was found:",
)
VERSIONS: Final[Both] = (
    "사진을 확인한 모델의 버전은 {model}, 판단 규칙의 버전은 {policy}입니다.",
    "Version of the model that checked the photos: {model}; of the rules: {policy}.",
)

# What holds for every member

LIMITS: Final[Both] = ("프로그램이 비교하는 것과 기준", "What the program compares, and by which limits")
QUALITY: Final[Sentences] = (
    (
        "프로그램은 먼저 사진을 비교할 수 있는지 봅니다.",
        "First the program sees whether a photo can be compared.",
    ),
    (
        "인증 사진에는 본인만 나와야 하고, 얼굴이 너무 작지 않아야 합니다.",
        "The verification photo must show you alone, and no face may be too small.",
    ),
    (
        "사진이 흐리거나 너무 어둡거나 너무 밝지 않아야 합니다.",
        "A photo must not be blurred or grainy, nor too dark or too bright.",
    ),
    (
        "얼굴이 옆을 향하거나 마스크, 선글라스, 손으로 가려지지 않아야 합니다.",
        "The face must not be turned away, nor covered by a mask, sunglasses or a hand.",
    ),
)
COMPARISON: Final[Sentences] = (
    (
        "그다음 인증 사진의 얼굴을 프로필 사진의 얼굴과 하나씩 비교합니다.",
        "Then it compares the face of the verification photo with the face of each profile photo.",
    ),
    (
        "두 얼굴이 얼마나 닮았는지를 0에서 1 사이의 값으로 계산하며, 이것을 유사도라고 합니다.",
        "How alike two faces are is computed as a number from 0 to 1, the similarity.",
    ),
    (
        "유사도가 0.50 이상이면 같은 사람의 얼굴로 봅니다.",
        "From 0.50 on the program takes two faces for those of one person.",
    ),
)
RATE: Final[Sentences] = (
    (
        "이 기준은 회원 {people}명의 사진으로 정했습니다.",
        "The limit was set on photos of {people} members.",
    ),
    (
        "두 사람의 얼굴을 비교하면 약 {pairs}번에 한 번 잘못 통과하는 수준입니다.",
        "Of pairs of two people about one in {pairs} passes it by mistake.",
    ),
)
MAY_BE_WRONG: Final[Sentences] = (
    ("프로그램은 틀릴 수 있습니다.", "The program can be wrong."),
    (
        "그래서 기준을 모두 만족할 때에만 프로그램이 혼자 인증을 완료합니다.",
        "So it completes a verification by itself only where every limit is met.",
    ),
    (
        "그 밖에는 더 알아보기 쉬운 사진을 요청하거나 담당자에게 확인을 맡깁니다.",
        "Otherwise it asks for a clearer photo, or leaves it to a person.",
    ),
    (
        "정해진 절차에 따라 담당자가 확인하기도 합니다.",
        "A person also looks where our procedure says so.",
    ),
)
PEOPLE: Final[Sentences] = (
    (
        "담당자는 프로그램이 무엇이라고 했는지 보기 전에 사진을 직접 보고 먼저 판단합니다.",
        "A person looks at the photos and judges them before seeing what the program said.",
    ),
)
REJECTS: Final[Sentences] = (
    (
        "유사도가 기준보다 뚜렷하게 낮으면 프로그램이 인증을 완료하지 않기로 할 수 있습니다.",
        "Where the similarity is clearly below the limit the program may complete no verification.",
    ),
)
REJECTS_NOBODY: Final[Sentences] = (
    (
        "프로그램은 혼자서 인증을 거절하지 않습니다. 거절은 사람만 결정합니다.",
        "The program turns nobody down by itself. Only people decide that.",
    ),
)
INFORMATION: Final[Both] = ("이용한 정보와 보관 기간", "What information is used, and how long it is kept")
USED: Final[Both] = (
    "사진 인증에는 회원 번호, 인증 사진, 프로필 사진을 이용합니다.",
    "A verification uses your member number, your verification photo and your profile photos.",
)
USED_GENDER: Final[Both] = (
    "가입하실 때 적으신 성별도 이용합니다.",
    "It also uses the gender that you gave when you signed up.",
)
KEPT_HOW_LONG: Final[Both] = (
    "인증 시스템이 보관하는 정보와 기간은 다음과 같습니다.",
    "What the verification system keeps, and how long:",
)
KEPT: Final[Sentences] = (
    (
        "사진과 얼굴의 특징: 확인하는 동안에만 쓰고 저장하지 않습니다.",
        "Photos, and what is computed of a face: used while they are checked, and not stored.",
    ),
    (
        "사진의 주소: 회원 정보가 삭제될 때까지 보관합니다.",
        "The addresses of photos: until your data is deleted.",
    ),
    (
        "끝난 요청에 적힌 주소에서 사진을 여는 데 쓰는 부분: {links}일 동안 보관합니다.",
        "What opens the photos in the addresses of ended requests: {links} days.",
    ),
    (
        "사진마다 측정한 값(유사도, 밝기, 얼굴의 위치 등): {numbers}일 동안 보관합니다.",
        "What was measured in each photo (similarity, brightness, place of the face …): {numbers} days.",
    ),
    (
        "같은 사진인지 알아보는 짧은 값(얼굴은 알 수 없음): 회원 정보가 삭제될 때까지 보관합니다.",
        "Short values that tell a photo, and no face: until your data is deleted.",
    ),
    (
        "요청, 결과, 담당자의 판단, 동의와 이의: 회원 정보가 삭제될 때까지 보관합니다.",
        "Requests, results, what people decided, your consents and objections: until your data is deleted.",
    ),
    (
        "앱에 보낸 결과 알림: {events}일 동안 보관합니다.",
        "Messages that tell the app of results: {events} days.",
    ),
    (
        "처리하지 못한 요청의 내용: {unprocessed}일 동안 보관합니다.",
        "What stood in requests that could not be processed: {unprocessed} days.",
    ),
    (
        "담당자가 회원님의 정보를 본 기록: {looks}일 동안 보관합니다.",
        "Records of who among our staff looked at your data: {looks} days.",
    ),
)
KEPT_IN_TRAINING: Final[Both] = (
    "학습에 동의하셨으므로, 학습하는 동안 얼굴의 특징을 암호화해 보관하고 끝나면 삭제합니다.",
    "As you agree to training, what is computed of your face is kept, encrypted, while one runs.",
)
CONSENTS: Final[Both] = ("동의 기록", "Your consents")
PURPOSES: Final[Mapping[str, Both]] = {
    "verification": ("사진 인증", "Verification"),
    "training": ("프로그램의 학습", "Training of the program"),
}
ON_RECORD: Final[Both] = ("기록된 동의:", "On record:")
NONE_ON_RECORD: Final[Both] = (
    "인증 시스템에 따로 기록된 동의가 없습니다.",
    "The verification system has no consent on record.",
)
GIVEN: Final[Both] = (
    "{purpose}{version}: {when}에 동의하셨습니다.",
    "{purpose}{version}: you agreed on {when}.",
)
GIVEN_SOMETIME: Final[Both] = (
    "{purpose}{version}: 동의하셨습니다. 동의하신 때는 기록에 없습니다.",
    "{purpose}{version}: you agreed; when is not on record.",
)
WITHDRAWN: Final[Both] = ("{when}에 동의를 거두셨습니다.", "You withdrew it on {when}.")
REFUSED: Final[Both] = (
    "{purpose}{version}: {when}에 동의하지 않으신 것으로 기록되었습니다.",
    "{purpose}{version}: on {when} it was recorded that you do not agree.",
)
VERSION: Final[Both] = ("(문구 {version})", " (text {version})")
NOW: Final[Both] = ("지금의 상태:", "As it stands:")
AGREES: Final[Both] = (
    "{purpose}: 동의하신 것으로 다루고 있습니다.",
    "{purpose}: handled as agreed to.",
)
AGREES_NOT: Final[Both] = (
    "{purpose}: 동의하지 않으신 것으로 다루고 있습니다.",
    "{purpose}: handled as not agreed to.",
)
WITHDRAWING: Final[Both] = (
    "동의는 언제든지 거두실 수 있습니다. 고객센터로 알려 주세요.",
    "You can withdraw a consent at any time: please tell our customer support.",
)
RIGHTS: Final[Both] = ("이의가 있으실 때", "If you disagree")
OBJECT: Final[Sentences] = (
    (
        "결과에 이의가 있으시거나 프로그램이 결정하는 것을 원하지 않으실 수 있습니다.",
        "You may disagree with a result, or not want a program to decide.",
    ),
    (
        "그때는 담당자가 직접 확인하도록 요청하실 수 있습니다(개인정보 보호법 제37조의2).",
        "Then you can ask for a person (article 37-2 of Korea's Personal Information Protection Act).",
    ),
    (
        "고객센터로 알려 주시면, 요청을 받은 날부터 {days}일 안에 결과를 알려 드리겠습니다.",
        "Please tell our customer support: you will have an answer within {days} days.",
    ),
)
OBJECTION: Final[Both] = (
    "{received}에 담당자의 확인을 요청하셨습니다.",
    "You asked for a person on {received}.",
)
OBJECTION_DUE: Final[Both] = (
    "{due}까지 담당자가 확인하고 결과를 알려 드리겠습니다.",
    "You will have an answer by {due}.",
)
OBJECTION_LATE: Final[Both] = (
    "{due}까지 결과를 알려 드려야 했으나 늦어지고 있어 죄송합니다.",
    "The answer was due on {due}. We are sorry that it is late.",
)
OBJECTION_ANSWERED: Final[Both] = ("{answered}에 담당자가 결정했습니다.", "A person decided on {answered}.")
ASK: Final[Both] = (
    "이 설명에 대해 궁금하신 점이 있으면 고객센터로 물어봐 주세요.",
    "If anything in this explanation is not clear, please ask our customer support.",
)
