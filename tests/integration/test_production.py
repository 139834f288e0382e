"""The production set-up: its certificates and options on real servers, and the workers' addresses to them."""

from __future__ import annotations

import os
import re
import shutil
import stat
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pymysql
import pytest
import redis
import sqlalchemy as sa
import yaml

from support.bundle import ROOT
from support.compose import BASE as COMPOSE_BASE
from support.compose import PRODUCTION as COMPOSE_PRODUCTION
from support.compose import merged
from support.heads import a_bundle
from support.jobs import a_job
from support.servers import MariaDb, Redis, ServerMissing, find_program, quick_folder
from support.system import depth_for_a_worker
from support.tls import make_certificates
from worker.broker.publisher import Publisher
from worker.cli import COMMANDS
from worker.client.errors import NotSent
from worker.errors import StoreUnavailable
from worker.jobs.queues import VERIFY
from worker.migrations import migrate
from worker.serving.registry import read_head
from worker.serving.signatures import HeadSignatures
from worker.setting_names import PREFIX
from worker.settings import Settings, load_settings
from worker.store import build_engine, open_store

PRODUCTION = ROOT / "worker" / "production"
COMPOSE: dict[str, Any] = yaml.safe_load((PRODUCTION / "compose.yml").read_text())
BASE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
WORDS = {
    "MYSQL_ROOT_PASSWORD": "root-word",
    "MYSQL_PASSWORD": "owner-word",
    "WORKER_PASSWORD": "worker-word",
    "APP_PASSWORD": "app-word",
    "OPERATOR_PASSWORD": "operator-word",
    "CONSOLE_PASSWORD": "console-word",
    "REDIS_PASSWORD": "redis-word",
    "VERIFY_TOMBSTONE_KEY": "a key",
    "VERIFY_PHOTO_HOSTS": "cdn.example.com",
}


def filled(text: str) -> str:
    """As compose does it: every variable must have a value."""
    return re.sub(r"\$\{(\w+)[^}]*\}", lambda found: WORDS.get(found[1], ""), text)


def options_of(service: str, tls: Path) -> list[str]:
    """The server's options in the compose file, with the certificates where the test has them."""
    words = [
        filled(word).replace("/tls/", f"{tls / service}/") for word in COMPOSE["services"][service]["command"]
    ]
    return words[1:]


class TlsRedis(Redis):
    """Redis with the options of the compose file."""

    def __init__(self, folder: Path, tls: Path) -> None:
        super().__init__(folder)
        self.tls = tls

    def command(self) -> Sequence[str]:
        options = options_of("redis", self.tls)
        options[options.index("--tls-port") + 1] = str(self.port)
        return [find_program("redis-server"), *options, "--bind", "127.0.0.1", "--dir", str(self.folder)]

    def answers(self) -> bool:
        try:
            with redis.Redis(
                port=self.port,
                ssl=True,
                ssl_ca_certs=str(self.tls / "ca.crt"),
                password=WORDS["REDIS_PASSWORD"],
            ) as client:
                return bool(client.ping())
        except redis.RedisError:
            return False


class TlsMariaDb(MariaDb):
    """MariaDB with those options of the compose file that are about connections."""

    def __init__(self, folder: Path, tls: Path) -> None:
        super().__init__(folder)
        self.tls = tls

    def command(self) -> Sequence[str]:
        secure = [word for word in options_of("mysql", self.tls) if re.match(r"--(ssl|require|local)", word)]
        assert len(secure) == 5
        return [*super().command(), *secure]

    def answers(self) -> bool:
        try:
            self.connect().close()
        except pymysql.err.OperationalError:
            return False
        return True

    def connect(self) -> Any:
        ssl = {"ca": str(self.tls / "ca.crt")}
        return pymysql.connect(host="127.0.0.1", port=self.port, user="root", connect_timeout=2, ssl=ssl)


def running(server: Any) -> Iterator[Any]:
    try:
        server.start()
    except ServerMissing as missing:
        pytest.fail(str(missing), pytrace=False)
    yield server
    server.kill()


@pytest.fixture(scope="module")
def tls() -> Iterator[Path]:
    """What certificates.sh makes."""
    with quick_folder() as folder:
        tls = make_certificates(folder / "tls")
        first = (tls / "ca.crt").read_bytes()
        make_certificates(tls)  # renewal
        assert (tls / "ca.crt").read_bytes() == first
        yield tls


@pytest.fixture(scope="module")
def tls_redis(tls: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TlsRedis]:
    yield from running(TlsRedis(tmp_path_factory.mktemp("redis"), tls))


@pytest.fixture(scope="module")
def tls_mariadb(tls: Path) -> Iterator[TlsMariaDb]:
    """With our tables, and the accounts and grants of accounts.sh."""
    with quick_folder() as folder:
        for server in running(TlsMariaDb(folder, tls)):
            with server.connect() as connection, connection.cursor() as cursor:
                cursor.execute("CREATE DATABASE verify CHARACTER SET utf8mb4")
            owner = sa.make_url(f"mysql+pymysql://root@127.0.0.1:{server.port}/verify")
            ca = {"charset": "utf8mb4", "ssl_ca": str(tls / "ca.crt")}
            engine = build_engine(owner.update_query_dict(ca).render_as_string(hide_password=False))
            migrate(engine)
            _make_accounts(engine)
            engine.dispose()
            yield server


