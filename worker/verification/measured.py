"""Where the time of a delivery goes: measured here, once, for the metrics and for the log.

Whoever counts or shows the times of stages takes them from `StageSeconds`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, fields, replace
from time import perf_counter
from typing import Any, Final
from urllib.parse import urlsplit

from pipeline.verdict import FetchProblem, NotFetched, Photo, Verdict, Verified
from worker.jobs.links import PhotoLink

FAILED: Final = "failed"
"""The outcome of a delivery that ended in an error of ours, or without a database."""
_MEASURED: Final = ("decode", "embed")
"""Stages that the pipeline names as we do; all its others find faces and measure them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StageSeconds:
    """Seconds of one delivery by stage; None where it did not come to that stage."""

    queue: float | None = None
    """From the moment the request was made, by its sender's clock, to its first attempt. None in a later
    attempt: what it waited for then was no queue."""
    download: float | None = None
    """All photos, which are fetched at the same time, and the questions to the app for fresh links."""
    decode: float | None = None
    detect: float | None = None
    """All that finds faces and measures them: detector, mesh, quality gates, crops, copies of the selfie."""
    embed: float | None = None
    decide: float | None = None
    """All else between the photos and the verdict."""
    database: float | None = None
    """All transactions, each from its connection to its commit; another try after a lost race included."""

    def known(self) -> dict[str, float]:
        """Those of the stages that it came to, in their order."""
        seconds = {field.name: getattr(self, field.name) for field in fields(self)}
        return {stage: spent for stage, spent in seconds.items() if spent is not None}

    def rounded(self) -> dict[str, float]:
        """`known`, to a tenth of a millisecond: for people and log lines."""
        return {stage: round(spent, 4) for stage, spent in self.known().items()}


@dataclass(frozen=True, slots=True)
class FetchedPhoto:
    """A photo of a request after its download."""

    host: str
    """Empty where the address has none."""
    problem: FetchProblem | None
    """None: the photo is there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """One delivery that has ended, in figures."""

    queue: str
    outcome: str = FAILED
    """A `Handled`, or `FAILED`."""
    seconds: StageSeconds = StageSeconds()
    request_id: str | None = None
    """None where the message was no job."""
    sandbox: bool = False
    fetched: tuple[FetchedPhoto, ...] = ()
    verdict: Verdict | None = None
    """As the database has it; None where none was recorded."""
    total: float | None = None
    """Seconds from the moment the request was made, by its sender's clock, to the recorded verdict."""


class Watch:
    """Measures one delivery while it goes on."""

    def __init__(
        self, queue: str, database: Callable[[], float], clock: Callable[[], float] = perf_counter
    ) -> None:
        """``database``: the seconds that this process has spent in the database so far."""
        self._database, self._clock = database, clock
        self._database_before = database()
        self._measured = Measured(queue=queue)

    def note(self, **values: Any) -> None:
        """Fields of `Measured`."""
        self._measured = replace(self._measured, **values)

    def spent(self, **seconds: float) -> None:
        """Fields of `StageSeconds`; a clock that was set back gives no time less than none."""
        new = {stage: max(0.0, spent) for stage, spent in seconds.items()}
        self.note(seconds=replace(self._measured.seconds, **new))

    def download(
        self, links: Sequence[PhotoLink], fetch: Callable[[Sequence[PhotoLink]], Sequence[Photo]]
    ) -> Sequence[Photo]:
        """What ``fetch`` makes of these links."""
        start = self._clock()
        photos = fetch(links)
        self.spent(download=self._clock() - start)
        pairs = zip(links, photos, strict=True)
        self.note(fetched=tuple(FetchedPhoto(_host(link.url), _problem(photo)) for link, photo in pairs))
        return photos

    def judge(self, verify: Callable[[], Verified]) -> Verified:
        """What ``verify`` says."""
        start, database = self._clock(), self._database()
        verified = verify()
        stages = _by_stage(verified.verdict.timings)
        rest = self._clock() - start - (self._database() - database) - sum(stages.values())
        self.spent(**stages, decide=rest)
        return verified

    def so_far(self) -> StageSeconds:
        """Until now."""
        self.spent(database=self._database() - self._database_before)
        return self._measured.seconds

    def ended(self, outcome: str) -> Measured:
        """All of it."""
        self.note(outcome=outcome, seconds=self.so_far())
        return self._measured


def _host(url: str) -> str:
    with suppress(ValueError):
        return urlsplit(url).hostname or ""
    return ""


def _problem(photo: Photo) -> FetchProblem | None:
    return photo.problem if isinstance(photo, NotFetched) else None


def _by_stage(timings: Mapping[str, float]) -> dict[str, float]:
    """Our stages, in seconds, out of the pipeline's, in milliseconds."""
    found: dict[str, float] = {}
    for name, milliseconds in timings.items():
        part = name.partition("_")[0]
        stage = part if part in _MEASURED else "detect"
        found[stage] = found.get(stage, 0.0) + milliseconds / 1000
    return found
