"""Tables about what people do: they take cases, decide, look at members, and label photos.

Nothing of it goes with a row of another table: only `forget` deletes it.
"""

from __future__ import annotations

import sqlalchemy as sa

from pipeline.verdict import Gender, Status
from worker.results.reviewer_reasons import ReviewReason
from worker.store.tables.columns import (
    NOTE_LENGTH,
    CutText,
    TableBuilder,
    UtcDateTime,
    code,
    identifier,
    one_of,
    row_number,
    sha256,
)
from worker.store.tables.states import (
    Cause,
    Choice,
    ConsentSource,
    ObjectionWay,
    PairLabel,
    Phase,
    Purpose,
)

VERSION_LENGTH = 64


def decision(build: TableBuilder) -> sa.Table:
    """What a person decided about a request, and the member's verdict before; rows are only ever added."""
    return build.table(
        "decision",
        sa.Column("id", row_number(), primary_key=True),
        sa.Column("request_id", identifier(), nullable=False),
        *one_of("status", Status, nullable=False),
        *one_of("previous_status", Status, nullable=False),
        sa.Column("previous_reason", code()),
        sa.Column("decided_by", CutText(255), nullable=False),
        sa.Column("decided_at", UtcDateTime, nullable=False),
        # NULL in decisions of before there were cases; so is all that follows.
        sa.Column("case_id", sa.BigInteger),
        *one_of("code", ReviewReason),
        # Of the photo that the member is asked to replace; 0 is the selfie.
        sa.Column("photo", sa.Integer),
        sa.Column("note", sa.String(NOTE_LENGTH)),
        # Where the verdict before was from, and when it was given.
        sa.Column("previous_request_id", identifier()),
        sa.Column("previous_at", UtcDateTime),
        # The decision that this one takes back.
        sa.Column("undoes", sa.BigInteger),
        build.parent("verification.request_id", cascade=False),
        sa.Index(None, "request_id"),
        sa.Index(None, "case_id"),
        sa.Index(None, "undoes"),
        sa.Index(None, "decided_at"),
    )


def review_case(build: TableBuilder) -> sa.Table:
    """A member about whom a person must decide; the row is also the lease by which no two do at once."""
    return build.table(
        "review_case",
        sa.Column("id", row_number(), primary_key=True),
        sa.Column("member_id", identifier(), nullable=False),
        # The request to decide about.
        sa.Column("request_id", identifier(), nullable=False),
        *one_of("cause", Cause, nullable=False),
        # The smaller number comes first.
        sa.Column("priority", sa.Integer, nullable=False),
        # True until the case is closed, then NULL: the unique index lets a member have one open case.
        sa.Column("unfinished", sa.Boolean),
        sa.Column("opened_at", UtcDateTime, nullable=False),
        # Whoever wanted it; NULL for the machine.
        sa.Column("opened_by", CutText(255)),
        # When it should be decided.
        sa.Column("due_at", UtcDateTime, nullable=False),
        sa.Column("closed_at", UtcDateTime),
        # Whether two reviewers decide, neither of whom sees what the other one said.
        sa.Column("second", sa.Boolean, nullable=False),
        # Whether there is nobody in the photos: see `member.sandbox`.
        sa.Column("sandbox", sa.Boolean, nullable=False),
        sa.Column("escalated_at", UtcDateTime),
        sa.Column("escalated_by", CutText(255)),
        # Votes of an earlier round count no more.
        sa.Column("round", sa.Integer, nullable=False),
        # The claim. `attempts` counts claims, and fences: who has an older number has lost the case.
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("reviewer", CutText(255)),
        sa.Column("claimed_at", UtcDateTime),
        sa.Column("lease_until", UtcDateTime),
        # When the reviewer has seen the photos since the claim, and which: a hash of their hashes.
        sa.Column("looked_at", UtcDateTime),
        sa.Column("looked_hash", sha256()),
        build.parent("member.member_id", cascade=False),
        sa.Index(None, "member_id", "unfinished", unique=True),
        sa.Index(None, "unfinished", "priority", "due_at"),
        sa.Index(None, "reviewer"),
        # All that is counted of open cases.
        sa.Index(
            build.index_name("review_case", "open"),
            *("unfinished", "due_at", "sandbox", "opened_at", "escalated_at", "lease_until"),
        ),
    )


def review_vote(build: TableBuilder) -> sa.Table:
    """What a reviewer made of a case; rows are only ever added. A decision is what takes effect of it."""
    return build.table(
        "review_vote",
        sa.Column("id", row_number(), primary_key=True),
        sa.Column("case_id", sa.BigInteger, nullable=False),
        sa.Column("request_id", identifier(), nullable=False),
        sa.Column("round", sa.Integer, nullable=False),
        *one_of("choice", Choice, nullable=False),
        *one_of("code", ReviewReason),
        sa.Column("photo", sa.Integer),
        sa.Column("note", sa.String(NOTE_LENGTH)),
        sa.Column("voted_by", CutText(255), nullable=False),
        sa.Column("claimed_at", UtcDateTime, nullable=False),
        sa.Column("voted_at", UtcDateTime, nullable=False),
        # NULL where the case waited for somebody else then.
        sa.Column("decision_id", sa.BigInteger),
        build.parent("verification.request_id", cascade=False),
        sa.Index(None, "case_id"),
        sa.Index(None, "request_id"),
        sa.Index(None, "voted_by"),
        sa.Index(None, "voted_at"),
    )


