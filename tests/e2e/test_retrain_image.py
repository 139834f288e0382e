"""The image `retrain` holds all that training needs: the Dockerfile's own steps, away from our packages.

The long form (VERIFY_TEST_LONG=1) also makes the networks, as the stage `weights` does.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np
import pytest

from pipeline.bundles.bundle import networks, open_head, open_manifest
from pipeline.bundles.models import read_head_params
from support.dockerfile import stages
from support.image_host import KEY, SECONDS, Host, in_production
from support.images import Image, image
from support.sources import PIPELINE, WORKER, roots_of
from support.system import LONG
from support.training import TrainingScene, labelled_member
from support.workers import open_store_at, wait_until
from worker.clock import utc_now
from worker.retraining.embedding import Embedded
from worker.retraining.run import Champion
from worker.serving.registry import read_head
from worker.store import PublishedHead
from worker.store.tables.states import RunState

MEMBERS: Final = 40
OF_EXTRAS = {"opentelemetry", "sentry_sdk", "argon2", "pyotp", "segno", "starlette", "uvicorn"}
"""What only traces, error reports and the console import."""
FIND: Final = """
import importlib.util, sys

print(*(name for name in sys.argv[1:] if importlib.util.find_spec(name) is None))
"""


@pytest.fixture(scope="module")
def built(bundle_dir: Path) -> Iterator[Image]:
    with image("retrain", bundle_dir) as made:
        yield made


@pytest.fixture
def production(built: Image, mariadb_database_url: str, redis_url: str, tmp_path: Path) -> Iterator[Host]:
    """On Redis and MariaDB."""
    with in_production(built, mariadb_database_url, redis_url, tmp_path) as host:
        yield host


@dataclass
class Town(TrainingScene):
    """Members with invented faces, embedded as if by the networks of a bundle."""

    sizes: Sequence[int] = ()
    rng: np.random.Generator = field(default_factory=lambda: np.random.default_rng(1))
    centres: dict[str, list[np.ndarray]] = field(default_factory=dict)

    def _embed(self, data: bytes) -> Embedded | str:
        member = data.decode().split("/")[-2]
        own = self.centres.setdefault(member, [self.rng.normal(size=size) for size in self.sizes])
        parts = [2 * centre + self.rng.normal(size=centre.size) for centre in own]
        vectors = np.concatenate([part / np.linalg.norm(part) for part in parts]).astype("<f4")
        return Embedded(self.champion.networks, vectors.tobytes())


def test_every_package_that_is_imported_anywhere_is_there_but_for_the_extras(built: Image) -> None:
    roots = {root for path in [*PIPELINE, *WORKER] for root in roots_of(path)}
    found = built.run("python", "-c", FIND, *sorted(roots))
    assert (found.returncode, {*found.stdout.split()}) == (0, OF_EXTRAS)
    assert built.run("python", "-c", "import pytest").returncode != 0


def test_the_packages_agree_with_each_other(built: Image) -> None:
    done = built.run("python", "-m", "pip", "check")
    assert done.returncode == 0, done.stdout


def test_a_retraining_comes_to_its_end(
    production: Host, built: Image, mariadb_database_url: str, bundle_dir: Path
) -> None:
    store = open_store_at(mariadb_database_url, tombstone_key=KEY)
    learn_from_invented_faces(Town(store, now=utc_now()), read_head(bundle_dir))
    production.start_worker(built.command)
    assert "under way already" in production.worker("retrain", "--force")
    wait_until(lambda: store.training_runs.latest(1)[0].state.ended, SECONDS)
    run = store.training_runs.latest(1)[0]
    store.close()
    assert (run.state, run.lapses) == (RunState.REJECTED, 0)  # the gate wants more people
    assert str(run.version).startswith("retrained-")


def learn_from_invented_faces(town: Town, head: PublishedHead) -> None:
    """Leave a run to whoever trains."""
    manifest = open_manifest(head.manifest)
    dimensions = read_head_params(open_head(manifest, head.data)).dimensions
    town.sizes = [size for _, size in sorted(dimensions.items())]
    town.champion = Champion(head, networks(manifest), None)
    for number in range(MEMBERS):
        labelled_member(town.store, f"m{number:02}")
    town.collect()


@LONG
@pytest.mark.slow
def test_the_networks_are_made_with_what_the_image_holds(built: Image) -> None:
    folder = built.home / "weights"
    commands = [step.text for step in stages()["weights"].steps if step.kind == "RUN"]
    words = [f"cp -r {built.app} {folder}", f"chmod -R u+w {folder}", f"cd {folder}", *commands]
    network = ("PIP_", "HTTP", "http", "NO_PROXY", "no_proxy", "SSL_")  # a mirror, a proxy
    kept = {name: value for name, value in os.environ.items() if name.startswith(network)}
    done = built.run("sh", "-c", " && ".join(words).replace("/models", f"{folder}/models"), **kept)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    assert (folder / "models" / "bundle" / "manifest.json").is_file()
