"""What a reviewer is told of a photo's file, what stays unsaid, and whose name is burned into the pixels."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from dataclasses import fields
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pillow_heif
import pytest
from PIL import ExifTags, Image

from support.bundle import ROOT
from support.console_photos import OWNER, SECRET, face_picture, landmarks_of, phone_exif, saved, turned_pair
from worker.console.photos.facts import FileFacts
from worker.console.photos.pictures import Shape, jpeg, pixels, ready
from worker.console.photos.watermark import label_of, mark_of, marked

SEOUL = ZoneInfo("Asia/Seoul")
NOW = datetime(2026, 11, 29, 15, 4, 59, tzinfo=UTC)
EYES = turned_pair((320, 200), 80, 0)
PICTURE = face_picture((640, 480), EYES)


def heic(exif: Image.Exif | None = None) -> bytes:
    file = io.BytesIO()
    options = {"exif": exif.tobytes()} if exif else {}
    pillow_heif.from_pillow(Image.fromarray(PICTURE)).save(file, format="HEIF", quality=90, **options)
    return file.getvalue()


FILES = {form: saved(PICTURE, form, phone_exif()) for form in ("JPEG", "PNG", "WEBP")} | {
    "HEIC": heic(phone_exif())
}


def facts(data: bytes) -> FileFacts:
    return ready(data, None, None).facts


@pytest.mark.parametrize("form", sorted(FILES))
def test_camera_date_software_and_size_are_told(form: str) -> None:
    found = facts(FILES[form])
    assert found == FileFacts(
        format="WebP" if form == "WEBP" else form,
        width=640,
        height=480,
        bytes=len(FILES[form]),
        camera="samsung SM-S911N",
        taken="2026-05-04 13:02",
        software="S911NKSU3CXF1",
    )


@pytest.mark.parametrize("form", sorted(FILES))
def test_position_serial_number_and_owner_are_in_nothing_that_is_held(form: str) -> None:
    data = FILES[form]
    assert all(secret.encode() in data for secret in (SECRET, OWNER))
    photo = ready(data, None, landmarks_of(EYES))
    held = " ".join(str(getattr(photo.facts, one.name)) for one in fields(FileFacts)).encode()
    for kept in (held, *photo.pictures.values()):
        assert not [secret for secret in (SECRET, OWNER, "Phone of") if secret.encode() in kept]
    assert "37" not in (photo.facts.camera or "") + (photo.facts.software or "")


@pytest.mark.parametrize("shape", list(Shape))
def test_of_the_original_file_no_block_of_data_is_left(shape: Shape) -> None:
    photo = ready(FILES["JPEG"], None, landmarks_of(EYES))
    sent = marked(photo.pictures[shape], "kim")
    with Image.open(io.BytesIO(sent)) as picture:
        assert not dict(picture.getexif())
        assert set(picture.info) <= {"jfif", "jfif_version", "jfif_unit", "jfif_density"}
        assert "comment" not in picture.info
    assert b"Exif" not in sent
    assert b"http://ns.adobe.com" not in sent


def test_a_file_that_says_nothing_has_only_its_size() -> None:
    for data in (saved(PICTURE), heic(), saved(PICTURE, "BMP")):
        found = facts(data)
        assert (found.width, found.height, found.bytes) == (640, 480, len(data))
        assert (found.camera, found.taken, found.software) == (None, None, None)


def test_texts_of_a_file_are_one_line_and_short_whatever_is_in_them() -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Make] = "Evil\r\n\x1b[31m<script>" + "x" * 5000
    exif[ExifTags.Base.Model] = 7
    exif[ExifTags.Base.Software] = "\x00\x01"
    exif[ExifTags.Base.DateTime] = "yesterday"
    found = facts(saved(PICTURE, exif=exif))
    assert found.camera is not None
    assert found.camera.startswith("Evil [31m<script>")  # the page escapes it
    assert found.camera.isprintable()
    assert len(found.camera) <= 60
    assert (found.taken, found.software) == (None, None)


def test_a_damaged_block_costs_the_facts_and_not_the_photo() -> None:
    data = saved(PICTURE, exif=phone_exif())
    at = data.index(b"Exif\0\0")
    broken = data[: at + 10] + b"\xff" * 60 + data[at + 70 :]
    assert facts(broken).camera is None


@pytest.mark.parametrize(
    ("make", "model", "told"),
    [
        ("Apple", "iPhone 15", "Apple iPhone 15"),
        ("Canon", "Canon EOS R6", "Canon EOS R6"),
        ("Apple", None, "Apple"),
    ],
)
def test_a_make_is_not_said_twice(make: str, model: str | None, told: str) -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Make] = make
    if model:
        exif[ExifTags.Base.Model] = model
    assert facts(saved(PICTURE, exif=exif)).camera == told


def test_the_mark_names_account_and_minute_with_the_zone() -> None:
    assert mark_of(7, "kim.j", NOW, SEOUL) == "#7 kim.j 2026-11-30 00:04 KST"
    assert label_of("김영희", NOW, SEOUL) == "김영희 2026-11-30 00:04 KST"
    assert label_of("김영희", NOW, ZoneInfo("America/Sao_Paulo")) == "김영희 2026-11-29 12:04 UTC-0300"


def test_a_korean_name_is_in_the_pixels_by_the_number_of_its_account() -> None:
    assert mark_of(12, "김영희", NOW, SEOUL) == "#12 2026-11-30 00:04 KST"
    assert mark_of(12, "김 lee", NOW, SEOUL).isascii()


@pytest.mark.parametrize("size", [(640, 640), (1600, 1200), (1200, 1600), (80, 60), (4, 4)])
@pytest.mark.parametrize("shade", [0, 128, 255])
def test_the_mark_is_seen_at_the_borders_on_any_photo_and_leaves_the_middle_alone(
    size: tuple[int, int], shade: int
) -> None:
    plain = np.full((size[1], size[0], 3), shade, dtype=np.uint8)
    sent = pixels(marked(jpeg(plain, 95), mark_of(7, "kim.j", NOW, SEOUL)))
    assert sent.shape == plain.shape
    changed = np.abs(sent.astype(int) - shade).max(axis=2) > 40
    if min(size) >= 640:
        rows = np.flatnonzero(changed.any(axis=1)) / size[1]
        assert ((rows < 0.1) | (rows > 0.9)).all()
        assert (rows < 0.1).any()
        assert (rows > 0.9).any()


def test_no_format_leaves_a_file_behind(tmp_path: Path) -> None:
    """In a process whose folders for temporary and own files, and working folder, are empty."""
    files, empty = tmp_path / "files", tmp_path / "empty"
    for folder in (files, empty):
        folder.mkdir()
    for form, data in FILES.items():
        (files / form).write_bytes(data)
    code = (
        "import sys; from pathlib import Path\n"
        "from worker.console.photos.pictures import Shape, ready\n"
        "from worker.console.photos.watermark import marked\n"
        "for path in Path(sys.argv[1]).iterdir():\n"
        "    photo = ready(path.read_bytes(), None, None)\n"
        "    assert all(marked(photo.pictures[shape], 'kim') for shape in Shape)\n"
    )
    env = {"PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1", "PATH": os.environ["PATH"]}
    env |= dict.fromkeys(("TMPDIR", "TEMP", "HOME", "XDG_CACHE_HOME", "XDG_RUNTIME_DIR"), str(empty))
    subprocess.run([sys.executable, "-c", code, files], env=env, cwd=empty, check=True)
    assert list(empty.rglob("*")) == []
