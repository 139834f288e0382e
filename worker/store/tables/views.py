"""Views of MySQL's with the rights of the tables' owner: what rights by table cannot say.

An account that may not delete what people wrote deletes it through such a view, which shows the rows of
members whose tombstone stands; one that may not set a verdict sets the one that a person has decided.

SQLite has no accounts, and needs none of them. The migrations make the same; a test holds the two together.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import sqlalchemy as sa

_BY_REQUEST = "SELECT v.request_id FROM {p}verification v JOIN {p}tombstone t ON t.erases = v.member_id"
_BY_MEMBER = "SELECT t.erases FROM {p}tombstone t"
_OF_FORGOTTEN: Final = {
    "label": ("request_id", _BY_REQUEST),
    "decision": ("request_id", _BY_REQUEST),
    "review_vote": ("request_id", _BY_REQUEST),
    "review_case": ("member_id", _BY_MEMBER),
    "verification": ("member_id", _BY_MEMBER),
    "result": ("member_id", _BY_MEMBER),
}
"""Rows of which members may be deleted by an account that may not delete from the tables."""
_SANDBOX: Final = "SELECT v.request_id FROM {p}verification v WHERE v.sandbox"
_OF_SANDBOX: Final = {
    "label": ("request_id", f"request_id IN ({_SANDBOX})"),
    "decision": ("request_id", f"request_id IN ({_SANDBOX})"),
    "review_vote": ("request_id", f"request_id IN ({_SANDBOX})"),
    "review_case": ("member_id", "member_id IN (SELECT v.member_id FROM {p}verification v WHERE v.sandbox)"),
    "verification": ("member_id", "sandbox"),
    "result": ("member_id", "member_id IN (SELECT v.member_id FROM {p}verification v WHERE v.sandbox)"),
}
"""Rows of the sandbox, likewise. No account may make a request one of the sandbox that was none."""
_ACCESS_OF_FORGOTTEN: Final = """
SELECT member_id, member_hash FROM {p}access_log
WHERE member_id IN (SELECT t.erases FROM {p}tombstone t)
OR (member_id IS NULL
    AND member_hash IN (SELECT t.member_hash FROM {p}tombstone t WHERE t.erases IS NOT NULL))
WITH CHECK OPTION"""
"""Records of access whose member's ID may be replaced by the hash in the tombstone that names the member."""
_CONSENT_OPEN: Final = """
SELECT member_id, purpose, withdrawn_at, withdrawn_source FROM {p}consent WHERE withdrawn_at IS NULL"""
"""Consents that were not withdrawn: a withdrawal cannot be taken back or changed, only followed by another
consent."""
_DECIDED: Final = """
SELECT member_id, verification_status, reason, verified_at, verified_request_id, updated_at
FROM {p}member
WHERE EXISTS (
    SELECT 1 FROM {p}decision d JOIN {p}verification v ON v.request_id = d.request_id
    WHERE d.request_id = {p}member.request_id AND v.member_id = {p}member.member_id
    AND ({p}member.verification_status = d.previous_status
        OR ({p}member.verification_status = d.status
            AND {p}member.reason = concat(d.status, '_by_person'))))
WITH CHECK OPTION"""
"""Members about whose newest request a person has decided; a change must be to what was decided."""


_RESULT_DECIDED: Final = """
SELECT r.* FROM {p}result r
WHERE r.status IS NULL OR r.status = 'error' OR EXISTS (
    SELECT 1 FROM {p}decision d WHERE d.request_id = r.request_id
    AND (r.status = d.previous_status OR (r.status = d.status AND r.reason = concat(d.status, '_by_person'))))
WITH CHECK OPTION"""
"""Results of requests that wait, failed, or were decided by a person; a change must be to one of these."""


_STAFF_EXPIRED: Final = """
SELECT id, closed_at FROM {p}staff_account WHERE closed_at < utc_timestamp(6) - INTERVAL 3 YEAR"""
"""Accounts of the console whose history was kept as long as the law asks; it goes with them."""


def add_views(metadata: sa.MetaData, prefix: str) -> None:
    """Make them with the tables."""

    def make(_metadata: sa.MetaData, connection: sa.Connection, **_: Any) -> None:
        if connection.dialect.name == "mysql":
            for name, select in view_selects(prefix).items():
                connection.execute(sa.text(f"CREATE OR REPLACE VIEW {name} AS {select}"))

    sa.event.listen(metadata, "after_create", make)


def view_selects(prefix: str) -> dict[str, str]:
    """The views by name."""
    selects = {
        f"{prefix}access_log_of_forgotten": _ACCESS_OF_FORGOTTEN.format(p=prefix),
        f"{prefix}consent_open": _CONSENT_OPEN.format(p=prefix),
        f"{prefix}member_decided": _DECIDED.format(p=prefix),
        f"{prefix}result_decided": _RESULT_DECIDED.format(p=prefix),
        f"{prefix}staff_account_expired": _STAFF_EXPIRED.format(p=prefix),
    }
    for table, (key, which) in _OF_FORGOTTEN.items():
        where = f"{key} IN ({which.format(p=prefix)})"
        selects[f"{prefix}{table}_of_forgotten"] = f"SELECT {key} FROM {prefix}{table} WHERE {where}"  # noqa: S608
    for table, (key, where) in _OF_SANDBOX.items():
        rows = f"SELECT {key} FROM {prefix}{table} WHERE {where.format(p=prefix)}"  # noqa: S608
        selects[f"{prefix}{table}_of_sandbox"] = rows
    return selects


Deletable = Callable[[sa.Connection, sa.Table], sa.TableClause]
"""The rows of a table that may be deleted."""


def of_forgotten(c: sa.Connection, table: sa.Table) -> sa.TableClause:
    """The table's rows that may be deleted because their member is being forgotten (`tombstone.erases`); of
    `access_log` those that may be blanked."""
    return _view(c, table, f"{table.name}_of_forgotten")


def of_sandbox(c: sa.Connection, table: sa.Table) -> sa.TableClause:
    """The table's rows that may be deleted because they are of the sandbox."""
    return _view(c, table, f"{table.name}_of_sandbox")


def open_consents(c: sa.Connection, table: sa.Table) -> sa.TableClause:
    """Consents that may be closed; on SQLite all of them."""
    return _view(c, table, f"{table.name}_open")


def decided(c: sa.Connection, table: sa.Table) -> sa.TableClause:
    """Members whose verdict may become what a person has decided about their newest request; or results that
    may become what a person has decided, or wait again."""
    return _view(c, table, f"{table.name}_decided")


def expired(c: sa.Connection, table: sa.Table) -> sa.TableClause:
    """Accounts of the console that may be deleted; on SQLite all of them."""
    return _view(c, table, f"{table.name}_expired")


def _view(c: sa.Connection, table: sa.Table, name: str) -> sa.TableClause:
    if c.dialect.name == "sqlite":
        return table
    columns: list[sa.ColumnClause[Any]] = [sa.column(column.name, column.type) for column in table.c]
    return sa.table(name, *columns)
