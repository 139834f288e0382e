"""What kills its process under load: harms no neighbour, is seen by the operator, and can be put back."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator

import pytest

from chaos.run import stage_of
from chaos.stage import Stage
from chaos.stub_worker import a_photo
from pipeline.verdict import Status
from support.bundle import ROOT
from support.photo_server import Answer
from support.system import LONG
from worker.store.tables.states import State


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """On MariaDB and Redis."""
    with stage_of("redis", tmp_path_factory.mktemp("poison")) as stage:
        stage.start()
        yield stage


def command(stage: Stage, *words: str) -> str:
    """An operator's command on this system."""
    done = subprocess.run(
        [sys.executable, "-m", "worker", *words],
        env={**os.environ, **stage.settings},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


@pytest.mark.parametrize(
    "harm", [*(pytest.param(harm, marks=LONG) for harm in ("crash", "killed", "memory")), "hang"]
)
def test_a_poisonous_photo_ends_dead_and_comes_back_when_it_is_mended(stage: Stage, harm: str) -> None:
    neighbours = stage.crowd.members(f"beside-{harm}", 24)
    poison = stage.crowd.members(harm, 1, what=harm)
    stage.send([*neighbours[:12], *poison, *neighbours[12:]])
    stage.wait_for_all([*neighbours, *poison])
    (member,) = poison
    found = stage.audit(neighbours)
    assert not found.lost
    assert not found.doubled
    assert [line for line in found.wrong if not line.startswith("dead job of")] == []
    request = stage.store.requests.find(member.newest.request_id)
    assert request is not None
    assert (request.state, request.attempts) == (State.DEAD, 3)
    assert json.loads(command(stage, "status", "--json"))["dead_jobs"] == 1

    (dead,) = json.loads(command(stage, "requeue", "--json"))
    assert (dead["reason"], dead["request_id"]) == ("poison", member.newest.request_id)
    path = member.selfie_url.removeprefix(stage.photos.url)
    stage.photos.add(path, Answer(a_photo(Status.APPROVED)))
    command(stage, "requeue", str(dead["id"]))
    stage.wait_for_all(poison)
    mended = stage.store.requests.find(member.newest.request_id)
    assert mended is not None
    assert (mended.state, mended.status) == (State.DONE, Status.APPROVED)
    assert json.loads(command(stage, "status", "--json"))["dead_jobs"] == 0
