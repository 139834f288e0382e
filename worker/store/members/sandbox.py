"""Who is of the sandbox: members whose verdicts are made up, for the tests of an app."""

from __future__ import annotations

from worker.store.database import AnyRow


def is_sandbox(prefix: str, member_id: str, member: AnyRow | None) -> bool:
    """By the ID of a new member, whether there is a row or not; of one who had a request, as it was then.

    Without a ``prefix`` no new member is.
    """
    if member is not None and member.request_id is not None:
        return bool(member.sandbox)
    return bool(prefix) and member_id.startswith(prefix)
