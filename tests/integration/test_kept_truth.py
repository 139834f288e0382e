"""How much there is to learn from: what is kept of many labels is what a count of all of them says."""

from __future__ import annotations

from pathlib import Path

import pytest
import sqlalchemy as sa
from integration.conftest import Cli

from support import reviews
from support.desk import Desk
from support.heads import a_bundle
from support.jobs import LEASE, MOST, NOW, later
from support.training import labelled_member
from support.workers import rows
from worker import runtime, tasks
from worker.settings import load_settings
from worker.store import RunLease, Store
from worker.store.tables.states import PairLabel, Purpose, RunState
from worker.store.training.kept_truth import KeptTruth
from worker.store.training.records import Truth

HOUR = 3600
GENUINE, IMPOSTOR, UNCLEAR = PairLabel.GENUINE, PairLabel.IMPOSTOR, PairLabel.CANNOT_TELL


@pytest.fixture
def many(store: Store) -> KeptTruth:
    """Kept, however few labels there are: of five members, one of whom has not consented."""
    for number in range(4):
        labelled_member(store, f"m{number}", (GENUINE, IMPOSTOR))
    labelled_member(store, "silent", consent=False)
    return KeptTruth(store.database, store.labels, counted_now=0)


def row_by_row(store: Store) -> Truth:
    """Each label looked at by itself."""
    t, ended = store.database.t, (RunState.DONE, RunState.REJECTED, RunState.PROMOTED)
    with store.database.engine.connect() as c:
        last = max(
            [run.last_label or 0 for run in c.execute(sa.select(t.training_run)) if run.state in ended] or [0]
        )
        members = {row.member_id: row for row in c.execute(sa.select(t.member))}
        whose = {row.request_id: row.member_id for row in c.execute(sa.select(t.verification))}
        labels = c.execute(sa.select(t.label)).all()
    learned = [
        row
        for row in labels
        if row.label in (GENUINE, IMPOSTOR)
        and members[whose[row.request_id]].training_consent
        and not members[whose[row.request_id]].sandbox
    ]
    new = sum(row.id > last for row in learned)
    return Truth(len(learned), new, len({whose[row.request_id] for row in learned}))


def ended(store: Store, state: RunState) -> None:
    """A retraining of all labels that there are, which came to this end."""
    assert store.training_runs.ask("lee", NOW)
    lease = store.training_runs.acquire("w", LEASE, MOST, NOW)
    assert isinstance(lease, RunLease)
    assert store.training_runs.end(lease, state, NOW)


def test_what_is_kept_is_what_a_count_of_all_labels_says(store: Store, many: KeptTruth) -> None:
    def agrees(hours: int) -> Truth:
        assert many.renew(later(hours * HOUR))
        truth, counted_at = many.truth()
        assert (truth, counted_at) == (row_by_row(store), later(hours * HOUR))
        assert store.labels.truth() == truth
        assert store.labels.new_labels(1000) == truth.new_labels
        return truth

    assert agrees(0) == Truth(labels=8, new_labels=8, members=4)
    ended(store, RunState.FAILED)
    assert agrees(1).new_labels == 8  # nothing came of it
    ended(store, RunState.DONE)
    assert agrees(2).new_labels == 0
    reviews.label(store, "m1", 2, GENUINE, "lee", later(1))
    reviews.label(store, "m1", 1, UNCLEAR, "lee", later(1))
    reviews.label(store, "silent", 1, GENUINE, "lee", later(1))
    assert agrees(3) == Truth(labels=9, new_labels=1, members=4)
    store.consents.record("m2", Purpose.TRAINING, NOW, given=False)
    store.members.forget("m3", NOW)
    assert agrees(4) == Truth(labels=5, new_labels=1, members=2)


def test_few_labels_are_counted_at_each_question_and_many_once_an_hour(store: Store, many: KeptTruth) -> None:
    before, counted_at = many.truth()
    assert counted_at is None  # nobody has counted yet
    assert many.renew(NOW)
    reviews.label(store, "m1", 2, GENUINE, "lee", later(1))
    assert many.truth() == (before, NOW)
    now, counted_at = store.kept_truth.truth()
    assert (now.labels, counted_at) == (before.labels + 1, None)
    assert not many.renew(later(HOUR - 1))
    assert many.renew(later(HOUR))
    assert many.truth() == (now, later(HOUR))


def test_new_labels_are_counted_up_to_as_many_as_are_wanted(store: Store, many: KeptTruth) -> None:
    assert many.truth()[0].new_labels == 8
    assert [store.labels.new_labels(most) for most in (0, 1, 7, 8, 9)] == [0, 1, 7, 8, 8]
    assert store.training_runs.ask("lee", NOW, at_least=9) is None
    assert store.training_runs.ask("lee", NOW, at_least=8)


def test_the_page_says_when_they_were_counted(store: Store, many: KeptTruth, tmp_path: Path) -> None:
    config = load_settings({"home": tmp_path / "var", "bundle": a_bundle(tmp_path / "shipped", "default")})
    desk = Desk(store, config, now=later(600))
    store.kept_truth = many
    assert "8 labels of 4 members" in desk.see("/training")
    assert "Counted: " not in desk.see("/training")
    many.renew(NOW)
    assert "Counted: " in desk.see("/training")


def test_the_sweep_counts_labels_and_months_of_records_one_after_the_other(here: Cli, store: Store) -> None:
    assert here("status").exit_code == 0
    runtime.reset()
    slow = {"access_month_0", "access_month_1", "access_month_2", "labels"}
    found = []
    for _ in range(5):
        tasks.sweep()
        found.append(slow & {row["name"] for row in rows(store, store.database.t.tally)})
    assert [len(names) for names in found] == [1, 2, 3, 4, 4]
    assert "labels" not in found[2]
    runtime.store().close()
