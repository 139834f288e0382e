"""What the operator may set: environment variables with the prefix `VERIFY_`, read once, frozen.

With nothing set everything is embedded: SQLite and the filesystem broker under `var/`. A list is
written with commas (`VERIFY_PHOTO_HOSTS=cdn.example.com,*.photos.example.com`), a mapping as JSON.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from datetime import timedelta
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self

from dotenv.parser import Binding, parse_stream
from pydantic import Field, SecretStr, ValidationError, model_validator
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, SettingsConfigDict

from worker.errors import BadSettings
from worker.setting_values import (
    SUNDAY_NIGHT,
    BrokerUrl,
    DatabaseUrl,
    Days,
    Headers,
    Hosts,
    Name,
    Names,
    Numbers,
    Ports,
    QualifiedName,
    QueuePrefix,
    Schedule,
    Seconds,
    Share,
    Waits,
    in_words,
)
from worker.urls import Access, scheme_of

PREFIX: Final = "VERIFY_"
ENV_FILE: Final = ".env"
ENCODING: Final = "utf-8-sig"
"""UTF-8, with the mark that some editors set before it."""
_FOR_TESTS: Final = ("VERIFY_TEST_", "VERIFY_FACES")
_FOLLOWS: Final = "default_factory_not_called"  # says only that another variable is wrong


class Settings(BaseSettings):
    """Everything an operator may set. Each field is the variable `VERIFY_` + its name."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_file=ENV_FILE,
        env_file_encoding=ENCODING,
        env_ignore_empty=True,  # a line of .env without a value leaves the default
        extra="ignore",  # .env also carries passwords of the containers; see `mistakes`
        frozen=True,
        hide_input_in_errors=True,  # a broken database URL still holds its password
        validate_default=True,
    )

    # Places
    home: Path = Path("var")
    """The folder of everything that is kept without a server."""
    database_url: DatabaseUrl = Field(
        default_factory=lambda data: SecretStr(f"sqlite:///{data['home']}/verify.db")
    )
    """`mysql://user:password@host/database` or `sqlite:///path`."""
    broker_url: BrokerUrl = SecretStr("filesystem://")
    """`redis://host:6379/0` (several, with `;`: fail-over), `sentinel://host:26379/0` (likewise), `amqp://…`,
    or `filesystem://` under `home`."""
    broker_ca: Path | None = None
    """The authority's certificate, where the broker's is not from one that the machine trusts."""
    queue_prefix: QueuePrefix = ""
    """Goes before the names of our queues on a broker that others use as well."""
    sentinel_master: str = ""
    """The name under which Sentinel knows the Redis of `sentinel://…`."""
    sentinel_password: SecretStr = SecretStr("")
    """Sentinel's own, if it has one; that of Redis stands in each address."""
    sentinel_tls: bool = False
    """Whether Sentinel and its Redis speak TLS."""
    bundle: Path = Field(default_factory=lambda data: data["home"] / "bundle")
    """The folder with the models."""
    backbones: str = ""
    """A folder that hosts share, or the base of https addresses: fine-tuned networks lie there."""

    head_public_key: Path | None = None
    """A file (PEM, Ed25519): heads out of the database must be signed by its counterpart."""
    head_signing_key: Path | None = None
    """That counterpart, for those who publish heads: the retrain worker and whoever runs `models publish`."""

    # Photos
    photo_hosts: Hosts = ()
    """Hosts that photos may come from, `*.` for every subdomain; empty: every public host."""
    photo_ports: Ports = (80, 443)
    photo_ca: Path | None = None
    """The authority's certificate, where that of a photo store is your own; the usual ones stay trusted."""
    photo_headers: Headers = Field(default_factory=dict)
    """What a photo host wants to be told with every request, by host, as JSON."""
    allow_http: bool = False
    allow_private_addresses: bool = False
    """Loopback and private networks, on every port; for tests and the demo."""
    fetch_max_bytes: Annotated[int, Field(gt=0)] = 32 * 1024 * 1024
    """Of one photo; those of a job together have 224 MiB at the most."""
    fetch_connect_seconds: Seconds = 4
    fetch_read_seconds: Seconds = 10
    fetch_total_seconds: Seconds = 20
    """For one photo, whatever its server does, redirects included."""
    fetch_redirects: Annotated[int, Field(ge=0, le=10)] = 3
    fetch_retry_seconds: Waits = (30, 120, 300)
    """Waits before a job whose photo server is in trouble is tried again; then it is judged without."""

    # Work
    concurrency: Annotated[int, Field(ge=1, le=256)] = 2
    """Processes of one worker; each holds its own models, 300 to 350 MB of memory."""
    time_limit_seconds: Seconds = 50
    """A job that runs longer is killed; must be shorter than the lease."""
    lease_seconds: Seconds = 60
    """How long a started job belongs to its process before another one may take it over."""
    max_attempts: Annotated[int, Field(ge=1, le=20)] = 3
    """Starts without an end (a killed process) before a job is dead."""
    sweep_seconds: Seconds = 15
    """How often the database is asked for what is unfinished."""
    stale_seconds: Seconds = 120
    """How long a queued job may wait before the sweep takes its message for lost."""

    # Policy
    auto_reject: bool = False
    """Let the machine reject. Works with a calibrated bundle only."""
    unverified_primary: bool = False
    """Approve by a later photo where the first one shows no face that can be judged."""
    gender_conflict_probability: Annotated[float, Field(ge=0.5, le=1)] = 0.95
    blind_audit_share: Share = 0.02
    """Share of the approvals that a person looks at, so that wrong ones become visible."""

    # Retraining
    retrain_schedule: Schedule = SUNDAY_NIGHT
    """When beat asks for a retraining: minute, hour, day, month, weekday in UTC; `never`."""
    retrain_min_labels: Annotated[int, Field(ge=1)] = 200
    """So many new labels of members who consented, or the planned retraining is left out."""
    retrain_promote: Literal["auto", "never"] = "auto"
    """Whether a model that the gate lets pass judges at once, or waits for `models promote`."""
    retrain_gate: Numbers = Field(default_factory=dict)
    """Numbers of the gate (`pipeline.promotion.gate.GateRules`) that are to differ, as JSON."""
    retrain_lease_seconds: Seconds = 60
    """After so long a retraining whose worker was killed is taken up again."""
    retrain_time_limit_seconds: Seconds = 3600

    # The app's own member table (mapped mode)
    mapped_table: QualifiedName = ""
    """`table` or `database.table`; empty: our own table `member`."""
    mapped_id_column: Name = "member_id"
    mapped_columns: Names = Field(default_factory=dict)
    """Our result columns to the app's, as JSON; `""` leaves one out."""
    table_prefix: Name | None = None
    """Goes before our own tables' names; unset: `verify_` in mapped mode, nothing otherwise."""

    # Privacy and logs
    tombstone_key: SecretStr = SecretStr("")
    """Keys the hashes of forgotten members, and the blind audit's choice; must never change."""
    operator: str = ""
    """Who runs the commands, for the records of decisions, labels and looks; empty: the login name."""
    retention_days: Days = 180
    """How long the numbers of each photo (scores, quality, face box) are kept after the verdict."""
    dead_job_days: Days = 30
    """How long the message of a dead job is kept, which may name people and their photos."""
    access_log_days: Days = 730
    """How long it is on record who looked at a member."""
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if not self.fetch_total_seconds < self.time_limit_seconds < self.lease_seconds:
            raise ValueError(
                "VERIFY_FETCH_TOTAL_SECONDS must be shorter than VERIFY_TIME_LIMIT_SECONDS, "
                "and that shorter than VERIFY_LEASE_SECONDS"
            )
        return self

    @model_validator(mode="after")
    def _findable(self) -> Self:
        if scheme_of(self.broker_url.get_secret_value()) == "sentinel" and not self.sentinel_master:
            raise ValueError("VERIFY_SENTINEL_MASTER must name the Redis that Sentinel is to find")
        return self

    @property
    def access(self) -> Access:
        """What it takes to get to the broker, besides its address."""
        password = self.sentinel_password.get_secret_value()
        return Access(
            self.broker_ca, self.sentinel_master, password, self.sentinel_tls, queue_prefix=self.queue_prefix
        )

    @property
    def tables_prefix(self) -> str:
        """What goes before our own tables' names."""
        if self.table_prefix is not None:
            return self.table_prefix
        return "verify_" if self.mapped_table else ""

    @property
    def secret(self) -> bytes:
        """`tombstone_key` as hashes are keyed with; empty where there is none."""
        return self.tombstone_key.get_secret_value().encode()

    @property
    def broker_folder(self) -> Path:
        """Where the filesystem broker keeps its queues."""
        return self.home / "broker"

    @property
    def lease(self) -> timedelta:
        """`lease_seconds` as a duration."""
        return timedelta(seconds=self.lease_seconds)

    @property
    def stale_after(self) -> timedelta:
        """`stale_seconds` as a duration."""
        return timedelta(seconds=self.stale_seconds)


