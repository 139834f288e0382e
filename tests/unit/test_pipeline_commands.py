"""What every command of `python -m pipeline` has in common."""

from __future__ import annotations

import pytest
from click.testing import CliRunner

from pipeline.cli import COMMANDS, main


@pytest.mark.parametrize("command", [None, *COMMANDS])
@pytest.mark.parametrize("option", ["-h", "--help"])
def test_help_is_asked_for_in_either_way(command: str | None, option: str) -> None:
    words = [command, option] if command else [option]
    done = CliRunner().invoke(main, words)
    assert (done.exit_code, done.output[:6]) == (0, "Usage:"), done.output


def test_the_list_of_commands_says_of_each_what_it_does_and_cuts_nothing_off() -> None:
    listed = CliRunner().invoke(main, ["--help"]).output.partition("Commands:")[2]
    assert listed.split() == [word for name, line in COMMANDS.items() for word in (name, *line.split())]
