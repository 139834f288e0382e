"""Takes out of a text what must not leave the process: queries of addresses (keys), and passwords."""

from __future__ import annotations

import re
from typing import Final

_ADDRESS: Final = re.compile(r"""(?P<kept>\bhttps?://[^\s?#'"<>\\]*)[?#][^\s'"<>\\]*""", re.IGNORECASE)
_PATH_QUERY: Final = re.compile(r"""\?[^\s?=&'"<>\\]+=[^\s'"<>\\]*""")
"""Of an address without its host, as urllib3 writes it into its errors."""
_PASSWORD: Final = re.compile(r"""(?P<kept>\b[a-z][a-z+.-]*://)[^\s/@'"<>\\]*@""", re.IGNORECASE)
CUT: Final = "…"


def redacted(text: str) -> str:
    """The text without the queries of addresses and without the account in front of their host."""
    if "?" in text or "#" in text:
        text = _PATH_QUERY.sub(f"?{CUT}", _ADDRESS.sub(rf"\g<kept>?{CUT}", text))
    return _PASSWORD.sub(rf"\g<kept>{CUT}@", text) if "://" in text else text
