"""A host that runs an image of `support.images`: its programs, its settings, what they say."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import yaml

from support.bundle import ROOT
from support.images import Image
from support.workers import wait_until

SERVICES: Final[dict[str, dict[str, Any]]] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())[
    "services"
]
PROBE: Final[list[str]] = SERVICES["verify"]["healthcheck"]["test"][1:]
KEY: Final = "test key"
"""`VERIFY_TOMBSTONE_KEY` in production."""
SECONDS: Final = 240
"""More than anything here takes, on however slow a machine."""


@dataclass(frozen=True)
class Program:
    """A program that runs, and where its words go."""

    process: subprocess.Popen[bytes]
    log: Path

    @property
    def words(self) -> str:
        """What it has said."""
        return self.log.read_text(errors="replace")

    @property
    def ended(self) -> bool:
        """Whether it runs no more."""
        return self.process.poll() is not None

    def stop(self) -> int:
        """End it in good order; the exit status."""
        self.process.terminate()
        return self.process.wait(60)


class Host:
    """One host with an empty home; its programs end with the test."""

    def __init__(self, image: Image, settings: Mapping[str, str], folder: Path) -> None:
        self.image, self.folder = image, folder
        self.settings = {
            "VERIFY_ALLOW_HTTP": "true",
            "VERIFY_ALLOW_PRIVATE_ADDRESSES": "true",
            "VERIFY_BLIND_AUDIT_SHARE": "0",
            "VERIFY_REVIEW_REUSED_PHOTOS": "false",
            "VERIFY_CONCURRENCY": "1",
            "VERIFY_SWEEP_SECONDS": "1",
            **settings,
        }
        self.programs: list[Program] = []

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run a command to its end, however that is."""
        return self.image.run(*words, **self.settings)

    def printed(self, *words: str) -> str:
        """What a command printed, which must end well."""
        done = self.run(*words)
        assert done.returncode == 0, f"{words}: {done.stdout[-2000:]}{done.stderr[-2000:]}"
        return done.stdout

    def worker(self, *words: str) -> str:
        """The same for `python -m worker`."""
        return self.printed("python", "-m", "worker", *words)

    def start(self, words: Sequence[str]) -> Program:
        """Start a program that runs on."""
        log = self.folder / f"program-{len(self.programs)}.log"
        program = Program(self.image.start(words, log, **self.settings), log)
        self.programs.append(program)
        return program

    def start_worker(self, words: Sequence[str]) -> Program:
        """Start a worker; returns once its probe finds it well."""
        program = self.start(words)
        wait_until(lambda: program.ended or self.run(*PROBE).returncode == 0, SECONDS, every=1)
        assert not program.ended, program.words[-3000:]
        return program

    def shown(self, member: str) -> dict[str, Any]:
        """The member as `show` has it."""
        found: dict[str, Any] = json.loads(self.worker("show", member, "--json"))["member"]
        return found

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for program in self.programs:
            if not program.ended:
                os.killpg(program.process.pid, signal.SIGKILL)
                program.process.wait()
        for kept in self.image.home.iterdir():
            shutil.rmtree(kept) if kept.is_dir() else kept.unlink()


@contextmanager
def in_production(image: Image, database_url: str, broker_url: str, folder: Path) -> Iterator[Host]:
    """A host on a database that has its tables, and on a broker."""
    settings = {
        "VERIFY_DATABASE_URL": database_url,
        "VERIFY_BROKER_URL": broker_url,
        "VERIFY_TOMBSTONE_KEY": KEY,
    }
    with Host(image, settings, folder) as host:
        host.printed(*SERVICES["migrate"]["command"])
        yield host
