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
from worker.store.people_records import Decided, DecisionRecord, Labelled, Lifted, Look, WaitingReview
from worker.store.records import (
    Accepted,
    Attempt,
    Change,
    DeadJob,
    DeadJobRecord,
    Enqueued,
    MemberRecord,
    NewMember,
    PendingMember,
    Purged,
    Queued,
    Refusal,
    Refused,
    RequestRecord,
    StatusReport,
)
from worker.store.store import Store, open_store
from worker.store.training_records import (
    Asked,
    Audit,
    Ending,
    HeldRun,
    LearnedFace,
    Progress,
    RunRecord,
    StudiedPhoto,
    ToStudy,
    TruePhoto,
    Truth,
)

__all__ = [
    "ANY_CHAMPION",
    "Accepted",
    "Asked",
    "Attempt",
    "Audit",
    "Change",
    "Consenting",
    "DeadJob",
    "DeadJobRecord",
    "Decided",
    "Decider",
    "DecisionRecord",
    "Ending",
    "Enqueued",
    "Flip",
    "HeadRefused",
    "HeldRun",
    "Labelled",
    "LearnedFace",
    "Lifted",
    "Look",
    "MappedMember",
    "MemberRecord",
    "ModelRecord",
    "NewMember",
    "PendingMember",
    "Progress",
    "PublishedHead",
    "Purged",
    "Queued",
    "Refusal",
    "Refused",
    "Replaced",
    "RequestRecord",
    "RunRecord",
    "ShadowReport",
    "Standing",
    "State",
    "StatusReport",
    "Store",
    "StudiedPhoto",
    "ToStudy",
    "TruePhoto",
    "Truth",
    "WaitingReview",
    "build_engine",
    "open_store",
]
