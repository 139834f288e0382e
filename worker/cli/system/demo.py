"""`python -m worker demo`: the whole system in one go, on this machine alone."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Final

import click
from rich.text import Text

from pipeline.terminal import console
from worker import runtime
from worker.demo import pictures, sheet, stage
from worker.demo.cast import CAST
from worker.demo.photo_host import photo_host
from worker.demo.table import table_of
from worker.errors import PermanentError
from worker.jobs.queues import JUDGING

_TOLD: Final = "m-1005"
"""The member whose sentence is shown."""


@click.command()
def demo() -> None:
    """Verify a handful of members, end to end.

    \b
    An Excel file, an embedded database and queue, a worker process, real photos of public persons:
    everything lies in VERIFY_HOME/demo. Exit status 0 if every verdict is the expected one.
    """
    started = time.monotonic()
    out = console()
    chosen = runtime.settings()
    if problem := runtime.check(JUDGING):
        raise PermanentError(problem)
    began_in, home, cache = Path.cwd(), chosen.home.resolve() / "demo", chosen.home.resolve() / "downloads"
    stage.enter(home, chosen.bundle.resolve())
    with out.status("photos"):
        pictures.gather(home / "photos", cache)
    with photo_host(home / "photos") as url, out.status("working"):
        acts = stage.play(CAST, url, out.print)
    out.print(table_of(acts))
    stage.what_the_member_reads(_TOLD, out.print)
    picture = sheet.draw(acts, home / "photos", home / "contact-sheet.png")
    out.print(Text.assemble("\nThe same as a picture: ", (str(_seen_from(began_in, picture)), "bold")))
    surprises = sum(not act.as_expected for act in acts)
    out.print(f"{len(acts) - surprises} of {len(acts)} as expected, in {time.monotonic() - started:.0f} s")
    if surprises:
        raise SystemExit(1)


def _seen_from(folder: Path, file: Path) -> Path:
    return file.relative_to(folder) if file.is_relative_to(folder) else file
