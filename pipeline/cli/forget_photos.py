"""`python -m pipeline forget-photos`: remove a person's photos from a cache folder."""

from __future__ import annotations

import hashlib
from pathlib import Path

import click

from pipeline.cli import FILE, FOLDER
from pipeline.training.data.faces import forget_photos


@click.command()
@click.option("--cache", type=FOLDER, required=True, help="The folder that --cache of other commands named.")
@click.argument("photos", nargs=-1, required=True, type=FILE)
def command(cache: Path, photos: tuple[Path, ...]) -> None:
    """Remove what CACHE keeps of these PHOTOS: faces, embeddings, copies. By content, not by name."""
    gone = forget_photos(cache, [hashlib.sha256(photo.read_bytes()).hexdigest() for photo in photos])
    click.echo(f"{gone} entries of {len(photos)} photos removed from {cache}")
