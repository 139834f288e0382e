"""Temporary errors of Redis, in the words of its versions."""

from __future__ import annotations

import pytest
from redis._parsers.base import BaseParser
from redis.exceptions import RedisError

from worker.client.redis_errors import as_transient

_IN_A_SCRIPT = "ERR Error running script (call to f_d0e6): @user_script:1: @user_script: 1: -"


def transient_error(text: str) -> tuple[str, bool] | None:
    """Its code, and whether another Redis may be the primary."""
    error = BaseParser.parse_error(text)  # type: ignore[no-untyped-call]
    assert isinstance(error, RedisError)
    transient = as_transient(error)
    return (transient.code, transient.not_primary) if transient else None


@pytest.mark.parametrize(
    ("text", "code", "not_primary"),
    [
        ("OOM command not allowed when used memory > 'maxmemory'.", "OOM", False),
        (f"{_IN_A_SCRIPT}OOM command not allowed when used memory > 'maxmemory'.", "OOM", False),
        (
            "MISCONF Redis is configured to save RDB snapshots, but it is currently unable to",
            "MISCONF",
            False,
        ),
        (f"{_IN_A_SCRIPT}MISCONF Redis is configured to save RDB snapshots, but", "MISCONF", False),
        ("NOREPLICAS Not enough good replicas to write.", "NOREPLICAS", False),
        ("BUSY Redis is busy running a script. You can only call SCRIPT KILL or", "BUSY", False),
        ("TRYAGAIN Multiple keys request during rehashing of slot", "TRYAGAIN", False),
        ("READONLY You can't write against a read only replica.", "READONLY", True),
        (f"{_IN_A_SCRIPT}READONLY You can't write against a read only replica.", "READONLY", True),
        (
            "MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.",
            "MASTERDOWN",
            True,
        ),
        ("CLUSTERDOWN The cluster is down", "CLUSTERDOWN", True),
    ],
)
def test_a_temporary_error_is_told_by_its_code(text: str, code: str, not_primary: bool) -> None:
    assert transient_error(text) == (code, not_primary)


@pytest.mark.parametrize(
    "text",
    [
        "WRONGTYPE Operation against a key holding the wrong kind of value",
        "NOPERM this user has no permissions to run the 'eval' command",
        "ERR unknown command 'EVAL', with args beginning with: 'BUSY' 'OOM'",
        "ERR syntax error",
    ],
)
def test_a_permanent_error_is_no_temporary_one(text: str) -> None:
    assert transient_error(text) is None
