"""A bundle on disk: the networks, the head, and a manifest that vouches for each of them.

::

    manifest.json                  name, version, sha256 of every part, the head's metadata
    head.npz                       what was fitted (pipeline.bundles.head)
    facenet-0123456789ab.tflite    the networks, named by their sha256
    ...

A bundle is there whole or not at all: it is written beside its place and renamed. What is
read is what was written: every part is hashed before it is used, the manifest too, and the version
follows from the content, so that nothing else can go by its name.
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
"""Versions of bundles that were made before had fewer digits of the same hash."""


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a network comes from: enough to know whether it must be made again."""

    file: str
    """Name of the weight file, without its folder."""
    sha256: str
    """Of the weight file."""
    recipe: int = 0
    """Version of the conversion; 0 for files that are taken as they are."""


@dataclass(frozen=True, slots=True, eq=False)
class Backbone:
    """A network as it runs: on LiteRT, or on ONNX Runtime where ``suffix`` is ".onnx"."""

    data: bytes
    origin: Origin
    suffix: str = ".tflite"


@dataclass(frozen=True, slots=True)
class Part:
    """A file of the bundle, as the manifest names it."""

    file: str
    sha256: str
    size: int
    origin: Origin | None = None


@dataclass(frozen=True, slots=True)
class Manifest:
    """``head`` is the head's metadata: geometry, preprocessing, edges, calibration, figures."""

    name: str
    version: str
    parts: Mapping[str, Part]
    head: Mapping[str, Any]


@dataclass(frozen=True, slots=True, eq=False)
class Bundle:
    """A bundle whose every part was found as its manifest describes it."""

    folder: Path
    manifest: Manifest
    head: Head

    def path(self, part: str) -> Path:
        """The file of a network by its name (``facenet``). Raises BundleIncompatible."""
        if part not in self.manifest.parts:
            raise BundleIncompatible(f"the bundle {self.manifest.version} holds no {part}")
        return self.folder / self.manifest.parts[part].file

    def backbone(self, part: str) -> Backbone | None:
        """A network of this bundle, to be put into another; None where it holds none of that name."""
        record = self.manifest.parts.get(part)
        if record is None or record.origin is None:
            return None
        path = self.path(part)
        return Backbone(path.read_bytes(), record.origin, path.suffix)


def write_bundle(folder: Path, head: Head, backbones: Mapping[str, Backbone]) -> Manifest:
    """Put a bundle at ``folder``, in place of one that may be there.

    An error or an interruption on the way leaves whatever was there before; the very same
    bundle is left alone.
    """
    manifest, files = _compose(head, backbones)
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


def _compose(head: Head, backbones: Mapping[str, Backbone]) -> tuple[Manifest, dict[str, bytes]]:
    """The manifest, and the content of every file of the bundle by its name."""
    packed = head.pack()
    parts, files = {"head": Part(HEAD, _sha256(packed), len(packed))}, {HEAD: packed}
    for name, backbone in backbones.items():
        digest = _sha256(backbone.data)
        part = Part(f"{name}-{digest[:12]}{backbone.suffix}", digest, len(backbone.data), backbone.origin)
        parts[name], files[part.file] = part, backbone.data
    name = str(head.metadata.get("name", "bundle"))
    manifest = Manifest(name, f"{name}-{_identity(parts, head.metadata)}", parts, head.metadata)
    files[MANIFEST] = _to_json(manifest)
    return manifest, files


def _identity(parts: Mapping[str, Part], metadata: Mapping[str, Any]) -> str:
    """16 digits for what the bundle decides: the same head on the same weights, on every host."""
    origins = {name: asdict(part.origin) for name, part in parts.items() if part.origin}
    return _sha256(_canonical([parts["head"].sha256, metadata, origins]))[:_DIGITS]


def _check_version(manifest: Manifest) -> None:
    """Raises WeightsCorrupt where another content goes by the name of this version."""
    digits = manifest.version.rpartition("-")[2]
    own = _identity(manifest.parts, manifest.head)
    if len(digits) not in (_DIGITS, _DIGITS_ONCE) or not own.startswith(digits):
        raise WeightsCorrupt(f"{MANIFEST} is not that of {manifest.version}: its content has another version")


def with_head(base: Manifest, head: Head) -> tuple[Manifest, bytes, bytes]:
    """Another head on the networks of ``base``: its manifest, that one's text, and the packed head.

    What `write_bundle` would write; for heads that travel without their networks.
    """
    packed = head.pack()
    parts = {**base.parts, "head": Part(HEAD, _sha256(packed), len(packed))}
    name = str(head.metadata.get("name", "bundle"))
    manifest = Manifest(name, f"{name}-{_identity(parts, head.metadata)}", parts, head.metadata)
    return manifest, _to_json(manifest), packed


def networks(manifest: Manifest) -> str:
    """Which networks make the vectors, and how faces are cut out for them: `name:12 digits name:...`.

    Equal where vectors can be compared, on whatever host: the same weights and the same rules.
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
    """Open a bundle and check every part of it against the manifest.

    Raises WeightsMissing, WeightsCorrupt or BundleIncompatible, each naming the file.
    """
    manifest = read_manifest(folder)
    for name, part in manifest.parts.items():
        check_part(folder / part.file, name, part)
    head = Head.unpack((folder / manifest.parts["head"].file).read_bytes(), manifest.head)
    return Bundle(folder, manifest, head)


def read_manifest(folder: Path) -> Manifest:
    """The manifest alone, its own seal checked; for those who only want to know the version."""
    path = folder / MANIFEST
    if not path.is_file():
        raise WeightsMissing(f"no bundle at {folder}: {MANIFEST} is not there (make weights builds it)")
    return open_manifest(path.read_bytes())


def open_manifest(text: str | bytes) -> Manifest:
    """The manifest in this text, its own seal checked. Raises WeightsCorrupt or BundleIncompatible."""
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
    """The seal of a manifest that `open_manifest` took: the sha256 of its content."""
    return str(json.loads(text)["sha256"])


def open_head(manifest: Manifest, packed: bytes) -> Head:
    """A head that travels without its networks; the manifest vouches for it.

    Raises WeightsCorrupt where ``packed`` is not the head that the manifest names.
    """
    if _sha256(packed) != manifest.parts["head"].sha256:
        raise WeightsCorrupt(f"the head of {manifest.version} is not the one that its manifest names")
    return Head.unpack(packed, manifest.head)


def lacking(here: Manifest, wanted: Manifest) -> list[str]:
    """The networks that ``wanted`` was made for and ``here`` does not hold, by name.

    A network is the same where its file is, or where it was made from the same weights by the
    same recipe: another host's conversion may differ in its bytes.
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
    """Raises WeightsMissing or WeightsCorrupt where ``path`` is not the file that a manifest names."""
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
