"""One step of a retraining, taken whenever a message says that one may be due.

The state is in the run's row, and its lease lets one worker at a time take a step. No worker waits here
while the verify workers embed photos: the last of them, or the sweep, sends the next message.

    queued      the members are listed, embed jobs are sent                 → collecting
    collecting  members are missing: sent again, less and less often, at last given up
                none is missing                                              → training
    training    in a process of its own; the lease is extended meanwhile    → promoted, rejected, done, failed

The lease of a worker that is killed ends, and another takes the step again, up to a limit. A step that ends
in an unexpected error (a package that is missing) counts the same, with its reason. Nothing of a new model
is stored before all of it is there.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

from pipeline.bundles.bundle import networks, open_manifest
from pipeline.errors import PipelineError
from worker.clock import utc_now
from worker.errors import NotPossible, StoreUnavailable, TrainingDied, TrainingFailed
from worker.jobs.embed_job import EmbedJob
from worker.retraining.embedding import NOT_FETCHED
from worker.retraining.process import Trained, TrainingInput
from worker.retraining.training_set import Sampling, training_set_of
from worker.serving.champion import HeadStore
from worker.serving.registry import read_head
from worker.serving.signatures import UNSIGNED
from worker.store import Audit, Ending, Progress, PublishedHead, RunLease, RunRecord
from worker.store.tables.states import RunState
from worker.store.training.labels import Labels
from worker.store.training.members import TrainingMembers
from worker.store.training.runs import TrainingRuns

logger = logging.getLogger(__name__)

BATCH_SIZE: Final = 4
"""Members of one message: a few seconds of a verify worker."""
MAX_SENDS: Final = 8
"""Rounds of messages after which no member was embedded, each twice as long as the one before."""
MAX_LAPSES: Final = 3
"""Steps of one run that were interrupted, by an error or because their worker was killed."""


@dataclass(frozen=True, slots=True)
class RetrainRules:
    """Times, gate and sampling of a retraining."""

    lease: timedelta
    wait: timedelta
    """Before embed jobs are sent again; doubled with every round that brings nothing."""
    max_seconds: float
    """Of the training itself."""
    promote: bool
    """Whether a challenger that the gate lets pass becomes champion at once."""
    gate: Mapping[str, float]
    sampling: Sampling


@dataclass(frozen=True, slots=True)
class Champion:
    """The head that judges today; ``version`` is None for the bundle that the hosts were shipped with."""

    head: PublishedHead
    networks: str
    version: str | None


class StepResult(StrEnum):
    """What became of a step."""

    NOTHING = "nothing"
    """No run is under way, or another worker holds it."""
    WAITING = "waiting"
    LOST = "lost"
    """Another worker has taken the run over."""
    INTERRUPTED = "interrupted"
    ENDED = "ended"


def current_champion(heads: HeadStore, bundle: Path, check: Callable[[PublishedHead], None]) -> Champion:
    """The head that judges today. Raises ModelError where this host has no bundle and there is none."""
    version = heads.in_use().champion
    head = version and heads.head(version)
    if head:
        check(head)
    head = head or read_head(bundle)
    return Champion(head, networks(open_manifest(head.manifest)), version)


Train = Callable[[TrainingInput, Callable[[], bool], float, float], Trained | None]
"""`worker.retraining.process.train_apart`."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Retraining:
    """Takes steps, one after the other; one per process."""

    runs: TrainingRuns
    members: TrainingMembers
    labels: Labels
    send: Callable[[EmbedJob], None]
    champion: Callable[[], Champion]
    train: Train
    rules: RetrainRules
    worker: str
    sign: Callable[[PublishedHead], PublishedHead] = UNSIGNED.sign
    clock: Callable[[], datetime] = utc_now

    def step(self) -> StepResult:
        """Go on with the run that is under way, as far as it goes. Raises StoreUnavailable."""
        lease = self.runs.acquire(self.worker, self.rules.lease, MAX_LAPSES, self.clock())
        try:
            if isinstance(lease, RunRecord):
                logger.error("retraining %d failed: %s", lease.run_id, lease.problem)
                return StepResult.ENDED
            return StepResult.NOTHING if lease is None else self._run_step(lease)
        finally:
            self.members.clear()

    def _run_step(self, lease: RunLease) -> StepResult:
        try:
            return self._go_on(lease)
        except (TrainingFailed, NotPossible, PipelineError) as error:
            return self._fail(lease, str(error))
        except StoreUnavailable:
            raise
        except TrainingDied as died:
            logger.warning("retraining %d is interrupted: %s", lease.run_id, died)
            return self._interrupted(lease, str(died))
        except Exception as error:
            logger.exception("retraining %d is interrupted", lease.run_id)
            return self._interrupted(lease, f"{type(error).__name__}: {error}")

    def _go_on(self, lease: RunLease) -> StepResult:
        if lease.state is RunState.QUEUED:
            members = self.members.enter(lease, BATCH_SIZE)
            logger.info("retraining %d: %d members", lease.run_id, members)
        progress = self.members.progress(lease.run_id)
        if progress.waiting and not self._given_up(lease, progress):
            return self._send_jobs(lease, progress)
        return self._train_head(lease)

    def _given_up(self, lease: RunLease, progress: Progress) -> bool:
        """Whether jobs for the missing members were sent often enough without result."""
        if progress.reached > lease.reached or lease.sends < MAX_SENDS or self.clock() < lease.send_at:
            return False
        missing = self.members.give_up_waiting(lease.run_id)
        logger.warning("retraining %d goes on without %d members", lease.run_id, missing)
        return True

    def _send_jobs(self, lease: RunLease, progress: Progress) -> StepResult:
        """Send jobs for members that no worker has, if it is time, and release the run."""
        now = self.clock()
        if now < lease.send_at:
            kept = self.runs.release(lease, lease.send_at)
            return StepResult.WAITING if kept else StepResult.LOST
        before = 0 if progress.reached > lease.reached else lease.sends
        again = now + self.rules.wait * 2**before
        sent = {"sends": before + 1, "send_at": again, "counts": progress.counts()}
        if not self.runs.release(lease, again, state=RunState.COLLECTING, **sent):
            return StepResult.LOST
        for batch in self.members.waiting_batches(lease.run_id, now):
            self.send(EmbedJob(lease.run_id, batch))
        return StepResult.WAITING

    def _train_head(self, lease: RunLease) -> StepResult:
        if not self.runs.extend(lease, self.rules.lease, self.clock(), state=RunState.TRAINING):
            return StepResult.LOST
        champion = self.champion()
        faces = self.members.faces(lease.run_id)
        training_set, left = training_set_of(faces, champion.networks, self.rules.sampling)
        collected = self._collected(lease, left)
        if not len(training_set.identity):
            return self._fail(lease, "no face could be learned from", collected)
        every = self.rules.lease.total_seconds() / 4
        given = TrainingInput(training_set, champion.head, self.rules.gate)
        trained = self.train(given, lambda: self._extend(lease), every, self.rules.max_seconds)
        return StepResult.LOST if trained is None else self._end(lease, champion, trained, collected)

    def _extend(self, lease: RunLease) -> bool:
        """While the database is unavailable the training goes on."""
        try:
            return self.runs.extend(lease, self.rules.lease, self.clock())
        except StoreUnavailable as error:
            logger.warning("%s; the training goes on", error)
            return True

    def _collected(self, lease: RunLease, left: Mapping[str, int]) -> dict[str, Any]:
        """What the report says of members and photos: numbers, nobody's name."""
        progress = self.members.progress(lease.run_id)
        kept_out = self.members.kept_out(lease.run_id)
        return {
            "members": {"looked_at": progress.done, "failed": self.members.failed(lease.run_id)},
            "kept_out": {**kept_out, **left},
            "not_fetched": sum(kept_out.get(word, 0) for word in NOT_FETCHED),
            "audit": audit_report(self.labels.audit(), self.rules.sampling.audit_share),
        }

    def _end(
        self, lease: RunLease, champion: Champion, trained: Trained, collected: Mapping[str, Any]
    ) -> StepResult:
        gate = {"passed": trained.passed, "reasons": list(trained.reasons), "figures": dict(trained.figures)}
        report = {**collected, "training": dict(trained.facts), "gate": gate}
        ending = Ending(
            head=self.sign(trained.head),
            over=champion.version,
            passed=trained.passed,
            reasons=trained.reasons,
            promote=self.rules.promote,
        )
        state = self.runs.publish(lease, ending, report, self.clock())
        if state is None:
            return StepResult.LOST
        level = logging.WARNING if state is RunState.REJECTED else logging.INFO
        why = "".join(f"; {reason}" for reason in trained.reasons)
        logger.log(level, "retraining %d, %s: %s%s", lease.run_id, trained.head.version, state, why)
        return StepResult.ENDED

    def _interrupted(self, lease: RunLease, why: str) -> StepResult:
        """Counts as a lease that has lapsed; the sweep sends the next step, or the last."""
        self.runs.extend(lease, timedelta(0), self.clock(), problem=why)
        return StepResult.INTERRUPTED

    def _fail(self, lease: RunLease, why: str, report: Mapping[str, Any] | None = None) -> StepResult:
        ended = self.runs.end(lease, RunState.FAILED, self.clock(), problem=why, report=report)
        logger.error("retraining %d failed: %s", lease.run_id, why)
        return StepResult.ENDED if ended else StepResult.LOST


def audit_report(audit: Audit, share: float) -> dict[str, Any]:
    """What the blind audit says of all approvals.

    Every approval had the same chance to be sampled, so the share of wrong ones among those that a person
    has reviewed estimates that of all, as long as all samples are reviewed. Bounds are Wilson's, 95 %.
    """
    from pipeline.fitting.metrics import wilson

    low, high = wilson(audit.wrong, audit.judged)
    return {
        "drawn": audit.sampled,
        "judged": audit.judged,
        "wrong": audit.wrong,
        "stands_for_approvals": round(audit.sampled / share) if share else None,
        "wrong_approvals": audit.wrong / audit.judged if audit.judged else None,
        "wrong_approvals_95": [low, high],
    }
