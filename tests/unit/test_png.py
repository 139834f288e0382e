"""PNG: chunks that change no pixel cost nothing and refuse nothing."""

from __future__ import annotations

import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from pipeline.errors import UndecodableImage
from pipeline.images.decode import decode
from pipeline.images.png import essentials
from support.decoding import megabytes_to_decode
from support.odd_files import chunk, saved, with_chunk


def scene() -> Image.Image:
    noise = np.random.default_rng(0).integers(0, 255, (40, 60, 3), dtype=np.uint8)
    return Image.fromarray(noise)


PNG = saved(scene(), "PNG")
BOMB = zlib.compress(bytes(100_000_000), 9)
HARMLESS = {
    "a profile that unfolds to 100 MB": with_chunk(PNG, chunk(b"iCCP", b"icc\0\0" + BOMB)),
    "a profile that is none": with_chunk(PNG, chunk(b"iCCP", b"x")),
    "a text that unfolds to 100 MB": with_chunk(PNG, chunk(b"zTXt", b"Comment\0\0" + BOMB)),
    "an EXIF note that does": with_chunk(PNG, chunk(b"zTXt", b"Raw profile type exif\0\0" + BOMB)),
    "one in XMP": with_chunk(PNG, chunk(b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + BOMB)),
    "a torn one": with_chunk(PNG, chunk(b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + BOMB[:999])),
    "8 MB of text": with_chunk(PNG, chunk(b"iTXt", b"Comment\0\0\0\0\0" + b"x" * 8_000_000)),
    "thousands of texts": with_chunk(PNG, chunk(b"tEXt", b"Comment\0" + b"x" * 99) * 40_000),
    "a wrong checksum": with_chunk(PNG, chunk(b"gAMA", b"\0\0\xb1\x8f")[:-1] + b"?"),
    "bytes behind": PNG + b"\0\0\0\x18ftypmp42" + bytes(5000),
    "bytes in front": b"\xef\xbb\xbf\r\n" + PNG,
    "no IEND": PNG[:-12],
    "half of IEND": PNG[:-5],
}


@pytest.mark.parametrize("name", HARMLESS)
def test_what_changes_no_pixel_changes_nothing(name: str) -> None:
    assert np.array_equal(decode(HARMLESS[name]).rgb, np.asarray(scene()))


def test_a_bomb_in_the_metadata_takes_no_memory(tmp_path: Path) -> None:
    file = tmp_path / "bomb.png"
    file.write_bytes(
        with_chunk(PNG, b"".join(chunk(name, b"Comment\0\0" + BOMB) for name in (b"zTXt", b"iCCP")))
    )
    assert megabytes_to_decode(file) < 20  # MB


def test_orientation_is_found_wherever_a_program_writes_it() -> None:
    lying = scene().transpose(Image.Transpose.ROTATE_90)
    exif = Image.Exif()
    exif[0x0112] = 6
    raw = b"Exif\0\0" + exif.tobytes().removeprefix(b"Exif\0\0")
    as_text = f"\nexif\n{len(raw):8d}\n{raw.hex()}\n"
    texts = {name: PngInfo() for name in ("text", "packed text", "XMP", "packed XMP")}
    texts["text"].add_text("Raw profile type exif", as_text)
    texts["packed text"].add_text("Raw profile type exif", as_text, zip=True)
    texts["XMP"].add_itxt("XML:com.adobe.xmp", '<x tiff:Orientation="6"/>')
    texts["packed XMP"].add_itxt("XML:com.adobe.xmp", '<x tiff:Orientation="6"/>', zip=True)
    files = {name: saved(lying, "PNG", pnginfo=info) for name, info in texts.items()}
    files["eXIf"] = saved(lying, "PNG", exif=exif)
    at = files["eXIf"].index(b"eXIf")
    end = at + 4 + int.from_bytes(files["eXIf"][at - 4 : at], "big")
    files["eXIf with a wrong checksum"] = files["eXIf"][:end] + b"????" + files["eXIf"][end + 4 :]
    for name, data in files.items():
        assert np.array_equal(decode(data).rgb, np.asarray(scene())), name


def test_of_an_animation_the_still_picture_is_taken() -> None:
    data = saved(scene(), "PNG", save_all=True, append_images=[scene().rotate(90)], duration=100)
    assert b"fdAT" in data
    assert b"fdAT" not in essentials(data, 0)
    assert np.array_equal(decode(data).rgb, np.asarray(scene()))


def test_what_is_transparent_in_a_palette_becomes_white() -> None:
    picture = scene().quantize(16)
    index = picture.getpixel((5, 5))
    assert decode(saved(picture, "PNG", transparency=index)).rgb[5, 5].tolist() == [255, 255, 255]


@pytest.mark.parametrize("share", [0.02, 0.1, 0.5, 0.9])
def test_a_png_whose_pixels_are_missing_is_cut_off(share: float) -> None:
    with pytest.raises(UndecodableImage, match="cut off"):
        decode(PNG[: int(len(PNG) * (1 - share))])
