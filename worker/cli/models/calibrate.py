"""`python -m worker calibrate --from-members`."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import click

from pipeline.errors import PipelineError
from worker import runtime
from worker.cli.output import progress
from worker.clock import utc_now

if TYPE_CHECKING:
    from worker.serving.calibration import Gathered, Measured


@click.command()
@click.option("--from-members", is_flag=True, required=True, help="From members who consented to training.")
@click.option("--fmr", type=click.FloatRange(1e-6, 0.1), default=0.001, show_default=True)
@click.option("--members", "limit", type=click.IntRange(2), default=1000, show_default=True, help="At most.")
@click.option("--seed", type=int, default=1, show_default=True, help="Which members, if there are more.")
@click.option("--dry-run", is_flag=True, help="Measure, and publish nothing.")
def calibrate(from_members: bool, fmr: float, limit: int, seed: int, dry_run: bool) -> None:  # noqa: ARG001
    """Set the approve threshold so that of impostor pairs among your own members only --fmr would pass.

    Selfies of different members of one declared gender are compared with each other, in memory;
    nothing of a photo is kept. The new head is published as a challenger: look at its figures, let it run in
    shadow, then promote it.
    """
    store = runtime.store()
    ids = store.labels.consenting()
    sampled = sorted(random.Random(seed).sample(ids, min(limit, len(ids))))  # noqa: S311 - no secret
    try:
        with progress("members") as step:
            done = runtime.calibration(sampled, fmr, step)
    except ModuleNotFoundError as error:
        raise click.ClickException(f"{error.name} is missing: install pipeline/requirements.txt") from error
    except PipelineError as error:
        raise click.ClickException(str(error)) from error
    _print(done.found, done.measured, fmr)
    if dry_run:
        click.echo("Nothing was published.")
        return
    store.models.add(runtime.signatures().sign(done.head), utc_now(), figures=done.figures())
    click.echo(
        f"{done.head.version} is published; `models promote {done.head.version}` makes it the champion."
    )


def _print(found: Gathered, measured: Measured, fmr: float) -> None:
    result = measured.calibration
    click.echo(
        f"{len(found.members):,} members, {result.impostors:,} impostor pairs, {result.genuine:,} "
        "labelled pairs"
    )
    for reason, count in sorted(found.lost.items()):
        click.echo(f"left out: {count:,} selfies, {reason}")
    click.echo(
        f"today's approve threshold lets {_share(measured)} of the impostor pairs pass; "
        f"asked for {100 * fmr:g} %"
    )
    low, high = result.approve95
    click.echo(
        f"approve threshold    {result.thresholds.approve:.4f}   95 % interval {low:.4f} to {high:.4f}"
    )
    interval = f"as before: {measured.genuine_unused} labelled pairs are too few"
    if result.different95:
        low, high = result.different95
        interval = f"95 % interval {low:.4f} to {high:.4f}"
    click.echo(f"different threshold  {result.thresholds.different:.4f}   {interval}")
    _warn(measured)


def _share(measured: Measured) -> str:
    if measured.fmr_before95 is None:
        return "none"
    low, high = (100 * share for share in measured.fmr_before95)
    return f"{100 * measured.fmr_before:.3f} % (95 % interval {low:.3f} to {high:.3f} %)"


def _warn(measured: Measured) -> None:
    warnings = list(measured.calibration.warnings)
    if measured.twins:
        warnings.append(f"{measured.twins} pairs were left out: one picture, or nearly, under two member IDs")
    warnings.append("the members' ages are not known: members of every age were compared")
    for warning in warnings:
        click.secho(f"Warning: {warning}", fg="yellow", err=True)
