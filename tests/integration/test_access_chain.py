"""The records of access form a chain: whoever changes, removes or adds one by SQL is found out."""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor, wait
from dataclasses import replace
from datetime import timedelta
from functools import partial
from multiprocessing import get_context

import pytest
import sqlalchemy as sa

from support.access_writers import THREADS, write_records
from support.jobs import KIM, NOW, a_job, later
from worker.settings import load_settings
from worker.store import BreakKind, ChainReport, NewMember, Store
from worker.verification.maintenance import purge_old

KEY = b"test key"
IDS = [f"m{number}" for number in range(6)]
ROUNDS = 6


@pytest.fixture
def chained(store: Store) -> Store:
    """With six members and six records, of a second each."""
    store.members.import_list([NewMember(i, None, f"https://h/{i}.jpg", ()) for i in IDS], NOW)
    for second, member_id in enumerate(IDS):
        store.accesses.note([member_id], KIM, later(second))
    return store


def sql(store: Store, *statements: str) -> None:
    with store.database.engine.begin() as c:
        for statement in statements:
            c.exec_driver_sql(statement)


def ids(store: Store) -> list[int]:
    log = store.database.t.access_log
    with store.database.engine.connect() as c:
        return list(c.scalars(sa.select(log.c.id).order_by(log.c.id)))


def verified(store: Store) -> ChainReport:
    return store.access_chain.verify(later(100))


def told(report: ChainReport) -> list[tuple[BreakKind, int]]:
    return [(one.kind, one.number) for one in report.told]


def test_records_of_every_kind_hold_together(chained: Store) -> None:
    chained.accesses.note(IDS, KIM, later(7))
    chained.accesses.note_list(KIM, later(8))
    chained.accesses.note_absent("nobody", KIM, later(9))
    chained.members.import_list([NewMember("new", None, "https://h/n.jpg", ())], NOW, KIM)
    report = verified(chained)
    assert (report.holds, report.keyed, report.records, report.number) == (True, True, 15, 15)
    assert (report.unlinked, report.purged) == (0, 0)


def test_an_erasure_does_not_break_it(chained: Store) -> None:
    chained.members.forget("m2", later(50))
    report = verified(chained)
    assert (report.holds, report.records) == (True, 6)


def test_a_text_that_is_cut_to_its_column_is_linked_as_it_is_kept(chained: Store) -> None:
    chained.accesses.note(["m1"], replace(KIM, by="김" * 300, host="h" * 300, way="w" * 40), later(7))
    assert verified(chained).holds


@pytest.mark.parametrize(
    ("statement", "found"),
    [
        ("UPDATE access_log SET looked_by = 'lee' WHERE id = {2}", [("changed", 3)]),
        ("UPDATE access_log SET member_id = 'm5' WHERE id = {2}", [("changed", 3)]),
        ("UPDATE access_log SET client = NULL, host = NULL WHERE id = {0}", [("changed", 1)]),
        ("UPDATE access_log SET looked_at = '2026-11-24 01:00:00' WHERE id = {5}", [("changed", 6)]),
        ("DELETE FROM access_log WHERE id IN ({2}, {3})", [("removed", 3)]),
        ("DELETE FROM access_log WHERE id = {0}", [("removed", 1)]),
        ("DELETE FROM access_log WHERE id = {5}", [("newest_removed", 6)]),
        ("DELETE FROM access_log", [("newest_removed", 1)]),
        ("UPDATE access_log SET link = NULL, number = NULL WHERE id = {1}", [("removed", 2)]),
        ("DELETE FROM access_chain", [("head", 6)]),
        ("UPDATE access_chain SET number = 5", [("head", 6)]),
        ("UPDATE access_chain SET anchor_number = 1", [("anchor", 1), ("added", 2)]),
    ],
)
def test_what_is_changed_or_removed_by_sql_is_named(
    chained: Store, statement: str, found: list[tuple[str, int]]
) -> None:
    sql(chained, statement.format(*ids(chained)))
    report = verified(chained)
    assert not report.holds
    assert told(report) == found


def test_a_record_that_is_put_in_is_named(chained: Store) -> None:
    names = "member_id, looked_by, way, looked_at, action, host, client, login"
    sql(
        chained,
        f"INSERT INTO access_log ({names}, number, link) "
        f"SELECT {names}, 7, link FROM access_log WHERE number = 6",
    )
    assert told(verified(chained)) == [(BreakKind.CHANGED, 7), (BreakKind.HEAD, 7)]


def test_newest_records_that_were_removed_are_missed_after_others_were_written(chained: Store) -> None:
    sql(chained, "DELETE FROM access_log WHERE number >= 5")
    chained.accesses.note(["m1"], KIM, later(60))
    assert told(verified(chained)) == [(BreakKind.REMOVED, 5)]


