"""The case that belongs to whoever runs a command."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

import click

from worker.cli.records import access_by
from worker.store import Access, Claim, Store

member_option: Callable[[Any], Any] = click.option(
    "--member", "member_id", metavar="MEMBER", help="Only if your case is this member's."
)
json_option: Callable[[Any], Any] = click.option("--json", "as_json", is_flag=True, help="As JSON.")


def looking(way: str, name: str) -> Access:
    """For the record of a look at a case."""
    return access_by("review", way, name)


def claimed(store: Store, name: str, member_id: str | None, now: datetime) -> Claim:
    """The reviewer's case. Raises ClickException, which says who has the member's."""
    claim = store.reviews.queue.claim_of(name)
    if member_id is not None and (claim is None or claim.member_id != member_id):
        holder = store.reviews.queue.holder_of(member_id, now)
        has = f"{holder} has" if holder else "nobody has"
        raise click.ClickException(f"{has} the case of {member_id}: `review next` gives you one of your own")
    if claim is None:
        raise click.ClickException(
            "you have no case, or somebody else has it by now: `review next` gives you one"
        )
    return claim
