"""`python -m worker models (list | promote | rollback | shadow | report | publish | sign)`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import click
from rich.text import Text

from pipeline.errors import ModelError
from pipeline.terminal import console, new_table
from worker import runtime
from worker.cli.output import print_json
from worker.clock import utc_now
from worker.serving.registry import foreign_networks, publish
from worker.store import ModelRecord, Replaced, ShadowReport
from worker.store.tables.states import ModelState

_STYLES: Final = {
    ModelState.CHAMPION: "green",
    ModelState.SHADOW: "cyan",
    ModelState.CHALLENGER: "yellow",
    ModelState.REJECTED: "red",
    ModelState.RETIRED: "dim",
}


@click.group()
def models() -> None:
    """List, promote and publish heads; workers take a new one between two jobs, without a restart.

    A version is a challenger when it is published, perhaps in shadow for a while, then champion, then
    retired. While none is champion, each host serves the bundle that it was shipped with.
    """


@models.command("list")
@click.option("--json", "as_json", is_flag=True, help="With the figures, as JSON.")
def list_(as_json: bool) -> None:
    """All versions, the newest first."""
    records = runtime.store().models.latest()
    if as_json:
        print_json(records)
        return
    if records:
        _print_list(records)
    if not any(record.state is ModelState.CHAMPION for record in records):
        here = runtime.head_checks().shipped
        click.echo(f"No champion: each host serves the bundle it was shipped with ({here or 'none'} here).")


def _print_list(records: list[ModelRecord]) -> None:
    table = new_table(
        "version", "state", "calibration", "published (UTC)", "promoted", "shadowed", "refused by"
    )
    for one in records:
        table.add_row(
            one.version,
            Text(one.state, _STYLES[one.state]),
            one.calibration or "?",
            f"{one.created_at:%Y-%m-%d %H:%M}",
            f"{one.promoted_at:%Y-%m-%d %H:%M}" if one.promoted_at else "-",
            f"{one.shadow_verdicts:,}" if one.shadow_verdicts else "-",
            "\n".join(f"{refused.host}: {refused.problem}" for refused in one.refused) or "-",
        )
    console().print(table)


@models.command(short_help="Make a version the champion.")
@click.argument("version", metavar="VERSION")
@click.option(
    "--force", is_flag=True, help="Also a rejected one, or without its networks in the bundle here."
)
def promote(version: str, force: bool) -> None:
    """Make VERSION the champion: workers use it from their next job on.

    Verdicts that stand are not judged again.
    """
    store = runtime.store()
    with _refusing(force):
        runtime.head_checks().check(version)
    _say(store.models.promote(version, utc_now(), force=force))


@models.command(short_help="Back to the champion before this one.")
@click.option("--force", is_flag=True, help="Also without its networks in the bundle here.")
def rollback(force: bool) -> None:
    """Back to the champion before this one; before the first there is the bundle as shipped."""
    store = runtime.store()
    back_to = store.models.previous_champion()
    with _refusing(force):
        runtime.head_checks().check(back_to)
    _say(store.models.rollback(to=back_to))


@models.command(short_help="Let a challenger judge live jobs without deciding.")
@click.argument("version", metavar="VERSION")
@click.option("--off", is_flag=True, help="No longer.")
def shadow(version: str, off: bool) -> None:
    """Let a challenger judge live jobs without deciding; `models report VERSION` shows what it says."""
    store = runtime.store()
    if not off:
        with _refusing(force=False):
            runtime.head_checks().check(version)
    changed = store.models.set_shadow(version, on=not off)
    state = "not in shadow" if off else "in shadow"
    click.echo(f"{version} is {state}" + (" from now on." if changed else " already."))


@models.command(short_help="Which verdicts a challenger in shadow would flip.")
@click.argument("version", metavar="VERSION")
@click.option("--examples", type=click.IntRange(0, 100), default=5, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
def report(version: str, examples: int, as_json: bool) -> None:
    """Which verdicts VERSION would have changed, by what it said in shadow."""
    found = runtime.store().shadows.report(version, examples)
    if as_json:
        print_json(found)
        return
    if not found.verdicts:
        raise click.ClickException(f"{version} has judged nothing in shadow (`models shadow {version}`)")
    _print_report(found)


def _print_report(found: ShadowReport) -> None:
    flipped = found.verdicts - found.agreed
    share = 100 * flipped / found.verdicts
    click.echo(f"{found.version}: {flipped:,} of {found.verdicts:,} verdicts would flip ({share:.2f} %),")
    click.echo(f"judged {found.first_at:%Y-%m-%d %H:%M} to {found.last_at:%Y-%m-%d %H:%M} UTC.")
    if found.flips:
        table = new_table("decided", "in shadow", "requests", "for example")
        for flip in found.flips:
            table.add_row(flip.decided, flip.shadow, f"{flip.count:,}", ", ".join(flip.examples))
        console().print(table)


@models.command("publish", short_help="A bundle's head becomes a challenger.")
@click.argument("folder", metavar="DIR", type=click.Path(exists=True, file_okay=False, path_type=Path))
def publish_(folder: Path) -> None:
    """Put the head of the bundle in DIR into the database, as a challenger.

    Networks that the bundle here does not hold go to VERIFY_BACKBONES, where that is a folder: hosts
    that cannot fetch them refuse the head.
    """
    with _refusing(force=False):
        version = publish(runtime.store().models, folder, utc_now(), signatures=runtime.signatures())
        foreign = foreign_networks(folder, runtime.settings().bundle)
        left = runtime.network_files().offer(folder, foreign)
    if left:
        click.echo(f"Warning: put into VERIFY_BACKBONES before you promote it: {', '.join(left)}", err=True)
    click.echo(f"{version} is published; `models promote {version}` makes it the champion.")


@models.command(short_help="Sign a version that was published without a signature.")
@click.argument("version", metavar="VERSION")
def sign(version: str) -> None:
    """Sign VERSION with VERIFY_HEAD_SIGNING_KEY: for heads that were published before there was a key.

    You vouch for it: look at its figures and at what it said in shadow first.
    """
    store = runtime.store()
    head = store.models.head(version)
    if head is None:
        raise click.ClickException(f"no version {version}: see `models list`")
    if runtime.signatures().private is None:
        raise click.UsageError("VERIFY_HEAD_SIGNING_KEY is not set")
    with _refusing(force=False):
        store.models.sign(runtime.signatures().sign(head))
    click.echo(f"{version} is signed. Hosts that refused it try again within five minutes.")


@contextmanager
def _refusing(force: bool) -> Iterator[None]:
    """An error of a model is one line and exit status 1; with ``force`` a warning."""
    try:
        yield
    except ModelError as error:
        if not force:
            raise click.ClickException(str(error)) from error
        click.echo(f"Warning: {error}", err=True)


def _say(done: Replaced) -> None:
    names = [name or "the bundle as shipped" for name in (done.champion, done.before)]
    if done.champion == done.before:
        click.echo(f"{names[0]} is the champion already.")
    else:
        click.echo(f"Champion: {names[0]}; before: {names[1]}. Workers take it before their next job.")
