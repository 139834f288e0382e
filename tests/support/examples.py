"""The example programs of the client, installed as their README says."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import pytest

from support.bundle import ROOT

README: Final = (ROOT / "worker" / "client" / "examples" / "README.md").read_text(encoding="utf-8")
NEEDS: Final = {"Node.js": ("node", "npm"), "Python": (), "Java": ("java",)}
MEMBER: Final = "sandbox-approved"


def commands(heading: str) -> list[str]:
    """The commands under a heading of the README, the first block's."""
    block = re.search(rf"(?ms)^## {re.escape(heading)}\n.*?^```\n(.*?)^```$", README)
    assert block is not None
    return block[1].strip().splitlines()


class Example:
    """One of the programs, in a copy of the folder; what its README installs is in this copy."""

    def __init__(self, heading: str, folder: Path) -> None:
        if missing := [name for name in NEEDS[heading] if not shutil.which(name)]:
            pytest.skip(f"{missing[0]} is not installed: the example for {heading} is left out")
        unneeded = shutil.ignore_patterns("node_modules", "__pycache__")
        shutil.copytree(ROOT / "worker" / "client", folder / "worker" / "client", ignore=unneeded)
        *install, self._run = commands(heading)
        assert MEMBER in self._run
        self.heading, self._folder, self._install = heading, folder, install

    def install(self) -> None:
        """What comes before the last line of the README's commands."""
        done = self._shell("\n".join(["set -e", *self._install]), {})
        _, said = done.communicate()
        if done.returncode and "npm" in said and self._shell("npm ping", {}).wait():
            pytest.skip("npm's registry cannot be reached: the example for Node.js is left out")
        assert done.returncode == 0, said

    def start(self, member_id: str, environment: Mapping[str, str]) -> subprocess.Popen[str]:
        """The README's last line, for this member."""
        into = [line for line in self._install if line.startswith("cd ")]
        return self._shell("\n".join([*into, f"exec {self._run.replace(MEMBER, member_id)}"]), environment)

    def _shell(self, script: str, environment: Mapping[str, str]) -> subprocess.Popen[str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("VERIFY_")}
        path = os.pathsep.join([str(Path(sys.executable).parent), kept.get("PATH", "")])
        return subprocess.Popen(
            ["bash", "-c", script],
            cwd=self._folder,
            env={**kept, "PATH": path, "PYTHONUNBUFFERED": "1", **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
