"""A member is forgotten while a real worker is busy with them."""

from __future__ import annotations

import pytest

from support.system import System
from support.traces import files_that_hold, tables_that_hold
from support.workers import wait_until
from worker.clock import utc_now
from worker.store.tables.states import State

MEMBER = "member-zero"


@pytest.fixture(params=["system", "embedded"])
def either(request: pytest.FixtureRequest) -> System:
    """On MariaDB and Redis, and with nothing set."""
    found: System = request.getfixturevalue(request.param)
    return found


def test_neither_the_running_job_nor_the_queued_ones_bring_the_member_back(either: System) -> None:
    running, queued, broken = (either.job(name, member_id=MEMBER) for name in ("running", "queued", "broken"))
    running["selfie_url"] = either.photos.add_photo("slow.jpg", either.couple[0], delay=2)
    either.start()
    either.send(running)
    wait_until(lambda: either.state("running") is State.RUNNING)
    either.send(queued, {**broken, "why": "no reason"}, either.job("other"))
    either.store.members.forget(MEMBER, utc_now())
    either.wait_for(["other"])  # is behind the others
    assert either.store.reports.status(utc_now()).members == 1
    assert either.dead == ["forgotten"] * 2
    assert tables_that_hold(either.store.database.engine, MEMBER, running["selfie_url"]) == set()
    either.store.close()
    assert files_that_hold(either.folder / "var", MEMBER, running["selfie_url"]) == set()
