"""`python -m worker run`: one command that starts a worker with the right options."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Sequence

import click

from worker import runtime
from worker.client.broker import is_embedded
from worker.jobs import queues


@click.command()
@click.option(
    "-Q",
    "--queues",
    "named",
    metavar="NAMES",
    help="Queues to serve, with commas; defaults below.",
)
@click.option(
    "-c", "--concurrency", type=click.IntRange(1, 256), help="Pool processes (default: VERIFY_CONCURRENCY)."
)
@click.option("--beat/--no-beat", default=None, help="Also send the periodic jobs (defaults below).")
@click.option("--sandbox", is_flag=True, help="Give verdicts by the member's name only; needs no models.")
def run(named: str | None, concurrency: int | None, beat: bool | None, sandbox: bool) -> None:
    """Start a worker and keep it running until it is told to end (TERM, or Ctrl-C).

    \b
    With a broker of its own:  serves verify and bulk; the sweep is the work of
                               `celery -A worker.app worker -Q maintenance,retrain -c 2`
                               and `celery -A worker.app beat`.
    Embedded (nothing set):    serves everything, and sends itself the periodic jobs; without the
                               packages of training everything but retrain.
    --sandbox                  serves verify, bulk and maintenance, and sends itself the periodic jobs:
                               all that the tests of an app need. A real member's request becomes a
                               dead job. The prefix is sandbox- if VERIFY_SANDBOX_PREFIX is not set.
    """
    if sandbox:
        runtime.serve_sandbox_alone()
    embedded = is_embedded(runtime.settings().broker_url.get_secret_value())
    names = _names(named) if named else _default(embedded=embedded, sandbox=sandbox)
    if problem := runtime.check(runtime.servable(names)):
        raise click.ClickException(problem)
    sys.exit(_work(names, concurrency, beat=embedded or sandbox if beat is None else beat))


def _default(*, embedded: bool, sandbox: bool) -> Sequence[str]:
    """The queues that are served where none is named."""
    if sandbox:
        return (queues.MAINTENANCE, queues.VERIFY, queues.BULK)
    return queues.IN_ORDER if embedded else (queues.VERIFY, queues.BULK)


def _work(names: Sequence[str], concurrency: int | None, *, beat: bool) -> int | str:
    """Until the worker is told to end; its exit status, or in words why it could not start."""
    from worker.app import app

    worker = app.Worker(
        queues=list(names),
        concurrency=concurrency,
        beat=beat,
        # Several workers of one machine must not answer to one name.
        hostname=f"worker{os.getpid()}@{socket.gethostname()}",
        quiet=True,
    )
    worker.start()
    return worker.exitcode or 0


def _names(named: str) -> list[str]:
    names = [name.strip() for name in named.split(",") if name.strip()]
    unknown = [name for name in names if name not in queues.IN_ORDER]
    if unknown or not names:
        known = ", ".join(queues.IN_ORDER)
        raise click.BadParameter(
            f"{', '.join(unknown) or 'none'}; known queues: {known}", param_hint="--queues"
        )
    return names
