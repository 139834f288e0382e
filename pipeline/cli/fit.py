"""`python -m pipeline fit`: fit the shipped head on labelled faces with a bundle's networks."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from pathlib import Path

import click

from pipeline.bundles.identities import FittedOn
from pipeline.bundles.load import load_models
from pipeline.bundles.models import HeadParams, compose
from pipeline.cli import FILE, PATH, bundle_option, cache_option, images_option
from pipeline.datasets.corrections import read_corrected
from pipeline.datasets.data import LabelledFace, read_faces
from pipeline.datasets.degraded import degraded_copies
from pipeline.datasets.embeddings import Dataset
from pipeline.datasets.tables import PersonCodes, added_faces, face_table, for_gender_head, labels_of
from pipeline.evaluation.protocol import NOBODY, require_enough
from pipeline.fitting.fit import (
    FaceTable,
    FitSettings,
    added_embedders,
    fit_gender,
    fit_refused,
    fit_scorer,
    replay_limits,
)


@click.command()
@click.option(
    "--faces",
    type=FILE,
    multiple=True,
    required=True,
    help="file,identity,gender: people with several photos.",
)
@click.option(
    "--genders", type=FILE, multiple=True, help="Further faces with gender, for the gender head alone."
)
@images_option
@bundle_option
@click.option("--out", type=PATH, default=Path("pipeline/heads/default.npz"))
@cache_option
@click.option(
    "--without",
    multiple=True,
    metavar="NETWORK",
    help="Leave it out, for bundles that are made where its weights cannot be had.",
)
def command(
    faces: tuple[Path, ...],
    genders: tuple[Path, ...],
    images: Path,
    bundle: Path,
    out: Path,
    cache: Path | None,
    without: tuple[str, ...],
) -> None:
    """Fit means, projection, thresholds and gender; the bundle's occlusion arrays are kept.

    Use only photos that may be used in what is shipped. `python -m pipeline weights`
    puts the new head into a bundle.
    """
    dataset = Dataset(load_models(bundle), bundle, images, cache)
    people_faces = read_corrected(faces)
    require_enough([NOBODY], labels_of(people_faces, PersonCodes(people_faces)))
    gender_faces = for_gender_head(face for path in genders for face in read_faces(path))
    everything = dataset.embed([face.file for face in [*people_faces, *gender_faces]])
    kept = {name: rows for name, rows in everything.embeddings.items() if name not in without}
    embedded = replace(everything, embeddings=kept)
    table, settings = face_table(people_faces, embedded, PersonCodes(people_faces)), FitSettings()
    scorer, everybody = (
        fit_scorer(table, settings),
        FaceTable.joined([table, added_faces(gender_faces, embedded)]),
    )
    files = [face.file for face in people_faces if face.file in embedded.row]
    refused = fit_refused(scorer, table, degraded_copies(dataset, files, table.identity), settings)
    scorer = replace(scorer, thresholds=replace(scorer.thresholds, refused=refused))
    params = HeadParams(
        scorer=scorer,
        gender=fit_gender(everybody, settings),
        occlusion=dataset.models.params.occlusion,
        quality=dataset.models.params.quality,
        replay=replay_limits(scorer, table),
    )
    names = {face.identity for face in [*people_faces, *gender_faces] if face.file in embedded.row}
    compose(params, _facts(dataset, params, table, gender_faces), FittedOn.people(names)).save(out)
    for name in added_embedders(table, settings):
        weight = scorer.towers[name].weight if name in scorer.towers else 0
        click.echo(f"{name} counts {weight:g} times as much as SFace" if weight else f"{name} adds nothing")
    click.echo(f"{out}: fitted on {len(table.identity)} faces of {len(set(table.identity.tolist()))} people")


def _facts(
    dataset: Dataset, params: HeadParams, table: FaceTable, gender_faces: list[LabelledFace]
) -> dict[str, object]:
    """The facts of the fit for the manifest: the networks' rules and the numbers of faces."""
    return {
        "name": "default",
        "fitted": dt.datetime.now(dt.UTC).date().isoformat(),
        "calibration": "uncalibrated",
        "embedders": {name: dataset.models.embedders[name].describe() for name in params.dimensions},
        "training": {
            "faces": len(table.identity),
            "people": len(set(table.identity.tolist())),
            "faces_of_the_users_kind": int(table.users_kind.sum()),
            "faces_for_gender_alone": len(gender_faces),
        },
    }
