"""One step of a retraining, taken whenever somebody says that one may be due.

The run's row tells where it stands, and its lease lets one worker at a time go on with it. While the
verify workers look at photos nobody is kept busy here: the last of them, or the sweep, calls again.

    queued      the members are listed, the verify workers are told         → collecting
    collecting  somebody is missing: told again, less and less often, at last given up
                nobody is missing                                            → training
    training    in a process of its own; the lease is renewed meanwhile     → promoted, rejected, done, failed

A worker that is killed leaves a lease that ends; whoever comes next takes the step again, so often. A
step that ends in an error that nobody foresaw (a package that is missing) counts the same, with its reason.
Nothing of a new model is written before all of it is there.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final

from pipeline.errors import PipelineError
from worker.clock import utc_now
from worker.errors import NotPossible, StoreUnavailable, TrainingDied, TrainingFailed
from worker.jobs.embed_job import EmbedJob
from worker.retraining.embedding import NOT_FETCHED
from worker.retraining.process import Order, Trained
from worker.retraining.training_set import Sampling, lesson_of
from worker.serving.signatures import UNSIGNED
from worker.store import Audit, Ending, Progress, PublishedHead, RunLease, RunRecord
from worker.store.tables.states import RunState
from worker.store.training.labels import Labels
from worker.store.training.members import TrainingMembers
from worker.store.training.runs import TrainingRuns

logger = logging.getLogger(__name__)

BATCH_SIZE: Final = 4
"""Members of one message: a few seconds of a verify worker."""
MOST_SENDS: Final = 8
"""Rounds of messages without anybody being looked at, each twice as long as the one before."""
MOST_LAPSES: Final = 3
"""Steps of one run that were broken off, by an error or because their worker was killed."""


@dataclass(frozen=True, slots=True)
class RetrainRules:
    """How a retraining goes."""

    lease: timedelta
    wait: timedelta
    """Before verify workers are told again; doubled with every round that brings nothing."""
    most_seconds: float
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


class Stepped(StrEnum):
    """What became of a step."""

    NOTHING = "nothing"
    """No run is under way, or another worker holds it."""
    WAITING = "waiting"
    LOST = "lost"
    """Another worker has taken the run over."""
    INTERRUPTED = "interrupted"
    ENDED = "ended"


Train = Callable[[Order, Callable[[], bool], float, float], Trained | None]
"""`worker.retraining.process.train_apart`."""


class Retraining:
    """Takes steps, one after the other; one per process."""

    def __init__(
        self,
        *,
        runs: TrainingRuns,
        members: TrainingMembers,
        labels: Labels,
        send: Callable[[EmbedJob], None],
        champion: Callable[[], Champion],
        train: Train,
        rules: RetrainRules,
        worker: str,
        sign: Callable[[PublishedHead], PublishedHead] = UNSIGNED.sign,
        clock: Callable[[], datetime] = utc_now,
    ) -> None:
        self._runs = runs
        self._members = members
        self._labels = labels
        self._send = send
        self._champion = champion
        self._train = train
        self._rules = rules
        self._worker = worker
        self._sign = sign
        self._clock = clock

    def step(self) -> Stepped:
        """Go on with the run that is under way, as far as it goes. Raises StoreUnavailable."""
        held = self._runs.acquire(self._worker, self._rules.lease, MOST_LAPSES, self._clock())
        try:
            if isinstance(held, RunRecord):
                logger.error("retraining %d failed: %s", held.run_id, held.problem)
                return Stepped.ENDED
            return Stepped.NOTHING if held is None else self._taken(held)
        finally:
            self._members.clear()

    def _taken(self, held: RunLease) -> Stepped:
        try:
            return self._go_on(held)
        except (TrainingFailed, NotPossible, PipelineError) as error:
            return self._fail(held, str(error))
        except StoreUnavailable:
            raise
        except TrainingDied as died:
            logger.warning("retraining %d is interrupted: %s", held.run_id, died)
            return self._broken_off(held, str(died))
        except Exception as error:
            logger.exception("retraining %d is interrupted", held.run_id)
            return self._broken_off(held, f"{type(error).__name__}: {error}")

    def _go_on(self, held: RunLease) -> Stepped:
        if held.state is RunState.QUEUED:
            members = self._members.enter(held, BATCH_SIZE)
            logger.info("retraining %d: %d members", held.run_id, members)
        progress = self._members.progress(held.run_id)
        if progress.waiting and not self._given_up(held, progress):
            return self._tell(held, progress)
        return self._learn(held)

    def _given_up(self, held: RunLease, progress: Progress) -> bool:
        """Whether those who are still missing were told of often enough, and nothing came of it."""
        if progress.reached > held.reached or held.sends < MOST_SENDS or self._clock() < held.send_at:
            return False
        missing = self._members.give_up_waiting(held.run_id)
        logger.warning("retraining %d goes on without %d members", held.run_id, missing)
        return True

    def _tell(self, held: RunLease, progress: Progress) -> Stepped:
        """Send messages for members whom nobody works on, if it is time, and let the run go."""
        now = self._clock()
        if now < held.send_at:
            kept = self._runs.release(held, held.send_at)
            return Stepped.WAITING if kept else Stepped.LOST
        before = 0 if progress.reached > held.reached else held.sends
        again = now + self._rules.wait * 2**before
        told = {"sends": before + 1, "send_at": again, "counts": progress.counts()}
        if not self._runs.release(held, again, state=RunState.COLLECTING, **told):
            return Stepped.LOST
        for batch in self._members.waiting_batches(held.run_id, now):
            self._send(EmbedJob(held.run_id, batch))
        return Stepped.WAITING

    def _learn(self, held: RunLease) -> Stepped:
        if not self._runs.extend(held, self._rules.lease, self._clock(), state=RunState.TRAINING):
            return Stepped.LOST
        champion = self._champion()
        faces = self._members.faces(held.run_id)
        lesson, left = lesson_of(faces, champion.networks, self._rules.sampling)
        collected = self._collected(held, left)
        if not len(lesson.identity):
            return self._fail(held, "no face could be learned from", collected)
        every = self._rules.lease.total_seconds() / 4
        order = Order(lesson, champion.head, self._rules.gate)
        trained = self._train(order, lambda: self._still_ours(held), every, self._rules.most_seconds)
        return Stepped.LOST if trained is None else self._end(held, champion, trained, collected)

    def _still_ours(self, held: RunLease) -> bool:
        """A database that is away for a while costs nothing, unless somebody takes the run over."""
        try:
            return self._runs.extend(held, self._rules.lease, self._clock())
        except StoreUnavailable as error:
            logger.warning("%s; the training goes on", error)
            return True

    def _collected(self, held: RunLease, left: Mapping[str, int]) -> dict[str, Any]:
        """What the report says of members and photos: numbers, nobody's name."""
        progress = self._members.progress(held.run_id)
        kept_out = self._members.kept_out(held.run_id)
        return {
            "members": {"looked_at": progress.done, "failed": self._members.failed(held.run_id)},
            "kept_out": {**kept_out, **left},
            "not_fetched": sum(kept_out.get(word, 0) for word in NOT_FETCHED),
            "audit": audit_report(self._labels.audit(), self._rules.sampling.audit_share),
        }

    def _end(
        self, held: RunLease, champion: Champion, trained: Trained, collected: Mapping[str, Any]
    ) -> Stepped:
        gate = {"passed": trained.passed, "reasons": list(trained.reasons), "figures": dict(trained.figures)}
        report = {**collected, "training": dict(trained.facts), "gate": gate}
        ending = Ending(
            head=self._sign(trained.head),
            over=champion.version,
            passed=trained.passed,
            reasons=trained.reasons,
            promote=self._rules.promote,
        )
        state = self._runs.publish(held, ending, report, self._clock())
        if state is None:
            return Stepped.LOST
        told = logging.WARNING if state is RunState.REJECTED else logging.INFO
        why = "".join(f"; {reason}" for reason in trained.reasons)
        logger.log(told, "retraining %d, %s: %s%s", held.run_id, trained.head.version, state, why)
        return Stepped.ENDED

    def _broken_off(self, held: RunLease, why: str) -> Stepped:
        """Counts as a lease that has lapsed; the sweep sends the next step, or the last."""
        self._runs.extend(held, timedelta(0), self._clock(), problem=why)
        return Stepped.INTERRUPTED

    def _fail(self, held: RunLease, why: str, report: Mapping[str, Any] | None = None) -> Stepped:
        ended = self._runs.end(held, RunState.FAILED, self._clock(), problem=why, report=report)
        logger.error("retraining %d failed: %s", held.run_id, why)
        return Stepped.ENDED if ended else Stepped.LOST


def audit_report(audit: Audit, share: float) -> dict[str, Any]:
    """What the blind audit says of all approvals: the one estimate that no doubt of ours has chosen.

    Every approval had the same chance to be drawn, so the share of wrong ones among those that a
    person has judged stands for all of them, in so far as all that were drawn are judged and not
    only those that look odd. Bounds are Wilson's, 95 %.
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
