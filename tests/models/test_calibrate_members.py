"""`calibrate --from-members` on real faces that come through the network."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from pipeline.bundles.bundle import open_manifest
from pipeline.bundles.load import load_models
from pipeline.verdict import Gender
from support.labelled import rows
from support.photo_server import PhotoServer
from support.portraits import BIDEN, OBAMA
from support.workers import open_empty_store
from worker import runtime
from worker.cli import main
from worker.serving.registry import check_head
from worker.store import NewMember, Store
from worker.store.tables.states import ModelState

EACH = 16
"""Members of each gender: 240 pairs of strangers."""


@pytest.fixture
def store(tmp_path: Path, bundle_dir: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    url = f"sqlite:///{tmp_path / 'verify.db'}"
    settings = {
        "HOME": str(tmp_path),
        "DATABASE_URL": url,
        "BUNDLE": str(bundle_dir.absolute()),
        "ALLOW_HTTP": "true",
        "ALLOW_PRIVATE_ADDRESSES": "true",
        "TOMBSTONE_KEY": "a key",
    }
    for name, value in settings.items():
        monkeypatch.setenv(f"VERIFY_{name}", value)
    store = open_empty_store(url)
    runtime.reset()
    yield store
    store.close()
    runtime.store().close()
    runtime.reset()


def people(faces: Path, gender: Gender) -> list[Path]:
    """One photo of each of some people of this gender."""
    listed = rows(faces, "lfw_faces.csv", told="gender")
    photo = {row["identity"]: row["file"] for row in listed if row["gender"] == gender}
    return [faces / photo[identity] for identity in sorted(photo)][:EACH]


def join(store: Store, host: PhotoServer, gender: Gender, photos: Sequence[Path]) -> None:
    """A member for each photo signs up and consents."""
    for number, photo in enumerate(photos):
        url = host.add_photo(f"{gender}/{number}.jpg", photo)
        new = NewMember(f"{gender}-{number}", gender, url, (), training_consent=True)
        store.members.import_list([new], datetime.now(UTC))


def calibrate(*words: str) -> Result:
    return CliRunner().invoke(main, ["calibrate", "--from-members", *words])


def test_thresholds_are_set_on_members_and_published_as_a_challenger(
    store: Store, photo_server: PhotoServer, faces: Path, bundle_dir: Path
) -> None:
    for gender in (Gender.MALE, Gender.FEMALE):
        join(store, photo_server, gender, people(faces, gender))
    lost = NewMember("lost", Gender.MALE, photo_server.at("nothing.jpg"), (), training_consent=True)
    store.members.import_list([lost], datetime.now(UTC))
    result = calibrate("--fmr", "0.01")
    assert result.exit_code == 0, result.output
    assert "left out: 1 selfies, gone" in result.output
    [record] = store.models.latest()
    assert (record.state, record.calibration) == (ModelState.CHALLENGER, "calibrated")
    assert record.figures is not None
    assert 150 < record.figures["impostors"] <= EACH * (EACH - 1)
    head = store.models.head(record.version)
    assert head is not None
    check_head(head, bundle_dir, runtime.network_files())
    thresholds = open_manifest(head.manifest).head["edges"]
    low, high = record.figures["approve95"]
    assert low <= thresholds["approve"] <= high
    assert thresholds["different"] <= load_models(bundle_dir).params.scorer.thresholds.different


def test_too_few_impostor_pairs_are_refused_and_nothing_is_published(
    store: Store, photo_server: PhotoServer, portraits: Path
) -> None:
    join(store, photo_server, Gender.MALE, [portraits / name for name in (OBAMA[0], BIDEN, "32bit.png")])
    result = calibrate("--members", "2")
    assert result.exit_code == 1
    assert "impostor pairs cannot show" in result.output
    assert store.models.latest() == []


def test_without_consenting_members_it_says_so(store: Store) -> None:
    result = calibrate()
    assert (result.exit_code, "no consenting member" in result.output) == (1, True), result.output
