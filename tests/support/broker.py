"""A broker that is nothing but lists, for tests of the sweep."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from worker.client.errors import NotSent
from worker.jobs.verify_job import VerifyJob


@dataclass
class Lists:
    """Queues that hold what was sent to them; ``most`` is how many messages are taken in all."""

    held: Counter[str] = field(default_factory=Counter)
    sent: list[tuple[VerifyJob, str]] = field(default_factory=list)
    most: int = 1000

    def waiting(self, queue: str) -> int:
        """How many messages lie on a queue."""
        return self.held[queue]

    def send(self, job: VerifyJob, queue: str) -> None:
        """Put a job on a queue."""
        if len(self.sent) >= self.most:
            raise NotSent("full")
        self.sent.append((job, queue))
        self.held[queue] += 1
