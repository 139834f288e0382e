"""Whether the packages of training are installed here (`pipeline/requirements.txt`); imports none of them."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Final

PACKAGES: Final = ("keras", "keras_facenet", "scipy", "sklearn", "tensorflow")
"""The modules that a training imports and that serving does not bring."""


def missing_packages() -> str | None:
    """Why nothing can be trained in this environment, in one line; None if it can."""
    missing = [name for name in PACKAGES if find_spec(name) is None]
    if not missing:
        return None
    return f"training needs {', '.join(missing)}: pip install -r pipeline/requirements.txt"
