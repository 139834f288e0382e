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