def objection(build: TableBuilder) -> sa.Table:
    """That a member wants a person to look; the decision about its case is the answer.

    Several may belong to one case. They go with the member.
    """
    return build.table(
        "objection",
        sa.Column("id", row_number(), primary_key=True),
        # The sender's, by which a message that comes again is known; NULL where a person wrote it down.
        sa.Column("objection_id", identifier()),
        sa.Column("member_id", identifier(), nullable=False),
        *one_of("way", ObjectionWay, nullable=False),
        # When the member objected; the deadline counts from then.
        sa.Column("received_at", UtcDateTime, nullable=False),
        sa.Column("due_at", UtcDateTime, nullable=False),
        sa.Column("recorded_at", UtcDateTime, nullable=False),
        # NULL for a message.
        sa.Column("recorded_by", CutText(255)),
        # NULL until the member's newest request has ended.
        sa.Column("case_id", sa.BigInteger),
        # The decision by a person that stood then: whoever made it does not answer.
        sa.Column("against", sa.BigInteger),
        build.parent("member.member_id"),
        sa.Index(None, "objection_id", unique=True),
        sa.Index(None, "member_id"),
        sa.Index(None, "case_id"),
    )


def consent(build: TableBuilder) -> sa.Table:
    """What a member agreed to; rows are added, and closed once, by a withdrawal. They go with the member."""
    return build.table(
        "consent",
        sa.Column("id", row_number(), primary_key=True),
        sa.Column("member_id", identifier(), nullable=False),
        *one_of("purpose", Purpose, nullable=False),
        # Of the text that the member was shown; empty where nobody named it.
        sa.Column("version", sa.String(VERSION_LENGTH), nullable=False, server_default=""),
        # NULL of a consent of before revision 0013, and of a refusal by somebody who had never agreed.
        sa.Column("given_at", UtcDateTime),
        *one_of("source", ConsentSource),
        sa.Column("withdrawn_at", UtcDateTime),
        *one_of("withdrawn_source", ConsentSource),
        build.parent("member.member_id"),
        sa.Index(None, "member_id", "purpose"),
    )


def label(build: TableBuilder) -> sa.Table:
    """What a person decided about one photo: the training truth."""
    return build.table(
        "label",
        sa.Column("id", row_number(), primary_key=True),
        sa.Column("request_id", identifier(), nullable=False),
        sa.Column("position", sa.Integer, nullable=False),
        *one_of("label", PairLabel, nullable=False),
        *one_of("gender", Gender),
        sa.Column("labelled_by", CutText(255), nullable=False),
        sa.Column("labelled_at", UtcDateTime, nullable=False),
        # Of the two files that the person compared: what lies at their addresses may change.
        sa.Column("sha256", sha256()),
        sa.Column("selfie_sha256", sha256()),
        # NULL in labels of before there were cases.
        sa.Column("case_id", sa.BigInteger),
        *one_of("phase", Phase),
        build.parent("verification.request_id", cascade=False),
        sa.Index(None, "request_id", "position"),
        sa.Index(None, "case_id"),
        sa.Index(None, "labelled_at"),
    )


def tombstone(build: TableBuilder) -> sa.Table:
    """Keyed hashes of forgotten members; who they were cannot be read from it.

    An ID is barred while one of its rows was not lifted. Rows are never deleted, so a member who was
    forgotten, let in and forgotten again has two. ``erases`` is the member's ID until the member's row
    goes: what people wrote about a member can be deleted only then (see `worker.store.tables.views`).
    """
    return build.table(
        "tombstone",
        sa.Column("member_hash", sha256(), primary_key=True),
        sa.Column("forgotten_at", UtcDateTime, primary_key=True),
        sa.Column("lifted_at", UtcDateTime),
        sa.Column("lifted_by", CutText(255)),
        sa.Column("erases", identifier()),
        sa.ForeignKeyConstraint(["erases"], [f"{build.prefix}member.member_id"], ondelete="SET NULL"),
    )


def is_waiting(case: sa.Table) -> sa.ColumnElement[bool]:
    """Whether a person must still decide. (`IS NOT NULL` would not let the index say the order.)"""
    return case.c.unfinished == sa.true()


def is_undone(decision: sa.Table) -> sa.ColumnElement[bool]:
    """Whether a row of `decision` was taken back, or takes another one back: neither counts."""
    later = decision.alias("later")
    taken_back = sa.exists().where(later.c.undoes == decision.c.id).correlate(decision)
    return sa.or_(decision.c.undoes.is_not(None), taken_back)
