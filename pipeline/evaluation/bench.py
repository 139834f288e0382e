"""Measure the processor time of a verification, stage by stage."""

from __future__ import annotations

import importlib.util
import io
from collections.abc import Callable, Sequence
from pathlib import Path
from time import process_time
from typing import Any

from PIL import Image, ImageOps

from pipeline.analysis import analyse
from pipeline.bundles.models import Models
from pipeline.errors import DataError
from pipeline.evaluation.peers import quartiles
from pipeline.terminal import track
from pipeline.verdict import Verdict
from pipeline.verify import judge

SIZE = (1280, 960)
"""Of a photo: that of a phone's picture after an app has reduced it."""
PORTRAIT = "astronaut.png"
QUALITY = 90
Verify = Callable[[bytes, bytes], Verdict]


def two_photos() -> tuple[bytes, bytes]:
    """Two JPEGs of 1280x960 of one person, made of scikit-image's public-domain portrait.

    The second is mirrored and a little smaller: another file, and for the networks another face.
    `pipeline.faces.same_picture` takes it for a copy, which is its slowest case. Raises DataError without
    scikit-image.
    """
    spec = importlib.util.find_spec("skimage")
    if spec is None or spec.origin is None:
        raise DataError("the portrait is in scikit-image, which is not installed: name two photos")
    portrait = Image.open(Path(spec.origin).parent / "data" / PORTRAIT).convert("RGB")
    return _photo(portrait, 960), _photo(ImageOps.mirror(portrait), 800)


def _photo(portrait: Image.Image, height: int) -> bytes:
    """The portrait, ``height`` pixels high, in the middle of a photo of `SIZE`."""
    photo, side = Image.new("RGB", SIZE, (90, 100, 110)), (height, height)
    scaled = portrait.resize(side, Image.Resampling.LANCZOS)
    photo.paste(scaled, ((SIZE[0] - height) // 2, SIZE[1] - height))
    packed = io.BytesIO()
    photo.save(packed, "JPEG", quality=QUALITY)
    return packed.getvalue()


def bench(models: Models, selfie: bytes, photo: bytes, rounds: int) -> dict[str, Any]:
    """Milliseconds of processor time of every stage and of the whole, over ``rounds``; JSON.

    Raises DataError where a photo shows no face that can be compared.
    """

    def verify_two(one: bytes, other: bytes) -> Verdict:
        return judge(models, analyse([models], one, [other], process_time))

    return measure(verify_two, selfie, photo, rounds)


def measure(verify_two: Verify, selfie: bytes, photo: bytes, rounds: int) -> dict[str, Any]:
    """The same for any verification; a first round, for warming up, is not counted."""
    if verify_two(selfie, photo).photos[0].comparison is None:
        raise DataError("the photos show no two faces that can be compared")
    totals: list[float] = []
    stages: list[dict[str, float]] = []
    for _ in track(range(rounds), rounds, "verifying"):
        started = process_time()
        verdict = verify_two(selfie, photo)
        totals.append((process_time() - started) * 1000)
        stages.append(dict(verdict.timings))
    return {"rounds": rounds, "milliseconds": {**_by_stage(stages), "all": quartiles(totals)}}


def _by_stage(rounds: Sequence[dict[str, float]]) -> dict[str, dict[str, float]]:
    return {name: quartiles([timings.get(name, 0.0) for timings in rounds]) for name in rounds[0]}
