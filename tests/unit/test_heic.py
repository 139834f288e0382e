"""HEIC as phones write it: turned, in tiles, of 10 bits, with more in the file than the picture."""

from __future__ import annotations

import io
import struct
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import pillow_heif
import pytest
from PIL import Image

from pipeline.errors import ImageTooLarge, Limit, UndecodableImage
from pipeline.images.decode import decode
from support.odd_files import saved, video


def scene() -> Image.Image:
    noise = np.random.default_rng(0).integers(0, 255, (15, 20, 3), dtype=np.uint8)
    return Image.fromarray(noise).resize((320, 240), Image.Resampling.BICUBIC)


def heic(picture: Image.Image, **options: Any) -> bytes:
    file = io.BytesIO()
    pillow_heif.from_pillow(picture).save(file, format="HEIF", quality=90, **options)
    return file.getvalue()


def of_ten_bits(picture: Image.Image) -> bytes:
    file = io.BytesIO()
    deep = np.asarray(picture).astype(np.uint16) * 257
    pillow_heif.from_bytes("RGB;16", picture.size, deep.tobytes()).save(file, format="HEIF", quality=90)
    return file.getvalue()


def with_another(picture: Image.Image) -> bytes:
    file = io.BytesIO()
    both = pillow_heif.from_pillow(picture)
    both.add_from_pillow(Image.new("RGB", (640, 480), "red"))
    both.save(file, format="HEIF", quality=90, primary_index=0)
    return file.getvalue()


def turned(picture: Image.Image) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = 6
    return heic(picture.transpose(Image.Transpose.ROTATE_90), exif=exif.tobytes())


@cache
def plain() -> bytes:
    """An ordinary one."""
    return heic(scene())


# Made by the test that wants it: to write one takes a third of a second.
FILES: dict[str, Callable[[], bytes]] = {
    "tiles": lambda: heic(scene(), tile_size=64),
    "10 bits": lambda: of_ten_bits(scene()),
    "transparency": lambda: heic(scene().convert("RGBA")),
    "a second picture": lambda: with_another(scene()),
    "a small copy": lambda: heic(scene(), thumbnails=[64]),
    "turned": lambda: turned(scene()),
    "a motion photo": lambda: plain() + struct.pack(">I", 300_036) + b"mpvd" + video(),
    "notes of its own": lambda: plain() + bytes(range(256)) * 40 + b"SEFT",
    "a general brand": lambda: plain().replace(b"ftypheic", b"ftypmif1"),
}


@pytest.mark.parametrize("name", FILES)
def test_the_picture_is_found_upright(name: str) -> None:
    picture = decode(FILES[name]())
    assert (picture.format, picture.width, picture.height) == ("HEIC", 320, 240)
    assert np.abs(picture.rgb.astype(int) - decode(plain()).rgb).mean() < 6


@pytest.mark.parametrize("missing", [0.005, 0.2])
def test_a_file_that_lost_its_end_is_cut_off(missing: float) -> None:
    with pytest.raises(UndecodableImage, match="cut off"):
        decode(plain()[: -int(len(plain()) * missing)])


def test_what_counts_is_the_size_before_it_is_cropped() -> None:
    larger = plain() + b"\0\0\0\x14ispe\0\0\0\0" + struct.pack(">II", 9_000, 9_000)
    with pytest.raises(ImageTooLarge) as refused:
        decode(larger)
    assert refused.value.limit is Limit.PIXELS


def test_other_files_do_not_pass_for_heic() -> None:
    with pytest.raises(UndecodableImage):
        decode(plain()[:40] + saved(scene()))
