"""Members at whose photos people look in place of the machine."""

from __future__ import annotations

import sqlalchemy as sa

from worker.migrations.steps import allow_reasons, allow_words, table_prefix

revision = "0018"
down_revision = "0017"

REASONS = (
    *("same_person", "different_person", "primary_unsure", "primary_not_judged", "primary_not_member"),
    *("no_solo_photo", "same_picture", "gender_conflict", "selfie_changed", "photo_reused", "too_many_tries"),
    *(
        "many_retries",
        "blind_audit",
        "manual",
        "selfie_no_face",
        "selfie_several_faces",
        "selfie_face_too_small",
    ),
    *("selfie_too_blurred", "selfie_too_dark", "selfie_too_bright", "selfie_extreme_pose"),
    *("selfie_occluded", "selfie_invalid", "selfie_not_fetched", "no_usable_photo", "photos_not_fetched"),
    *("no_photos", "internal_error", "approved_by_person", "rejected_by_person", "retry_photo_by_person"),
)


def upgrade() -> None:
    """Columns of the member, and the reason."""
    p = table_prefix()
    new = (
        sa.Column(name, sa.Boolean, nullable=False, server_default=sa.false())
        for name in ("manual", "requested_manual")
    )
    allow_words(f"{p}member", ("reason",), REASONS, *new)
    allow_reasons(p, REASONS)
    allow_words(f"{p}result", ("reason",), REASONS)
    allow_words(f"{p}verification", ("machine_reason",), REASONS)
