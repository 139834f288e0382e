"""`python -m chaos.fuzz_photos`: mutated files through decoder and detector, in a process of their own.

No file may end that process, keep it busy for two seconds, or make it grow by 600 MB. A file is made
from its number: `--first N --files 1` tries one again.
"""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import time
import zlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from threading import Timer
from typing import Any, Final

import click
import numpy as np
import pillow_heif
from PIL import Image, ImageDraw

from chaos.mutations import mutated
from pipeline.bundles.bundle import read_bundle
from pipeline.errors import ImageError
from pipeline.faces.detector import TwoRangeDetector
from pipeline.images.decode import decode
from support.bundle import ROOT, ensure_bundle
from support.odd_files import chunk, in_separate_scans, saved, video, with_chunk
from support.workers import TESTS_ON_PATH

MOST_SECONDS: Final = 2.0
"""Of processor time, for one file."""
MOST_GROWTH: Final = 600.0
"""MB."""
HANGS: Final = 60.0
"""Seconds without a word after which the process is killed."""
_LARGEST_SEED: Final = 300_000


def seeds(folder: Path | None = None) -> list[bytes]:
    """Small pictures in each format and mode; with a folder also its files."""
    picture = _picture()
    made = [saved(picture.convert(mode), kind, **options) for kind, mode, options in _FORMS]
    made += [saved(picture, "WEBP", save_all=True, append_images=[picture.rotate(9)]), _heic(picture)]
    made += [in_separate_scans(picture), made[0] + video(50_000), made[1][:-2] + video(50_000)]
    made += [with_chunk(made[5], chunk(b"zTXt", b"Raw profile type exif\0\0" + zlib.compress(bytes(999))))]
    files = sorted(folder.rglob("*")) if folder and folder.is_dir() else []
    return made + [f.read_bytes() for f in files if f.is_file() and 0 < f.stat().st_size < _LARGEST_SEED]


_FORMS: Final[tuple[tuple[str, str, dict[str, Any]], ...]] = (
    ("JPEG", "RGB", {}),
    ("JPEG", "RGB", {"progressive": True}),
    ("JPEG", "RGB", {"exif": b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0"}),
    ("JPEG", "CMYK", {}),
    ("JPEG", "L", {}),
    ("PNG", "RGB", {}),
    ("PNG", "P", {}),
    ("PNG", "LA", {}),
    ("PNG", "1", {}),
    ("PNG", "RGBA", {"dpi": (300, 300)}),
    ("PNG", "I;16", {}),
    ("WEBP", "RGB", {}),
    ("WEBP", "RGBA", {"lossless": True}),
    ("BMP", "RGB", {}),
    ("BMP", "P", {}),
)


def _picture() -> Image.Image:
    """Something like a face before noise, so that the detector has to look twice."""
    noise = np.random.default_rng(0).integers(0, 255, (120, 160, 3), dtype=np.uint8)
    image = Image.fromarray(noise).resize((320, 240))
    draw = ImageDraw.Draw(image)
    draw.ellipse((100, 40, 220, 210), fill=(220, 180, 150))
    for x in (135, 185):
        draw.ellipse((x - 12, 95, x + 12, 110), fill=(40, 30, 30))
    draw.arc((130, 140, 190, 180), 20, 160, fill=(150, 60, 60), width=6)
    return image


def _heic(image: Image.Image) -> bytes:
    file = io.BytesIO()
    pillow_heif.from_pillow(image).save(file, format="HEIF", quality=60)
    return file.getvalue()


def child_process(first: int, files: int, folder: Path | None) -> None:
    """The process that may be ended: one line for each file, before and after."""
    bundle = read_bundle(ensure_bundle())
    detector = TwoRangeDetector(bundle.path("blazeface_short"), bundle.path("blazeface_full"))
    known = seeds(folder)
    for seed in known:
        _decode_and_detect(seed, detector)  # warm, so that growth is what damaged files add
    _tell(peak=_peak())
    for number in range(first, first + files):
        _tell(begun=number)
        started = time.process_time()
        what = _decode_and_detect(mutated(known, number), detector)
        _tell(file=number, what=what, seconds=time.process_time() - started, peak=_peak())


def _tell(**facts: object) -> None:
    """To the process that watches; at once, for this may be the last word."""
    sys.stdout.write(json.dumps(facts) + "\n")
    sys.stdout.flush()


def _decode_and_detect(data: bytes, detector: TwoRangeDetector) -> str:
    try:
        picture = decode(data)
    except ImageError as refused:
        return type(refused).__name__
    return "a face" if detector.detect(picture.rgb).faces else "no face"


def _peak() -> float:
    """The most memory that this process has held so far, in MB."""
    return int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]) / 1024


