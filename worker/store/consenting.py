"""Members who agreed that their photos are learned from, as a calibration takes them."""

from __future__ import annotations

from collections.abc import Collection

import sqlalchemy as sa

from pipeline.verdict import Gender, Status
from worker.store.contents import Contents
from worker.store.model_records import Consenting
from worker.store.tables.states import PairLabel


class ConsentingMembers(Contents):
    """`consenting_members`, `calibration_photos`."""

    def consenting_members(self) -> list[str]:
        """IDs of members with training consent, a declared gender and a selfie, in the IDs' order.

        Whom a person has rejected is left out: people who are turned away come back under other IDs.
        """
        m = self.t.member
        rejected = sa.func.coalesce(m.c.verification_status, "") == Status.REJECTED
        query = sa.select(m.c.member_id).where(*self._consent(), sa.not_(rejected)).order_by(m.c.member_id)
        return list(self._read(lambda c: c.scalars(query).all()))

    def calibration_photos(self, member_ids: Collection[str]) -> list[Consenting]:
        """The photos of those of these members who consent still."""
        return self._read(lambda c: self._calibration_photos(c, member_ids))

    def _calibration_photos(self, c: sa.Connection, member_ids: Collection[str]) -> list[Consenting]:
        m = self.t.member
        query = sa.select(m.c.member_id, m.c.declared_gender, m.c.selfie_url)
        rows = c.execute(query.where(*self._consent(), m.c.member_id.in_(member_ids))).all()
        genuine = self._genuine(c, {row.member_id: row.selfie_url for row in rows})
        return [Consenting(i, Gender(gender), url, tuple(genuine.get(i, ()))) for i, gender, url in rows]

    def _consent(self) -> tuple[sa.ColumnElement[bool], ...]:
        m = self.t.member
        return (
            m.c.training_consent,
            m.c.declared_gender.in_([Gender.MALE, Gender.FEMALE]),
            m.c.selfie_url.is_not(None),
        )

    def _genuine(self, c: sa.Connection, selfies: dict[str, str]) -> dict[str, list[str]]:
        """Gallery photos that people called genuine beside this very selfie; the latest label counts."""
        label, v = self.t.label, self.t.verification
        latest = sa.select(sa.func.max(label.c.id)).group_by(label.c.request_id, label.c.position)
        rows = c.execute(
            sa.select(v.c.member_id, v.c.message, label.c.position)
            .join(v, v.c.request_id == label.c.request_id)
            .where(v.c.member_id.in_(selfies), label.c.label == PairLabel.GENUINE, label.c.id.in_(latest))
            .order_by(label.c.id)
        )
        found: dict[str, list[str]] = {}
        for member_id, message, position in rows:
            urls = list(message.get("photo_urls") or ())
            if message.get("selfie_url") == selfies[member_id] and 0 < position <= len(urls):
                found.setdefault(member_id, []).append(str(urls[position - 1]))
        return {member_id: list(dict.fromkeys(urls)) for member_id, urls in found.items()}
