"""Hard and broken files, one by one: an ImageError or a picture, soon and in little memory."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from pipeline.bundles.bundle import read_bundle
from support.bundle import ROOT
from support.hard_files import HardFile, hard_files
from support.labelled import rows
from support.portraits import OBAMA

Results = dict[str, dict[str, Any]]
"""What came of every file, by its name."""

# Takes the files in one process, as a worker does, and tells of each what came of it.
DETECT = """
import json, sys, time
from pathlib import Path
from pipeline.faces.detector import TwoRangeDetector
from pipeline.errors import ImageError
from pipeline.images.decode import decode
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
        "einstein.gif",
        "hopper.tif",
        "gif_named_121_2.jpg",
        "gen_svg_named.jpg",
    ],
    "ImageTooLarge": ["gen_flat_20000x20000.png"],
    "UndecodableImage": ["broken.png", "gen_zero_bytes.jpg", "gen_random_bytes.jpg"],
}


def extract(files: Mapping[str, Path], bundle_dir: Path) -> Results:
    """All of them in one process of their own."""
    bundle = read_bundle(bundle_dir)
    networks = [str(bundle.path("blazeface_short")), str(bundle.path("blazeface_full"))]
    run = subprocess.run(
        [sys.executable, "-c", DETECT, *networks],
        input="\n".join(map(str, files.values())), cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    answers = [json.loads(line) for line in run.stdout.splitlines() if line.startswith("{")]
    assert [answer["name"] for answer in answers] == [*map(str, files.values())]
    return dict(zip(files, answers, strict=True))


@pytest.fixture(scope="module")
def hard(portraits: Path) -> dict[str, HardFile]:
    return hard_files(portraits / OBAMA[0])


@pytest.fixture(scope="module")
def made(hard: Mapping[str, HardFile], bundle_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Results:
    """Of a portrait in all kinds of files."""
    folder = tmp_path_factory.mktemp("files")
    for name, file in hard.items():
        (folder / name).write_bytes(file.data)
    return extract({name: folder / name for name in hard}, bundle_dir)


@pytest.fixture(scope="module")
def edge_cases(faces: Path, bundle_dir: Path) -> Results:
    """Of every file of the edge set."""
    paths = [faces / row["file"] for row in rows(faces, "edge.csv")]
    return extract({path.name: path for path in paths}, bundle_dir)


@pytest.fixture(params=["made", "edge_cases"])
def results(request: pytest.FixtureRequest) -> Results:
    found: Results = request.getfixturevalue(request.param)
    return found


def test_none_takes_two_seconds(results: Results) -> None:
    slowest = max(results.values(), key=lambda result: result["seconds"])
    assert slowest["seconds"] < 2, slowest


def test_the_process_stays_small(results: Results) -> None:
    assert max(result["peak"] for result in results.values()) < 300  # MB, without embedders


def test_a_portrait_is_found_in_whatever_file_it_comes_and_what_is_no_photo_is_refused_for_its_reason(
    made: Results, hard: Mapping[str, HardFile]
) -> None:
    found = {name: (result["faces"], result["error"]) for name, result in made.items()}
    assert found == {name: (file.faces, file.error) for name, file in hard.items()}


@pytest.mark.parametrize(
    ("error", "name"), [(error, name) for error, names in REFUSED.items() for name in names]
)
def test_broken_files_are_refused_for_their_reason(edge_cases: Results, error: str, name: str) -> None:
    assert edge_cases[name]["error"] == error


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
        "gen_obama_9000px.jpg",
        "einstein.bmp",
        "hopper.heif",
        "001_A.jpg",
    ],
)
def test_odd_but_whole_files_show_their_one_face(edge_cases: Results, name: str) -> None:
    assert (edge_cases[name]["error"], edge_cases[name]["faces"]) == (None, 1)
