"""`python -m pipeline verify SELFIE PHOTO...`: verify once on the command line."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import click

from pipeline.bundles.load import load_models
from pipeline.cli import FILE, bundle_option
from pipeline.terminal import console, new_table
from pipeline.verdict import Gender, PhotoFinding, Verdict
from pipeline.verify import verify

NAMES = {"approve_threshold": "approve_edge", "different_threshold": "different_edge"}
"""Fields whose JSON keys have kept an earlier name."""


@click.command()
@click.argument("selfie", type=FILE)
@click.argument("photos", type=FILE, nargs=-1, required=True)
@bundle_option
@click.option(
    "--declared", type=click.Choice(["female", "male"]), help="The gender that the member declared."
)
@click.option("--json", "as_json", is_flag=True, help="Print the whole verdict as JSON.")
def command(
    selfie: Path, photos: tuple[Path, ...], bundle: Path, declared: str | None, as_json: bool
) -> None:
    """Do the gallery PHOTOS show the person of the SELFIE? Exit status 0 whatever the verdict."""
    verdict = verify(
        load_models(bundle),
        selfie.read_bytes(),
        [photo.read_bytes() for photo in photos],
        Gender(declared) if declared else None,
    )
    if as_json:
        record = asdict(
            verdict, dict_factory=lambda items: {NAMES.get(key, key): value for key, value in items}
        )
        click.echo(json.dumps(record, indent=2))
    else:
        _print(verdict, [selfie, *photos])


def _print(verdict: Verdict, files: list[Path]) -> None:
    out = console()
    table = new_table("photo", "outcome", "shown as", "similarity", "faces", "why")
    for file, finding in zip(files, [verdict.selfie, *verdict.photos], strict=True):
        similarity = f"{finding.comparison.similarity:.3f}" if finding.comparison else ""
        table.add_row(
            file.name, finding.outcome, finding.verdict or "", similarity, str(finding.faces), _why(finding)
        )
    out.print(table)
    gender = (
        f"{verdict.gender} ({verdict.gender_probability:.2f})"
        if verdict.gender_probability
        else verdict.gender
    )
    out.print(f"{verdict.status}: {verdict.reason}; gender {gender}; bundle {verdict.model_version}")
    out.print(", ".join(f"{stage} {ms:.0f} ms" for stage, ms in verdict.timings.items()))


def _why(finding: PhotoFinding) -> str:
    if finding.gate:
        return f"{finding.gate.name} {finding.gate.value:.2f}, limit {finding.gate.limit:.2f}"
    return "the same picture as the selfie" if finding.replay else finding.detail
