"""Database addresses: the spellings people use to the one that is meant."""

from __future__ import annotations

from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

_MYSQL = frozenset({"mysql", "mariadb", "mysql+pymysql", "mariadb+pymysql"})
_SQLITE = frozenset({"sqlite", "sqlite+pysqlite"})


def normalise_database_url(text: str) -> str:
    """`mysql://…` to `mysql+pymysql://…?charset=utf8mb4`; SQLite as it is, with its file named.

    Raises ValueError for every other database; the text holds no password.
    """
    try:
        url = make_url(text)
    except (ArgumentError, ValueError):  # of a port that is no number, in whose place a password may stand
        raise ValueError(
            "is no address such as mysql://user:password@host:3306/database or sqlite:///path; in a password "
            "write / as %2F, : as %3A, @ as %40"
        ) from None
    if url.drivername in _MYSQL:
        url = _mysql(url)
    elif url.drivername not in _SQLITE:
        raise ValueError("must begin with mysql://, mariadb:// or sqlite://")
    elif not url.database or url.database == ":memory:":
        raise ValueError("must name a file after sqlite:///, for the processes of a worker share it")
    return url.render_as_string(hide_password=False)


def _mysql(url: URL) -> URL:
    if not url.database:
        raise ValueError("must end with the name of the database: mysql://user:password@host/database")
    # Said explicitly: a server's default (latin1 here and there) would turn names into question marks.
    return url.set(drivername="mysql+pymysql").update_query_dict({"charset": "utf8mb4"})
