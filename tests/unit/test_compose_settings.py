"""What stands in `.env` reaches every service that runs our code, and no password of the servers does."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from dotenv import dotenv_values

from support.bundle import ROOT
from support.compose import BASE, PRODUCTION, environment_of, merged, variables_in
from worker.setting_names import PREFIX
from worker.settings import Settings, load_settings

SETTINGS = {PREFIX + field.upper() for field in Settings.model_fields}
PASSWORDS = {name for file in (BASE, PRODUCTION) for name in variables_in(file) if name.endswith("_PASSWORD")}
OWN = {"VERIFY_HOME", "VERIFY_BUNDLE", "VERIFY_DATABASE_URL", "VERIFY_BROKER_URL"}
"""What Compose must set itself, whatever `.env` says."""
OF_THE_CONSOLE = {"VERIFY_CONSOLE_ADDRESS", "VERIFY_CONSOLE_URL"}
"""Where it listens in its container; where people find it, if `.env` does not say."""
KEYS = {"VERIFY_HEAD_PUBLIC_KEY", "VERIFY_HEAD_SIGNING_KEY"}
"""Likewise in production, where it mounts them."""
SERVICES = [
    pytest.param(service, id=f"{name}-{service_name}")
    for name, file in (("base", BASE), ("production", merged(BASE, PRODUCTION)))
    for service_name, service in file["services"].items()
    if service.get("env_file")
]
FILE = {name: f"value-of-{name.lower()}" for name in SETTINGS | PASSWORDS}
"""A `.env` in which everything is set."""


def secrets_in(service: dict[str, Any]) -> set[str]:
    """The passwords that a container can read somewhere in its environment."""
    values = " ".join(environment_of(service, FILE).values())
    return {name for name in PASSWORDS if FILE[name] in values}


def test_our_services_are_found() -> None:
    assert len(SERVICES) == 5 + 6
    assert len(PASSWORDS) == 9


@pytest.mark.parametrize("service", SERVICES)
def test_every_setting_in_env_reaches_a_service(service: dict[str, Any]) -> None:
    environment = environment_of(service, FILE)
    others = {name for name in SETTINGS if environment.get(name) != FILE[name]}
    assert others - KEYS - {"VERIFY_CONSOLE_ADDRESS"} == OWN
    assert all(environment[name].startswith("/") for name in others & KEYS)
    assert environment["VERIFY_HOME"] == "/var/lib/verify"


@pytest.mark.parametrize("service", SERVICES)
def test_nothing_is_set_where_env_says_nothing(service: dict[str, Any]) -> None:
    must_be_chosen = {*PASSWORDS, "VERIFY_TOMBSTONE_KEY", "VERIFY_PHOTO_HOSTS"}
    environment = environment_of(service, {name: FILE[name] for name in must_be_chosen})
    assert {
        name for name in environment if name.startswith(PREFIX)
    } <= OWN | OF_THE_CONSOLE | KEYS | must_be_chosen


@pytest.mark.parametrize("service", SERVICES)
def test_a_mistyped_setting_in_env_reaches_a_service_which_refuses_it(service: dict[str, Any]) -> None:
    assert "VERIFY_PHOTO_HOST" in environment_of(service, {**FILE, "VERIFY_PHOTO_HOST": "x"})


@pytest.mark.parametrize("service", SERVICES)
def test_no_password_reaches_a_service_by_its_name(service: dict[str, Any]) -> None:
    environment = environment_of(service, FILE)
    assert {environment.get(name, "") for name in PASSWORDS} == {""}


@pytest.mark.parametrize(
    ("name", "secrets"),
    [
        ("verify", {"WORKER_PASSWORD", "REDIS_PASSWORD"}),
        ("retrain", {"WORKER_PASSWORD", "REDIS_PASSWORD"}),
        ("beat", {"WORKER_PASSWORD", "REDIS_PASSWORD"}),
        ("migrate", {"MYSQL_PASSWORD", "REDIS_PASSWORD"}),
        ("flower", {"FLOWER_PASSWORD", "REDIS_PASSWORD"}),
        ("operator", {"OPERATOR_PASSWORD", "REDIS_PASSWORD"}),
        ("console", {"CONSOLE_PASSWORD", "REDIS_PASSWORD"}),
        ("prometheus", set()),
        ("grafana", {"GRAFANA_PASSWORD"}),
        ("redis", {"REDIS_PASSWORD"}),
        ("mysql", {"MYSQL_ROOT_PASSWORD", "MYSQL_PASSWORD"}),
    ],
)
def test_in_production_a_service_holds_the_passwords_that_it_needs_and_no_other(
    name: str, secrets: set[str]
) -> None:
    assert secrets_in(merged(BASE, PRODUCTION)["services"][name]) == secrets


@pytest.mark.parametrize("file", [BASE, merged(BASE, PRODUCTION)], ids=["base", "production"])
def test_flower_gets_the_brokers_names_and_nothing_else_of_env(file: dict[str, Any]) -> None:
    environment = environment_of(file["services"]["flower"], FILE)
    assert environment.keys() == {
        *("VERIFY_BROKER_URL", "VERIFY_QUEUE_PREFIX", "FLOWER_PASSWORD", "FLOWER_ADDRESS")
    }
    assert environment["VERIFY_QUEUE_PREFIX"] == FILE["VERIFY_QUEUE_PREFIX"]


@pytest.mark.parametrize("service", SERVICES)
def test_a_container_starts_with_the_example_as_its_env(
    service: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.upper().startswith(PREFIX)]:
        monkeypatch.delenv(name)
    example = (ROOT / ".env.example").read_text().replace(f"\n#{PREFIX}", f"\n{PREFIX}")
    chosen = {"VERIFY_TOMBSTONE_KEY": "a key", "VERIFY_PHOTO_HOSTS": "cdn.example.com"}
    (tmp_path / "all.env").write_text(example)
    lines = {name: value or "" for name, value in dotenv_values(tmp_path / "all.env").items()}
    for name, value in environment_of(
        service, {**lines, **dict.fromkeys(PASSWORDS, "word"), **chosen}
    ).items():
        monkeypatch.setenv(name, value)
    settings = load_settings()
    assert settings.photo_hosts == ("cdn.example.com",)
    assert settings.home == Path("/var/lib/verify")
