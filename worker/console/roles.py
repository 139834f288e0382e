"""What each role may do in the console."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Final

from worker.store.tables.states import Role


class Permission(StrEnum):
    """What a page or an action needs."""

    REVIEW = "review"
    """Take cases, answer and decide."""
    QUEUE = "queue"
    """See which cases wait."""
    FIGURES = "figures"
    """See the dashboard."""
    REVIEWERS = "reviewers"
    """See how each reviewer works."""
    MEMBERS = "members"
    """Look up a member, explain a verdict, record an objection."""
    OPERATE = "operate"
    """Put dead jobs back, start a retraining."""
    RECORDS = "records"
    """See the records of access, and sign the month's review."""
    ACCOUNTS = "accounts"
    """Add people and change their roles."""


OF_ROLE: Final[Mapping[Role, frozenset[Permission]]] = {
    Role.REVIEWER: frozenset({Permission.REVIEW, Permission.QUEUE, Permission.FIGURES}),
    Role.CHECKER: frozenset({Permission.REVIEW, Permission.QUEUE, Permission.FIGURES, Permission.REVIEWERS}),
    Role.OPERATOR: frozenset(
        {
            *(Permission.QUEUE, Permission.FIGURES, Permission.REVIEWERS),
            *(Permission.MEMBERS, Permission.OPERATE),
        }
    ),
    Role.AUDITOR: frozenset({Permission.FIGURES, Permission.REVIEWERS, Permission.RECORDS}),
    Role.ADMIN: frozenset({Permission.ACCOUNTS}),
}


def permissions_of(roles: Iterable[Role]) -> frozenset[Permission]:
    """All that these roles together may do."""
    return frozenset[Permission]().union(*(OF_ROLE[role] for role in roles))
