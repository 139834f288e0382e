"""`python -m pipeline experiments`: the source system's five tables, on open data."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import click

from pipeline.bundles.load import load_models
from pipeline.cli import FILE, PATH, images_option
from pipeline.datasets.data import read_faces
from pipeline.stderr import silent
from pipeline.terminal import console, new_table

DOWNLOAD = "import keras; keras.applications.VGG19(include_top=False, weights='imagenet')"
DOWNLOAD_S = 90.0
"""The time after which a download of 80 MB is given up."""


@click.command()
@click.option("--faces", type=FILE, multiple=True, required=True, help="file,identity,gender.")
@images_option
@click.option(
    "--out", type=click.Path(file_okay=False, path_type=Path), required=True, help="Results, and the page."
)
@click.option("--quick", is_flag=True, help="A minute that only shows that all of it works.")
@click.option("--vgg19", type=FILE, help="ImageNet's weights as a file.  [default: keras downloads them]")
@click.option("--facenet", type=FILE, help="FaceNet's weights.  [default: where `weights` looks]")
@click.option("--bundle", type=PATH, default=Path("var/bundle"), help="Finds the faces.")
@click.option("--cache", type=PATH, help="Keep the faces that were cut out of the photos here.")
def command(
    faces: tuple[Path, ...],
    images: Path,
    out: Path,
    quick: bool,
    vgg19: Path | None,
    facenet: Path | None,
    bundle: Path,
    cache: Path | None,
) -> None:
    """Train and compare networks, colours, outputs, losses and augmentation on labelled FACES.

    Every training is a file in OUT/trials when it is done: stopped, the command goes on where it
    was. At the end OUT holds results.json and experiments.html.
    """
    with silent():
        from pipeline.experiments.page import page
        from pipeline.experiments.photos import collect
        from pipeline.experiments.run import run_all
        from pipeline.experiments.tables import FULL, QUICK
        from pipeline.experiments.trial import Experiment, Weights

    size = QUICK if quick else FULL
    listed = [face for path in faces for face in read_faces(path)]
    weights = Weights(facenet, vgg19 or (None if quick else _imagenet()))
    collection = collect(load_models(bundle), images, listed, size, cache)
    results = run_all(Experiment(collection, weights, size), out)
    (out / "experiments.html").write_text(page(results), encoding="utf-8")
    _print(results, out)


def _imagenet() -> Path | None:
    """VGG19's weights, downloaded or kept by Keras; None where they cannot be had.

    In a process of its own, because Keras waits for a silent host without end.
    """
    from pipeline.training.networks.backbones import IMAGENET

    click.echo("VGG19: looking for ImageNet's weights", err=True)
    try:
        subprocess.run([sys.executable, "-c", DOWNLOAD], timeout=DOWNLOAD_S, check=True, capture_output=True)
    except (subprocess.TimeoutExpired, subprocess.CalledProcessError):
        click.echo("VGG19: they cannot be downloaded; it learns from its initial weights", err=True)
        return None
    return IMAGENET


def _print(results: dict[str, Any], out: Path) -> None:
    screen = console()
    for table in results["tables"]:
        shown = new_table(table["name"], "source", "accuracy", "AUC", "gender")
        for row in table["rows"]:
            gender = row["gender"] and f"{row['gender']['mean']:.3f}"
            accuracy = f"{row['accuracy']['mean']:.3f} ± {row['accuracy']['std']:.3f}"
            shown.add_row(row["label"], row["source"], accuracy, f"{row['auc']['mean']:.3f}", gender or "–")
        shown.add_row("any constant answer", "", "0.500", "0.500", "")
        screen.print(shown)
    screen.print(f"{results['minutes']} minutes of processor time; {out / 'experiments.html'}")
