"""The times of one delivery, by a clock of the test's own."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from pipeline.verdict import Fault, FetchProblem, NotFetched, Photo, Verified
from support.jobs import a_verdict
from worker.jobs.links import PhotoLink
from worker.verification.measured import FetchedPhoto, StageSeconds, Watch

TIMINGS = {
    "decode": 20.0,
    "detect": 30.0,
    "mesh": 8.0,
    "quality": 2.0,
    "embed_facenet": 50.0,
    "embed_x": 10.0,
}


@dataclass
class Time:
    """What passes when the test says so; of all that, ``database`` was spent in the database."""

    now: float = 100.0
    database: float = 7.0
    watch: Watch = field(init=False)

    def __post_init__(self) -> None:
        self.watch = Watch("verify", lambda: self.database, lambda: self.now)

    def passes(self, seconds: float, *, database: float = 0.0) -> None:
        self.now += seconds
        self.database += database


def test_all_that_happens_falls_to_a_stage_once() -> None:
    time = Time()

    def fetch(links: object) -> list[Photo]:
        time.passes(0.5)
        return [b"selfie"]

    def verify() -> Verified:
        time.passes(0.140, database=0.005)
        return Verified(a_verdict(timings=TIMINGS))

    time.passes(0.010, database=0.010)
    time.watch.download([PhotoLink("https://photos.example.com/1")], fetch)
    time.watch.judge(verify)
    time.passes(0.020, database=0.020)
    assert time.watch.ended("stored").seconds.known() == pytest.approx(
        {
            "download": 0.5,
            "decode": 0.020,
            "detect": 0.040,
            "embed": 0.060,
            "decide": 0.015,
            "database": 0.035,
        }
    )


def test_the_times_of_stages_are_told_in_their_order_and_only_of_those_that_were_reached() -> None:
    assert list(StageSeconds(database=1.0, queue=2.0, decide=0.0).known()) == ["queue", "decide", "database"]
    assert not StageSeconds().known()


def test_a_clock_that_was_set_back_gives_no_time_less_than_none() -> None:
    time = Time()
    time.watch.spent(queue=-3.0)
    assert time.watch.ended("stored").seconds.queue == 0.0


def test_of_a_photo_the_host_and_the_problem_are_kept_and_nothing_else() -> None:
    time = Time()
    gone = NotFetched(FetchProblem.GONE, Fault.MEMBER, "404")
    links = [PhotoLink("https://a.example.com/1?key=s3cret"), PhotoLink("https://b.example.com:444/2")]
    time.watch.download([*links, PhotoLink("https://[")], lambda _: [b"selfie", gone, gone])
    measured = time.watch.ended("stored")
    assert measured.fetched == (
        FetchedPhoto("a.example.com", None),
        FetchedPhoto("b.example.com", FetchProblem.GONE),
        FetchedPhoto("", FetchProblem.GONE),
    )
    assert "s3cret" not in repr(measured)
