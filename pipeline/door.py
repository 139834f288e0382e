"""The source system's service function: two photos in, same person and gender out."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.verdict import Gender, Outcome

if TYPE_CHECKING:
    from pipeline.models import Models

BUNDLE = Path("var/bundle")


def match(selfie: bytes, profile: bytes, bundle: Path = BUNDLE) -> tuple[bool | None, Gender | None]:
    """Does the profile photo show the person of the selfie, and which gender does the selfie show?

    Photos are file contents. The first answer is None where the machine cannot tell (no face,
    several faces, a score between the edges); the second is None without a usable selfie and
    `Gender.UNKNOWN` where the face is usable but not clear. The bundle is loaded once and kept.
    Raises ModelError if there is none. For everything else there is `pipeline.verify.verify`.
    """
    from pipeline.verify import verify

    verdict = verify(_models(bundle), selfie, [profile])
    known = {Outcome.SAME: True, Outcome.DIFFERENT: False}
    gender = verdict.gender if verdict.selfie.outcome is Outcome.USABLE else None
    return known.get(verdict.photos[0].outcome), gender


@cache
def _models(bundle: Path) -> Models:
    from pipeline.load import load_models

    return load_models(bundle)
