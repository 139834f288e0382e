"""Member IDs are what Excel shows, or no ID at all."""

from __future__ import annotations

import pytest

from worker.importing.cells import Unreadable
from worker.importing.ids import BadId, member_id_in


@pytest.mark.parametrize(
    ("value", "member_id"),
    [
        (12345, "12345"),
        (12345.0, "12345"),
        (0, "0"),
        (-5, "-5"),
        (123456789012345, "123456789012345"),
        (12345600000, "12345600000"),
        (" m1\xa0", "m1"),
        ("\u200bm1\ufeff", "m1"),
        ("0012", "0012"),
        ("12345.0", "12345.0"),
        ("'=m1", "=m1"),
        ("Ab1", "Ab1"),
        ("12e34", "12e34"),
    ],
)
def test_a_value_without_a_format_is_itself(value: object, member_id: str) -> None:
    assert member_id_in(value) == member_id


@pytest.mark.parametrize(
    ("value", "code", "member_id"),
    [
        (42, "00000", "00042"),
        (123456, "00000", "123456"),
        (0, "000", "000"),
        (42, "@", "42"),
        (42, "0", "42"),
        (42, "#", "42"),
        (42, "##00", "42"),
        (42, '"M-"00000', "M-00042"),
        (42, r"\M\-000", "M-042"),
        (42, '"M-"General', "M-42"),
        (7, '"a;b"00', "a;b07"),
        (44, "0000-0000", "0000-0044"),
        (123456789, "000-0000", "12345-6789"),
        (1012345678, r"000\-0000\-0000", "010-1234-5678"),
        (47, "0_ ", "47"),
        (48, "00000;-00000", "00048"),
        (49, "00000_);(00000)", "00049"),
        (50, "[$-412]00000", "00050"),
        (51, "[Red]000", "051"),
        ("abc", "0", "abc"),
        ("abc", '"M-"@', "M-abc"),
        ("abc", "0;-0;0;_(@_)", "abc"),
    ],
)
def test_a_number_format_is_part_of_the_id(value: object, code: str, member_id: str) -> None:
    assert member_id_in(value, code) == member_id


@pytest.mark.parametrize(
    ("value", "code"),
    [
        *((1046, code) for code in ("#,##0", "0.00", "0%", "0.00E+00", "# ?/?", "?????", "0*x", "[>9]00")),
        *((1046, code) for code in ("[DBNum1]0", "[$-D070000]0", '"M"', ";;;", "", "0/0", "0" * 300)),
        (5, "###-####"),
        *((-5, code) for code in ("000", '"M"0;"N"0')),
        (0, '0;-0;"none"'),
        ("abc", "@*x"),
    ],
)
def test_a_format_that_cannot_be_rendered_for_sure_is_refused(value: object, code: str) -> None:
    with pytest.raises(BadId, match="number format of the member ID cannot be read"):
        member_id_in(value, code)


@pytest.mark.parametrize(
    ("value", "code", "word"),
    [
        (None, "General", "no member ID"),
        ("   ", "General", "no member ID"),
        (Unreadable("{ko} 칸에 오류 값 (an error in the {en})", "#N/A"), "General", "error in the member ID"),
        (True, "General", "true or false"),
        (45000, "yyyy-mm-dd", "a date or a time"),
        (0.5, "h:mm", "a date or a time"),
        (1.25, "[h]:mm:ss", "a date or a time"),
        (1001.5, "General", "has decimals"),
        (1001.5, "0", "has decimals"),
        (1.2345678901234567e16, "General", "rounded"),
        (12345678901234567, "0", "rounded"),
        (1.5e300, "General", "rounded"),
        ("1.23457E+11", "General", "shortened"),
        (123457000000, "General", "shortened"),
        (1.23e11, "0", "shortened"),
        ("2E+15", "@", "shortened"),
        *((word, "General", "a word for nothing") for word in ("nan", "NaN", "None", "null", "NaT", "N/A")),
        ("홍길동", "General", "ASCII"),
        ("a b", "General", "ASCII"),
        ("x" * 65, "General", "ASCII"),
        (42, '0"번"', "ASCII"),
        ("abc", ";;;", "ASCII"),
    ],
)
def test_what_cannot_be_an_id_is_said(value: object, code: str, word: str) -> None:
    with pytest.raises(BadId, match=word):
        member_id_in(value, code)
