"""Heads in the database: one champion at any time, a way back to every earlier one, shadows."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from pathlib import Path

import pytest
import sqlalchemy as sa

from pipeline.bundles.bundle import open_head, open_manifest
from pipeline.errors import WeightsCorrupt, WeightsMissing
from pipeline.verdict import Reason, Status
from support.heads import a_bundle, a_head
from support.jobs import LEASE, MOST, NOW, a_job, a_verdict, later
from support.together import together
from worker.errors import NotPossible
from worker.serving.registry import NetworkFiles, check_head, publish
from worker.store import Attempt, Flip, HeadsInUse, Replaced, Store
from worker.store.tables.states import ModelState

Publish = Callable[[str], str]


@pytest.fixture
def challenger(store: Store, tmp_path: Path) -> Publish:
    """Publishes a version of this name."""

    def make(name: str) -> str:
        return publish(store.models, a_bundle(tmp_path / name, name), NOW)

    return make


def states(store: Store) -> dict[str, str]:
    return {record.version.partition("-")[0]: record.state.value for record in store.models.latest()}


# Publishing


def test_a_published_head_comes_back_as_it_was_in_its_bundle(store: Store, tmp_path: Path) -> None:
    folder = a_bundle(tmp_path / "bundle", "trained", scale=1.0, tiny=1e-9, text="한국어")
    version = publish(store.models, folder, NOW, figures={"tar": 0.97})
    head = store.models.head(version)
    assert head is not None
    manifest = open_manifest(head.manifest)
    assert manifest.version == version
    assert open_head(manifest, head.data).metadata["text"] == "한국어"
    [record] = store.models.latest()
    assert (record.state, record.calibration, record.figures) == ("challenger", "uncalibrated", {"tar": 0.97})
    check_head(head, folder, NetworkFiles("", tmp_path))
    assert store.models.head("other-00000000") is None


def test_publishing_the_same_version_again_changes_nothing(
    store: Store, challenger: Publish, tmp_path: Path
) -> None:
    version = challenger("a")
    store.models.promote(version, NOW)
    assert publish(store.models, tmp_path / "a", later(5), state=ModelState.REJECTED) == version
    assert store.models.champion() == version


def test_a_version_is_never_given_another_content(store: Store, tmp_path: Path) -> None:
    one, other = a_head(tmp_path / "one", approve=0.4), a_head(tmp_path / "other", approve=0.5)
    store.models.add(one, NOW)
    with pytest.raises(NotPossible, match="other content"):
        store.models.add(dataclasses.replace(other, version=one.version), NOW)


def test_what_a_database_cannot_hold_is_refused_in_clear_words(store: Store, tmp_path: Path) -> None:
    with pytest.raises(NotPossible, match="Infinity"):
        publish(store.models, a_bundle(tmp_path / "b", limit=float("inf")), NOW)
    with pytest.raises(NotPossible, match="cannot be published"):
        publish(store.models, a_bundle(tmp_path / "c", "two words"), NOW)
    assert store.models.latest() == []


def test_a_damaged_bundle_is_not_published(store: Store, tmp_path: Path) -> None:
    folder = a_bundle(tmp_path / "bundle")
    (folder / "head.npz").write_bytes(b"rubbish")
    with pytest.raises(WeightsCorrupt):
        publish(store.models, folder, NOW)
    assert store.models.latest() == []


def test_a_network_that_a_host_does_not_have_is_named(
    store: Store, challenger: Publish, tmp_path: Path
) -> None:
    head = store.models.head(challenger("a"))
    assert head is not None
    other = a_bundle(tmp_path / "other", "other", networks=("sface",))
    with pytest.raises(WeightsMissing, match="facenet"):
        check_head(head, other, NetworkFiles("", tmp_path))
    check_head(head, tmp_path / "a", NetworkFiles("", tmp_path))


# Promotion and rollback


def test_without_a_promotion_every_host_serves_what_it_was_shipped_with(
    store: Store, challenger: Publish
) -> None:
    challenger("a")
    assert store.models.in_use() == HeadsInUse(None)
    with pytest.raises(NotPossible, match="nothing to go back to"):
        store.models.rollback()


def test_the_first_promotion_can_be_rolled_back_to_the_shipped_bundle(
    store: Store, challenger: Publish
) -> None:
    version = challenger("a")
    assert store.models.promote(version, NOW) == Replaced(version, None)
    assert store.models.champion() == version
    assert store.models.previous_champion() is None
    assert store.models.rollback() == Replaced(None, version)
    assert store.models.champion() is None


def test_rolling_back_goes_through_every_earlier_champion_once(store: Store, challenger: Publish) -> None:
    a, b, c = (challenger(name) for name in "abc")
    store.models.promote(a, NOW)
    store.models.promote(b, later(1))
    assert store.models.rollback().champion == a
    store.models.promote(c, later(2))
    assert states(store) == {"a": "retired", "b": "retired", "c": "champion"}
    assert [store.models.rollback().champion for _ in range(2)] == [a, None]


def test_an_earlier_champion_that_is_promoted_again_is_passed_only_once_on_the_way_back(
    store: Store, challenger: Publish
) -> None:
    a, b = challenger("a"), challenger("b")
    for second, version in enumerate((a, b, a)):
        store.models.promote(version, later(second))
    assert [store.models.rollback().champion for _ in range(2)] == [b, None]


def test_a_host_whose_clock_is_late_cannot_upset_the_way_back(store: Store, challenger: Publish) -> None:
    a, b, c = (challenger(name) for name in "abc")
    store.models.promote(a, NOW)
    store.models.promote(b, NOW - timedelta(hours=1))
    store.models.promote(c, NOW - timedelta(hours=2))
    assert [store.models.rollback().champion for _ in range(3)] == [b, a, None]


def test_of_promotions_at_one_moment_one_champion_remains_and_nothing_is_lost(
    store: Store, challenger: Publish
) -> None:
    versions = [challenger(name) for name in "abcd"]
    for round_ in range(5):
        done = together([partial(store.models.promote, version, later(round_)) for version in versions])
        assert not [error for error in done if isinstance(error, Exception)]
        champions = [
            record.version for record in store.models.latest() if record.state is ModelState.CHAMPION
        ]
        assert len(champions) == 1
        assert store.models.champion() == champions[0]
        assert len({replaced.before for replaced in done}) == len(versions)  # one after the other
        assert {store.models.rollback().champion for _ in versions} == {*versions, None} - set(champions)


def test_a_promotion_holds_only_against_the_champion_that_was_beaten(
    store: Store, challenger: Publish
) -> None:
    a, b = challenger("a"), challenger("b")
    store.models.promote(a, NOW, over=None)
    with pytest.raises(NotPossible, match=f"the champion is {a}"):
        store.models.promote(b, NOW, over=None)
    assert store.models.promote(b, NOW, over=a) == Replaced(b, a)
    with pytest.raises(NotPossible, match="look again"):
        store.models.rollback(to=None)
    assert store.models.rollback(to=a).champion == a


def test_a_rejected_head_is_promoted_only_by_force(store: Store, tmp_path: Path) -> None:
    version = publish(
        store.models, a_bundle(tmp_path / "b"), NOW, figures={"why": "worse"}, state=ModelState.REJECTED
    )
    with pytest.raises(NotPossible, match="rejected"):
        store.models.promote(version, NOW)
    assert store.models.promote(version, NOW, force=True).champion == version


def test_a_version_that_is_not_there_cannot_be_promoted_or_shadowed(store: Store) -> None:
    with pytest.raises(NotPossible, match="no version x-1"):
        store.models.promote("x-1", NOW)
    with pytest.raises(NotPossible, match="no version x-1"):
        store.models.set_shadow("x-1", on=True)


def test_what_a_host_could_not_use_is_on_record_until_it_can(store: Store, challenger: Publish) -> None:
    version = challenger("a")
    store.models.note_problem(version, "host-1", "damaged", NOW)
    store.models.note_problem(version, "host-1", "still damaged", later(300))
    store.models.note_problem(version, "host-2", "no facenet", NOW)
    [record] = store.models.latest()
    assert [(r.host, r.problem) for r in record.refused] == [
        ("host-1", "still damaged"),
        ("host-2", "no facenet"),
    ]
    store.models.clear_problem(version, "host-1")
    assert [r.host for r in store.models.latest()[0].refused] == ["host-2"]
    store.models.promote(version, NOW)
    assert store.models.latest()[0].refused == ()


# Shadows


def judged(store: Store, request_id: str) -> None:
    store.requests.accept(a_job(request_id, f"m-{request_id}"), "verify", NOW)
    attempt = store.requests.acquire(request_id, "w", LEASE, MOST, NOW)
    assert isinstance(attempt, Attempt)
    assert store.requests.finish(attempt, a_verdict(), NOW)


def test_a_challenger_runs_in_shadow_until_it_is_called_off_or_promoted(
    store: Store, challenger: Publish
) -> None:
    a, b = challenger("a"), challenger("b")
    assert store.models.set_shadow(a, on=True)
    assert not store.models.set_shadow(a, on=True)
    assert store.models.set_shadow(b, on=True)
    assert store.models.in_use() == HeadsInUse(None, (a, b))
    assert store.models.set_shadow(b, on=False)
    store.models.promote(a, NOW)
    assert store.models.in_use() == HeadsInUse(a)
    with pytest.raises(NotPossible, match="champion"):
        store.models.set_shadow(a, on=True)


def test_a_report_counts_the_verdicts_that_would_flip_by_kind_with_examples(
    store: Store, challenger: Publish
) -> None:
    version = challenger("a")
    approved = a_verdict()
    review = a_verdict(Status.REVIEW, Reason.PRIMARY_UNSURE)
    for number, (decided, shadow) in enumerate(
        [(approved, approved), (approved, review), (approved, review), (review, approved)]
    ):
        judged(store, f"r{number}")
        said = dataclasses.replace(shadow, model_version=version)
        assert store.shadows.note(f"r{number}", decided, said, later(number))
    report = store.shadows.report(version, examples=1)
    assert (report.verdicts, report.agreed, report.first_at, report.last_at) == (4, 1, NOW, later(3))
    assert report.flips == (
        Flip(Status.APPROVED, Status.REVIEW, 2, ("r2",)),
        Flip(Status.REVIEW, Status.APPROVED, 1, ("r3",)),
    )
    assert store.models.latest()[0].shadow_verdicts == 4


def test_a_request_that_is_judged_again_has_one_shadow_verdict(store: Store) -> None:
    judged(store, "r1")
    for second in range(2):
        store.shadows.note("r1", a_verdict(), a_verdict(), later(second))
    with store.database.engine.connect() as c:
        assert c.scalar(sa.select(sa.func.count()).select_from(store.database.t.shadow_verdict)) == 1


def test_nothing_is_noted_about_a_request_whose_member_was_forgotten(store: Store) -> None:
    judged(store, "r1")
    store.members.forget("m-r1", NOW)
    assert not store.shadows.note("r1", a_verdict(), a_verdict(), NOW)


def test_no_report_where_nothing_was_judged_in_shadow(store: Store) -> None:
    report = store.shadows.report("nobody-1")
    assert (report.verdicts, report.agreed, report.first_at, report.flips) == (0, 0, None, ())
