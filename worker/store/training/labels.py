"""Labels, as a retraining and a calibration use them: the latest of a photo counts.

Verdicts of the model are not learned from.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any, Final

import sqlalchemy as sa

from pipeline.verdict import Gender, Status
from worker.jobs.links import PhotoLink, current_links, is_same_photo, name_of, urls_of
from worker.store.database import AnyRow, Database
from worker.store.members.galleries import Galleries
from worker.store.reviews.audit import audit_on, blind_audited
from worker.store.tables.states import LEARNED_LABELS, PairLabel, RunState
from worker.store.training.records import Audit, Consenting, TruePhoto, Truth

MOST_PHOTOS: Final = 16
"""Of one member: more teach little, and cost everybody time."""
FURTHER_IMPOSTOR: Final = "further_impostor"
"""Two strangers' photos of one member may show one stranger; nobody said. One of them is used."""
CONTRADICTION: Final = "contradiction"
"""One picture is the member's selfie here and a stranger's there."""
ENOUGH_PHOTOS: Final = "enough_photos"
_CAME_TO_AN_END: Final = (RunState.DONE, RunState.REJECTED, RunState.PROMOTED)


class Labels:
    """What may be learned from, and what the blind audit says."""

    def __init__(self, database: Database) -> None:
        self._db = database
        self._t = database.t
        self._galleries = Galleries(database.t)

    def truth(self) -> Truth:
        """How much there is to learn from."""
        return self._db.read(self.truth_on)

    def truth_on(self, c: sa.Connection) -> Truth:
        """The same within the transaction of another. It reads the request and the member of each label."""
        label, v = self._t.label, self._t.verification
        new = sa.func.sum(sa.case((label.c.id > self._last_on(c), 1), else_=0))
        columns = (sa.func.count(), sa.func.coalesce(new, 0), sa.func.count(v.c.member_id.distinct()))
        told = label.c.label.in_(LEARNED_LABELS)
        labels, new_labels, members = c.execute(self.of_consenting(*columns).where(told)).one()
        return Truth(labels=labels, new_labels=int(new_labels), members=members)

    def new_labels(self, most: int) -> int:
        """How many there are since the last retraining that came to an end; ``most`` where there are more."""
        return self._db.read(lambda c: self.new_labels_on(c, most))

    def new_labels_on(self, c: sa.Connection, most: int) -> int:
        """The same within the transaction of another. It reads no more of them than that."""
        label = self._t.label
        new = (label.c.label.in_(LEARNED_LABELS), label.c.id > self._last_on(c))
        some = self.of_consenting(label.c.id).where(*new).limit(most).subquery()
        return c.scalar(sa.select(sa.func.count()).select_from(some)) or 0

    def _last_on(self, c: sa.Connection) -> int:
        """The newest label that a retraining has learned from which came to an end."""
        r = self._t.training_run
        return c.scalar(sa.select(sa.func.max(r.c.last_label)).where(r.c.state.in_(_CAME_TO_AN_END))) or 0

    def audit(self) -> Audit:
        """Of all approvals ever sampled for the blind audit: how many a person found wrong.

        Consent plays no part: nothing is learned from it but this one number. See `audit_on`.
        """
        return self._db.read(lambda c: audit_on(c, self._t))

    def of_consenting(self, *columns: Any) -> sa.Select[Any]:
        """Labels of members who consented; those of the sandbox show nobody."""
        label, v, m = self._t.label, self._t.verification, self._t.member
        return (
            sa.select(*columns)
            .select_from(label)
            .join(v, v.c.request_id == label.c.request_id)
            .join(m, m.c.member_id == v.c.member_id)
            .where(m.c.training_consent, sa.not_(m.c.sandbox))
        )

    def true_photos(self, c: sa.Connection, member_id: str) -> tuple[TruePhoto, ...]:
        """The member's labelled photos and the selfies that they were compared with."""
        label, v, m = self._t.label, self._t.verification, self._t.member
        query = self.of_consenting(
            label.c.id,
            label.c.request_id,
            label.c.position,
            label.c.label,
            label.c.gender,
            label.c.labelled_by,
            sa.func.coalesce(label.c.sha256, self._file(label.c.position)).label("sha256"),
            sa.func.coalesce(label.c.selfie_sha256, self._file(0)).label("selfie_sha256"),
            v.c.message,
            m.c.member_id,
            m.c.declared_gender,
            m.c.selfie_url,
            blind_audited(self._t).label("audited"),
        ).where(v.c.member_id == member_id)
        rows = c.execute(query.order_by(label.c.id)).all()
        return assemble(rows, self._galleries.links(c, rows[0]) if rows else [])

    def _file(self, position: sa.ColumnElement[int] | int) -> sa.ScalarSelect[str]:
        """SHA-256 of a photo of the label's request, for labels without: it is of when it was judged last."""
        label, vp = self._t.label, self._t.verification_photo
        same = (vp.c.request_id == label.c.request_id, vp.c.position == position)
        return sa.select(vp.c.sha256).where(*same).correlate(label).scalar_subquery()

    def consenting(self) -> list[str]:
        """IDs of members with training consent, a declared gender and a selfie, in the IDs' order.

        Whom a person has rejected is left out: people who are turned away come back under other IDs.
        """
        m = self._t.member
        rejected = sa.func.coalesce(m.c.verification_status, "") == Status.REJECTED
        query = (
            sa.select(m.c.member_id).where(*self._may_calibrate(), sa.not_(rejected)).order_by(m.c.member_id)
        )
        return list(self._db.read(lambda c: c.scalars(query).all()))

    def calibration_photos(self, member_ids: Collection[str]) -> list[Consenting]:
        """The photos of those of these members who consent still."""
        return self._db.read(lambda c: self._calibration_photos(c, member_ids))

    def _calibration_photos(self, c: sa.Connection, member_ids: Collection[str]) -> list[Consenting]:
        m = self._t.member
        query = sa.select(m.c.member_id, m.c.declared_gender, m.c.selfie_url)
        rows = c.execute(query.where(*self._may_calibrate(), m.c.member_id.in_(member_ids))).all()
        genuine = self._genuine(c, {row.member_id: self._galleries.links(c, row) for row in rows})
        return [
            Consenting(i, Gender(gender), PhotoLink(url, i), tuple(genuine.get(i, ())))
            for i, gender, url in rows
        ]

    def _may_calibrate(self) -> tuple[sa.ColumnElement[bool], ...]:
        m = self._t.member
        return (
            m.c.training_consent,
            sa.not_(m.c.sandbox),
            m.c.declared_gender.in_([Gender.MALE, Gender.FEMALE]),
            m.c.selfie_url.is_not(None),
        )

    def _genuine(self, c: sa.Connection, links: dict[str, list[str]]) -> dict[str, list[PhotoLink]]:
        """Gallery photos that people called genuine beside this very selfie; the latest label counts."""
        label, v = self._t.label, self._t.verification
        its = (label.c.id, label.c.request_id, label.c.position, label.c.label, label.c.labelled_by)
        query = sa.select(*its, label.c.sha256, v.c.member_id, v.c.message)
        query = query.join(v, v.c.request_id == label.c.request_id).where(v.c.member_id.in_(links))
        rows = _that_count(c.execute(query.order_by(label.c.id)).all())
        found: dict[str, dict[str, PhotoLink]] = {}
        for row in rows:
            urls, now, position = urls_of(row.message), links[row.member_id], row.position
            here = is_same_photo(urls[0], now[0]) and 0 < position < len(urls)
            if here and row.label == PairLabel.GENUINE:
                link = current_links(urls, now, row.member_id, {position: row.sha256})[position]
                found.setdefault(row.member_id, {})[link.url] = link
        return {member_id: list(by_url.values()) for member_id, by_url in found.items()}


