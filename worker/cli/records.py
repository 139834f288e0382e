"""Every command that shows or changes something of a member writes who, from where, what and whom."""

from __future__ import annotations

import os
import pwd
import socket
from collections.abc import Iterable
from contextlib import suppress
from typing import Final

from worker import runtime
from worker.cli.output import viewer
from worker.clock import utc_now
from worker.store import Access

_UNKNOWN: Final = "unknown"


def note_access(member_ids: Iterable[str], action: str, way: str, by: str | None = None) -> set[str]:
    """Write down that somebody looks at these members or changes something of them; those who exist.

    Call it before anything is shown or done: where it cannot be written down, nothing is. ``action`` is the
    command, ``way`` how it is used; ``by`` is `viewer()` if nobody else is named.
    """
    return runtime.store().accesses.note(member_ids, access_by(action, way, by), utc_now())


def note_absent(member_id: str, action: str, way: str, by: str | None = None) -> None:
    """The same about a member who is not there (any more): under the keyed hash of the ID."""
    runtime.store().accesses.note_absent(member_id, access_by(action, way, by), utc_now())


def note_list(action: str, way: str, by: str | None = None) -> None:
    """The same about a list that may name any member."""
    runtime.store().accesses.note_list(access_by(action, way, by), utc_now())


def access_by(action: str, way: str, by: str | None = None) -> Access:
    """Who does this just now, and from where."""
    return Access(by or viewer(), action, way, socket.gethostname(), _ssh_client(), _login())


def _ssh_client() -> str | None:
    """The address that somebody logged in from: the first word of what sshd sets."""
    words = (os.environ.get("SSH_CONNECTION") or os.environ.get("SSH_CLIENT") or "").split()
    return words[0] if words else None


def _login() -> str:
    """The account of the process, whatever its environment says, and whoever became it by `sudo`."""
    name = _UNKNOWN
    with suppress(KeyError):  # a container's user need not have a name
        name = pwd.getpwuid(os.getuid()).pw_name
    before = os.environ.get("SUDO_USER")
    return f"{name} (sudo {before})" if before else name
