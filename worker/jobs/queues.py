"""Names that go over the wire: queues and tasks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

VERIFY: Final = "verify"
"""Live sign-ups."""
BULK: Final = "bulk"
"""Imports, sweeps of imports, re-verification; taken only when `verify` is empty."""
RETRAIN: Final = "retrain"
MAINTENANCE: Final = "maintenance"
"""The sweep and the daily purge: short work, so it goes before everything else."""

IN_ORDER: Final = (MAINTENANCE, VERIFY, BULK, RETRAIN)
"""All queues, in the order in which a worker that consumes several serves them."""
JUDGING: Final = frozenset({VERIFY, BULK})
"""Queues whose jobs need the models."""

VERIFY_MEMBER: Final = "worker.verify_member"
SWEEP: Final = "worker.sweep"
BURY: Final = "worker.bury"
PURGE: Final = "worker.purge"
BULK_EMBED: Final = "worker.bulk_embed"
RETRAIN_STEP: Final = "worker.retrain"
RETRAIN_PLAN: Final = "worker.plan_retraining"

TASKS: Final[Mapping[str, frozenset[str]]] = {
    VERIFY: frozenset({VERIFY_MEMBER}),
    BULK: frozenset({VERIFY_MEMBER, BULK_EMBED}),
    MAINTENANCE: frozenset({SWEEP, PURGE, RETRAIN_PLAN}),
    RETRAIN: frozenset({RETRAIN_STEP}),
}
"""What may come on each queue; `BURY` beside it on all of them, for garbage is tried again where it came."""
OF_OURS_ONLY: Final = frozenset({MAINTENANCE, RETRAIN})
"""Queues that nobody writes to but the workers: a task of another kind there is another program's."""


def in_order(names: list[str] | tuple[str, ...]) -> list[str]:
    """These queues in the order of service. Whoever verifies live members also takes the bulk jobs
    when there is nothing else: a queue `bulk` must never be without a consumer."""
    wanted = set(names) | ({BULK} if VERIFY in names else set())
    return [name for name in IN_ORDER if name in wanted]
