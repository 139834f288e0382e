"""The two functions of the source system: train and match, each in one call."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.verdict import Gender, Outcome

if TYPE_CHECKING:
    from pipeline.bundles.bundle import Bundle
    from pipeline.bundles.models import Models

BUNDLE = Path("var/bundle")
TRAINED = Path("var/trained")


def match(selfie: bytes, profile: bytes, bundle: Path = BUNDLE) -> tuple[bool | None, Gender | None]:
    """Does the profile photo show the person of the selfie, and which gender does the selfie show?

    Photos are file contents. The first answer is None where it is uncertain (no face, several faces, a score
    between the thresholds); the second is None without a usable selfie and `Gender.UNKNOWN` where the face is
    usable but not clear. The bundle is loaded once and kept. Raises ModelError if there is none. For
    everything else there is `pipeline.verify.verify`.
    """
    from pipeline.verify import verify

    verdict = verify(_models(bundle), selfie, [profile])
    known = {Outcome.SAME: True, Outcome.DIFFERENT: False}
    gender = verdict.gender if verdict.selfie.outcome is Outcome.USABLE else None
    return known.get(verdict.photos[0].outcome), gender


def train(
    images: Mapping[str, Sequence[bytes]],
    genders: Mapping[str, Gender],
    out: Path = TRAINED,
    bundle: Path = BUNDLE,
    identity_key: bytes = b"",
) -> Bundle:
    """A new bundle at ``out`` from photos of people: file contents and a gender for each person.

    Faces are detected, checked and aligned, the head of ``bundle`` is trained on them, its thresholds are set
    anew. Each person needs two photos or more. The bundle holds a hash of each person's name, which only
    ``identity_key`` can check; without one, anybody who guesses a name can. Raises DataError where there are
    too few photos. For everything else there is `python -m pipeline train`.
    """
    from pipeline.datasets.data import LabelledFace
    from pipeline.datasets.embeddings import Dataset
    from pipeline.training.recipe import Recipe
    from pipeline.training.train import Trainer

    faces = []
    with tempfile.TemporaryDirectory() as folder:
        for number, (person, photos) in enumerate(images.items()):
            for position, photo in enumerate(photos):
                file = f"{number}-{position}"
                Path(folder, file).write_bytes(photo)
                faces.append(LabelledFace(file, person, genders.get(person, Gender.UNKNOWN)))
        dataset = Dataset(_models(bundle), bundle, Path(folder))
        return Trainer(dataset, Recipe(), identity_key=identity_key).train(faces, out).bundle


@cache
def _models(bundle: Path) -> Models:
    from pipeline.bundles.load import load_models

    return load_models(bundle)
