"""Tables of the people who work with the console: accounts, what each may do and since when, sessions."""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa

from worker.store.tables.columns import (
    NOTE_LENGTH,
    CutText,
    TableBuilder,
    UtcDateTime,
    code,
    json_map,
    one_of,
    row_number,
    sha256,
)
from worker.store.tables.states import Role, StaffAction, Stage

NAME_LENGTH = 255


@dataclass(frozen=True, slots=True)
class StaffTables:
    """The tables whose names begin with `staff_`."""

    account: sa.Table
    grant: sa.Table
    session: sa.Table
    attempt: sa.Table


def staff_tables(build: TableBuilder) -> StaffTables:
    """All of them."""
    return StaffTables(_account(build), _grant(build), _session(build), _attempt(build))


def _account(build: TableBuilder) -> sa.Table:
    """A person who may sign in. The name is never given to anybody else: records name people by it."""
    return build.table(
        "staff_account",
        sa.Column("id", row_number(), primary_key=True),
        sa.Column("name", sa.String(NAME_LENGTH), nullable=False),
        # In small letters: `Lee` and `lee` are one person.
        sa.Column("folded", sa.String(NAME_LENGTH), nullable=False),
        sa.Column("language", code()),
        sa.Column("created_at", UtcDateTime, nullable=False),
        sa.Column("signed_in_at", UtcDateTime),
        # What was personal goes then; the row stays as long as the history of its roles.
        sa.Column("closed_at", UtcDateTime),
        # Of the code with which the person chooses a password and a second factor, once.
        sa.Column("invite_hash", sha256()),
        sa.Column("invite_until", UtcDateTime),
        sa.Column("password", sa.String(255)),
        sa.Column("password_at", UtcDateTime),
        # The secret of the second factor, encrypted; and the newest 30 seconds of which a code was accepted.
        sa.Column("totp", sa.LargeBinary),
        sa.Column("totp_step", sa.BigInteger),
        # Hashes of the recovery codes that were not used.
        sa.Column("recovery", json_map()),
        sa.Index(None, "folded", unique=True),
        sa.Index(None, "invite_hash", unique=True),
        sa.Index(None, "closed_at"),
    )


def _grant(build: TableBuilder) -> sa.Table:
    """What was done to an account, by whom; rows are only ever added. The latest row about a role counts."""
    return build.table(
        "staff_grant",
        sa.Column("id", row_number(), primary_key=True),
        sa.Column("account_id", row_number(), nullable=False),
        sa.Column("name", sa.String(NAME_LENGTH), nullable=False),
        *one_of("action", StaffAction, nullable=False),
        # NULL where it is about the account and not about one role.
        *one_of("role", Role),
        sa.Column("changed_at", UtcDateTime, nullable=False),
        sa.Column("changed_by", CutText(255), nullable=False),
        sa.Column("note", sa.String(NOTE_LENGTH)),
        sa.ForeignKeyConstraint(["account_id"], [f"{build.prefix}staff_account.id"], ondelete="CASCADE"),
        sa.Index(None, "account_id"),
    )


def _session(build: TableBuilder) -> sa.Table:
    """A browser in which somebody is signed in, or is about to; gone when it ends."""
    return build.table(
        "staff_session",
        sa.Column("id", row_number(), primary_key=True),
        sa.Column("account_id", row_number(), nullable=False),
        # Of the browser's cookie, which nobody but the browser has.
        sa.Column("token_hash", sha256(), nullable=False),
        *one_of("stage", Stage, nullable=False),
        sa.Column("started_at", UtcDateTime, nullable=False),
        sa.Column("seen_at", UtcDateTime, nullable=False),
        sa.Column("ends_at", UtcDateTime, nullable=False),
        sa.Column("address", CutText(64, ascii_only=True)),
        sa.Column("agent", CutText(255)),
        # A new second factor, encrypted, until a code proves that the person's telephone has it.
        sa.Column("totp", sa.LargeBinary),
        sa.ForeignKeyConstraint(["account_id"], [f"{build.prefix}staff_account.id"], ondelete="CASCADE"),
        sa.Index(None, "token_hash", unique=True),
        sa.Index(None, "account_id"),
        sa.Index(None, "ends_at"),
    )


def _attempt(build: TableBuilder) -> sa.Table:
    """Failed tries to sign in, by account, by address, and by both; which of them is in the hash."""
    return build.table(
        "staff_attempt",
        sa.Column("key_hash", sha256(), primary_key=True),
        sa.Column("failures", sa.Integer, nullable=False),
        sa.Column("tried_at", UtcDateTime, nullable=False),
        # Nothing is tried before.
        sa.Column("blocked_until", UtcDateTime),
        # When this account last signed in from this address.
        sa.Column("succeeded_at", UtcDateTime),
        sa.Index(None, "tried_at"),
    )
