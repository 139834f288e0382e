"""MariaDB and Redis of the tests' own: on free ports, in temporary folders, killed at will.

Nothing here needs root, and nothing touches a server that already runs on the machine.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Final

import pymysql
import redis

_MEMORY_NEEDED: Final = 2 * 1024**3
_SYSTEM_FOLDERS: Final = ("/usr/sbin", "/usr/local/sbin", "/sbin")  # mariadbd lies off an ordinary PATH
INSTALL_HINT: Final = "install it with: apt-get update && apt-get install -y mariadb-server-core redis-server"


class ServerMissing(Exception):
    """A server that the tests need is not installed."""


class ServerFailed(Exception):
    """A server was started and did not come up; the message ends with the last of its log."""


def find_program(*names: str) -> str:
    """The path of the first of these programs that is installed, or `ServerMissing`."""
    folders = os.pathsep.join([os.environ.get("PATH", ""), *_SYSTEM_FOLDERS])
    for name in names:
        if path := shutil.which(name, path=folders):
            return path
    raise ServerMissing(f"{names[0]} is not installed; {INSTALL_HINT}")


def free_port() -> int:
    """A TCP port on the loopback address that nobody listens on just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def quick_folder() -> Iterator[Path]:
    """A temporary folder in memory where there is room, else on the disk.

    MariaDB waits for the disk at each CREATE TABLE: in memory a test's tables are there in a fifth of
    the time. What is in memory outlives a killed server all the same.
    """
    memory = Path("/dev/shm")
    roomy = os.access(memory, os.W_OK) and shutil.disk_usage(memory).free > _MEMORY_NEEDED
    with tempfile.TemporaryDirectory(prefix="verify-", dir=memory if roomy else None) as folder:
        yield Path(folder)


class PrivateServer:
    """A server process with its data in ``folder``; the port stays the same over restarts."""

    name: str = "server"
    start_seconds: float = 120.0

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.port = free_port()
        self._process: subprocess.Popen[bytes] | None = None

    def command(self) -> Sequence[str]:
        """The command line that runs the server in the foreground."""
        raise NotImplementedError

    def environment(self) -> dict[str, str] | None:
        """Its environment; None: that of the tests."""
        return None

    def answers(self) -> bool:
        """Whether the server takes requests."""
        raise NotImplementedError

    @property
    def log(self) -> Path:
        """What the server prints."""
        return self.folder / f"{self.name}.log"

    @property
    def running(self) -> bool:
        """Whether the process lives."""
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Start it and wait until it answers."""
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                self.command(),
                env=self.environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.folder,
                start_new_session=True,  # a server may be several processes, which all are meant
            )
        deadline = time.monotonic() + self.start_seconds
        while not self.answers():
            if not self.running or time.monotonic() > deadline:
                raise ServerFailed(f"{self.name} did not come up: {self._last_words()}")
            time.sleep(0.02)

    def stop(self) -> None:
        """Let it end in good order."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """End it at once, as a crash would."""
        self._end(signal.SIGKILL)

    def restart(self) -> None:
        """Start it again, with the data that it left behind."""
        if self.running:
            self.stop()
        self.start()

    def freeze(self) -> None:
        """Stop it in its tracks: connections stay open and nothing answers."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on after `freeze`."""
        self._signal(signal.SIGCONT)

    def _end(self, how: signal.Signals) -> None:
        if self._process is None:
            return
        self._signal(signal.SIGCONT)
        self._signal(how)
        try:
            self._process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            self._signal(signal.SIGKILL)
            self._process.wait()
        self._process = None

    def _signal(self, which: signal.Signals) -> None:
        if self._process is not None and self._process.poll() is None:
            os.killpg(self._process.pid, which)

    def _last_words(self) -> str:
        return self.log.read_text(errors="replace")[-2000:]


