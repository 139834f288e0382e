"""The results as a table in the terminal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from rich import box
from rich.table import Table
from rich.text import Text

from pipeline.terminal import new_table
from pipeline.verdict import Gender, Outcome, PhotoFinding, Status
from worker.demo.run import Result
from worker.store import RequestRecord

_COLOURS: Final = {
    Status.APPROVED: "green",
    Status.REVIEW: "yellow",
    Status.RETRY_PHOTO: "cyan",
    Status.REJECTED: "red",
    Status.ERROR: "magenta",
}
_GENDERS: Final = {Gender.MALE: "male", Gender.FEMALE: "female"}


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
    return Text(request.status, f"bold {_COLOURS[request.status]}")


def _gender(request: RequestRecord) -> str:
    if request.gender not in _GENDERS or request.gender_probability is None:
        return "-"
    return f"{_GENDERS[request.gender]} {request.gender_probability:.2f}"
