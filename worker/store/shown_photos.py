"""The photos of a case for whoever has it: where they are, which files were judged, where the faces lie."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime

import sqlalchemy as sa

from pipeline.verdict import Box, Landmarks, PhotoFinding
from worker.jobs.links import PhotoLink, current_links, urls_of
from worker.store.access.log import AccessLog
from worker.store.database import AnyRow, Database
from worker.store.members.galleries import Galleries
from worker.store.members.records import Access
from worker.store.requests.rows import finding_of
from worker.store.reviews.claims import hold, is_suspended
from worker.store.reviews.records import Claim
from worker.store.tables.people import is_waiting
from worker.store.tables.states import State


@dataclass(frozen=True, slots=True)
class ShownPhoto:
    """A photo of a request."""

    link: PhotoLink = field(repr=False)
    """Its ``sha256`` is of the file that was judged; None where the worker had none."""
    box: Box | None = None
    """The face that was compared, in pixels of the picture as `pipeline.images.decode` returns it."""
    landmarks: Landmarks | None = None

    @property
    def position(self) -> int:
        """0 is the selfie."""
        return self.link.position


@dataclass(frozen=True, slots=True)
class ShownPhotos:
    """The photos of a request that a person must decide about, the selfie first."""

    request_id: str
    photos: tuple[ShownPhoto, ...]
    looked_at: datetime | None
    """When whoever has the case opened it last; None where nobody has it."""

    def at(self, position: int) -> ShownPhoto | None:
        """The photo of this position; None where there is none."""
        return self.photos[position] if 0 <= position < len(self.photos) else None


class CasePhotos:
    """Reads what is needed to fetch and to show the photos of a case."""

    def __init__(self, database: Database, accesses: AccessLog) -> None:
        self._db = database
        self._t = database.t
        self._accesses = accesses
        self._galleries = Galleries(database.t)

    def held(self, claim: Claim, now: datetime) -> ShownPhotos:
        """Those of a claim that holds. Raises CaseGone, CaseSuspended, ClaimLost, CaseChanged."""

        def read(c: sa.Connection) -> ShownPhotos:
            held = hold(c, self._db, claim, now)
            return self._shown(c, held.member, held.request, held.photos, held.case.looked_at)

        return self._db.write(read)  # under locks

    def record(self, claim: Claim, access: Access, now: datetime) -> None:
        """Write down that a photo is shown, if the claim still holds. Raises the same."""

        def write(c: sa.Connection) -> None:
            hold(c, self._db, claim, now)
            self._accesses.write(c, [claim.member_id], replace(access, by=claim.reviewer), now)

        self._db.write(write)

    def waiting(self, request_id: str) -> ShownPhotos | None:
        """Those of a request that waits for a person, whom the case may go to; None of any other.

        For fetching ahead: nobody sees them by this.
        """
        return self._db.read(lambda c: self._waiting(c, request_id))

    def _waiting(self, c: sa.Connection, request_id: str) -> ShownPhotos | None:
        case, m, v = self._t.review_case, self._t.member, self._t.verification
        its = (case.c.request_id == request_id, is_waiting(case), m.c.request_id == request_id)
        query = sa.select(case.c.id).join(m, m.c.member_id == case.c.member_id)
        if c.scalar(query.where(*its, ~is_suspended(self._t)).limit(1)) is None:
            return None
        request = c.execute(sa.select(v).where(v.c.request_id == request_id)).one()
        member = c.execute(sa.select(m).where(m.c.member_id == request.member_id)).one()
        if not State(request.state).ended:
            return None
        vp = self._t.verification_photo
        rows = c.execute(sa.select(vp).where(vp.c.request_id == request_id))
        return self._shown(c, member, request, rows, None)

    def _shown(
        self,
        c: sa.Connection,
        member: AnyRow,
        request: AnyRow,
        rows: Iterable[AnyRow],
        looked_at: datetime | None,
    ) -> ShownPhotos:
        """``rows``: of `verification_photo`."""
        found = {one.position: one for one in map(finding_of, rows)}
        digests = {position: one.sha256 for position, one in found.items() if one.sha256}
        now = self._galleries.links(c, member)
        links = current_links(urls_of(request.message), now, member.member_id, digests)
        photos = (ShownPhoto(link, *_place(found.get(link.position))) for link in links)
        return ShownPhotos(request.request_id, tuple(photos), looked_at)


def _place(finding: PhotoFinding | None) -> tuple[Box | None, Landmarks | None]:
    return (None, None) if finding is None else (finding.box, finding.landmarks)
