"""Words for where a similarity lies."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from worker.results.texts import Both

WORDS: Final[Mapping[str, Both]] = {
    "similarity.title": ("유사도의 위치", "Where this similarity lies"),
    "similarity.alt": (
        (
            "위쪽 막대는 같은 사람의 사진 쌍, 아래쪽 막대는 다른 사람의 사진 쌍입니다. 굵은 선이 이 사진의 "
            "유사도입니다."
        ),
        (
            "Bars upwards are pairs of one person, bars downwards pairs of two people. The heavy line is "
            "this photo."
        ),
    ),
    "similarity.genuine": ("같은 사람 쌍", "pairs of one person"),
    "similarity.impostor": ("다른 사람 쌍", "pairs of two people"),
    "similarity.own": ("회원, 최근 7일", "members, last 7 days"),
    "similarity.approve": ("승인 기준", "approve"),
    "similarity.different": ("다른 사람 기준", "different"),
    "similarity.words": (
        "유사도 {similarity}: 다른 사람 쌍 가운데 이만큼 비슷한 것은 {above}입니다.",
        "Similarity {similarity}: of the pairs of two people {above} are as similar.",
    ),
    "similarity.words.genuine": (
        "같은 사람 쌍의 {below}는 이보다 덜 비슷합니다.",
        "Of the pairs of one person {below} are less similar.",
    ),
    "similarity.words.about": ("약 {value}", "about {value}"),
    "similarity.words.under": ("{value} 미만", "fewer than {value}"),
    "similarity.source.cross_fit": (
        (
            "기준: 공개 데이터의 같은 사람 쌍 {genuine}쌍({genuine_people}명), 다른 사람 쌍 "
            "{impostor}쌍({impostor_people}명)."
        ),
        (
            "Reference: open data, {genuine} pairs of one person ({genuine_people} people), {impostor} of "
            "two ({impostor_people} people)."
        ),
    ),
    "similarity.source.test_set": (
        (
            "기준: 학습에 쓰지 않은 회원의 같은 사람 쌍 {genuine}쌍({genuine_people}명), 다른 사람 쌍 "
            "{impostor}쌍({impostor_people}명)."
        ),
        (
            "Reference: members who were not trained on, {genuine} pairs of one person ({genuine_people} "
            "people), {impostor} of two ({impostor_people} people)."
        ),
    ),
    "similarity.source.calibration": (
        (
            "기준: 보정에 쓴 같은 사람 쌍 {genuine}쌍({genuine_people}명), 다른 사람 쌍 "
            "{impostor}쌍({impostor_people}명)."
        ),
        (
            "Reference: the pairs of the calibration, {genuine} of one person ({genuine_people} people), "
            "{impostor} of two ({impostor_people} people)."
        ),
    ),
    "similarity.none": (
        "이 모델에는 비교할 기준 분포가 없습니다.",
        "There is no reference for this model to compare with.",
    ),
}
