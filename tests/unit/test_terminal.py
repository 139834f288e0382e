"""What commands print: whole in a file or a pipe, wrapped but never cut on a terminal."""

from __future__ import annotations

import pytest
from rich.console import Console

from pipeline.terminal import console, new_table
from support.sources import PIPELINE, WORKER, imports_of, name_of

LONG = "word-" * 100
SENTENCE = "one word after another " * 20
ODD = "[/x] [red]a[/red] :smile: photo[final].jpg"


def printed(capsys: pytest.CaptureFixture[str], *things: object) -> list[str]:
    """The lines that come out of a pipe."""
    for thing in things:
        console().print(thing)
    return capsys.readouterr().out.splitlines()


def test_a_pipe_gets_each_row_and_each_sentence_on_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    table = new_table("name", "remark")
    table.add_row(LONG, SENTENCE.strip())
    rows = printed(capsys, table, SENTENCE.strip())
    assert [row.strip("│ ") for row in rows if "word-" in row] == [f"{LONG} │ {SENTENCE.strip()}"]
    assert rows[-1] == SENTENCE.strip()


def test_the_width_of_a_terminal_that_is_not_there_does_not_count(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    monkeypatch.setenv("FORCE_COLOR", "1")  # as continuous integration sets it
    assert any(SENTENCE.strip() in line for line in printed(capsys, SENTENCE.strip()))


def test_a_narrow_terminal_wraps_a_table_and_loses_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    table = new_table(*(f"column{number}" for number in range(9)), title="A title that is quite long")
    table.add_row(*(f"different_person_{number}" for number in range(9)))
    Console(width=80).print(table)
    cells = [row.strip("│").split("│") for row in capsys.readouterr().out.splitlines() if row[0] == "│"]
    whole = ["".join(part.strip() for part in column) for column in zip(*cells, strict=True)]
    assert whole == [f"different_person_{number}" for number in range(9)]


def test_a_title_is_not_wrapped_to_a_narrow_table(capsys: pytest.CaptureFixture[str]) -> None:
    table = new_table("a", "b", title=f"Forgotten: {LONG}")
    assert printed(capsys, table)[0].strip() == f"Forgotten: {LONG}"


def test_brackets_and_colons_are_text(capsys: pytest.CaptureFixture[str]) -> None:
    table = new_table("name", ODD, title=ODD)
    table.add_row("value", ODD)
    assert sum(ODD in line for line in printed(capsys, table, ODD)) == 4


def test_nobody_else_opens_standard_output_for_tables() -> None:
    own = {name_of(path) for path in (*PIPELINE, *WORKER) if "Console(" in path.read_text()}
    assert own == {"pipeline/terminal.py", "worker/cli/output.py"}  # the second for stderr
    tables = {
        name_of(path)
        for path in (*PIPELINE, *WORKER)
        if "rich.table" in imports_of(path) and " Table(" in path.read_text()
    }
    assert tables == {"pipeline/terminal.py"}
