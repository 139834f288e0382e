"""Entry point of `python -m pipeline`. Exit status: 0 done, 1 failed, 2 wrong usage."""

from __future__ import annotations

import sys

import click

from pipeline.cli import main
from pipeline.errors import PipelineError


def run() -> None:
    """Run the command; an error that was raised on purpose, or a file's, is a line, not a traceback."""
    try:
        main(prog_name="python -m pipeline")
    except (PipelineError, OSError) as error:
        _fail(str(error))
    except ModuleNotFoundError as missing:
        _fail(f"{missing.name} is missing: install pipeline/requirements.txt")


def _fail(why: str) -> None:
    click.echo(f"error: {why}", err=True)
    sys.exit(1)


if __name__ == "__main__":
    run()
