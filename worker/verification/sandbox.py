"""The sandbox: verdicts by name, for the tests of an app; without photos and without models.

A member ID that begins with `VERIFY_SANDBOX_PREFIX` says what comes of its requests; what stands behind a dot
makes it unique (`sandbox-review-different_person.42`):

=========================  ======================================================================
approved, review, ...      a status with its usual reason
review-same_picture, ...   a status with this reason (`worker.verification.scenarios.SCENARIOS`)
waiting                    waits once for a photo host, then is approved
dead, dead-not_stored      given up, with a dead job of that reason
=========================  ======================================================================

The findings are made up and the verdict comes of them by the rules of `pipeline.decide`, so that photos,
texts and events look like real ones. What the photos of a request cannot give is no verdict: nobody is
approved without a photo.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from pipeline.verdict import Reason, Status, Verdict
from worker.jobs.verify_job import VerifyJob
from worker.store import Attempt
from worker.verification.scenarios import SCENARIOS, enact

DEFAULT_PREFIX: Final = "sandbox-"
"""Of a worker that serves the sandbox alone, where no other is set."""
BAD_SANDBOX_ID: Final = "bad_sandbox_id"
"""Reason of a dead job whose ID names no verdict, or one that the request's photos cannot give."""
NOT_SANDBOX: Final = "not_sandbox"
"""Reason of a dead job of a member who was there before the prefix was set."""
SANDBOX_ONLY: Final = "sandbox_only"
"""Reason of a dead job of a real member at a worker that serves the sandbox alone."""
WAIT: Final = timedelta(seconds=2)
"""How long `waiting` waits; the next sweep brings it back."""
WAITING: Final = "waiting"
DEAD: Final = "dead"
PROBLEMS: Final[Mapping[str, str]] = {
    "poison": "sandbox: as if begun several times and never ended",
    "not_stored": "sandbox: as if the result could not be stored",
}
"""Reasons of dead jobs that a good request may come to; the first is that of `dead` alone."""
_NOT_OF_IT: Final = (
    "the member was there before VERIFY_SANDBOX_PREFIX, with an ID that begins so: nobody real gets a "
    "made-up verdict. Choose another prefix, then requeue this"
)
_ALONE: Final = (
    "this worker serves the sandbox alone and has no models for a real member. Requeue this where one with "
    "models runs"
)
_ELSEWHERE: Final = "the member is of a sandbox that VERIFY_SANDBOX_PREFIX of this worker does not name"


@dataclass(frozen=True, slots=True)
class NoVerdict:
    """The request is given up: the reason of its dead job, and the text for operators."""

    reason: str
    text: str


Answer = Verdict | NoVerdict | timedelta
"""A verdict, none, or how long the request waits for it."""


@dataclass(frozen=True, slots=True)
class Sandbox:
    """The sandbox of a worker: off without a prefix. ``alone``: it can verify nobody else."""

    prefix: str = ""
    alone: bool = False

    def answer(self, job: VerifyJob, attempt: Attempt) -> Answer | None:
        """What comes of a request by its member's ID; None: it is to be verified."""
        named = bool(self.prefix) and job.member_id.startswith(self.prefix)
        if named and attempt.sandbox:
            return _by_name(job.member_id.removeprefix(self.prefix).partition(".")[0], job, attempt)
        if attempt.sandbox:
            return NoVerdict(BAD_SANDBOX_ID, _ELSEWHERE)
        if named:
            return NoVerdict(NOT_SANDBOX, _NOT_OF_IT)
        return NoVerdict(SANDBOX_ONLY, _ALONE) if self.alone else None


NO_SANDBOX: Final = Sandbox()


def names() -> Iterator[str]:
    """All that may stand behind the prefix, in full."""
    for status, scenarios in SCENARIOS.items():
        yield from (f"{status}-{reason}" for reason in scenarios)
    yield WAITING
    yield from (f"{DEAD}-{problem}" for problem in PROBLEMS)


def _by_name(name: str, job: VerifyJob, attempt: Attempt) -> Answer:
    if name == WAITING:
        return _verdict(job, Status.APPROVED, Reason.SAME_PERSON) if attempt.postponed else WAIT
    word, _, detail = name.partition("-")
    if word == DEAD:
        problem = detail or next(iter(PROBLEMS))
        return NoVerdict(problem, PROBLEMS[problem]) if problem in PROBLEMS else _unknown(DEAD, PROBLEMS)
    if word not in {*Status}:
        known = ", ".join([*Status, WAITING, DEAD])
        return NoVerdict(BAD_SANDBOX_ID, f"no verdict is named so; there is {known}")
    status = Status(word)
    reason = detail or next(iter(SCENARIOS[status]))
    if reason not in {*SCENARIOS[status]}:
        return _unknown(status, SCENARIOS[status])
    return _verdict(job, status, Reason(reason))


def _unknown(word: str, known: Iterable[str]) -> NoVerdict:
    return NoVerdict(BAD_SANDBOX_ID, f"{word} has no such reason; there is {', '.join(known)}")


def _verdict(job: VerifyJob, status: Status, reason: Reason) -> Verdict | NoVerdict:
    scenario = SCENARIOS[status][reason]
    verdict = enact(scenario, status, reason, len(job.photo_urls), job.declared_gender)
    if (verdict.status, verdict.reason) != (status, reason):
        return NoVerdict(BAD_SANDBOX_ID, f"{status} for {reason} needs {scenario.needs}")
    return verdict
