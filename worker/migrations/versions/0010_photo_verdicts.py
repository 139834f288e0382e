"""Each gallery photo says what it may be shown as; two more reasons speak of the primary photo."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from worker.migrations.steps import add_columns, allow_reasons, allow_words, table_prefix
from worker.store.tables.columns import code

revision = "0010"
down_revision = "0009"

REASONS = (
    *("same_person", "different_person", "primary_unsure", "primary_not_judged", "primary_not_member"),
    *("no_solo_photo", "same_picture", "gender_conflict", "selfie_changed", "blind_audit"),
    *("selfie_no_face", "selfie_several_faces", "selfie_face_too_small", "selfie_too_blurred"),
    *("selfie_too_dark", "selfie_too_bright", "selfie_extreme_pose", "selfie_occluded", "selfie_invalid"),
    *("selfie_not_fetched", "no_usable_photo", "photos_not_fetched", "no_photos", "internal_error"),
    *("approved_by_person", "rejected_by_person"),
)
VERDICTS = ("verified", "not_verified", "contradicts")


def upgrade() -> None:
    """The column, what old rows can say of it, and the words that the CHECKs allow."""
    prefix = table_prefix()
    allow_reasons(prefix, REASONS)
    photo = f"{prefix}verification_photo"
    add_columns(photo, sa.Column("verdict", code()))
    allow_words(photo, ("verdict",), VERDICTS)
    _fill(photo)


def _fill(photo: str) -> None:
    outcome, replay = sa.column("outcome", sa.String), sa.column("replay", sa.Boolean)
    verdict = sa.case(
        (sa.and_(outcome == "same", sa.not_(replay)), "verified"),
        (outcome == "different", "contradicts"),
        else_="not_verified",
    )
    rows = sa.table(photo, sa.column("verdict"), sa.column("position"), outcome, replay)
    op.execute(sa.update(rows).where(rows.c.position > 0, rows.c.verdict.is_(None)).values(verdict=verdict))
