"""The words that the database keeps beside those of `pipeline.verdict`."""

from __future__ import annotations

from enum import StrEnum


class State(StrEnum):
    """Where a request stands."""

    QUEUED = "queued"
    RUNNING = "running"
    """Belongs to a process until its lease ends."""
    RETRY_WAIT = "retry_wait"
    """Waits for a photo server; is due again at `next_attempt_at`."""
    DONE = "done"
    DEAD = "dead"
    SUPERSEDED = "superseded"
    """A newer request of the same member came before it ended."""

    @property
    def ended(self) -> bool:
        """Whether nothing more will happen to it by itself."""
        return self in (State.DONE, State.DEAD, State.SUPERSEDED)


class Decider(StrEnum):
    """Who decided."""

    MACHINE = "machine"
    PERSON = "person"


class PairLabel(StrEnum):
    """What a person says of a gallery photo against the selfie."""

    GENUINE = "genuine"
    IMPOSTOR = "impostor"


class ModelState(StrEnum):
    """Where a model stands."""

    CHALLENGER = "challenger"
    SHADOW = "shadow"
    CHAMPION = "champion"
    REJECTED = "rejected"
    RETIRED = "retired"
