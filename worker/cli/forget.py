"""`python -m worker forget MEMBER`."""

from __future__ import annotations

import click

from pipeline.terminal import console, new_table
from worker import runtime
from worker.cli.output import print_json
from worker.clock import utc_now
from worker.identifiers import is_identifier


@click.command()
@click.argument("member_id", metavar="MEMBER")
@click.option("--json", "as_json", is_flag=True, help="The counts as JSON.")
def forget(member_id: str, as_json: bool) -> None:
    """Erase all that is stored about a member, for good, and keep the member from coming back.

    Only a keyed hash of the ID stays. A job that runs now writes nothing any more; a message that is
    still queued is dropped when it is delivered; an import refuses the member's row and says why.
    """
    if not is_identifier(member_id):
        raise click.BadParameter("1 to 64 ASCII characters without spaces", param_hint="MEMBER")
    settings = runtime.settings()
    if not settings.secret:
        click.echo(
            "Warning: VERIFY_TOMBSTONE_KEY is not set: who was forgotten can be found out by trying IDs, "
            "and once it is set they are no longer barred.",
            err=True,
        )
    gone = runtime.store().forget(member_id, utc_now())
    if as_json:
        print_json({"forgotten": member_id, "removed": gone})
        return
    table = new_table("removed", "rows", title=f"Forgotten: {member_id}")
    for name, rows in gone.items():
        table.add_row(name, f"{rows:,}")
    console().print(table)
    if not any(gone.values()):
        click.echo("Nothing was stored about this member; the ID is barred from now on all the same.")
