"""Every command of docs/operations.md does its work under the account that the runbook names for it.

Commands are taken out of the document, so that a new one cannot lack its right. MEMBER, NUMBER, ID, … stand
for what is in a database of the test's own; a command that needs more than that has its line in `NEEDS`.
"""

from __future__ import annotations

import json
import re
import shlex
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import click
import pytest
import sqlalchemy as sa
import yaml
from click.testing import CliRunner, Result

from pipeline.verdict import Reason, Status, Verdict
from support import reviews
from support.bundle import ROOT, ensure_bundle
from support.grants import OWNER, Granted, granted_database
from support.heads import a_bundle
from support.jobs import KIM, LEASE, MOST, NOW, a_job, a_message, a_verdict
from support.keys import key_pair
from support.training import TrainingScene, labelled_member
from worker import runtime
from worker.cli import COMMANDS
from worker.cli import main as worker_cli
from worker.clock import utc_now
from worker.errors import MemberForgotten
from worker.serving.registry import publish
from worker.store import Attempt, DeadJob, NewMember, Store, build_engine
from worker.store.tables.states import PairLabel, Role

RUNBOOK = (ROOT / "docs" / "operations.md").read_text()
SERVICES: dict[str, Any] = yaml.safe_load((ROOT / "worker/production/compose.yml").read_text())["services"]
IN_PLACE: Mapping[str, str] = {"init-db": "migrate"}
"""Services that the runbook puts in place of `python -m worker`; of all other commands: `operator`."""
PYTHON, COMPOSE = "python -m worker ", "docker compose run --rm "
KEY = "test key"
PATIENCE_SECONDS = 300
"""Until a command that waits for something is given up."""


@dataclass(frozen=True)
class Command:
    """A command line of the runbook, and the service that runs it in production."""

    service: str
    words: tuple[str, ...]

    @property
    def account(self) -> str:
        """Of the service, in the database."""
        url = SERVICES[self.service]["environment"]["VERIFY_DATABASE_URL"]
        return re.sub(r"^mysql://(\w+):.*", r"\1", url)


def written() -> list[str]:
    """What stands in the runbook as code: between backticks, or in a block of its own."""
    blocks = re.findall(r"(?m)^    (\S.*)$", RUNBOOK)
    return [*blocks, *re.findall(r"`([^`\n]+)`", re.sub(r"(?m)^    \S.*$", "", RUNBOOK))]


def read(code: str) -> Command | None:
    """The command that this is; None for all else, and where only a command's name is mentioned."""
    if code.startswith(COMPOSE):
        service, _, rest = code.removeprefix(COMPOSE).partition(f" {PYTHON}")
        rest = "init-db" if service == IN_PLACE["init-db"] else rest
        return Command(service, tuple(shlex.split(rest))) if rest else None
    name, _, rest = code.removeprefix(PYTHON).partition(" ")
    if name not in COMMANDS or not (rest or code.startswith(PYTHON)):
        return None
    words = (name, *shlex.split(rest))
    return Command(IN_PLACE.get(name, "operator"), words) if whole(words) else None


def whole(words: Sequence[str]) -> bool:
    """Whether it has all that it needs."""
    found: click.Command | None = worker_cli
    rest = [*words]
    while isinstance(found, click.Group) and rest:
        found = found.get_command(click.Context(found), rest.pop(0))
    if found is None or isinstance(found, click.Group):
        return False
    return len(rest) >= sum(isinstance(each, click.Argument) and each.required for each in found.params)


RUN = sorted({command for code in written() if (command := read(code))}, key=lambda c: (c.words, c.service))


@dataclass
class Scene:
    """A database in which the runbook's placeholders stand for something."""

    worker: Store
    operator: Store
    console: Store
    folder: Path
    stands_for: dict[str, str] = field(default_factory=dict)
    settings: dict[str, str] = field(default_factory=dict)
    meanwhile: Callable[[], object] = lambda: None
    """What others do while the command runs, again and again."""

    def prepare(self) -> None:
        """A member who waits for a review, and a dead job."""
        judged(self.worker, "r1", "m1", a_verdict(Status.REVIEW, Reason.DIFFERENT_PERSON))
        self.worker.requests.accept(a_job("r2", "m2"), "verify", NOW)
        self.worker.requests.give_up("r2", "poison", "boom", NOW)
        [dead] = self.operator.dead_jobs.latest()
        self.stands_for |= {"MEMBER": "m1", "NUMBER": str(dead.id), "ID": "r1", "NAME": "kim"}

    def fill(self, words: tuple[str, ...]) -> list[str]:
        """The command with what the placeholders stand for."""
        return [self.stands_for.get(word, word) for word in words]


