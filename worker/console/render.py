"""Pages from templates, in the reader's language."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final
from zoneinfo import ZoneInfo

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from worker.console.charts import similarity_of
from worker.console.words import Words

HTMX: Final = json.dumps(
    {
        "includeIndicatorStyles": False,  # the content policy lets no style in
        "allowEval": False,
        "selfRequestsOnly": True,
        "historyCacheSize": 0,  # pages with people in them are not kept in the browser
        "responseHandling": [{"code": "204", "swap": False}, {"code": "...", "swap": True}],
    }
)
"""The settings of htmx. Pages about errors are shown like all others."""


def _environment() -> Environment:
    env = Environment(
        loader=PackageLoader("worker.console"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    env.globals["similarity_of"] = similarity_of
    env.filters["clock"] = _clock
    env.filters["thousands"] = lambda number: f"{number:,}"
    return env


def _clock(moment: datetime | None, zone: ZoneInfo, *, seconds: bool = False) -> Markup:
    """A time for people, and for programs."""
    if moment is None:
        return Markup("–")
    local = moment.astimezone(zone)
    shown = f"{local:%Y-%m-%d %H:%M:%S}" if seconds else f"{local:%Y-%m-%d %H:%M}"
    return Markup('<time datetime="{}">{}</time>').format(escape(local.isoformat()), shown)


_ENVIRONMENT: Final = _environment()


def render(template: str, words: Words, values: Mapping[str, Any]) -> str:
    """A template with these values; ``t`` are the words of the reader's language."""
    return _ENVIRONMENT.get_template(template).render(
        {"t": words, "language": words.language, "htmx": HTMX, **values}
    )
