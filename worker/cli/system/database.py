"""`python -m worker init-db` and `purge`."""

from __future__ import annotations

import click

from worker import runtime
from worker.cli.output import print_json
from worker.clock import utc_now
from worker.store import build_engine
from worker.verification.maintenance import purge_old


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
    if real := runtime.real_in_sandbox():
        click.echo(f"Warning: {real}.", err=True)


@click.command()
@click.option("--json", "as_json", is_flag=True, help="The counts as JSON.")
def purge(as_json: bool) -> None:
    """Purge data older than the retention settings; beat does the same once a day.

    \b
    VERIFY_RETENTION_DAYS    the numbers of each photo: scores, quality, place of the face; shadow verdicts
    VERIFY_DEAD_JOB_DAYS     the messages of dead jobs
    VERIFY_ACCESS_LOG_DAYS   who looked at a member
    VERIFY_EVENT_DAYS        events that have arrived or are parked
    VERIFY_LINK_DAYS         the queries of photo links, which are keys
    one day                  members of the sandbox (VERIFY_SANDBOX_PREFIX), with all of theirs
    three years              closed accounts of the console, with the history of their roles
    Verdicts and reasons stay.
    """
    purged = purge_old(runtime.store().retention, runtime.settings(), utc_now())
    if as_json:
        print_json(purged)
        return
    click.echo(
        f"Removed: the numbers of {purged.photos:,} photos, the messages of {purged.dead_jobs:,} dead jobs, "
        f"{purged.looks:,} entries of the access log, {purged.shadows:,} verdicts of heads in shadow, "
        f"{purged.events:,} events, "
        f"the queries of the links of {purged.links:,} requests and {purged.member_links:,} members, "
        f"{purged.sandbox:,} members of the sandbox, {purged.staff:,} closed accounts of the console."
    )
