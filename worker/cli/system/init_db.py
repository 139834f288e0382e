"""`python -m worker init-db`."""

from __future__ import annotations

import click

from worker import runtime
from worker.store import build_engine


@click.command("init-db")
def init_db() -> None:
    """Make or update the tables. Touches no table but its own; safe to run again at any time."""
    from worker.migrations.migrate import migrate

    settings = runtime.settings()
    engine = build_engine(settings.database_url.get_secret_value())
    try:
        revision = migrate(engine, settings.tables_prefix)
    finally:
        engine.dispose()
    shown = engine.url.render_as_string(hide_password=True)
    click.echo(f"The tables in {shown} are up to date (revision {revision}).")
