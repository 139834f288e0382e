"""What the service makes of deliveries, on a real database, with photos and verdicts of the test's own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

import pytest

from pipeline.decide import blind_audit
from pipeline.verdict import Fault, FetchProblem, Gender, NotFetched, Photo, Reason, Status, Verdict, Verified
from support.jobs import NOW, a_message, a_verdict
from worker.jobs.links import PhotoLink
from worker.store import RequestRecord, Store
from worker.store.tables.states import State
from worker.verification.delivery import (
    LEASE_AFTER_ERROR,
    RETRY_AFTER_CAP,
    DeliveryRules,
    Handled,
    OutOfMemory,
    Verification,
)
from worker.verification.measured import FAILED, Measured

BUSY = NotFetched(FetchProblem.SERVER_ERROR, Fault.HOST, "503")
GONE = NotFetched(FetchProblem.GONE, Fault.MEMBER, "404")


@dataclass
class Photos:
    """A fetcher whose photos the test says, by position; everything else is there."""

    missing: dict[int, NotFetched] = field(default_factory=dict)

    def fetch_all(self, links: Sequence[PhotoLink]) -> list[Photo]:
        return [self.missing.get(link.position, link.url.encode()) for link in links]


@dataclass
class Scene:
    """The service with everything around it."""

    store: Store
    photos: Photos = field(default_factory=Photos)
    rules: DeliveryRules = field(default_factory=DeliveryRules)
    now: datetime = NOW
    seen: list[tuple[Photo, Sequence[Photo], Gender | None]] = field(default_factory=list)
    meanwhile: Callable[[], object] = lambda: None
    """What happens while a job is judged."""
    shadows: tuple[Callable[[], Verdict], ...] = ()
    """What heads in shadow say."""
    counted: list[Measured] = field(default_factory=list)

    def verify(self, selfie: Photo, photos: Sequence[Photo], declared_gender: Gender | None) -> Verified:
        self.seen.append((selfie, photos, declared_gender))
        self.meanwhile()
        return Verified(a_verdict(photos=()), self.shadows)

    def deliver(self, body: object | None = None, after: float = 0) -> Handled:
        """One delivery, so many seconds after the last one."""
        self.now += timedelta(seconds=after)
        service = Verification(
            requests=self.store.requests,
            dead_jobs=self.store.dead_jobs,
            shadows=self.store.shadows,
            fetcher=self.photos,
            verify=self.verify,
            rules=self.rules,
            worker="here:1",
            clock=lambda: self.now,
            database_seconds=lambda: self.store.database.seconds,
            count=self.counted.append,
        )
        return service.handle(a_message() if body is None else body, "verify")

    def request(self) -> RequestRecord:
        found = self.store.requests.find("r1")
        assert found is not None
        return found

    def due(self, after: float) -> bool:
        """Whether a sweep so many seconds from now would take the request."""
        return any(self.store.requests.unfinished(self.now + timedelta(seconds=after)))


@pytest.fixture
def scene(store: Store) -> Scene:
    return Scene(store)


def test_a_job_is_fetched_verified_and_stored(scene: Scene) -> None:
    assert scene.deliver() is Handled.STORED
    selfie, photos, gender = scene.seen[0]
    assert selfie == b"https://photos.example.com/m1/selfie.jpg?sig=abc"
    assert photos == [b"https://photos.example.com/m1/1.jpg", b"https://photos.example.com/m1/2.jpg"]
    assert gender is Gender.FEMALE
    assert scene.request().status is Status.APPROVED


def test_a_second_delivery_does_nothing(scene: Scene) -> None:
    scene.deliver()
    assert scene.deliver() is Handled.REFUSED
    assert len(scene.seen) == 1


def test_an_attempt_is_recorded_before_a_photo_is_decoded(scene: Scene) -> None:
    during: list[State] = []
    scene.meanwhile = lambda: during.append(scene.request().state)
    scene.deliver()
    assert during == [State.RUNNING]


def test_a_busy_photo_host_is_given_time(scene: Scene) -> None:
    scene.photos.missing[1] = BUSY
    assert scene.deliver() is Handled.POSTPONED
    assert not scene.seen
    assert not scene.due(after=29)
    assert scene.due(after=37)


def test_a_photo_host_that_stays_busy_is_done_without(scene: Scene) -> None:
    scene.photos.missing[2] = BUSY
    handled = [scene.deliver(after=1000) for _ in range(4)]
    assert handled == [Handled.POSTPONED] * 3 + [Handled.STORED]
    assert scene.seen[0][1][1] is BUSY


def test_waiting_for_a_photo_host_does_not_count_as_a_failed_attempt(scene: Scene) -> None:
    scene.photos.missing[1] = BUSY
    for _ in range(3):
        scene.deliver(after=1000)
    scene.photos.missing.clear()
    assert scene.deliver(after=1000) is Handled.STORED


def test_a_photo_that_is_gone_is_not_waited_for(scene: Scene) -> None:
    scene.photos.missing[1] = GONE
    assert scene.deliver() is Handled.STORED
    assert scene.seen[0][1][0] is GONE


def test_a_dead_link_is_waited_for_where_the_app_may_give_a_fresh_one_later(scene: Scene) -> None:
    dead = NotFetched(FetchProblem.EXPIRED, Fault.HOST, "403; resolver: status 503", timedelta(0))
    scene.photos.missing[1] = dead
    handled = [scene.deliver(after=1000) for _ in range(4)]
    assert handled == [Handled.POSTPONED] * 3 + [Handled.STORED]
    assert scene.seen[0][1][0] is dead


def test_a_host_that_asks_for_patience_gets_it(scene: Scene) -> None:
    scene.photos.missing[0] = NotFetched(
        FetchProblem.SERVER_ERROR, Fault.HOST, "429", retry_after=timedelta(seconds=200)
    )
    scene.deliver()
    assert not scene.due(after=199)
    assert scene.due(after=241)


def test_a_host_that_asks_for_too_much_patience_does_not(scene: Scene) -> None:
    scene.photos.missing[0] = NotFetched(
        FetchProblem.SERVER_ERROR, Fault.HOST, "429", retry_after=timedelta(days=30)
    )
    scene.deliver()
    assert scene.due(after=RETRY_AFTER_CAP.total_seconds() * 1.2 + 1)


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (a_message(selfie_url=...), "missing_field"),
        (a_message(photo_urls="https://a/1"), "wrong_type"),
        (a_message(schema=2), "unknown_schema"),
        (a_message(member_id="two words"), "bad_id"),
        (a_message(member_id="nul\x00byte"), "bad_id"),
        ([1, 2, 3], "not_an_object"),
        ("text", "not_an_object"),
    ],
)
def test_a_message_that_is_no_job_is_recorded_with_its_reason(
    scene: Scene, body: object, reason: str
) -> None:
    assert scene.deliver(body) is Handled.DEAD_LETTER
    assert [dead.reason for dead in scene.store.dead_jobs.latest()] == [reason]


def test_the_same_request_with_other_content_is_recorded_and_changes_nothing(scene: Scene) -> None:
    scene.deliver()
    other = a_message(selfie_url="https://photos.example.com/other.jpg")
    assert [scene.deliver(other) for _ in range(2)] == [Handled.DEAD_LETTER] * 2
    assert [dead.reason for dead in scene.store.dead_jobs.latest()] == ["conflict"]
    assert len(scene.seen) == 1


def test_a_job_of_a_forgotten_member_is_dropped(scene: Scene) -> None:
    scene.store.members.forget("m1", NOW)
    assert scene.deliver() is Handled.FORGOTTEN
    assert scene.store.members.find("m1") is None


def test_a_member_forgotten_while_the_job_runs_stays_forgotten(scene: Scene) -> None:
    scene.meanwhile = lambda: scene.store.members.forget("m1", NOW)
    assert scene.deliver() is Handled.LOST
    assert scene.store.members.find("m1") is None


class Killed(BaseException):
    """As `kill -9`: nobody gets to clean up."""


def _raise(error: BaseException) -> Callable[[], object]:
    def blow_up() -> None:
        raise error

    return blow_up


def test_a_job_that_kills_its_process_three_times_is_given_up_the_fourth(scene: Scene) -> None:
    scene.meanwhile = _raise(Killed())
    for _ in range(3):
        with pytest.raises(Killed):
            scene.deliver(after=61)
    assert scene.deliver(after=61) is Handled.DEAD_LETTER
    (dead,) = scene.store.dead_jobs.latest()
    assert (dead.reason, dead.request_id, dead.attempts) == ("poison", "r1", 3)
    assert scene.request().state is State.DEAD
    assert scene.deliver(after=61) is Handled.REFUSED


def test_a_second_process_leaves_a_running_job_alone(scene: Scene) -> None:
    scene.meanwhile = _raise(Killed())
    with pytest.raises(Killed):
        scene.deliver()
    assert scene.deliver(after=59) is Handled.REFUSED


def test_a_failure_of_our_own_counts_and_is_tried_again_soon(scene: Scene) -> None:
    scene.meanwhile = _raise(RuntimeError("a bug"))
    for _ in range(3):
        with pytest.raises(RuntimeError):
            scene.deliver(after=LEASE_AFTER_ERROR.total_seconds() + 1)
    assert scene.deliver(after=LEASE_AFTER_ERROR.total_seconds() + 1) is Handled.DEAD_LETTER


def test_running_out_of_memory_does_not_reach_celery_as_such(scene: Scene) -> None:
    scene.meanwhile = _raise(MemoryError())
    with pytest.raises(OutOfMemory):
        scene.deliver()


def test_the_result_of_a_job_that_another_process_has_taken_over_is_dropped(scene: Scene) -> None:
    def taken_over() -> None:
        scene.meanwhile = lambda: None
        assert scene.deliver(after=61) is Handled.STORED

    scene.meanwhile = taken_over
    assert scene.deliver() is Handled.LOST


def test_a_share_of_the_approvals_goes_to_a_person_and_always_the_same(scene: Scene) -> None:
    scene.rules = DeliveryRules(blind_audit_share=0.3)
    for number in range(60):
        scene.deliver(a_message(request_id=f"a{number}", member_id=f"m{number}"))
    reviewed = {n for n in range(60) if scene.store.requests.find(f"a{n}").status is Status.REVIEW}  # type: ignore[union-attr]
    assert 5 <= len(reviewed) <= 35
    assert all(scene.store.requests.find(f"a{n}").reason is Reason.BLIND_AUDIT for n in reviewed)  # type: ignore[union-attr]


def test_nobody_without_the_key_can_tell_which_approvals_are_audited() -> None:
    def audited(key: bytes) -> list[bool]:
        verdicts = [blind_audit(a_verdict(), f"r{n}", 0.5, key) for n in range(64)]
        return [verdict.status is Status.REVIEW for verdict in verdicts]

    assert audited(b"one") == audited(b"one")
    assert audited(b"one") != audited(b"another")
    assert 12 <= sum(audited(b"one")) <= 52


def test_without_an_audit_no_approval_goes_to_a_person(scene: Scene) -> None:
    scene.deliver()
    assert scene.request().reason is Reason.SAME_PERSON


# Heads in shadow


def a_shadow(version: str) -> Callable[[], Verdict]:
    return lambda: replace(a_verdict(Status.REVIEW, Reason.PRIMARY_UNSURE), model_version=version)


def test_what_a_head_in_shadow_says_is_noted_and_decides_nothing(scene: Scene) -> None:
    scene.shadows = (a_shadow("new-1"),)
    assert scene.deliver() is Handled.STORED
    assert scene.request().status is Status.APPROVED
    [flip] = scene.store.shadows.report("new-1").flips
    assert (flip.decided, flip.shadow, flip.examples) == (Status.APPROVED, Status.REVIEW, ("r1",))


def test_an_audited_approval_is_no_flip(scene: Scene) -> None:
    scene.rules = DeliveryRules(blind_audit_share=1)
    scene.shadows = (lambda: replace(a_verdict(), model_version="new-1"),)
    scene.deliver()
    assert scene.request().reason is Reason.BLIND_AUDIT
    assert scene.store.shadows.report("new-1").agreed == 1


def test_a_head_in_shadow_that_fails_harms_neither_the_job_nor_another_shadow(scene: Scene) -> None:
    scene.shadows = (_fails, a_shadow("new-1"))
    assert scene.deliver() is Handled.STORED
    assert scene.request().state is State.DONE
    assert scene.store.shadows.report("new-1").verdicts == 1


def _fails() -> Verdict:
    raise ZeroDivisionError


def test_a_shadow_judges_only_after_the_result_is_stored(scene: Scene) -> None:
    states: list[State] = []

    def shadow() -> Verdict:
        states.append(scene.request().state)
        return a_shadow("new-1")()

    scene.shadows = (shadow,)
    scene.deliver()
    assert states == [State.DONE]


def test_nothing_is_noted_of_a_job_that_was_lost(scene: Scene) -> None:
    scene.meanwhile = lambda: scene.store.members.forget("m1", NOW)
    scene.shadows = (_fails, a_shadow("new-1"))
    assert scene.deliver() is Handled.LOST
    assert scene.store.shadows.report("new-1").verdicts == 0


def test_what_is_counted_of_a_job_is_the_verdict_as_it_is_recorded(scene: Scene) -> None:
    scene.rules = replace(scene.rules, blind_audit_share=1.0)
    scene.deliver(after=2.5)
    (counted,) = scene.counted
    assert counted.verdict
    assert counted.verdict.reason is Reason.BLIND_AUDIT
    assert (counted.request_id, counted.queue, counted.outcome) == ("r1", "verify", Handled.STORED)
    assert counted.total == counted.seconds.queue
    assert {"queue", "download", "decode", "embed", "decide", "database"} == set(counted.seconds.known())


def test_every_delivery_is_counted_once_whatever_becomes_of_it(scene: Scene) -> None:
    scene.photos.missing[1] = BUSY
    scene.deliver()
    scene.deliver("no job")
    scene.deliver(a_message(declared_gender="male"))
    scene.photos.missing.clear()
    scene.meanwhile = lambda: 1 / 0
    with pytest.raises(ZeroDivisionError):
        scene.deliver(after=1000)
    assert [one.outcome for one in scene.counted] == ["postponed", "dead_letter", "dead_letter", FAILED]
    assert [one.request_id for one in scene.counted] == ["r1", None, "r1", "r1"]


def test_only_the_first_attempt_waited_in_a_queue(scene: Scene) -> None:
    scene.photos.missing[1] = BUSY
    scene.deliver()
    scene.photos.missing.clear()
    scene.deliver(after=1000)
    first, second = scene.counted
    assert first.seconds.queue is not None
    assert second.seconds.queue is None
    assert second.total is not None
    assert second.total >= 1000
