"""Heads and networks that are not in a host's own bundle.

Heads go from a bundle's folder into the database; networks are files, found by their sha256 in a folder or at
a URL that all hosts share.
"""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Iterable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, Final, Protocol

import requests

from pipeline.bundles.bundle import (
    HEAD,
    MANIFEST,
    Manifest,
    Part,
    check_part,
    lacking,
    open_head,
    open_manifest,
    read_bundle,
    read_manifest,
)
from pipeline.errors import ModelError, WeightsCorrupt, WeightsMissing
from worker.downloads.pinned import DownloadFailed, from_url, replacing
from worker.serving.signatures import UNSIGNED, HeadSignatures
from worker.store import PublishedHead
from worker.store.tables.states import ModelState

NOTHING: Final = Manifest("", "", {}, {})
SECONDS: Final = 25.0
"""For one network of about 90 MB: well below a job's time limit, for a job waits for it."""
_NAME: Final = re.compile(r"[\w-]+(\.tflite|\.onnx)")
_SHA256: Final = re.compile(r"[0-9a-f]{64}")
_shares_weights: list[bool] = []
"""Not empty in a process of a pool."""


def share_weights() -> None:
    """From here on this process, which ends by `os._exit`, shares packed weights with those of its host."""
    _shares_weights[:] = [True]


def shared_weights() -> Path | None:
    """The folder of packed weights, one for each user; in our containers it is in memory."""
    return Path(tempfile.gettempdir()) / f"face-verification-{os.getuid()}" if _shares_weights else None


class Versions(Protocol):
    """The part of the store that takes heads."""

    def add(
        self,
        head: PublishedHead,
        now: datetime,
        *,
        figures: Mapping[str, Any] | None = None,
        state: ModelState = ModelState.CHALLENGER,
    ) -> ModelState:
        """The same version a second time changes nothing."""


def read_head(folder: Path) -> PublishedHead:
    """The head of a whole bundle. Raises ModelError where any part of it is damaged."""
    version = read_bundle(folder).manifest.version
    return PublishedHead(
        version, (folder / MANIFEST).read_text(encoding="utf-8"), (folder / HEAD).read_bytes()
    )


def publish(
    versions: Versions,
    folder: Path,
    now: datetime,
    *,
    signatures: HeadSignatures = UNSIGNED,
    figures: Mapping[str, Any] | None = None,
    state: ModelState = ModelState.CHALLENGER,
) -> str:
    """Put a bundle's head into the database, as a challenger or rejected at once; its version.

    ``figures`` is what was measured of it: JSON, shown by `models list`. The state of a version that is
    there already stays. Raises ModelError, NotPossible, StoreUnavailable.
    """
    head = signatures.sign(read_head(folder))
    versions.add(head, now, figures=figures, state=state)
    return head.version


def check_head(
    head: PublishedHead, bundle: Path, networks: NetworkFiles, signatures: HeadSignatures = UNSIGNED
) -> None:
    """Raises ModelError where the head is damaged, not signed by whom it must be, or made for networks that
    this host cannot have."""
    signatures.check(head)
    manifest = open_manifest(head.manifest)
    open_head(manifest, head.data)
    for name in lacking(read_manifest(bundle), manifest):
        networks.find(name, manifest.parts[name])


def foreign_networks(folder: Path, bundle: Path) -> list[str]:
    """Networks of the bundle in ``folder`` that this host's own does not hold. Raises ModelError."""
    theirs = read_manifest(folder)
    return lacking(read_manifest(bundle), theirs) if shipped_version(bundle) else lacking(NOTHING, theirs)


def shipped_version(bundle: Path) -> str | None:
    """The version of the bundle in this folder; None where there is none that can be used."""
    try:
        return read_manifest(bundle).version
    except ModelError:
        return None


class NetworkFiles:
    """Networks by hash, in VERIFY_BACKBONES."""

    def __init__(self, place: str, cache: Path) -> None:
        """``place`` is a folder or a URL; empty: nothing can be fetched."""
        self._place = place.rstrip("/")
        self._cache = cache

    def find(self, name: str, part: Part) -> Path:
        """The network's file, fetched if need be and checked. Raises ModelError."""
        named = _NAME.fullmatch(part.file)
        if named is None or not _SHA256.fullmatch(part.sha256):
            raise WeightsCorrupt(f"the manifest names no file of a network: {part.file!r}")
        path = self._cache / f"{part.sha256}{named[1]}"
        if not path.is_file():
            if not self._place:
                raise WeightsMissing(f"the bundle here does not hold {name}, and VERIFY_BACKBONES is not set")
            self._fetch(name, part, path)
        return path

    def _fetch(self, name: str, part: Part, path: Path) -> None:
        try:
            with replacing(path) as file:
                if self._is_url:
                    url = f"{self._place}/{part.file}"
                    from_url(url, file, timeout=(4, 10), max_bytes=part.size, max_seconds=SECONDS)
                else:
                    shutil.copyfile(Path(self._place) / part.file, file)
                check_part(file, name, part)
        except DownloadFailed as error:
            raise WeightsMissing(f"{part.file}: {error}") from error
        except (OSError, requests.RequestException) as error:
            kind = type(error).__name__
            raise WeightsMissing(f"{part.file} cannot be had from VERIFY_BACKBONES ({kind})") from error

    @property
    def _is_url(self) -> bool:
        return self._place.startswith(("https://", "http://"))

    def offer(self, bundle: Path, names: Iterable[str]) -> list[str]:
        """Put these networks of a bundle where hosts look for them. Raises ModelError.

        Returns the files that somebody has to put there by hand: all of them where the place is a URL,
        or none is set.
        """
        parts = read_manifest(bundle).parts
        files = [parts[name].file for name in names]
        if not self._place or self._is_url:
            return files
        for file in files:
            with replacing(Path(self._place) / file) as fresh:
                shutil.copyfile(bundle / file, fresh)
        return []