def load_settings(values: Mapping[str, Any] | None = None, *, ours: bool = True) -> Settings:
    """The settings from the environment; ``values`` by field name go before it.

    ``ours``: every variable `VERIFY_…` must be a setting. In an app's process it need not be, for an app
    may have variables of that name itself. Raises BadSettings that names each wrong variable and shows no
    value.
    """
    try:
        problems = mistakes(Settings.model_fields) if ours else []
        settings, wrong = _validated(values or {})
    except UnicodeDecodeError:
        raise BadSettings(f"{ENV_FILE} is not UTF-8") from None
    except OSError as error:
        raise BadSettings(f"{ENV_FILE} cannot be read ({type(error).__name__})") from None
    if settings is None or problems:
        raise BadSettings("; ".join(problems + wrong))
    return settings


def _validated(values: Mapping[str, Any]) -> tuple[Settings | None, list[str]]:
    """The settings, or what is wrong with them."""
    try:
        return Settings(**values), []
    except ValidationError as error:
        problems = error.errors(include_url=False, include_input=False)
        return None, [_describe(problem) for problem in problems if problem["type"] != _FOLLOWS]


def _describe(problem: ErrorDetails) -> str:
    where, text = problem["loc"], in_words(problem)
    return f"{PREFIX}{str(where[0]).upper()}: {text}" if where else text


