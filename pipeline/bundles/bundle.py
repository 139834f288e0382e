"""A bundle on disk: networks, head, and a manifest with the hash of each.

::

    manifest.json                  name, version, sha256 of every part, the head's metadata
    head.npz                       what was fitted (pipeline.bundles.head)
    facenet-0123456789ab.tflite    the networks, named by their sha256
    ...

A bundle is written beside its place and renamed, so that it is never there in part. Every part and the
manifest are hashed before they are used, and the version follows from the content, so that no other content
can have the same version.
"""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pipeline.bundles.head import Head
from pipeline.errors import BundleIncompatible, WeightsCorrupt, WeightsMissing

FORMAT = 1
MANIFEST = "manifest.json"
HEAD = "head.npz"
_DIGITS = 16
_DIGITS_ONCE = 8
"""Bundles that were made before have versions with fewer digits of the same hash."""


@dataclass(frozen=True, slots=True)
class Origin:
    """The weight file that a network was made from; tells whether it must be made again."""

    file: str
    """Name of the weight file, without its folder."""
    sha256: str
    """Of the weight file."""
    recipe: int = 0
    """Version of the conversion; 0 for files that are taken as they are."""


@dataclass(frozen=True, slots=True, eq=False)
class NetworkFile:
    """A network's file for LiteRT, or for ONNX Runtime where ``suffix`` is ".onnx"."""

    data: bytes
    origin: Origin
    suffix: str = ".tflite"


@dataclass(frozen=True, slots=True)
class Part:
    """A file of the bundle in the manifest."""

    file: str
    sha256: str
    size: int
    origin: Origin | None = None


@dataclass(frozen=True, slots=True)
class Manifest:
    """``head`` is the head's metadata: geometry, preprocessing, thresholds, calibration, figures."""

    name: str
    version: str
    parts: Mapping[str, Part]
    head: Mapping[str, Any]


@dataclass(frozen=True, slots=True, eq=False)
class Bundle:
    """A bundle whose parts all match its manifest."""

    folder: Path
    manifest: Manifest
    head: Head

    def path(self, part: str) -> Path:
        """The file of a network by its name (``facenet``). Raises BundleIncompatible."""
        if part not in self.manifest.parts:
            raise BundleIncompatible(f"the bundle {self.manifest.version} holds no {part}")
        return self.folder / self.manifest.parts[part].file

    def network(self, part: str) -> NetworkFile | None:
        """A network by name, to be put into another bundle; None where there is none."""
        record = self.manifest.parts.get(part)
        if record is None or record.origin is None:
            return None
        path = self.path(part)
        return NetworkFile(path.read_bytes(), record.origin, path.suffix)


def write_bundle(folder: Path, head: Head, networks: Mapping[str, NetworkFile]) -> Manifest:
    """Write a bundle to ``folder``, in place of one that may be there.

    After an error or an interruption the earlier bundle is still there. An identical bundle is left alone.
    """
    manifest, files = _compose(head, networks)
    if (current := installed(folder)) and current.manifest == manifest:
        return manifest
    folder = folder.absolute()
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{folder.name}-", dir=folder.parent) as workplace:
        fresh, old = Path(workplace) / "fresh", Path(workplace) / "old"
        fresh.mkdir()
        for name, data in files.items():
            (fresh / name).write_bytes(data)
        if folder.exists():
            folder.rename(old)
        try:
            fresh.rename(folder)
        except BaseException:
            with suppress(FileNotFoundError):
                old.rename(folder)
            raise
    return manifest


def _compose(head: Head, networks: Mapping[str, NetworkFile]) -> tuple[Manifest, dict[str, bytes]]:
    """The manifest, and the content of every file of the bundle by name."""
    packed = head.pack()
    parts, files = {"head": Part(HEAD, _sha256(packed), len(packed))}, {HEAD: packed}
    for name, network in networks.items():
        digest = _sha256(network.data)
        part = Part(f"{name}-{digest[:12]}{network.suffix}", digest, len(network.data), network.origin)
        parts[name], files[part.file] = part, network.data
    name = str(head.metadata.get("name", "bundle"))
    manifest = Manifest(name, f"{name}-{_identity(parts, head.metadata)}", parts, head.metadata)
    files[MANIFEST] = _to_json(manifest)
    return manifest, files


def _identity(parts: Mapping[str, Part], metadata: Mapping[str, Any]) -> str:
    """16 digits that depend on the head and on the weights, but not on the host that converted them."""
    origins = {name: asdict(part.origin) for name, part in parts.items() if part.origin}
    return _sha256(_canonical([parts["head"].sha256, metadata, origins]))[:_DIGITS]


def _check_version(manifest: Manifest) -> None:
    """Raises WeightsCorrupt where the content does not have this version."""
    digits = manifest.version.rpartition("-")[2]
    own = _identity(manifest.parts, manifest.head)
    if len(digits) not in (_DIGITS, _DIGITS_ONCE) or not own.startswith(digits):
        raise WeightsCorrupt(f"{MANIFEST} is not that of {manifest.version}: its content has another version")


