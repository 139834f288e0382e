"""What cells say, as text."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, Final

from openpyxl.utils.escape import unescape

_MOST_LISTED: Final = 20
_INVISIBLE: Final = dict.fromkeys((0xFEFF, 0x200B, 0x200C, 0x200D, 0x2060))
_ESCAPED: Final = re.compile(r"^'(?=[=+\-@\t\r])")
_SURROGATES: Final = re.compile(r"[\ud800-\udfff]")


def text_of(value: Any) -> str:
    """Without invisible signs and without the apostrophe of an escaped text; empty for no value."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    text = str("" if value is None else value).translate(_INVISIBLE).replace("\xa0", " ").strip()
    return _ESCAPED.sub("", text)


def text_from(written: str) -> str:
    """A text without the escapes of the file format: `_x000D_` stands for a carriage return."""
    text = unescape(written)
    if _SURROGATES.search(text):
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text


def listed(numbers: Iterable[int]) -> str:
    """Row numbers as a person still reads them: `2, 3, 7`, at most twenty."""
    found = list(numbers)
    more = f", … ({len(found):,})" if len(found) > _MOST_LISTED else ""
    return ", ".join(map(str, found[:_MOST_LISTED])) + more
