"""Where eyes, nose and mouth lie: read back for a reviewer, told nobody else, gone with the member."""

from __future__ import annotations

import json

import sqlalchemy as sa

from pipeline.verdict import Outcome, PhotoFinding
from support.cases import a_store, judged, rows
from support.jobs import NOW, PHOTOS, SELFIE
from worker.store import Store


def test_the_landmarks_are_read_back_and_those_of_an_older_version_are_none(store: Store) -> None:
    older = PhotoFinding(2, Outcome.USABLE, sha256="d" * 64, faces=1, box=SELFIE.box)
    judged(store, photos=(PHOTOS[0], older))
    found = store.requests.find("r1")
    assert found is not None
    assert found.selfie is not None
    assert found.selfie.landmarks == SELFIE.landmarks
    assert [finding.landmarks for finding in found.photos] == [PHOTOS[0].landmarks, None]


def test_the_app_hears_nothing_of_landmarks(store: Store) -> None:
    listening = a_store(store.database.engine)
    judged(listening)
    told = json.dumps([*rows(listening, listening.database.t.event)], default=str)
    assert "m1" in told
    assert "landmarks" not in told
    assert "right_eye" not in told


def test_they_go_with_the_member(store: Store) -> None:
    judged(store)
    store.members.forget("m1", NOW)
    vp = store.database.t.verification_photo
    assert store.database.read(lambda c: c.scalar(sa.select(sa.func.count()).select_from(vp))) == 0
