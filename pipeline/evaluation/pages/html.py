"""Pages from templates: one self-contained file each, with numbers as people read them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

NOTHING = "–"


def render(template: str, **values: Any) -> str:
    """The page of a template, named by its path below `pipeline`.

    A line never breaks between a number and its sign.
    """
    text = _ENVIRONMENT.get_template(template).render(values)
    return text.replace(" %", "&nbsp;%").replace("± ", "±&nbsp;")


def percent(share: float | None) -> str:
    """Two decimals, more for small shares: 99.81 %, 0.412 %, 0.0077 %; 0 % only for none at all."""
    if share is None:
        return NOTHING
    value = 100 * share
    if value < 1e-9 or value >= 100:
        return f"{value:.0f} %"
    digits = 2 if value >= 1 else 3 if value >= 0.1 else 4
    return f"{value:.{digits}f} %" if value >= 0.0001 else "< 0.0001 %"


def between(interval: Sequence[float] | None) -> str:
    """A 95 % interval."""
    return NOTHING if interval is None else f"{percent(interval[0])} to {percent(interval[1])}"


def number(value: float | None) -> str:
    """Four decimals, a whole number as it is."""
    if value is None:
        return NOTHING
    return f"{value:,}" if isinstance(value, int) else f"{value:.4f}"


_ENVIRONMENT = Environment(
    loader=PackageLoader("pipeline", ""),
    autoescape=True,
    trim_blocks=True,
    lstrip_blocks=True,
    undefined=StrictUndefined,
)
_ENVIRONMENT.filters.update(percent=percent, between=between, number=number)
