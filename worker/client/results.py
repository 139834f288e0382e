"""Reads the table `result` over the app's own database connection (DB-API 2.0)."""

from __future__ import annotations

import json
import re
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from datetime import datetime, timedelta, timezone
from typing import Any, Final

from .errors import BadTime, BadValue, TimedOut, UnknownDriver
from .message import as_utc, check_field, check_identifier, utc_now
from .records import Photo, Result, Standing

LOOK_BACK: Final = timedelta(seconds=30)
"""Transactions do not end in the order of their `changed_at`: one that ends late is found by looking back."""
CLOCKS: Final = timedelta(minutes=5)
"""By so much the app's clock may be behind the database's."""
_COLUMNS: Final = (
    *("request_id", "member_id", "state", "waiting_until", "status", "reason", "problem", "photo"),
    *("similarity", "decided_by", "text_ko", "text_en", "photos", "sandbox"),
    *("requested_at", "accepted_at", "finished_at", "changed_at"),
)
_TIMES: Final = ("waiting_until", "requested_at", "accepted_at", "finished_at", "changed_at")
_FIRST_PAUSE: Final = 0.2
_LONGEST_PAUSE: Final = 5.0
_PLACEHOLDERS: Final[Mapping[str, str]] = {"qmark": "?", "format": "%s", "pyformat": "%s"}


class Results:
    """The results, read with the rights of the app's account (`verify_app` in worker/grants.sql).

    Errors of the database driver are not translated.
    """

    def __init__(
        self, connect: Callable[[], Any], *, table_prefix: str = "", paramstyle: str | None = None
    ) -> None:
        """``connect`` gives a DB-API 2.0 connection (PyMySQL, mysqlclient, mysql-connector, sqlite3, or out
        of a pool), which is closed after each query. ``table_prefix`` goes before the names of the worker's
        tables (`VERIFY_TABLE_PREFIX`). ``paramstyle`` is the driver's, where it cannot be found. Raises
        BadValue."""
        if not re.fullmatch(r"\w*", table_prefix):
            raise BadValue("table_prefix: must be letters, digits and underscores")
        self._connect, self._prefix, self._paramstyle = connect, table_prefix, paramstyle

    def result(self, request_id: str) -> Result | None:
        """What came of a request; None before a worker has seen it. Raises BadIdentifier."""
        rows = self._read("result", _COLUMNS, "WHERE request_id = {}", _id("request_id", request_id))
        return _result(rows[0]) if rows else None

    def standing(self, member_id: str) -> Standing | None:
        """Where a member stands: what a badge follows. Raises BadIdentifier."""
        columns = ("verification_status", "verified_request_id", "request_id", "requested_state")
        rows = self._read("member", columns, "WHERE member_id = {}", _id("member_id", member_id))
        return Standing(*rows[0]) if rows else None

    def wait(self, request_id: str, seconds: float = 60.0) -> Result:
        """The result once the request has ended (`done`, `dead`, `superseded`).

        For scripts and tests: an app has events, or `changes`. A request that ended in `review` is changed
        once more when a person decides. Raises TimedOut and BadIdentifier.
        """
        deadline, pause = time.monotonic() + seconds, _FIRST_PAUSE
        while True:
            result = self.result(request_id)
            if result is not None and result.ended:
                return result
            if (left := deadline - time.monotonic()) <= 0:
                raise TimedOut(request_id, seconds, result)
            time.sleep(min(pause, left))
            pause = min(1.5 * pause, _LONGEST_PAUSE)

    def changes(self, since: datetime, page: int = 500) -> Iterator[Result]:
        """Every result that has changed since then, in the order of `changed_at`, ``page`` rows a query.

        Remember the `changed_at` of the last one as the next ``since``. It begins 30 s earlier, so that
        nothing is missed that was committed late: results come again, and handling one twice must be
        harmless. Raises BadTime for a ``since`` without a time zone, or in the future by more than the
        clocks of two machines may differ (5 minutes).
        """
        start = check_field("since", since, datetime, as_utc)
        if start > utc_now() + CLOCKS:
            raise BadTime("since: is in the future")
        return self._changes(_as_text(start - LOOK_BACK), page)

    def _changes(self, since: str, page: int) -> Iterator[Result]:
        after = (since, "")  # smaller than every ID
        rest = "WHERE changed_at > {0} OR (changed_at = {0} AND request_id > {1})"
        order = f" ORDER BY changed_at, request_id LIMIT {int(page)}"
        while True:
            results = [_result(row) for row in self._read("result", _COLUMNS, rest + order, *after)]
            yield from results
            if len(results) < page:
                return
            after = (_as_text(results[-1].changed_at), results[-1].request_id)

    def _read(self, table: str, columns: Sequence[str], rest: str, *values: str) -> list[tuple[Any, ...]]:
        """The rows. Placeholders are by position, so a value that is used twice is given twice."""
        used = [values[int(at or 0)] for at in re.findall(r"\{(\d?)\}", rest)]
        with closing(self._connect()) as connection:
            mark = _placeholder(connection, self._paramstyle)
            where = re.sub(r"\{\d?\}", mark, rest)
            with closing(connection.cursor()) as cursor:
                cursor.execute(f"SELECT {', '.join(columns)} FROM {self._prefix}{table} {where}", used)  # noqa: S608
                return list(map(tuple, cursor.fetchall()))


def _id(name: str, value: str) -> str:
    return check_field(name, value, str, check_identifier)


def _placeholder(connection: Any, paramstyle: str | None) -> str:
    """The mark for a value in this driver's SQL."""
    style = paramstyle or next(_paramstyles(getattr(connection, "driver_connection", connection)), "")
    if style not in _PLACEHOLDERS:
        raise UnknownDriver(f"paramstyle must be {', '.join(_PLACEHOLDERS)}, and is {style or 'not known'}")
    return _PLACEHOLDERS[style]


def _paramstyles(connection: Any) -> Iterator[str]:
    """Of the modules that the connection's class comes from: the driver says its style in one of them."""
    for kind in type(connection).__mro__:
        parts = kind.__module__.split(".")
        for length in range(len(parts), 0, -1):
            style = getattr(sys.modules.get(".".join(parts[:length])), "paramstyle", None)
            if isinstance(style, str):
                yield style


def _result(row: Sequence[Any]) -> Result:
    values = dict(zip(_COLUMNS, row))
    values.update({name: _as_time(values[name]) for name in _TIMES})
    values["similarity"] = None if values["similarity"] is None else float(values["similarity"])
    values["sandbox"] = bool(values["sandbox"])
    values["photos"] = tuple(_photo(photo) for photo in json.loads(values["photos"] or "null") or ())
    return Result(**values)


def _photo(values: Mapping[str, Any]) -> Photo:
    names = ("outcome", "verdict", "verified", "similarity", "fault", "text_ko", "text_en")
    return Photo(values["position"], *(values.get(name) for name in names))


def _as_text(moment: datetime) -> str:
    """As MySQL and SQLite compare it with a column."""
    return moment.astimezone(timezone.utc).strftime("%Y-%m-%d %H:%M:%S.%f")


def _as_time(value: Any) -> datetime | None:
    """MySQL's drivers give times without a zone, SQLite's text."""
    moment = datetime.fromisoformat(value) if isinstance(value, str) else value
    return None if moment is None else moment.replace(tzinfo=timezone.utc)
