"""Heads on their way from a bundle's folder into the database."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, Final, Protocol

from pipeline.bundle import (
    HEAD,
    MANIFEST,
    Manifest,
    lacking,
    open_head,
    open_manifest,
    read_bundle,
    read_manifest,
)
from pipeline.errors import ModelError
from worker.backbones import Backbones
from worker.signatures import UNSIGNED, HeadSignatures
from worker.states import ModelState
from worker.store import PublishedHead

NOTHING: Final = Manifest("", "", {}, {})


class Versions(Protocol):
    """The part of the store that takes heads."""

    def add_model(
        self,
        head: PublishedHead,
        now: datetime,
        *,
        figures: Mapping[str, Any] | None = None,
        state: ModelState = ModelState.CHALLENGER,
    ) -> ModelState:
        """The same version a second time changes nothing."""
        ...


def read_head(folder: Path) -> PublishedHead:
    """The head of a whole bundle. Raises ModelError where any part of it is damaged."""
    version = read_bundle(folder).manifest.version
    return PublishedHead(
        version, (folder / MANIFEST).read_text(encoding="utf-8"), (folder / HEAD).read_bytes()
    )


def publish(
    store: Versions,
    folder: Path,
    now: datetime,
    *,
    signatures: HeadSignatures = UNSIGNED,
    figures: Mapping[str, Any] | None = None,
    state: ModelState = ModelState.CHALLENGER,
) -> str:
    """Put a bundle's head into the database, as a challenger or rejected at once; its version.

    ``figures`` is what its judges have measured: JSON, shown by `models list`. Whatever a version's
    state is by now stays. Raises ModelError, NotPossible, StoreUnavailable.
    """
    head = signatures.sign(read_head(folder))
    store.add_model(head, now, figures=figures, state=state)
    return head.version


def check_head(
    head: PublishedHead, bundle: Path, backbones: Backbones, signatures: HeadSignatures = UNSIGNED
) -> None:
    """Raises ModelError where the head is damaged, not signed by whom it must be, or made for networks that
    this host cannot have."""
    signatures.check(head)
    manifest = open_manifest(head.manifest)
    open_head(manifest, head.data)
    for name in lacking(read_manifest(bundle), manifest):
        backbones.find(name, manifest.parts[name])


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
