"""Decoding: what a member's phone may send, and what nobody should be able to send."""

from __future__ import annotations

import hashlib
import io
import struct
import zlib
from pathlib import Path

import imagehash
import numpy as np
import pillow_heif
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps

from pipeline.errors import (
    DecodeBudgetSpent,
    ImageError,
    ImageTooLarge,
    Limit,
    UndecodableImage,
    UnsupportedFormat,
)
from pipeline.images.decode import SMALL, decode
from pipeline.images.limits import CAPS, DecodeBudget, Decoding, ImageLimits
from pipeline.images.perceptual_hash import picture_hashes
from pipeline.verdict import PerceptualHash
from support.decoding import megabytes_to_decode

CORNERS = {"red": (220, 30, 30), "green": (30, 200, 40), "blue": (40, 60, 220), "yellow": (230, 220, 40)}


def four_corners(width: int = 120, height: int = 80) -> Image.Image:
    """Red and green above, blue and yellow below: every way of turning it can be told."""
    image = Image.new("RGB", (width, height))
    half = (width // 2, height // 2)
    for index, colour in enumerate(CORNERS.values()):
        image.paste(colour, (index % 2 * half[0], index // 2 * half[1], (index % 2 + 1) * half[0], height))
    return image


def saved(image: Image.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def heic(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    pillow_heif.from_pillow(image).save(buffer, quality=90)
    return buffer.getvalue()


def corner_colours(rgb: np.ndarray) -> list[str]:
    """The nearest colour's name at each corner: top left, top right, bottom left, bottom right."""
    height, width = rgb.shape[:2]
    points = [rgb[y, x].astype(int) for y in (height // 4, -height // 4) for x in (width // 4, -width // 4)]
    return [min(CORNERS, key=lambda name: np.abs(np.subtract(CORNERS[name], p)).sum()) for p in points]


def files() -> dict[str, bytes]:
    image = four_corners()
    return {
        "JPEG": saved(image, "JPEG"),
        "PNG": saved(image, "PNG"),
        "WebP": saved(image, "WEBP"),
        "HEIC": heic(image),
        "BMP": saved(image, "BMP"),
    }


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WebP", "HEIC", "BMP"])
def test_each_format_becomes_upright_rgb(kind: str) -> None:
    data = files()[kind]
    picture = decode(data)
    assert (picture.format, picture.width, picture.height, picture.scale) == (kind, 120, 80, 1.0)
    assert picture.rgb.shape == (80, 120, 3)
    assert picture.rgb.dtype == np.uint8
    assert corner_colours(picture.rgb) == list(CORNERS)
    assert picture.sha256 == hashlib.sha256(data).hexdigest()


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_exif_orientation_is_undone_once(kind: str, orientation: int) -> None:
    # The transposition that a camera held this way would have written.
    as_written = {
        2: Image.Transpose.FLIP_LEFT_RIGHT, 3: Image.Transpose.ROTATE_180, 4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE, 6: Image.Transpose.ROTATE_90, 7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }  # fmt: skip
    image = four_corners()
    if orientation in as_written:
        image = image.transpose(as_written[orientation])
    exif = Image.Exif()
    exif[0x0112] = orientation
    picture = decode(saved(image, kind, exif=exif))
    assert corner_colours(picture.rgb) == list(CORNERS)
    assert (picture.width, picture.height) == (120, 80)


def test_an_orientation_that_does_not_exist_is_ignored() -> None:
    exif = Image.Exif()
    exif[0x0112] = 77
    assert corner_colours(decode(saved(four_corners(), "JPEG", exif=exif.tobytes())).rgb) == list(CORNERS)


def test_a_damaged_exif_block_does_not_harm_the_photo() -> None:
    data = saved(four_corners(), "JPEG", exif=b"Exif\0\0MM\0*\0\0\0\x08\xff\xff\x01\x12broken")
    assert corner_colours(decode(data).rgb) == list(CORNERS)


def run_length_coded(bmp: bytes) -> bytes:
    """The BMP with a header that says so."""
    return bmp[:30] + struct.pack("<I", 1) + bmp[34:]


@pytest.mark.parametrize(
    ("data", "name"),
    [
        (saved(four_corners(), "GIF"), "GIF"),
        (run_length_coded(saved(four_corners().convert("P"), "BMP")), "BMP"),
        (saved(four_corners(), "TIFF"), "TIFF"),
        (b"\0\0\0\x20ftypavif\0\0\0\0avifmif1", "AVIF"),
        (b"\0\0\0\x18ftypmif1\0\0\0\0mif1avif", "AVIF"),
        (b"\0\0\0\x18ftypisom\0\0\0\0isommp42", "ISO media"),
        (b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg"/>', "SVG"),
        (b"\n <!DOCTYPE html><html><body>404</body></html>", "HTML"),
        (b"%PDF-1.7 ...", "PDF"),
        (b"8BPS\0\1", "PSD"),
        (b"\xff\x0a\xfa", "JPEG XL"),
    ],
)
def test_other_formats_are_refused_by_name(data: bytes, name: str) -> None:
    with pytest.raises(UnsupportedFormat, match=name):
        decode(data)


@pytest.mark.parametrize("data", [b"", b"\0", b"{}", b"not an image", bytes(5000)])
def test_what_is_no_image_is_undecodable(data: bytes) -> None:
    with pytest.raises(UndecodableImage):
        decode(data)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WebP", "HEIC"])
@pytest.mark.parametrize("share", [0.02, 0.3, 0.6, 0.9])
def test_a_truncated_file_is_undecodable(kind: str, share: float) -> None:
    data = files()[kind]
    with pytest.raises(UndecodableImage):
        decode(data[: max(13, int(len(data) * share))])


def test_the_pixels_are_counted_before_anything_is_decoded() -> None:
    def chunk(name: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 30_000, 30_000, 8, 2, 0, 0, 0))
    bomb = b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")
    with pytest.raises(ImageTooLarge) as refused:
        decode(bomb)
    assert (refused.value.width, refused.value.height) == (30_000, 30_000)


@pytest.mark.parametrize(("sides", "options"), [(20_000, {"lossless": True}), (1 << 24, {})])
def test_a_webp_header_that_claims_too_much_is_refused_before_room_is_made_for_it(
    sides: int, options: dict[str, bool]
) -> None:
    """Pillow raises an error of its own, no ImageError, where it is very much."""
    image = four_corners().convert("RGBA" if sides > 16_384 else "RGB")
    data = bytearray(saved(image, "WEBP", exif=Image.Exif().tobytes() or b"Exif\0\0", **options))
    assert data[12:16] == b"VP8X"
    data[24:30] = (sides - 1).to_bytes(3, "little") * 2
    with pytest.raises(ImageTooLarge):
        decode(bytes(data))


def claiming(width: int, height: int, **options: object) -> bytes:
    """A small JPEG whose header says another size."""
    data = bytearray(saved(four_corners(), "JPEG", **options))
    frame = data.index(b"\xff\xc2" if "progressive" in options else b"\xff\xc0")
    data[frame + 5 : frame + 9] = struct.pack(">HH", height, width)
    return bytes(data)


@pytest.mark.parametrize(
    ("data", "limit"),
    [
        (claiming(20_000, 15_000), Limit.PIXELS),
        (claiming(65_000, 8), Limit.SIDE),
        (claiming(8_000, 6_000, progressive=True, subsampling=0), Limit.MEMORY),
        (claiming(12_000, 9_000, progressive=True), Limit.PIXELS),
        (saved(Image.new("RGB", (40_001, 1)), "PNG"), Limit.SIDE),
        (saved(Image.new("1", (5_600, 5_600)), "PNG"), Limit.PIXELS),
        (saved(Image.new("1", (7_200, 7_200)), "BMP"), Limit.PIXELS),
    ],
)
def test_a_photo_that_is_too_large_is_told_which_limit_it_breaks(data: bytes, limit: Limit) -> None:
    with pytest.raises(ImageTooLarge, match=f"^{limit} ") as refused:
        decode(data)
    assert refused.value.limit is limit


@pytest.mark.parametrize(
    "data",
    [
        claiming(8_160, 6_144),  # a phone's 50 megapixels, and a little more
        claiming(12_000, 9_000),
        claiming(16_320, 12_240),
        claiming(13_000, 1_600),
        claiming(16_382, 3_900),  # a panorama
        claiming(8_160, 6_144, progressive=True),
    ],
)
def test_the_largest_photos_that_phones_take_are_decoded(data: bytes) -> None:
    picture = decode(data)  # libjpeg fills what is missing
    assert max(picture.rgb.shape) == 1600
    assert picture.width > 8_000


def test_no_kind_may_cost_more_memory_than_is_allowed() -> None:
    assert all(
        cap.pixels * cap.bytes_per_pixel <= ImageLimits().memory
        for cap in CAPS.values()
        if cap is not CAPS[Decoding.JPEG_WHOLE]
    )


def test_photos_of_one_job_share_the_time_for_decoding() -> None:
    budget = DecodeBudget(seconds=0.00105)
    photo = saved(four_corners(), "PNG")  # 9,600 pixels, about 0.3 ms
    for _ in range(3):
        decode(photo, budget=budget)
    with pytest.raises(DecodeBudgetSpent, match="not decoded"):
        decode(photo, budget=budget)
    assert decode(saved(four_corners(), "JPEG"), budget=budget).format == "JPEG", "a cheaper one still fits"


def test_a_job_of_the_most_photos_that_a_phone_takes_by_default_is_decoded_whole() -> None:
    budget = DecodeBudget()
    for _ in range(21):
        budget.spend(Decoding.HEIC, 4_032 * 3_024)


def test_a_jpeg_of_endless_scans_is_refused() -> None:
    data = saved(four_corners(), "JPEG", progressive=True)
    assert decode(data).width == 120
    last = data.rindex(b"\xff\xda")
    with pytest.raises(UndecodableImage, match="scans"):
        decode(data[:-2] + data[last:-2] * 100 + data[-2:])


def test_a_large_photo_is_scaled_down_and_remembers_its_size() -> None:
    picture = decode(saved(four_corners(4000, 3000), "JPEG"))
    assert picture.rgb.shape == (1200, 1600, 3)
    assert (picture.width, picture.height, picture.scale) == (4000, 3000, 2.5)
    assert corner_colours(picture.rgb) == list(CORNERS)


@pytest.mark.parametrize("mode", ["P", "1", "L", "RGBA", "LA", "I;16"])
def test_pngs_of_every_mode_are_scaled_down_too(mode: str) -> None:
    image = four_corners(200, 100).convert("L" if mode == "I;16" else mode)
    if mode == "I;16":
        image = Image.fromarray(np.asarray(image).astype(np.uint16) * 256)
    small = decode(saved(image, "PNG"), ImageLimits(long_side=50))
    assert small.rgb.shape == (25, 50, 3)
    whole = decode(saved(image, "PNG")).rgb
    assert np.abs(small.rgb[5, 5].astype(float) - whole[:40, :40].mean(axis=(0, 1))).max() < 40
    assert small.scale == 4


def test_a_large_heic_is_scaled_down() -> None:
    picture = decode(heic(four_corners(400, 300)), ImageLimits(long_side=100))
    assert (picture.rgb.shape, picture.width, picture.height) == ((75, 100, 3), 400, 300)
    assert corner_colours(picture.rgb) == list(CORNERS)


@pytest.mark.parametrize("mode", ["RGB", "L"])
@pytest.mark.parametrize("width", [640, 1600, 2000, 4000])
def test_the_pixels_of_a_jpeg_are_those_that_pillow_gives(mode: str, width: int) -> None:
    rng = np.random.default_rng(width)
    data = saved(scene(rng, (width, width // 2)).convert(mode), "JPEG", quality=88)
    found, asked = decode(data).rgb, (min(width, 1600), min(width, 1600) // 2)
    with Image.open(io.BytesIO(data)) as theirs:
        theirs.draft("RGB", asked)
        expected = theirs.convert("RGB")
    if expected.size != asked:
        expected = expected.resize(asked, Image.Resampling.BOX)
    assert np.array_equal(found, np.asarray(expected))


@pytest.mark.parametrize(("width", "reduced"), [(1600, 800), (3199, 1599), (3200, 800), (4032, 1008)])
def test_a_large_jpeg_can_be_read_small(width: int, reduced: int) -> None:
    data = saved(four_corners(width, width // 2), "JPEG", quality=90, exif=oriented(6))
    small, usual = decode(data, small=True), decode(data)
    assert max(small.rgb.shape[:2]) == reduced >= SMALL
    assert corner_colours(small.rgb) == corner_colours(usual.rgb)
    assert (small.width, small.height, small.sha256) == (usual.width, usual.height, usual.sha256)
    assert small.places == pytest.approx(max(usual.rgb.shape) / reduced)
    assert small.scale == pytest.approx(width / reduced)


@pytest.mark.parametrize(
    ("kind", "width", "options"),
    [("JPEG", 1599, {}), ("JPEG", 3200, {"progressive": True}), ("PNG", 3200, {})],
)
def test_where_it_saves_nothing_a_photo_is_not_read_small(
    kind: str, width: int, options: dict[str, bool]
) -> None:
    data = saved(four_corners(width, 400), kind, **options)
    asked, usual = decode(data, small=True), decode(data)
    assert np.array_equal(asked.rgb, usual.rgb)
    assert asked.places == usual.places == 1


def test_a_damaged_photo_is_damaged_also_where_it_is_read_small() -> None:
    data = saved(four_corners(3200, 1600), "JPEG")
    with pytest.raises(UndecodableImage):
        decode(data[: len(data) // 3], small=True)


def oriented(orientation: int) -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif


def test_a_small_photo_is_never_enlarged() -> None:
    assert decode(saved(Image.new("RGB", (1, 1)), "PNG")).rgb.shape == (1, 1, 3)


def test_transparent_parts_become_white() -> None:
    image = four_corners().convert("RGBA")
    image.paste((0, 0, 0, 0), (0, 0, 60, 40))
    assert decode(saved(image, "PNG")).rgb[20, 30].tolist() == [255, 255, 255]
    gray = Image.new("LA", (4, 4), (0, 0))
    assert decode(saved(gray, "PNG")).rgb[1, 1].tolist() == [255, 255, 255]


def test_sixteen_bit_grey_is_scaled_and_not_clipped() -> None:
    image = Image.fromarray(np.full((10, 10), 0x8000, dtype=np.uint16))
    assert decode(saved(image, "PNG")).rgb[5, 5].tolist() == [128, 128, 128]


@pytest.mark.parametrize("mode", ["CMYK", "L"])
def test_jpegs_of_other_colour_spaces_become_rgb(mode: str) -> None:
    rgb = decode(saved(four_corners().convert(mode), "JPEG")).rgb
    expected = np.asarray(four_corners().convert(mode).convert("RGB"))
    assert np.abs(rgb.astype(int) - expected).mean() < 6


@pytest.mark.parametrize("mode", ["P", "1", "L"])
def test_pngs_of_other_modes_become_rgb(mode: str) -> None:
    image = four_corners().convert(mode)
    assert np.array_equal(decode(saved(image, "PNG")).rgb, np.asarray(image.convert("RGB")))


def test_of_an_animation_the_first_frame_counts() -> None:
    frames = [four_corners(), Image.new("RGB", (120, 80), "black")]
    data = saved(frames[0], "WEBP", save_all=True, append_images=frames[1:], duration=100, lossless=True)
    assert corner_colours(decode(data).rgb) == list(CORNERS)


def scene(rng: np.random.Generator, size: tuple[int, int]) -> Image.Image:
    coarse = rng.integers(0, 255, (24, 24, 3), dtype=np.uint8)
    return Image.fromarray(coarse).resize(size, Image.Resampling.BICUBIC)


def imagehashes(image: Image.Image) -> tuple[int, int]:
    coarse, fine = (imagehash.phash(image, hash_size=size) for size in (8, 16))
    return int(str(coarse), 16), int(str(fine), 16)


def test_the_perceptual_hashes_are_imagehashs_also_those_of_the_mirror_image() -> None:
    rng = np.random.default_rng(0)
    for _ in range(20):
        image = scene(rng, (200, 150))
        hashes = picture_hashes(np.asarray(image))
        assert (hashes.picture.coarse, hashes.picture.fine) == imagehashes(image)
        assert (hashes.mirror.coarse, hashes.mirror.fine) == imagehashes(ImageOps.mirror(image))


def test_the_perceptual_hashes_of_a_large_picture_are_imagehashs_but_for_a_few_bits() -> None:
    rng = np.random.default_rng(0)
    for _ in range(5):
        image = scene(rng, (1280, 961))
        other = PerceptualHash(*imagehashes(image))
        coarse, fine = picture_hashes(np.asarray(image)).picture.differs(other)
        assert coarse <= 2
        assert fine <= 6


def test_a_recompressed_smaller_copy_has_nearly_the_same_hashes() -> None:
    rng = np.random.default_rng(1)
    one, other = scene(rng, (640, 480)), scene(rng, (640, 480))
    first, copy, another = (
        decode(data).hashes.picture
        for data in (
            saved(one, "PNG"),
            saved(one.resize((320, 240)), "JPEG", quality=40),
            saved(other, "PNG"),
        )
    )
    assert [found <= most for found, most in zip(first.differs(copy), (6, 16), strict=True)] == [True, True]
    assert [found > least for found, least in zip(first.differs(another), (15, 60), strict=True)] == [
        True,
        True,
    ]


def test_a_picture_without_features_is_marked_for_others_have_its_hash() -> None:
    y, x = np.mgrid[0:400, 0:300]
    wall = Image.fromarray(np.full((400, 300, 3), 225, np.uint8))
    shade = Image.fromarray(np.repeat((80 + y / 4 + x / 6).astype(np.uint8)[..., None], 3, 2))
    small = wall.copy()
    small.paste(scene(np.random.default_rng(3), (60, 60)), (120, 150))
    for plain in (wall, shade, small):
        assert decode(saved(plain, "JPEG", quality=85)).hashes.featureless
    assert not decode(saved(scene(np.random.default_rng(3), (300, 400)), "JPEG")).hashes.featureless


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(["JPEG", "PNG", "WebP", "HEIC", "BMP"]), st.data())
def test_no_damage_escapes_as_anything_but_an_image_error(kind: str, data: st.DataObject) -> None:
    file = bytearray(files()[kind])
    for _ in range(data.draw(st.integers(1, 8))):
        file[data.draw(st.integers(0, len(file) - 1))] = data.draw(st.integers(0, 255))
    try:
        picture = decode(bytes(file), ImageLimits(memory=20_000_000))
    except ImageError:
        return
    assert picture.rgb.ndim == 3


def test_a_36_megapixel_jpeg_needs_little_memory(tmp_path: Path) -> None:
    file = tmp_path / "large.jpg"
    four_corners(7200, 5000).save(file)
    assert megabytes_to_decode(file) < 60  # MB; the decoded picture at full size would take 108


@pytest.mark.parametrize("behind", [b"x" * 5000, b"\0\0\0\x18ftypmp42" + bytes(999)])
@pytest.mark.parametrize("kind", ["WEBP", "BMP", "PNG"])
def test_bytes_behind_a_picture_change_nothing(kind: str, behind: bytes) -> None:
    data = saved(four_corners(), kind)
    assert np.array_equal(decode(data + behind).rgb, decode(data).rgb)


@pytest.mark.parametrize("kind", ["WEBP", "BMP"])
def test_a_file_without_its_end_is_called_cut_off(kind: str) -> None:
    data = saved(four_corners(), kind)
    with pytest.raises(UndecodableImage, match="cut off"):
        decode(data[: len(data) * 9 // 10])


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGBA"])
def test_bmps_of_every_mode_become_rgb(mode: str) -> None:
    image = four_corners().convert(mode)
    assert np.array_equal(decode(saved(image, "BMP")).rgb, np.asarray(image.convert("RGB")))
