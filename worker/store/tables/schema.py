"""The tables, in SQLAlchemy Core; the same for MySQL, MariaDB and SQLite.

What makes them portable:

* IDs and codes are ASCII in a binary collation, or MariaDB would take `Ab1` and `ab1` for one key;
* utf8mb4 is said explicitly;
* enums are text with a CHECK: SQLite takes any value for a native enum;
* times are UTC with microseconds, and a time without a zone is refused.

The migrations under `worker/migrations` build the same tables; a test holds the two together.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import mysql

from pipeline.verdict import Fault, FetchProblem, Gender, Outcome, PhotoVerdict, Status
from worker.client.message import MAX_URL
from worker.jobs.verify_job import Why
from worker.store.tables.access import access_chain, access_log, access_review
from worker.store.tables.columns import (
    NAMING,
    NOTE_LENGTH,
    CutText,
    TableBuilder,
    UtcDateTime,
    ascii_text,
    code,
    identifier,
    json_map,
    no_space,
    one_of,
    row_number,
    sha256,
)
from worker.store.tables.counts import day_tally, tally
from worker.store.tables.models import model_refusal, model_version, shadow_verdict
from worker.store.tables.outbox import event, event_delivery, event_endpoint, result
from worker.store.tables.people import (
    consent,
    decision,
    label,
    objection,
    review_case,
    review_vote,
    tombstone,
)
from worker.store.tables.staff import StaffTables, staff_tables
from worker.store.tables.states import MEMBER_STATES, Decider, State
from worker.store.tables.training import training_face, training_member, training_run
from worker.store.tables.views import add_views

MESSAGE_BYTES = 65_535  # of MySQL's BLOB
BANDS = ("band_1", "band_2", "band_3", "band_4")  # of 16 bits each

# The database compares what the app writes with what we know of it: so changes made in SQL are found
# by an index. (Triggers would want SUPER on a MySQL that logs in binary.)
_NEEDS_REQUEST = (
    "CASE WHEN selfie_url IS NOT NULL AND (pending OR (requested_selfie_url IS NOT NULL "
    "AND (selfie_url <> requested_selfie_url "
    "OR coalesce(declared_gender, '') <> coalesce(requested_gender, '')))) THEN 1 ELSE 0 END"
)
_CHANGED = "CASE WHEN requested_url = url AND requested_position = position THEN 0 ELSE 1 END"


@dataclass(frozen=True, slots=True)
class Tables:
    """All tables under one prefix."""

    prefix: str
    metadata: sa.MetaData
    member: sa.Table
    photo: sa.Table
    verification: sa.Table
    verification_photo: sa.Table
    photo_reuse: sa.Table
    label: sa.Table
    model_version: sa.Table
    model_refusal: sa.Table
    shadow_verdict: sa.Table
    dead_job: sa.Table
    tombstone: sa.Table
    decision: sa.Table
    review_case: sa.Table
    review_vote: sa.Table
    objection: sa.Table
    access_log: sa.Table
    access_chain: sa.Table
    access_review: sa.Table
    consent: sa.Table
    training_run: sa.Table
    training_member: sa.Table
    training_face: sa.Table
    result: sa.Table
    event: sa.Table
    event_delivery: sa.Table
    event_endpoint: sa.Table
    tally: sa.Table
    staff: StaffTables
    day_tally: sa.Table


@lru_cache
def tables(prefix: str = "") -> Tables:
    """Our tables; ``prefix`` goes before each name, so that they can stand beside the app's own."""
    metadata = sa.MetaData(naming_convention=NAMING)
    build = TableBuilder(metadata, prefix)
    add_views(metadata, prefix)
    return Tables(
        prefix=prefix,
        metadata=metadata,
        member=_member(build),
        photo=_photo(build),
        verification=_verification(build),
        verification_photo=_verification_photo(build),
        photo_reuse=_photo_reuse(build),
        label=label(build),
        model_version=model_version(build),
        model_refusal=model_refusal(build),
        shadow_verdict=shadow_verdict(build),
        dead_job=_dead_job(build),
        tombstone=tombstone(build),
        decision=decision(build),
        review_case=review_case(build),
        review_vote=review_vote(build),
        objection=objection(build),
        access_log=access_log(build),
        access_chain=access_chain(build),
        access_review=access_review(build),
        consent=consent(build),
        training_run=training_run(build),
        training_member=training_member(build),
        training_face=training_face(build),
        result=result(build),
        event=event(build),
        event_delivery=event_delivery(build),
        event_endpoint=event_endpoint(build),
        staff=staff_tables(build),
        tally=tally(build),
        day_tally=day_tally(build),
    )


