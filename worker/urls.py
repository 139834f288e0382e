"""Addresses of databases."""

from __future__ import annotations

from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

_MYSQL = frozenset({"mysql", "mariadb", "mysql+pymysql", "mariadb+pymysql"})
_SQLITE = frozenset({"sqlite", "sqlite+pysqlite"})
_NO_ADDRESS = (
    "is no address such as mysql://user:password@host:3306/database or sqlite:///path; in a password "
    "write / as %2F, : as %3A, @ as %40"
)
_PARAMETERS = (
    *("charset", "ssl_ca", "ssl_capath", "ssl_cert", "ssl_key", "ssl_cipher", "ssl_check_hostname"),
    "unix_socket",
)
"""What may follow `?`. The words of other drivers (`ssl-mode`, `useSSL`) would raise when it connects."""


def normalise_database_url(text: str) -> str:
    """`mysql://…` to `mysql+pymysql://…?charset=utf8mb4`; SQLite as it is, with its file named.

    Raises ValueError for every other database; the text holds no password.
    """
    try:
        url = make_url(text)
    except (ArgumentError, ValueError):  # of a port that is no number, in whose place a password may stand
        raise ValueError(_NO_ADDRESS) from None
    if url.drivername in _MYSQL:
        url = _mysql(url)
    elif url.drivername not in _SQLITE:
        raise ValueError("must begin with mysql://, mariadb:// or sqlite://")
    elif not url.database or url.database == ":memory:":
        raise ValueError("must name a file after sqlite:///, for the processes of a worker share it")
    return url.render_as_string(hide_password=False)


def _mysql(url: URL) -> URL:
    after_the_password = (url.host, url.database, *url.query)
    if any("@" in part for part in after_the_password if part) or not 0 <= (url.port or 0) < 65_536:
        raise ValueError(_NO_ADDRESS)
    if not url.database:
        raise ValueError("must end with the name of the database: mysql://user:password@host/database")
    _check_parameters(url)
    # Said explicitly: a server's default (latin1 here and there) would turn names into question marks.
    return url.set(drivername="mysql+pymysql").update_query_dict({"charset": "utf8mb4"})


def _check_parameters(url: URL) -> None:
    unknown = sorted(url.query.keys() - set(_PARAMETERS))
    if unknown:
        raise ValueError(f"takes no parameter {', '.join(unknown)}; there are {', '.join(_PARAMETERS)}")
    if not all(isinstance(value, str) for value in url.query.values()):
        raise ValueError("must give each parameter once")
    if url.query.get("ssl_check_hostname", "true") not in ("true", "false"):
        raise ValueError("must have true or false for ssl_check_hostname")
