"""The demo's run: settings of its own, the real commands one after another, a real worker."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from rich.text import Text

from worker import runtime
from worker.clock import utc_now
from worker.demo.scenarios import Scenario, write_workbook
from worker.errors import PermanentError
from worker.setting_names import PREFIX
from worker.store import RequestRecord
from worker.store.tables.states import State

_ROOT: Final = Path(__file__).resolve().parents[2]
_TIMEOUT_SECONDS: Final = 120.0
_CONSOLE_PORT: Final = 8300
_ENDED: Final = (State.DONE, State.DEAD, State.SUPERSEDED)

Say = Callable[[str | Text], None]
"""Shows one line."""


class DemoFailed(PermanentError):
    """The demo could not run to its end."""


@dataclass(frozen=True, slots=True)
class Result:
    """A scenario with what became of it."""

    scenario: Scenario
    request: RequestRecord

    @property
    def as_expected(self) -> bool:
        """Whether the verdict is the expected one."""
        return (self.request.status, self.request.reason) == self.scenario.expected

    @property
    def milliseconds(self) -> float:
        """From the start of the work to its end, downloads included."""
        if self.request.started_at is None or self.request.finished_at is None:
            return 0.0
        return (self.request.finished_at - self.request.started_at).total_seconds() * 1000


def use_demo_settings(home: Path, bundle: Path) -> None:
    """This process, and all that it starts, go by the demo's settings from here on, in ``home``.

    What is set in the environment or in a file `.env` does not count.
    """
    shutil.rmtree(home, ignore_errors=True)
    home.mkdir(parents=True)
    for name in [name for name in os.environ if name.upper().startswith(PREFIX)]:
        del os.environ[name]
    os.environ.update(
        VERIFY_HOME=".",
        VERIFY_BUNDLE=str(bundle.resolve()),
        VERIFY_ALLOW_HTTP="true",
        VERIFY_ALLOW_PRIVATE_ADDRESSES="true",  # the photos lie on this very machine
        VERIFY_BLIND_AUDIT_SHARE="0",  # no approval is selected for the audit
        VERIFY_REVIEW_REUSED_PHOTOS="false",  # the members share the photos of few people
        PYTHONPATH=os.pathsep.join(filter(None, [str(_ROOT), os.environ.get("PYTHONPATH")])),
    )
    os.chdir(home)
    runtime.reset()


def use_console_settings() -> None:
    """The same for what the console needs beyond that."""
    os.environ.update(
        VERIFY_CONSOLE_ADDRESS=f"127.0.0.1:{_port()}",
        VERIFY_BLIND_AUDIT_SHARE="1",  # some of what waits are approvals
        VERIFY_SECOND_REVIEW_SHARE="0",  # there is no other reviewer
    )
    runtime.reset()


def _port() -> int:
    """The usual one, or one that is free."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        for wanted in (_CONSOLE_PORT, 0):
            with suppress(OSError):
                probe.bind(("127.0.0.1", wanted))
                break
        port: int = probe.getsockname()[1]
        return port


def run_scenarios(scenarios: Sequence[Scenario], photos_url: str, say: Say) -> list[Result]:
    """Import the scenarios' members and let a worker verify them. Raises DemoFailed."""
    _command(say, "init-db")
    return _verified(scenarios, photos_url, say, Path("members.xlsx"))


def run_for_the_console(
    scenarios: Sequence[Scenario], objects: str, photos_url: str, say: Say
) -> list[Result]:
    """The same for more members, whose approvals are sampled, and one who objects. Raises DemoFailed."""
    results = _verified(scenarios, photos_url, say, Path("more-members.xlsx"))
    _command(say, "review", "object", objects, "--by", "demo")
    return results


def _verified(scenarios: Sequence[Scenario], photos_url: str, say: Say, workbook: Path) -> list[Result]:
    write_workbook(workbook, photos_url, scenarios)
    with _worker(say) as worker:
        before = _ended()
        _command(say, "import", str(workbook))
        _wait(worker, before + len(scenarios))
    return [Result(one, runtime.store().requests.of_member(one.member_id)[0]) for one in scenarios]


def show_texts(member_id: str, say: Say) -> None:
    """What the member reads, in both languages."""
    for language in ("--ko", "--en"):
        _command(say, "show", member_id, language)


def _command(say: Say, *words: str) -> None:
    say(Text(f"$ python -m worker {' '.join(words)}", "dim"))
    done = subprocess.run(
        [sys.executable, "-m", "worker", *words], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise DemoFailed(f"worker {words[0]} failed: {(done.stderr or done.stdout).strip()[-600:]}")
    if done.stdout.strip():
        say(done.stdout.rstrip())


@contextmanager
def _worker(say: Say) -> Iterator[subprocess.Popen[bytes]]:
    """A worker process, as an operator would start it; stopped at the end."""
    say(Text("$ python -m worker run &", "dim"))
    with Path("worker.log").open("wb") as log:
        process = subprocess.Popen([sys.executable, "-m", "worker", "run"], stdout=log, stderr=log)
        try:
            yield process
        finally:
            process.terminate()
            try:
                process.wait(timeout=20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _ended() -> int:
    """How many requests have."""
    requests = runtime.store().reports.status(utc_now()).requests
    return sum(requests[state] for state in _ENDED)


def _wait(worker: subprocess.Popen[bytes], members: int) -> None:
    deadline = time.monotonic() + _TIMEOUT_SECONDS
    while _ended() < members:
        if worker.poll() is not None:
            raise DemoFailed(f"the worker ended: {_log_tail()}")
        if time.monotonic() > deadline:
            raise DemoFailed(f"not everybody is verified after {_TIMEOUT_SECONDS:.0f} s: {_log_tail()}")
        time.sleep(0.1)


def _log_tail() -> str:
    return Path("worker.log").read_text(errors="replace").strip()[-1000:]
