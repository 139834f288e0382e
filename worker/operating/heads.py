"""Heads are promoted, rolled back and put in shadow, once it is sure that this host could judge with them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from pipeline.bundles.bundle import open_head, open_manifest
from pipeline.errors import ModelError
from worker.serving.registry import NetworkFiles, check_head, shipped_version
from worker.serving.signatures import HeadSignatures
from worker.store.models.models import Models


@dataclass(frozen=True, slots=True, kw_only=True)
class HeadChecks:
    """Whether a worker of this host could judge with a head."""

    models: Models
    bundle: Path
    networks: NetworkFiles
    signatures: Callable[[], HeadSignatures]

    @property
    def shipped(self) -> str | None:
        """The version of the bundle that this host was shipped with."""
        return shipped_version(self.bundle)

    def check_itself(self, version: str | None) -> None:
        """Whether the head is whole and signed, whatever networks it needs: for a host without models.

        Raises ModelError; an unknown version, and the shipped bundle, pass.
        """
        head = None if version is None else self.models.head(version)
        if head is not None:
            self.signatures().check(head)
            open_head(open_manifest(head.manifest), head.data)

    def check(self, version: str | None) -> None:
        """Of a version, or of the shipped bundle. Raises ModelError; an unknown version passes."""
        if version is None:
            if self.shipped is None:
                raise ModelError(f"there is no bundle at {self.bundle} to go back to")
            return
        head = self.models.head(version)
        if head is not None:
            check_head(head, self.bundle, self.networks, self.signatures())