def assemble(rows: Sequence[AnyRow], now: Sequence[str] = ()) -> tuple[TruePhoto, ...]:
    """A member's photos out of the label rows, oldest first, with the links that the member has ``now``.

    Where a person said of a gallery photo that it is genuine, the selfie beside it is the member, and
    only such selfies are used; where nobody ever did, the latest selfie is.
    """
    said = _that_count(rows)
    photos = _once(_photo(row, now) for row in said)
    selfies = _once(_selfie(row, now) for row in _with_a_selfie(said))
    return tuple(_sorted_out(selfies, photos))


def _that_count(rows: Sequence[AnyRow]) -> list[AnyRow]:
    """The latest label of each photo, in their order. Who could not tell has no say, and may have changed
    their mind to that."""
    by_person = {(row.request_id, row.position, row.labelled_by.lower()): row for row in rows}
    told = sorted((r for r in by_person.values() if r.label in LEARNED_LABELS), key=lambda row: row.id)
    latest = {(row.request_id, row.position): row for row in told}
    return sorted(latest.values(), key=lambda row: row.id)


def _with_a_selfie(rows: Sequence[AnyRow]) -> Sequence[AnyRow]:
    genuine = [row for row in rows if row.label == PairLabel.GENUINE]
    return genuine or rows[-1:]


