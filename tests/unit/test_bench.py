"""The bench: contestants in turn on the same pairs, a face that is not found, photos of the right size."""

from __future__ import annotations

import importlib.util
import io
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pipeline.datasets.data import Pair
from pipeline.errors import DataError, PeerMissing
from pipeline.evaluation.bench import SIZE, FaceRecognition, compare, measure, time_verifiers, two_photos
from pipeline.evaluation.turns import Contestant, in_turns
from pipeline.faces.types import Rgb
from pipeline.verdict import Comparison, Gender, Outcome, PhotoFinding, Reason, Status, Verdict
from support.bundle import ROOT


def verdict(comparison: Comparison | None, decode_ms: float) -> Verdict:
    selfie, photo = PhotoFinding(0, Outcome.USABLE), PhotoFinding(1, Outcome.SAME, comparison=comparison)
    return Verdict(
        status=Status.APPROVED,
        reason=Reason.SAME_PERSON,
        photo=1,
        same_person=True,
        similarity=0.9,
        gender=Gender.FEMALE,
        gender_probability=0.9,
        selfie=selfie,
        photos=(photo,),
        model_version="v",
        policy_version="1",
        timings={"decode": decode_ms},
    )


class Brightness:
    """Holds two photos the same where they are about as bright; finds nothing in a black one."""

    threshold = -10.0

    def __init__(self, name: str, log: list[str]) -> None:
        self.name, self._log = name, log

    def describe(self, rgb: Rgb) -> float | None:
        self._log.append(self.name)
        return float(rgb.mean()) or None

    def score(self, one: float, other: float) -> float:
        return -abs(one - other)


@pytest.fixture
def pairs(tmp_path: Path) -> list[Pair]:
    for name, light in (("dim", 60), ("dusk", 63), ("bright", 200), ("black", 0)):
        Image.new("RGB", (64, 64), (light,) * 3).save(tmp_path / f"{name}.png")
    (tmp_path / "broken.png").write_bytes(b"no picture")
    listed = [
        ("dim", "dusk", True),
        ("dim", "bright", False),
        ("dim", "black", True),
        ("dim", "broken", False),
    ]
    return [Pair(f"{one}.png", f"{other}.png", same, set="lights") for one, other, same in listed]


def test_verifiers_score_every_pair_in_turn_and_each_begins_as_often(
    pairs: list[Pair], tmp_path: Path
) -> None:
    log: list[str] = []
    verifiers = [Brightness("a", log), Brightness("b", log)]
    records = time_verifiers(verifiers, pairs, tmp_path)
    assert log[4:] == ["a", "a", "b", "b", "b", "b", "a", "a", "a", "a", "b", "b"]
    assert records["a"].scores == records["b"].scores == [-3.0, -140.0, -np.inf, -np.inf]
    assert len(records["a"].milliseconds) == 4
    assert min(records["a"].milliseconds) >= 0


def test_a_face_that_is_not_found_counts_as_a_non_match(pairs: list[Pair], tmp_path: Path) -> None:
    verifiers = [Brightness("a", [])]
    figures = compare(verifiers, pairs, time_verifiers(verifiers, pairs, tmp_path))["a"]["sets"]["lights"]
    assert figures["no_face"] == 2
    assert figures["fnmr"] == 0.5
    assert figures["fmr"] == 0.0
    assert figures["accuracy"] == 0.75
    json.dumps(figures)


def test_the_stages_of_a_verification_are_told_by_median_and_quartiles() -> None:
    times = iter([9.0, 1.0, 2.0, 3.0])

    def verify(_selfie: bytes, _photo: bytes) -> Verdict:
        return verdict(Comparison(0.9, 0.9, 0.5, 0.2, {}, {}), next(times))

    measured = measure(verify, b"", b"", rounds=3)
    assert measured["milliseconds"]["decode"] == {"median": 2.0, "quartile25": 1.5, "quartile75": 2.5}
    assert measured["milliseconds"]["all"]["median"] >= 0


def test_photos_in_which_nothing_can_be_compared_are_refused() -> None:
    with pytest.raises(DataError, match="no two faces"):
        measure(lambda _selfie, _photo: verdict(None, 1.0), b"", b"", rounds=1)


def test_the_two_photos_are_of_the_size_that_is_said_and_not_one_picture() -> None:
    pictures = [Image.open(io.BytesIO(photo)) for photo in two_photos()]
    assert [picture.size for picture in pictures] == [SIZE, SIZE]
    assert not np.array_equal(np.asarray(pictures[0]), np.asarray(pictures[1]))


ANSWERS = """
import sys
print(flush=True)
for line in sys.stdin:
    print({milliseconds}, 20.0, flush=True)
"""


def test_contestants_verify_in_turns_and_are_held_against_the_first(tmp_path: Path) -> None:
    def contestant(milliseconds: float) -> Contestant:
        return Contestant(ANSWERS.format(milliseconds=milliseconds), tmp_path, tmp_path, [])

    with contestant(10.0) as ours, contestant(25.0) as theirs:
        found = in_turns({"ours": ours, "theirs": theirs}, rounds=3)
    assert found["ours"]["times"]["median"] == 1.0
    assert found["theirs"]["times"] == {"median": 2.5, "quartile25": 2.5, "quartile75": 2.5}
    assert found["theirs"]["milliseconds"]["median"] == 25.0
    assert found["theirs"]["wall"]["median"] == 20.0


def test_a_checkout_that_cannot_verify_is_named_with_its_reason(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"cannot be timed: ValueError: no bundle"):
        Contestant("raise ValueError('no bundle')", tmp_path, tmp_path, [])


def test_a_peer_that_is_not_installed_is_said_in_one_line() -> None:
    if importlib.util.find_spec("dlib"):
        pytest.skip("the peer is installed")
    with pytest.raises(PeerMissing, match=r"requirements-peers\.txt"):
        FaceRecognition()


def test_the_peer_knows_a_person_again() -> None:
    pytest.importorskip("dlib", reason="pip install --no-deps -r pipeline/requirements-peers.txt")
    peer = FaceRecognition()
    one, other = (peer.describe(np.asarray(Image.open(io.BytesIO(photo)))) for photo in two_photos())
    assert one is not None
    assert other is not None
    assert peer.score(one, other) > peer.threshold


def test_the_peers_are_pinned_and_no_requirement() -> None:
    text = (ROOT / "pipeline" / "requirements-peers.txt").read_text()
    names = [line.split("==")[0] for line in text.splitlines() if line and not line.startswith("#")]
    assert names == ["dlib-bin", "face_recognition_models"]
    assert "requirements-peers" not in (ROOT / "requirements.txt").read_text()