def test_a_head_that_is_set_back_with_its_seal_of_then_is_found_out(chained: Store) -> None:
    chain = chained.database.t.access_chain
    with chained.database.engine.connect() as c:
        before = dict(c.execute(sa.select(chain)).mappings().one())
    chained.accesses.note(["m1"], KIM, later(60))
    with chained.database.engine.begin() as c:
        c.execute(sa.update(chain).values(**before))
    assert told(verified(chained)) == [(BreakKind.HEAD, 7)]
    chained.accesses.note(["m2"], KIM, later(61))
    assert told(verified(chained)) == [(BreakKind.ADDED, 8)]


def test_whoever_lacks_the_key_cannot_make_links(chained: Store) -> None:
    forger = Store(chained.database.engine, tombstone_key=b"a guess")
    forger.accesses.note(["m1"], KIM, later(60))
    assert told(verified(chained))[0] == (BreakKind.CHANGED, 7)


def test_without_a_key_the_report_says_so(chained: Store) -> None:
    assert not Store(chained.database.engine).access_chain.verify(NOW).keyed


def test_records_by_the_version_before_are_counted_and_break_nothing(chained: Store) -> None:
    old = "INSERT INTO access_log (member_id, looked_by, way, looked_at) VALUES ('m1', 'old', 'show', '{}')"
    sql(chained, old.format("2026-11-24 08:00:00"))
    chained.accesses.note(["m1"], KIM, later(60))
    report = verified(chained)
    assert (report.holds, report.records, report.unlinked, report.late) == (True, 7, 1, 1)


# The purge


def purged(store: Store, seconds: float) -> int:
    """Records that went with all that is older than that."""
    return purge_old(store.retention, load_settings(), later(seconds) + timedelta(days=730)).looks


def test_after_a_purge_the_rest_holds_and_the_anchor_says_where_it_begins(chained: Store) -> None:
    assert purged(chained, 3) == 3
    report = verified(chained)
    assert (report.holds, report.purged, report.records, report.number) == (True, 3, 3, 6)
    assert purged(chained, 30) == 3
    chained.accesses.note(["m1"], KIM, later(60))
    report = verified(chained)
    assert (report.holds, report.purged, report.records) == (True, 6, 1)


def test_the_oldest_records_removed_by_hand_are_missed_and_no_purge_hides_it(chained: Store) -> None:
    purged(chained, 1)
    sql(chained, "DELETE FROM access_log WHERE number IN (2, 3)")
    assert told(verified(chained)) == [(BreakKind.REMOVED, 2)]
    assert purged(chained, 4) == 1
    report = verified(chained)
    assert (report.breaks, report.told, report.purged) == (1, (), 4)


def test_a_record_that_another_clock_wrote_later_waits_for_its_time(chained: Store) -> None:
    chained.accesses.note(["m1"], KIM, later(3.5))
    assert purged(chained, 4.5) == 5
    assert (verified(chained).holds, verified(chained).records) == (True, 2)
    assert purged(chained, 5.5) == 2


def test_the_purge_takes_ids_of_the_sandbox_out_and_leaves_the_records(store: Store) -> None:
    sandbox = Store(store.database.engine, tombstone_key=KEY, sandbox_prefix="sandbox-")
    sandbox.requests.accept(a_job("r1", "sandbox-1"), "verify", NOW)
    sandbox.accesses.note(["sandbox-1"], KIM, NOW)
    assert purge_old(sandbox.retention, load_settings(), NOW + timedelta(days=2)).sandbox == 1
    assert verified(sandbox).holds
    assert len(sandbox.accesses.of_member("sandbox-1")) == 1


# Several at once


def test_several_processes_write_one_chain_while_members_are_erased_and_old_records_go(
    chained: Store,
) -> None:
    url = chained.database.engine.url.render_as_string(hide_password=False)
    work = partial(write_records, url, KEY, IDS[:5], ROUNDS)
    with ProcessPoolExecutor(1, get_context("spawn")) as other, ThreadPoolExecutor(1) as here:
        writers = [other.submit(work, 0), here.submit(work, 1)]
        removed = 0
        while wait(writers, 0.3).not_done:
            assert verified(chained).told == ()
            removed += purged(chained, 0.5)
        written = sum(writer.result() for writer in writers)
    chained.members.forget("m5", later(200))
    report = verified(chained)
    assert written == len(writers) * THREADS * ROUNDS * 5
    assert (report.told, report.number, report.purged) == ((), len(IDS) + written, removed)
    assert report.records == report.number - removed
