"""`python -m pipeline lfw --out DIR`: the public benchmark as files that every command here reads."""

from __future__ import annotations

from pathlib import Path

import click

from pipeline.evaluation.data import read_faces
from pipeline.evaluation.lfw import fetch, folder, write

FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)


@click.command()
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), required=True, help="Written here.")
@click.option(
    "--source", type=FOLDER, help="A folder of LFW that is here already: one folder for each person."
)
@click.option(
    "--data-home", type=click.Path(file_okay=False, path_type=Path), help="Where scikit-learn keeps its data."
)
@click.option(
    "--genders",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A CSV with file, identity and gender; LFW itself says nothing about gender.",
)
def command(out: Path, source: Path | None, data_home: Path | None, genders: Path | None) -> None:
    """Write LFW's photos, faces.csv and pairs.csv to OUT.

    Downloads 230 MB through scikit-learn, unless SOURCE or OUT hold the photos already.
    """
    if source is None and (out / "lfw").is_dir():
        source = out / "lfw"
    out.mkdir(parents=True, exist_ok=True)
    known = {face.identity: face.gender.value for face in read_faces(genders)} if genders else {}
    faces, pairs = write(folder(source) if source else fetch(data_home), out, known)
    click.echo(f"{out}: {faces} photos, {pairs} pairs")
