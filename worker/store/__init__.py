"""The truth about members and requests, in SQL; the broker is only a courier.

`Store` is made of one small class per concern. Every public method is one short transaction,
may be called by many processes at once, and raises `StoreUnavailable` when trying again later
may help. Times go in as `now` and come out in UTC.
"""

from worker.states import Decider, State
from worker.store.engine import build_engine
from worker.store.mapped import MappedMember
from worker.store.model_records import (
    ANY_CHAMPION,
    Consenting,
    Flip,
    HeadRefused,
    ModelRecord,
    PublishedHead,
    Replaced,
    ShadowReport,
    Standing,
)
from worker.store.records import (
    Accepted,
    Attempt,
    Change,
    DeadJob,
    DeadJobRecord,
    Decided,
    Enqueued,
    Labelled,
    Look,
    MemberRecord,
    NewMember,
    PendingMember,
    Purged,
    Queued,
    Refusal,
    Refused,
    RequestRecord,
    StatusReport,
    WaitingReview,
)
from worker.store.store import Store, open_store

__all__ = [
    "ANY_CHAMPION",
    "Accepted",
    "Attempt",
    "Change",
    "Consenting",
    "DeadJob",
    "DeadJobRecord",
    "Decided",
    "Decider",
    "Enqueued",
    "Flip",
    "HeadRefused",
    "Labelled",
    "Look",
    "MappedMember",
    "MemberRecord",
    "ModelRecord",
    "NewMember",
    "PendingMember",
    "PublishedHead",
    "Purged",
    "Queued",
    "Refusal",
    "Refused",
    "Replaced",
    "RequestRecord",
    "ShadowReport",
    "Standing",
    "State",
    "StatusReport",
    "Store",
    "WaitingReview",
    "build_engine",
    "open_store",
]
