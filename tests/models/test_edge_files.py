"""Hard and broken files, one by one: an ImageError or a picture, soon and in little memory."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.bundle import read_bundle
from support.bundle import ROOT

# Takes the files in one process, as a worker does, and tells of each what came of it.
LOOK = """
import json, sys, time
from pathlib import Path
from pipeline.detector import TwoRangeDetector
from pipeline.errors import ImageError
from pipeline.images import decode
detector = TwoRangeDetector(Path(sys.argv[1]), Path(sys.argv[2]))
for name in sys.stdin.read().split("\\n"):
    start, data = time.process_time(), Path(name).read_bytes()
    try:
        faces, error = len(detector.detect(decode(data).rgb).faces), None
    except ImageError as refused:
        faces, error = 0, type(refused).__name__
    seconds = time.process_time() - start
    peak = int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]) / 1024
    print(json.dumps({"name": name, "faces": faces, "error": error, "seconds": seconds, "peak": peak}))
"""

REFUSED = {
    "UnsupportedFormat": [
        "einstein.bmp",
        "einstein.gif",
        "hopper.tif",
        "gif_named_121_2.jpg",
        "gen_svg_named.jpg",
    ],
    "ImageTooLarge": ["gen_obama_9000px.jpg", "gen_flat_20000x20000.png"],
    "UndecodableImage": ["broken.png", "truncated_jpeg.jpg", "gen_zero_bytes.jpg", "gen_random_bytes.jpg"],
}


@pytest.fixture(scope="module")
def looks(faces: Path, bundle_dir: Path) -> dict[str, dict[str, object]]:
    """What came of every file of the edge set, by file name."""
    with (faces / "edge.csv").open(encoding="utf-8") as file:
        names = [str(faces / row["file"]) for row in csv.DictReader(file)]
    bundle = read_bundle(bundle_dir)
    networks = [str(bundle.path("blazeface_short")), str(bundle.path("blazeface_full"))]
    run = subprocess.run(
        [sys.executable, "-c", LOOK, *networks],
        input="\n".join(names), cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    answers = [json.loads(line) for line in run.stdout.splitlines() if line.startswith("{")]
    assert len(answers) == len(names)
    return {Path(answer["name"]).name: answer for answer in answers}


def test_none_takes_two_seconds(looks: dict[str, dict[str, float]]) -> None:
    slowest = max(looks.values(), key=lambda look: look["seconds"])
    assert slowest["seconds"] < 2, slowest


def test_the_process_stays_small(looks: dict[str, dict[str, float]]) -> None:
    assert max(look["peak"] for look in looks.values()) < 300  # MB, without embedders


@pytest.mark.parametrize(
    ("error", "name"), [(error, name) for error, names in REFUSED.items() for name in names]
)
def test_broken_files_are_refused_for_their_reason(
    looks: dict[str, dict[str, object]], error: str, name: str
) -> None:
    assert looks[name]["error"] == error


@pytest.mark.parametrize(
    "name",
    [
        *(f"gen_obama_exif{orientation}.jpg" for orientation in range(1, 9)),
        "gen_obama_rot90.jpg",
        "gen_obama_rot180.jpg",
        "gen_obama_tilt30.jpg",
        "gen_obama_cmyk.jpg",
        "gen_obama_16bit.png",
        "gen_obama_grey16.png",
        "gen_obama_palette.png",
        "gen_obama_1bit.png",
        "gen_obama_cutout.png",
        "gen_obama_la.png",
        "gen_obama_webp.webp",
        "hopper.heif",
        "001_A.jpg",
    ],
)
def test_odd_but_whole_files_show_their_one_face(looks: dict[str, dict[str, object]], name: str) -> None:
    assert (looks[name]["error"], looks[name]["faces"]) == (None, 1)
