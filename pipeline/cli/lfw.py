"""`python -m pipeline lfw --out DIR`: write the public benchmark as files for the other commands."""

from __future__ import annotations

from pathlib import Path

import click

from pipeline.cli import FILE, FOLDER
from pipeline.datasets.data import read_genders
from pipeline.datasets.lfw import fetch, folder, write


@click.command()
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), required=True, help="Written here.")
@click.option(
    "--source", type=FOLDER, help="A folder of LFW that is here already: one folder for each person."
)
@click.option(
    "--data-home", type=click.Path(file_okay=False, path_type=Path), help="Where scikit-learn keeps its data."
)
@click.option(
    "--genders", type=FILE, help="A CSV with identity and gender; LFW itself says nothing about gender."
)
def command(out: Path, source: Path | None, data_home: Path | None, genders: Path | None) -> None:
    """Write LFW's photos, lfw_faces.csv, lfw_pairs.csv and asian_pairs.csv to OUT.

    OUT is then the folder FACES of the model card, as far as LFW goes. Downloads 230 MB through
    scikit-learn, unless SOURCE or OUT hold the photos already. LFW's list of pairs is pairs.txt in
    SOURCE or beside it.
    """
    if source is None and (out / "lfw").is_dir():
        source = out / "lfw"
    out.mkdir(parents=True, exist_ok=True)
    known = read_genders(genders) if genders else {}
    written = write(folder(source) if source else fetch(data_home), out, known)
    click.echo(f"{out}: {written.faces} photos, {written.pairs} pairs")
    if written.drawn:
        click.echo("  drawn by lot, for there is no pairs.txt: not LFW's protocol", err=True)
    if written.left_out:
        click.echo(f"  {written.left_out} pairs of pairs.txt have photos that are not here", err=True)
    if not known:
        click.echo("  without --genders nothing can be told by gender", err=True)
