"""Public portraits that every machine can have: the demo's, out of packages on the package index."""

from __future__ import annotations

import fcntl
from pathlib import Path
from typing import Final

from PIL import Image

from support.bundle import ROOT
from worker.demo.photos import gather

OBAMA: Final = ("obama.jpg", "obama2.jpg", "obama3.jpg")
"""Three photos of one man."""
BIDEN: Final = "biden.jpg"
"""Another man."""
COLLINS: Final = "astronaut.png"
"""A woman."""
GROUP: Final = "group.jpg"
"""Obama, Biden and Collins side by side."""
CAT: Final = "chelsea.png"
"""No face of a person."""
SMALL: Final = 400
"""Pixels across: enough for a verification, and soon judged."""


def gather_portraits(folder: Path) -> Path:
    """Put them into ``folder``; downloads are kept in var/downloads. Raises PicturesMissing.

    Several test processes may ask at once: the first downloads, the others wait.
    """
    downloads = ROOT / "var" / "downloads"
    downloads.mkdir(parents=True, exist_ok=True)
    with (downloads / "portraits.lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        gather(folder, downloads)
    return folder


def smaller(photo: Path, to: Path, width: int = SMALL) -> Path:
    """The photo as a JPEG of that width in pixels."""
    with Image.open(photo) as picture:
        height = round(picture.height * width / picture.width)
        picture.convert("RGB").resize((width, height)).save(to, "JPEG", quality=90)
    return to
