"""A bundle on disk is whole and unchanged, or it is refused in one clear sentence."""

from __future__ import annotations

import hashlib
import io
import json
import subprocess
import sys
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pipeline.bundles.bundle import (
    MANIFEST,
    NetworkFile,
    Origin,
    lacking,
    open_head,
    open_manifest,
    read_bundle,
    read_manifest,
    with_head,
    write_bundle,
)
from pipeline.bundles.head import Head
from pipeline.errors import BundleIncompatible, WeightsCorrupt, WeightsMissing
from support.bundle import ROOT

NETWORKS = {
    "facenet": NetworkFile(b"the first network", Origin("graph_final.pb", "0" * 64, recipe=1)),
    "sface": NetworkFile(b"the second network", Origin("sface.onnx", "1" * 64, recipe=1)),
}


def a_head(approve: float = 0.4) -> Head:
    mean = np.arange(512, dtype=np.float32)
    return Head(
        {"facenet.mean": mean}, {"name": "both", "edges": {"approve": approve, "scale": float("inf")}}
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_bundle(tmp_path / "bundle", a_head(), NETWORKS)
    return tmp_path / "bundle"


def test_what_is_written_is_read_again(folder: Path) -> None:
    bundle = read_bundle(folder)
    assert bundle.head.metadata == a_head().metadata
    assert np.array_equal(bundle.head.arrays["facenet.mean"], a_head().arrays["facenet.mean"])
    assert bundle.path("sface").read_bytes() == b"the second network"
    assert bundle.network("facenet") is not None
    assert bundle.manifest == read_manifest(folder)


def test_the_version_follows_the_content_and_is_the_same_on_every_host(tmp_path: Path, folder: Path) -> None:
    elsewhere = write_bundle(tmp_path / "elsewhere", a_head(), NETWORKS)
    stricter = write_bundle(tmp_path / "stricter", a_head(approve=0.5), NETWORKS)
    assert read_manifest(folder).version == elsewhere.version
    assert elsewhere.version.startswith("both-")
    assert stricter.version != elsewhere.version


@pytest.mark.parametrize("part", ["manifest", "head", "facenet", "sface"])
def test_one_damaged_byte_anywhere_is_refused(folder: Path, part: str) -> None:
    path = folder / MANIFEST if part == "manifest" else read_bundle(folder).path(part)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(WeightsCorrupt, match=part):
        read_bundle(folder)


def test_a_threshold_changed_by_hand_is_refused(folder: Path) -> None:
    text = (folder / MANIFEST).read_text()
    (folder / MANIFEST).write_text(text.replace('"approve": 0.4', '"approve": 0.1'))
    with pytest.raises(WeightsCorrupt, match="seal"):
        read_bundle(folder)


def resealed(text: str, **changes: object) -> str:
    """The manifest with other content, and a seal that fits it."""
    record = {**json.loads(text), **changes}
    del record["sha256"]
    canonical = json.dumps(record, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    return json.dumps({**record, "sha256": hashlib.sha256(canonical).hexdigest()})


def test_other_thresholds_under_the_same_version_are_refused_though_the_seal_fits(folder: Path) -> None:
    text = (folder / MANIFEST).read_text()
    thresholds = {"edges": {"approve": -1.0, "scale": float("inf")}}
    with pytest.raises(WeightsCorrupt, match="another version"):
        open_manifest(resealed(text, head={**json.loads(text)["head"], **thresholds}))
    assert open_manifest(resealed(text)) == read_manifest(folder)


@pytest.mark.parametrize("digits", ["", "f", "0123456789abcdef"])
def test_a_version_that_its_content_does_not_give_is_refused(folder: Path, digits: str) -> None:
    with pytest.raises(WeightsCorrupt, match="another version"):
        open_manifest(resealed((folder / MANIFEST).read_text(), version=f"both-{digits}"))


def test_a_version_with_the_eight_digits_of_earlier_bundles_is_read(folder: Path) -> None:
    version = read_manifest(folder).version[:-8]
    assert open_manifest(resealed((folder / MANIFEST).read_text(), version=version)).version == version


@pytest.mark.parametrize("part", ["head", "facenet", "sface"])
def test_a_missing_part_is_named(folder: Path, part: str) -> None:
    path = read_bundle(folder).path(part)
    path.unlink()
    with pytest.raises(WeightsMissing, match=path.name):
        read_bundle(folder)


def test_no_bundle_at_all_says_how_to_build_one(tmp_path: Path) -> None:
    with pytest.raises(WeightsMissing, match="make weights"):
        read_bundle(tmp_path / "nothing")


def test_a_format_of_another_version_is_refused(folder: Path) -> None:
    record = json.loads((folder / MANIFEST).read_text())
    (folder / MANIFEST).write_text(json.dumps({**record, "format": 99}))
    with pytest.raises(BundleIncompatible, match="format 99"):
        read_bundle(folder)


def test_a_network_that_it_does_not_hold_is_named(folder: Path) -> None:
    with pytest.raises(BundleIncompatible, match="face_mesh"):
        read_bundle(folder).path("face_mesh")


def test_a_new_bundle_takes_the_old_one_s_place_and_leaves_nothing_beside(folder: Path) -> None:
    newer = write_bundle(folder, a_head(approve=0.5), {"sface": NETWORKS["sface"]})
    assert read_bundle(folder).manifest == newer
    assert len(list(folder.iterdir())) == 3
    assert list(folder.parent.iterdir()) == [folder]


def test_the_same_bundle_is_not_written_again(folder: Path) -> None:
    before = {path: path.stat().st_ino for path in folder.iterdir()}
    write_bundle(folder, a_head(), NETWORKS)
    assert {path: path.stat().st_ino for path in folder.iterdir()} == before


def test_a_damaged_bundle_is_written_again(folder: Path) -> None:
    read_bundle(folder).path("sface").write_bytes(b"rubbish")
    write_bundle(folder, a_head(), NETWORKS)
    assert read_bundle(folder).path("sface").read_bytes() == b"the second network"


A_DISK_THAT_FILLS_UP = """
import resource, sys
from pathlib import Path
from pipeline.bundles.bundle import NetworkFile, Origin, write_bundle
from pipeline.bundles.head import Head
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
big = NetworkFile(bytes(1_000_000), Origin("big", "2" * 64))
write_bundle(Path(sys.argv[1]), Head({}, {}), {"big": big})
"""


@pytest.mark.parametrize("previous", [True, False])
def test_an_interrupted_write_changes_nothing(tmp_path: Path, previous: bool) -> None:
    folder = tmp_path / "bundle"
    if previous:
        write_bundle(folder, a_head(), NETWORKS)
    done = subprocess.run(
        [sys.executable, "-c", A_DISK_THAT_FILLS_UP, folder],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert "File too large" in done.stderr
    assert list(tmp_path.iterdir()) == ([folder] if previous else [])
    if previous:
        assert read_bundle(folder).manifest.name == "both"


def test_a_head_is_saved_with_its_facts_in_a_readable_file(tmp_path: Path) -> None:
    a_head().save(tmp_path / "heads" / "mine.npz")
    assert json.loads((tmp_path / "heads" / "mine.json").read_text())["edges"]["approve"] == 0.4
    again = Head.load(tmp_path / "heads" / "mine.npz")
    assert again.metadata == a_head().metadata
    assert again.pack() == a_head().pack()


def test_arrays_and_facts_of_different_heads_are_not_mixed(tmp_path: Path) -> None:
    a_head().save(tmp_path / "one.npz")
    Head({"other": np.zeros(3)}, {}).save(tmp_path / "two.npz")
    (tmp_path / "two.npz").replace(tmp_path / "one.npz")
    with pytest.raises(WeightsCorrupt, match=r"one\.json"):
        Head.load(tmp_path / "one.npz")


def test_half_a_head_is_named(tmp_path: Path) -> None:
    a_head().save(tmp_path / "one.npz")
    (tmp_path / "one.json").unlink()
    with pytest.raises(WeightsMissing, match=r"one\.json"):
        Head.load(tmp_path / "one.npz")


def test_a_head_that_carries_code_is_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "evil.npz", evil=np.array([print], dtype=object))
    with pytest.raises(WeightsCorrupt, match="cannot be read"):
        Head.unpack((tmp_path / "evil.npz").read_bytes(), {})


def test_a_head_too_large_to_be_published_is_refused() -> None:
    noise = np.random.default_rng(0).normal(size=300_000).astype(np.float32)
    with pytest.raises(BundleIncompatible, match="at most"):
        Head({"noise": noise}, {}).pack()


def test_a_head_that_unpacks_to_more_than_a_head_may_have_is_refused() -> None:
    packed = io.BytesIO()
    np.savez_compressed(packed, zeros=np.zeros(300_000_000, np.uint8))
    assert len(packed.getvalue()) < 1_000_000
    with pytest.raises(WeightsCorrupt, match="unpack"):
        Head.unpack(packed.getvalue(), {})


def test_an_array_that_says_it_is_larger_than_its_file_is_refused_before_room_is_made() -> None:
    array = io.BytesIO()
    np.lib.format.write_array_header_1_0(  # type: ignore[no-untyped-call]
        array, {"shape": (10**12,), "fortran_order": False, "descr": "<f4"}
    )
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("facenet.mean.npy", array.getvalue())
    with pytest.raises(WeightsCorrupt, match="shorter than it says"):
        Head.unpack(packed.getvalue(), {})


def test_a_head_that_travels_alone_has_the_manifest_of_its_bundle(tmp_path: Path, folder: Path) -> None:
    head = a_head(approve=0.7)
    whole = write_bundle(tmp_path / "whole", head, NETWORKS)
    manifest, text, packed = with_head(read_manifest(folder), head)
    assert (manifest, text) == (whole, (tmp_path / "whole" / MANIFEST).read_bytes())
    assert open_head(open_manifest(text), packed).metadata == head.metadata


def test_a_manifest_that_a_database_has_written_in_its_own_order_is_whole(folder: Path) -> None:
    record = json.loads((folder / MANIFEST).read_text())
    turned = json.dumps(dict(reversed(record.items())), separators=(",", ":"))
    assert open_manifest(turned) == read_manifest(folder)


@pytest.mark.parametrize("text", ["", "[]", "{}", "null", '{"format": 1}', '{"sha256": "x", "format": 1}'])
def test_what_is_no_manifest_is_refused(text: str) -> None:
    with pytest.raises(WeightsCorrupt, match="damaged"):
        open_manifest(text)


def test_a_sealed_manifest_without_a_head_is_refused() -> None:
    record = {"format": 1, "name": "x", "version": "x-1", "parts": {}, "head": {}}
    canonical = json.dumps(record, sort_keys=True, separators=(",", ":")).encode()
    with pytest.raises(WeightsCorrupt, match="does not describe"):
        open_manifest(json.dumps({**record, "sha256": hashlib.sha256(canonical).hexdigest()}))


def test_a_head_beside_another_one_s_manifest_is_refused(folder: Path) -> None:
    with pytest.raises(WeightsCorrupt, match="not the one"):
        open_head(read_manifest(folder), Head({"facenet.mean": np.zeros(3)}, {}).pack())


def test_a_network_is_known_by_its_weights_on_every_host(tmp_path: Path, folder: Path) -> None:
    elsewhere = {**NETWORKS, "facenet": replace(NETWORKS["facenet"], data=b"converted elsewhere")}
    tuned = {**NETWORKS, "sface": replace(NETWORKS["sface"], origin=Origin("tuned", "3" * 64))}
    here = read_manifest(folder)
    assert lacking(here, write_bundle(tmp_path / "a", a_head(), elsewhere)) == []
    assert lacking(here, write_bundle(tmp_path / "b", a_head(), tuned)) == []
    other = {**tuned, "sface": replace(tuned["sface"], data=b"tuned")}
    assert lacking(here, write_bundle(tmp_path / "c", a_head(), other)) == ["sface"]
    assert lacking(write_bundle(tmp_path / "d", a_head(), {}), here) == ["facenet", "sface"]
