"""Names of queues and tasks on the broker."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from worker.client import task_message

VERIFY: Final = task_message.VERIFY
BULK: Final = task_message.BULK
RETRAIN: Final = "retrain"
MAINTENANCE: Final = "maintenance"
"""The sweep, the delivery of events and the daily purge: short work, so it is served first."""

IN_ORDER: Final = (MAINTENANCE, VERIFY, BULK, RETRAIN)
"""All queues, in the order in which a worker serves them."""
JUDGING: Final = frozenset({VERIFY, BULK})
"""Queues whose jobs need the models."""

VERIFY_MEMBER: Final = task_message.VERIFY_MEMBER
RECORD_OBJECTION: Final = task_message.RECORD_OBJECTION
SWEEP: Final = "worker.sweep"
DEAD_LETTER: Final = "worker.bury"
"""Records a message that is no job."""
PURGE: Final = "worker.purge"
BULK_EMBED: Final = "worker.bulk_embed"
RETRAIN_STEP: Final = "worker.retrain"
RETRAIN_PLAN: Final = "worker.plan_retraining"
DELIVER_EVENTS: Final = "worker.deliver_events"

TASKS: Final[Mapping[str, frozenset[str]]] = {
    VERIFY: frozenset({VERIFY_MEMBER, RECORD_OBJECTION}),
    BULK: frozenset({VERIFY_MEMBER, BULK_EMBED}),
    MAINTENANCE: frozenset({SWEEP, PURGE, RETRAIN_PLAN, DELIVER_EVENTS}),
    RETRAIN: frozenset({RETRAIN_STEP}),
}
"""The tasks of each queue. `DEAD_LETTER` may be on all of them, for it is retried on the queue of the
message."""
TASK_NAMES: Final = frozenset({DEAD_LETTER}.union(*TASKS.values()))
"""All of them."""
INTERNAL: Final = frozenset({MAINTENANCE, RETRAIN})
"""Queues that only the workers write to: another task there is another program's."""


def in_order(names: list[str] | tuple[str, ...]) -> list[str]:
    """These queues in the order of service. A worker of `verify` also serves `bulk`, so that it always has a
    consumer."""
    wanted = set(names) | ({BULK} if VERIFY in names else set())
    return [name for name in IN_ORDER if name in wanted]
