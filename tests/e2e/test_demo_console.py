"""`make demo CONSOLE=1`: the demo ends with a console in which members wait, and a link into it."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import requests

from pipeline.verdict import Status
from support.bundle import ROOT
from support.system import LONG
from support.workers import wait_until
from worker.demo.scenarios import FOR_THE_CONSOLE, SCENARIOS

LINK = re.compile(r"http://127\.0\.0\.1:\d+/demo/\S+")
SECONDS = 300


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """The demo's, with the photos that other tests have fetched."""
    downloads = ROOT / "var" / "downloads"
    downloads.mkdir(parents=True, exist_ok=True)
    (tmp_path / "downloads").symlink_to(downloads)
    return tmp_path


@LONG
def test_the_demo_ends_with_a_console_full_of_cases_and_a_link_that_is_good_once(
    home: Path, bundle_dir: Path
) -> None:
    log = home / "demo.log"
    with log.open("wb") as file:
        demo = subprocess.Popen(
            [sys.executable, "-m", "worker", "demo", "--console"],
            env=os.environ | {"VERIFY_HOME": str(home), "VERIFY_BUNDLE": str(bundle_dir.absolute())},
            cwd=ROOT,
            stdout=file,
            stderr=file,
        )
    try:
        wait_until(lambda: demo.poll() is not None or LINK.search(log.read_text()), SECONDS, every=0.2)
        [link] = LINK.findall(log.read_text())
        assert log.read_text().count("✓") == len(SCENARIOS)
        for members in (SCENARIOS, FOR_THE_CONSOLE):
            assert f"{len(members)} of {len(members)} as expected" in log.read_text()
        with requests.Session() as browser:
            page = browser.get(link, timeout=60)
            assert page.status_code == 200
            queue = browser.get(f"{link.partition('/demo/')[0]}/queue", timeout=60).text
            waiting = sum(one.expected[0] is Status.REVIEW for one in (*SCENARIOS, *FOR_THE_CONSOLE))
            assert queue.count("<tr") == 1 + waiting + 1  # the head, and the member who objects
        assert requests.get(link, timeout=60).status_code == 410
        wait_until(lambda: len(LINK.findall(log.read_text())) == 2, SECONDS)
        demo.send_signal(signal.SIGINT)
        assert demo.wait(60) == 0
    finally:
        demo.kill()
        demo.wait()
