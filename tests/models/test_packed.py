"""Packed weights that processes share: the same numbers as without, whatever happens to the files."""

from __future__ import annotations

import hashlib
import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from pipeline.bundles.bundle import read_bundle
from pipeline.bundles.load import load_models
from pipeline.errors import WeightsCorrupt, WeightsMissing
from pipeline.faces.networks import LiteRtNetwork, Network
from pipeline.faces.packed.weights import PackedNetwork, PackedWeights
from pipeline.faces.types import Floats
from support.bundle import ROOT

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="elsewhere each process packs its own")

OPEN = """
import hashlib, sys
from pathlib import Path
import numpy as np
from pipeline.faces.packed.weights import PackedWeights

file = Path(sys.argv[1])
network = PackedWeights(Path(sys.argv[2])).open(file, hashlib.sha256(file.read_bytes()).hexdigest())
rows = np.random.default_rng(3).uniform(-1, 1, (3, *network.input_shape)).astype(np.float32)
print(type(network).__name__, hashlib.sha256(network.run(rows).tobytes()).hexdigest(), flush=True)
"""


@pytest.fixture(scope="module")
def mobilefacenet(bundle_dir: Path) -> Path:
    return read_bundle(bundle_dir).path("mobilefacenet")


@pytest.fixture(scope="module")
def numbers(mobilefacenet: Path) -> Floats:
    return _numbers(LiteRtNetwork(mobilefacenet))


def _numbers(network: Network) -> Floats:
    return network.run(np.random.default_rng(3).uniform(-1, 1, (3, *network.input_shape)).astype(np.float32))


def _open(network: Path, folder: Path) -> Network:
    return PackedWeights(folder / "packed").open(network, hashlib.sha256(network.read_bytes()).hexdigest())


def _packed(folder: Path) -> list[Path]:
    return sorted(file for file in folder.iterdir() if file.name != "lock")


def test_every_embedder_gives_the_same_numbers_on_shared_weights(bundle_dir: Path, tmp_path: Path) -> None:
    shared, own = load_models(bundle_dir, tmp_path / "packed"), load_models(bundle_dir)
    assert {type(embedder.network) for embedder in shared.embedders.values()} == {PackedNetwork}
    for name, embedder in own.embedders.items():
        assert np.array_equal(_numbers(shared.embedders[name].network), _numbers(embedder.network)), name
    assert len(_packed(tmp_path / "packed")) == len(own.embedders)


def test_the_next_process_uses_the_file_that_is_there(mobilefacenet: Path, tmp_path: Path) -> None:
    _open(mobilefacenet, tmp_path)
    (file,) = _packed(tmp_path / "packed")
    made = file.stat()
    _open(mobilefacenet, tmp_path)
    assert _packed(tmp_path / "packed") == [file]
    assert file.stat() == made
    assert made.st_mode & 0o777 == 0o400


@pytest.mark.parametrize(
    "damage",
    [
        lambda _: b"",
        lambda content: content[: len(content) // 2],
        lambda content: content[:-1],
        lambda content: content[:999] + bytes([content[999] ^ 1]) + content[1000:],
        lambda content: content[:-900] + bytes(900),
        lambda _: b"something else",
    ],
    ids=["empty", "half", "short", "one bit", "no index", "foreign"],
)
def test_a_damaged_file_is_made_anew(
    mobilefacenet: Path, numbers: Floats, tmp_path: Path, damage: Callable[[bytes], bytes]
) -> None:
    _open(mobilefacenet, tmp_path)
    (file,) = _packed(tmp_path / "packed")
    whole = file.read_bytes()
    file.chmod(0o600)
    file.write_bytes(damage(whole))
    network = _open(mobilefacenet, tmp_path)
    assert isinstance(network, PackedNetwork)
    assert np.array_equal(_numbers(network), numbers)
    assert [file.read_bytes() for file in _packed(tmp_path / "packed")] == [whole]


def test_processes_that_start_at_once_share_one_file(
    mobilefacenet: Path, tmp_path: Path, numbers: Floats
) -> None:
    words = [sys.executable, "-c", OPEN, str(mobilefacenet), str(tmp_path / "packed")]
    started = [
        subprocess.Popen(words, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(8)
    ]
    answers = {process.communicate()[0] for process in started}
    assert [process.returncode for process in started] == [0] * 8
    assert len(answers) == 1
    assert answers.pop().startswith("PackedNetwork")
    assert len(_packed(tmp_path / "packed")) == 1


def _file(folder: Path) -> None:
    folder.write_bytes(b"")


def _open_to_others(folder: Path) -> None:
    folder.mkdir()
    folder.chmod(0o777)


def _link(folder: Path) -> None:
    (folder.parent / "elsewhere").mkdir(mode=0o700)
    folder.symlink_to(folder.parent / "elsewhere")


def _crowded(folder: Path) -> None:
    folder.mkdir(mode=0o700)
    (folder / "lock").mkdir()


@pytest.mark.parametrize("prepare", [_file, _open_to_others, _link, _crowded])
def test_in_an_odd_folder_a_process_packs_weights_of_its_own(
    mobilefacenet: Path, numbers: Floats, tmp_path: Path, prepare: Callable[[Path], None]
) -> None:
    prepare(tmp_path / "packed")
    network = _open(mobilefacenet, tmp_path)
    assert isinstance(network, LiteRtNetwork)
    assert np.array_equal(_numbers(network), numbers)


def test_where_the_file_cannot_be_written_whole_a_process_packs_weights_of_its_own(
    mobilefacenet: Path, tmp_path: Path
) -> None:
    """As on a full disk; XNNPACK ends the process that makes the file."""
    done = subprocess.run(
        [sys.executable, "-c", OPEN, str(mobilefacenet), str(tmp_path / "packed")],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (2**20, 2**20)),
    )
    assert done.stdout.startswith("LiteRtNetwork")
    assert _packed(tmp_path / "packed") == []


def test_what_a_killed_process_left_is_removed(mobilefacenet: Path, tmp_path: Path) -> None:
    (tmp_path / "packed").mkdir(mode=0o700)
    (tmp_path / "packed" / "making-left").mkdir()
    (tmp_path / "packed" / "making-left" / "packed").write_bytes(b"half")
    _open(mobilefacenet, tmp_path)
    (file,) = _packed(tmp_path / "packed")
    assert file.is_file()


def test_a_file_that_is_no_network_is_refused_all_the_same(tmp_path: Path) -> None:
    (tmp_path / "some.tflite").write_bytes(b"not a network at all")
    with pytest.raises(WeightsCorrupt, match=r"some\.tflite"):
        _open(tmp_path / "some.tflite", tmp_path)
    with pytest.raises(WeightsMissing, match=r"other\.tflite"):
        PackedWeights(tmp_path / "packed").open(tmp_path / "other.tflite", "")


def test_nothing_is_written_to_standard_error(mobilefacenet: Path, tmp_path: Path) -> None:
    """But for what LiteRT writes when a process ends in the usual way; those of a pool do not."""
    code = f"{OPEN}\nimport os\nos._exit(0)"
    words = [sys.executable, "-c", code, str(mobilefacenet), str(tmp_path / "packed")]
    for _ in ("made", "found"):
        done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=True)
        assert done.stdout.startswith("PackedNetwork")
        assert done.stderr == ""
