"""Answers about photos: given blind first, and what a reviewer says otherwise after the evidence."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

import sqlalchemy as sa

from pipeline.verdict import Gender
from worker.errors import NotPossible
from worker.store.database import Database
from worker.store.reviews.cases import Cases
from worker.store.reviews.claims import HeldCase, answers_of, check_looked, has_answered, hold
from worker.store.reviews.records import Answered, Claim, GivenAnswer, ReviewRules
from worker.store.tables.states import PairLabel, Phase

_NO_GENDERS: Final[Mapping[int, Gender]] = {}


class Answers:
    """Writes answers down: they are the labels that training learns from."""

    def __init__(self, database: Database, cases: Cases, rules: ReviewRules) -> None:
        self._db = database
        self._t = database.t
        self._cases = cases
        self._rules = rules

    def answer(
        self,
        claim: Claim,
        words: Mapping[int, PairLabel],
        now: datetime,
        *,
        genders: Mapping[int, Gender] = _NO_GENDERS,
    ) -> Answered:
        """Say of gallery photos, by position, whether they show the person of the selfie.

        The first time of every photo at once: nothing else of the case is shown before. What is said after
        that counts as a change after the evidence. ``genders`` is what the faces look like to the person.
        Raises CaseGone, ClaimLost, CaseChanged and NotPossible.
        """
        return self._db.write(lambda c: self._answer(c, claim, words, genders, now=now))

    def _answer(
        self,
        c: sa.Connection,
        claim: Claim,
        words: Mapping[int, PairLabel],
        genders: Mapping[int, Gender],
        *,
        now: datetime,
    ) -> Answered:
        held = hold(c, self._db, claim, now)
        check_looked(held)
        _check_positions(held, {*words, *genders})
        if genders.keys() - words.keys():
            raise NotPossible("a gender goes with an answer about the same photo")
        phase = Phase.EVIDENCE if has_answered(c, self._t, held, claim.reviewer) else Phase.BLIND
        if phase is Phase.BLIND:
            _check_complete(held, words)
        before = answers_of(c, self._t, held, claim.reviewer) if phase is Phase.EVIDENCE else {}
        new = {n: word for n, word in words.items() if before.get(n) is not word or n in genders}
        said = {"labelled_by": claim.reviewer, "labelled_at": now, "phase": phase}
        rows = [{**_row(held, n, word, genders.get(n)), **said} for n, word in sorted(new.items())]
        if rows:
            c.execute(sa.insert(self._t.label), rows)
        self._cases.update(c, held.case, lease_until=now + self._rules.lease)
        given = tuple(GivenAnswer(n, word, phase) for n, word in sorted(new.items()))
        return Answered(given, bool(held.member.training_consent))


def _row(held: HeldCase, position: int, word: PairLabel, gender: Gender | None) -> dict[str, Any]:
    files = {photo.position: photo.sha256 for photo in held.photos}
    return {
        "case_id": held.case.id,
        "request_id": held.request.request_id,
        "position": position,
        "label": word,
        "gender": gender,
        "sha256": files[position],
        "selfie_sha256": files.get(0),
    }


def _check_positions(held: HeldCase, positions: set[int]) -> None:
    wrong = positions - set(held.to_answer)
    if wrong:
        there = _numbers(held.to_answer) if held.to_answer else "none"
        raise NotPossible(f"no photo {_numbers(wrong)} to answer: there are {there}")


def _check_complete(held: HeldCase, words: Mapping[int, PairLabel]) -> None:
    missing = set(held.to_answer) - words.keys()
    if missing:
        text = f"every photo needs an answer before anything else is shown: {_numbers(missing)}"
        raise NotPossible(text, "answers_missing")


def _numbers(positions: set[int] | list[int]) -> str:
    return ", ".join(map(str, sorted(positions)))
