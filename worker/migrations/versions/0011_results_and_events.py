"""Two more reasons open a review."""

from __future__ import annotations

from worker.migrations.steps import allow_reasons, table_prefix

revision = "0011"
down_revision = "0010"

REASONS = (
    *("same_person", "different_person", "primary_unsure", "primary_not_judged", "primary_not_member"),
    *("no_solo_photo", "same_picture", "gender_conflict", "selfie_changed", "photo_reused", "too_many_tries"),
    *("blind_audit", "selfie_no_face", "selfie_several_faces", "selfie_face_too_small"),
    *("selfie_too_blurred", "selfie_too_dark", "selfie_too_bright", "selfie_extreme_pose"),
    *("selfie_occluded", "selfie_invalid", "selfie_not_fetched", "no_usable_photo", "photos_not_fetched"),
    *("no_photos", "internal_error", "approved_by_person", "rejected_by_person"),
)


def upgrade() -> None:
    """Let the columns hold the new words."""
    allow_reasons(table_prefix(), REASONS)
