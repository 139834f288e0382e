"""The detector on real photos, and against MediaPipe's own."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline.bundles.bundle import read_bundle
from pipeline.faces.blazeface import FULL_RANGE, SHORT_RANGE, BlazeFace, Square
from pipeline.faces.detector import DetectorLimits, TwoRangeDetector, _best_upright_score
from pipeline.faces.types import Detection, Face, Rgb
from pipeline.images.decode import decode
from pipeline.verdict import Box
from support.labelled import rows
from support.portraits import BIDEN, CAT, COLLINS, GROUP, OBAMA
from support.system import LONG

# Runs in a process of its own, because mediapipe brings TensorFlow along.
ASK_MEDIAPIPE = """
import json, sys
import cv2
import mediapipe
solution = mediapipe.solutions.face_detection.FaceDetection(model_selection=int(sys.argv[1]))
answers = []
for name in sys.argv[2:]:
    rgb = cv2.cvtColor(cv2.imread(name), cv2.COLOR_BGR2RGB)
    height, width = rgb.shape[:2]
    faces = []
    for found in solution.process(rgb).detections or []:
        data = found.location_data
        box = data.relative_bounding_box
        points = [[p.x * width, p.y * height] for p in data.relative_keypoints]
        edges = box.xmin, box.ymin, box.xmin + box.width, box.ymin + box.height
        corners = [[edges[0] * width, edges[1] * height], [edges[2] * width, edges[3] * height]]
        faces.append({"score": found.score[0], "points": corners + points})
    answers.append(faces)
print(json.dumps(answers))
"""


def photo(file: Path) -> Rgb:
    return decode(file.read_bytes()).rgb


def of_case(faces: Path, case: str) -> list[Path]:
    return [faces / row["file"] for row in rows(faces, "edge.csv") if row["case"] == case]


@pytest.fixture(scope="module")
def detector(bundle_dir: Path) -> TwoRangeDetector:
    bundle = read_bundle(bundle_dir)
    return TwoRangeDetector(bundle.path("blazeface_short"), bundle.path("blazeface_full"))


@dataclass(frozen=True)
class PhotoSet:
    """Photos that stand for those that are judged."""

    alone: list[Path]
    """Of one person, as the pairs that are judged."""
    groups: list[Path]
    nobody: list[Path]
    row: tuple[Path, int]
    """A row of people, and how many they are."""

    def some(self, step: int) -> list[Path]:
        """Every so many'th of many photos of one person, and all of a few."""
        return self.alone[::step] if len(self.alone) > 20 else self.alone


@pytest.fixture(scope="module", params=["portraits", "labelled photos"])
def photos(request: pytest.FixtureRequest) -> PhotoSet:
    if request.param == "labelled photos":
        return labelled(request.getfixturevalue("faces"))
    folder: Path = request.getfixturevalue("portraits")
    alone, group = [folder / name for name in (*OBAMA, BIDEN, COLLINS)], folder / GROUP
    return PhotoSet(alone, [group], [folder / CAT], (group, 3))


def labelled(faces: Path) -> PhotoSet:
    """120 photos of one person each: LFW, FairFace, East Asians."""
    lfw = sorted({row[key] for row in rows(faces, "lfw_pairs.csv") for key in ("file_x", "file_y")})
    asian = sorted(
        {row["file_x"] for row in rows(faces, "asian_pairs.csv") if row["file_x"].startswith("asian")}
    )
    fairface = [row["file"] for row in rows(faces, "fairface.csv")]
    chooser = random.Random(1)
    return PhotoSet(
        [faces / name for names in (lfw, asian, fairface) for name in chooser.sample(names, 40)],
        of_case(faces, "several_faces"),
        of_case(faces, "no_face"),
        (faces / "edge/several_faces/015_6.jpg", 6),
    )


