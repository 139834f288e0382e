"""What phones, apps and servers make of a photo's file: bytes in front, behind, missing or too many."""

from __future__ import annotations

import io
import random
import struct
import zlib
from typing import Any, Final

from PIL import Image

_MARKERS: Final = (
    b"\xff\xda",
    b"\xff\xd9",
    b"\xff\xd8\xff\xe0",
    b"\xff\xc4",
    b"\xff\xc2",
    b"\xff\xda\0\x0c\3",
)


def saved(picture: Image.Image, kind: str = "JPEG", **options: Any) -> bytes:
    """The bytes of a file of this format."""
    file = io.BytesIO()
    picture.save(file, kind, **options)
    return file.getvalue()


def video(size: int = 300_000) -> bytes:
    """What a motion photo has behind it; every marker of a JPEG occurs in it by chance."""
    chance = random.Random(size)
    data = bytearray(chance.randbytes(size))
    for marker in _MARKERS * 20:
        at = chance.randrange(size - len(marker))
        data[at : at + len(marker)] = marker
    return b"\0\0\0\x18ftypmp42\0\0\0\0isommp42" + bytes(data)


def in_separate_scans(picture: Image.Image, quality: int = 90) -> bytes:
    """A baseline JPEG with one scan for each colour: three grey ones put together."""
    parts = [saved(part, quality=quality) for part in picture.convert("YCbCr").split()]
    frame, scan = parts[0].index(b"\xff\xc0"), parts[0].index(b"\xff\xda")
    size = parts[0][frame + 4 : frame + 9]
    header = b"\xff\xc0\0\x11" + size + b"\3" + b"".join(bytes([i, 0x11, 0]) for i in (1, 2, 3))
    made = parts[0][:frame] + header + parts[0][frame + 13 : scan]
    for number, part in enumerate(parts, 1):
        made += (
            b"\xff\xda\0\x08\1" + bytes([number, 0]) + b"\0\x3f\0" + part[part.index(b"\xff\xda") + 10 : -2]
        )
    return made + b"\xff\xd9"


def segment(marker: int, body: bytes) -> bytes:
    """A JPEG's segment."""
    return bytes([0xFF, marker]) + struct.pack(">H", len(body) + 2) + body


def chunk(name: bytes, body: bytes) -> bytes:
    """A PNG's chunk."""
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def with_chunk(png: bytes, added: bytes) -> bytes:
    """The PNG with something behind its header."""
    return png[:33] + added + png[33:]
