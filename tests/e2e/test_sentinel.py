"""Redis behind Sentinel, asked for by name: when it is killed its replica takes over, and work goes on."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from chaos.failover import SentinelDeployment
from chaos.run import deployment_of


@pytest.fixture
def deployment(tmp_path: Path) -> Iterator[SentinelDeployment]:
    """On MariaDB, and a Redis with a password behind Sentinels with another one."""
    with deployment_of("sentinel", tmp_path) as deployment:
        assert isinstance(deployment, SentinelDeployment)
        deployment.start()
        yield deployment


def test_jobs_go_on_over_a_killed_redis(deployment: SentinelDeployment) -> None:
    before, meanwhile, after, late = (deployment.crowd.members(f"phase-{n}", 12) for n in range(4))
    first = deployment.broker
    deployment.accept(before)
    deployment.wait_for_some(before)
    first.kill()
    deployment.accept(meanwhile)
    deployment.promote()
    deployment.send(after)  # not in the database: whoever is told that it was sent relies on the new Redis
    deployment.wait_for_all([*before, *meanwhile, *after])
    first.start()  # it is back, empty, and thinks that it is the primary
    deployment.send(late)
    members = [*before, *meanwhile, *after, *late]
    deployment.wait_for_all(members)
    assert deployment.audit(members).lines == []
    assert all(worker.running for worker in deployment.workers)
