"""`python -m worker demo`, as `make demo` runs it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from PIL import Image

from support.bundle import ROOT
from worker.demo.scenarios import SCENARIOS


def test_the_demo_gives_every_member_the_expected_verdict(tmp_path: Path, bundle_dir: Path) -> None:
    downloads = ROOT / "var" / "downloads"
    downloads.mkdir(parents=True, exist_ok=True)
    (tmp_path / "downloads").symlink_to(downloads)  # the photos need not be fetched for each test
    done = subprocess.run(
        [sys.executable, "-m", "worker", "demo"],
        # An operator's own settings must not reach into the demo.
        env=os.environ
        | {
            "VERIFY_HOME": str(tmp_path),
            "VERIFY_BUNDLE": str(bundle_dir.absolute()),
            "VERIFY_DATABASE_URL": "mysql://nobody@127.0.0.1:1/none",
            "VERIFY_BROKER_URL": "redis://127.0.0.1:1/0",
        },
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
    assert done.stdout.count("✓") == len(SCENARIOS)
    with Image.open(tmp_path / "demo" / "contact-sheet.png") as picture:
        assert picture.width > 1000
    made = [tmp_path / "demo", *(tmp_path / "demo").rglob("*")]
    assert {file.stat().st_mode & 0o077 for file in made} == {0}, "somebody else may read what is of members"