def _photo(row: AnyRow, now: Sequence[str]) -> TruePhoto:
    label = PairLabel(row.label)
    return TruePhoto(
        link=_link(row, row.position, row.sha256, now),
        label=label,
        gender=_gender(row, declared=label is PairLabel.GENUINE),
        audited=bool(row.audited),
    )


def _selfie(row: AnyRow, now: Sequence[str]) -> TruePhoto:
    genuine = row.label == PairLabel.GENUINE
    return TruePhoto(
        link=_link(row, 0, row.selfie_sha256, now),
        label=None,
        gender=_gender(row, declared=True) if genuine else _declared(row),
        audited=bool(row.audited),
    )


def _link(row: AnyRow, position: int, sha256: str | None, now: Sequence[str]) -> PhotoLink:
    links = current_links(urls_of(row.message), now, row.member_id, {position: sha256} if sha256 else {})
    return links[position] if position < len(links) else PhotoLink("", row.member_id, position, sha256)


def _gender(row: AnyRow, *, declared: bool) -> Gender | None:
    """What the person said of the face, else, of the member's own, what the member declared."""
    if row.gender is not None:
        return Gender(row.gender)
    return _declared(row) if declared else None


def _declared(row: AnyRow) -> Gender | None:
    return None if row.declared_gender is None else Gender(row.declared_gender)


def _once(photos: Iterable[TruePhoto]) -> list[TruePhoto]:
    """Each picture once, with the latest that was said of it."""
    return list({_key(photo): photo for photo in photos}.values())


def _sorted_out(selfies: Sequence[TruePhoto], photos: Sequence[TruePhoto]) -> Iterator[TruePhoto]:
    """The member's own photos, then strangers', those not to be looked at with their reason."""
    own = {_key(selfie) for selfie in selfies}
    strange = [photo for photo in photos if photo.label is PairLabel.IMPOSTOR]
    genuine = [p for p in photos if p.label is PairLabel.GENUINE and _key(p) not in own]
    both = own & {_key(photo) for photo in strange}
    for number, photo in enumerate([*selfies, *genuine, *reversed(strange)]):
        if _key(photo) in both:
            yield replace(photo, reason=CONTRADICTION)
        elif photo.label is PairLabel.IMPOSTOR and photo is not strange[-1]:
            yield replace(photo, reason=FURTHER_IMPOSTOR)
        else:
            yield photo if number < MOST_PHOTOS else replace(photo, reason=ENOUGH_PHOTOS)


def _key(photo: TruePhoto) -> str:
    return photo.link.sha256 or str(name_of(photo.link.url))
