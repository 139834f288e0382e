"""Redis behind Sentinel, asked for by name: when it is killed its replica takes over, and work goes on."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from chaos.failover import SentinelStage
from chaos.run import stage_of


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[SentinelStage]:
    """On MariaDB, and a Redis with a password behind Sentinels with another one."""
    with stage_of("sentinel", tmp_path) as stage:
        assert isinstance(stage, SentinelStage)
        stage.start()
        yield stage


def test_jobs_go_on_over_a_killed_redis(stage: SentinelStage) -> None:
    before, meanwhile, after = (stage.crowd.members(name, 12) for name in ("before", "meanwhile", "after"))
    stage.accept(before)
    stage.wait_for_some(before)
    stage.broker.kill()
    stage.accept(meanwhile)
    stage.promote()
    stage.send(after)  # not in the database: whoever is told that it was sent relies on the new Redis
    stage.wait_for_all([*before, *meanwhile, *after])
    found = stage.audit([*before, *meanwhile, *after])
    assert found.lines == []
    assert all(worker.running for worker in stage.workers)
