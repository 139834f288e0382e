"""`python -m worker demo`: verify the members of the demo, end to end."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

import click
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from pipeline.terminal import console, new_table
from pipeline.verdict import Gender, Outcome, PhotoFinding
from worker import runtime
from worker.cli.output import STYLES
from worker.cli.system.console import require_packages
from worker.demo import contact_sheet, photos
from worker.demo.run import (
    Result,
    run_for_the_console,
    run_scenarios,
    show_texts,
    use_console_settings,
    use_demo_settings,
)
from worker.demo.scenarios import FOR_THE_CONSOLE, OBJECTS, SCENARIOS
from worker.errors import PermanentError
from worker.jobs.queues import JUDGING
from worker.store import RequestRecord

_SHOWN: Final = "m-1005"
"""The member whose text is shown."""


@click.command()
@click.option("--console", "with_console", is_flag=True, help="Then serve the review console, until Ctrl-C.")
def demo(with_console: bool) -> None:
    """Verify a handful of members, end to end.

    \b
    An Excel file, an embedded database and queue, a worker process, real photos of public persons:
    everything lies in VERIFY_HOME/demo. Exit status 0 if every verdict is the expected one.
    """
    if with_console:
        require_packages()
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
    with photos.photo_host(home / "photos") as url:
        with out.status("working"):
            results = run_scenarios(SCENARIOS, url, out.print)
        out.print(table_of(results))
        show_texts(_SHOWN, out.print)
        picture = contact_sheet.draw(results, home / "photos", home / "contact-sheet.png")
        out.print(Text.assemble("\nThe same as a picture: ", (str(_relative_to(folder, picture)), "bold")))
        unexpected = _unexpected(results)
        out.print(f"{_as_expected(results)}, in {time.monotonic() - started:.0f} s")
        if with_console:
            unexpected += _serve_console(out, url)
    if unexpected:
        raise SystemExit(1)


def _serve_console(out: Console, photos_url: str) -> Sequence[Result]:
    """With more members than the table has, for people look at few of those. Whose verdict is unexpected."""
    from worker.demo.doorway import open_console

    use_console_settings()
    out.print("\nMore members, whom people look at:")
    with out.status("working"):
        results = run_for_the_console(FOR_THE_CONSOLE, OBJECTS, photos_url, out.print)
    unexpected = _unexpected(results)
    if unexpected:
        out.print(table_of(unexpected))
    out.print(_as_expected(results))
    out.print("\nThey wait in the console. Ctrl-C ends it. Each link opens it once:")
    with suppress(KeyboardInterrupt):
        open_console(lambda link: out.print(Text(link, "bold"), soft_wrap=True))
    return unexpected


def _unexpected(results: Sequence[Result]) -> list[Result]:
    """Those whose verdict is another one than expected."""
    return [result for result in results if not result.as_expected]


def _as_expected(results: Sequence[Result]) -> str:
    return f"{len(results) - len(_unexpected(results))} of {len(results)} as expected"


def _relative_to(folder: Path, file: Path) -> Path:
    return file.relative_to(folder) if file.is_relative_to(folder) else file


def table_of(results: Sequence[Result]) -> Table:
    """One row for each member."""
    table = new_table(
        *("member", "situation", "gallery photos", "verdict", "similarity", "gender", "reason", "ms", "")
    )
    table.box = box.ROUNDED
    for column in table.columns:
        column.justify = "right" if column.header in ("similarity", "ms") else "left"
    for result in results:
        table.add_row(*_cells(result))
    return table


def _cells(result: Result) -> list[Text | str]:
    request = result.request
    return [
        result.scenario.member_id,
        result.scenario.situation,
        Text("\n").join(_photo(photo) for photo in request.photos),
        _verdict(request),
        "-" if request.similarity is None else f"{request.similarity:.3f}",
        _gender(request),
        request.reason or "-",
        f"{result.milliseconds:.0f}",
        Text("✓", "bold green")
        if result.as_expected
        else Text(f"✗ {' '.join(result.scenario.expected)}", "bold red"),
    ]


def _photo(photo: PhotoFinding) -> Text:
    style = {Outcome.SAME: "green", Outcome.GROUP_SAME: "green", Outcome.DIFFERENT: "red"}.get(
        photo.outcome, ""
    )
    problem = f" ({photo.fetch_problem})" if photo.fetch_problem else ""
    copy = " (copy)" if photo.replay else ""
    return Text(f"{photo.position} {photo.outcome}{problem}{copy}", style)


def _verdict(request: RequestRecord) -> Text:
    if request.status is None:
        return Text(request.state, "bold red")
    return Text(request.status, f"bold {STYLES[request.status]}")


def _gender(request: RequestRecord) -> str:
    if request.gender in (None, Gender.UNKNOWN) or request.gender_probability is None:
        return "-"
    return f"{request.gender} {request.gender_probability:.2f}"