class MariaDb(PrivateServer):
    """A private mariadbd; root has no password and only this machine reaches it."""

    name = "mariadbd"

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.data = folder / "data"
        # As root it refuses to run unless it is told that this is meant; for others the option is void.
        self._user = ["--user=root"] if os.geteuid() == 0 else []
        if not self.data.exists():
            self._install()

    def _install(self) -> None:
        """Create the system tables (0.6 s)."""
        program = find_program("mariadb-install-db", "mysql_install_db")
        options = [f"--datadir={self.data}", "--auth-root-authentication-method=normal", "--skip-test-db"]
        done = subprocess.run(
            [program, "--no-defaults", *self._user, *options], capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise ServerFailed(f"mariadb-install-db failed: {done.stdout[-500:]} {done.stderr[-1500:]}")

    def command(self) -> Sequence[str]:
        """mariadbd, told everything: nothing is read from the machine's own settings."""
        return [
            find_program("mariadbd", "mysqld"),
            "--no-defaults",
            *self._user,
            f"--datadir={self.data}",
            f"--socket={self.folder / 's'}",
            f"--pid-file={self.folder / 'pid'}",
            # A server that starts removes the temporary tables there: those of others too, which crash.
            f"--tmpdir={self.folder}",
            f"--port={self.port}",
            "--bind-address=127.0.0.1",
            "--character-set-server=utf8mb4",  # its own default is latin1
            "--skip-name-resolve",
            "--innodb-buffer-pool-size=64M",
            "--innodb-log-file-size=16M",
            "--innodb-flush-log-at-trx-commit=2",  # survives the process, not the power: enough here
        ]

    def answers(self) -> bool:
        """Whether root can log in."""
        try:
            pymysql.connect(host="127.0.0.1", port=self.port, user="root", connect_timeout=2).close()
        except pymysql.err.OperationalError:
            return False
        return True

    @property
    def url(self) -> str:
        """SQLAlchemy URL without a database."""
        return f"mysql+pymysql://root@127.0.0.1:{self.port}/?charset=utf8mb4"


class Redis(PrivateServer):
    """A private Redis; writes an append-only file when ``durable``, so that it can be killed.

    ``replica_of`` is the port of the one whose replica it is; ``options`` are more words of its command.
    """

    name = "redis-server"

    def __init__(
        self,
        folder: Path,
        *options: str,
        durable: bool = False,
        replica_of: int | None = None,
        password: str = "",
    ) -> None:
        super().__init__(folder)
        self.options, self.durable, self.replica_of, self.password = options, durable, replica_of, password

    def command(self) -> Sequence[str]:
        """redis-server without a settings file."""
        return [
            find_program("redis-server"),
            *("--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self.folder), "--save", ""),
            *("--appendonly", "yes" if self.durable else "no", "--appendfsync", "always"),
            *(("--replicaof", f"127.0.0.1 {self.replica_of}") if self.replica_of else ()),
            *(("--requirepass", self.password, "--masterauth", self.password) if self.password else ()),
            *self.options,
        ]

    def answers(self) -> bool:
        """Whether it says PONG."""
        try:
            with redis.Redis(port=self.port, socket_timeout=2, password=self.password or None) as client:
                return bool(client.ping())
        except redis.RedisError:
            return False

    def lose_disk(self) -> None:
        """It cannot save any more, and takes no commands that change anything (MISCONF)."""
        in_the_way = self.folder / "dump.rdb"
        in_the_way.unlink(missing_ok=True)
        in_the_way.mkdir()
        with redis.Redis.from_url(self.url) as client:
            client.config_set("save", "3600 1")
            self._save(client, "err")

    def regain_disk(self) -> None:
        """It can."""
        (self.folder / "dump.rdb").rmdir()
        with redis.Redis.from_url(self.url) as client:
            self._save(client, "ok")
            client.config_set("save", "")

    def _save(self, client: redis.Redis, how_it_ends: str) -> None:
        client.bgsave()
        while client.info()["rdb_last_bgsave_status"] != how_it_ends:
            time.sleep(0.02)

    @property
    def url(self) -> str:
        """URL of its database 0."""
        return f"redis://:{self.password}@127.0.0.1:{self.port}/0"


def redis_cluster(folder: Path) -> Redis:
    """A Redis that is a cluster of one. Its bus takes the port 10,000 further on, which must be one."""
    made = (Redis(folder / str(number), "--cluster-enabled", "yes") for number in count())
    return next(server for server in made if server.port + 10_000 < 2**16)
