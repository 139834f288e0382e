"""The demo's photos and the web server that they lie on.

They show public persons and come out of packages on the package index; none is part of this repository.
The test pictures of `face_recognition` (MIT) are White House portraits, scikit-image carries NASA's
portrait of Eileen Collins and a cat. What is downloaded is pinned by hash and kept under `var`.
"""

from __future__ import annotations

import importlib.util
import shutil
import tarfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Final

from PIL import Image

from worker.downloads.pinned import DownloadFailed, PinnedFile, from_package_index
from worker.errors import PermanentError

_ARCHIVE: Final = PinnedFile(
    "face_recognition-1.3.0.tar.gz",
    "5e5efdd1686aa566af0d3cc1313b131e4b197657a8ffd03669e6d3fad92705ec",
    "face_recognition==1.3.0",
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


class PhotosMissing(PermanentError):
    """The demo's photos cannot be had."""


def gather(folder: Path, cache: Path) -> None:
    """Put every photo of the demo into ``folder``; downloads are kept in ``cache``.

    Raises PhotosMissing.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if missing := [name for name in _FROM_ARCHIVE if not (folder / name).is_file()]:
        _unpack(_downloaded(cache), missing, folder)
    for name in _FROM_SCIKIT_IMAGE:
        shutil.copyfile(_scikit_image() / name, folder / name)
    _compose_group(folder).save(folder / "group.jpg", quality=92)


def _downloaded(cache: Path) -> Path:
    archive = cache / _ARCHIVE.file
    if not archive.is_file():
        try:
            from_package_index([_ARCHIVE], cache, kind="--no-binary=:all:")
        except DownloadFailed as error:
            last = str(error).splitlines()[-1]
            raise PhotosMissing(f"the demo's photos cannot be downloaded: {last}") from error
    if not _ARCHIVE.is_in(cache):
        raise PhotosMissing(f"{archive} is not the file that was expected; remove it and try again")
    return archive


def _unpack(archive: Path, names: list[str], folder: Path) -> None:
    with tarfile.open(archive) as tar:
        for name in names:
            member = tar.extractfile(f"face_recognition-1.3.0/tests/test_images/{name}")
            if member is None:
                raise PhotosMissing(f"{name} is not in {archive}")
            (folder / name).write_bytes(member.read())


def _scikit_image() -> Path:
    """The folder of its pictures, without importing it."""
    spec = importlib.util.find_spec("skimage")
    if spec is None or spec.origin is None:
        raise PhotosMissing("the demo needs scikit-image: pip install -r requirements.txt")
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


class _QuietHandler(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        """Say nothing."""


@contextmanager
def photo_host(folder: Path) -> Iterator[str]:
    """Serves the files of a folder on a free port of this machine; its base URL."""
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(_QuietHandler, directory=str(folder))) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.1,), daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()
