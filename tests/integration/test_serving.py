"""A process follows the database's champion between two jobs, and keeps what it has where it cannot."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

import pytest
import sqlalchemy as sa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from pipeline.bundles.bundle import lacking, open_head, open_manifest, read_manifest
from pipeline.bundles.models import Models
from pipeline.errors import BundleIncompatible, ModelError
from support.heads import a_bundle
from support.jobs import NOW
from support.keys import key_pair
from worker.errors import BadSettings, NotPossible
from worker.serving.champion import RETRY_AFTER, Serving
from worker.serving.registry import publish
from worker.serving.signatures import UNSIGNED, HeadSignatures
from worker.store import Store, build_engine


@dataclass(frozen=True)
class Head:
    """Stands for loaded models: their version is all that is asked of them here."""

    version: str
    bundle: Path


@dataclass
class Process:
    """One worker process with a bundle of its own."""

    store: Store
    shipped: Head
    now: Any = NOW
    signatures: HeadSignatures = UNSIGNED
    composed: list[str] = field(default_factory=list)
    """Versions that were composed, each time."""

    def __post_init__(self) -> None:
        self.serving = Serving(
            heads=self.store.models,
            shipped=cast("Models", self.shipped),
            compose=self.compose,
            host="here",
            check=self.signatures.check,
            clock=lambda: self.now,
        )

    def compose(self, loaded: Any, manifest: str, packed: bytes) -> Any:
        """As `swap_head`, without networks."""
        described = open_manifest(manifest)
        self.composed.append(described.version)
        if missing := lacking(read_manifest(loaded[0].bundle), described):
            raise BundleIncompatible(f"no {missing}")
        open_head(described, packed)
        return Head(described.version, loaded[0].bundle)

    def version(self) -> str:
        """Of the head that the next job is judged with."""
        return self.serving.heads().champion.version

    def shadows(self) -> list[str]:
        return [head.version for head in self.serving.heads().shadows]


@pytest.fixture
def process(store: Store, tmp_path: Path) -> Process:
    return Process(store, Head("default-1", a_bundle(tmp_path / "shipped", "default")))


@pytest.fixture
def version(store: Store, tmp_path: Path) -> str:
    return publish(store.models, a_bundle(tmp_path / "a", "a"), NOW)


def test_it_serves_what_it_was_shipped_with_until_a_head_is_promoted(process: Process, version: str) -> None:
    assert process.version() == "default-1"
    process.store.models.promote(version, NOW)
    assert process.version() == version
    process.store.models.rollback()
    assert process.version() == "default-1"


def test_a_head_is_read_once_and_not_before_every_job(process: Process, version: str) -> None:
    process.store.models.promote(version, NOW)
    assert {process.version() for _ in range(5)} == {version}
    assert process.composed == [version]


def test_a_process_that_starts_later_takes_the_champion_at_once(process: Process, version: str) -> None:
    process.store.models.promote(version, NOW)
    assert Process(process.store, process.shipped).version() == version


DAMAGES: dict[str, dict[str, Any] | None] = {
    "head": {"head": b"rubbish"},
    "manifest": {"manifest": {"format": 1}},
    "another head's manifest": None,
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_row_is_refused_once_and_the_head_before_it_serves_on(
    process: Process, version: str, tmp_path: Path, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    store, bad = process.store, publish(process.store.models, a_bundle(tmp_path / "b", "b"), NOW)
    store.models.promote(version, NOW)
    assert process.version() == version
    spoil(store, bad, DAMAGES[damage] or {"manifest": manifest_of(store, version)})
    store.models.promote(bad, NOW)
    with caplog.at_level(logging.ERROR):
        assert {process.version() for _ in range(5)} == {version}
    assert len(caplog.messages) == 1
    assert f"{bad} is refused" in caplog.text
    [refused] = store.reports.status(NOW).refused_heads
    assert (refused.version, refused.host) == (bad, "here")


def spoil(store: Store, version: str, values: dict[str, Any]) -> None:
    m = store.database.t.model_version
    with store.database.engine.begin() as c:
        c.execute(sa.update(m).where(m.c.version == version).values(**values))


def manifest_of(store: Store, version: str) -> Any:
    m = store.database.t.model_version
    with store.database.engine.connect() as c:
        return c.scalar(sa.select(m.c.manifest).where(m.c.version == version))


def test_a_row_that_was_repaired_is_used_after_a_while(process: Process, version: str) -> None:
    store, head = process.store, process.store.models.head(version)
    assert head is not None
    spoil(store, version, {"head": b"rubbish"})
    store.models.promote(version, NOW)
    assert process.version() == "default-1"
    spoil(store, version, {"head": head.data})
    assert process.version() == "default-1"
    process.now += RETRY_AFTER + timedelta(seconds=1)
    assert process.version() == version
    assert store.reports.status(NOW).refused_heads == ()


def test_a_head_for_networks_that_this_host_does_not_have_is_refused(
    store: Store, version: str, tmp_path: Path
) -> None:
    poor = Process(store, Head("poor-1", a_bundle(tmp_path / "poor", "poor", networks=("sface",))))
    store.models.promote(version, NOW)
    assert poor.version() == "poor-1"
    [refused] = store.reports.status(NOW).refused_heads
    assert "facenet" in refused.problem


def test_a_head_of_a_form_that_this_program_does_not_know_harms_no_job(
    process: Process, version: str
) -> None:
    def stumble(*_: object) -> None:
        raise AttributeError("no such thing")

    process.serving._compose = stumble  # type: ignore[assignment]
    process.store.models.promote(version, NOW)
    assert process.version() == "default-1"
    [refused] = process.store.reports.status(NOW).refused_heads
    assert refused.problem == "AttributeError: no such thing"


def test_while_the_database_is_away_the_head_stays_as_it_is(
    process: Process, version: str, tmp_path: Path
) -> None:
    process.store.models.promote(version, NOW)
    assert process.version() == version
    away = build_engine(f"sqlite:///{tmp_path / 'no tables here.db'}")
    process.store.database._reader = away.execution_options(reads_only=True)
    assert process.version() == version


def test_shadows_come_and_go_beside_the_champion(process: Process, version: str, tmp_path: Path) -> None:
    store, other = process.store, publish(process.store.models, a_bundle(tmp_path / "b", "b"), NOW)
    store.models.set_shadow(version, on=True)
    store.models.set_shadow(other, on=True)
    assert process.shadows() == [version, other]
    store.models.promote(version, NOW)
    assert (process.version(), process.shadows()) == (version, [other])
    assert process.composed == [version, other]
    store.models.set_shadow(other, on=False)
    assert process.shadows() == []


def test_a_damaged_shadow_is_left_out(process: Process, version: str) -> None:
    process.store.models.set_shadow(version, on=True)
    spoil(process.store, version, {"head": b"rubbish"})
    assert process.shadows() == []
    assert process.version() == "default-1"


# Signatures


@pytest.fixture
def signer(tmp_path: Path) -> HeadSignatures:
    """Whoever publishes heads here."""
    return HeadSignatures.of(*key_pair(tmp_path / "keys"))


@pytest.fixture
def strict(store: Store, tmp_path: Path, signer: HeadSignatures) -> Process:
    """A process that has the public key alone."""
    shipped = Head("default-1", a_bundle(tmp_path / "shipped", "default"))
    return Process(store, shipped, signatures=HeadSignatures(public=signer.public))


def test_a_signed_head_is_used(strict: Process, signer: HeadSignatures, tmp_path: Path) -> None:
    signed = publish(strict.store.models, a_bundle(tmp_path / "a", "a"), NOW, signatures=signer)
    strict.store.models.promote(signed, NOW)
    assert strict.version() == signed


def test_a_head_that_is_not_signed_or_by_another_key_is_refused(
    strict: Process, version: str, tmp_path: Path
) -> None:
    other = HeadSignatures.of(*key_pair(tmp_path / "other"))
    foreign = publish(strict.store.models, a_bundle(tmp_path / "b", "b"), NOW, signatures=other)
    for refused, why in ((version, "not signed"), (foreign, "signature is not that of the key")):
        strict.store.models.promote(refused, NOW)
        assert strict.version() == "default-1"
        (said,) = strict.store.reports.status(NOW).refused_heads
        assert (said.version, why in said.problem) == (refused, True)


def test_a_signature_does_not_cover_another_head(
    strict: Process, signer: HeadSignatures, version: str, tmp_path: Path
) -> None:
    """Whoever may write rows takes the signature of a good head for a head of their own."""
    signed = publish(strict.store.models, a_bundle(tmp_path / "b", "b"), NOW, signatures=signer)
    m = strict.store.database.t.model_version
    stolen = sa.select(m.c.signature).where(m.c.version == signed)
    with strict.store.database.engine.begin() as c:
        c.execute(sa.update(m).where(m.c.version == version).values(signature=c.scalar(stolen)))
    strict.store.models.promote(version, NOW)
    assert strict.version() == "default-1"


def test_a_head_from_before_there_was_a_key_can_be_signed(
    strict: Process, signer: HeadSignatures, version: str
) -> None:
    head = strict.store.models.head(version)
    assert head is not None
    strict.store.models.sign(signer.sign(head))
    strict.store.models.promote(version, NOW)
    assert strict.version() == version


def test_nothing_is_published_that_every_host_would_refuse(
    strict: Process, signer: HeadSignatures, tmp_path: Path
) -> None:
    public_only = HeadSignatures(public=signer.public)
    with pytest.raises(NotPossible, match="VERIFY_HEAD_SIGNING_KEY"):
        publish(strict.store.models, a_bundle(tmp_path / "b", "b"), NOW, signatures=public_only)
    wrong_pair = HeadSignatures(public=signer.public, private=Ed25519PrivateKey.generate())
    with pytest.raises(ModelError, match="its signature"):
        publish(strict.store.models, a_bundle(tmp_path / "b", "b"), NOW, signatures=wrong_pair)
    assert strict.store.models.latest() == []


@pytest.mark.parametrize("which", [0, 1])
@pytest.mark.parametrize("content", [None, b"", b"no key"])
def test_a_key_that_cannot_be_read_is_a_wrong_setting(
    tmp_path: Path, which: int, content: bytes | None
) -> None:
    files = list(key_pair(tmp_path))
    files[which] = tmp_path / "wrong"
    if content is not None:
        files[which].write_bytes(content)
    with pytest.raises(BadSettings, match=("PUBLIC_KEY", "SIGNING_KEY")[which]):
        HeadSignatures.of(*files)
