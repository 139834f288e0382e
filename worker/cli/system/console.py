"""`python -m worker console`."""

from __future__ import annotations

from importlib import import_module

import click

from worker import logs, runtime
from worker.cli.system.console_people import add, close, list_people, reset
from worker.serving.libraries import one_thread


@click.group(invoke_without_command=True)
@click.pass_context
def console(context: click.Context) -> None:
    """Serve the review console for a browser, at VERIFY_CONSOLE_ADDRESS.

    It is a process of its own, needs no models, and runs until it is told to end (TERM, or Ctrl-C).
    """
    if context.invoked_subcommand is None:
        _serve()


for _command in (add, list_people, reset, close):
    console.add_command(_command)


def require_packages() -> None:
    """Those of the extra `console`, which few commands need. Raises ClickException."""
    try:
        import_module("worker.console.serve")
    except ModuleNotFoundError as error:
        raise click.ClickException(
            f"the packages of the console are missing ({error.name}): "
            "pip install -r worker/requirements-console.txt"
        ) from None


def _serve() -> None:
    one_thread()  # for OpenCV, before it is imported: many photos are decoded beside each other
    require_packages()
    from worker.console.serve import application, serve

    if problem := runtime.tables_behind():
        raise click.ClickException(problem)
    config = runtime.settings()
    logs.configure(config.log_level, config.log_format)
    app = application()
    click.echo(f"The console is at {config.console_at} (Ctrl-C ends it)")
    serve(app)
