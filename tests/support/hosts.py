"""Two verify workers that share nothing but database and broker."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from support.system import System
from support.workers import Worker


def own_copy(bundle: Path, folder: Path) -> str:
    """The same bundle in a folder of its own."""
    shutil.copytree(bundle, folder, copy_function=_link_or_copy)
    return str(folder)


def _link_or_copy(source: str, target: str) -> None:
    """A hard link costs nothing, where the two folders lie on one disk."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copy(source, target)


def start_two(system: System, bundle_dir: Path) -> list[Worker]:
    """Two hosts with folders of their own."""
    return [
        system.start(
            VERIFY_BUNDLE=own_copy(bundle_dir, system.folder / f"bundle-{host}"),
            VERIFY_HOME=str(system.folder / f"host-{host}"),
        )
        for host in range(2)
    ]
