"""A system whose MariaDB has a replica, which takes its place while the old primary lives on, read-only."""

from __future__ import annotations

import select
import socket
import threading
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pymysql

from chaos.deployment import RedisDeployment
from support.servers import MariaDb, Redis
from support.workers import wait_until

_RIGHTS: Final = (
    "CREATE, CREATE VIEW, DROP, ALTER, INDEX, REFERENCES, TRIGGER, LOCK TABLES, "
    "SELECT, INSERT, UPDATE, DELETE"
)


class Replicated(MariaDb):
    """One of two MariaDBs; each could be the other's replica."""

    def __init__(self, folder: Path, number: int) -> None:
        super().__init__(folder)
        self.number = number

    def command(self) -> Sequence[str]:
        """As ever, with a log to be read by the other one."""
        log = ("--log-bin", "--binlog-format=ROW", "--log-bin-trust-function-creators=1")
        return [*super().command(), f"--server-id={self.number}", *log]

    def do(self, *statements: str) -> list[dict[str, Any]]:
        """Run these as root; what the last one gives."""
        with (
            pymysql.connect(
                host="127.0.0.1",
                port=self.port,
                user="root",
                autocommit=True,
                cursorclass=pymysql.cursors.DictCursor,
            ) as connection,
            connection.cursor() as cursor,
        ):
            for statement in statements:
                cursor.execute(statement)
            return list(cursor.fetchall())

    def follow(self, primary: Replicated) -> None:
        """Be its replica, from now on."""
        (place,) = primary.do("SHOW MASTER STATUS")
        self.do(
            f"CHANGE MASTER TO MASTER_HOST='127.0.0.1', MASTER_PORT={primary.port}, MASTER_USER='root', "
            f"MASTER_LOG_FILE='{place['File']}', MASTER_LOG_POS={place['Position']}",
            "START SLAVE",
            "SET GLOBAL read_only = 1",
        )

    def has_all_of(self, primary: Replicated) -> bool:
        """Whether nothing of the primary's log is still to come."""
        (there,), (here,) = primary.do("SHOW MASTER STATUS"), self.do("SHOW SLAVE STATUS")
        return bool(here["Exec_Master_Log_Pos"] == there["Position"])


class Door:
    """A port that leads to a server, and later to another one; open connections stay where they are."""

    def __init__(self, target: int) -> None:
        self.target = target
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._socket.getsockname()[1])
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                near, _ = self._socket.accept()
                threading.Thread(target=self._pass_on, args=(near,), daemon=True).start()

    def _pass_on(self, near: socket.socket) -> None:
        with near, suppress(OSError), socket.create_connection(("127.0.0.1", self.target)) as far:
            self._carry(near, far)

    @staticmethod
    def _carry(near: socket.socket, far: socket.socket) -> None:
        """Bytes both ways, until one side ends."""
        other = {near: far, far: near}
        while True:
            for ready in select.select(list(other), [], [])[0]:
                part = ready.recv(1 << 16)
                if not part:
                    return
                other[ready].sendall(part)

    def close(self) -> None:
        """Let nobody in any more."""
        self._socket.close()


@dataclass(frozen=True, slots=True)
class _Behind:
    """What stands at an address, whichever server that is."""

    url: str


class SwitchoverDeployment(RedisDeployment):
    """Behind one address, by an account that a read-only server holds back, as those of `grants.sql` are."""

    def __init__(
        self, folder: Path, primary: Replicated, replica: Replicated, broker: Redis, stack: ExitStack
    ) -> None:
        self.primary, self.replica = primary, replica
        replica.follow(primary)
        primary.do("CREATE USER faces IDENTIFIED BY 'word'", f"GRANT {_RIGHTS} ON *.* TO faces")
        wait_until(lambda: replica.has_all_of(primary))
        self.door = Door(primary.port)
        stack.callback(self.door.close)
        address = f"mysql+pymysql://faces:word@127.0.0.1:{self.door.port}/?charset=utf8mb4"
        super().__init__(folder, _Behind(address), broker, stack)

    def switch(self) -> None:
        """As an administrator does it: nothing is written any more, the replica catches up and takes over."""
        self.primary.do("SET GLOBAL read_only = 1")
        wait_until(lambda: self.replica.has_all_of(self.primary))
        self.replica.do("STOP SLAVE", "SET GLOBAL read_only = 0")
        self.door.target = self.replica.port
        # Ours: whoever only reads finds nothing wrong with the old primary.
        self.store.database.engine.dispose()
