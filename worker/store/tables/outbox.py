"""Tables for the app: the result of each request, and events on their way.

Nothing here points to a member or a request: a refused message has none. `forget` deletes by the member's ID.
"""

from __future__ import annotations

import sqlalchemy as sa

from pipeline.verdict import Status
from worker.store.tables.columns import (
    CutText,
    TableBuilder,
    UtcDateTime,
    ascii_text,
    code,
    identifier,
    json_map,
    one_of,
    row_number,
)
from worker.store.tables.states import RESULT_STATES, Decider

ENDPOINT_LENGTH = 32
TEXT_LENGTH = 1000


def result(build: TableBuilder) -> sa.Table:
    """One row for each request, for the app to read; changes with the request, in the same transaction."""
    return build.table(
        "result",
        sa.Column("request_id", identifier(), primary_key=True),
        # NULL where a message was refused that named no member.
        sa.Column("member_id", identifier()),
        *one_of("state", RESULT_STATES, nullable=False),
        # While it waits for a photo host.
        sa.Column("waiting_until", UtcDateTime),
        *one_of("status", Status),
        sa.Column("reason", code()),
        # Why it is dead: the reason of the dead job.
        sa.Column("problem", CutText(32, ascii_only=True)),
        # Number of the photo that the reason is about; 0 is the selfie.
        sa.Column("photo", sa.Integer),
        sa.Column("similarity", sa.Double),
        *one_of("decided_by", Decider),
        # What the member reads; NULL for requests that ended before revision 0011.
        sa.Column("text_ko", sa.String(TEXT_LENGTH)),
        sa.Column("text_en", sa.String(TEXT_LENGTH)),
        # A list with an object for each photo, the selfie's first.
        sa.Column("photos", json_map()),
        sa.Column("sandbox", sa.Boolean, nullable=False, server_default=sa.false()),
        sa.Column("requested_at", UtcDateTime),
        sa.Column("accepted_at", UtcDateTime, nullable=False),
        sa.Column("finished_at", UtcDateTime),
        sa.Column("changed_at", UtcDateTime, nullable=False),
        sa.Index(None, "member_id"),
        sa.Index(None, "changed_at", "request_id"),
    )


def event(build: TableBuilder) -> sa.Table:
    """The outbox: what the app is told. Of one member the later change has the larger number."""
    return build.table(
        "event",
        sa.Column("id", row_number(), primary_key=True),
        # The same for every delivery of the event.
        sa.Column("event_id", ascii_text(40), nullable=False),
        sa.Column("type", code(), nullable=False),
        sa.Column("member_id", identifier()),
        sa.Column("request_id", identifier()),
        sa.Column("payload", json_map(), nullable=False),
        sa.Column("occurred_at", UtcDateTime, nullable=False),
        # A person's decision is held until then.
        sa.Column("not_before", UtcDateTime),
        # The trace (W3C) in which it was written: another process sends it.
        sa.Column("traceparent", ascii_text(55)),
        # Whether the endpoints that there are have their deliveries of it.
        sa.Column("dispatched", sa.Boolean, nullable=False, server_default=sa.false()),
        sa.Index(None, "event_id", unique=True),
        sa.Index(None, "dispatched", "id"),
        sa.Index(None, "member_id"),
        sa.Index(None, "request_id"),
        sa.Index(None, "occurred_at"),
    )


def event_delivery(build: TableBuilder) -> sa.Table:
    """An event on its way to one endpoint."""
    return build.table(
        "event_delivery",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), primary_key=True),
        sa.Column("endpoint", ascii_text(ENDPOINT_LENGTH), primary_key=True),
        sa.Column("member_id", identifier()),
        # NULL once it is delivered or parked.
        sa.Column("due_at", UtcDateTime),
        sa.Column("attempts", sa.Integer, nullable=False, server_default="0"),
        sa.Column("problem", CutText(255)),
        sa.Column("first_tried_at", UtcDateTime),
        sa.Column("delivered_at", UtcDateTime),
        sa.Column("parked_at", UtcDateTime),
        build.parent("event.id"),
        sa.Index(None, "endpoint", "due_at"),
        sa.Index(None, "endpoint", "member_id", "due_at"),
        sa.Index(None, "endpoint", "parked_at"),
    )


def event_endpoint(build: TableBuilder) -> sa.Table:
    """An endpoint: which process delivers to it, and whether it is left alone for a while."""
    return build.table(
        "event_endpoint",
        sa.Column("endpoint", ascii_text(ENDPOINT_LENGTH), primary_key=True),
        sa.Column("lease_until", UtcDateTime),
        sa.Column("attempts", sa.Integer, nullable=False, server_default="0"),
        sa.Column("worker", CutText(255)),
        # In a row.
        sa.Column("failures", sa.Integer, nullable=False, server_default="0"),
        sa.Column("paused_until", UtcDateTime),
        sa.Column("problem", CutText(255)),
    )
