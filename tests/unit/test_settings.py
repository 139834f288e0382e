"""Settings: embedded with nothing set, and clear about what is wrong."""

from __future__ import annotations

import inspect
import os
from pathlib import Path

import pymysql
import pytest
from pydantic import ValidationError

from support.webhook_receiver import made_up_secret
from worker.errors import BadSettings
from worker.setting_names import PREFIX
from worker.settings import Settings, load_settings
from worker.store import build_engine
from worker.urls import normalise_database_url


@pytest.fixture(autouse=True)
def _nothing_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No variable and no .env of the machine that runs the tests."""
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.upper().startswith(PREFIX)]:
        monkeypatch.delenv(name)


def database_url() -> str:
    return load_settings().database_url.get_secret_value()


def test_with_nothing_set_everything_is_embedded() -> None:
    settings = load_settings()
    assert settings.database_url.get_secret_value() == "sqlite:///var/verify.db"
    assert settings.broker_url.get_secret_value() == "filesystem://"
    assert settings.broker_folder == Path("var/broker")
    assert settings.bundle == Path("var/bundle")
    assert settings.auto_reject is False
    assert settings.tables_prefix == ""


def test_home_moves_everything_that_is_embedded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VERIFY_HOME", "/srv/verify")
    settings = load_settings()
    assert settings.database_url.get_secret_value() == "sqlite:////srv/verify/verify.db"
    assert (settings.broker_folder, settings.bundle) == (
        Path("/srv/verify/broker"),
        Path("/srv/verify/bundle"),
    )


def test_the_console_is_opened_at_its_url_else_where_it_listens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VERIFY_CONSOLE_ADDRESS", "[::1]:8301")
    assert load_settings().console_at == "http://[::1]:8301"
    monkeypatch.setenv("VERIFY_CONSOLE_URL", "https://review.example.com/")
    assert load_settings().console_at == "https://review.example.com"


def test_the_header_of_a_sign_on_has_the_name_of_a_header(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VERIFY_CONSOLE_PROXIES", "10.0.0.0/24")
    monkeypatch.setenv("VERIFY_CONSOLE_SIGN_ON_HEADER", "X-Forwarded-User")
    assert load_settings().console_sign_on_header == "x-forwarded-user"
    for wrong in ("X Forwarded", "사용자", "-", "X-User:"):
        monkeypatch.setenv("VERIFY_CONSOLE_SIGN_ON_HEADER", wrong)
        with pytest.raises(BadSettings, match="SIGN_ON_HEADER: must be the name of a header"):
            load_settings()


@pytest.mark.parametrize("scheme", ["mysql", "mariadb", "mysql+pymysql"])
def test_a_mysql_address_gets_its_driver_and_utf8mb4(monkeypatch: pytest.MonkeyPatch, scheme: str) -> None:
    monkeypatch.setenv("VERIFY_DATABASE_URL", f"{scheme}://app:p%40ss@db:3307/verify?charset=latin1")
    assert database_url() == "mysql+pymysql://app:p%40ss@db:3307/verify?charset=utf8mb4"


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://u:hunter2@h/x",
        "mysql://u:hunter2@h",
        "nonsense hunter2",
        "sqlite://",
        # special characters in a password that are not encoded
        "mysql://u:x@hunter2@h/x",
        "mysql://u:x@y:hunter2@h/x",
        "mysql://u:x@hunter2/y@h/x",
        "mysql://u:hunter2@h:99999/x",
        # what other drivers take
        "jdbc:mysql://h/x?password=hunter2",
        "mysql://u:hunter2@h/x?ssl-mode=REQUIRED",
        "mysql://u:hunter2@h/x?useSSL=true&serverTimezone=Asia/Seoul",
        "mysql://u:hunter2@h/x?ssl_ca=/a&ssl_ca=/b",
        "mysql://u:hunter2@h/x?ssl_ca=/a&ssl_check_hostname=hunter2",
    ],
)
def test_a_database_that_cannot_serve_is_named_without_its_password(
    monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    monkeypatch.setenv("VERIFY_DATABASE_URL", url)
    with pytest.raises(BadSettings, match="VERIFY_DATABASE_URL") as wrong:
        load_settings()
    assert "hunter2" not in str(wrong.value)
    assert wrong.value.__cause__ is None


def test_a_parameter_of_another_driver_is_named_with_those_that_there_are(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("VERIFY_DATABASE_URL", "mysql://u:hunter2@h/x?ssl-mode=REQUIRED")
    with pytest.raises(BadSettings, match="no parameter ssl-mode; there are charset, ssl_ca, "):
        load_settings()


@pytest.mark.parametrize(
    "query", ["", "?charset=utf8mb4&ssl_ca=/tls/ca.crt&ssl_check_hostname=false", "?unix_socket=/run/m.sock"]
)
def test_what_a_mysql_address_may_say_is_what_the_driver_takes(query: str) -> None:
    engine = build_engine(normalise_database_url(f"mysql://app:p%40ss@db/verify{query}"))
    _, options = engine.dialect.create_connect_args(engine.url)
    known = inspect.signature(pymysql.Connection).parameters
    assert options.keys() <= known.keys()
    assert options["password"] == "p@ss"


@pytest.mark.parametrize(
    "url",
    [
        "redis://:hunter2#more@h:6379/0",
        "redis://:hunter2/more@h:6379/0",
        "redis://:hunter2?more@h:6379/0",
        "redis://:12345#hunter2@h:6379/0",
        "redis://:12345/hunter2@h:6379/0",
        "redis://:12345?hunter2@h:6379/0",
        "redis://:hunter2[more@h:6379/0",
        "redis://:hunter2;more@h:6379/0",
        "redis://a:6379/0;redis://:hunter2/more@b:6379/0",
        "redis://:hunter2@h:99999/0",
        "redis://:hunter2@h:6379/verify",
        "redis://:hunter2@h:6379/0?ssl_cert_reqs=none",
        "rediss://:hunter2@h:6379/0?ssl_cafile=/tls/ca.crt",
        "amqp://u:hunter2/more@h/verify",
        "amqp://u:hunter2@h/verify?ssl=true",
        "reds://:hunter2@h:6379/0",
        "redis:hunter2",
        "hunter2",
    ],
)
def test_a_broker_that_cannot_serve_is_named_without_its_password(
    monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    monkeypatch.setenv("VERIFY_BROKER_URL", url)
    with pytest.raises(BadSettings, match="VERIFY_BROKER_URL") as wrong:
        load_settings()
    assert "hunter2" not in str(wrong.value)
    assert wrong.value.__cause__ is None


@pytest.mark.parametrize(
    "url",
    [
        "redis://h",
        "redis://h:6379/",
        "redis://:p@ss@h:6379/0",
        "redis://a:6379/0;redis://b:6379/0",
        "rediss://:p%23ss@h:6379/0?ssl_ca_certs=/tls/ca.crt",
        "amqp://u:p%2Fss@h/verify",
        "amqps://u:p@h:5671//",
        "filesystem://",
    ],
)
def test_a_broker_that_can_serve_is_taken(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    monkeypatch.setenv("VERIFY_BROKER_URL", url)
    assert load_settings().broker_url.get_secret_value() == url


def test_secrets_are_never_printed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VERIFY_DATABASE_URL", "mysql://app:hunter2@db/verify")
    monkeypatch.setenv("VERIFY_BROKER_URL", "redis://:hunter2@redis:6379/0")
    monkeypatch.setenv("VERIFY_TOMBSTONE_KEY", "hunter2")
    settings = load_settings()
    assert "hunter2" not in repr(settings) + str(settings) + str(settings.model_dump())
    assert settings.tombstone_key.get_secret_value() == "hunter2"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("LEASE_SECONDS", "soon"),
        ("LEASE_SECONDS", "-1"),
        ("CONCURRENCY", "0"),
        ("MAX_ATTEMPTS", "many"),
        ("AUTO_REJECT", "perhaps"),
        ("GENDER_CONFLICT_PROBABILITY", "95"),
        ("BLIND_AUDIT_SHARE", "2"),
        ("FETCH_RETRY_SECONDS", "30, x"),
        ("PHOTO_PORTS", "https"),
        ("MAPPED_TABLE", "member; DROP TABLE member"),
        ("MAPPED_COLUMNS", "{broken"),
        ("MAPPED_COLUMNS", '{"reason": "a b"}'),
        ("TABLE_PREFIX", "a.b"),
        ("LOG_LEVEL", "LOUD"),
        ("SANDBOX_PREFIX", "ab"),
        ("SANDBOX_PREFIX", "Sandbox-"),
        ("SANDBOX_PREFIX", "test."),
        ("SANDBOX_PREFIX", "x" * 17),
    ],
)
def test_an_error_names_the_variable(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(f"VERIFY_{name}", value)
    with pytest.raises(BadSettings, match=f"VERIFY_{name}"):
        load_settings()


def test_all_wrong_variables_are_named_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VERIFY_CONCURRENCY", "0")
    monkeypatch.setenv("VERIFY_HOME", "")
    monkeypatch.setenv("VERIFY_DATABASE_URL", "oracle://h/x")
    with pytest.raises(BadSettings) as wrong:
        load_settings()
    assert "VERIFY_CONCURRENCY" in str(wrong.value)
    assert "VERIFY_DATABASE_URL" in str(wrong.value)


def test_a_job_must_be_killed_before_its_lease_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VERIFY_LEASE_SECONDS", "45")
    with pytest.raises(BadSettings, match=r"VERIFY_TIME_LIMIT_SECONDS.*VERIFY_LEASE_SECONDS"):
        load_settings()


def test_a_photo_resolver_has_secrets_and_speaks_https_unless_its_host_is_named() -> None:
    url, secret = "http://App.internal:8080/resolve", made_up_secret()
    for given in ({"photo_resolver": url}, {"photo_resolver_secrets": secret}):
        with pytest.raises(BadSettings, match="must be set together"):
            load_settings(given)
    both = {"photo_resolver": url, "photo_resolver_secrets": secret}
    with pytest.raises(BadSettings, match="https://, or its host must be named"):
        load_settings(both)
    assert "App.internal" not in str(
        load_settings(both | {"app_private_hosts": "app.internal"}).photo_resolver
    )
    assert load_settings(both | {"photo_resolver": url.replace("http:", "https:")}).photo_resolver


def test_a_redis_behind_sentinel_must_be_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VERIFY_BROKER_URL", "sentinel://a:26379/0;sentinel://b:26379/0")
    with pytest.raises(BadSettings, match="VERIFY_SENTINEL_MASTER"):
        load_settings()
    monkeypatch.setenv("VERIFY_SENTINEL_MASTER", "mymaster")
    assert load_settings().access.master == "mymaster"


def test_lists_are_written_with_commas_and_mappings_as_json(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VERIFY_PHOTO_HOSTS", "cdn.example.com, *.photos.example.com,")
    monkeypatch.setenv("VERIFY_PHOTO_PORTS", "443,8443")
    monkeypatch.setenv("VERIFY_FETCH_RETRY_SECONDS", "1, 2.5")
    monkeypatch.setenv("VERIFY_MAPPED_COLUMNS", '{"verified_at": "face_checked_at", "reason": ""}')
    settings = load_settings()
    assert settings.photo_hosts == ("cdn.example.com", "*.photos.example.com")
    assert settings.photo_ports == (443, 8443)
    assert settings.fetch_retry_seconds == (1.0, 2.5)
    assert settings.mapped_columns == {"verified_at": "face_checked_at", "reason": ""}


def test_our_tables_get_a_prefix_beside_a_mapped_table_unless_one_is_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("VERIFY_MAPPED_TABLE", "app.users")
    assert load_settings().tables_prefix == "verify_"
    monkeypatch.setenv("VERIFY_TABLE_PREFIX", "fv_")
    assert load_settings().tables_prefix == "fv_"


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("VERIFY_PHOTO_HOST", "VERIFY_PHOTO_HOSTS"),
        ("verify_photo_host", "VERIFY_PHOTO_HOSTS"),
        ("VERIFY_DB_URL", "VERIFY_DATABASE_URL"),
        ("VERIFY_RETENTION_DAY", "VERIFY_RETENTION_DAYS"),
        ("VERIFY_MAPPED_COLUMN", "VERIFY_MAPPED_COLUMNS"),
        ("VERIFY_CONCURENCY", "VERIFY_CONCURRENCY"),
        ("VERIFY_ALLOW_PRIVATE_ADDRESS", "VERIFY_ALLOW_PRIVATE_ADDRESSES"),
    ],
)
@pytest.mark.parametrize("in_file", [False, True])
def test_a_mistyped_setting_is_an_error_that_names_the_right_one(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, written: str, meant: str, in_file: bool
) -> None:
    if in_file:
        (tmp_path / ".env").write_text(f"export {written}=hunter2\n")
    else:
        monkeypatch.setenv(written, "hunter2")
    with pytest.raises(BadSettings, match=f"{written}: .*{meant}$") as wrong:
        load_settings()
    assert "hunter2" not in str(wrong.value)


def test_mistyped_and_wrong_settings_are_named_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VERIFY_PHOTO_HOST", "x")
    monkeypatch.setenv("VERIFY_CONCURRENCY", "0")
    with pytest.raises(BadSettings, match=r"VERIFY_PHOTO_HOST: .*; VERIFY_CONCURRENCY: "):
        load_settings()


def test_names_of_the_tests_and_of_the_containers_are_nobodys_mistake(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / ".env").write_text("MYSQL_PASSWORD=x\nCOMPOSE_FILE=a:b\nVERIFY_TEST_DATABASE_URL=x\n")
    for name in ("VERIFY_TEST_BROKER_URL", "VERIFY_TEST_LONG", "VERIFY_FACES", "VERIFYING"):
        monkeypatch.setenv(name, "x")
    assert load_settings() == Settings()


def test_in_the_apps_process_its_own_variables_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VERIFY_SERVICE_SID", "of somebody's SMS service")
    assert load_settings(ours=False) == Settings()


@pytest.mark.parametrize("line", ["VERIFY_PHOTO_HOSTS: cdn.example.com", "VERIFY_PHOTO_HOSTS"])
def test_a_line_of_env_that_sets_nothing_is_an_error(tmp_path: Path, line: str) -> None:
    (tmp_path / ".env").write_text(f"# mine\n\nVERIFY_CONCURRENCY=2\n{line}\n")
    with pytest.raises(BadSettings, match=r"^\.env, line 4: not NAME=value$"):
        load_settings()


@pytest.mark.parametrize("ours", [True, False])
def test_a_file_env_in_another_encoding_is_one_line(tmp_path: Path, ours: bool) -> None:
    (tmp_path / ".env").write_bytes("VERIFY_OPERATOR=영희\n".encode("cp949"))
    with pytest.raises(BadSettings, match=r"^\.env is not UTF-8$"):
        load_settings(ours=ours)


def test_a_file_env_may_begin_with_a_byte_order_mark(tmp_path: Path) -> None:
    (tmp_path / ".env").write_bytes("VERIFY_OPERATOR=영희\r\nVERIFY_CONCURRENCY=7\r\n".encode("utf-8-sig"))
    settings = load_settings()
    assert (settings.operator, settings.concurrency) == ("영희", 7)


def test_a_file_env_is_read_and_variables_go_before_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / ".env").write_text("VERIFY_CONCURRENCY=7\nVERIFY_MAX_ATTEMPTS=5\nMYSQL_ROOT_PASSWORD=x\n")
    monkeypatch.setenv("VERIFY_CONCURRENCY", "8")
    settings = load_settings()
    assert (settings.concurrency, settings.max_attempts) == (8, 5)


def test_settings_cannot_be_changed() -> None:
    settings = load_settings({"concurrency": 3})
    with pytest.raises(ValidationError, match="frozen"):
        settings.concurrency = 4  # type: ignore[misc]
    assert settings.concurrency == 3


@pytest.mark.parametrize("address", ["127.0.0.1:9808", "127.1.2.3:80", "[::1]:9808"])
def test_whoever_is_on_the_machine_may_read_the_metrics_without_a_token(address: str) -> None:
    assert load_settings({"metrics_address": address}).metrics_address == address


@pytest.mark.parametrize("address", ["0.0.0.0:9808", "[::]:9808", "192.0.2.1:9808"])
def test_from_elsewhere_the_metrics_are_read_with_a_token_only(address: str) -> None:
    with pytest.raises(BadSettings, match="VERIFY_METRICS_TOKEN"):
        load_settings({"metrics_address": address})
    assert load_settings({"metrics_address": address, "metrics_token": "0123456789abcdef"}).metrics_address


@pytest.mark.parametrize(
    "address", ["9808", "localhost:9808", "127.0.0.1", "127.0.0.1:0", "127.0.0.1:x", "::1"]
)
def test_the_address_of_the_metrics_is_an_ip_address_with_a_port(address: str) -> None:
    with pytest.raises(BadSettings, match=r"VERIFY_METRICS_ADDRESS: must be an IP address and a port"):
        load_settings({"metrics_address": address})
