"""The JPEG inside a file: what is not of the picture does not matter, what is missing is noticed."""

from __future__ import annotations

import struct
from collections.abc import Callable
from contextlib import suppress

import numpy as np
import pytest
from PIL import Image

from pipeline.errors import ImageTooLarge, Limit, UndecodableImage, UnsupportedFormat
from pipeline.images.decode import decode
from pipeline.images.jpeg import read_jpeg
from support.odd_files import in_separate_scans, saved, segment, video

Change = Callable[[bytes], bytes]
MULTIPART = (
    b'------WebKitFormBoundary\r\nContent-Disposition: form-data; name="photo"; filename="1.jpg"\r\n'
    b"Content-Type: image/jpeg\r\n\r\n"
)


def scene() -> Image.Image:
    """Something with detail in every row, as a photo has."""
    noise = np.random.default_rng(0).integers(0, 255, (60, 80, 3), dtype=np.uint8)
    return Image.fromarray(noise).resize((320, 240), Image.Resampling.BICUBIC)


def kinds() -> dict[str, bytes]:
    picture = scene()
    return {
        "baseline": saved(picture, quality=90),
        "optimized": saved(picture, optimize=True),
        "no subsampling": saved(picture, subsampling=0),
        "restart markers": saved(picture, restart_marker_blocks=3),
        "progressive": saved(picture, progressive=True),
        "progressive with restarts": saved(picture, progressive=True, restart_marker_rows=1),
        "separate scans": in_separate_scans(picture),
        "grey": saved(picture.convert("L")),
        "CMYK": saved(picture.convert("CMYK")),
    }


