"""docker-compose.yml and worker/Dockerfile, held against the commands and settings that they name."""

from __future__ import annotations

import importlib.util
import json
import re
from typing import Any

import click
import pytest
import yaml
from celery.bin.celery import celery as celery_cli

import celeryconfig
from support.bundle import ROOT
from worker import queues
from worker.cli import main as worker_cli
from worker.settings import PREFIX, Settings

COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
OURS: dict[str, dict[str, Any]] = {n: s for n, s in COMPOSE["services"].items() if "build" in s}
DOCKERFILE = (ROOT / "worker/Dockerfile").read_text()


def parse(command: list[str]) -> click.Context:
    """What the real command line makes of these words. Raises click.UsageError."""
    if command[:3] == ["python", "-m", "worker"]:
        group: click.Group = worker_cli
        words = command[3:]
    else:
        assert command[:3] == ["celery", "-A", "worker.app"]
        group, words = celery_cli, command[3:]
    subcommand = group.get_command(click.Context(group), words[0])
    assert subcommand, f"no command {words[0]}"
    return subcommand.make_context(
        words[0], list(words[1:]), parent=click.Context(group, obj=_celery_object())
    )


def _celery_object() -> object:
    from celery.bin.base import CLIContext

    from worker.app import app

    return CLIContext(app=app, no_color=True, workdir=None, quiet=True)


def queues_of(service: dict[str, Any]) -> list[str]:
    """The queues that the service's command line names."""
    context = parse(service["command"])
    chosen = context.params.get("chosen") or context.params.get("queues") or ()
    return chosen.split(",") if isinstance(chosen, str) else list(chosen)


def stages() -> dict[str, str]:
    """The text of each stage of the Dockerfile, with that of the stages it is made from."""
    texts: dict[str, str] = {}
    for base, name, body in re.findall(r"(?ms)^FROM (\S+) AS (\w+)$(.*?)(?=^FROM |\Z)", DOCKERFILE):
        texts[name] = texts.get(base, "") + body
    return texts


@pytest.mark.parametrize("name", OURS)
def test_a_service_runs_a_command_that_exists_with_options_that_it_has(name: str) -> None:
    assert parse(OURS[name]["command"]).command


def test_a_misspelt_option_would_be_seen() -> None:
    with pytest.raises(click.UsageError):
        parse(["python", "-m", "worker", "run", "--quues", "verify"])
    with pytest.raises(click.UsageError):
        parse(["celery", "-A", "worker.app", "worker", "--concurency", "1"])


def test_every_queue_has_a_consumer_and_no_other_queue_is_named() -> None:
    served = [queue for service in OURS.values() for queue in queues_of(service)]
    assert sorted(served) == sorted(queues.IN_ORDER)


@pytest.mark.parametrize("name", OURS)
def test_the_variables_of_a_service_are_settings(name: str) -> None:
    known = {PREFIX + field.upper() for field in Settings.model_fields}
    assert {v for v in OURS[name]["environment"] if v.startswith(PREFIX)} <= known
    assert set(re.findall(rf"{PREFIX}\w+", DOCKERFILE)) <= known


@pytest.mark.parametrize("name", OURS)
def test_a_service_ends_gracefully_and_cannot_eat_the_host(name: str) -> None:
    service = OURS[name]
    assert service["init"]
    assert int(service["stop_grace_period"].removesuffix("s")) > celeryconfig.task_time_limit
    assert service["mem_limit"]
    assert isinstance(service["command"], list)


def test_the_memory_of_a_process_is_the_same_in_every_document_and_fits_into_its_container() -> None:
    documents = (".env.example", "README.md", "README.ko.md", "docs/operations.md", "docker-compose.yml")
    sources = ("worker/settings.py", "celeryconfig.py")
    figures = {
        n: re.findall(r"(\d+)(?: to |~)(\d+) MB", (ROOT / n).read_text()) for n in (*documents, *sources)
    }
    assert {name: found for name, found in figures.items() if found != [("300", "350")]} == {}
    processes = Settings.model_fields["concurrency"].default
    assert OURS["verify"]["mem_limit"] == "1g"
    assert processes * 350 + 110 < 1024  # and the main process


@pytest.mark.parametrize("name", ["verify", "retrain"])
def test_a_worker_is_probed_by_a_module_that_exists(name: str) -> None:
    probe = OURS[name]["healthcheck"]["test"]
    assert probe[:3] == ["CMD", "python", "-m"]
    assert importlib.util.find_spec(probe[3])


@pytest.mark.parametrize("name", ["redis", "mysql"])
def test_servers_are_probed_and_published_to_nobody(name: str) -> None:
    server = COMPOSE["services"][name]
    assert server["healthcheck"]["test"]
    assert "ports" not in server


@pytest.mark.parametrize("name", OURS)
def test_a_service_is_built_to_a_stage_that_ends_without_root(name: str) -> None:
    stage = stages()[OURS[name]["build"]["target"]]
    assert re.findall(r"(?m)^USER (\w+)$", stage) == ["verify"]
    assert json.loads(re.findall(r"(?m)^CMD (.*)$", stage)[-1])


def test_the_image_of_the_verify_workers_holds_the_models_but_no_tensorflow() -> None:
    image = stages()["verify"]
    assert "COPY --from=weights /models /models" in image
    assert "pipeline/requirements.txt" not in image
    serving = (ROOT / "worker/requirements.txt").read_text()
    assert not re.search(r"(?m)^(tensorflow|keras|mediapipe)", serving)


def test_what_the_image_copies_exists() -> None:
    copied = re.findall(r"(?m)^COPY (?!--from)(\S+) ", DOCKERFILE)
    assert copied
    assert not [path for path in copied if not (ROOT / path).exists()]
