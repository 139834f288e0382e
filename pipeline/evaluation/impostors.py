"""Sets of single photos: no genuine pairs, but every two people of one gender are impostors."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.datasets.data import LabelledFace, first_age, read_faces
from pipeline.datasets.embeddings import Album, Embedded
from pipeline.datasets.same_people import united
from pipeline.evaluation.exhaustive import interval
from pipeline.evaluation.protocol import Judge
from pipeline.fitting import metrics
from pipeline.verdict import Gender

NEAR_AGE = 10
SENIORS = range(50, 70)


def impostor_figures(album: Album, csvs: Sequence[Path], judge: Judge) -> dict[str, Any]:
    """FMR at the approve edge and at the reference threshold, men and women of 50 to 69 apart.

    Pairs are of one gender and at most ten years apart. ``judge`` knows no person of these sets. Pairs
    that a person looked at and found to be one person (`same_people`) are left out.
    """
    figures: dict[str, Any] = {}
    for path in csvs:
        faces = seniors(path)
        embedded = album.embed([face.file for face in faces])
        figures[path.stem] = {
            str(gender): _figures(judge, [f for f in faces if f.gender is gender], embedded)
            for gender in (Gender.MALE, Gender.FEMALE)
        }
    return figures


def seniors(path: Path) -> list[LabelledFace]:
    """Those of 50 to 69; people who stand twice in the set have one identity."""
    return united([face for face in read_faces(path) if first_age(face.age) in SENIORS])


def _figures(judge: Judge, faces: Sequence[LabelledFace], embedded: Embedded) -> dict[str, Any]:
    """Over all pairs of near age; the interval draws people again, since pairs share them."""
    found, vectors = embedded.found(faces)
    ages = np.array([first_age(face.age) for face in found], dtype=np.int64)
    first, second = np.triu_indices(len(found), 1)
    people = np.unique([face.identity for face in found], return_inverse=True)[1]
    fair = (np.abs(ages[first] - ages[second]) <= NEAR_AGE) & (people[first] != people[second])
    first, second = first[fair], second[fair]
    projected = judge.scorer.project(vectors)
    scores = judge.scorer.matrix(projected, projected)[first, second]
    approve = judge.edges(-1, -1).approve
    passed = scores >= approve
    return {
        "people": len(np.unique(people)),
        "failed_to_acquire": len(faces) - len(found),
        "pairs": len(scores),
        "fmr": metrics.fmr(scores, approve),
        "false_matches": int(passed.sum()),
        "fmr_interval95": interval(passed, np.column_stack([people[first], people[second]])),
        "fmr_at_reference": None if np.isnan(judge.reference) else metrics.fmr(scores, judge.reference),
    }
