"""docker-compose.yml and worker/Dockerfile, held against the commands and settings that they name."""

from __future__ import annotations

import importlib.util
import json
import re
import shlex
import subprocess
from graphlib import TopologicalSorter
from typing import Any

import click
import pytest
import yaml
from celery.bin.celery import celery as celery_cli

import celeryconfig
from pipeline.images.limits import ImageLimits
from support.bundle import ROOT
from support.compose import BASE, PRODUCTION, merged
from support.dockerfile import DOCKERFILE, copied, stages, steps_of
from support.prometheus import MONITORING
from worker.broker.pool_size import MAIN_BYTES, PROCESS_BYTES
from worker.cli import main as worker_cli
from worker.jobs import queues
from worker.setting_names import PREFIX
from worker.settings import Settings

COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
OURS: dict[str, dict[str, Any]] = {n: s for n, s in COMPOSE["services"].items() if "build" in s}


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
    chosen = context.params.get("named") or context.params.get("queues") or ()
    return chosen.split(",") if isinstance(chosen, str) else list(chosen)


@pytest.mark.parametrize("name", OURS)
def test_a_service_runs_a_command_that_exists_with_options_that_it_has(name: str) -> None:
    assert parse(OURS[name]["command"]).command


def test_without_containers_the_readme_does_what_the_images_do() -> None:
    blocks = re.findall(r"(?ms)^```\n(.*?)^```", (ROOT / "README.md").read_text())
    [block] = [block for block in blocks if "celery -A" in block]
    said = [line.partition(" #")[0].strip() for line in block.splitlines()]
    installed = [command for command in steps_of("retrain", "RUN") if command.startswith("pip install")]
    started = [*(json.loads(steps_of(stage, "CMD")[-1]) for stage in ("verify", "retrain"))]
    started += [OURS[name]["command"] for name in ("migrate", "beat")]
    here = [line for line in said if not line.startswith(("export ", "make weights"))]
    assert sorted(here) == sorted([*installed, *map(shlex.join, started)])


@pytest.mark.parametrize("place", ["README.md", "tests/setup.sh"])
def test_the_libraries_that_the_image_installs_are_named_where_there_is_no_image(place: str) -> None:
    [command] = [command for command in steps_of("retrain", "RUN") if "apt-get install" in command]
    words = command.partition("apt-get install")[2].partition("&&")[0].split()
    libraries = [word for word in words if not word.startswith("-")]
    assert libraries
    text = (ROOT / place).read_text()
    assert not [library for library in libraries if library not in text]


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
    assert set(re.findall(rf"{PREFIX}\w+", DOCKERFILE.read_text())) <= known


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
    assert {name: found for name, found in figures.items() if found != [("270", "350")]} == {}
    assert Settings.model_fields["concurrency"].default is None
    assert OURS["verify"]["mem_limit"] == "4g"
    photo = ImageLimits().memory  # while it is decoded
    assert 90e6 + photo < PROCESS_BYTES <= celeryconfig.worker_max_memory_per_child * 1024
    assert 8 * PROCESS_BYTES + MAIN_BYTES < 4 * 1024**3


@pytest.mark.parametrize("name", ["verify", "retrain", "beat"])
def test_a_worker_is_probed_by_a_module_that_exists(name: str) -> None:
    probe = OURS[name]["healthcheck"]["test"]
    assert probe[:3] == ["CMD", "python", "-m"]
    assert importlib.util.find_spec(probe[3])


BOTH: dict[str, dict[str, Any]] = {
    name: file["services"] for name, file in (("base", BASE), ("production", merged(BASE, PRODUCTION)))
}
ONCE = {"migrate", "accounts"}
"""Services that run to their end before others start."""


@pytest.mark.parametrize("services", BOTH.values(), ids=BOTH)
def test_what_runs_on_is_probed_and_started_again_and_what_runs_once_is_not(
    services: dict[str, dict[str, Any]],
) -> None:
    long = {name for name in services if name not in {*ONCE, "operator"}}
    assert {name for name, service in services.items() if "healthcheck" in service} == long
    assert {name for name, service in services.items() if service.get("restart") == "unless-stopped"} == long
    assert {services[name]["restart"] for name in ONCE & services.keys()} == {"no"}


