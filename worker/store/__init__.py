"""Members, requests, models and retrainings in SQL. The database decides what is to be done, not the broker.

`Store` has a repository for each subject. Every public method of a repository is one short transaction,
may be called by many processes at once, and raises `StoreUnavailable` when trying again later may help;
what takes a connection works within the transaction of another. Times go in as `now` and come out in UTC.
"""

from worker.store.counts.backlog import OpenCases
from worker.store.counts.open_cases import CaseFilter, CaseState, WhyOpen
from worker.store.database import build_engine
from worker.store.mapped import MappedMember
from worker.store.members.records import Access, AccessRecord, Change, Forgotten, MemberRecord, NewMember
from worker.store.models.records import (
    Flip,
    HeadsInUse,
    HostUse,
    ModelRecord,
    PublishedHead,
    Replaced,
    ShadowReport,
)
from worker.store.outbox.records import EndpointReport, OutboxReport, ParkedEvent
from worker.store.reports import StatusReport
from worker.store.requests.records import (
    Accepted,
    Attempt,
    DeadJob,
    Enqueued,
    Queued,
    Refusal,
    Refused,
    RequestRecord,
)
from worker.store.retention import Cutoffs, Purged
from worker.store.reviews.records import (
    AuditReport,
    CaseCounts,
    CaseList,
    CaseView,
    Claim,
    Effect,
    Evidence,
    LastChoice,
    ListedCase,
    NewObjection,
    Objection,
    ObjectionCounts,
    ReviewerReport,
    ReviewPace,
    ReviewReport,
    ReviewRules,
    Ruled,
    WaitingObjection,
)
from worker.store.reviews.ruling import Ruling, ruling
from worker.store.store import Store, open_store
from worker.store.training.records import (
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
)

__all__ = [
    "Accepted",
    "Access",
    "AccessRecord",
    "Attempt",
    "Audit",
    "AuditReport",
    "CaseCounts",
    "CaseFilter",
    "CaseList",
    "CaseState",
    "CaseView",
    "Change",
    "Claim",
    "Consenting",
    "Cutoffs",
    "DeadJob",
    "Effect",
    "Ending",
    "EndpointReport",
    "Enqueued",
    "Evidence",
    "Flip",
    "Forgotten",
    "HeadsInUse",
    "HostUse",
    "LastChoice",
    "LearnedFace",
    "ListedCase",
    "MappedMember",
    "MemberRecord",
    "ModelRecord",
    "NewMember",
    "NewObjection",
    "Objection",
    "ObjectionCounts",
    "OpenCases",
    "OutboxReport",
    "ParkedEvent",
    "Progress",
    "PublishedHead",
    "Purged",
    "Queued",
    "Refusal",
    "Refused",
    "Replaced",
    "RequestRecord",
    "ReviewPace",
    "ReviewReport",
    "ReviewRules",
    "ReviewerReport",
    "Ruled",
    "Ruling",
    "RunLease",
    "RunRecord",
    "ShadowReport",
    "StatusReport",
    "Store",
    "StudiedPhoto",
    "ToStudy",
    "TruePhoto",
    "WaitingObjection",
    "WhyOpen",
    "build_engine",
    "open_store",
    "ruling",
]
