"""Member IDs as Excel shows them, with their number formats, or why that cannot be known."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any, Final

from openpyxl.styles.numbers import is_date_format

from worker.client.identifiers import is_identifier
from worker.importing.cells import Unreadable, text_of
from worker.importing.sheet import GENERAL

_EXACT: Final = 10**15  # Excel keeps fifteen digits of a number
_MAX_CODE: Final = 255  # characters of a number format
_SECTIONS: Final = re.compile(r'((?:"[^"]*"|\\.|[^;])*)(?:;|$)')
_TOKEN: Final = re.compile(
    r"""
      "(?P<quoted>[^"]*)" | \\(?P<escaped>.) | (?P<literal>[-+(): ]) | _(?P<blank>.)
    | (?P<place>[0#]|General) | (?P<text>@)
    | \[(?:\$-[0-9A-F]{3,4}|(?i:black|blue|cyan|green|magenta|red|white|yellow|color\d+))\]
    """.replace("\n", ""),
    re.VERBOSE,
)
_EXPONENT: Final = re.compile(r"-?\d(?:\.\d+)?E\+\d+", re.IGNORECASE)
_GENERAL_DIGITS, _SHORT_DIGITS = 11, 6
"""Of more than eleven digits Excel shows six and an exponent; saved as a CSV, these are all that is left."""
_NOTHING: Final = frozenset(("nan", "nat", "none", "null", "<na>", "n/a", "undefined", "inf", "-inf"))

_SHORTENED: Final = (
    "엑셀이 회원번호를 지수로 줄였습니다. 셀 서식을 '텍스트'로 바꾸고 다시 입력해 주세요 "
    "(Excel has shortened the member ID: make the cell a text and type it again)"
)
_UNSURE: Final = (
    "회원번호의 표시 형식을 읽을 수 없습니다. 셀 서식을 '텍스트'로 바꾸고 다시 입력해 주세요 "
    "(the number format of the member ID cannot be read: make the cell a text and type it again)"
)


class BadId(Exception):
    """The cell holds no member ID; the text says why, in Korean and English."""


def member_id_in(value: Any, code: str = GENERAL) -> str:
    """The member ID that a cell with this number format shows. Raises BadId."""
    if isinstance(value, Unreadable):
        raise BadId(value.reason.format(ko="회원번호", en="member ID"))
    if isinstance(value, bool):
        raise BadId("회원번호 칸이 참/거짓입니다 (the member ID is true or false)")
    if len(code) > _MAX_CODE:
        raise BadId(_UNSURE)
    shown = _of_number(value, code) if isinstance(value, int | float) else _of_text(text_of(value), code)
    if not is_identifier(shown):
        raise BadId(
            "회원번호는 공백 없는 영문·숫자·기호 1~64자여야 합니다 "
            "(the member ID must be 1 to 64 ASCII characters without spaces)"
        )
    return shown


def _of_number(number: float, code: str) -> str:
    if is_date_format(code):
        raise BadId("회원번호 칸이 날짜나 시간입니다 (the member ID is a date or a time)")
    if abs(number) >= _EXACT:
        raise BadId(
            "회원번호가 15자리를 넘어 엑셀이 숫자를 바꾸었습니다. 셀 서식을 '텍스트'로 바꾸고 "
            "다시 입력해 주세요 (Excel has rounded the member ID: make the cell a text and type it again)"
        )
    if number != int(number):
        raise BadId("회원번호에 소수점이 있습니다 (the member ID has decimals)")
    digits = str(int(number))
    if len(digits) > _GENERAL_DIGITS and not digits[_SHORT_DIGITS:].strip("0"):
        raise BadId(_SHORTENED)
    if code in {GENERAL, "@", "0"}:
        return digits
    sections = _sections(code)
    if number < 0 or (number == 0 and len(sections) > 2):
        raise BadId(_UNSURE)
    return _filled(_tokens(sections[0]), digits if number else "")


def _of_text(text: str, code: str) -> str:
    """A format may add to a text, too: `"M-"@`."""
    if not text:
        raise BadId("회원번호가 없습니다 (no member ID)")
    if _EXPONENT.fullmatch(text):
        raise BadId(_SHORTENED)
    if text.casefold() in _NOTHING:
        raise BadId(
            f"회원번호가 아니라 빈 값을 뜻하는 글자입니다: {text} (no member ID but a word for nothing)"
        )
    sections = _sections(code)
    section = sections[3] if len(sections) > 3 else next((one for one in sections if "@" in one), "@")
    return "".join(text if kind == "text" else sign for kind, sign in _tokens(section)).strip()


def _sections(code: str) -> list[str]:
    """For positive numbers, negative ones, zero and text; those at the end may be missing."""
    return _SECTIONS.findall(code)[: code.count(";") + 1]


@lru_cache(maxsize=256)
def _tokens(section: str) -> tuple[tuple[str, str], ...]:
    """Literals, places for digits, and the place for a text. Raises BadId for whatever else there is."""
    found, end = [], 0
    for token in _TOKEN.finditer(section):
        if token.start() != end:
            break
        end = token.end()
        if token.lastgroup is None:
            continue  # a color or a language
        kind = token.lastgroup if token.lastgroup in {"place", "text"} else "literal"
        found.append((kind, " " if token.lastgroup == "blank" else token[token.lastgroup]))
    if end != len(section):
        raise BadId(_UNSURE)  # dates, fractions, thousands, percents, exponents, conditions
    return tuple(found)


def _filled(tokens: tuple[tuple[str, str], ...], digits: str) -> str:
    """The digits in their places, from the right; those left over go where the first place is."""
    places = [index for index, (kind, _) in enumerate(tokens) if kind == "place"]
    is_one_number = bool(places) and places[-1] - places[0] == len(places) - 1
    are_zeros = bool(places) and all(tokens[index][1] != "#" for index in places)
    if any(kind == "text" for kind, _ in tokens) or not (is_one_number or are_zeros):
        raise BadId(_UNSURE)
    shown, left = [], digits
    for index in range(len(tokens) - 1, -1, -1):
        kind, sign = tokens[index]
        if kind == "place":
            here = left if index == places[0] else left[-1:]
            left = left[: len(left) - len(here)]
            sign = here or ("" if sign == "#" else "0")
        shown.append(sign)
    return "".join(reversed(shown)).strip()
