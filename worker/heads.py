"""Heads on their way from a bundle's folder into the database."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

from pipeline.bundle import HEAD, MANIFEST, lacking, open_head, open_manifest, read_bundle, read_manifest
from pipeline.errors import BundleIncompatible, ModelError
from worker.states import ModelState
from worker.store import PublishedHead


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
    figures: Mapping[str, Any] | None = None,
    state: ModelState = ModelState.CHALLENGER,
) -> str:
    """Put a bundle's head into the database, as a challenger or rejected at once; its version.

    ``figures`` is what its judges have measured: JSON, shown by `models list`. Whatever a version's
    state is by now stays. Raises ModelError, NotPossible, StoreUnavailable.
    """
    head = read_head(folder)
    store.add_model(head, now, figures=figures, state=state)
    return head.version


def check_head(head: PublishedHead, bundle: Path) -> None:
    """Raises ModelError where the head is damaged, or made for networks that this bundle does not hold."""
    manifest = open_manifest(head.manifest)
    open_head(manifest, head.data)
    if missing := lacking(read_manifest(bundle), manifest):
        raise BundleIncompatible(
            f"the bundle here ({bundle}) does not hold the networks of {head.version}: {', '.join(missing)}"
        )


def shipped_version(bundle: Path) -> str | None:
    """The version of the bundle in this folder; None where there is none that can be used."""
    try:
        return read_manifest(bundle).version
    except ModelError:
        return None
