"""The repositories by name, over one database."""

from __future__ import annotations

from datetime import timedelta
from functools import partial
from typing import Final

import sqlalchemy as sa

from worker.settings import Settings
from worker.store import encryption
from worker.store.access.chain import AccessChain
from worker.store.access.kept_months import KeptMonths
from worker.store.access.log import AccessLog
from worker.store.access.reviews import AccessReviews
from worker.store.access.verification import ChainVerification
from worker.store.access.watch import AccessWatch
from worker.store.counts.days import Days
from worker.store.counts.failing import MissedFailures
from worker.store.counts.kept_report import KeptReport
from worker.store.counts.tally import Tally
from worker.store.database import Database, build_engine
from worker.store.encryption import Cipher, Keys
from worker.store.explanations import Explanations
from worker.store.mapped import MappedMember
from worker.store.members.consents import Consents
from worker.store.members.members import Members
from worker.store.members.refused_consent import RefusedConsent
from worker.store.members.tombstones import Tombstones
from worker.store.models.hosts import Hosts
from worker.store.models.models import Models
from worker.store.models.shadows import Shadows
from worker.store.outbox.deliveries import Deliveries
from worker.store.outbox.outcomes import Outcomes
from worker.store.outbox.replays import Replays
from worker.store.outbox.untold import Untold
from worker.store.reports import Reports
from worker.store.requests.acceptance import Acceptance
from worker.store.requests.copies import Copies
from worker.store.requests.dead_jobs import DeadJobs
from worker.store.requests.dead_letters import DeadLetters
from worker.store.requests.pending import PendingMembers
from worker.store.requests.requests import Requests
from worker.store.requests.results import Results
from worker.store.requests.second_looks import SecondLooks
from worker.store.requests.tries import DEFAULT_LIMIT, Tries, TryLimit
from worker.store.retention import Retention
from worker.store.reviews.records import ReviewRules
from worker.store.reviews.reviews import Reviews
from worker.store.shown_photos import CasePhotos
from worker.store.staff import factors
from worker.store.staff.passwords import Passwords
from worker.store.staff.staff import Staff
from worker.store.tables.schema import Tables, tables
from worker.store.training.encryption import VectorCipher, derived_keys, keys_of
from worker.store.training.kept_truth import KeptTruth
from worker.store.training.labels import Labels
from worker.store.training.members import TrainingMembers
from worker.store.training.runs import TrainingRuns

_RULES: Final = ReviewRules()


