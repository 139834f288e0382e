"""Faults one after the other, each on a system of its kind, and what came of the jobs."""

from __future__ import annotations

import math
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

from chaos import clock
from chaos.deployment import Deployment, EmbeddedDeployment, RabbitDeployment, RedisDeployment
from chaos.events import EventsDeployment
from chaos.failover import FailoverDeployment, SentinelDeployment
from chaos.faults import FAULTS, Fault, small_disk
from chaos.jobs import Member, Told
from chaos.switchover import Replicated, SwitchoverDeployment
from support.rabbitmq import RabbitMq
from support.servers import MariaDb, Redis, ServerMissing, quick_folder

MOST_GROWTH: Final = 10.0
"""Percent."""
WARM: Final = 200
"""Jobs before a process has all the memory that it will need; with fewer, growth means nothing."""

_Server = TypeVar("_Server", MariaDb, Replicated, Redis)


@dataclass(frozen=True, slots=True)
class Row:
    """What a fault did."""

    fault: str
    times: int
    jobs: int
    lost: int
    doubled: int
    wrong: int
    left: int
    """Messages that nobody acknowledged."""
    seconds: float
    """The longest time from the end of the fault to the end of the last job that was sent before it."""
    growth: float | None = None
    """By how many percent the process that grew most has grown since it was warm; None where
    memory is not watched: what is killed begins anew."""
    told: Told | None = None
    """What an app was told of the jobs, where one takes events."""
    lines: tuple[str, ...] = ()
    """What exactly is not as it must be."""

    @property
    def clean(self) -> bool:
        """Nothing lost, doubled, wrong or left, and no process that grows."""
        return not (self.lost or self.doubled or self.wrong or self.left or (self.growth or 0) > MOST_GROWTH)

    def as_json(self) -> dict[str, Any]:
        """As a program reads it."""
        return asdict(self)


@contextmanager
def deployment_of(kind: str, folder: Path) -> Iterator[Deployment]:
    """A system whose processes `Deployment.start` starts. Raises ServerMissing."""
    with ExitStack() as stack:
        yield _made(kind, folder, stack)


def _made(kind: str, folder: Path, stack: ExitStack) -> Deployment:
    if kind == "embedded":
        stack.enter_context(small_disk(folder / "var"))
        return EmbeddedDeployment(folder, stack)
    if kind == "switchover":
        pair = [Replicated(stack.enter_context(quick_folder()), number) for number in (1, 2)]
        primary, standby = (_started(server, stack) for server in pair)
        return SwitchoverDeployment(folder, primary, standby, _redis(folder, stack), stack)
    mariadb = _started(MariaDb(stack.enter_context(quick_folder())), stack)
    if kind == "rabbitmq":
        rabbit = RabbitMq(folder / "rabbitmq")
        stack.callback(rabbit.close)
        rabbit.start()
        return RabbitDeployment(folder, mariadb, rabbit, stack)
    first = _redis(folder, stack)
    if kind in ("failover", "sentinel"):
        replica = Redis(folder / "replica", replica_of=first.port, password=first.password)
        made = FailoverDeployment if kind == "failover" else SentinelDeployment
        return made(folder, mariadb, first, _started(replica, stack), stack)
    if kind == "events":
        return EventsDeployment(folder, mariadb, first, stack)
    deployment = RedisDeployment(folder, mariadb, first, stack)
    if kind == "clock":
        _make_the_clock_movable(deployment)
    return deployment


def _redis(folder: Path, stack: ExitStack) -> Redis:
    return _started(Redis(folder / "redis", password="redis-word"), stack)


def _started(server: _Server, stack: ExitStack) -> _Server:
    server.start()
    stack.callback(server.kill)
    return server


def _make_the_clock_movable(deployment: Deployment) -> None:
    file = deployment.folder / "clock"
    file.write_text("0")
    deployment.settings[clock.VARIABLE] = str(file)


def experiment(deployment: Deployment, fault: Fault, jobs: int, times: int) -> Row:
    """Inject the fault so often, each time in the middle of its share of the jobs."""
    members: list[Member] = []
    worst = 0.0
    deployment.start()
    first: dict[int, int] = {}
    for _ in range(times):
        share = deployment.crowd.members(_name(fault), math.ceil(jobs / times), pending=fault.pending)
        worst = max(worst, once(deployment, fault, share))
        members += share
        if fault.memory and len(members) >= WARM:
            first = first or deployment.memory()
    growth = _growth(first, deployment.memory()) if first else None
    left, found = deployment.left(), deployment.audit(members)
    return Row(
        fault.name,
        times,
        sum(member.size for member in members),
        len(found.lost),
        len(found.doubled),
        len(found.wrong),
        left,
        round(worst, 1),
        growth,
        deployment.told,
        tuple(found.lines),
    )


def _growth(before: dict[int, int], after: dict[int, int]) -> float | None:
    shares = [100 * (after[pid] / before[pid] - 1) for pid in before.keys() & after.keys()]
    return round(max(shares), 1) if shares else None


def once(deployment: Deployment, fault: Fault, members: Sequence[Member]) -> float:
    """Half of the jobs before the fault, half while it lasts; seconds until all of them had their end."""
    put = deployment.accept if fault.accepted else deployment.send
    middle = len(members) // 2
    put(members[:middle])
    deployment.wait_for_some(members[:middle])
    with fault.inject(deployment):
        put(members[middle:])
    over = time.monotonic()
    deployment.wait_for_all(members)
    return time.monotonic() - over


def _name(fault: Fault) -> str:
    return "".join(c if c.isalnum() else "-" for c in fault.name.lower())


def run(faults: Sequence[Fault], jobs: int, times: int) -> Iterator[Row | tuple[Fault, str]]:
    """A row for each fault, or the fault and why it could not be tried. One system for each kind."""
    for kind in dict.fromkeys(fault.deployment for fault in faults):
        selected = [fault for fault in faults if fault.deployment == kind]
        with tempfile.TemporaryDirectory(prefix="chaos-") as folder:
            try:
                with deployment_of(kind, Path(folder)) as deployment:
                    for fault in selected:
                        often = 1 if fault.once else times * 5 if fault.weight > 1 else times
                        yield experiment(deployment, fault, jobs * fault.weight, often)
            except ServerMissing as missing:
                yield from ((fault, str(missing)) for fault in selected)


def named(names: Sequence[str]) -> list[Fault]:
    """The faults whose names begin so; all where none is named."""
    return [f for f in FAULTS if not names or any(f.name.lower().startswith(n.lower()) for n in names)]