def mistakes(fields: Iterable[str]) -> list[str]:
    """What is wrong with the names in the environment and in `.env`, a sentence each, without a value.

    Each `VERIFY_…` must be one of ``fields`` (lower case): a misspelt one would be dropped in silence.

    Raises OSError and UnicodeDecodeError where `.env` cannot be read.
    """
    written = _env_file()
    known = [PREFIX + field.upper() for field in fields]
    names = {*os.environ, *(binding.key for binding in written if binding.key)}
    unknown = sorted(name for name in names if _is_ours(name) and name.upper() not in known)
    return [_unreadable(binding) for binding in written if _broken(binding)] + [
        _nearest(name, known) for name in unknown
    ]


def _env_file() -> list[Binding]:
    file = Path(ENV_FILE)
    if not file.is_file():
        return []
    with file.open(encoding=ENCODING) as stream:
        return list(parse_stream(stream))


def _broken(binding: Binding) -> bool:
    return binding.error or (binding.value is None and _is_ours(binding.key or ""))


def _is_ours(name: str) -> bool:
    """As settings are found: whatever the case."""
    return name.upper().startswith(PREFIX) and not name.upper().startswith(_FOR_TESTS)


def _unreadable(binding: Binding) -> str:
    text = binding.original.string
    line = binding.original.line + text[: len(text) - len(text.lstrip())].count("\n")
    return f"{ENV_FILE}, line {line}: not NAME=value"


def _nearest(name: str, known: list[str]) -> str:
    (nearest,) = get_close_matches(name.upper(), known, n=1, cutoff=0)
    return f"{name}: there is no such setting; the nearest is {nearest}"
