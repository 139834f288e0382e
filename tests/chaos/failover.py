"""Systems whose Redis is replaced by its replica: found by the second address, or by Sentinel."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Final

import redis

from chaos.deployment import RedisDeployment
from support.sentinel import MASTER, PASSWORD, Sentinel
from support.servers import MariaDb, Redis
from support.workers import wait_until
from worker.client.broker import Access

SENTINELS: Final = 3


class FailoverDeployment(RedisDeployment):
    """Behind the address of a second Redis, which is the first one's replica."""

    def __init__(
        self, folder: Path, mariadb: MariaDb, broker: Redis, replica: Redis, stack: ExitStack
    ) -> None:
        self.replica = replica
        super().__init__(folder, mariadb, broker, stack)

    @property
    def broker_url(self) -> str:
        """Both, in this order."""
        return f"{self.broker.url};{self.replica.url}"

    def promote(self) -> None:
        """The replica is the primary one from now on; the old one stays away."""
        with redis.Redis.from_url(self.replica.url) as client:
            client.replicaof("NO", "ONE")
        self.broker = self.replica


class SentinelDeployment(FailoverDeployment):
    """Behind Sentinels, which know the one and the other by a name."""

    access = Access(master=MASTER, sentinel_password=PASSWORD)

    def __init__(
        self, folder: Path, mariadb: MariaDb, broker: Redis, replica: Redis, stack: ExitStack
    ) -> None:
        homes = [folder / f"sentinel-{number}" for number in range(SENTINELS)]
        self.sentinels = [Sentinel(home, broker, SENTINELS // 2 + 1) for home in homes]
        for sentinel in self.sentinels:
            sentinel.start()
            stack.callback(sentinel.kill)
        super().__init__(folder, mariadb, broker, replica, stack)
        self.settings |= {"VERIFY_SENTINEL_MASTER": MASTER, "VERIFY_SENTINEL_PASSWORD": PASSWORD}

    @property
    def broker_url(self) -> str:
        """All Sentinels, with the password of Redis."""
        word = self.broker.password
        return ";".join(f"sentinel://:{word}@127.0.0.1:{sentinel.port}/0" for sentinel in self.sentinels)

    def start(self) -> None:
        """Sentinels that have found each other and the replica can choose it."""
        super().start()
        wait_until(lambda: all(sentinel.can_choose(SENTINELS) for sentinel in self.sentinels))

    def promote(self) -> None:
        """They do it themselves, as soon as they agree."""
        wait_until(lambda: all(sentinel.chosen() == self.replica.port for sentinel in self.sentinels))
        self.broker = self.replica
