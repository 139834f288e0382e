"""Redis as an operator has it who cannot wait for people: a primary, a replica, and Sentinels that choose."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import redis

from support.servers import Redis, find_program

MASTER: Final = "faces"
"""The name by which it is asked for."""
PASSWORD: Final = "sentinel-word"
_HASTY: Final = {"down-after-milliseconds": 1000, "failover-timeout": 3000}


class Sentinel(Redis):
    """One of those that watch a Redis; it writes into its settings file what it finds out."""

    def __init__(self, folder: Path, watched: Redis, quorum: int) -> None:
        super().__init__(folder, password=PASSWORD)
        self.file = folder / "sentinel.conf"
        lines = [
            *(f"port {self.port}", "bind 127.0.0.1", f"dir {folder}"),
            *(f"requirepass {PASSWORD}", f"sentinel sentinel-pass {PASSWORD}"),
            f"sentinel monitor {MASTER} 127.0.0.1 {watched.port} {quorum}",
            *(f"sentinel {word} {MASTER} {value}" for word, value in _HASTY.items()),
            *([f"sentinel auth-pass {MASTER} {watched.password}"] if watched.password else []),
        ]
        self.file.write_text("\n".join(lines) + "\n")

    def command(self) -> Sequence[str]:
        """The same program, told to be a Sentinel."""
        return [find_program("redis-server"), str(self.file), "--sentinel"]

    def chosen(self) -> int:
        """The port of the Redis that it sends clients to."""
        return int(self._view()["port"])

    def can_choose(self, sentinels: int) -> bool:
        """Whether it knows the replica, and so many Sentinels, itself among them."""
        view = self._view()
        return int(view["num-slaves"]) > 0 and int(view["num-other-sentinels"]) + 1 == sentinels

    def _view(self) -> dict[str, Any]:
        with redis.Redis(port=self.port, password=PASSWORD) as client:
            view: dict[str, Any] = client.sentinel_master(MASTER)
            return view
