"""What Redis says when it takes nothing just now, told apart from what is wrong for good."""

from __future__ import annotations

import re
from typing import Any, Final

import redis
from redis import exceptions

_SOON: Final = ("OOM", "MISCONF", "NOREPLICAS", "BUSY", "TRYAGAIN")
"""It is full, cannot write to its disk or to enough replicas, or is busy with somebody's script."""
_ELSEWHERE: Final = ("READONLY", "MASTERDOWN", "CLUSTERDOWN")
"""It is no primary, or not yet: a new connection may find the one that is."""
_CLASSES: Final = {
    exceptions.OutOfMemoryError: "OOM",
    exceptions.TryAgainError: "TRYAGAIN",
    exceptions.ReadOnlyError: "READONLY",
    exceptions.MasterDownError: "MASTERDOWN",
    exceptions.ClusterDownError: "CLUSTERDOWN",
}
"""Whose texts come without their code."""
# Redis 6 wraps what a command in a script is told: `ERR Error running script (…): @user_script: 8: -OOM …`
_CODE: Final = re.compile(rf"(?:^|-)({'|'.join((*_SOON, *_ELSEWHERE))})\b")


class NotYet(exceptions.ResponseError):
    """Redis refuses a command for now; the same one may be taken in a moment."""

    def __init__(self, code: str) -> None:
        super().__init__(f"Redis takes nothing just now ({code})")
        self.code = code

    @property
    def elsewhere(self) -> bool:
        """Whether another Redis may be the one to ask."""
        return self.code in _ELSEWHERE


def not_yet(error: exceptions.RedisError) -> NotYet | None:
    """The refusal for now that an error is; None of one that will be the same next time."""
    if isinstance(error, NotYet):
        return error
    for kind, code in _CLASSES.items():
        if isinstance(error, kind):
            return NotYet(code)
    found = _CODE.search(str(error)) if isinstance(error, exceptions.ResponseError) else None
    return NotYet(found[1]) if found else None


class Client(redis.Redis):
    """redis-py's, which says NotYet where there is hope."""

    def parse_response(self, *args: Any, **options: Any) -> Any:
        """The answer to a command. Raises NotYet beside what redis-py raises."""
        try:
            return super().parse_response(*args, **options)  # type: ignore[no-untyped-call]
        except exceptions.ResponseError as error:
            if soon := not_yet(error):
                raise soon from error
            raise
