"""`review next`, `list`, `show` and `release`."""

from __future__ import annotations

from datetime import datetime

import click

from pipeline.terminal import console, new_table
from worker import runtime
from worker.cli.output import by_option, operator, print_json
from worker.cli.records import note_access, note_list
from worker.cli.reviews.claimed import claimed, json_option, looking, member_option
from worker.cli.reviews.pages import case_as_json, objections_line, print_case
from worker.clock import utc_now
from worker.store import CaseList

_links_option = click.option(
    "--links", is_flag=True, help="The photos' addresses with their signatures: each is a key to the photo."
)
_sandbox_option = click.option("--sandbox", is_flag=True, help="Cases of the sandbox, which show nobody.")


@click.command("next")
@by_option
@_links_option
@_sandbox_option
@click.option("--member", "member_id", metavar="MEMBER", help="With --sandbox: the case of this member.")
@json_option
def next_case(by: str | None, links: bool, sandbox: bool, member_id: str | None, as_json: bool) -> None:
    """Take the next case, for five minutes, and show its photos.

    Objections come first, then what is overdue, then what has waited longest. A case that is yours
    already comes again. That you looked goes on record.
    """
    if member_id is not None and not sandbox:
        raise click.UsageError("nobody picks a case; of the sandbox only (--sandbox)")
    store, name, now = runtime.store(), operator(by), utc_now()
    claim = store.reviews.queue.claim_next(name, now, sandbox=sandbox, member_id=member_id)
    if claim is None:
        _say_nothing_waits(store.reviews.queue.page(now, limit=1, sandbox=sandbox), as_json)
        return
    view = store.reviews.queue.look(claim, looking("links" if links else "photos", name), now)
    if as_json:
        print_json(case_as_json(view, links=links))
    else:
        print_case(view, links=links)


def _say_nothing_waits(page: CaseList, as_json: bool) -> None:
    if as_json:
        print_json(None)
    elif page.open:
        click.echo(
            f"Nothing waits for you: {page.open:,} open cases are others' to decide, under way or suspended."
        )
    else:
        click.echo("Nobody waits for a review.")


@click.command("show")
@by_option
@member_option
@_links_option
@json_option
def show_case(by: str | None, member_id: str | None, links: bool, as_json: bool) -> None:
    """Show your case again; once every photo is answered, with what the machine found.

    The guess at the gender comes after the decision only: `show MEMBER`.
    """
    store, name, now = runtime.store(), operator(by), utc_now()
    claim = claimed(store, name, member_id, now)
    view = store.reviews.queue.look(claim, looking("links" if links else "photos", name), now)
    if as_json:
        print_json(case_as_json(view, links=links))
    else:
        print_case(view, links=links)


@click.command("release")
@by_option
def release(by: str | None) -> None:
    """Give your case back, so that somebody else can take it at once."""
    store, name, now = runtime.store(), operator(by), utc_now()
    claim = claimed(store, name, None, now)
    note_access([claim.member_id], "review", "release", name)
    store.reviews.queue.release(claim, now)
    click.echo(f"The case of {claim.member_id} waits for anybody again.")


@click.command("list")
@click.option("--limit", type=click.IntRange(1, 1000), default=50, help="Cases of a page (50).")
@click.option("--after", type=int, metavar="NUMBER", help="The page after this one; a page names its next.")
@_sandbox_option
@json_option
def list_cases(limit: int, after: int | None, sandbox: bool, as_json: bool) -> None:
    """List open cases in the order in which they are handed out, and say how many there are."""
    note_list("review", "json" if as_json else "list")
    now = utc_now()
    page = runtime.store().reviews.queue.page(now, limit, after, sandbox=sandbox)
    if as_json:
        print_json(page)
        return
    if not page.open:
        click.echo("Nobody waits for a review.")
        return
    _print_page(page, now)


def _print_page(page: CaseList, now: datetime) -> None:
    table = new_table("member", "waits", "due (UTC)", "", "taken by")
    for one in page.cases:
        waits = str(now - one.opened_at).partition(".")[0]
        marks = " ".join(name for name in ("overdue", "escalated", "suspended") if getattr(one, name))
        table.add_row(one.member_id, waits, f"{one.due_at:%Y-%m-%d %H:%M}", marks, one.reviewer or "-")
    console().print(table)
    counts = f"{page.overdue:,} overdue, {page.claimed:,} taken, {page.escalated:,} escalated"
    if page.suspended:
        counts += f", {page.suspended:,} suspended (their members have withdrawn consent)"
    click.echo(f"{page.open:,} open cases: {counts}.")
    if page.objections.open:
        click.echo(objections_line(page.objections))
    if page.after is not None:
        click.echo(f"The next page: review list --after {page.after}")
