"""The truth about members and requests, in SQL; the broker is only a courier.

`Store` has a repository for each subject. Every public method of a repository is one short transaction,
may be called by many processes at once, and raises `StoreUnavailable` when trying again later may help;
what takes a connection works within the transaction of another. Times go in as `now` and come out in UTC.
"""

from worker.store.database import build_engine
from worker.store.mapped import MappedMember
from worker.store.members.records import (
    AccessRecord,
    Change,
    Decided,
    DecisionRecord,
    Forgotten,
    Labelled,
    Lifted,
    MemberRecord,
    NewMember,
    WaitingReview,
)
from worker.store.models.records import (
    ANY_CHAMPION,
    Flip,
    HeadProblem,
    ModelRecord,
    PublishedHead,
    Replaced,
    ShadowReport,
    Standing,
)
from worker.store.reports import StatusReport
from worker.store.requests.records import (
    Accepted,
    Attempt,
    DeadJob,
    DeadJobRecord,
    Enqueued,
    PendingMember,
    Queued,
    Refusal,
    Refused,
    RequestRecord,
)
from worker.store.retention import Purged
from worker.store.store import Store, open_store
from worker.store.tables.states import Decider, State
from worker.store.training.records import (
    Asked,
    Audit,
    Consenting,
    Ending,
    LearnedFace,
    Progress,
    RunLease,
    RunRecord,
    StudiedPhoto,
    ToStudy,
    TruePhoto,
    Truth,
)

__all__ = [
    "ANY_CHAMPION",
    "Accepted",
    "AccessRecord",
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
    "Forgotten",
    "HeadProblem",
    "Labelled",
    "LearnedFace",
    "Lifted",
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
    "RunLease",
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