def _make_accounts(engine: sa.Engine) -> None:
    """What accounts.sh sends to the server; its client is no part of the tests' machine."""
    grants = re.sub(r"(?m)^--.*$", "", (ROOT / "worker" / "grants.sql").read_text())
    script = (PRODUCTION / "accounts.sh").read_text()
    alters = re.search(r"<< SQL\n(.*?)\nSQL", script, re.DOTALL)
    assert alters
    unlocked = re.search(r'console="(IDENTIFIED.*)"', script)
    assert unlocked
    statements = alters[1].replace("$console", unlocked[1])
    passwords = re.sub(r"\$(\w+)", lambda found: WORDS[found[1]], statements)
    with engine.begin() as c:
        for statement in filter(str.strip, f"{grants};{passwords}".split(";")):
            c.exec_driver_sql(statement.replace("%", "%%"))


def address(service: str, variable: str, port: int, tls: Path) -> str:
    """A service's address in the compose file, led to the test's server."""
    url = filled(COMPOSE["services"][service]["environment"][variable]).replace("/tls/", f"{tls}/")
    return re.sub(r"@(redis|mysql)(:\d+)?/", f"@127.0.0.1:{port}/", url)


def test_a_worker_reaches_redis_by_its_address(tls_redis: TlsRedis, tls: Path) -> None:
    url = address("verify", "VERIFY_BROKER_URL", tls_redis.port, tls)
    with Publisher(url) as publisher:
        publisher.send(a_job(), VERIFY)
    assert depth_for_a_worker({"VERIFY_BROKER_URL": url}) == 1


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (r"\?.*", ""),  # a server that shows any certificate
        ("redis-word", "guessed"),
        (":redis-word@", ""),
        (r"^rediss(.*)\?.*", r"redis\1"),
    ],
)
def test_redis_answers_nobody_else(tls_redis: TlsRedis, tls: Path, old: str, new: str) -> None:
    url = re.sub(old, new, address("verify", "VERIFY_BROKER_URL", tls_redis.port, tls))
    with Publisher(url) as publisher, pytest.raises(NotSent):
        publisher.send(a_job(), VERIFY)


@pytest.mark.parametrize(
    ("service", "account"),
    [
        ("verify", "verify_worker"),
        ("retrain", "verify_worker"),
        ("operator", "verify_operator"),
        ("console", "verify_console"),
    ],
)
def test_each_service_reaches_mysql_with_its_own_account_over_tls(
    tls_mariadb: TlsMariaDb, tls: Path, service: str, account: str
) -> None:
    url = address(service, "VERIFY_DATABASE_URL", tls_mariadb.port, tls)
    engine = build_engine(load_settings({"database_url": url}).database_url.get_secret_value())
    with engine.connect() as c:
        assert c.scalar(sa.text("SELECT CURRENT_USER()")) == f"{account}@%"
        assert c.execute(sa.text("SHOW STATUS LIKE 'Ssl_cipher'")).one()[1]
    engine.dispose()


def test_mysql_lets_nobody_in_with_a_guessed_password(tls_mariadb: TlsMariaDb, tls: Path) -> None:
    url = address("verify", "VERIFY_DATABASE_URL", tls_mariadb.port, tls).replace("worker-word", "guessed")
    with pytest.raises(StoreUnavailable):
        open_store(load_settings({"database_url": url})).members.find("m1")


def test_a_worker_refuses_a_mysql_with_a_strangers_certificate(tls_mariadb: TlsMariaDb, tls: Path) -> None:
    stranger = make_certificates(tls.parent / "stranger")
    url = address("verify", "VERIFY_DATABASE_URL", tls_mariadb.port, stranger)
    with pytest.raises(StoreUnavailable):
        open_store(load_settings({"database_url": url})).members.find("m1")


@pytest.mark.parametrize("name", ["worker", "app", "operator", "console"])
def test_mysql_lets_nobody_in_without_tls(tls_mariadb: TlsMariaDb, name: str) -> None:
    account: dict[str, Any] = {"user": f"verify_{name}", "password": f"{name}-word", "database": "verify"}
    where: dict[str, Any] = {"host": "127.0.0.1", "port": tls_mariadb.port}
    pymysql.connect(**where, **account, ssl_verify_cert=False).close()
    with pytest.raises(pymysql.err.OperationalError):
        pymysql.connect(**where, **account, ssl_disabled=True)


