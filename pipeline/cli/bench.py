"""`python -m pipeline bench`: the time of a verification; with `--peers`, a comparison with others."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import click
import cv2
import numpy as np
from threadpoolctl import threadpool_limits

from pipeline.bundles.load import load_models, warm_up
from pipeline.cli import FILE, FOLDER, PATH, bundle_option
from pipeline.datasets.corrections import read_corrected
from pipeline.datasets.data import LabelledFace, Pair, files_of, read_pairs
from pipeline.datasets.embeddings import Dataset
from pipeline.datasets.tables import PersonCodes, face_table, labels_of
from pipeline.errors import DataError
from pipeline.evaluation.bench import (
    FaceRecognition,
    Ours,
    Verifier,
    bench,
    compare,
    time_verifiers,
    two_photos,
)
from pipeline.evaluation.protocol import fit_without, of_any_gender, require_enough
from pipeline.evaluation.sample import sample_pairs
from pipeline.evaluation.turns import PEER, in_turns, ours, peer
from pipeline.first_stage import FirstStage
from pipeline.fitting.first_stage import fit_first_stage
from pipeline.fitting.fit import FitSettings
from pipeline.score import Scorer
from pipeline.terminal import console, new_table


@click.command()
@click.option("--photos", type=FILE, nargs=2, help="A selfie and a photo.  [default: a made 1280x960 pair]")
@click.option("--rounds", type=click.IntRange(1), default=15, help="Verifications.")
@click.option(
    "--compare",
    type=FOLDER,
    multiple=True,
    help="Time another checkout, with its own var/bundle, in turns with this one.",
)
@click.option("--peers", is_flag=True, help="Time face_recognition (dlib) in turns, or score PAIRS by both.")
@click.option("--pairs", type=FILE, multiple=True, help="For --peers: file_x,file_y,same and fold or set.")
@click.option("--images", type=FOLDER, help="For --peers: the folder that the CSVs' paths start from.")
@click.option("--only", multiple=True, help="For --peers: these folds and sets alone.")
@click.option("--limit", type=click.IntRange(2), help="For --peers: at most so many pairs of each.")
@click.option(
    "--faces", type=FILE, multiple=True, help="For --peers: fit our head on these, without the tested."
)
@click.option("--cache", type=PATH, help="Keep embeddings of FACES here.")
@bundle_option
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(
    photos: tuple[Path, Path] | None,
    rounds: int,
    compare: tuple[Path, ...],
    peers: bool,
    pairs: tuple[Path, ...],
    images: Path | None,
    only: tuple[str, ...],
    limit: int | None,
    faces: tuple[Path, ...],
    cache: Path | None,
    bundle: Path,
    as_json: bool,
) -> None:
    """Milliseconds of processor time for each stage of one verification of two photos."""
    if pairs and (not peers or images is None):
        raise click.UsageError("--pairs wants --peers and --images")
    # As in a worker: a second thread of numpy would wait busily, and its time be taken for ours.
    cv2.setNumThreads(1)
    with threadpool_limits(1):
        if pairs and images is not None:
            dataset = Dataset(load_models(bundle), bundle, images, cache)
            result = _peers(dataset, _chosen(pairs, only, limit), read_corrected(faces))
        elif compare or peers:
            result = _turns(photos, bundle, compare, peers, rounds)
        else:
            result = _stages(photos, bundle, rounds)
    if as_json:
        click.echo(json.dumps(result, indent=2))
    elif pairs:
        _print_peers(result)
    elif compare or peers:
        _print_turns(result)
    else:
        _print_stages(result)


def _stages(photos: tuple[Path, Path] | None, bundle: Path, rounds: int) -> dict[str, Any]:
    models = load_models(bundle)
    warm_up(models)
    selfie, photo = tuple(path.read_bytes() for path in photos) if photos else two_photos()
    return bench(models, selfie, photo, rounds)


def _turns(
    photos: tuple[Path, Path] | None, bundle: Path, others: Sequence[Path], peers: bool, rounds: int
) -> dict[str, Any]:
    """This checkout and the others, and perhaps the peer, on two photos."""
    with TemporaryDirectory() as folder, ExitStack() as stack:
        files = photos or tuple(Path(folder) / name for name in ("selfie.jpg", "photo.jpg"))
        if not photos:
            for path, data in zip(files, two_photos(), strict=True):
                path.write_bytes(data)
        files = tuple(path.absolute() for path in files)
        here = Path.cwd()
        contestants = {"this checkout": ours(here, bundle.absolute(), files)}
        contestants |= {str(other): ours(other, other.absolute() / "var/bundle", files) for other in others}
        if peers:
            contestants[PEER] = peer(here, files)
        for contestant in contestants.values():
            stack.enter_context(contestant)
        return {"rounds": rounds, "contestants": in_turns(contestants, rounds)}


def _chosen(csvs: Sequence[Path], only: Sequence[str], limit: int | None) -> list[Pair]:
    """At most ``limit`` pairs of each fold or set, half of them genuine."""
    groups: dict[str, list[Pair]] = {}
    for pair in (pair for path in csvs for pair in read_pairs(path)):
        if not only or pair.set in only or pair.fold in only:
            groups.setdefault(pair.set or pair.fold, []).append(pair)
    if not groups:
        raise DataError(f"no pairs of {', '.join(only)}")
    return [pair for own in groups.values() for pair in (sample_pairs(own, limit) if limit else own)]


def _peers(dataset: Dataset, pairs: Sequence[Pair], faces: Sequence[LabelledFace]) -> dict[str, Any]:
    scorer, stage = _scorer(dataset, pairs, faces)
    verifiers: list[Verifier] = [FaceRecognition(), Ours(dataset.models, scorer, stage)]
    fitted = "without the tested people" if faces else "as shipped, perhaps on the tested people"
    return {
        "our_head": fitted,
        "contestants": compare(verifiers, pairs, time_verifiers(verifiers, pairs, dataset.root)),
    }


def _scorer(
    dataset: Dataset, pairs: Sequence[Pair], faces: Sequence[LabelledFace]
) -> tuple[Scorer, FirstStage | None]:
    """Those of the shipped head, or fitted on the labelled faces of other people."""
    if not faces:
        return dataset.models.params.scorer, dataset.models.params.first_stage
    people = PersonCodes(faces)
    test_people = people.codes(files_of(pairs))
    require_enough([test_people], of_any_gender(labels_of(faces, people)))
    table = face_table(faces, dataset.embed([face.file for face in faces]), people)
    pair_scorer = fit_without(test_people, table, FitSettings())
    scorer = replace(pair_scorer.scorer, thresholds=pair_scorer.thresholds(-1, -1))
    others = table.only(~np.isin(table.identity, test_people))
    return scorer, fit_first_stage(scorer, others)


def _print_stages(result: dict[str, Any]) -> None:
    table = new_table("stage", "median ms", "middle half", title=f"{result['rounds']} verifications")
    for stage, ms in [*result["milliseconds"].items(), ("on the clock", result["wall"])]:
        table.add_row(stage, f"{ms['median']:.1f}", f"{ms['quartile25']:.1f} to {ms['quartile75']:.1f}")
    console().print(table)
    console().print(f"compared by: {', '.join(result['networks'])}; at most {result['peak_mb']:.0f} MB")


def _print_turns(result: dict[str, Any]) -> None:
    table = new_table("who", "median ms", "middle half", "times", title=f"{result['rounds']} rounds in turns")
    for who, found in result["contestants"].items():
        ms, times = found["milliseconds"], found["times"]
        spread = f"{times['median']:.2f} ({times['quartile25']:.2f} to {times['quartile75']:.2f})"
        table.add_row(who, f"{ms['median']:.1f}", f"{ms['quartile25']:.1f} to {ms['quartile75']:.1f}", spread)
    console().print(table)


def _print_peers(result: dict[str, Any]) -> None:
    out = console()
    table = new_table("set", "who", "pairs", "no face", "AUC", "best cut", "FMR", "FNMR")
    for who, own in result["contestants"].items():
        for name, row in own["sets"].items():
            rates = [row["auc"], row["best_accuracy"], row["fmr"], row["fnmr"]]
            shown = ["–" if rate is None else f"{rate:.4f}" for rate in rates]
            table.add_row(name, who, str(row["pairs"]), str(row["no_face"]), *shown)
    out.print(table)
    for who, own in result["contestants"].items():
        ms = own["milliseconds"]
        out.print(f"{who}: {ms['median']:.0f} ms a pair ({ms['quartile25']:.0f} to {ms['quartile75']:.0f})")
    out.print(
        "best cut: right at the threshold that suits these pairs best; FMR, FNMR: out of the box. "
        f"Our head: {result['our_head']}"
    )
