"""Words about photos: why one is not shown, and what its file says."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from worker.results.texts import Both

WORDS: Final[Mapping[str, Both]] = {
    "photo.problem.not_judged": (
        "프로그램이 이 사진 파일을 받지 못했거나 열 수 없었습니다. 답하지 않아도 됩니다.",
        "The program had no file of this photo, or could not open it. It needs no answer.",
    ),
    "photo.problem.other_file": (
        "다른 사진입니다: 이 주소에 지금 있는 파일은 프로그램이 판정한 파일이 아니어서 보여 드리지 않습니다.",
        "Another photo: the file at this address now is not the one that was judged, so it is not shown.",
    ),
    "photo.problem.link_expired": (
        "사진 링크가 만료되었거나 거절되었습니다.",
        "The photo's link has expired or is refused.",
    ),
    "photo.problem.gone": ("사진이 더 이상 없습니다.", "The photo is no longer there."),
    "photo.problem.not_reached": (
        "사진 서버가 응답하지 않습니다. 잠시 후 다시 불러와 주세요.",
        "The photo's server does not answer. Please load it again in a while.",
    ),
    "photo.problem.busy": (
        "많은 사진을 불러오는 중입니다. 잠시 후 다시 불러와 주세요.",
        "Many photos are being loaded just now. Please load it again in a while.",
    ),
    "photo.problem.not_allowed": (
        "허용되지 않은 주소의 사진입니다. 운영자에게 알려 주세요.",
        "The photo is at an address that is not allowed. Please tell your operator.",
    ),
    "photo.problem.not_a_photo": (
        "사진 서버가 사진이 아닌 것을 보냈습니다.",
        "The photo's server sends something that is no photo.",
    ),
    "photo.problem.undecodable": ("사진 파일을 열 수 없습니다.", "The photo's file cannot be opened."),
    "photo.problem.too_large": (
        "사진의 화소 수가 너무 많아 열지 않았습니다.",
        "The photo has too many pixels to be opened.",
    ),
    "photo.problem.our_fault": (
        "프로그램 오류로 사진을 보여 드리지 못했습니다.",
        "The photo could not be shown because of an error of the program.",
    ),
    "photo.problem.not_yours": (
        "지금 맡고 있는 건의 사진이 아닙니다. 화면을 새로 고쳐 주세요.",
        "This is no photo of the case that you have now. Please reload the page.",
    ),
    "photo.fact.camera": ("카메라", "Camera"),
    "photo.fact.taken": ("촬영 일시", "Taken"),
    "photo.fact.software": ("소프트웨어", "Software"),
    "photo.fact.pixels": ("크기", "Size"),
    "photo.fact.file": ("파일", "File"),
    "photo.fact.pixels.value": ("{width:,} × {height:,}픽셀", "{width:,} × {height:,} pixels"),
    "photo.fact.unknown": ("기록 없음", "not recorded"),
    "photo.fact.note": (
        "파일에 적힌 내용이며, 누구나 고칠 수 있습니다.",
        "As written in the file, which anybody can change.",
    ),
}
