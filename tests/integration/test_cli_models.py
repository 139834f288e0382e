"""The commands about models, as operators use them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import sqlalchemy as sa
from click.testing import Result

from support.heads import a_bundle
from support.jobs import NOW
from worker.serving.registry import publish
from worker.store import Store
from worker.store.tables.states import ModelState

Cli = Callable[..., Result]


@pytest.fixture
def models(here: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cli:
    """`python -m worker models …` on a host that was shipped with a bundle."""
    monkeypatch.setenv("VERIFY_BUNDLE", str(a_bundle(tmp_path / "shipped", "default")))
    return lambda *words: here("models", *words)


@pytest.fixture
def version(store: Store, tmp_path: Path) -> str:
    """A challenger in the database."""
    return publish(store.models, a_bundle(tmp_path / "new", "trained"), NOW)


def test_a_bundle_is_published_promoted_and_rolled_back(models: Cli, store: Store, tmp_path: Path) -> None:
    assert "shipped with (default-" in models("list").output
    result = models("publish", a_bundle(tmp_path / "new", "trained"))
    assert result.exit_code == 0, result.output
    [record] = json.loads(models("list", "--json").output)
    assert (record["state"], record["calibration"]) == ("challenger", "uncalibrated")
    assert "Workers take it" in models("promote", record["version"]).output
    assert store.models.champion() == record["version"]
    assert "already" in models("promote", record["version"]).output
    assert "the bundle as shipped" in models("rollback").output
    assert store.models.champion() is None
    assert "No champion" in models("list").output


def test_what_does_not_work_says_why_and_exits_with_1(models: Cli, store: Store, tmp_path: Path) -> None:
    rejected = publish(store.models, a_bundle(tmp_path / "bad", "bad"), NOW, state=ModelState.REJECTED)
    for words, text in [
        (("rollback",), "nothing to go back to"),
        (("promote", "nobody-1"), "no version nobody-1"),
        (("promote", rejected), "--force"),
        (("shadow", rejected), "only a challenger"),
        (("report", rejected), "judged nothing in shadow"),
    ]:
        result = models(*words)
        assert (result.exit_code, text in result.output) == (1, True), result.output
    assert models("promote").exit_code == 2
    assert models("promote", rejected, "--force").exit_code == 0


def test_a_head_without_its_networks_here_is_promoted_by_force_only(
    models: Cli, version: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VERIFY_BUNDLE", str(a_bundle(tmp_path / "poor", "poor", networks=("sface",))))
    refused = models("promote", version)
    assert (refused.exit_code, "facenet" in refused.output) == (1, True), refused.output
    assert models("promote", version, "--force").exit_code == 0


def test_a_rollback_checks_whether_the_networks_are_here(
    models: Cli, store: Store, version: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.models.promote(version, NOW)
    newer = publish(store.models, a_bundle(tmp_path / "sface", "small", networks=("sface",)), NOW)
    store.models.promote(newer, NOW)
    monkeypatch.setenv("VERIFY_BUNDLE", str(a_bundle(tmp_path / "poor", "poor", networks=("sface",))))
    assert models("rollback").exit_code == 1
    assert store.models.champion() == newer
    monkeypatch.setenv("VERIFY_BUNDLE", str(tmp_path / "nothing"))
    assert models("rollback").exit_code == 1
    assert models("rollback", "--force").exit_code == 0
    assert store.models.champion() == version


def test_a_damaged_row_is_not_promoted(models: Cli, store: Store, version: str) -> None:
    m = store.database.t.model_version
    with store.database.engine.begin() as c:
        c.execute(sa.update(m).values(head=b"rubbish"))
    result = models("promote", version)
    assert (result.exit_code, "is not the one" in result.output) == (1, True), result.output
    assert store.models.champion() is None


def test_a_challenger_is_put_into_shadow_and_out_of_it(models: Cli, store: Store, version: str) -> None:
    assert models("shadow", version).output == f"{version} is in shadow from now on.\n"
    assert store.models.in_use().shadows == (version,)
    assert models("shadow", version).output == f"{version} is in shadow already.\n"
    assert models("shadow", version, "--off").exit_code == 0
    assert store.models.in_use().shadows == ()


def test_the_status_names_the_head_and_the_hosts_that_cannot_use_it(
    here: Cli, models: Cli, store: Store, version: str
) -> None:
    assert "as shipped" in here("status").output
    models("promote", version)
    store.models.note_problem(version, "host-7", "the head is [damaged]", NOW)
    shown = here("status").output
    assert version in shown
    assert "host-7" in shown
    assert "[damaged]" in shown
    report = json.loads(here("status", "--json").output)
    assert (report["champion"], report["refused_heads"][0]["host"]) == (version, "host-7")
    assert "host-7" in models("list").output


def test_networks_that_are_not_in_the_bundle_here_go_to_the_shared_folder(
    models: Cli, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VERIFY_BUNDLE", str(a_bundle(tmp_path / "poor", "poor", networks=("sface",))))
    rich = a_bundle(tmp_path / "rich", "rich")
    by_hand = models("publish", rich)
    assert (by_hand.exit_code, "put into VERIFY_BACKBONES" in by_hand.output) == (0, True), by_hand.output
    [version] = [record.version for record in store.models.latest()]
    assert models("promote", version).exit_code == 1
    monkeypatch.setenv("VERIFY_BACKBONES", str(tmp_path / "place"))
    assert "Warning" not in models("publish", rich).output
    assert [file.name.partition("-")[0] for file in (tmp_path / "place").iterdir()] == ["facenet"]
    assert models("promote", version).exit_code == 0
