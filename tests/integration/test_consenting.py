"""Whose photos a calibration takes: of members who agreed, and who still do when it is their turn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import pytest

from pipeline.bundles.models import HeadParams, ReplayLimits
from pipeline.faces.occlusion import OcclusionClassifier
from pipeline.faces.quality import QualityLimits
from pipeline.faces.types import Embeddings
from pipeline.score import GenderHead, Scorer, Thresholds, Tower
from pipeline.verdict import Fault, FetchProblem, Gender, NotFetched, Status
from support import reviews
from support.jobs import LEASE, MOST, NOW, a_job, a_verdict, later
from worker.jobs.links import PhotoLink
from worker.serving.calibration import UNUSABLE, WITHDRAWN, Gathered, gather, measure
from worker.store import Attempt, Consenting, NewMember, Store
from worker.store.tables.states import PairLabel, Purpose


def member(
    store: Store, member_id: str, gender: Gender | None = Gender.FEMALE, *, consent: bool = True
) -> None:
    urls = (f"https://h/{member_id}/1.jpg", f"https://h/{member_id}/2.jpg")
    new = NewMember(member_id, gender, f"https://h/{member_id}/s.jpg", urls, training_consent=consent)
    store.members.import_list([new], NOW)


def judged(store: Store, member_id: str, **changes: object) -> None:
    """As the worker leaves it, with the member's photos."""
    urls = {
        "selfie_url": f"https://h/{member_id}/s.jpg",
        "photo_urls": [f"https://h/{member_id}/1.jpg", f"https://h/{member_id}/2.jpg"],
        "declared_gender": "female",
    }
    job = a_job(f"r-{member_id}", member_id, NOW, **{**urls, **changes})
    store.requests.accept(job, "verify", NOW)
    attempt = store.requests.acquire(job.request_id, "w", LEASE, MOST, NOW)
    assert isinstance(attempt, Attempt)
    assert store.requests.finish(attempt, a_verdict(), NOW)


def test_members_without_consent_gender_or_good_standing_are_left_out(store: Store) -> None:
    for member_id in ("m1", "m2", "m3"):
        member(store, member_id)
    member(store, "silent", consent=False)
    member(store, "unknown", None)
    judged(store, "m3")
    reviews.decide(store, "m3", Status.REJECTED, "kim", NOW)
    assert store.labels.consenting() == ["m1", "m2"]


def test_consent_that_ended_meanwhile_is_respected(store: Store) -> None:
    member(store, "m1")
    member(store, "m2")
    ids = store.labels.consenting()
    store.consents.record("m2", Purpose.TRAINING, NOW, given=False)
    assert [one.member_id for one in store.labels.calibration_photos(ids)] == ["m1"]


def test_photos_that_a_person_called_genuine_beside_this_selfie_come_along(store: Store) -> None:
    member(store, "m1")
    judged(store, "m1")
    reviews.label(store, "m1", 1, PairLabel.GENUINE, "kim", NOW)
    reviews.label(store, "m1", 2, PairLabel.GENUINE, "kim", NOW)
    reviews.label(store, "m1", 2, PairLabel.IMPOSTOR, "kim", later(1))
    found = store.labels.calibration_photos(["m1"])
    selfie = PhotoLink("https://h/m1/s.jpg", "m1")
    [genuine] = found[0].genuine
    assert found == [Consenting("m1", Gender.FEMALE, selfie, (genuine,))]
    assert (genuine.url, genuine.position) == ("https://h/m1/1.jpg", 1)


def test_labels_beside_an_earlier_selfie_do_not_count(store: Store) -> None:
    judged(store, "m1", selfie_url="https://h/m1/old.jpg")
    reviews.label(store, "m1", 1, PairLabel.GENUINE, "kim", NOW)
    member(store, "m1")
    [found] = store.labels.calibration_photos(["m1"])
    assert found.genuine == ()


@dataclass
class Host:
    """Photos whose content is their address; some are missing, some show no face."""

    missing: Mapping[str, NotFetched] = field(default_factory=dict)
    no_face: frozenset[str] = frozenset()
    asked: list[int] = field(default_factory=list)

    def fetch(self, links: Sequence[PhotoLink]) -> list[bytes | NotFetched]:
        self.asked.append(len(links))
        return [self.missing.get(link.url, link.url.encode()) for link in links]

    def embed(
        self, selfie: bytes | NotFetched, photos: Sequence[bytes | NotFetched]
    ) -> list[dict[str, Embeddings] | None]:
        return [self._face(photo) for photo in (selfie, *photos)]

    def _face(self, photo: bytes | NotFetched) -> dict[str, Embeddings] | None:
        if isinstance(photo, NotFetched) or photo.decode() in self.no_face:
            return None
        return {"sface": np.full((1, 2), len(photo), np.float32)}


