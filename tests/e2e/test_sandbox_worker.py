"""A worker that serves the sandbox alone: what an app's tests need, without models and without photos."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.system import HASTY, System
from worker.store.tables.states import State
from worker.verification.sandbox import names
from worker.verification.scenarios import SCENARIOS

NO_PHOTO = "retry_photo-no_photos"
MODELS = ("cv2", "litert", "tensorflow")


def sandbox_job(system: System, name: str) -> dict[str, object]:
    """A request of the member who is named so; nothing lies behind its links."""
    links = [f"https://photos.example.com/{number}.jpg" for number in range(3)]
    return system.job(
        f"r-{name}",
        member_id=f"sandbox-{name}.7",
        selfie_url=links[0],
        photo_urls=[] if name == NO_PHOTO else links[1:],
        declared_gender="female",
    )


@pytest.fixture
def bare(system: System, tmp_path: Path) -> System:
    """On MariaDB and Redis, without a bundle."""
    system.settings |= {**HASTY, "VERIFY_BUNDLE": str(tmp_path / "nowhere")}
    return system


def test_every_name_comes_to_its_verdict_without_models_or_photos(bare: System) -> None:
    worker = bare.start("--sandbox")
    bare.send(*(sandbox_job(bare, name) for name in names()), bare.job("real"))
    bare.wait_for(["real", "r-dead-poison", "r-dead-not_stored"], State.DEAD)
    judged = [f"{status}-{reason}" for status, reasons in SCENARIOS.items() for reason in reasons]
    bare.wait_for([*(f"r-{name}" for name in judged), "r-waiting"])
    found = {row["request_id"]: row for row in bare.verifications()}
    said = {f"{row['status']}-{row['reason']}": request_id for request_id, row in found.items()}
    assert {name: said.get(name) for name in judged if name != "approved-same_person"} == {
        name: f"r-{name}" for name in judged if name != "approved-same_person"
    }
    assert (found["r-waiting"]["status"], found["r-waiting"]["postponed"]) == ("approved", 1)
    assert {request_id for request_id, row in found.items() if not row["sandbox"]} == {"real"}
    assert bare.dead == ["not_stored", "poison", "sandbox_only"]
    (pid, *_) = worker.pool()
    maps = Path(f"/proc/{pid}/maps").read_text()
    assert not [name for name in MODELS if name in maps]
    assert worker.words.count("get made-up verdicts") == 1
