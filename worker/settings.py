"""The settings: environment variables with the prefix `VERIFY_`, read once, frozen.

With nothing set everything is embedded: SQLite and the filesystem broker under `var/`. A list is written with
commas, a mapping as JSON. `make docs` writes `.env.example` and `docs/settings.md` from `Settings`.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, ValidationError, model_validator
from pydantic_core import ErrorDetails
from pydantic_settings import SettingsConfigDict

from worker.client.broker import Access, is_redis, scheme_of
from worker.console_settings import ConsoleSettings
from worker.errors import BadSettings
from worker.setting_names import ENCODING, ENV_FILE, PREFIX, mistakes
from worker.setting_values import (
    STREAM_ENDPOINT,
    SUNDAY_NIGHT,
    AppUrl,
    BrokerUrl,
    DatabaseUrl,
    Days,
    ExactHosts,
    Headers,
    Hosts,
    MetricsAddress,
    MetricsToken,
    Name,
    Names,
    Numbers,
    PersonNames,
    Ports,
    QualifiedName,
    QueuePrefix,
    SandboxPrefix,
    Schedule,
    Seconds,
    SentryDsn,
    Share,
    StreamName,
    VectorKeys,
    Waits,
    Webhooks,
    WebhookSecrets,
    in_words,
    split_address,
)

_FOLLOWS: Final = "default_factory_not_called"  # says only that another variable is wrong


class Settings(ConsoleSettings):
    """Each field is the variable `VERIFY_` + its name in capitals."""

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
    """`mysql://user:password@host/database` (with TLS: `?ssl_ca=/path/to/ca.crt`), or SQLite:
    `sqlite:///path`."""
    broker_url: BrokerUrl = SecretStr("filesystem://")
    """`redis://host:6379/0` in production (several addresses, with `;`: fail-over),
    `amqp://user:password@host/vhost`, or `sentinel://:password@host:26379/0` (several, with `;`), where the
    password is that of Redis. With TLS `rediss://` and `amqps://`. `filesystem://`, under `VERIFY_HOME`, is
    for one machine and for trying out."""
    broker_ca: Path | None = None
    """A file with the certificate of the authority, where the broker's certificate (`rediss://`, `amqps://`,
    Sentinel) is not from one that the machine trusts."""
    queue_prefix: QueuePrefix = ""
    """Goes before the names of our queues (`faces-` makes `faces-verify` of `verify`), where an app uses the
    same broker for queues of its own. Whoever sends jobs must use the same names."""
    sentinel_master: str = ""
    """The name under which Sentinel knows the Redis of `sentinel://…`."""
    sentinel_password: SecretStr = SecretStr("")
    """Sentinel's own password, if it has one; that of Redis is in each address."""
    sentinel_tls: bool = False
    """Whether Sentinel and its Redis use TLS."""
    bundle: Path = Field(default_factory=lambda data: data["home"] / "bundle")
    """The folder with the models (`make weights` fills it)."""
    backbones: str = ""
    """Where the fine-tuned networks are that a head was made for: a folder that hosts share, or the base of
    https addresses."""

    head_public_key: Path | None = None
    """A file with an Ed25519 key (PEM). With it a worker judges with no head out of the database that the
    private key has not signed."""
    head_signing_key: Path | None = None
    """A file with that private key (PEM), for the retrain worker and for whoever runs `models publish`."""

    # Photos
    photo_hosts: Hosts = ()
    """Hosts that photos may come from, `*.` for every subdomain. Empty: every public host. Do set it."""
    photo_ports: Ports = (80, 443)
    """Ports that the address of a photo may have."""
    photo_ca: Path | None = None
    """A file with the certificate of the authority, where that of a photo store or of the app's own servers
    is your own; the usual authorities stay trusted."""
    photo_headers: Headers = Field(default_factory=dict)
    """Headers that a photo host wants with every request, by host: `{"cdn.example.com": {"Referer":
    "https://app.example.com/"}}`."""
    allow_http: bool = False
    """Whether photos may come over plain http."""
    allow_private_addresses: bool = False
    """Whether a photo link may reach loopback and private networks, on every port; for tests and the demo."""
    fetch_max_bytes: Annotated[int, Field(gt=0)] = 32 * 1024 * 1024
    """Of one photo; the photos of a job have 224 MiB together, so that each of 21 may have 10 MiB."""
    fetch_connect_seconds: Seconds = 4
    """How long a photo host may take to accept a connection."""
    fetch_read_seconds: Seconds = 10
    """The longest silence of a photo host."""
    fetch_total_seconds: Seconds = 20
    """For all photos of a job, which are fetched at the same time, redirects included. Must be shorter than
    `VERIFY_TIME_LIMIT_SECONDS`."""
    fetch_redirects: Annotated[int, Field(ge=0, le=10)] = 3
    """How many redirects are followed for one photo."""
    fetch_retry_seconds: Waits = (30, 120, 300)
    """Waits before a job is tried again whose photo host fails for a passing reason; after the last one it is
    judged without the missing photos."""

    # The app
    webhooks: Webhooks = Field(default_factory=dict)
    """Where events are posted to, by a name of your choice: `{"app": {"url": "https://app.example.com/hooks",
    "secrets": ["whsec_…"]}}`. Each post is signed with each of the secrets, the newest first. The same for
    all workers and commands."""
    event_stream: StreamName = ""
    """A Redis stream that events are written to as well, on the Redis of `VERIFY_BROKER_URL`. Empty: none."""
    event_days: Days = 30
    """Days that an event is kept after it was delivered, for `events --replay`, and in the Redis stream."""
    app_private_hosts: ExactHosts = ()
    """Hosts of the app's own servers (webhooks, photo resolver) that may be in a private network, at any
    port, and be asked over plain http; exactly those. Every other one must be public and speak https."""

    photo_resolver: AppUrl | None = None
    """Where the app is asked for a fresh link of a photo whose link has died, see `worker/RESOLVER.md`:
    `https://app.example.com/photos/resolve`. Unset: nobody is asked."""
    photo_resolver_secrets: WebhookSecrets = ()
    """Sign each question: `whsec_` and what `openssl rand -base64 32` prints. Two, the new one first, while
    one replaces the other."""

    # Work
    concurrency: Annotated[int, Field(ge=1, le=256)] | None = None
    """Processes; each has its own models, 270 to 350 MB. Unset: 4 for each processor, if memory allows."""
    time_limit_seconds: Seconds = 50
    """A job that runs longer is killed. Must be shorter than `VERIFY_LEASE_SECONDS`."""
    lease_seconds: Seconds = 60
    """How long a started job belongs to its process; then another one may acquire it."""
    max_attempts: Annotated[int, Field(ge=1, le=20)] = 3
    """How often a job may start without an end (a killed process) before it is dead."""
    sweep_seconds: Seconds = 15
    """How often the database is asked for unfinished requests."""
    stale_seconds: Seconds = 120
    """How long a queued job may wait before the sweep takes its message for lost."""

    # Policy
    auto_reject: bool = False
    """The machine rejects nobody unless this is set, and then only with a calibrated bundle."""
    unverified_primary: bool = False
    """Approve by a later photo where the first one shows no face that can be judged (a landscape, a mask).
    The first photo is then recorded as `not_verified`; without this the member is asked for another first
    photo."""
    gender_conflict_probability: Annotated[float, Field(ge=0.5, le=1)] = 0.95
    """How sure the gender must be to contradict the declared one (which opens a review, nothing else)."""
    blind_audit_share: Share = 0.02
    """Share of the approvals that a person reviews, so that wrong ones become visible."""
    review_reused_photos: bool = True
    """Whether a photo of one person that another member has used, or a near copy of it, opens a review.
    Without this `show` still names the other request."""
    max_tries: Annotated[int, Field(ge=1, le=100)] = 5
    """Sets of photos of one member that may be judged without an approval. The machine approves none after
    that: a person looks. Each set is another draw at the false-match rate."""
    tries_days: Annotated[float, Field(gt=0, le=3650)] = 30
    """How long a try counts, unless an approval or a person's decision came after it."""
    review_hours: Annotated[float, Field(gt=0, le=8760)] = 24
    """Hours within which a person should have decided a case; later it counts as overdue."""
    second_review_share: Share = 0.05
    """Share of the cases that two reviewers decide, neither of whom sees what the other one said."""
    rejection_votes: Annotated[int, Field(ge=1, le=2)] = 1
    """How many people it takes to reject a member."""
    senior_reviewers: PersonNames = ()
    """Who decides the cases that a reviewer escalates, by the names that they work under, besides the
    checkers of the console. Where there is nobody of either: anybody but who escalated it."""
    objection_days: Annotated[int, Field(ge=1, le=365)] = 30
    """Days within which a person answers a member who objects."""
    objection_alarm_days: Annotated[int, Field(ge=0, le=365)] = 7
    """Days before the end of these from which `status` counts the objection as `due_soon`."""
    objection_other_person: bool = True
    """Whether an objection to a person's decision goes to somebody else. `false` only where a single person
    does all reviews: nobody else would ever get it."""
    decision_hold_seconds: Annotated[float, Field(ge=0, le=3600)] = 0
    """How long the event of a person's decision is held back. Within that time another decision replaces it,
    and the app never hears of the first one; the database has both at once."""

    # Retraining
    retrain_schedule: Schedule = SUNDAY_NIGHT
    """When beat asks for a retraining, in UTC: minute, hour, day, month, weekday; or `never`."""
    retrain_min_labels: Annotated[int, Field(ge=1)] = 200
    """Minimum number of new labels, of members who consented, for a scheduled retraining."""
    retrain_promote: Literal["auto", "never"] = "auto"
    """`auto`: a model that passes the promotion gate judges at once; `never`: it waits for `models
    promote`."""
    retrain_gate: Numbers = Field(default_factory=dict)
    """Numbers of the promotion gate that differ from those in `pipeline/promotion/gate.py`: `{"people": 80,
    "fnmr_margin": 0.01}`."""
    retrain_lease_seconds: Seconds = 60
    """After so long another worker continues a retraining whose worker was killed."""
    retrain_time_limit_seconds: Seconds = 3600
    """How long the training of a run may take."""

    # The app's own member table (mapped mode)
    mapped_table: QualifiedName = ""
    """`table` or `database.table`. Empty: our own table `member`."""
    mapped_id_column: Name = "member_id"
    """The column of the app's table that has the member ID."""
    mapped_columns: Names = Field(default_factory=dict)
    """Our result columns to the app's; `""` leaves one out: `{"verification_status": "face_state",
    "similarity": ""}`."""
    table_prefix: Name | None = None
    """Goes before the names of our own tables. Unset: `verify_` in mapped mode, nothing otherwise."""

    # Sandbox (tests of the app)
    sandbox_prefix: SandboxPrefix = ""
    """Member IDs that begin so get a made-up verdict, which their name says (`sandbox-` makes
    `sandbox-review-different_person` one): docs/sandbox.md. Empty: nobody does. Use it in a deployment of its
    own, or with a prefix that no real ID has."""

    # Privacy, logs and metrics
    tombstone_key: SecretStr = SecretStr("")
    """Keys the hashes of forgotten members, and the choice of blind audits. Choose it once (`openssl rand
    -hex 32`); it must never change."""
    vector_keys: VectorKeys = ()
    """Encrypt the faces' vectors that a retraining keeps in the database while it runs: what `openssl rand
    -base64 32` prints, the same for all workers. The first one encrypts; put a new one in front, and remove
    the old one after the next retraining. Unset: a key that follows from `VERIFY_TOMBSTONE_KEY`."""
    operator: str = ""
    """Who runs the commands, for the records of decisions, labels and looks at members. Empty: the login
    name."""
    retention_days: Days = 180
    """Days until the numbers of each photo (scores, quality, place of the face) are purged. Verdicts stay."""
    dead_job_days: Days = 30
    """Days until the message of a dead job is purged, which may name people and their photos."""
    access_log_days: Days = 730
    """Days until the records of who looked at a member are purged."""
    link_days: Days = 30
    """Days until the queries of photo links, which are keys, are purged from the messages of requests that
    have ended; with `VERIFY_PHOTO_RESOLVER` also from `photo` and `member`."""
    metrics_address: MetricsAddress = ""
    """Where a worker serves metrics for Prometheus (docs/metrics.md): `127.0.0.1:9808`, or `0.0.0.0:9808`
    with a token. Empty: nothing is counted and nothing is served."""
    metrics_token: MetricsToken = SecretStr("")
    """What whoever reads the metrics must show (`Authorization: Bearer …`), of 16 characters or more:
    `openssl rand -hex 16` prints one. Optional on a loopback address."""
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    """The lowest level of our log lines."""
    log_format: Literal["plain", "json"] = "plain"
    """`json`: one JSON object on each line, also for what Celery and native libraries print."""
    sentry_dsn: SentryDsn = SecretStr("")
    """Where errors are sent to (the extra `sentry`): `https://KEY@sentry.example.com/1`. Empty: nowhere."""

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

    @model_validator(mode="after")
    def _readable(self) -> Self:
        open_to_all = self.metrics_address and not self.metrics_token.get_secret_value()
        if open_to_all and not ip_address(split_address(self.metrics_address)[0]).is_loopback:
            raise ValueError(
                "VERIFY_METRICS_ADDRESS must be a loopback address (127.0.0.1), or whoever reads the "
                "metrics must show a VERIFY_METRICS_TOKEN"
            )
        return self

    @model_validator(mode="after")
    def _resolvable(self) -> Self:
        if (self.photo_resolver is None) != (not self.photo_resolver_secrets):
            raise ValueError("VERIFY_PHOTO_RESOLVER and VERIFY_PHOTO_RESOLVER_SECRETS must be set together")
        if self.photo_resolver is not None and not self._may_be_asked(self.photo_resolver):
            raise ValueError(
                "VERIFY_PHOTO_RESOLVER must be an address with https://, or its host must be named in "
                "VERIFY_APP_PRIVATE_HOSTS"
            )
        return self

    @model_validator(mode="after")
    def _deliverable(self) -> Self:
        if self.event_stream and not is_redis(self.broker_url.get_secret_value()):
            raise ValueError("VERIFY_EVENT_STREAM needs a Redis in VERIFY_BROKER_URL")
        for name, webhook in self.webhooks.items():
            if not self._may_be_asked(webhook.url):
                raise ValueError(
                    f'VERIFY_WEBHOOKS: "{name}" must have an address with https://, or its host must be '
                    "named in VERIFY_APP_PRIVATE_HOSTS"
                )
        return self

    def _may_be_asked(self, url: SecretStr) -> bool:
        """Whether a server of the app's speaks https, or may be asked without."""
        parts = urlsplit(url.get_secret_value())
        return parts.scheme == "https" or parts.hostname in {host.lower() for host in self.app_private_hosts}

    @property
    def endpoints(self) -> frozenset[str]:
        """Where events go to, by name."""
        return frozenset({*self.webhooks, *([STREAM_ENDPOINT] if self.event_stream else [])})

    @property
    def access(self) -> Access:
        """What a connection to the broker needs besides its address."""
        password = self.sentinel_password.get_secret_value()
        return Access(
            self.broker_ca, self.sentinel_master, password, self.sentinel_tls, queue_prefix=self.queue_prefix
        )

    @property
    def tables_prefix(self) -> str:
        """What goes before the names of our own tables."""
        if self.table_prefix is not None:
            return self.table_prefix
        return "verify_" if self.mapped_table else ""

    @property
    def secret(self) -> bytes:
        """`tombstone_key` as bytes; empty where there is none."""
        return self.tombstone_key.get_secret_value().encode()

    @property
    def broker_folder(self) -> Path:
        return self.home / "broker"

    @property
    def lease(self) -> timedelta:
        return timedelta(seconds=self.lease_seconds)

    @property
    def stale_after(self) -> timedelta:
        return timedelta(seconds=self.stale_seconds)


def load_settings(values: Mapping[str, Any] | None = None, *, ours: bool = True) -> Settings:
    """The settings from the environment; ``values`` by field name take precedence.

    ``ours``: every variable `VERIFY_…` must be a setting. In an app's process it need not be, for the app may
    have such variables of its own. Raises BadSettings, which names each wrong variable and shows no value.
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
