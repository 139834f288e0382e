"""The client for the app, and the same message by hand."""

from __future__ import annotations

import base64
import json
import os
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import redis

from support.bad_requests import REQUESTS, SECRET, ask, errors
from support.bundle import ROOT
from support.servers import Redis
from worker.broker.envelope import RawMessage, decode_item, validate
from worker.broker.publisher import Publisher
from worker.client import Client, NotSent, request_verification
from worker.client.broker import Access
from worker.clock import utc_now
from worker.jobs import queues
from worker.jobs.verify_job import VerifyJob, parse_job

SELFIE = "https://photos.example.com/m1/selfie.jpg?sig=1"
PHOTOS = ["https://photos.example.com/m1/1.jpg", "https://photos.example.com/m1/2.jpg"]


class AnyArguments:
    """Stands for a Celery task: the signature of the real one is `(job)`."""

    def __header__(self, job: Any) -> None: ...


def received(raw: bytes, queue: str = queues.VERIFY) -> VerifyJob:
    """The job in a raw queue item, as a worker reads it."""
    payload = decode_item(raw, queue)
    body = payload["body"]
    if payload["properties"].get("body_encoding") == "base64":
        body = base64.b64decode(body).decode()
    message = RawMessage(
        payload["headers"], body.encode(), payload["content-type"], payload["content-encoding"], queue
    )
    task = validate(message, {queues.VERIFY_MEMBER: AnyArguments()}, utc_now())
    _, kwargs, _ = json.loads(task.body)
    return parse_job(kwargs["job"])


def waiting(url: str, queue: str = queues.VERIFY) -> list[bytes]:
    with redis.Redis.from_url(url) as client:
        items: list[bytes] = client.lrange(queue, 0, -1)
        return items


def test_a_request_arrives_whole(redis_url: str) -> None:
    when = datetime(2026, 11, 24, 7, 0, tzinfo=UTC)
    with Client(redis_url) as client:
        request_id = request_verification(
            "m1", SELFIE, PHOTOS, "female", "photos_changed", requested_at=when, client=client
        )
    (item,) = waiting(redis_url)
    job = received(item)
    assert (job.request_id, job.member_id, job.requested_at) == (request_id, "m1", when)
    assert (job.selfie_url, list(job.photo_urls)) == (SELFIE, PHOTOS)
    assert (job.declared_gender, job.why) == ("female", "photos_changed")


def test_the_broker_is_the_one_in_the_settings(redis_url: str) -> None:
    """In a process of its own, as an app would use it."""
    code = (
        "from worker.client import request_verification as ask;"
        f"print(ask('m1', {SELFIE!r}, {PHOTOS!r}, request_id='r1'))"
    )
    environment = os.environ | {"VERIFY_BROKER_URL": redis_url}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout == "r1\n"
    assert [received(item).request_id for item in waiting(redis_url)] == ["r1"]


def asked_in_a_folder_of_the_apps(folder: Path, **settings: str) -> subprocess.CompletedProcess[str]:
    """A request from a process that has nothing of ours but the code on its path."""
    code = f"from worker.client import request_verification as ask; ask('m1', {SELFIE!r}, {PHOTOS!r})"
    kept = {name: value for name, value in os.environ.items() if not name.upper().startswith("VERIFY_")}
    return subprocess.run(
        [sys.executable, "-c", code],
        cwd=folder,
        env={**kept, "PYTHONPATH": str(ROOT), **settings},
        capture_output=True,
        text=True,
        check=False,
    )


def test_without_a_broker_it_raises_and_leaves_nothing_behind(tmp_path: Path) -> None:
    done = asked_in_a_folder_of_the_apps(tmp_path)
    assert done.returncode == 1
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("worker.client.errors.BadSettings: VERIFY_BROKER_URL is not set")
    assert not list(tmp_path.iterdir())


def test_the_embedded_broker_is_used_where_it_is_named(tmp_path: Path) -> None:
    home = tmp_path / "of-the-worker"
    done = asked_in_a_folder_of_the_apps(tmp_path, VERIFY_BROKER_URL="filesystem://", VERIFY_HOME=str(home))
    assert done.returncode == 0, done.stderr
    (file,) = (home / "broker" / "queues").glob("*.verify.msg")
    assert received(file.read_bytes()).member_id == "m1"


def test_variables_of_the_apps_own_that_begin_likewise_are_left_alone(tmp_path: Path, redis_url: str) -> None:
    done = asked_in_a_folder_of_the_apps(
        tmp_path, VERIFY_BROKER_URL=redis_url, VERIFY_SERVICE_SID="of somebody's SMS service"
    )
    assert done.returncode == 0, done.stderr
    assert len(waiting(redis_url)) == 1


def test_the_client_loads_no_model_no_database_and_no_celery_app() -> None:
    code = "import sys, worker.client; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    heavy = {"tensorflow", "keras", "mediapipe", "ai_edge_litert", "cv2", "numpy", "PIL", "celery", "pymysql"}
    assert not loaded & heavy
    assert not loaded & {"worker.app", "worker.tasks", "worker.runtime", "worker.store", "pipeline.verify"}


def test_a_wrong_request_is_refused_before_anything_is_sent(redis_url: str) -> None:
    with Client(redis_url) as client:
        for kind, change in REQUESTS.values():
            with pytest.raises(kind, match=f"^{kind.code}: ") as raised:
                ask(client, **change)
            assert "https://" not in str(raised.value)
    assert waiting(redis_url) == []