class Store:
    """One database, and a repository for each subject."""

    def __init__(
        self,
        engine: sa.Engine,
        schema: Tables | None = None,
        *,
        mapped: MappedMember | None = None,
        tombstone_key: bytes = b"",
        stale_after: timedelta = timedelta(minutes=2),
        listening: bool = False,
        decision_hold: timedelta = timedelta(0),
        sandbox_prefix: str = "",
        try_limit: TryLimit = DEFAULT_LIMIT,
        review_reused_photos: bool = False,
        vector_keys: Keys | None = None,
        staff_keys: Keys | None = None,
        review_rules: ReviewRules = _RULES,
    ) -> None:
        """``listening``: whether there is an endpoint for events. ``vector_keys``, ``staff_keys``:
        encrypt vectors and second factors; without, each follows from ``tombstone_key``."""
        self.database = database = Database(engine, schema)
        tombstones = Tombstones(database.t, tombstone_key)
        outcomes = Outcomes(database.t, mapped, listening, decision_hold, sandbox_prefix)
        dead_letters = DeadLetters(database.t, tombstones, outcomes)
        acceptance = Acceptance(database, tombstones, dead_letters, outcomes, stale_after)
        tries = Tries(database.t, try_limit)
        looks = SecondLooks(Copies(database.t), tries, review_reused_photos)
        self._add_accesses(AccessChain(database.t, tombstones, tombstone_key), tombstones)
        self.case_photos = CasePhotos(database, self.accesses)
        self.reviews = Reviews(
            database, review_rules, outcomes, accesses=self.accesses, tries=tries, tombstones=tombstones
        )
        refused_consent = RefusedConsent(database, dead_letters, outcomes)
        results = Results(
            database, mapped, outcomes, looks=looks, cases=self.reviews.cases, refused_consent=refused_consent
        )
        self.requests = Requests(database, acceptance, results, outcomes, stale_after)
        self.dead_jobs = DeadJobs(database, tombstones, dead_letters, acceptance)
        self.pending = PendingMembers(database, tombstones, dead_letters, acceptance, outcomes)
        self.consents = Consents(database, refused_consent)
        self._add_members(tombstones, mapped, outcomes)
        self.untold = Untold(database, outcomes)
        self._add_training(vector_keys or partial(derived_keys, tombstone_key), stale_after)
        self._add_staff(staff_keys or partial(encryption.derived_keys, tombstone_key, factors.PURPOSE))
        self._add_reports()

    def _add_accesses(self, chain: AccessChain, tombstones: Tombstones) -> None:
        self.accesses = AccessLog(self.database, tombstones, chain)
        self.access_reviews = AccessReviews(self.database, self.accesses, chain)
        self.kept_months = KeptMonths(self.database, self.access_reviews)
        self.access_chain = ChainVerification(self.database, chain)
        self.access_watch = AccessWatch(self.database, self.access_chain)

    def _add_members(self, tombstones: Tombstones, mapped: MappedMember | None, outcomes: Outcomes) -> None:
        self.members = Members(
            self.database, tombstones, mapped, outcomes, accesses=self.accesses, consents=self.consents
        )

    def _add_staff(self, keys: Keys) -> None:
        self.staff = Staff(self.database, Cipher(keys), self.accesses, Passwords())

    def _add_training(self, vector_keys: Keys, stale_after: timedelta) -> None:
        self.models = Models(self.database)
        self.hosts = Hosts(self.database)
        self.shadows = Shadows(self.database)
        self.labels = Labels(self.database)
        self.kept_truth = KeptTruth(self.database, self.labels)
        self.training_runs = TrainingRuns(self.database, self.labels, self.models, stale_after)
        cipher = VectorCipher(vector_keys)
        self.training_members = TrainingMembers(self.database, self.labels, cipher)

    def _add_reports(self) -> None:
        """Last: they are about all the others."""
        self.deliveries = Deliveries(self.database)
        self.replays = Replays(self.database)
        self.explanations = Explanations(self.database, self.models, self.reviews.objections)
        self.missed_failures = MissedFailures(self.database)
        self.tally = Tally(self.database)
        self.days = Days(self.database)
        self.kept_report = KeptReport(self.database, self.reviews.reports)
        self.reports = Reports(
            self.database,
            models=self.models,
            runs=self.training_runs,
            replays=self.replays,
            objections=self.reviews.objections,
            tally=self.tally,
            accesses=self.access_watch,
        )
        self.retention = Retention(self.database, self.members, self.accesses)

    def close(self) -> None:
        """Give the connections back; the store can still be used, with new ones."""
        self.database.engine.dispose()


def open_store(settings: Settings, engine: sa.Engine | None = None) -> Store:
    """The store that the settings describe, on an engine of its own if none is given.

    In mapped mode this looks at the app's table: raises MappingError, StoreUnavailable.
    """
    engine = engine or build_engine(settings.database_url.get_secret_value())
    mapped = None
    if settings.mapped_table:
        mapped = MappedMember(
            engine, settings.mapped_table, settings.mapped_id_column, settings.mapped_columns
        )
    return Store(
        engine,
        tables(settings.tables_prefix),
        mapped=mapped,
        tombstone_key=settings.secret,
        stale_after=settings.stale_after,
        listening=bool(settings.endpoints),
        decision_hold=timedelta(seconds=settings.decision_hold_seconds),
        sandbox_prefix=settings.sandbox_prefix,
        try_limit=TryLimit(settings.max_tries, timedelta(days=settings.tries_days)),
        review_reused_photos=settings.review_reused_photos,
        vector_keys=partial(keys_of, settings),
        staff_keys=partial(
            encryption.derived_or_own, settings, factors.PURPOSE, factors.KEY_FILE, "VERIFY_TOMBSTONE_KEY"
        ),
        review_rules=_review_rules(settings),
    )


def _review_rules(settings: Settings) -> ReviewRules:
    return ReviewRules(
        due_after=timedelta(hours=settings.review_hours),
        second_share=settings.second_review_share,
        rejection_votes=settings.rejection_votes,
        seniors=frozenset(settings.senior_reviewers),
        key=settings.secret,
        answer_within=timedelta(days=settings.objection_days),
        alarm_before=timedelta(days=settings.objection_alarm_days),
        other_person=settings.objection_other_person,
    )
