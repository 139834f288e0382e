"""What people decide, in one place: the repositories about cases."""

from __future__ import annotations

from worker.store.access.log import AccessLog
from worker.store.database import Database
from worker.store.members.objections import Objections
from worker.store.members.tombstones import Tombstones
from worker.store.outbox.outcomes import Outcomes
from worker.store.requests.tries import Tries
from worker.store.reviews.answers import Answers
from worker.store.reviews.cases import Cases
from worker.store.reviews.decisions import Decisions
from worker.store.reviews.missed import MissedCases
from worker.store.reviews.queue import ReviewQueue
from worker.store.reviews.records import ReviewRules
from worker.store.reviews.report import ReviewReports
from worker.store.reviews.undoing import Undoing


class Reviews:
    """A repository for each step of a reviewer's work."""

    def __init__(
        self,
        database: Database,
        rules: ReviewRules,
        outcomes: Outcomes,
        *,
        accesses: AccessLog,
        tries: Tries,
        tombstones: Tombstones,
    ) -> None:
        self.rules = rules
        self.cases = cases = Cases(database.t, rules)
        self.objections = objections = Objections(database, tombstones, cases, rules)
        self.queue = ReviewQueue(
            database, cases, rules, accesses=accesses, tries=tries, objections=objections
        )
        self.answers = Answers(database, cases, rules)
        self.decisions = Decisions(database, cases, rules, outcomes.mapped, outcomes)
        self.undoing = Undoing(database, cases, rules, self.decisions, outcomes)
        self.missed = MissedCases(database, cases)
        self.reports = ReviewReports(database)
