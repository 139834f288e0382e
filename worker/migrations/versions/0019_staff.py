"""People of the console: accounts, the history of their roles, sessions, failed tries to sign in."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from worker.migrations.steps import make_index, make_table, table_prefix
from worker.store.tables.columns import CutText, UtcDateTime, code, json_map, one_of, row_number, sha256

revision = "0019"
down_revision = "0018"

ACTIONS = ("invited", "given", "taken", "reset", "closed")
ROLES = ("reviewer", "checker", "operator", "auditor", "admin")
STAGES = ("enrolment", "password", "complete")
EXPIRED = "SELECT id, closed_at FROM {p}staff_account WHERE closed_at < utc_timestamp(6) - INTERVAL 3 YEAR"
"""Accounts whose history was kept as long as the law asks; it goes with them."""


def upgrade() -> None:
    """Four tables."""
    p = table_prefix()
    _make_account(f"{p}staff_account")
    _make_grant(f"{p}staff_grant", f"{p}staff_account")
    _make_session(f"{p}staff_session", f"{p}staff_account")
    make_table(
        f"{p}staff_attempt",
        sa.Column("key_hash", sha256(), primary_key=True),
        sa.Column("failures", sa.Integer, nullable=False),
        sa.Column("tried_at", UtcDateTime, nullable=False),
        sa.Column("blocked_until", UtcDateTime),
        sa.Column("succeeded_at", UtcDateTime),
    )
    make_index(f"{p}staff_attempt", "tried_at")
    if op.get_bind().dialect.name == "mysql":
        op.execute(f"CREATE OR REPLACE VIEW {p}staff_account_expired AS {EXPIRED.format(p=p)}")


def _make_account(account: str) -> None:
    make_table(
        account,
        sa.Column("id", row_number(), primary_key=True),
        sa.Column("name", sa.String(255), nullable=False),
        sa.Column("folded", sa.String(255), nullable=False),
        sa.Column("language", code()),
        sa.Column("created_at", UtcDateTime, nullable=False),
        sa.Column("signed_in_at", UtcDateTime),
        sa.Column("closed_at", UtcDateTime),
        sa.Column("invite_hash", sha256()),
        sa.Column("invite_until", UtcDateTime),
        sa.Column("password", sa.String(255)),
        sa.Column("password_at", UtcDateTime),
        sa.Column("totp", sa.LargeBinary),
        sa.Column("totp_step", sa.BigInteger),
        sa.Column("recovery", json_map()),
    )
    make_index(account, "folded", unique=True)
    make_index(account, "invite_hash", unique=True)
    make_index(account, "closed_at")


def _make_grant(grant: str, account: str) -> None:
    make_table(
        grant,
        sa.Column("id", row_number(), primary_key=True),
        sa.Column("account_id", row_number(), nullable=False),
        sa.Column("name", sa.String(255), nullable=False),
        *one_of("action", ACTIONS, nullable=False),
        *one_of("role", ROLES),
        sa.Column("changed_at", UtcDateTime, nullable=False),
        sa.Column("changed_by", CutText(255), nullable=False),
        sa.Column("note", sa.String(1000)),
        sa.ForeignKeyConstraint(["account_id"], [f"{account}.id"], ondelete="CASCADE"),
    )
    make_index(grant, "account_id")


def _make_session(session: str, account: str) -> None:
    make_table(
        session,
        sa.Column("id", row_number(), primary_key=True),
        sa.Column("account_id", row_number(), nullable=False),
        sa.Column("token_hash", sha256(), nullable=False),
        *one_of("stage", STAGES, nullable=False),
        sa.Column("started_at", UtcDateTime, nullable=False),
        sa.Column("seen_at", UtcDateTime, nullable=False),
        sa.Column("ends_at", UtcDateTime, nullable=False),
        sa.Column("address", CutText(64, ascii_only=True)),
        sa.Column("agent", CutText(255)),
        sa.Column("totp", sa.LargeBinary),
        sa.ForeignKeyConstraint(["account_id"], [f"{account}.id"], ondelete="CASCADE"),
    )
    make_index(session, "token_hash", unique=True)
    make_index(session, "account_id")
    make_index(session, "ends_at")
