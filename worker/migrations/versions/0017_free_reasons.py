"""No CHECK on reasons any more: new ones come often, and each would copy large tables while writes wait.

The code writes none but those of `pipeline.verdict.Reason`.
"""

from __future__ import annotations

from worker.migrations.steps import allow_any_word, table_prefix

revision = "0017"
down_revision = "0016"


def upgrade() -> None:
    """At once, on MySQL; SQLite copies its tables."""
    p = table_prefix()
    allow_any_word(f"{p}member", "reason")
    allow_any_word(f"{p}verification", "reason", "machine_reason")
    allow_any_word(f"{p}decision", "previous_reason")
    allow_any_word(f"{p}shadow_verdict", "reason", "decided_reason")
    allow_any_word(f"{p}result", "reason")
