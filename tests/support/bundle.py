"""The model bundle that the tests judge with, built by the project's own commands where it is missing."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def bundle_folder() -> Path:
    """Where the bundle is, or will be: VERIFY_BUNDLE, else var/bundle."""
    return Path(os.environ.get("VERIFY_BUNDLE") or ROOT / "var" / "bundle")


def ensure_bundle() -> Path:
    """The folder of a whole bundle; built as `make weights` does if it is not there yet.

    Several test processes may ask at once: the first builds, the others wait.
    """
    folder = bundle_folder()
    if (folder / "manifest.json").is_file():
        return folder
    lock = ROOT / "var" / "bundle.lock"
    lock.parent.mkdir(exist_ok=True)
    with lock.open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        if not (folder / "manifest.json").is_file():
            _python("worker.fetch_weights")
            _python("pipeline", "weights", "--out", str(folder))
    return folder


def _python(*words: str) -> None:
    subprocess.run([sys.executable, "-m", *words], cwd=ROOT, check=True)
