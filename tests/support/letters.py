"""What must not stand in a letter to a member, whatever was found and said."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from pipeline.verdict import FetchProblem, Outcome, Reason
from worker.results.letter import Letter
from worker.results.reviewer_reasons import ReviewReason
from worker.store.tables.states import Cause

FORBIDDEN: Final = (
    *("도용", "사기", "의심", "가짜", "사칭", "위조", "복제", "합성", "불일치"),
    *("동일인", "다른 사람", "다른 회원", "본인이 아"),
    *("블라인드", "표본", "무작위", "추정", "남성", "여성", "심사", "메모"),
    *("fraud", "stolen", "scam", "suspic", "fake", "imperson", "cheat", "copied"),
    *("forged", "duplicate", "mismatch", "different person", "somebody else"),
    *("someone else", "other member", "another member", "audit", "sample"),
    *("random", "shadow", "reviewer", "note", "predicted", "guess"),
    *("male", "female", "woman"),
)
"""Words of suspicion, of guesses, and of how people and the program are checked."""
CODES: Final = frozenset(
    code for words in (Reason, ReviewReason, Outcome, FetchProblem, Cause) for code in words if "_" in code
)


def text_of(letter: Letter) -> str:
    """All of it, a paragraph or a point on each line."""
    return "\n".join(lines_of(letter))


def lines_of(letter: Letter) -> list[str]:
    """Title, headings, paragraphs and points."""
    found = [letter.title, *(paragraph.text for paragraph in letter.about)]
    for section in letter.sections:
        found.append(section.heading)
        for paragraph in section.paragraphs:
            found += [paragraph.text, *paragraph.points]
    return found


def forbidden_in(text: str, names: Iterable[str] = ()) -> set[str]:
    """Forbidden words, codes and these names, as whole words where they are Latin."""
    latin = {word for word in (*FORBIDDEN, *CODES, *names) if word.isascii()}
    words = {one for one in latin if re.search(rf"\b{re.escape(one)}", text, re.IGNORECASE)}
    return words | {one for one in FORBIDDEN if not one.isascii() and one in text}