def with_head(base: Manifest, head: Head) -> tuple[Manifest, bytes, bytes]:
    """Another head on the networks of ``base``: its manifest, the manifest's text, and the packed head.

    They equal what `write_bundle` writes, for heads that are stored without their networks.
    """
    packed = head.pack()
    parts = {**base.parts, "head": Part(HEAD, _sha256(packed), len(packed))}
    name = str(head.metadata.get("name", "bundle"))
    manifest = Manifest(name, f"{name}-{_identity(parts, head.metadata)}", parts, head.metadata)
    return manifest, _to_json(manifest), packed


def networks(manifest: Manifest) -> str:
    """The networks and crops that embeddings depend on, as `name:12 digits name:...`.

    The text is equal on all hosts with the same weights and rules, whose embeddings can be compared.
    """
    found = []
    for name, described in sorted(manifest.head.get("embedders", {}).items()):
        rule = {key: value for key, value in described.items() if key != "probe"}
        parts = [manifest.parts.get(part) for part in ("face_mesh", name)]
        origins = [asdict(part.origin) for part in parts if part and part.origin]
        found.append(f"{name}:{_sha256(_canonical([rule, origins]))[:12]}")
    return " ".join(found)


def _to_json(manifest: Manifest) -> bytes:
    record = {"format": FORMAT, **asdict(manifest)}
    sealed = {**record, "sha256": _sha256(_canonical(record))}
    return json.dumps(sealed, indent=2, ensure_ascii=False).encode() + b"\n"


def read_bundle(folder: Path) -> Bundle:
    """Read a bundle and check every part against the manifest.

    Raises WeightsMissing, WeightsCorrupt or BundleIncompatible, each with the name of the file.
    """
    manifest = read_manifest(folder)
    for name, part in manifest.parts.items():
        check_part(folder / part.file, name, part)
    head = Head.unpack((folder / manifest.parts["head"].file).read_bytes(), manifest.head)
    return Bundle(folder, manifest, head)


def read_manifest(folder: Path) -> Manifest:
    """The manifest alone, with its hash checked, for callers that only need the version."""
    path = folder / MANIFEST
    if not path.is_file():
        raise WeightsMissing(f"no bundle at {folder}: {MANIFEST} is not there (make weights builds it)")
    return open_manifest(path.read_bytes())


def open_manifest(text: str | bytes) -> Manifest:
    """The manifest in this text, with its hash checked. Raises WeightsCorrupt or BundleIncompatible."""
    try:
        record = json.loads(text)
        seal, written = record.pop("sha256"), record.pop("format")
    except (ValueError, KeyError, AttributeError, TypeError) as error:
        raise WeightsCorrupt(f"{MANIFEST} is damaged: {error!r}") from error
    if written != FORMAT:
        raise BundleIncompatible(f"the bundle has format {written}, this version reads {FORMAT}")
    if seal != _sha256(_canonical({"format": written, **record})):
        raise WeightsCorrupt(f"{MANIFEST} is damaged: its seal does not fit its content")
    try:
        parts = {name: _part(part) for name, part in record["parts"].items()}
        found = Manifest(record["name"], record["version"], {"head": parts["head"], **parts}, record["head"])
        _check_version(found)
    except (KeyError, AttributeError, TypeError) as error:
        raise WeightsCorrupt(f"{MANIFEST} does not describe a bundle: {error!r}") from error
    return found


def seal_of(text: str | bytes) -> str:
    """The sha256 in a manifest's text that `open_manifest` accepted."""
    return str(json.loads(text)["sha256"])


def open_head(manifest: Manifest, packed: bytes) -> Head:
    """A head that is stored without its networks, checked against its manifest.

    Raises WeightsCorrupt where ``packed`` is not the head in the manifest.
    """
    if _sha256(packed) != manifest.parts["head"].sha256:
        raise WeightsCorrupt(f"the head of {manifest.version} is not the one that its manifest names")
    return Head.unpack(packed, manifest.head)


def lacking(here: Manifest, wanted: Manifest) -> list[str]:
    """The names of the networks that ``wanted`` needs and ``here`` does not hold.

    Two networks are the same where their files are equal, or where they were made from the same weights by
    the same recipe, because conversions on different hosts may differ in some bytes.
    """
    return sorted(
        name
        for name, part in wanted.parts.items()
        if name != "head" and not same_network(here.parts.get(name), part)
    )


def same_network(mine: Part | None, theirs: Part) -> bool:
    """See `lacking`."""
    if mine is None:
        return False
    return mine.sha256 == theirs.sha256 or (mine.origin is not None and mine.origin == theirs.origin)


def _part(record: Mapping[str, Any]) -> Part:
    origin = Origin(**record["origin"]) if record["origin"] else None
    return Part(record["file"], record["sha256"], record["size"], origin)


def check_part(path: Path, name: str, part: Part) -> None:
    """Raises WeightsMissing or WeightsCorrupt where ``path`` is not the file in the manifest."""
    if not path.is_file():
        raise WeightsMissing(f"the bundle's {name} is not there: {part.file}")
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if digest != part.sha256:
        raise WeightsCorrupt(f"the bundle's {name} ({part.file}) is not the file that the manifest names")


def installed(folder: Path) -> Bundle | None:
    """The bundle at ``folder``, or None where there is none that can be used."""
    try:
        return read_bundle(folder)
    except (WeightsMissing, WeightsCorrupt, BundleIncompatible):
        return None


def _canonical(value: Any) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
