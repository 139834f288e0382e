"""Half of the jobs point at a photo host that hangs: what is left of the other half's throughput.

`PYTHONPATH=.:tests python -m chaos.dead_host` measures it with the product's own patience (10 s for a
silent host), first alone, then beside a healthy half, then beside the dead one.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import click

from chaos.deployment import Deployment
from chaos.jobs import Crowd, Member
from chaos.run import deployment_of
from support.photo_server import Answer, PhotoServer

PATIENT: Final = {
    "VERIFY_FETCH_TOTAL_SECONDS": "20",
    "VERIFY_TIME_LIMIT_SECONDS": "50",
    "VERIFY_LEASE_SECONDS": "60",
    "VERIFY_STALE_SECONDS": "120",
    "VERIFY_FETCH_RETRY_SECONDS": "30,120,300",
}
"""The defaults, in place of the hasty ones of the other faults."""


class HangingHost(PhotoServer):
    """Takes every request and answers none in time."""

    def _file(self, path: str) -> Answer:  # noqa: ARG002
        return Answer(delay=60)


def per_second(deployment: Deployment, members: Sequence[Member], others: Sequence[Member] = ()) -> float:
    """Jobs of the members that end in a second, while those of the others lie between them."""
    started = time.monotonic()
    for number, member in enumerate(members):
        deployment.send([member, *others[number : number + 1]])
    deployment.wait_for_all(members)
    return len(members) / (time.monotonic() - started)


@click.command()
@click.option("--jobs", default=1500, show_default=True, help="Good jobs of each of the two runs.")
@click.option("--milliseconds", default=100, show_default=True, help="What one of them costs.")
def main(jobs: int, milliseconds: int) -> None:
    """Measure the good half's throughput alone, beside a healthy half, and beside a dead half."""
    with tempfile.TemporaryDirectory() as folder, deployment_of("redis", Path(folder)) as deployment:
        deployment.settings |= PATIENT
        deployment.start()
        with HangingHost() as dead:
            good, bad = Crowd(deployment.photos.url, milliseconds), Crowd(dead.url, milliseconds)
            alone = per_second(deployment, good.members("alone", jobs))
            usual = per_second(deployment, good.members("usual", jobs), good.members("healthy", jobs))
            beside = per_second(deployment, good.members("beside", jobs), bad.members("dead", jobs))
    click.echo(f"alone {alone:.1f}/s, beside a healthy half {usual:.1f}/s, beside a dead half {beside:.1f}/s")
    click.echo(f"of its usual throughput: {beside / usual:.0%}; of what it has alone: {beside / alone:.0%}")


if __name__ == "__main__":
    main()
