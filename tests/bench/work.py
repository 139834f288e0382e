"""What is timed: the work of a worker, of reviewers, of a monitor and of the app, each as one call."""

from __future__ import annotations

import random
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import islice
from typing import Any, Final
from zoneinfo import ZoneInfo

import sqlalchemy as sa

from pipeline.verdict import PerceptualHash, PhotoFinding, PictureHashes, Status, Verdict
from support.jobs import KIM, LEASE, MOST, PHOTOS, SELFIE, a_job, a_verdict
from support.reviews import RULINGS
from worker.client.identifiers import new_request_id
from worker.client.results import Results
from worker.clock import utc_now
from worker.jobs.verify_job import VerifyJob
from worker.settings import load_settings
from worker.store import Attempt, Store
from worker.store.tables.states import PairLabel
from worker.verification.maintenance import purge_old, sweep

UNFINISHED: Final = 100
CHANGES: Final = 100
_SEOUL: Final = ZoneInfo("Asia/Seoul")
Timer = Callable[[str, Callable[[], Any]], Any]
"""Times one call under a name, and returns what it returned."""


class QuietBroker:
    """Takes messages, and none waits."""

    def waiting(self, _queue: str) -> int:
        """How many messages are on a queue."""
        return 0

    def send(self, _job: VerifyJob, _queue: str) -> None:
        """To nobody."""


@dataclass
class Scene:
    """A filled database, and the work on it."""

    store: Store
    members: int
    random: random.Random = field(default_factory=lambda: random.Random(7))

    def anybody(self) -> str:
        """A member at random: of a million, one whose rows are in no cache."""
        number = self.random.randint(1, self.members)
        return self.anybody() if number % 10_000 == 107 else f"m{number:08}"  # who has withdrawn consent

    def warm_up(self) -> None:
        """Connections are there, and what is asked every minute is in the server's memory."""
        self.recount()
        for _ in range(4):  # each counts one of the three months of records, or the labels
            self.status()
            self.review_list()
            self.sweep()

    def status(self) -> None:
        self.store.reports.status(utc_now())

    def recount(self) -> None:
        """What the sweep does every ten minutes: all members and requests are counted."""
        t = self.store.database.t.tally
        old = sa.update(t).where(t.c.name == "all").values(counted_at=utc_now() - timedelta(hours=1))
        self.store.database.write(lambda c: c.execute(old))
        self.store.tally.renew(utc_now())

    def review_list(self) -> None:
        self.store.reviews.queue.page(utc_now())

    def sweep(self) -> None:
        """All of the task `worker.sweep`."""
        self.store.consents.notice(utc_now())
        self.store.training_members.clear()
        sweep(self.store.requests, self.store.pending, QuietBroker(), utc_now())
        self.store.training_runs.due(utc_now())
        self.store.tally.renew(utc_now())
        self.store.days.renew(utc_now())
        self.store.kept_report.renew(utc_now())
        self.store.access_watch.look(utc_now())
        if not self.store.kept_months.renew(utc_now(), _SEOUL):
            self.store.kept_truth.renew(utc_now())

    def show(self) -> None:
        """What `python -m worker show` asks."""
        store, member_id = self.store, self.anybody()
        store.accesses.note([member_id], KIM, utc_now())
        store.members.find(member_id)
        store.requests.of_member(member_id)
        store.reviews.queue.is_open(member_id)

    def changes(self) -> None:
        """The app's view: a page of what has changed since."""
        engine = self.store.database.engine
        results = Results(engine.raw_connection, paramstyle="format")
        found = list(islice(results.changes(self._since, page=CHANGES), CHANGES))
        assert len(found) == CHANGES

    def look_back(self) -> None:
        """Choose since when the app asks."""
        r = self.store.database.t.result
        latest = sa.select(r.c.changed_at).order_by(r.c.changed_at.desc())
        with self.store.database.engine.connect() as c:
            self._since: datetime = c.execute(latest.limit(1).offset(2 * CHANGES)).scalar_one()

    def verify(self, time: Timer, member_id: str | None = None) -> None:
        """A request from its acceptance to its end."""
        now = utc_now()
        job = a_job(new_request_id(now), member_id or self.anybody(), now, why="photos_changed")
        time("accept", lambda: self.store.requests.accept(job, "verify", now))
        attempt = time("start", lambda: self.store.requests.acquire(job.request_id, "w", LEASE, MOST, now))
        assert isinstance(attempt, Attempt)
        verdict = _verdict()
        assert time("finish", lambda: self.store.requests.finish(attempt, verdict, utc_now()))

    def review(self, time: Timer) -> None:
        """A case from its claim to its decision, by somebody who had none before."""
        queue, reviewer, now = self.store.reviews.queue, f"reviewer-{secrets.token_hex(4)}", utc_now()
        claim = time("claim", lambda: queue.claim_next(reviewer, now))
        view = time("look", lambda: queue.look(claim, KIM, now))
        words = dict.fromkeys(view.to_answer, PairLabel.GENUINE)
        time("answer", lambda: self.store.reviews.answers.answer(claim, words, now))
        ruling = RULINGS[Status.APPROVED]
        time("decide", lambda: self.store.reviews.decisions.decide(claim, ruling, now))
        self.store.reviews.decisions.reopen(claim.member_id, "kim", now)  # as many wait as before

    def leave_unfinished(self) -> None:
        """Requests of new members, whose messages were lost."""
        self._lost = [f"lost-{secrets.token_hex(8)}" for _ in range(UNFINISHED)]
        for name in self._lost:
            self.store.requests.accept(a_job(name, name, utc_now()), "verify", utc_now())

    def make_due(self) -> None:
        """They are due, as if no sweep had sent them again."""
        v = self.store.database.t.verification
        due = sa.update(v).where(v.c.request_id.in_(self._lost), v.c.due_at.is_not(None))
        past = utc_now() - timedelta(minutes=1)
        self.store.database.write(lambda c: c.execute(due.values(due_at=past, sweeps=0)))

    def end_unfinished(self) -> None:
        """They are erased, so that they burden nothing that is timed afterwards."""
        for name in self._lost:
            self.store.members.forget(name, utc_now())

    def forget(self, time: Timer) -> None:
        """Erase somebody who has come for that."""
        member_id = f"f{secrets.token_hex(8)}"
        self.verify(lambda _, work: work(), member_id)
        time("forget", lambda: self.store.members.forget(member_id, utc_now()))

    def purge(self) -> None:
        """All of the task `worker.purge`, a day later."""
        later = utc_now() + timedelta(days=1)
        self.store.reviews.missed.follow(later)
        self.store.untold.tell(later)
        purge_old(self.store.retention, load_settings(), later)


def _verdict() -> Verdict:
    """Of photos that nobody has used before."""
    photos = (SELFIE, replace(PHOTOS[0], position=1), replace(PHOTOS[0], position=2))
    selfie, *others = (_new_file(photo) for photo in photos)
    return a_verdict(selfie=selfie, photos=tuple(others))


def _new_file(photo: PhotoFinding) -> PhotoFinding:
    picture, mirror = (PerceptualHash(secrets.randbits(64), secrets.randbits(256)) for _ in range(2))
    return replace(photo, sha256=secrets.token_hex(32), hashes=PictureHashes(picture, mirror))