KINDS = kinds()
HARMLESS: dict[str, Change] = {
    "a video behind": lambda jpeg: jpeg + video(),
    "a second picture behind": lambda jpeg: jpeg + saved(scene().resize((64, 48))),
    "zeros behind": lambda jpeg: jpeg + bytes(9999),
    "no EOI": lambda jpeg: jpeg[:-2],
    "half an EOI": lambda jpeg: jpeg[:-1],
    "no EOI and a video": lambda jpeg: jpeg[:-2] + video(),
    "no EOI and a second picture": lambda jpeg: jpeg[:-2] + saved(scene().resize((64, 48))),
    "no EOI and zeros": lambda jpeg: jpeg[:-2] + bytes(9999),
    "a byte order mark in front": lambda jpeg: b"\xef\xbb\xbf" + jpeg,
    "a line break in front": lambda jpeg: b"\r\n" + jpeg,
    "the header of an upload in front": lambda jpeg: MULTIPART + jpeg,
    "zeros behind SOI": lambda jpeg: jpeg[:2] + bytes(7) + jpeg[2:],
    "two SOI": lambda jpeg: jpeg[:2] + jpeg,
    "fill bytes": lambda jpeg: jpeg[:2] + b"\xff" * 50 + jpeg[2:],
    "a torn profile": lambda jpeg: (
        jpeg[:2] + segment(0xE2, b"ICC_PROFILE\0\1\x09" + bytes(60_000)) + jpeg[2:]
    ),
    "a torn index of pictures": lambda jpeg: jpeg[:2] + segment(0xE2, b"MPF\0" + b"\xff" * 12) + jpeg[2:],
    "megabytes of comments": lambda jpeg: jpeg[:2] + segment(0xFE, b"\xff\xda" * 30_000) * 40 + jpeg[2:],
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("change", HARMLESS)
def test_what_does_not_belong_to_the_picture_changes_nothing(kind: str, change: str) -> None:
    whole = KINDS[kind]
    assert np.array_equal(decode(HARMLESS[change](whole)).rgb, decode(whole).rgb)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("filled_up", [b"", bytes(2000), b"\xff" * 2000])
def test_a_file_that_lost_the_last_half_percent_is_still_a_picture(kind: str, filled_up: bytes) -> None:
    whole = KINDS[kind]
    cut = decode(whole[: -len(whole) // 200] + filled_up).rgb
    differs = (np.abs(cut.astype(int) - decode(whole).rgb) > 40).any(axis=(1, 2))
    assert not differs[: int(0.9 * len(differs))].any()


@pytest.mark.parametrize("kind", ["baseline", "no subsampling", "restart markers", "grey", "CMYK"])
@pytest.mark.parametrize("filled_up", [b"", bytes(2000)])
def test_where_more_rows_are_missing_the_file_is_cut_off(kind: str, filled_up: bytes) -> None:
    whole = KINDS[kind]
    with pytest.raises(UndecodableImage, match=r"cut off: \d+% of the JPEG's rows are missing"):
        decode(whole[: -len(whole) // 5] + filled_up)


@pytest.mark.parametrize("kind", ["progressive", "separate scans"])
def test_a_picture_in_several_scans_is_cut_off_where_its_brightness_is_missing(kind: str) -> None:
    whole = KINDS[kind]
    first = whole.index(b"\xff\xda")
    second = whole.index(b"\xff\xda", first + 2)
    with pytest.raises(UndecodableImage, match="cut off"):
        decode(whole[: (first + second) // 2])


def test_a_whole_photo_may_have_grey_rows_at_its_end() -> None:
    picture = scene()
    picture.paste((128, 128, 128), (0, 120, 320, 240))
    assert decode(saved(picture)).rgb[-1].tolist() == [[128, 128, 128]] * 320


def test_scans_are_counted_inside_the_picture_only() -> None:
    assert read_jpeg(KINDS["baseline"] + b"\xff\xda" * 500, 0, 64).scans == 1
    assert read_jpeg(KINDS["separate scans"] + video(), 0, 64).scans == 3
    assert read_jpeg(KINDS["progressive"][:-2] + video(), 0, 64).scans == 10


def test_the_decoder_sees_orientation_and_colours_and_no_other_metadata() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    data = saved(scene().convert("CMYK"), exif=exif, icc_profile=bytes(99_000), comment=bytes(60_000))
    seen = read_jpeg(data + video(), 0, 64).data
    assert b"Adobe" in seen
    assert b"Exif" in seen
    assert len(seen) < len(data) - 150_000
    assert decode(data).rgb.shape == (320, 240, 3)


def test_the_memory_of_several_scans_is_known_from_the_header() -> None:
    assert read_jpeg(KINDS["baseline"], 0, 64).frame.coefficients == 320 * 240 * 3 // 2
    assert read_jpeg(KINDS["separate scans"], 0, 64).frame.coefficients == 320 * 240 * 3
    assert read_jpeg(KINDS["CMYK"], 0, 64).frame.coefficients == 320 * 240 * 4


def test_one_scan_for_each_colour_is_held_whole_as_a_progressive_one_is() -> None:
    whole = {kind: read_jpeg(KINDS[kind], 0, 64).whole for kind in KINDS}
    assert (whole["baseline"], whole["separate scans"], whole["progressive"]) == (False, True, True)


def test_where_the_first_scan_has_one_colour_memory_is_counted_whatever_follows() -> None:
    data = bytearray(KINDS["separate scans"])
    second = data.index(b"\xff\xda", data.index(b"\xff\xda") + 2)
    frame = data.index(b"\xff\xc0")
    data[frame + 5 : frame + 9] = struct.pack(">HH", 12_000, 16_000)
    with pytest.raises(ImageTooLarge) as refused:
        decode(bytes(data[:second]) + b"\xff\xd9")
    assert refused.value.limit is not Limit.SIDE


@pytest.mark.parametrize(("marker", "bits"), [(0xC1, 12), (0xC3, 8), (0xC5, 8), (0xC7, 8)])
def test_processes_that_no_decoder_here_knows_are_named(marker: int, bits: int) -> None:
    data = bytearray(KINDS["baseline"])
    frame = data.index(b"\xff\xc0")
    data[frame + 1], data[frame + 4] = marker, bits
    with pytest.raises(UnsupportedFormat, match=f"JPEG of {bits} bits"):
        decode(bytes(data))


@pytest.mark.parametrize(
    "filler", [b"\xff\0", b"\xff\1", b"\xff\xff", b"\xff\xd0", b"\xff\xfe\0\2", b"\xff\xd8", b"\xff\xda"]
)
def test_millions_of_markers_are_passed_over_or_refused(filler: bytes) -> None:
    whole = KINDS["baseline"]
    many = filler * (4_000_000 // len(filler))
    for data in (whole[:2] + many + whole[2:], whole[:-2] + many, whole + many):
        with suppress(UndecodableImage):
            assert decode(data).width == 320


@pytest.mark.parametrize("cut", [2, 3, 20, 300, 600])
def test_a_file_that_ends_before_its_picture_is_cut_off(cut: int) -> None:
    with pytest.raises(UndecodableImage, match="cut off"):
        decode(KINDS["baseline"][:cut])
