"""`python -m pipeline fit-occlusion`: fit the occlusion classifier and put it into a head."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import click

from pipeline.bundles.bundle import read_bundle
from pipeline.bundles.head import Head
from pipeline.cli import FILE, FOLDER, PATH, bundle_option
from pipeline.datasets.data import LabelledFace, read_faces
from pipeline.faces.detector import TwoRangeDetector
from pipeline.faces.mesh import FaceMesh
from pipeline.faces.types import Rgb
from pipeline.fitting.occlusion import Examples, draw_examples, fit_occlusion, sunglasses_examples
from pipeline.images.decode import decode

HEADS = Path(__file__).parents[1] / "heads"
KEPT_FOR_TESTS = ("50-59", "60-69")
"""Age groups of FairFace on whose bare faces the gates are measured; nothing is fitted on them."""


@click.command()
@click.option("--faces", type=FILE, multiple=True, required=True, help="file: photos of bare faces.")
@click.option(
    "--sunglasses",
    type=FILE,
    default=HEADS / "lfw_sunglasses.txt",
    show_default=False,
    help="Those that wear some, one a line.",
)
@click.option("--leave-out", multiple=True, help="Identities that other tests need.")
@click.option("--images", type=FOLDER, required=True)
@click.option("--most", type=click.IntRange(1), default=2000, help="Photos of each file.")
@bundle_option
@click.option("--head", type=PATH, default=HEADS / "default.npz", show_default=False)
def command(
    faces: tuple[Path, ...],
    sunglasses: Path,
    leave_out: tuple[str, ...],
    images: Path,
    most: int,
    bundle: Path,
    head: Path,
) -> None:
    """Draw masks, scarves, hands and glasses onto photos, fit the detection of them, and store it in HEAD."""
    networks = read_bundle(bundle)
    detector = TwoRangeDetector(networks.path("blazeface_short"), networks.path("blazeface_full"))
    worn = sunglasses.read_text("utf-8").split()
    bare = [
        face.file
        for path in faces
        for face in _chosen(read_faces(path), most)
        if face.file not in worn and face.identity not in leave_out and face.age not in KEPT_FOR_TESTS
    ]
    mesh = FaceMesh(networks.path("face_mesh"))
    examples = Examples.joined(
        [
            draw_examples(_photos(images, bare), detector, mesh),
            sunglasses_examples(_photos(images, worn), detector, mesh),
        ]
    )
    arrays = {f"occlusion.{name}": array for name, array in fit_occlusion(examples).items()}
    before = Head.load(head)
    others = {name: array for name, array in before.arrays.items() if not name.startswith("occlusion.")}
    Head({**others, **arrays}, before.metadata).save(head)
    click.echo(f"{head}: occlusion fitted on {len(bare)} bare faces and {len(worn)} with sunglasses")


def _chosen(faces: list[LabelledFace], most: int) -> list[LabelledFace]:
    """At most so many, at random with a fixed seed."""
    return faces if len(faces) <= most else random.Random(0).sample(faces, most)  # noqa: S311  (no secret)


def _photos(images: Path, files: list[str]) -> Iterator[Rgb]:
    return (decode((images / file).read_bytes()).rgb for file in files)
