"""`python -m pipeline augment`: a contact sheet of training's augmentations."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pipeline.bundles.load import load_models
from pipeline.bundles.models import Models
from pipeline.cli import PATH, bundle_option
from pipeline.datasets.embeddings import find_main_face
from pipeline.errors import DataError, ImageError
from pipeline.images.decode import decode

if TYPE_CHECKING:
    from pipeline.training.data.windows import Window

PHOTOS = (".jpg", ".jpeg", ".png", ".webp", ".heic")


@click.command()
@click.option(
    "--images", type=click.Path(exists=True, path_type=Path), required=True, help="A folder, or one photo."
)
@click.option("--out", type=PATH, required=True, help="The sheet, a PNG.")
@click.option("--count", type=click.IntRange(1, 30), default=5, help="Photos on the sheet.")
@click.option("--seed", type=int, default=1)
@bundle_option
def command(images: Path, out: Path, count: int, seed: int, bundle: Path) -> None:
    """Write a contact sheet to OUT: the first COUNT photos of IMAGES with a face, made worse in every way."""
    from pipeline.training.data.augment import contact_sheet, write_sheet

    windows = _windows(load_models(bundle), images, count)
    write_sheet(contact_sheet(windows, seed), out)
    click.echo(f"{out}: {len(windows)} photos")


def _windows(models: Models, images: Path, count: int) -> list[Window]:
    from pipeline.training.data.windows import cut_window

    found: list[Window] = []
    for path in [images] if images.is_file() else sorted(images.rglob("*")):
        if len(found) == count:
            break
        if path.suffix.lower() not in PHOTOS:
            continue
        with suppress(ImageError):
            if face := find_main_face(models, decode(path.read_bytes()).rgb):
                found.append(cut_window(*face))
    if not found:
        raise DataError(f"no photo with a face in {images}")
    return found