@pytest.mark.skipif(shutil.which("mysql") is None, reason="the command-line client of MySQL is not installed")
def test_the_script_sets_accounts_up_and_changes_passwords(tls_mariadb: TlsMariaDb, tls: Path) -> None:
    environment = {
        **WORDS,
        "MYSQL_ROOT_PASSWORD": "",
        "MYSQL_HOST": "127.0.0.1",
        "MYSQL_PORT": str(tls_mariadb.port),
        "CA": str(tls / "ca.crt"),
        "GRANTS": str(ROOT / "worker" / "grants.sql"),
        "PATH": os.environ["PATH"],
    }
    where: dict[str, Any] = {"host": "127.0.0.1", "port": tls_mariadb.port, "database": "verify"}
    for word in ("another-word", WORDS["APP_PASSWORD"]):
        changed = {**environment, "APP_PASSWORD": word}
        subprocess.run(["sh", str(PRODUCTION / "accounts.sh")], env=changed, check=True)
        pymysql.connect(**where, user="verify_app", password=word).close()
    script = ["sh", str(PRODUCTION / "accounts.sh")]
    subprocess.run(script, env={**environment, "CONSOLE_PASSWORD": ""}, check=True)
    console = {**where, "user": "verify_console", "password": WORDS["CONSOLE_PASSWORD"]}
    with pytest.raises(pymysql.err.OperationalError, match="locked"):
        pymysql.connect(**console)
    subprocess.run(script, env=environment, check=True)
    pymysql.connect(**console).close()


def test_passwords_that_could_end_the_statement_are_refused() -> None:
    words = {**WORDS, "APP_PASSWORD": "x'; DROP DATABASE verify; --", "PATH": os.environ["PATH"]}
    done = subprocess.run(
        ["sh", str(PRODUCTION / "accounts.sh")], env=words, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert "letters, digits" in done.stderr


def test_only_what_people_look_at_is_published_on_the_host_alone() -> None:
    published = {
        name: one["ports"]
        for name, one in merged(COMPOSE_BASE, COMPOSE_PRODUCTION)["services"].items()
        if "ports" in one
    }
    assert set(published) == {"console", "flower", "prometheus", "grafana"}
    assert all(port.startswith("127.0.0.1:") for ports in published.values() for port in ports)


def test_nothing_runs_as_root_or_writes_its_image() -> None:
    for name, service in merged(COMPOSE_BASE, COMPOSE_PRODUCTION)["services"].items():
        assert "no-new-privileges:true" in service["security_opt"]
        if name != "mysql":
            assert service["read_only"]


def test_services_of_the_base_are_all_thought_of() -> None:
    assert set(BASE["services"]) <= set(COMPOSE["services"])


def test_every_secret_must_be_chosen_and_every_variable_is_a_setting() -> None:
    text = (PRODUCTION / "compose.yml").read_text()
    body = re.sub(r"(?m)^#.*$", "", text)
    # Compose asks for what a service needs that nobody has switched on, too: these check it at their start.
    of_profiles = {"CONSOLE_PASSWORD", "VERIFY_METRICS_TOKEN", "GRAFANA_PASSWORD", "RUNBOOK_URL"}
    assert set(re.findall(r"\$\{(\w+)(?!:\?)\W[^}]*\}", body)) == of_profiles, (
        "a variable that may be missing"
    )
    known = {PREFIX + field.upper() for field in Settings.model_fields}
    assert set(re.findall(r"\b(VERIFY_\w+)", body)) <= known
    assert all(name in text.split("services:")[0] for name in WORDS)


def test_the_operators_service_runs_a_command_that_exists() -> None:
    service = COMPOSE["services"]["operator"]
    assert service["entrypoint"] == ["python", "-m", "worker"]
    assert service["command"][0] in COMMANDS


def test_what_is_mounted_exists_or_is_made_by_the_script(tls: Path) -> None:
    sources = {v.split(":")[0] for s in COMPOSE["services"].values() for v in s.get("volumes", ())}
    for source in sources:
        made = tls / source.removeprefix("./var/tls/")
        there = source in COMPOSE["volumes"] or (ROOT / source).exists()
        assert made.is_dir() if source.startswith("./var/tls/") else there


# Heads


def test_only_those_who_publish_heads_have_the_key_that_signs_them() -> None:
    services = merged(COMPOSE_BASE, COMPOSE_PRODUCTION)["services"]
    ours = {name for name, one in services.items() if "VERIFY_BROKER_URL" in (one.get("environment") or {})}
    ours.remove("flower")  # which reads the broker alone
    signing = {name for name in ours if "VERIFY_HEAD_SIGNING_KEY" in services[name]["environment"]}
    mounting = {name for name, one in services.items() if "heads" in str(one.get("volumes"))}
    assert signing == mounting == {"retrain", "operator"}
    assert {services[name]["environment"]["VERIFY_HEAD_PUBLIC_KEY"] for name in ours} == {"/tls/head.pub"}


def test_the_keys_of_the_script_are_a_pair_and_outlive_a_renewal(tls: Path, tmp_path: Path) -> None:
    keys = HeadSignatures.of(tls / "public" / "head.pub", tls / "heads" / "head.key")
    head = keys.sign(read_head(a_bundle(tmp_path / "a", "a")))
    make_certificates(tls)
    HeadSignatures.of(tls / "public" / "head.pub", None).check(head)
    assert stat.S_IMODE(tls.stat().st_mode) == 0o700
