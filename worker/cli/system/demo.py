"""`python -m worker demo`: verify the members of the demo, end to end."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Final

import click
from rich.text import Text

from pipeline.terminal import console
from worker import runtime
from worker.demo import contact_sheet, photos
from worker.demo.run import run_scenarios, show_texts, use_demo_settings
from worker.demo.scenarios import SCENARIOS
from worker.demo.table import table_of
from worker.errors import PermanentError
from worker.jobs.queues import JUDGING

_SHOWN: Final = "m-1005"
"""The member whose text is shown."""


@click.command()
def demo() -> None:
    """Verify a handful of members, end to end.

    \b
    An Excel file, an embedded database and queue, a worker process, real photos of public persons:
    everything lies in VERIFY_HOME/demo. Exit status 0 if every verdict is the expected one.
    """
    started = time.monotonic()
    out = console()
    settings = runtime.settings()
    if problem := runtime.check(JUDGING):
        raise PermanentError(problem)
    folder, top = Path.cwd(), settings.home.resolve()
    home = top / "demo"
    use_demo_settings(home, settings.bundle.resolve())
    with out.status("photos"):
        photos.gather(home / "photos", top / "downloads")
    with photos.photo_host(home / "photos") as url, out.status("working"):
        results = run_scenarios(SCENARIOS, url, out.print)
    out.print(table_of(results))
    show_texts(_SHOWN, out.print)
    picture = contact_sheet.draw(results, home / "photos", home / "contact-sheet.png")
    out.print(Text.assemble("\nThe same as a picture: ", (str(_relative_to(folder, picture)), "bold")))
    unexpected = sum(not result.as_expected for result in results)
    out.print(
        f"{len(results) - unexpected} of {len(results)} as expected, in {time.monotonic() - started:.0f} s"
    )
    if unexpected:
        raise SystemExit(1)


def _relative_to(folder: Path, file: Path) -> Path:
    return file.relative_to(folder) if file.is_relative_to(folder) else file