def _member(build: TableBuilder) -> sa.Table:
    """One row per member with the latest result. The app may insert rows itself: little is required."""
    return build.table(
        "member",
        sa.Column("member_id", identifier(), primary_key=True),
        no_space("member_id"),
        *one_of("declared_gender", Gender),
        sa.Column("selfie_url", sa.String(MAX_URL)),
        *one_of("verification_status", Status),
        sa.Column("same_person", sa.Boolean),
        sa.Column("similarity", sa.Double),
        *one_of("predicted_gender", Gender),
        sa.Column("gender_probability", sa.Double),
        sa.Column("reason", code()),
        sa.Column("model_version", sa.String(64)),
        sa.Column("verified_at", UtcDateTime),
        # The request that this result is from.
        sa.Column("verified_request_id", identifier()),
        # The newest request that was accepted, whatever became of it: older ones write nothing any more.
        sa.Column("request_id", identifier()),
        # Where it stands; a running one counts as queued.
        *one_of("requested_state", MEMBER_STATES),
        # When it counts from: later than any before it, whatever a clock says.
        sa.Column("requested_at", UtcDateTime),
        # When the newest message of the app's was sent, by the app's clock, but not after we got it.
        sa.Column("sent_at", UtcDateTime),
        # What holds now; when and how it came about is in `consent`.
        sa.Column("training_consent", sa.Boolean, nullable=False, server_default=sa.false()),
        sa.Column("verification_consent", sa.Boolean, nullable=False, server_default=sa.true()),
        # The app's wish: people look at this member's photos, and the machine compares none.
        sa.Column("manual", sa.Boolean, nullable=False, server_default=sa.false()),
        # Wants a request: set by the import and, besides the default, by whoever asks for one in SQL.
        sa.Column("pending", sa.Boolean, nullable=False, server_default=sa.true()),
        sa.Column("created_at", UtcDateTime),
        sa.Column("updated_at", UtcDateTime),
        *_requested_columns(),
        # Photos may still be on their way until then; NULL: nobody has looked yet.
        sa.Column("request_after", UtcDateTime),
        sa.Column("sandbox", sa.Boolean, nullable=False, server_default=sa.false()),
        sa.Column("needs_request", sa.Boolean, sa.Computed(_NEEDS_REQUEST, persisted=True)),
        # When the newest request failed while a verdict of an earlier one stands.
        sa.Column("failed_at", UtcDateTime),
        *_member_indexes(),
    )


def _member_indexes() -> tuple[sa.Index, ...]:
    return (
        sa.Index(None, "needs_request", "request_after"),
        sa.Index(None, "updated_at"),
        sa.Index(None, "failed_at"),
        sa.Index(None, "verification_consent"),
        # Counts of members by verdict read nothing else.
        sa.Index(None, "sandbox", "verification_status"),
    )


def _requested_columns() -> tuple[sa.Column[Any], ...]:
    """What the newest request asked about, and how, whatever the app has written since."""
    return (
        sa.Column("requested_selfie_url", sa.String(MAX_URL)),
        sa.Column("requested_gender", code()),
        sa.Column("requested_photos", sa.Integer),
        sa.Column("requested_manual", sa.Boolean, nullable=False, server_default=sa.false()),
    )


