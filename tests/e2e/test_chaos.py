"""The short form of `make chaos`: each fault once, and no job lost, ended twice, or wrong.

Sentinel has a test of its own (`test_sentinel`).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from chaos.faults import FAULTS, Fault, broker_killed
from chaos.run import experiment, stage_of
from chaos.stage import Stage
from support.servers import ServerMissing

JOBS = 30


@pytest.fixture(scope="module")
def stage(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """One system of each kind, for all faults that are done to it."""
    with ExitStack() as stack:
        try:
            yield stack.enter_context(stage_of(request.param, tmp_path_factory.mktemp("chaos")))
        except ServerMissing as missing:
            pytest.skip(str(missing))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("stage", "fault"),
    [
        pytest.param(fault.stage, fault, id=fault.name)
        for fault in FAULTS
        if not fault.long and fault.inject is not broker_killed and fault.stage != "sentinel"
    ],
    indirect=["stage"],
)
def test_nothing_is_lost_doubled_or_wrong(stage: Stage, fault: Fault) -> None:
    row = experiment(stage, fault, JOBS, times=1)
    assert row.clean, [row, *(worker.words[-2000:] for worker in stage.workers)]
