"""An explanation in words that can be handed to the member: from facts to sections of text, and nothing else.

It says what the member may hear (`worker.results.explained`), in plain polite Korean and in English. Korean
time, for the members are there.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Final

from pipeline.verdict import Status
from worker.results import letter_words as words
from worker.results.explained import (
    AgreedTo,
    AskedForPerson,
    Decided,
    ExplainedRequest,
    Explanation,
    Progress,
    Step,
)
from worker.results.texts import Both, Language, photo_name

_KOREA: Final = timezone(timedelta(hours=9))


@dataclass(frozen=True, slots=True)
class Paragraph:
    """Some sentences, and a list below them."""

    text: str
    points: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Section:
    """A heading, and what stands below it."""

    heading: str
    paragraphs: tuple[Paragraph, ...]


@dataclass(frozen=True, slots=True)
class Letter:
    """The whole text; ``about`` comes before the first section."""

    title: str
    about: tuple[Paragraph, ...]
    sections: tuple[Section, ...]


def letter(facts: Explanation, language: Language) -> Letter:
    """The same facts give the same text."""
    return _Writer(facts, language).letter()


def moment(at: datetime, language: Language) -> str:
    """A time in Korea, to the minute."""
    there = at.astimezone(_KOREA)
    if language is Language.KO:
        return f"{there.year}년 {there.month}월 {there.day}일 {there:%H:%M}"
    return f"{there.day} {there:%B %Y, %H:%M}"


@dataclass(frozen=True, slots=True)
class _Writer:
    facts: Explanation
    language: Language

    def letter(self) -> Letter:
        requests = [self._request(one) for one in self.facts.requests] or [self._no_request()]
        rest = (self._limits(), self._information(), self._consents(), self._rights())
        return Letter(self._say(words.TITLE), self._about(), (*requests, *rest))

    def _say(self, *sentences: Both, **values: object) -> str:
        return " ".join(text[self.language is Language.EN].format(**values) for text in sentences)

    def _when(self, at: datetime) -> str:
        return moment(at, self.language)

    def _about(self) -> tuple[Paragraph, ...]:
        said = [self._say(*words.ABOUT, member=self.facts.member_id)]
        said.append(self._say(words.WRITTEN, when=self._when(self.facts.written_at)))
        if self.facts.sandbox:
            said.append(self._say(words.SANDBOX))
        return tuple(map(Paragraph, said))

    # Requests

    def _no_request(self) -> Section:
        return Section(self._say(words.REQUESTS), (Paragraph(self._say(words.NO_REQUEST)),))

    def _request(self, request: ExplainedRequest) -> Section:
        when = self._when(request.requested_at)
        heading = self._say(words.STANDING if request.standing else words.OTHER, when=when)
        asked = self._say(words.ASKED[request.why], when=when, number=request.request_id)
        parts = [Paragraph(asked), *self._outcome(request), *self._photos(request)]
        return Section(heading, tuple(parts))

    def _outcome(self, request: ExplainedRequest) -> Iterator[Paragraph]:
        if request.progress is not Progress.ENDED:
            yield Paragraph(self._say(words.PROGRESS[request.progress]))
        if not request.steps:
            return
        points = [self._step(one, manual=request.manual) for one in request.steps]
        if found := request.compared:
            photo = photo_name(found.position, self.language)
            points.append(self._say(words.SIMILARITY, photo=photo, similarity=f"{found.similarity:.2f}"))
        if request.steps[-1].outcome is Status.REVIEW:
            points.append(self._say(self._what_follows(request)))
        yield Paragraph(self._say(words.OUTCOME), tuple(points))

    def _what_follows(self, request: ExplainedRequest) -> Both:
        """After a review."""
        if not request.waits:
            return words.NOTHING_MORE
        return words.PERSON_WAITS if self.facts.suspended else words.PERSON_LOOKS

    def _step(self, step: Step, *, manual: bool) -> str:
        passed_on = manual and step.by is Decided.PROGRAM
        said = self._say(*(words.MANUAL if passed_on else words.STEPS[step.by, step.outcome]))
        if step.text:
            said += " " + self._say(words.MESSAGE, text=step.text[self.language])
        return self._say(words.STEP, when=self._when(step.at), said=said)

    def _photos(self, request: ExplainedRequest) -> Iterator[Paragraph]:
        if request.photos and request.looked_at:
            points = tuple(photo.text[self.language] for photo in request.photos)
            yield Paragraph(self._say(words.PHOTOS, when=self._when(request.looked_at)), points)
        if request.model_version:
            versions = {"model": request.model_version, "policy": request.policy_version or "-"}
            yield Paragraph(self._say(words.VERSIONS, **versions))

    # What holds for every member

    def _limits(self) -> Section:
        said = [self._say(*words.QUALITY), self._say(*words.COMPARISON)]
        if found := self.facts.calibrated:
            pairs = round(1 / found.false_match_rate)
            said.append(self._say(*words.RATE, people=f"{found.people:,}", pairs=f"{pairs:,}"))
        rejects = words.REJECTS if self._rejects_by_program() else words.REJECTS_NOBODY
        said += [self._say(*words.MAY_BE_WRONG), self._say(*words.PEOPLE), self._say(*rejects)]
        return Section(self._say(words.LIMITS), tuple(map(Paragraph, said)))

    def _rejects_by_program(self) -> bool:
        """Whether it may, or has done so when other settings held."""
        steps = (step for one in self.facts.requests for step in one.steps)
        has = any((one.by, one.outcome) == (Decided.PROGRAM, Status.REJECTED) for one in steps)
        return has or self.facts.terms.rejects_by_program

    def _information(self) -> Section:
        terms = self.facts.terms
        used = [words.USED, *([words.USED_GENDER] if self.facts.gender_declared else [])]
        days = {
            "links": terms.link_days,
            "numbers": terms.number_days,
            "events": terms.event_days,
            "unprocessed": terms.dead_job_days,
            "looks": terms.access_days,
        }
        kept = [*words.KEPT, *([words.KEPT_IN_TRAINING] if self.facts.agrees["training"] else [])]
        points = tuple(self._say(text, **days) for text in kept)
        paragraphs = (Paragraph(self._say(*used)), Paragraph(self._say(words.KEPT_HOW_LONG), points))
        return Section(self._say(words.INFORMATION), paragraphs)

    def _consents(self) -> Section:
        on_record = tuple(self._consent(one) for one in self.facts.consents)
        now = tuple(
            self._say(words.AGREES if yes else words.AGREES_NOT, purpose=self._say(words.PURPOSES[purpose]))
            for purpose, yes in self.facts.agrees.items()
        )
        first = Paragraph(self._say(words.ON_RECORD if on_record else words.NONE_ON_RECORD), on_record)
        last = Paragraph(self._say(words.WITHDRAWING))
        return Section(self._say(words.CONSENTS), (first, Paragraph(self._say(words.NOW), now), last))

    def _consent(self, one: AgreedTo) -> str:
        purpose = self._say(words.PURPOSES[one.purpose])
        version = self._say(words.VERSION, version=one.version) if one.version else ""
        if one.given_at is not None:
            said = self._say(words.GIVEN, purpose=purpose, version=version, when=self._when(one.given_at))
        elif one.withdrawn_at is None:
            said = self._say(words.GIVEN_SOMETIME, purpose=purpose, version=version)
        else:
            when = self._when(one.withdrawn_at)
            return self._say(words.REFUSED, purpose=purpose, version=version, when=when)
        if one.withdrawn_at is not None:
            said += " " + self._say(words.WITHDRAWN, when=self._when(one.withdrawn_at))
        return said

    def _rights(self) -> Section:
        said = [self._objection(one) for one in self.facts.objections]
        said.append(self._say(*words.OBJECT, days=f"{self.facts.terms.objection_days:g}"))
        said.append(self._say(words.ASK))
        return Section(self._say(words.RIGHTS), tuple(map(Paragraph, said)))

    def _objection(self, one: AskedForPerson) -> str:
        times = {"received": self._when(one.received_at), "due": self._when(one.due_at)}
        if one.answered_at is not None:
            answered = self._when(one.answered_at)
            return self._say(words.OBJECTION, words.OBJECTION_ANSWERED, answered=answered, **times)
        late = one.due_at < self.facts.written_at
        follows = words.OBJECTION_LATE if late else words.OBJECTION_DUE
        return self._say(words.OBJECTION, words.PERSON_WAITS if self.facts.suspended else follows, **times)
