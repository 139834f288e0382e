"""What a machine's verdict is checked against before it is recorded: photos of others, earlier tries and
retries."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

import sqlalchemy as sa

from pipeline.verdict import Reason, Status, Verdict
from worker.jobs.verify_job import Why
from worker.store.database import AnyRow
from worker.store.requests.copies import Candidates, Copies
from worker.store.requests.tries import NOTHING_JUDGED, Tries

logger = logging.getLogger(__name__)

YIELDING: Final = frozenset({Reason.PRIMARY_UNSURE, Reason.NO_SOLO_PHOTO, Reason.BLIND_AUDIT})
"""Reasons of a review that give way to a photo of another member's. All others name a suspicion already."""


@dataclass(frozen=True, slots=True)
class SecondLooks:
    """Turns the machine's verdict into the recorded one, within the transaction that ends the request."""

    copies: Copies
    tries: Tries
    review_reused: bool
    """Whether a photo of another member's opens a review; it is written down in any case."""

    def near(self, c: sa.Connection, request: AnyRow, verdict: Verdict) -> Candidates:
        """Photos of others to look at; to be asked before the request's own are written."""
        if _is_exempt(request, verdict):
            return set()
        return self.copies.near(c, (verdict.selfie, *verdict.photos))

    def recorded(
        self,
        c: sa.Connection,
        both: tuple[AnyRow, AnyRow],
        verdict: Verdict,
        near: Candidates,
        now: datetime,
        *,
        manual: bool,
    ) -> Verdict:
        """The verdict, or a review with a reason of ours, of ``both`` a member and a request. The photos'
        rows are written since `near`.

        Of a ``manual`` request the photos of others are noted only: people look anyhow, or there is nothing
        to look at. The member's row is locked: of two requests of one member the second sees what the first
        came to.
        """
        member, request = both
        if _is_exempt(request, verdict):
            return verdict
        findings = (verdict.selfie, *verdict.photos)
        reuses = self.copies.note(c, request.member_id, request.request_id, findings, near)
        if reuses and self.review_reused and _yields(verdict) and not manual:
            return _review(verdict, Reason.PHOTO_REUSED, reuses[0].position)
        if manual or request.why == Why.OPERATOR or member.verified_request_id is None:
            return verdict  # the last: nothing has been judged before
        its = (c, request.member_id, request.request_id)
        if verdict.status is Status.APPROVED and self.tries.before(*its, now) >= self.tries.limit.most:
            return _review(verdict, Reason.TOO_MANY_TRIES, verdict.photo)
        if _asks_again(verdict) and self.tries.asked_again(*its):
            return _review(verdict, Reason.MANY_RETRIES, verdict.photo)
        return verdict


def _is_exempt(request: AnyRow, verdict: Verdict) -> bool:
    return bool(request.sandbox) or verdict.status is Status.ERROR


def _yields(verdict: Verdict) -> bool:
    return verdict.status is not Status.REVIEW or verdict.reason in YIELDING


def _asks_again(verdict: Verdict) -> bool:
    """Whether the member is asked for another photo after all photos were judged."""
    problems = [finding.fetch_problem for finding in (verdict.selfie, *verdict.photos)]
    waits = any(problem is not None and problem.passing for problem in problems)
    return verdict.status is Status.RETRY_PHOTO and verdict.reason not in NOTHING_JUDGED and not waits


def _review(verdict: Verdict, reason: Reason, photo: int | None) -> Verdict:
    logger.info("%s, %s becomes a review: %s", verdict.status, verdict.reason, reason)
    return replace(verdict, status=Status.REVIEW, reason=reason, photo=photo)
