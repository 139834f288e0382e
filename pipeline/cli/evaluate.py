"""`python -m pipeline evaluate`: error rates on labelled pairs, nobody judged by what knew them."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from pipeline.evaluation.data import LabelledFace, read_faces, read_pairs
from pipeline.evaluation.extract import Album
from pipeline.evaluation.genders import gender_figures
from pipeline.evaluation.impostors import impostor_figures
from pipeline.evaluation.protocol import (
    Judge,
    People,
    face_table,
    fixed_judge,
    judge_without,
    reference_threshold,
    score_pairs,
)
from pipeline.evaluation.report import summary
from pipeline.fit import FitSettings
from pipeline.load import load_models

CSV = click.Path(exists=True, dir_okay=False, path_type=Path)
FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)


@click.command()
@click.option("--pairs", type=CSV, required=True, help="file_x,file_y,same and optionally fold, set.")
@click.option("--images", type=FOLDER, required=True, help="The folder that the CSVs' paths start from.")
@click.option(
    "--faces", type=CSV, multiple=True, help="Labelled faces to fit on. Default: *_faces.csv beside PAIRS."
)
@click.option("--impostors", type=CSV, multiple=True, help="One photo for each person, with gender and age.")
@click.option("--genders", type=CSV, multiple=True, help="Faces with gender and age group, cross-validated.")
@click.option("--bundle", type=click.Path(path_type=Path), default=Path("var/bundle"), show_default=True)
@click.option("--as-shipped", is_flag=True, help="Judge by the bundle's own head, whomever it was fitted on.")
@click.option("--cache", type=click.Path(path_type=Path), help="Keep embeddings of the photos here.")
@click.option(
    "--json",
    "json_to",
    type=click.Path(path_type=Path, allow_dash=True),
    help="A file, or - for standard output.",
)
def command(
    pairs: Path,
    images: Path,
    faces: tuple[Path, ...],
    impostors: tuple[Path, ...],
    genders: tuple[Path, ...],
    bundle: Path,
    as_shipped: bool,
    cache: Path | None,
    json_to: Path | None,
) -> None:
    """Measure the error rates on labelled PAIRS.

    Everything that is learned (means, projections, edges) is fitted again without the people of
    each fold or set, from the labelled FACES; only the networks are the bundle's.
    """
    album = Album(load_models(bundle), bundle, images, cache)
    training = [
        face for path in faces or sorted(pairs.parent.glob("*_faces.csv")) for face in read_faces(path)
    ]
    result = evaluate(album, pairs, training, impostors, genders, as_shipped=as_shipped)
    if json_to is not None and str(json_to) != "-":
        json_to.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    if str(json_to) == "-":
        click.echo(json.dumps(result, indent=2))
    else:
        _print(result)


def evaluate(
    album: Album,
    pairs_csv: Path,
    training: Sequence[LabelledFace],
    impostor_csvs: Sequence[Path] = (),
    gender_csvs: Sequence[Path] = (),
    *,
    as_shipped: bool = False,
) -> dict[str, Any]:
    """The figures of one set of pairs as `--json` prints them. Raises DataError."""
    pairs, settings, people = read_pairs(pairs_csv), FitSettings(), People(training)
    started = time.perf_counter()
    embedded = album.embed(
        [*(f for p in pairs for f in (p.file_x, p.file_y)), *(face.file for face in training)]
    )
    table = face_table(training, embedded, people)
    shipped = album.models.judges.scorer

    def judge(people_tested: NDArray[np.int64]) -> Judge:
        if as_shipped:
            return fixed_judge(shipped, reference_threshold(shipped, table))
        return judge_without(people_tested, table, settings)

    extra: dict[str, Any] = {
        "model_version": album.models.version,
        "fitted": "as shipped" if as_shipped else "without the people of each fold or set",
    }
    scored = score_pairs(pairs, embedded, people, judge)
    extra["seconds_per_pair"] = (time.perf_counter() - started) / len(pairs)
    if impostor_csvs:
        extra["impostors"] = impostor_figures(album, impostor_csvs, table, settings)
    if gender_csvs:
        extra["gender"] = gender_figures(album, gender_csvs, table, settings)
    return summary(scored, extra)


def _print(result: dict[str, Any]) -> None:
    console = Console()
    table = Table(
        "set", "pairs", "not acquired", "AUC", "EER", "TAR@0.1%", "FMR at edge", "FNMR at edge", "undecided"
    )
    for name, row in {"all": result, **result["sets"]}.items():
        edge = row["at_threshold"]
        shown = [
            row["auc"],
            row["eer"],
            row["tar_at_fmr"]["0.001"],
            edge["fmr"],
            edge["fnmr"],
            row["undecided"],
        ]
        table.add_row(name, str(row["pairs"]), str(row["failed_to_acquire"]), *map(_number, shown))
    console.print(table)
    if "folds" in result:
        folds = result["folds"]
        console.print(f"accuracy, threshold from the other folds: {folds['mean']:.4f} ± {folds['std']:.4f}")
    for part in ("impostors", "gender"):
        if part in result:
            console.print_json(json.dumps({part: result[part]}))


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.4f}"
