"""Heads as a page tells of them: version, thresholds, and where similarities lie; no network is loaded."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from pipeline.bundles.bundle import Manifest, open_manifest, read_manifest
from pipeline.bundles.head import CALIBRATED
from pipeline.bundles.reference import Reference, reference_of, shipped_as
from pipeline.errors import PipelineError


class Heads(Protocol):
    """The part of the store that knows heads."""

    def champion(self) -> str | None:
        """None: the bundle that each host was shipped with."""

    def manifest(self, version: str) -> str | None: ...


@dataclass(frozen=True, slots=True)
class DescribedHead:
    """What is known of a head without its arrays."""

    version: str
    calibrated: bool
    different: float
    """The different threshold as log-odds of the similarity; the approve threshold is 0."""
    reference: Reference | None
    """None of heads that were made before there were references."""


class References:
    """Describes heads: published ones, and the one of the bundle here."""

    def __init__(self, heads: Heads, bundle: Path) -> None:
        self._heads = heads
        self._bundle = bundle
        self._known: dict[str, DescribedHead] = {}

    def champion(self, seen: str | None = None) -> DescribedHead | None:
        """The head that judges; None where nothing is known of it here.

        ``seen``: the version that has judged lately, for a process without a bundle.
        """
        shipped = self._shipped()
        version = self._heads.champion() or (shipped.version if shipped else seen)
        return self.of(version) if version else None

    def of(self, version: str) -> DescribedHead | None:
        """The head of this version; None where there is none, or none that can be read."""
        if version not in self._known and (found := self._describe(version)):
            self._known[version] = found  # a version's content never changes
        return self._known.get(version)

    def _describe(self, version: str) -> DescribedHead | None:
        shipped = self._shipped()
        if shipped is not None and shipped.version == version:
            return described(version, shipped.parts["head"].sha256, shipped.head)
        if (known := shipped_as(version)) is not None:
            return described(version, *known)
        text = self._heads.manifest(version)
        try:
            manifest = None if text is None else open_manifest(text)
        except PipelineError:
            manifest = None
        if manifest is None:
            return None
        return described(version, manifest.parts["head"].sha256, manifest.head)

    def _shipped(self) -> Manifest | None:
        try:
            return read_manifest(self._bundle)
        except PipelineError:
            return None


def described(version: str, head_sha256: str, metadata: Mapping[str, Any]) -> DescribedHead:
    """What a head's metadata say. Raises WeightsCorrupt where files of this version are damaged."""
    thresholds: Mapping[str, Any] = metadata.get("edges", {})
    calibrated = metadata.get("calibration") == CALIBRATED
    try:
        different = thresholds["scale"] * (thresholds["different"] - thresholds["approve"])
    except (KeyError, TypeError):
        different = 0.0
    reference = reference_of(head_sha256, metadata)
    return DescribedHead(version, calibrated, float(different), reference)
