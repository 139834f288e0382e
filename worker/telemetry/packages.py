"""Whether the packages of an extra are there."""

from __future__ import annotations

from importlib.util import find_spec


def missing(extra: str, *modules: str) -> str | None:
    """How to install the extra, where one of its modules is missing."""
    if all(_found(module) for module in modules):
        return None
    return f"its packages are missing: pip install -r worker/requirements-{extra}.txt"


def _found(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:  # of the package that it is in
        return False