@pytest.mark.parametrize("services", BOTH.values(), ids=BOTH)
def test_a_service_waits_for_what_it_needs_and_for_nothing_that_cannot_be(
    services: dict[str, dict[str, Any]],
) -> None:
    needs = {name: service.get("depends_on", {}) for name, service in services.items()}
    conditions = {
        (needed, waited["condition"]) for service in needs.values() for needed, waited in service.items()
    }
    assert conditions <= {
        *((server, "service_healthy") for server in ("redis", "mysql")),
        *((once, "service_completed_successfully") for once in ONCE),
    }
    assert list(TopologicalSorter(needs).static_order())  # raises CycleError
    tables_first = {"verify", "retrain", "beat", *ONCE} & services.keys() - {"migrate"}
    assert all("migrate" in needs[name] for name in tables_first)
    if "accounts" in services:
        assert all("accounts" in needs[name] for name in tables_first - {"accounts"})


@pytest.mark.parametrize("name", ["redis", "mysql"])
def test_servers_are_probed_and_published_to_nobody(name: str) -> None:
    server = COMPOSE["services"][name]
    assert server["healthcheck"]["test"]
    assert "ports" not in server


@pytest.mark.parametrize("name", OURS)
def test_a_service_is_built_to_a_stage_that_ends_without_root(name: str) -> None:
    target = OURS[name]["build"]["target"]
    assert steps_of(target, "USER") == ["verify"]
    assert json.loads(steps_of(target, "CMD")[-1])


def test_the_image_of_the_verify_workers_holds_the_models_but_no_tensorflow() -> None:
    assert "--from=weights /models /models" in steps_of("verify", "COPY")
    assert [step for step in steps_of("verify", "RUN") if step.startswith("pip ")] == [
        "pip install --require-hashes -r worker/requirements.lock"
    ]
    serving = (ROOT / "worker/requirements.lock").read_text()
    assert not re.search(r"(?m)^(tensorflow|keras|mediapipe)", serving)


def test_the_image_of_the_console_holds_no_models() -> None:
    assert not [step for step in steps_of("console", "COPY") if "models" in step]
    assert [step for step in steps_of("console", "RUN") if step.startswith("pip ")] == [
        f"pip install --require-hashes -r worker/requirements{part}.lock" for part in ("", "-console")
    ]


def test_what_the_image_copies_exists() -> None:
    for stage in stages():
        for step in steps_of(stage, "COPY"):
            assert step.startswith("--from=") or copied(step.split()[0])


def test_code_is_copied_and_caches_are_not() -> None:
    names = {path.as_posix() for path in copied("worker/")}
    assert {"worker/app.py", "worker/migrations/env.py", "worker/grants.sql"} <= names
    assert not [name for name in names if "__pycache__" in name]


@pytest.mark.parametrize("source", ["tests", ".env.example", "README.md"])
def test_what_is_no_code_cannot_be_copied(source: str) -> None:
    with pytest.raises(AssertionError, match="nothing to copy"):
        copied(source)


@pytest.mark.parametrize("name", ["prometheus", "grafana"])
def test_the_monitoring_is_for_this_host_alone_and_finds_its_files(name: str) -> None:
    service = PRODUCTION["services"][name]
    assert service["profiles"] == ["monitoring"]
    assert re.fullmatch(r"[\w/]+:v?\d+\.\d+\.\d+", service["image"])
    assert all(port.startswith("127.0.0.1:") for port in service["ports"])
    assert (service["read_only"], service["cap_drop"]) == (True, ["ALL"])
    assert service["mem_limit"]
    mounted = [volume.split(":")[0] for volume in service["volumes"]]
    assert all((ROOT / source).exists() for source in mounted if source.startswith("./"))
    assert {source for source in mounted if not source.startswith("./")} <= PRODUCTION["volumes"].keys()


def test_prometheus_asks_every_service_that_serves_metrics_at_the_port_of_the_example() -> None:
    [job] = yaml.safe_load((MONITORING / "prometheus.yml").read_text())["scrape_configs"]
    [found] = job["dns_sd_configs"]
    assert set(found["names"]) == {name for name in OURS if queues_of(OURS[name])}
    address = f"VERIFY_METRICS_ADDRESS=0.0.0.0:{found['port']}"
    assert address in (ROOT / "docs" / "operations.md").read_text()
    assert job["authorization"]["credentials_file"] in PRODUCTION["services"]["prometheus"]["command"][0]
    [sources] = yaml.safe_load((MONITORING / "datasources.yml").read_text())["datasources"]
    assert sources["url"] == "http://prometheus:9090"


@pytest.mark.parametrize(
    ("name", "secret"), [("prometheus", "VERIFY_METRICS_TOKEN"), ("grafana", "GF_SECURITY_ADMIN_PASSWORD")]
)
def test_without_its_secret_the_monitoring_says_so_and_does_not_start(name: str, secret: str) -> None:
    service = PRODUCTION["services"][name]
    shell = [*service["entrypoint"], service["command"][0].replace("$$", "$")]
    done = subprocess.run(shell, env={secret: ""}, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "choose" in done.stderr
