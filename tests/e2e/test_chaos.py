"""The short form of `make chaos`: each fault once, and no job lost, ended twice, or wrong.

Sentinel has a test of its own (`test_sentinel`).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from chaos.deployment import Deployment
from chaos.faults import FAULTS, Fault, broker_killed
from chaos.run import deployment_of, experiment
from support.servers import ServerMissing

JOBS = 30


@pytest.fixture(scope="module")
def deployment(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Deployment]:
    """One system of each kind, for all faults that are done to it."""
    with ExitStack() as stack:
        try:
            yield stack.enter_context(deployment_of(request.param, tmp_path_factory.mktemp("chaos")))
        except ServerMissing as missing:
            pytest.skip(str(missing))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("deployment", "fault"),
    [
        pytest.param(fault.deployment, fault, id=fault.name)
        for fault in FAULTS
        if not fault.long and fault.inject is not broker_killed and fault.deployment != "sentinel"
    ],
    indirect=["deployment"],
)
def test_nothing_is_lost_doubled_or_wrong(deployment: Deployment, fault: Fault) -> None:
    row = experiment(deployment, fault, JOBS, times=1)
    assert row.clean, [row, *(worker.words[-2000:] for worker in deployment.workers)]
