"""Photos of public persons, out of packages on the package index; none is part of this repository.

The test pictures of `face_recognition` (MIT) are White House portraits, scikit-image carries NASA's
portrait of Eileen Collins and a cat. What is downloaded is pinned by hash and kept under `var`.
"""

from __future__ import annotations

import hashlib
import importlib.util
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Final

from PIL import Image

from worker.errors import PermanentError

_ARCHIVE: Final = "face_recognition-1.3.0.tar.gz"
_PIN: Final = (
    "face_recognition==1.3.0 --hash=sha256:5e5efdd1686aa566af0d3cc1313b131e4b197657a8ffd03669e6d3fad92705ec\n"
)
_FROM_ARCHIVE: Final = ("obama.jpg", "obama2.jpg", "obama3.jpg", "biden.jpg", "32bit.png")
_FROM_SCIKIT_IMAGE: Final = ("astronaut.png", "chelsea.png")
_PEOPLE: Final = (
    ("obama3.jpg", (510, 170, 1040, 930)),
    ("biden.jpg", (340, 60, 830, 763)),
    ("astronaut.png", (119, 4, 329, 305)),
)
"""Who stands in the group photo: file, and the part of it (left, top, right, bottom)."""
_GROUP_HEIGHT: Final = 720


class PicturesMissing(PermanentError):
    """The demo's photos cannot be had."""


def gather(folder: Path, cache: Path) -> None:
    """Put every photo of the demo into ``folder``; downloads are kept in ``cache``.

    Raises PicturesMissing.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if missing := [name for name in _FROM_ARCHIVE if not (folder / name).is_file()]:
        _unpack(_downloaded(cache), missing, folder)
    for name in _FROM_SCIKIT_IMAGE:
        shutil.copyfile(_scikit_image() / name, folder / name)
    _compose_group(folder).save(folder / "group.jpg", quality=92)


def _downloaded(cache: Path) -> Path:
    archive = cache / _ARCHIVE
    if not archive.is_file():
        cache.mkdir(parents=True, exist_ok=True)
        _download(cache)
    if f"sha256:{hashlib.sha256(archive.read_bytes()).hexdigest()}\n" not in _PIN:
        raise PicturesMissing(f"{archive} is not the file that was expected; remove it and try again")
    return archive


def _download(cache: Path) -> None:
    """pip checks the hash before it looks inside."""
    pins = cache / "face_recognition.txt"
    pins.write_text(_PIN)
    options = ["--no-deps", "--no-binary=:all:", "--require-hashes", "--quiet", "--disable-pip-version-check"]
    command = [sys.executable, "-m", "pip", "download", *options, f"--dest={cache}", f"--requirement={pins}"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise PicturesMissing(f"the demo's photos cannot be downloaded: {last}")


def _unpack(archive: Path, names: list[str], folder: Path) -> None:
    with tarfile.open(archive) as tar:
        for name in names:
            member = tar.extractfile(f"face_recognition-1.3.0/tests/test_images/{name}")
            if member is None:
                raise PicturesMissing(f"{name} is not in {archive}")
            (folder / name).write_bytes(member.read())


def _scikit_image() -> Path:
    """The folder of its pictures, without importing it."""
    spec = importlib.util.find_spec("skimage")
    if spec is None or spec.origin is None:
        raise PicturesMissing("the demo needs scikit-image: pip install -r requirements.txt")
    return Path(spec.origin).parent / "data"


def _compose_group(folder: Path) -> Image.Image:
    """Three people side by side, their faces of about one size."""
    parts = [_scaled(Image.open(folder / name).convert("RGB").crop(box)) for name, box in _PEOPLE]
    group = Image.new("RGB", (sum(part.width for part in parts), _GROUP_HEIGHT))
    left = 0
    for part in parts:
        group.paste(part, (left, 0))
        left += part.width
    return group


def _scaled(part: Image.Image) -> Image.Image:
    width = round(part.width * _GROUP_HEIGHT / part.height)
    return part.resize((width, _GROUP_HEIGHT), Image.Resampling.LANCZOS)