def judged(store: Store, request_id: str, member_id: str, verdict: Verdict, at: datetime = NOW) -> None:
    store.requests.accept(a_job(request_id, member_id, at), "verify", at)
    attempt = store.requests.acquire(request_id, "w", LEASE, MOST, at)
    assert isinstance(attempt, Attempt)
    assert store.requests.finish(attempt, verdict, at)


# What some commands need besides.


def barred(scene: Scene) -> None:
    scene.operator.members.forget("m3", NOW)
    with pytest.raises(MemberForgotten):
        scene.worker.requests.accept(a_job("r3", "m3"), "verify", NOW)
    scene.stands_for["MEMBER"] = "m3"


def an_error(scene: Scene) -> None:
    judged(scene.worker, "r3", "m3", a_verdict(Status.ERROR, Reason.SELFIE_NOT_FETCHED))
    scene.stands_for["ID"] = "r3"


def invalid_message(scene: Scene) -> None:
    scene.worker.dead_jobs.add(DeadJob("no_task", "no job", b"no job", "verify"), NOW)


def a_pending_member(scene: Scene) -> None:
    scene.operator.members.import_list([NewMember("m3", None, "https://h/s.jpg", ())], NOW)


def long_ago(scene: Scene) -> None:
    """Something of everything that is purged."""
    then = NOW - timedelta(days=2000)
    judged(scene.worker, "old", "m3", a_verdict(), then)
    scene.worker.shadows.note("old", a_verdict(), a_verdict(), then)
    scene.worker.dead_jobs.add(
        DeadJob("unknown_schema", "no job", json.dumps(a_message()).encode(), "verify"), then
    )
    scene.operator.accesses.note(["m1"], KIM, then)


def heads(scene: Scene) -> None:
    """A champion with one before it, and a challenger that has judged in shadow."""
    scene.settings["VERIFY_BUNDLE"] = str(a_bundle(scene.folder / "shipped", "default"))
    for name in ("first", "second"):
        scene.worker.models.promote(
            publish(scene.worker.models, a_bundle(scene.folder / name, name), NOW), NOW
        )
    version = publish(scene.worker.models, a_bundle(scene.folder / "third", "third"), NOW)
    scene.worker.shadows.note("r1", a_verdict(), replace(a_verdict(), model_version=version), NOW)
    scene.stands_for |= {"VERSION": version, "DIR": str(a_bundle(scene.folder / "new", "new"))}


def a_retraining(scene: Scene) -> None:
    """One that has ended, a label since, and workers for the next one."""
    labelled_member(scene.operator, "m4", judge=scene.worker)
    training = TrainingScene(scene.worker, promote=False)
    training.collect()
    assert training.step() == "ended"
    reviews.label(scene.operator, "m4", 1, PairLabel.GENUINE, "kim", NOW)
    scene.settings["VERIFY_RETRAIN_MIN_LABELS"] = "1"
    workers = TrainingScene(scene.worker, promote=False, now=utc_now())
    scene.meanwhile = lambda: (workers.step(), workers.deliver())


def models_without_members(scene: Scene) -> None:
    scene.settings["VERIFY_BUNDLE"] = str(ensure_bundle())


def a_signing_key(scene: Scene) -> None:
    scene.settings["VERIFY_HEAD_SIGNING_KEY"] = str(key_pair(scene.folder / "keys")[1])


def a_reviewer(scene: Scene) -> None:
    """Somebody at work, to whom no case belongs yet."""
    scene.settings["VERIFY_OPERATOR"] = "kim"


def a_claim(scene: Scene) -> None:
    reviews.looked(scene.operator, "m1", at=utc_now())


def answers(scene: Scene) -> None:
    reviews.answered(scene.operator, "m1", at=utc_now())


def a_decision(scene: Scene) -> None:
    reviews.decide(scene.operator, "m1", Status.REJECTED, at=utc_now())


def people(scene: Scene) -> None:
    """Somebody of the console, and another admin: the last one cannot go."""
    for name in ("kim", "lee"):
        scene.console.staff.accounts.add(name, [Role.ADMIN], "root", utc_now())


