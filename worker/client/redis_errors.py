"""Errors of Redis that are temporary, told from permanent ones."""

from __future__ import annotations

import re
from typing import Final

from redis import exceptions

_BUSY: Final = ("OOM", "MISCONF", "NOREPLICAS", "BUSY", "TRYAGAIN")
"""It is full, cannot write to its disk or to enough replicas, or is busy with somebody's script."""
_NOT_PRIMARY: Final = ("READONLY", "MASTERDOWN", "CLUSTERDOWN")
"""It is no primary, or not yet: a new connection may find the one that is."""
_CLASSES: Final = {
    exceptions.OutOfMemoryError: "OOM",
    exceptions.TryAgainError: "TRYAGAIN",
    exceptions.ReadOnlyError: "READONLY",
    exceptions.MasterDownError: "MASTERDOWN",
    exceptions.ClusterDownError: "CLUSTERDOWN",
}
"""Errors whose text comes without its code."""
# Redis 6 wraps the error of a command in a script: `ERR Error running script (…): @user_script: 8: -OOM …`
_CODE: Final = re.compile(rf"(?:^|-)({'|'.join((*_BUSY, *_NOT_PRIMARY))})\b")


class TransientRedisError(exceptions.ResponseError):
    """Redis refuses a command for now; the same command may succeed in a moment."""

    def __init__(self, code: str) -> None:
        super().__init__(f"Redis takes nothing just now ({code})")
        self.code = code

    @property
    def not_primary(self) -> bool:
        """Whether another Redis may be the primary."""
        return self.code in _NOT_PRIMARY


def as_transient(error: exceptions.RedisError) -> TransientRedisError | None:
    """The error as a temporary one; None if it will be the same next time."""
    if isinstance(error, TransientRedisError):
        return error
    for kind, code in _CLASSES.items():
        if isinstance(error, kind):
            return TransientRedisError(code)
    found = _CODE.search(str(error)) if isinstance(error, exceptions.ResponseError) else None
    return TransientRedisError(found[1]) if found else None
