"""One photo used by several members: the same file, or a near copy of it.

A near copy is looked for by its 64-bit hash, of which an index holds four bands: two hashes that differ in
few bits have one band in common, nearly always. The 256-bit hash then tells copies from portraits that merely
look alike from afar. The limits were measured; the figures are in `docs/accuracy.md`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import sqlalchemy as sa

from pipeline.verdict import Outcome, PerceptualHash, PhotoFinding, Status
from worker.store.database import AnyRow
from worker.store.requests.records import PhotoReuse
from worker.store.tables.people import is_undone
from worker.store.tables.schema import BANDS, Tables
from worker.store.tables.states import State

COARSE_BITS: Final = 8
"""Hashes of 64 bits that differ in at most so many are candidates."""
FINE_BITS: Final = 28
"""Hashes of 256 bits that differ in at most so many are those of one picture."""
_CANDIDATES: Final = 200
"""At most, of one search."""
_KEPT: Final = 20
"""Reuses written down for one request, at most: those of the photos that were used first."""
Candidates = set[tuple[str, int]]
"""Request and position of photos."""
Search = sa.Select[str, int]
_HASHES: Final = ("phash", "phash_fine", *BANDS)


@dataclass(frozen=True, slots=True)
class Copies:
    """Finds photos of other members within the transactions of others."""

    t: Tables
    _searches: dict[int, sa.CompoundSelect[str, int]] = field(default_factory=dict, repr=False, compare=False)
    """Those of `near`, by the number of hashes: to build one anew for each request takes longer than to run
    it."""

    def near(self, c: sa.Connection, findings: Sequence[PhotoFinding]) -> Candidates:
        """Photos that may be near copies, of those that are committed.

        To be asked before the request's own rows are written: InnoDB looks up the request of every photo that
        shares a page of an index with such a row, some 1,400 at a million members.
        """
        hashes = [each for photo in findings if photo.sha256 for each in _searched(photo)]
        values = {name: value for n, each in enumerate(hashes) for name, value in _searched_for(n, each)}
        rows = c.execute(self._band_searches(len(hashes)), values) if hashes else ()
        return {(row.request_id, row.position) for row in rows}

    def _band_searches(self, hashes: int) -> sa.CompoundSelect[str, int]:
        """One for each band, by parameters of `_searched_for`. They are subqueries, since SQLite has no limit
        for one part of a union."""
        if hashes not in self._searches:
            found = [
                self._some(sa.or_(*(self._differs_little(band, n) for n in range(hashes)))) for band in BANDS
            ]
            self._searches[hashes] = sa.union_all(*(sa.select(each.subquery()) for each in found))
        return self._searches[hashes]

    def note(
        self,
        c: sa.Connection,
        member_id: str,
        request_id: str,
        findings: Sequence[PhotoFinding],
        near: Candidates,
    ) -> list[PhotoReuse]:
        """Write down which photos of a request another member had used before; those nobody knows of yet.

        ``near`` is what `near` has found. The rows of the request's photos must have been written since: of
        two members who send one photo at once the searches wait for each other's rows, so that the later one
        finds it. (Not a near copy with another hash, within the milliseconds before the other's commit.)
        """
        photos = [finding for finding in findings if finding.sha256 and _may_tell(finding)]
        candidates = near | self._alike(c, photos)
        rows = self._rows(c, {candidate for candidate in candidates if candidate[0] != request_id})
        found = [reuse for photo in photos for reuse in _reuses(photo, member_id, rows)]
        if not found:
            return []
        found = _first_of_each(found)[:_KEPT]
        c.execute(sa.insert(self.t.photo_reuse), [_values(request_id, one) for one in found])
        accepted = self._accepted(c, member_id)
        return [one for one in found if one.of_member_id not in accepted]

    def _alike(self, c: sa.Connection, photos: Sequence[PhotoFinding]) -> Candidates:
        """Photos with the same file, or the same hash to the last bit."""
        vp = self.t.verification_photo
        hashes = [each for photo in photos for each in _searched(photo)]
        same = [self._has_hash(each) for each in hashes]
        searches = [vp.c.sha256.in_([photo.sha256 for photo in photos])] if photos else []
        found: Candidates = set()
        for search in [*searches, *([sa.or_(*same)] if same else [])]:
            # Locked, so that a row which another transaction has just inserted is waited for.
            rows = c.execute(self._some(search).with_for_update(read=True))
            found |= {(row.request_id, row.position) for row in rows}
        return found

    def _some(self, search: sa.ColumnElement[bool]) -> Search:
        vp = self.t.verification_photo
        return sa.select(vp.c.request_id, vp.c.position).where(search).limit(_CANDIDATES)

    def _has_hash(self, searched: PerceptualHash) -> sa.ColumnElement[bool]:
        vp, coarse = self.t.verification_photo, searched.coarse
        return sa.and_(vp.c[BANDS[0]] == _bands(coarse)[0], vp.c.phash == _signed(coarse))

    def _differs_little(self, band: str, n: int) -> sa.ColumnElement[bool]:
        vp = self.t.verification_photo
        differs = sa.func.bit_count(vp.c.phash.bitwise_xor(sa.bindparam(f"phash_{n}")))
        return sa.and_(vp.c[band] == sa.bindparam(f"{band}_{n}"), differs <= COARSE_BITS)

    def _rows(self, c: sa.Connection, candidates: Candidates) -> list[AnyRow]:
        """The candidates that were judged, also in the member's earlier requests."""
        v, vp = self.t.verification, self.t.verification_photo
        if not candidates:
            return []
        query = (
            sa.select(vp.c.request_id, vp.c.position, vp.c.sha256, vp.c.phash, vp.c.phash_fine)
            .add_columns(v.c.member_id, v.c.finished_at)
            .join(v, v.c.request_id == vp.c.request_id)
            .where(v.c.state == State.DONE, v.c.status != Status.ERROR, sa.not_(v.c.sandbox))
            .where(v.c.request_id.in_({request_id for request_id, _ in candidates}))
        )
        return [row for row in c.execute(query) if (row.request_id, row.position) in candidates]

    def _accepted(self, c: sa.Connection, member_id: str) -> set[str]:
        """Members whose photos this one may use: a person has approved a request in which it was seen."""
        v, d, r = self.t.verification, self.t.decision, self.t.photo_reuse
        other = v.alias()
        query = (
            sa.select(other.c.member_id)
            .join(r, r.c.of_request_id == other.c.request_id)
            .join(v, v.c.request_id == r.c.request_id)
            .join(d, d.c.request_id == v.c.request_id)
            .where(v.c.member_id == member_id, d.c.status == Status.APPROVED, ~is_undone(self.t.decision))
        )
        return set(c.scalars(query))


def hash_values(finding: PhotoFinding) -> dict[str, Any]:
    """The columns of `verification_photo` by which copies of a photo are found; NULL where none are."""
    picture = next(_searched(finding), None)
    if picture is None:
        return dict.fromkeys(_HASHES)
    bands = zip(BANDS, _bands(picture.coarse), strict=True)
    return {"phash": _signed(picture.coarse), "phash_fine": f"{picture.fine:064x}", **dict(bands)}


def _may_tell(photo: PhotoFinding) -> bool:
    """Whether the photo's use by others would say something: it shows one person, or nobody has looked."""
    return photo.one_person or (photo.outcome is Outcome.NOT_COMPARED and photo.faces == 0)


def _searched(photo: PhotoFinding) -> Iterator[PerceptualHash]:
    """The hashes of a photo of one person and of its mirror image, unless it is too plain."""
    if photo.one_person and photo.hashes is not None and not photo.hashes.featureless:
        yield from (photo.hashes.picture, photo.hashes.mirror)


def _reuses(photo: PhotoFinding, member_id: str, rows: Sequence[AnyRow]) -> list[PhotoReuse]:
    """Copies of the photo in others' requests, of before the member used it for the first time."""
    copies = [(row, same) for row in rows for same in [_same_file(photo, row)] if same is not None]
    # Of two members at once the later one's time may be the earlier: so without a use before all count.
    since = min((row.finished_at for row, _ in copies if row.member_id == member_id), default=None)
    return [
        PhotoReuse(
            photo.position, row.member_id, row.request_id, row.position, row.finished_at, same_file=same
        )
        for row, same in copies
        if row.member_id != member_id and (since is None or row.finished_at <= since)
    ]


def _first_of_each(found: Sequence[PhotoReuse]) -> list[PhotoReuse]:
    """Of each other member the first use of each photo, the earliest first."""
    ordered = sorted(found, key=lambda one: (one.of_since, one.position, one.of_position))
    return list({(one.position, one.of_member_id): one for one in reversed(ordered)}.values())[::-1]


def _same_file(photo: PhotoFinding, row: AnyRow) -> bool | None:
    """Whether a candidate is the same file; False where it is a near copy, None where it is neither."""
    if row.sha256 == photo.sha256:
        return True
    if row.phash is None:
        return None
    other = PerceptualHash(row.phash % 2**64, int(row.phash_fine, 16))
    differences = [each.differs(other) for each in _searched(photo)]
    near = any(coarse <= COARSE_BITS and fine <= FINE_BITS for coarse, fine in differences)
    return False if near else None


def _values(request_id: str, reuse: PhotoReuse) -> Mapping[str, Any]:
    return {
        "request_id": request_id,
        "position": reuse.position,
        "of_request_id": reuse.of_request_id,
        "of_position": reuse.of_position,
        "same_file": reuse.same_file,
    }


def _searched_for(n: int, searched: PerceptualHash) -> Iterator[tuple[str, int]]:
    """The parameters of a search that are about its hash number ``n``."""
    yield f"phash_{n}", _signed(searched.coarse)
    yield from ((f"{band}_{n}", value) for band, value in zip(BANDS, _bands(searched.coarse), strict=True))


def _signed(number: int) -> int:
    """64 bits as the databases hold them."""
    return number - 2**64 if number >= 2**63 else number


def _bands(coarse: int) -> tuple[int, ...]:
    return tuple(coarse >> shift & 0xFFFF for shift in (48, 32, 16, 0))
