"""The image `console` serves the pages by itself: the Dockerfile's own steps, away from our packages."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import requests

from support.image_host import SECONDS, SERVICES, Host
from support.images import Image, image
from support.servers import free_port
from support.system import LONG
from support.workers import wait_until


@pytest.fixture(scope="module")
def built(bundle_dir: Path) -> Iterator[Image]:
    with image("console", bundle_dir) as made:
        yield made


@LONG
def test_the_image_serves_the_console_without_models(built: Image, tmp_path: Path) -> None:
    url = f"http://127.0.0.1:{free_port()}"
    settings = {"VERIFY_CONSOLE_ADDRESS": urlsplit(url).netloc, "VERIFY_TOMBSTONE_KEY": "a key"}
    assert built.run("python", "-m", "pip", "check").returncode == 0
    assert not Path(built.variables["VERIFY_BUNDLE"]).exists()
    with Host(built, settings, tmp_path) as host:
        host.worker("init-db")
        console = host.start(SERVICES["console"]["command"])
        [probe] = [word for word in SERVICES["console"]["healthcheck"]["test"] if "urlopen" in word]
        asked = probe.replace("http://127.0.0.1:8300", url)
        wait_until(
            lambda: console.ended or host.run("python", "-c", asked).returncode == 0, SECONDS, every=0.5
        )
        assert not console.ended, console.words
        page = requests.get(url, timeout=60)
        assert page.status_code == 200
        assert "script-src 'self'" in page.headers["content-security-policy"]
        assert requests.get(f"{url}/static/vendor/htmx.min.js", timeout=60).ok
        assert console.stop() == 0