@dataclass(slots=True)
class Report:
    """What came of the files."""

    files: int = 0
    what: Counter[str] = field(default_factory=Counter)
    ended: list[int] = field(default_factory=list)
    """Files that ended the process or never ended."""
    slow: list[int] = field(default_factory=list)
    slowest: float = 0.0
    growth: float = 0.0
    """MB over what whole files need."""

    @property
    def clean(self) -> bool:
        """Nothing ended, hung or grew."""
        return not self.ended and not self.slow and self.growth <= MOST_GROWTH


def fuzz(first: int, files: int, folder: Path | None = None, seconds: float = float("inf")) -> Report:
    """Try files of these numbers; where one ends the process the next one goes on."""
    report, number, deadline = Report(), first, time.monotonic() + seconds
    while number < first + files and time.monotonic() < deadline:
        begun = number - 1
        base = 0.0
        for line in _lines(number, first + files - number, folder):
            begun = line.get("begun", begun)
            base = base or line.get("peak", 0.0)
            if "file" in line:
                _count(report, line, base)
                number = int(line["file"]) + 1
            if time.monotonic() > deadline:
                return report
        if number < first + files:
            report.ended.append(int(begun))
            number = int(begun) + 1
    return report


def _count(report: Report, line: dict[str, Any], base: float) -> None:
    report.files += 1
    report.what[str(line["what"])] += 1
    report.slowest = max(report.slowest, line["seconds"])
    report.growth = max(report.growth, line["peak"] - base)
    if line["seconds"] > MOST_SECONDS:
        report.slow.append(int(line["file"]))


def _lines(first: int, files: int, folder: Path | None) -> Iterator[dict[str, Any]]:
    """What the process says, until it ends or is silent for too long."""
    words = ["--look", "--first", str(first), "--files", str(files)]
    words += ["--seeds", str(folder)] if folder else []
    process = subprocess.Popen(
        [sys.executable, "-m", "chaos.fuzz_photos", *words],
        env={**os.environ, **TESTS_ON_PATH, "OMP_NUM_THREADS": "1"},
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    try:
        while True:
            silence = Timer(HANGS, process.kill)
            silence.start()
            line = process.stdout.readline()
            silence.cancel()
            if not line:
                return
            yield json.loads(line)
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


@click.command()
@click.option("--files", default=100_000, show_default=True)
@click.option("--first", default=0, show_default=True, help="The number of the first file.")
@click.option("--seeds", "folder", type=click.Path(path_type=Path), help="A folder of more files to mutate.")
@click.option("--minutes", default=float("inf"), help="Stop then, whatever is left.")
@click.option("--look", "child", is_flag=True, hidden=True)
def main(files: int, first: int, folder: Path | None, minutes: float, child: bool) -> None:
    """Mutate files, decode them and look for faces; exit status 1 if one did harm."""
    if child:
        child_process(first, files, folder)
        return
    report = fuzz(first, files, folder, minutes * 60)
    for name in Report.__dataclass_fields__:
        value = getattr(report, name)
        click.echo(f"{name}: {dict(value) if isinstance(value, Counter) else value}")
    sys.exit(0 if report.clean else 1)


if __name__ == "__main__":
    main()