def test_every_mistake_has_its_error_which_shows_no_value() -> None:
    found = dict(errors())
    assert len(found) > 30
    assert not [text for text in map(str, found.values()) if "pass/word" in text or SECRET in text]


def test_bulk_requests_go_to_their_own_queue(redis_url: str) -> None:
    with Client(redis_url) as client:
        request_verification("m1", SELFIE, PHOTOS, queue=queues.BULK, client=client)
    assert waiting(redis_url) == []
    assert len(waiting(redis_url, queues.BULK)) == 1


def test_many_threads_may_share_a_publisher(redis_url: str) -> None:
    with Client(redis_url) as client, ThreadPoolExecutor(8) as pool:

        def ask(number: int) -> str:
            return request_verification(f"m{number}", SELFIE, PHOTOS, client=client)

        sent = set(pool.map(ask, range(100)))
    assert {received(item).request_id for item in waiting(redis_url)} == sent
    assert len(sent) == 100


def test_a_forked_process_opens_connections_of_its_own(redis_url: str) -> None:
    """An app server forks after its start; two processes on one socket read each other's answers."""
    with Client(redis_url) as client, redis.Redis.from_url(redis_url) as broker:
        request_verification("parent", SELFIE, PHOTOS, client=client)
        before = broker.info("stats")["total_connections_received"]
        child = os.fork()
        if child == 0:
            try:
                request_verification("child", SELFIE, PHOTOS, client=client)
            finally:
                os._exit(0)
        os.waitpid(child, 0)
        assert broker.info("stats")["total_connections_received"] > before
        request_verification("parent-2", SELFIE, PHOTOS, client=client)
    assert [received(item).member_id for item in waiting(redis_url)] == ["parent-2", "child", "parent"]


def test_a_broker_that_is_away_is_said_and_found_again(tmp_path: Path) -> None:
    server = Redis(tmp_path)
    server.start()
    try:
        with Client(server.url) as client:
            request_verification("m1", SELFIE, PHOTOS, request_id="r1", client=client)
            server.kill()
            with pytest.raises(NotSent, match="the broker cannot be reached"):
                request_verification("m2", SELFIE, PHOTOS, request_id="r2", client=client)
            server.start()
            request_verification("m2", SELFIE, PHOTOS, request_id="r2", client=client)
        assert "r2" in {received(item).request_id for item in waiting(server.url)}
    finally:
        server.kill()


def test_the_embedded_broker_takes_a_request(tmp_path: Path) -> None:
    with Client("filesystem://", folder=tmp_path) as client:
        request_verification("m1", SELFIE, PHOTOS, client=client)
    (file,) = (tmp_path / "queues").glob("*.verify.msg")
    assert received(file.read_bytes()).member_id == "m1"


def test_the_example_for_other_languages_is_a_job_as_it_stands() -> None:
    text = (ROOT / "worker" / "MESSAGE.md").read_text(encoding="utf-8")
    example = re.search(r"```json\n(.*?)```", text, re.DOTALL)
    assert example is not None
    job = received(example[1].encode())
    assert (job.member_id, job.why, job.declared_gender) == ("m-1024", "signup", "female")
    assert len(job.photo_urls) == 1


def test_a_replica_that_takes_no_writes_is_a_broker_that_cannot_be_reached(tmp_path: Path) -> None:
    replica = Redis(tmp_path, replica_of=1)
    replica.start()
    try:
        with Client(replica.url) as client, pytest.raises(NotSent):
            request_verification("m1", SELFIE, PHOTOS, client=client)
    finally:
        replica.kill()


def test_a_full_redis_is_said_at_once_and_takes_messages_again(tmp_path: Path) -> None:
    server = Redis(tmp_path)
    server.start()
    try:
        with Client(server.url) as client, redis.Redis.from_url(server.url) as broker:
            broker.config_set("maxmemory", 1)
            for _ in range(2):
                with pytest.raises(NotSent, match="OOM"):
                    request_verification("m1", SELFIE, PHOTOS, client=client)
            broker.config_set("maxmemory", 0)
            request_verification("m1", SELFIE, PHOTOS, client=client)
        assert len(waiting(server.url)) == 1
    finally:
        server.kill()


def test_queues_may_have_a_prefix(redis_url: str) -> None:
    with Client(redis_url, queue_prefix="faces-") as client:
        request_verification("m1", SELFIE, PHOTOS, client=client)
    with Publisher(redis_url, access=Access(queue_prefix="faces-")) as publisher:
        assert publisher.waiting(queues.VERIFY) == 1
    assert waiting(redis_url) == []
    assert len(waiting(redis_url, "faces-verify")) == 1


@pytest.mark.parametrize("broker", ["redis", "files"])
def test_how_many_messages_wait_can_be_asked(broker: str, redis_url: str, tmp_path: Path) -> None:
    url = redis_url if broker == "redis" else "filesystem://"
    with Publisher(url, tmp_path) as publisher, Client(url, folder=tmp_path) as client:
        assert publisher.waiting(queues.BULK) == 0
        for number in range(3):
            request_verification(f"m{number}", SELFIE, PHOTOS, queue=queues.BULK, client=client)
        assert (publisher.waiting(queues.BULK), publisher.waiting(queues.VERIFY)) == (3, 0)