@pytest.mark.slow
@pytest.mark.parametrize("photos", ["portraits", pytest.param("labelled photos", marks=LONG)], indirect=True)
@pytest.mark.parametrize("solution", [0, 1], ids=["short range", "full range"])
def test_boxes_and_landmarks_are_mediapipes(bundle_dir: Path, photos: PhotoSet, solution: int) -> None:
    shown = [*photos.some(4), *photos.groups[:10]]
    files = [str(file) for file in shown if file.suffix.lower() in (".jpg", ".jpeg")]
    run = subprocess.run(
        [sys.executable, "-c", ASK_MEDIAPIPE, str(solution), *files],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    kind, grid = (("blazeface_short", SHORT_RANGE), ("blazeface_full", FULL_RANGE))[solution]
    network = BlazeFace(read_bundle(bundle_dir).path(kind), grid)
    apart = []
    for name, theirs in zip(files, json.loads(run.stdout.splitlines()[-1]), strict=True):
        ours, pixel = mediapipes_detection(network, name)
        assert len(ours) == len(theirs), name
        apart += [distance(*pair) / pixel for pair in zip(ours, theirs, strict=True)]
    # Candidates just at the limit may count for the one and not for the other, and move the mean.
    assert np.quantile(apart, 0.95) < 0.3
    assert max(apart) < 6


def distance(mine: Face, theirs: dict[str, Any]) -> float:
    """The largest difference of any corner or landmark, in pixels of the photo."""
    box = [[mine.box.x, mine.box.y], [mine.box.x + mine.box.width, mine.box.y + mine.box.height]]
    return float(np.abs(np.vstack([box, mine.landmarks]) - theirs["points"]).max())


def mediapipes_detection(network: BlazeFace, name: str) -> tuple[list[Face], float]:
    """The faces of the whole photo at MediaPipe's limit, and how wide the network's pixel is."""
    import cv2

    rgb = np.asarray(cv2.cvtColor(cv2.imread(name), cv2.COLOR_BGR2RGB), dtype=np.uint8)
    height, width = rgb.shape[:2]
    side = max(height, width)
    square = Square((width - side) / 2, (height - side) / 2, side)
    return network.detect(rgb, square, 0.5 if network.size == 128 else 0.6), side / network.size


def test_every_face_of_the_judged_photos_is_found_upright(
    photos: PhotoSet, detector: TwoRangeDetector
) -> None:
    found = {file: detector.detect(photo(file)) for file in photos.alone}
    assert [file for file, detection in found.items() if not detection.faces] == []
    assert [file for file, detection in found.items() if detection.turned] == []


@pytest.mark.parametrize("turned", [90, 180, 270])
def test_a_photo_that_lies_on_its_side_is_turned(
    photos: PhotoSet, detector: TwoRangeDetector, turned: int
) -> None:
    wrong = []
    for file in photos.some(3):
        rgb = photo(file)
        lying = np.ascontiguousarray(np.rot90(rgb, -turned // 90))
        detection = detector.detect(lying)
        if detection.turned != turned or detection.rgb.shape != rgb.shape:
            wrong.append(file)
    assert len(wrong) <= len(photos.some(3)) // 20, wrong


def test_a_photo_with_a_clear_upright_face_is_not_turned_for_a_larger_doubtful_one() -> None:
    upright = np.array([[60, 80], [100, 80], [80, 100], [80, 120], [40, 90], [120, 90]], np.float32)
    clear = Face(Box(40, 50, 80, 80), upright, 0.9)
    cut_in_half = Face(Box(200, 20, 120, 120), upright + 200, 0.6)
    photo = Detection(np.zeros((400, 400, 3), np.uint8), (cut_in_half, clear))
    assert _best_upright_score(photo) >= DetectorLimits().certain


def people(detection: Detection) -> int:
    """Faces of more than half of the largest one's side."""
    return sum(face.box.side > detection.faces[0].box.side / 2 for face in detection.faces)


def test_in_group_photos_more_than_one_person_is_seen(photos: PhotoSet, detector: TwoRangeDetector) -> None:
    alone = [file for file in photos.groups if people(detector.detect(photo(file))) < 2]
    assert alone == []


def test_all_faces_of_a_row_of_people_are_found(photos: PhotoSet, detector: TwoRangeDetector) -> None:
    file, count = photos.row
    assert len(detector.detect(photo(file)).faces) == count


def test_in_photos_without_a_face_none_is_large_enough_to_be_judged(
    photos: PhotoSet, detector: TwoRangeDetector
) -> None:
    for file in photos.nobody:
        found = detector.detect(photo(file)).faces
        assert [face for face in found if face.box.side >= 48] == [], file


def test_landmarks_stand_in_their_order(photos: PhotoSet, detector: TwoRangeDetector) -> None:
    for file in photos.some(5):
        face = detector.detect(photo(file)).faces[0]
        right_eye, left_eye, nose, mouth = face.landmarks[:4]
        across = left_eye - right_eye
        down = np.array([-across[1], across[0]])
        assert (mouth - right_eye) @ down > (nose - right_eye) @ down > 0, file


@pytest.mark.parametrize("size", [(1, 1), (3, 2), (1, 1600), (1600, 1), (7, 900), (960, 1280)])
def test_a_photo_of_any_size_without_a_face_gives_none(
    size: tuple[int, int], detector: TwoRangeDetector
) -> None:
    assert detector.detect(np.full((*size, 3), 90, dtype=np.uint8)).faces == ()
