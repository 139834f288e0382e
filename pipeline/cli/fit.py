"""`python -m pipeline fit`: fit the shipped head on labelled faces with a bundle's networks."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from pathlib import Path

import click

from pipeline.bundles.bundle import with_head
from pipeline.bundles.head import Head
from pipeline.bundles.identities import FittedOn
from pipeline.bundles.load import load_models
from pipeline.bundles.models import HeadParams, compose, read_head_params
from pipeline.bundles.reference import KEY, write_beside
from pipeline.cli import FILE, PATH, bundle_option, cache_option, images_option
from pipeline.datasets.corrections import read_corrected
from pipeline.datasets.data import LabelledFace, read_faces
from pipeline.datasets.degraded import degraded_copies
from pipeline.datasets.embeddings import Dataset
from pipeline.datasets.tables import PersonCodes, added_faces, face_table, for_gender_head, labels_of
from pipeline.evaluation.protocol import NOBODY, require_enough
from pipeline.evaluation.reference import cross_fit_reference
from pipeline.fitting.first_stage import fit_first_stage
from pipeline.fitting.fit import (
    FaceTable,
    FitSettings,
    added_embedders,
    fit_gender,
    fit_refused,
    fit_scorer,
    replay_limits,
)
from pipeline.score import Scorer


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
@click.option(
    "--reference-only",
    is_flag=True,
    help="Fit no head: measure the reference of the one at OUT, and write it beside.",
)
def command(
    faces: tuple[Path, ...],
    genders: tuple[Path, ...],
    images: Path,
    bundle: Path,
    out: Path,
    cache: Path | None,
    without: tuple[str, ...],
    reference_only: bool,
) -> None:
    """Fit means, projection, thresholds and gender; the bundle's occlusion arrays are kept.

    Use only photos that may be used in what is shipped. `python -m pipeline weights`
    puts the new head into a bundle. With the head goes its reference: where the similarities of genuine
    and impostor pairs lie, by fits without the people of each pair.
    """
    dataset = Dataset(load_models(bundle), bundle, images, cache)
    people_faces = read_corrected(faces)
    if reference_only:
        _measure(dataset, people_faces, out)
        return
    require_enough([NOBODY], labels_of(people_faces, PersonCodes(people_faces)))
    gender_faces = for_gender_head(face for path in genders for face in read_faces(path))
    everything = dataset.embed([face.file for face in [*people_faces, *gender_faces]])
    kept = {name: rows for name, rows in everything.embeddings.items() if name not in without}
    embedded = replace(everything, embeddings=kept)
    table, settings = face_table(people_faces, embedded, PersonCodes(people_faces)), FitSettings()
    scorer = fit_scorer(table, settings)
    everybody = FaceTable.joined([table, added_faces(gender_faces, embedded)])
    files = [face.file for face in people_faces if face.file in embedded.row]
    refused = fit_refused(scorer, table, degraded_copies(dataset, files, table.identity), settings)
    scorer = replace(scorer, thresholds=replace(scorer.thresholds, refused=refused))
    params = HeadParams(
        scorer=scorer,
        gender=fit_gender(everybody, settings),
        occlusion=dataset.models.params.occlusion,
        quality=dataset.models.params.quality,
        replay=replay_limits(scorer, table),
        first_stage=fit_first_stage(scorer, table),
    )
    names = {face.identity for face in [*people_faces, *gender_faces] if face.file in embedded.row}
    facts = _facts(dataset, params, table, gender_faces) | _reference(table, settings)
    compose(params, facts, FittedOn.people(names)).save(out)
    _tell(scorer, table, settings)
    click.echo(f"{out}: fitted on {len(table.identity)} faces of {len(set(table.identity.tolist()))} people")


def _tell(scorer: Scorer, table: FaceTable, settings: FitSettings) -> None:
    """What the added embedders count for."""
    for name in added_embedders(table, settings):
        weight = scorer.towers[name].weight if name in scorer.towers else 0
        click.echo(f"{name} counts {weight:g} times as much as SFace" if weight else f"{name} adds nothing")


def _measure(dataset: Dataset, people_faces: list[LabelledFace], path: Path) -> None:
    """The reference of a head that was fitted before there were references; the head stays as it is."""
    head = Head.load(path)
    towers = read_head_params(head).scorer.towers
    embedded = dataset.embed([face.file for face in people_faces])
    if missing := sorted(towers.keys() - embedded.embeddings.keys()):
        raise click.UsageError(f"the bundle lacks {missing[0]}, which the head compares with")
    kept = {name: rows for name, rows in embedded.embeddings.items() if name in towers}
    table = face_table(people_faces, replace(embedded, embeddings=kept), PersonCodes(people_faces))
    reference = cross_fit_reference(table, FitSettings())
    if reference is None:
        raise click.ClickException("without the people of a fold too few faces are left")
    beside = write_beside(path, head, reference, _version_with(dataset, head))
    click.echo(
        f"{beside}: {reference.genuine_pairs:,} genuine pairs of {reference.genuine_people:,} people, "
        f"{reference.impostor_pairs:,} impostor pairs of {reference.impostor_people:,}"
    )


def _version_with(dataset: Dataset, head: Head) -> str:
    """The version of a bundle of this head and the networks that it needs."""
    base = dataset.models.manifest
    unused = dataset.models.embedders.keys() - head.metadata["embedders"].keys()
    parts = {name: part for name, part in base.parts.items() if name not in unused}
    return with_head(replace(base, parts=parts), head)[0].version


def _reference(table: FaceTable, settings: FitSettings) -> dict[str, object]:
    """Where similarities lie, by fits without the people of each pair; nothing if the faces are too few."""
    reference = cross_fit_reference(table, settings)
    return {} if reference is None else {KEY: reference.facts()}


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
