"""What decoding a photo costs, in a process of its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Final

from support.bundle import ROOT

_CODE: Final = """
import sys; from pathlib import Path; from pipeline.images.decode import decode
peak = lambda: int(Path('/proc/self/status').read_text().split('VmHWM:')[1].split()[0]) / 1024
before = peak()
decode(Path(sys.argv[1]).read_bytes())
print(peak() - before)
"""


def megabytes_to_decode(file: Path) -> float:
    """By how much the process grows at its peak. Raises CalledProcessError where it cannot be decoded."""
    run = subprocess.run(
        [sys.executable, "-c", _CODE, file], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return float(run.stdout)
