"""How much memory a job of many photos takes."""

from __future__ import annotations

import platform
import subprocess
import sys
from pathlib import Path

import pytest

from support.bundle import ROOT

_JOB = """
import io, resource, sys
from pathlib import Path
import cv2, numpy as np
from pipeline.bundles.load import load_models
from pipeline.verify import verify

across = np.linspace(0, 255, 3000, dtype=np.uint8)
photo = cv2.imencode(".jpg", np.dstack([np.add.outer(across, across // 2)] * 3))[1].tobytes()
verdict = verify(load_models(Path(sys.argv[1])), photo, [photo] * (int(sys.argv[2]) - 1))
assert all(finding.sha256 for finding in (verdict.selfie, *verdict.photos)), "a photo was not read"
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
"""


def _megabytes(bundle: Path, photos: int) -> int:
    """The most that a process of its own held while it judged so many large photos."""
    command = [sys.executable, "-c", _JOB, str(bundle), str(photos)]
    done = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    return int(done.stdout)


def test_a_job_of_many_large_photos_needs_the_memory_of_a_few(bundle_dir: Path) -> None:
    """Each decoded photo has 7 MB; of none of them more than its faces may stay."""
    assert _megabytes(bundle_dir, 21) - _megabytes(bundle_dir, 3) < 40


_AGAIN = """
import resource, sys
from pathlib import Path
from pipeline.bundles.load import load_models, warm_up
from pipeline.evaluation.bench import two_photos
from pipeline.verify import verify

models = load_models(Path(sys.argv[1]))
warm_up(models)
selfie, photo = two_photos()
for _ in range(3):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    verify(models, selfie, [photo])
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other C libraries have no such setting")
def test_the_memory_of_one_verification_serves_the_next(bundle_dir: Path) -> None:
    """Each picture has 900 pages, and there are several copies of it on the way."""
    command = [sys.executable, "-c", _AGAIN, str(bundle_dir)]
    done = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    assert int(done.stdout) < 900
