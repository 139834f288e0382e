"""The parts of a dashboard for Grafana, with what all its panels have in common."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field
from typing import Any, Final

Json = dict[str, Any]


def per_minute(series: str, *by: str) -> str:
    """How often something happens, by these labels."""
    return f"60 * sum by ({', '.join(by)}) (rate({series}[$__rate_interval]))"


def quantile(share: float, histogram: str, labels: str) -> str:
    """The seconds that this share of all is within."""
    name = f"{histogram}_bucket{{{labels}}}"
    return f"histogram_quantile({share}, sum by (le) (rate({name}[$__rate_interval])))"


def steps(first: str, *more: tuple[float, str]) -> Json:
    """Colours: the first one, and each next from its value on."""
    found = [{"color": first, "value": None}, *({"color": color, "value": at} for at, color in more)]
    return {"mode": "absolute", "steps": found}


def named(name: str, **properties: Any) -> Json:
    """What is different for the series of this name; `custom_width` stands for `custom.width`."""
    pairs = [{"id": key.replace("_", "."), "value": value} for key, value in properties.items()]
    return {"matcher": {"id": "byName", "options": name}, "properties": pairs}


def coloured(**colours: str) -> list[Json]:
    """Series that always have the same colour."""
    return [named(name, color={"mode": "fixed", "fixedColor": its}) for name, its in colours.items()]


NOW: Final[Json] = {"instant": True, "range": False}
"""A query for the last value alone."""


@dataclass(frozen=True)
class Panel:
    """One panel: ``queries`` by the name of their series (a label in `{{}}`), ``row`` of the runbook."""

    title: str
    text: str
    row: str
    width: int
    queries: Mapping[str, str]
    _: KW_ONLY
    type: str = "timeseries"
    unit: str = "short"
    height: int = 8
    defaults: Json = field(default_factory=dict)
    overrides: Sequence[Json] = ()
    options: Json = field(default_factory=dict)
    query: Json = field(default_factory=dict)
    """What all queries have."""
    more: Json = field(default_factory=dict)

    def json(self, number: int, x: int, y: int) -> Json:
        """As Grafana stores it."""
        targets = [
            {"refId": chr(65 + index), "expr": expr, "legendFormat": name, **self.query}
            for index, (name, expr) in enumerate(self.queries.items())
        ]
        return {
            "id": number,
            "type": self.type,
            "title": self.title,
            "description": self.text,
            "gridPos": {"x": x, "y": y, "w": self.width, "h": self.height},
            "datasource": {"type": "prometheus", "uid": "${datasource}"},
            "links": [{"title": "What to do", "url": f"${{runbook}}#{self.row}", "targetBlank": True}],
            "targets": targets,
            "fieldConfig": {
                "defaults": {"unit": self.unit, **self.defaults},
                "overrides": list(self.overrides),
            },
            "options": self.options,
            **self.more,
        }


def lines(*words: Any, stacked: str = "", **more: Any) -> Panel:
    """Over time; ``stacked`` is `normal` or `percent`."""
    custom: Json = {"showPoints": "never", "lineWidth": 1, "fillOpacity": 60 if stacked else 10}
    if stacked:
        custom["stacking"] = {"mode": stacked}
    defaults = {"min": 0, "custom": {**custom, **more.pop("custom", {})}, **more.pop("defaults", {})}
    legend = {"displayMode": "list", "placement": "bottom"}
    options = {"legend": legend, "tooltip": {"mode": "multi", "sort": "desc"}}
    return Panel(*words, defaults=defaults, options=options, **more)


def figures(*words: Any, show: str = "value_and_name", **more: Any) -> Panel:
    """The values of now, in colour."""
    options = {
        "colorMode": "background",
        "graphMode": "none",
        "justifyMode": "center",
        "textMode": show,
        "reduceOptions": {"calcs": ["lastNotNull"]},
        "text": {"titleSize": 14, "valueSize": 28},
        **more.pop("options", {}),
    }
    return Panel(*words, type="stat", options=options, **more)


def table(*words: Any, order: Sequence[str], **more: Any) -> Panel:
    """The labels of now, in this order."""
    columns = {
        "excludeByName": {"Time": True, "Value": True},
        "indexByName": {name: place for place, name in enumerate(order)},
    }
    return Panel(
        *words,
        type="table",
        query={"format": "table", **NOW},
        options={"sortBy": [{"displayName": order[0], "desc": False}]},
        more={"transformations": [{"id": "organize", "options": columns}]},
        **more,
    )
