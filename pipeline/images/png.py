"""Remove the chunks of a PNG that a decoder does not need.

Profiles, texts and animations may be damaged or unfold to gigabytes. They are left out; chunks that change
the picture stay.
"""

from __future__ import annotations

import struct
import zlib
from typing import Final

from pipeline.errors import UndecodableImage

SIGNATURE: Final = b"\x89PNG\r\n\x1a\n"
_MOST_CHUNKS: Final = 50_000
"""A large photo has some thousands."""
_ANCILLARY: Final = 0x20
"""The bit in the name of a chunk that is not critical."""
_ORIENTATION: Final = (b"Raw profile type exif\0", b"XML:com.adobe.xmp\0")
"""Texts that may tell how the picture is turned."""
_MOST_TEXT: Final = 256 * 1024
"""Bytes that such a text may have, and may unfold to."""


def essentials(data: bytes, start: int) -> bytes:
    """The PNG whose signature is at ``start``, with the needed chunks only, also where its end is missing.

    Checksums of chunks that are not critical are computed anew. Raises UndecodableImage.
    """
    kept: list[bytes | memoryview] = [SIGNATURE]
    view, at = memoryview(data), start + len(SIGNATURE)
    for _ in range(_MOST_CHUNKS):
        head = bytes(view[at : at + 8])
        name, body = head[4:], view[at + 8 : at + 8 + int.from_bytes(head[:4], "big")]
        end = at + 12 + int.from_bytes(head[:4], "big")
        if name == b"IEND" or len(head) < 8:
            return b"".join([*kept, _chunk(b"IEND", b"")])
        if end > len(data) or (_matters(name, body) and name[0] & _ANCILLARY):
            kept.append(_chunk(name, body))
        elif not name[0] & _ANCILLARY:
            kept.append(view[at:end])
        at = end
    raise UndecodableImage(f"a PNG of more than {_MOST_CHUNKS:,} chunks")


def _chunk(name: bytes, body: bytes | memoryview) -> bytes:
    checksum = zlib.crc32(body, zlib.crc32(name))
    return b"".join([struct.pack(">I", len(body)), name, body, struct.pack(">I", checksum)])


def _matters(name: bytes, body: memoryview) -> bool:
    """Whether a chunk says what is transparent, or how the picture is turned."""
    if name in (b"tRNS", b"eXIf"):
        return True
    head = bytes(body[:64])
    if name not in (b"tEXt", b"zTXt", b"iTXt") or not head.startswith(_ORIENTATION) or len(body) > _MOST_TEXT:
        return False
    return name == b"tEXt" or _unfolds_to_little(name, bytes(body))


def _unfolds_to_little(name: bytes, body: bytes) -> bool:
    """Whether a text that may be compressed is small and whole."""
    rest = body.partition(b"\0")[2]
    if name == b"iTXt":
        if rest[:1] == b"\0":
            return True
        rest = rest[1:].split(b"\0", 2)[-1]  # behind the language and the keyword in it
    inflating = zlib.decompressobj()
    try:
        inflating.decompress(rest[1:], _MOST_TEXT)
    except zlib.error:
        return False
    return inflating.eof
