"""`python -m pipeline evaluate`: error rates on labelled pairs, by heads fitted on other people."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from pipeline.bundles.load import load_models
from pipeline.cli import (
    FILE,
    PATH,
    as_shipped_option,
    bundle_option,
    cache_option,
    images_option,
    in_sample_option,
    operators_key_option,
)
from pipeline.datasets.corrections import read_corrected
from pipeline.datasets.embeddings import Dataset
from pipeline.evaluation.leakage import Shipped, read_key
from pipeline.evaluation.run import Options, evaluate
from pipeline.terminal import console, new_table

NO_GENDERS = (
    "note: no labelled face has a gender. People of any gender are impostors of each other; nothing is told "
    "by gender or of simulated members"
)


@click.command()
@click.option("--pairs", type=FILE, required=True, help="file_x,file_y,same and optionally fold, set.")
@images_option
@click.option(
    "--faces", type=FILE, multiple=True, help="Labelled faces to fit on. Default: *faces.csv beside PAIRS."
)
@click.option("--impostors", type=FILE, multiple=True, help="One photo for each person, with gender and age.")
@click.option("--genders", type=FILE, multiple=True, help="Faces with gender and age group, cross-validated.")
@bundle_option
@as_shipped_option
@in_sample_option
@operators_key_option
@click.option(
    "--sample",
    type=click.IntRange(min=0),
    default=90,
    help="Pairs that go through the whole product, for gates, replays and timings.",
)
@click.option("--members", type=click.IntRange(min=0), default=2000, help="Simulated members.")
@cache_option
@click.option(
    "--json",
    "json_to",
    type=click.Path(path_type=Path, allow_dash=True),
    help="A file, or - for standard output.",
)
@click.option("--html", "html_to", type=PATH, help="One page with plots, for people.")
@click.option("--with-pictures", is_flag=True, help="Show the worst mistakes on the page: photos of people.")
def command(
    pairs: Path,
    images: Path,
    faces: tuple[Path, ...],
    impostors: tuple[Path, ...],
    genders: tuple[Path, ...],
    bundle: Path,
    as_shipped: bool,
    in_sample: bool,
    identity_key: Path | None,
    sample: int,
    members: int,
    cache: Path | None,
    json_to: Path | None,
    html_to: Path | None,
    with_pictures: bool,
) -> None:
    """Measure the error rates on labelled PAIRS.

    Everything that is learned (means, projections, thresholds) is fitted again without the people of
    each fold or set, from the labelled FACES; only the networks are the bundle's. What the bundle
    learned from the tested people all the same (its own head with --as-shipped, else networks that
    were fine-tuned) makes figures that flatter it: they are refused without --in-sample. --as-shipped
    needs no FACES, which then only tell more about the people.
    """
    dataset = Dataset(load_models(bundle), bundle, images, cache)
    training = read_corrected(faces or sorted(pairs.parent.glob("*faces.csv")))
    shipped = Shipped(as_shipped, in_sample, read_key(identity_key))
    options = Options(impostors, genders, shipped, sample, members)
    evaluation = evaluate(dataset, pairs, training, options)
    if html_to is not None:
        from pipeline.evaluation.pages.page import page

        html_to.write_text(page(evaluation, images if with_pictures else None), encoding="utf-8")
    if json_to is not None and str(json_to) != "-":
        json_to.write_text(json.dumps(evaluation.figures, indent=2) + "\n", encoding="utf-8")
    if not as_shipped and not evaluation.figures["genders_known"]:
        click.echo(NO_GENDERS, err=True)
    if str(json_to) == "-":
        click.echo(json.dumps(evaluation.figures, indent=2))
    else:
        _print(evaluation.figures)


def _print(result: dict[str, Any]) -> None:
    out = console()
    _print_sets({"all": result, **result["sets"]})
    if "added" in result:
        _print_added(result["added"])
    for key in ("as_published", "without_wrong_labels"):
        if folds := result["labels"][key].get("folds"):
            name, right = key.replace("_", " "), f"{folds['mean']:.4f} ± {folds['std']:.4f}"
            out.print(f"accuracy, threshold from the other folds, labels {name}: {right}")
    for kind, slices in result["simulation"].items():
        if kind in ("honest", "impostor", "look_alike") and slices:
            every = slices["all"]
            out.print(f"simulated, {kind}: {every['approved']:.2%} of {every['members']} approved")
    for part in ("impostors", "gender"):
        if part in result:
            out.print_json(json.dumps({part: result[part]}))


def _print_sets(sets: dict[str, dict[str, Any]]) -> None:
    table = new_table(
        "set",
        "pairs",
        "not acquired",
        "AUC",
        "EER",
        "TAR@0.1%",
        "FMR at threshold",
        "FNMR at threshold",
        "undecided",
    )
    for name, row in sets.items():
        rates = row["at_threshold"]
        shown = [
            row["auc"],
            row["eer"],
            row["tar_at_fmr"]["0.001"],
            rates["fmr"],
            rates["fnmr"],
            row["undecided"],
        ]
        table.add_row(name, str(row["pairs"]), str(row["failed_to_acquire"]), *map(_number, shown))
    console().print(table)


def _print_added(found: dict[str, Any]) -> None:
    """The same pairs with the operator's own networks, without them, and by each alone."""
    names, sides = " and ".join(found["networks"]), found["sides"]
    labels = {"with": f"with {names}", "without": f"without {names}"}
    _print_sets({f"{s}, {labels.get(way, way)}": row[s] for s in sides["with"] for way, row in sides.items()})
    if gate := found.get("gate"):
        word = "takes" if gate["passed"] else "does not take"
        click.echo(f"the gate {word} the head with {names} for the one without")
        for reason in gate["reasons"]:
            click.echo(f"  {reason}")


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.4f}"
