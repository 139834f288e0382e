"""`python -m pipeline simulate`: simulate members from labelled faces."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from pipeline.bundles.load import load_models
from pipeline.cli import (
    FILE,
    as_shipped_option,
    bundle_option,
    cache_option,
    images_option,
    in_sample_option,
    operators_key_option,
)
from pipeline.datasets.corrections import read_corrected
from pipeline.datasets.embeddings import Dataset
from pipeline.datasets.tables import PersonCodes, labels_of
from pipeline.errors import DataError
from pipeline.evaluation.leakage import Shipped, check_leakage, read_key
from pipeline.evaluation.protocol import pair_scorers, require_enough
from pipeline.evaluation.simulated.population import (
    Sources,
    build_populations,
    groups_by_split,
    labelled_faces,
)
from pipeline.evaluation.simulated.simulation import simulate
from pipeline.fitting.fit import FitSettings
from pipeline.terminal import console, new_table


@click.command()
@click.option("--faces", type=FILE, multiple=True, required=True, help="file,identity,gender and split, age.")
@images_option
@click.option("--impostors", type=FILE, multiple=True, help="One photo for each person, with gender and age.")
@click.option("--genders", type=FILE, multiple=True, help="Further faces for the gender head.")
@bundle_option
@click.option("--members", type=click.IntRange(min=1), default=2000, help="Honest ones.")
@click.option("--retouched", type=click.IntRange(min=0), default=60, help="Retouched photos.")
@click.option("--seed", type=int, default=1)
@as_shipped_option
@in_sample_option
@operators_key_option
@cache_option
@click.option("--json", "as_json", is_flag=True, help="Print all figures as JSON.")
def command(
    faces: tuple[Path, ...],
    images: Path,
    impostors: tuple[Path, ...],
    genders: tuple[Path, ...],
    bundle: Path,
    members: int,
    retouched: int,
    seed: int,
    as_shipped: bool,
    in_sample: bool,
    identity_key: Path | None,
    cache: Path | None,
    as_json: bool,
) -> None:
    """Simulate members: honest ones, impostors, and impostors who chose a look-alike.

    Their photos are labelled FACES; each split of the people is judged by heads that were fitted
    without them. The product's own rules decide.
    """
    dataset = Dataset(load_models(bundle), bundle, images, cache)
    labelled = read_corrected(faces)
    people = PersonCodes(labelled)
    mode = Shipped(as_shipped, in_sample, read_key(identity_key))
    fixed = dataset.models.params if as_shipped else None
    check_leakage(dataset, {face.identity for face in labelled}, mode)
    if not as_shipped:
        fresh = PersonCodes(labelled)
        require_enough(groups_by_split(labelled, fresh).values(), labels_of(labelled, fresh))
    found = labelled_faces(labelled, dataset.embed([face.file for face in labelled]), people)
    scorer_for = pair_scorers(found.table, FitSettings(), fixed)
    sources = Sources(impostors, genders, retouched)
    named = groups_by_split(labelled, people)
    populations = build_populations(dataset, named, found, scorer_for, sources, fixed=fixed)
    if not populations:
        raise DataError("the faces show no two people of known gender: nobody can be simulated")
    result = simulate(populations, honest=members, impostors=members * 5 // 2, seed=seed)
    if as_json:
        click.echo(json.dumps(result, indent=2))
    else:
        _print(result)


def _print(result: dict[str, Any]) -> None:
    table = new_table("members", "who", "number", "approved", "left to a person", "asked for another photo")
    for kind in ("honest", "impostor", "look_alike"):
        for name, row in result[kind].items():
            shares = [f"{row[key]:.2%}" for key in ("approved", "undecided", "sent_back")]
            table.add_row(kind.replace("_", "-"), name, str(row["members"]), *shares)
    console().print(table)
