"""`python -m pipeline calibrate`: set both thresholds on an operator's own labelled pairs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click
import numpy as np

from pipeline.bundles.bundle import Bundle, read_bundle, write_bundle
from pipeline.bundles.identities import FittedOn
from pipeline.bundles.load import load_models
from pipeline.cli import FILE, PATH, bundle_option, cache_option, images_option, new_key_option
from pipeline.datasets.data import Pair, files_of, read_pairs
from pipeline.datasets.embeddings import Dataset, EmbeddingTable
from pipeline.datasets.tables import PersonCodes
from pipeline.evaluation.leakage import read_key
from pipeline.faces.types import Flags
from pipeline.fitting.calibration import Calibration, ScoredPairs, calibrate, recalibrated, require_impostors
from pipeline.fitting.fit import FitSettings
from pipeline.score import Scorer


@click.command()
@click.option("--pairs", type=FILE, required=True, help="file_x,file_y,same (1/0).")
@images_option
@click.option("--fmr", type=click.FloatRange(1e-6, 0.1), default=0.001)
@bundle_option
@click.option("--out", type=PATH, help="Another folder for the result.  [default: BUNDLE]")
@new_key_option
@cache_option
def command(
    pairs: Path,
    images: Path,
    fmr: float,
    bundle: Path,
    out: Path | None,
    identity_key: Path | None,
    cache: Path | None,
) -> None:
    """Set the approve threshold by FMR and the different threshold on PAIRS.

    The bundle is marked as calibrated. The pairs must be of people like the members: same-gender
    impostors of near age. A photo in which no face is found cannot change a threshold and is left out.
    """
    listed = read_pairs(pairs)
    require_impostors(sum(not pair.same for pair in listed), fmr)
    dataset = Dataset(load_models(bundle), bundle, images, cache)
    files = files_of(listed)
    embedded = dataset.embed(files)
    scorer, settings = dataset.models.params.scorer, FitSettings(approve_fmr=fmr)
    scored, lost = scored_pairs(listed, embedded, scorer)
    result = calibrate(scored, settings, scorer.thresholds)
    people = FittedOn.people(PersonCodes([]).names(files), read_key(identity_key))
    version = store(read_bundle(bundle), result, fmr, out or bundle, people)
    _print(result, lost, version)


def scored_pairs(pairs: Sequence[Pair], embedded: EmbeddingTable, scorer: Scorer) -> tuple[ScoredPairs, int]:
    """The pairs whose faces were found, and how many were not."""
    people = linked_people(pairs)
    rows = np.column_stack(
        [embedded.rows([p.file_x for p in pairs]), embedded.rows([p.file_y for p in pairs])]
    )
    found = (rows >= 0).all(axis=1)
    first, second = (
        scorer.project({name: v[rows[found, side]] for name, v in embedded.embeddings.items()})
        for side in (0, 1)
    )
    one, other = (
        np.array([people[file] for file in files], dtype=np.int64)[found]
        for files in ([p.file_x for p in pairs], [p.file_y for p in pairs])
    )
    same: Flags = np.array([p.same for p in pairs], dtype=bool)[found]
    return ScoredPairs(scorer.scores(first, second), same, one, other), int((~found).sum())


def linked_people(pairs: Sequence[Pair]) -> dict[str, int]:
    """A person's number for each file: files that genuine pairs link are of one person."""
    leader: dict[str, str] = {}

    def root(file: str) -> str:
        leader.setdefault(file, file)
        while leader[file] != file:
            file = leader[file]
        return file

    for pair in pairs:
        one, other = root(pair.file_x), root(pair.file_y)
        if pair.same:
            leader[other] = one
    codes: dict[str, int] = {}
    return {file: codes.setdefault(root(file), len(codes)) for file in [*leader]}


def store(base: Bundle, result: Calibration, fmr: float, out: Path, people: FittedOn | None = None) -> str:
    """Write the bundle with the new thresholds, which were set on ``people``; the new version."""
    networks = {name: base.network(name) for name in base.manifest.parts}
    kept = {name: network for name, network in networks.items() if network}
    return write_bundle(out, recalibrated(base.head, result, fmr, people), kept).version


def _print(result: Calibration, lost: int, version: str) -> None:
    thresholds = result.thresholds
    low, high = result.approve95
    click.echo(f"approve threshold    {thresholds.approve:.4f}   95 % interval {low:.4f} to {high:.4f}")
    if result.different95:
        low, high = result.different95
        click.echo(f"different threshold  {thresholds.different:.4f}   95 % interval {low:.4f} to {high:.4f}")
    click.echo(
        f"{result.genuine} genuine and {result.impostors} impostor pairs of {result.people} people; "
        f"{lost} pairs without a face left out"
    )
    for warning in result.warnings:
        click.secho(f"warning: {warning}", fg="yellow", err=True)
    click.echo(f"bundle {version} is calibrated")
