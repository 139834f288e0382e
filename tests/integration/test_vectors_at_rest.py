"""The faces' vectors lie encrypted in the database while a retraining runs."""

from __future__ import annotations

import base64
import stat
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from support.jobs import NOW
from support.training import TrainingScene, content_of, latest, url_of, vectors_of
from support.workers import rows
from worker.errors import BadSettings, TrainingFailed
from worker.settings import load_settings
from worker.store import Store
from worker.store.tables.states import RunState
from worker.store.training.encryption import KEY_FILE, VectorCipher, derived_key, keys_of
from worker.store.training.records import FaceRow

OLD, NEW = (derived_key(secret) for secret in (b"old", b"new"))
ROW = FaceRow(1, "m1", 0, "facenet:0")


def with_keys(store: Store, *keys: bytes) -> Store:
    """Another worker on the same database."""
    return Store(store.database.engine, vector_keys=lambda: keys)


def stored_vectors(store: Store) -> list[Any]:
    return [row["vectors"] for row in rows(store, store.database.t.training_face)]


def ended(training: TrainingScene, store: Store) -> str:
    """What the run says after a worker with this store has taken its last step."""
    training.store = store
    assert training.step() == "ended"
    run = latest(store)
    assert run.state is RunState.FAILED
    assert rows(store, store.database.t.training_face) == []
    assert store.labels.truth().new_labels == 12  # of a run that failed they are still new
    return str(run.problem)


def test_nothing_of_a_face_can_be_read_in_the_table(training: TrainingScene, store: Store) -> None:
    training.collect()
    plain = {vectors_of(content_of(url_of(f"m{n:02}", position))) for n in range(6) for position in range(3)}
    stored = stored_vectors(store)
    assert len(set(stored)) == 18
    assert not [1 for one in stored for known in plain if known[:8] in one or one[:8] in known]
    faces = store.training_members.faces(latest(store).run_id)
    assert {face.vectors for face in faces} == plain


def test_two_rows_that_were_swapped_end_the_run_with_a_clear_error(
    training: TrainingScene, store: Store
) -> None:
    training.collect()
    face = store.database.t.training_face
    with store.database.engine.begin() as c:
        one, other = c.execute(sa.select(face).where(face.c.number == 1).limit(2)).all()
        for row, vectors in ((one, other.vectors), (other, one.vectors)):
            its = (face.c.member_id == row.member_id, face.c.number == 1)
            c.execute(sa.update(face).where(*its).values(vectors=vectors))
    assert "moved from another row" in ended(training, store)


def test_a_worker_with_another_key_or_none_ends_the_run_and_says_which_setting(
    training: TrainingScene, store: Store
) -> None:
    training.collect()
    assert "VERIFY_VECTOR_KEYS" in ended(training, with_keys(store, NEW))
    assert store.training_runs.ask("kim", NOW)
    assert "set VERIFY_VECTOR_KEYS or VERIFY_TOMBSTONE_KEY" in ended(training, with_keys(store))
    assert training.sent == []


def test_a_verify_worker_without_a_key_stores_no_vector(training: TrainingScene, store: Store) -> None:
    assert store.training_runs.ask("kim", NOW)
    training.step()
    training.store = with_keys(store)
    training.deliver()
    assert set(stored_vectors(store)) == {None}
    assert "no face could be learned from" in ended(training, store)
    report = latest(store).report
    assert report is not None
    assert report["kept_out"] == {"no_key": 18}


def test_keys_are_rotated_while_a_run_is_under_way(training: TrainingScene, store: Store) -> None:
    training.store = with_keys(store, OLD)
    assert store.training_runs.ask("kim", NOW)
    training.step()
    first, second = training.sent
    training.embedding().handle(first.to_message(), "bulk")
    training.store = with_keys(store, NEW, OLD)
    training.embedding().handle(second.to_message(), "bulk")
    stored = stored_vectors(store)
    assert len({value[1:5] for value in stored}) == 2  # two keys
    assert training.step() == "ended"
    assert latest(store).state is RunState.PROMOTED
    with pytest.raises(TrainingFailed, match="a key that this worker does not have"):
        VectorCipher(lambda: [NEW]).decrypt(VectorCipher(lambda: [OLD]).encrypt(b"x", ROW), ROW)


@pytest.mark.parametrize("stored", [b"", b"\x01", b"\x00" * 64, vectors_of(b"as before")])
def test_what_was_never_encrypted_is_not_read(stored: bytes) -> None:
    with pytest.raises(TrainingFailed, match=r"not encrypted|does not have"):
        VectorCipher(lambda: [OLD]).decrypt(stored, ROW)


# Which key


def test_the_key_is_that_of_the_settings_or_follows_from_the_tombstone_key_or_lies_in_a_file(
    tmp_path: Path,
) -> None:
    home = tmp_path / "var"
    embedded = load_settings({"home": home})
    [made] = keys_of(embedded)
    assert stat.S_IMODE((home / KEY_FILE).stat().st_mode) == 0o600
    assert keys_of(embedded) == [made]
    assert [path.name for path in home.iterdir()] == [KEY_FILE]
    (home / KEY_FILE).write_bytes(b"cut")
    with pytest.raises(BadSettings, match="holds no key"):
        keys_of(embedded)
    assert keys_of(load_settings({"tombstone_key": "a secret"})) == [derived_key(b"a secret")]
    own = ",".join(base64.b64encode(key).decode() for key in (NEW, OLD))
    settings = load_settings({"tombstone_key": "a secret", "vector_keys": own})
    assert keys_of(settings) == [NEW, OLD]
    assert base64.b64encode(NEW).decode() not in repr(settings)
    assert keys_of(load_settings({"database_url": "mysql://u:p@h/d"})) == []
