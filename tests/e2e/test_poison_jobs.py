"""What kills its process under load: harms no neighbour, is seen by the operator, and can be put back."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator

import pytest

from chaos.deployment import Deployment
from chaos.run import deployment_of
from chaos.stub_worker import a_photo
from pipeline.verdict import Status
from support.bundle import ROOT
from support.photo_server import Answer
from support.system import LONG
from worker.store.tables.states import State


@pytest.fixture(scope="module")
def deployment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    """On MariaDB and Redis."""
    with deployment_of("redis", tmp_path_factory.mktemp("poison")) as deployment:
        deployment.start()
        yield deployment


def command(deployment: Deployment, *words: str) -> str:
    """An operator's command on this system."""
    done = subprocess.run(
        [sys.executable, "-m", "worker", *words],
        env={**os.environ, **deployment.settings},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


@LONG
@pytest.mark.parametrize("harm", ["crash", "killed", "memory", "hang"])
def test_a_poisonous_photo_ends_dead_and_comes_back_when_it_is_mended(
    deployment: Deployment, harm: str
) -> None:
    neighbours = deployment.crowd.members(f"beside-{harm}", 24)
    poison = deployment.crowd.members(harm, 1, what=harm)
    deployment.send([*neighbours[:12], *poison, *neighbours[12:]])
    deployment.wait_for_all([*neighbours, *poison])
    (member,) = poison
    found = deployment.audit(neighbours)
    assert not found.lost
    assert not found.doubled
    assert [line for line in found.wrong if not line.startswith("dead job of")] == []
    request = deployment.store.requests.find(member.newest.request_id)
    assert request is not None
    assert (request.state, request.attempts) == (State.DEAD, 3)
    assert json.loads(command(deployment, "status", "--json"))["dead_jobs"] == 1

    (dead,) = json.loads(command(deployment, "requeue", "--json"))
    assert (dead["reason"], dead["request_id"]) == ("poison", member.newest.request_id)
    path = member.selfie_url.removeprefix(deployment.photos.url)
    deployment.photos.add(path, Answer(a_photo(Status.APPROVED)))
    command(deployment, "requeue", str(dead["id"]))
    deployment.wait_for_all(poison)
    mended = deployment.store.requests.find(member.newest.request_id)
    assert mended is not None
    assert (mended.state, mended.status) == (State.DONE, Status.APPROVED)
    assert json.loads(command(deployment, "status", "--json"))["dead_jobs"] == 0