NEEDS: Mapping[str, Callable[[Scene], None]] = {
    "review": a_reviewer,
    "review answer": a_claim,
    "review show": a_claim,
    "review decide": answers,
    "review undo": a_decision,
    "review reopen": a_decision,
    "review object": a_decision,
    "unbar": barred,
    "purge": long_ago,
    "enqueue --pending": a_pending_member,
    "requeue --request": an_error,
    "dismiss --reason": invalid_message,
    "models": heads,
    "models sign": a_signing_key,
    "retrain": a_retraining,
    "calibrate": models_without_members,
    "console reset": people,
    "console close": people,
}
"""By how the command begins."""
SAYS: Mapping[str, str] = {
    "purge": "numbers of 4 photos, the messages of 1 dead jobs, 1 entries of the access log, 1 verdicts",
    "enqueue": "1 request queued",
    "requeue --all": "1 request queued",
    "requeue --request": "1 request queued",
    "requeue NUMBER": "1 request queued",
    "retrain --wait": "done",
    "calibrate": "no consenting member has a selfie",
}
"""Where a command that finds nothing to do would need no right."""
ENDS_EARLY = ("calibrate",)
"""It needs more than a test has: hundreds of members with photos."""


@pytest.fixture(scope="module")
def granted(mariadb_url: str) -> Iterator[Granted]:
    """A database with our tables and accounts."""
    with granted_database(mariadb_url) as found:
        yield found


@pytest.fixture
def scene(granted: Granted, tmp_path: Path) -> Iterator[Scene]:
    """On empty tables."""
    granted.empty()
    engines = [build_engine(granted.url_of(f"verify_{name}")) for name in ("worker", "operator", "console")]
    worker, operator, console = (Store(engine, tombstone_key=KEY.encode()) for engine in engines)
    found = Scene(worker, operator, console, tmp_path)
    found.prepare()
    yield found
    for engine in engines:
        engine.dispose()


@pytest.mark.parametrize("command", RUN, ids=lambda c: f"{c.service}: {' '.join(c.words)}")
def test_a_command_of_the_runbook_has_the_rights_that_it_needs(
    command: Command, scene: Scene, granted: Granted, monkeypatch: pytest.MonkeyPatch
) -> None:
    line = " ".join(command.words)
    for begins, prepare in NEEDS.items():
        if line.startswith(begins):
            prepare(scene)
    monkeypatch.chdir(scene.folder)
    monkeypatch.setenv("VERIFY_HOME", str(scene.folder / "var"))
    monkeypatch.setenv("VERIFY_TOMBSTONE_KEY", KEY)
    monkeypatch.setenv("VERIFY_DATABASE_URL", granted.url_of(command.account))
    for name, value in scene.settings.items():
        monkeypatch.setenv(name, value)
    status, said = run(scene.fill(command.words), scene.meanwhile)
    assert status == (1 if line.startswith(ENDS_EARLY) else 0), said
    assert all(text in said for begins, text in SAYS.items() if line.startswith(begins)), said


def run(words: list[str], meanwhile: Callable[[], object]) -> tuple[int, str]:
    """The command in this process, and what it said."""
    if "forget" in words and "--yes" not in words:
        words = [*words, "--yes"]  # nobody is there to be asked
    runtime.reset()
    results: list[Result] = []

    def invoke() -> None:
        results.append(CliRunner().invoke(worker_cli, words))

    command = threading.Thread(target=invoke, daemon=True)
    command.start()
    deadline = time.monotonic() + PATIENCE_SECONDS
    while command.is_alive() and time.monotonic() < deadline:
        meanwhile()
        command.join(0.05)
    assert results, f"no end of {words}"
    if runtime.store.cache_info().currsize:
        runtime.store().close()
    runtime.reset()
    return results[0].exit_code, results[0].output


def test_the_runbooks_commands_were_found_with_their_accounts() -> None:
    found = {(" ".join(command.words), command.account) for command in RUN}
    assert len(found) >= 25
    assert {
        ("status --json", "verify_operator"),
        ("requeue NUMBER", "verify_operator"),
        ("forget MEMBER --yes --unknown", "verify_operator"),
        ("models promote VERSION", "verify_operator"),
        ("purge", "verify_worker"),
        ("calibrate --from-members", "verify_worker"),
        ("init-db", OWNER),
    } <= found


@pytest.mark.parametrize("account", ["verify_operator", "verify_app"])
def test_what_the_runbook_gives_to_another_account_the_others_cannot_do(
    scene: Scene, granted: Granted, monkeypatch: pytest.MonkeyPatch, account: str
) -> None:
    """Or the runbook would name a service for nothing."""
    long_ago(scene)
    monkeypatch.setenv("VERIFY_DATABASE_URL", granted.url_of(account))
    assert run(["purge"], lambda: None)[0] == 1
    with granted.admin.connect() as c:
        assert c.scalar(sa.text("SELECT COUNT(*) FROM access_log")) == 1
