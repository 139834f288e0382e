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
    before, meanwhile, after, late = (stage.crowd.members(f"phase-{n}", 12) for n in range(4))
    first = stage.broker
    stage.accept(before)
    stage.wait_for_some(before)
    first.kill()
    stage.accept(meanwhile)
    stage.promote()
    stage.send(after)  # not in the database: whoever is told that it was sent relies on the new Redis
    stage.wait_for_all([*before, *meanwhile, *after])
    first.start()  # it is back, empty, and thinks that it is the primary
    stage.send(late)
    members = [*before, *meanwhile, *after, *late]
    stage.wait_for_all(members)
    assert stage.audit(members).lines == []
    assert all(worker.running for worker in stage.workers)