def _photo(build: TableBuilder) -> sa.Table:
    """The gallery in the member's order; position 1 is the primary photo."""
    return build.table(
        "photo",
        sa.Column("member_id", identifier(), primary_key=True),
        no_space("member_id"),
        sa.Column("position", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("url", sa.String(MAX_URL), nullable=False),
        sa.Column("created_at", UtcDateTime),
        # As a request or an import last saw it; only we write these.
        sa.Column("requested_url", sa.String(MAX_URL)),
        sa.Column("requested_position", sa.Integer),
        sa.Column("changed", sa.Boolean, sa.Computed(_CHANGED, persisted=True)),
        build.parent("member.member_id"),
        sa.Index(None, "changed"),
    )


def _verification(build: TableBuilder) -> sa.Table:
    """One row per request, never deleted by work; the verdict is the machine's (`decision`: people's)."""
    return build.table(
        "verification",
        sa.Column("request_id", identifier(), primary_key=True),
        sa.Column("member_id", identifier(), nullable=False),
        *one_of("why", Why, nullable=False),
        sa.Column("queue", code(), nullable=False),
        sa.Column("requested_at", UtcDateTime, nullable=False),
        sa.Column("message", json_map(), nullable=False),  # whole: the sweep must be able to send it again
        # Whether the links in it have their queries still.
        sa.Column("has_links", sa.Boolean, nullable=False, server_default=sa.true()),
        sa.Column("content_hash", sha256(), nullable=False),
        *one_of("state", State, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("open_attempts", sa.Integer, nullable=False),  # starts without an end: kills are counted
        sa.Column("postponed", sa.Integer, nullable=False),
        sa.Column("sweeps", sa.Integer, nullable=False),
        sa.Column("worker", CutText(255)),
        sa.Column("problem", CutText(255)),
        sa.Column("lease_until", UtcDateTime),
        sa.Column("next_attempt_at", UtcDateTime),
        sa.Column("due_at", UtcDateTime),  # for the sweep; NULL once it has ended
        sa.Column("accepted_at", UtcDateTime, nullable=False),
        sa.Column("started_at", UtcDateTime),
        sa.Column("finished_at", UtcDateTime),
        *_verdict_columns(),
        sa.Column("refetch_at", UtcDateTime),  # when photos that could not be had are asked for again
        sa.Column("swapped", json_map()),  # positions of photos that were others at the verdict before
        sa.Column("sandbox", sa.Boolean, nullable=False, server_default=sa.false()),
        build.parent("member.member_id", cascade=False),
        sa.Index(None, "member_id", "requested_at"),
        sa.Index(None, "due_at"),
        sa.Index(None, "refetch_at"),
        sa.Index(None, "state"),
        sa.Index(None, "has_links", "finished_at"),
        # The approvals that were sampled for the blind audit, among all.
        sa.Index(None, "reason", "sandbox"),
        # All that is counted of requests that have not ended.
        sa.Index(
            build.index_name("verification", "waiting"),
            *("due_at", "state", "sweeps", "queue", "sandbox", "accepted_at"),
        ),
    )


def _verdict_columns() -> tuple[sa.schema.SchemaItem, ...]:
    return (
        *one_of("status", Status),
        sa.Column("reason", code()),
        sa.Column("photo", sa.Integer),
        sa.Column("same_person", sa.Boolean),
        sa.Column("similarity", sa.Double),
        *one_of("predicted_gender", Gender),
        sa.Column("gender_probability", sa.Double),
        *one_of("decided_by", Decider),
        sa.Column("photo_set_hash", sha256()),  # unused; a worker of the version before still writes it
        sa.Column("model_version", sa.String(64)),
        sa.Column("policy_version", sa.String(64)),
        sa.Column("timings", json_map()),
        # What the machine had said where a second look opened a review instead.
        *one_of("machine_status", Status),
        sa.Column("machine_reason", code()),
    )


def _verification_photo(build: TableBuilder) -> sa.Table:
    """What was found in each photo of a request; position 0 is the selfie."""
    return build.table(
        "verification_photo",
        sa.Column("request_id", identifier(), primary_key=True),
        sa.Column("position", sa.Integer, primary_key=True, autoincrement=False),
        *one_of("outcome", Outcome, nullable=False),
        *one_of("fault", Fault),
        sa.Column("sha256", sha256()),
        sa.Column("faces", sa.Integer, nullable=False),
        *(sa.Column(f"box_{of}", sa.Double) for of in ("x", "y", "width", "height")),
        sa.Column("gate", code()),
        sa.Column("gate_value", sa.Double),
        sa.Column("gate_limit", sa.Double),
        sa.Column("quality", json_map()),
        *(sa.Column(name, sa.Double) for name in ("score", "similarity", "approve_edge", "different_edge")),
        sa.Column("cosines", json_map()),
        sa.Column("distances", json_map()),
        *one_of("fetch_problem", FetchProblem),
        sa.Column("detail", CutText(255), nullable=False),
        sa.Column("replay", sa.Boolean, nullable=False),
        # What the photo may be shown as; none of the selfie.
        *one_of("verdict", PhotoVerdict),
        # Perceptual hashes of a photo of one person: 64 bits, which an index finds by their four bands, and
        # 256 bits in hexadecimal.
        sa.Column("phash", sa.BigInteger),
        sa.Column("phash_fine", ascii_text(64)),
        *(sa.Column(band, sa.Integer) for band in BANDS),
        # Of the face in the box, by name: a few points that say where it lies and how it is turned.
        sa.Column("landmarks", json_map()),
        build.parent("verification.request_id"),
        sa.Index(None, "sha256"),
        # With the hash, so that a search reads nothing else.
        *(sa.Index(None, band, "phash") for band in BANDS),
    )


def _photo_reuse(build: TableBuilder) -> sa.Table:
    """Which photo of a request is one that another member has used; goes with either of the two."""
    request = f"{build.prefix}verification.request_id"
    return build.table(
        "photo_reuse",
        sa.Column("request_id", identifier(), primary_key=True),
        sa.Column("position", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("of_request_id", identifier(), primary_key=True),
        sa.Column("of_position", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("same_file", sa.Boolean, nullable=False),  # byte for byte; else a near copy
        sa.ForeignKeyConstraint(["request_id"], [request], ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["of_request_id"], [request], ondelete="CASCADE"),
        sa.Index(None, "of_request_id"),
    )


def _dead_job(build: TableBuilder) -> sa.Table:
    """What could not be processed. An invalid message has no IDs, so nothing here points to another table."""
    return build.table(
        "dead_job",
        sa.Column("id", row_number(), primary_key=True),
        sa.Column("reason", CutText(32, ascii_only=True), nullable=False),
        sa.Column("error", CutText(1000), nullable=False),
        sa.Column("queue", CutText(32, ascii_only=True), nullable=False),
        sa.Column("request_id", identifier()),
        sa.Column("member_id", identifier()),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("message_sha256", sha256(), nullable=False),
        sa.Column("message_length", sa.BigInteger, nullable=False),
        sa.Column("message_head", sa.LargeBinary().with_variant(mysql.BLOB(), "mysql"), nullable=False),
        sa.Column("created_at", UtcDateTime, nullable=False),
        # Open until it is put back or dismissed.
        sa.Column("requeued_at", UtcDateTime),
        sa.Column("dismissed_at", UtcDateTime),
        sa.Column("dismissed_by", CutText(255)),
        sa.Column("dismissed_note", sa.String(NOTE_LENGTH)),
        # In place of the member's ID where a bar refused the message (reason `forgotten`).
        sa.Column("member_hash", sha256()),
        sa.Index(None, "request_id"),
        sa.Index(None, "member_id"),
        sa.Index(None, "created_at"),
        sa.Index(None, "requeued_at", "dismissed_at"),
    )


def is_open(dead_job: sa.Table) -> sa.ColumnElement[bool]:
    """Neither put back nor dismissed: somebody must still do something about it."""
    return sa.and_(dead_job.c.requeued_at.is_(None), dead_job.c.dismissed_at.is_(None))