def gathered(store: Store, host: Host, ids: Sequence[str]) -> Gathered:
    return gather(
        store.labels,
        store.requests,
        ids,
        fetch=host.fetch,
        embed=host.embed,
        progress=lambda _done, _of: None,
    )


def test_what_cannot_be_had_is_counted_and_stops_nothing(store: Store) -> None:
    for number in range(12):
        member(store, f"m{number:02}", Gender.MALE if number % 2 else Gender.FEMALE)
    ids = store.labels.consenting()
    store.consents.record("m03", Purpose.TRAINING, NOW, given=False)
    gone = NotFetched(FetchProblem.GONE, Fault.MEMBER)
    host = Host({"https://h/m01/s.jpg": gone}, frozenset({"https://h/m02/s.jpg"}))
    found = gathered(store, host, ids)
    assert len(found.members) == len(found.selfies) == len(found.genders) == 9
    assert found.lost == {WITHDRAWN: 1, UNUSABLE: 1, "gone": 1}
    assert len(host.asked) == 2
    assert sum(found.genders) == 4


def test_labelled_photos_belong_to_their_member(store: Store) -> None:
    for member_id in ("m1", "m2"):
        member(store, member_id)
        judged(store, member_id)
        reviews.label(store, member_id, 1, PairLabel.GENUINE, "kim", NOW)
    host = Host(no_face=frozenset({"https://h/m1/1.jpg"}))
    found = gathered(store, host, ["m1", "m2"])
    assert [owner for owner, _ in found.genuine] == [1]


@pytest.mark.parametrize("ids", [[], ["nobody"]])
def test_nobody_at_all_gives_nothing(store: Store, ids: list[str]) -> None:
    assert gathered(store, Host(), ids).members == []


# What the faces say of the edges

BEFORE = Thresholds(approve=0.9, different=0.2, scale=20.0)


def params() -> HeadParams:
    tower = Tower(np.zeros(8, np.float32), np.eye(8, dtype=np.float32), 1.0)
    gender, occlusion = GenderHead({}, 0.0, 0.7), OcclusionClassifier({}, {})
    return HeadParams(Scorer({"sface": tower}, BEFORE), gender, occlusion, QualityLimits(), ReplayLimits())


def impostors(count: int, labelled: int = 0) -> Gathered:
    """So many members whose faces have nothing to do with each other; some have a labelled photo."""
    rng = np.random.default_rng(3)
    found = Gathered()
    for number in range(count):
        face = rng.normal(size=(1, 8)).astype(np.float32)
        photo = face + rng.normal(scale=0.3, size=(1, 8)).astype(np.float32)
        member = Consenting(
            f"m{number}", Gender.MALE if number % 2 else Gender.FEMALE, PhotoLink("https://h/s.jpg"), ()
        )
        found.add(member, [{"sface": face}, *([{"sface": photo}] if number < labelled else [])])
    return found


def test_impostor_pairs_set_the_approve_threshold_and_a_few_labels_leave_the_other_alone() -> None:
    measured = measure(impostors(80, labelled=20), params(), 0.01)
    result = measured.calibration
    assert (result.impostors, result.genuine, measured.genuine_unused) == (2 * 40 * 39 // 2, 0, 20)
    assert (result.thresholds.different, result.different95) == (BEFORE.different, None)
    assert result.approve95[0] <= result.thresholds.approve <= result.approve95[1]
    assert measured.fmr_before < 0.01


def test_enough_labelled_pairs_set_the_different_threshold() -> None:
    measured = measure(impostors(360, labelled=350), params(), 0.01)
    assert (measured.calibration.genuine, measured.genuine_unused) == (350, 0)
    assert measured.calibration.different95 is not None
    assert measured.calibration.thresholds.different != BEFORE.different


def test_one_picture_under_two_ids_is_left_out() -> None:
    found = impostors(60)
    twin = Consenting("twin", Gender.FEMALE, PhotoLink("https://h/s.jpg"), ())
    found.add(twin, [found.selfies[0]])
    training = replace(params(), replay=ReplayLimits(score=0.999))
    assert measure(found, training, 0.01).twins == 1
